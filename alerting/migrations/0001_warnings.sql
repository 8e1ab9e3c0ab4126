-- Every revision of every episode, by the commit that said it.
CREATE TABLE revisions (
  commit_number INTEGER PRIMARY KEY,
  id        TEXT NOT NULL,
  epoch     INTEGER NOT NULL,
  revision  INTEGER NOT NULL,
  rule      TEXT NOT NULL,
  audience  TEXT NOT NULL,
  station   TEXT NOT NULL,
  sent_ms   INTEGER NOT NULL,
  body      TEXT NOT NULL -- the record's JSON
);
CREATE UNIQUE INDEX revisions_key ON revisions (id, epoch, revision);
CREATE INDEX revisions_sent ON revisions (sent_ms);
CREATE INDEX revisions_station ON revisions (station, sent_ms);

-- The newest revision of each episode.
CREATE TABLE episodes (
  id            TEXT PRIMARY KEY,
  commit_number INTEGER NOT NULL REFERENCES revisions (commit_number),
  ended         INTEGER NOT NULL
) WITHOUT ROWID;
CREATE INDEX episodes_open ON episodes (ended) WHERE ended = 0;

-- The thresholds as the rules took them last.
CREATE TABLE rule_sets (
  station  TEXT NOT NULL,
  property TEXT NOT NULL,
  body     TEXT NOT NULL,
  PRIMARY KEY (station, property)
) WITHOUT ROWID;

CREATE TABLE subscriptions (
  id   TEXT PRIMARY KEY,
  body TEXT NOT NULL
) WITHOUT ROWID;

-- How far each subscription has got, and what is held back for it.
CREATE TABLE progress (
  subscription TEXT PRIMARY KEY REFERENCES subscriptions (id) ON DELETE CASCADE,
  body         TEXT NOT NULL
) WITHOUT ROWID;

-- What became of each revision that a subscription was to get.
CREATE TABLE deliveries (
  subscription  TEXT NOT NULL REFERENCES subscriptions (id) ON DELETE CASCADE,
  commit_number INTEGER NOT NULL, -- of the revision
  id            TEXT NOT NULL,
  revision      INTEGER NOT NULL,
  outcome       TEXT NOT NULL, -- delivered or given_up
  at_ms         INTEGER NOT NULL,
  detail        TEXT NOT NULL,
  PRIMARY KEY (subscription, commit_number)
) WITHOUT ROWID;
