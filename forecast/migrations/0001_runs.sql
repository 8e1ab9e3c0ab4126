-- Runs of forecast models. record holds a run whole, as the journal does; the
-- other columns are what it is found by.
CREATE TABLE runs (
	id        INTEGER PRIMARY KEY,      -- commit number
	committed INTEGER NOT NULL,         -- commit time, ms
	station   TEXT    NOT NULL,
	property  TEXT    NOT NULL,
	sensor    TEXT    NOT NULL,
	model     TEXT    NOT NULL,
	issue     INTEGER NOT NULL,         -- ms
	first     INTEGER NOT NULL,         -- 1: no earlier run of this model has this issue time
	fallback  INTEGER NOT NULL,         -- 1: persistence at every lead
	record    BLOB    NOT NULL
) STRICT;
CREATE INDEX runs_by_issue ON runs (station, property, issue, id);
