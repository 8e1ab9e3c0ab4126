CREATE TABLE letter (
  id          INTEGER PRIMARY KEY, -- commit number
  kept_ms     INTEGER NOT NULL,    -- commit time
  kind        TEXT    NOT NULL,
  device      TEXT    NOT NULL,
  received_ms INTEGER NOT NULL,
  reason      TEXT    NOT NULL,
  bytes       INTEGER NOT NULL,    -- of body
  body        BLOB    NOT NULL     -- JSON of the letter
);
CREATE INDEX letter_device ON letter (device, id);

-- One row: what is here, and what has been let go to stay within the bounds.
CREATE TABLE tally (letters INTEGER NOT NULL, bytes INTEGER NOT NULL, dropped_letters INTEGER NOT NULL, dropped_bytes INTEGER NOT NULL);
INSERT INTO tally VALUES (0, 0, 0, 0);
