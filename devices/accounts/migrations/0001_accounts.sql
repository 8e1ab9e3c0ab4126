-- Accounts, sessions and API tokens, a projection of the journal. Passwords
-- are argon2id in PHC form, sessions and tokens SHA-256 of random secrets.
-- Times are UTC milliseconds.

CREATE TABLE account (
	name          TEXT PRIMARY KEY,
	display       TEXT NOT NULL,
	role          TEXT NOT NULL,
	stations      TEXT NOT NULL, -- JSON: null for all, else a list of ids
	disabled      INTEGER NOT NULL,
	password      TEXT NOT NULL, -- '' where none is set
	revision      INTEGER NOT NULL,
	signed_out    INTEGER NOT NULL -- commit up to which its sessions have ended
) STRICT;

CREATE TABLE session (
	sha256     BLOB PRIMARY KEY,
	account    TEXT NOT NULL,
	created_ms INTEGER NOT NULL,
	expires_ms INTEGER NOT NULL, -- unless it is used before
	ends_ms    INTEGER NOT NULL, -- in any case
	revision   INTEGER NOT NULL  -- commit that began it
) STRICT;

CREATE INDEX session_expires ON session (expires_ms);

CREATE TABLE api_token (
	id         TEXT PRIMARY KEY,
	sha256     BLOB NOT NULL UNIQUE,
	name       TEXT NOT NULL,
	role       TEXT NOT NULL,
	stations   TEXT NOT NULL, -- JSON, as of an account
	created_ms INTEGER NOT NULL,
	created_by TEXT NOT NULL,
	expires_ms INTEGER NOT NULL -- 0 for never
) STRICT;
