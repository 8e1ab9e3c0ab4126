-- The registry as tables, for reading by people and tools and for a quick
-- start. The journal is the truth: every row here came from a record of it,
-- and revision is the number of the commit that last wrote the row.
-- Times are UTC milliseconds; 0 is "since ever", "still" or "unknown".

CREATE TABLE unit (
	code          TEXT NOT NULL,
	valid_from_ms INTEGER NOT NULL,
	valid_to_ms   INTEGER NOT NULL,
	name          TEXT NOT NULL,
	level         TEXT NOT NULL,
	parent        TEXT NOT NULL,
	revision      INTEGER NOT NULL,
	PRIMARY KEY (code, valid_from_ms)
) STRICT;

CREATE TABLE station (
	id           TEXT PRIMARY KEY,
	family       TEXT NOT NULL,
	lat          REAL NOT NULL,
	lon          REAL NOT NULL,
	installed_ms INTEGER NOT NULL,
	closed_ms    INTEGER NOT NULL,
	simulated    INTEGER NOT NULL,
	upstream     TEXT NOT NULL, -- ids, separated by blanks
	revision     INTEGER NOT NULL
) STRICT;

CREATE TABLE station_facts (
	station       TEXT NOT NULL REFERENCES station (id),
	valid_from_ms INTEGER NOT NULL,
	name          TEXT NOT NULL,
	name_en       TEXT NOT NULL,
	river         TEXT NOT NULL,
	commune_code  TEXT NOT NULL,
	commune_at_ms INTEGER NOT NULL, -- instant at which the code means what is meant
	district      TEXT NOT NULL,
	operator      TEXT NOT NULL,
	PRIMARY KEY (station, valid_from_ms)
) STRICT;

CREATE TABLE property (
	station        TEXT NOT NULL REFERENCES station (id),
	name           TEXT NOT NULL,
	unit           TEXT NOT NULL,
	interval_ms    INTEGER NOT NULL,
	min            REAL, -- NULL: the test is off
	max            REAL,
	suspect_min    REAL,
	suspect_max    REAL,
	spike_limit    REAL,
	rate_limit     REAL, -- per second
	flat_for_ms    INTEGER NOT NULL,
	flat_epsilon   REAL NOT NULL,
	decimals       INTEGER NOT NULL,
	fault_values   TEXT NOT NULL, -- numbers, separated by blanks
	human_name     TEXT NOT NULL,
	human_name_en  TEXT NOT NULL,
	non_negative   INTEGER NOT NULL,
	cumulative     INTEGER NOT NULL,
	trend_epsilon  REAL NOT NULL, -- per hour
	revision       INTEGER NOT NULL,
	PRIMARY KEY (station, name)
) STRICT;

CREATE TABLE threshold (
	id            TEXT PRIMARY KEY,
	station       TEXT NOT NULL,
	property      TEXT NOT NULL,
	kind          TEXT NOT NULL,
	level         INTEGER NOT NULL,
	value         REAL NOT NULL,
	unit          TEXT NOT NULL,
	hysteresis    REAL NOT NULL,
	hold_ms       INTEGER NOT NULL,
	legal_basis   TEXT NOT NULL CHECK (kind <> 'bao_dong' OR legal_basis <> ''),
	valid_from_ms INTEGER NOT NULL,
	valid_to_ms   INTEGER NOT NULL,
	entered_by    TEXT NOT NULL,
	revision      INTEGER NOT NULL
) STRICT;

CREATE INDEX threshold_property ON threshold (station, property);

CREATE TABLE device (
	id       TEXT PRIMARY KEY,
	station  TEXT NOT NULL REFERENCES station (id),
	sensor   TEXT NOT NULL,
	labels   TEXT NOT NULL, -- JSON object
	disabled INTEGER NOT NULL,
	note     TEXT NOT NULL,
	revision INTEGER NOT NULL
) STRICT;

CREATE INDEX device_station ON device (station);

CREATE TABLE device_token (
	device     TEXT NOT NULL REFERENCES device (id),
	id         TEXT NOT NULL,
	sha256     BLOB NOT NULL,
	created_ms INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	PRIMARY KEY (device, id)
) STRICT;

CREATE TABLE authority (
	province      TEXT NOT NULL,
	valid_from_ms INTEGER NOT NULL,
	valid_to_ms   INTEGER NOT NULL,
	name          TEXT NOT NULL,
	name_en       TEXT NOT NULL,
	legal_basis   TEXT NOT NULL CHECK (legal_basis <> ''),
	revision      INTEGER NOT NULL,
	PRIMARY KEY (province, valid_from_ms)
) STRICT;

-- Who changed what, when and why, one row an edit.
CREATE TABLE change (
	commit_number INTEGER NOT NULL,
	step          INTEGER NOT NULL,
	time_ms       INTEGER NOT NULL,
	actor         TEXT NOT NULL,
	reason        TEXT NOT NULL,
	kind          TEXT NOT NULL,
	object        TEXT NOT NULL,
	body          TEXT NOT NULL, -- the edit in JSON, less secrets' hashes
	PRIMARY KEY (commit_number, step)
) STRICT;

CREATE INDEX change_object ON change (kind, object, commit_number);
