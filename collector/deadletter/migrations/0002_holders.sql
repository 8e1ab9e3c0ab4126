-- What each device holds, to find whose oldest letter gives way.
CREATE TABLE holder (
  device  TEXT    PRIMARY KEY,
  letters INTEGER NOT NULL,
  bytes   INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX holder_by_letters ON holder (letters);
CREATE INDEX holder_by_bytes ON holder (bytes);
INSERT INTO holder SELECT device, count(*), sum(bytes) FROM letter GROUP BY device;
