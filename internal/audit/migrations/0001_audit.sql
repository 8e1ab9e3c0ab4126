-- Who did what, in one hash chain. Rows are only ever added: the triggers stop
-- a slip, the chain shows what a trigger cannot stop.
CREATE TABLE audit (
	seq           INTEGER PRIMARY KEY,
	commit_number INTEGER NOT NULL,
	hash          BLOB NOT NULL, -- SHA-256 of payload
	payload       BLOB NOT NULL, -- as in the journal: version, hash of the entry before, JSON
	time_ms       INTEGER NOT NULL,
	actor         TEXT NOT NULL,
	action        TEXT NOT NULL,
	object        TEXT NOT NULL
) STRICT;

CREATE INDEX audit_actor ON audit (actor, seq);
CREATE INDEX audit_object ON audit (object, seq);

CREATE TRIGGER audit_no_update BEFORE UPDATE ON audit BEGIN SELECT RAISE(ABORT, 'audit entries are never changed'); END;
CREATE TRIGGER audit_no_delete BEFORE DELETE ON audit BEGIN SELECT RAISE(ABORT, 'audit entries are never deleted'); END;
