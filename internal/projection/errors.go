package projection

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"quantrac"
)

// wrap says which projection an error is of, and gives errors of SQLite a kind.
func (p *DB) wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	wrapped := fmt.Errorf("projection %s: %s: %w", p.path, doing, err)
	if quantrac.KindOf(err) != quantrac.KindNone {
		return wrapped
	}
	switch sqliteCode(err) {
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return p.damaged(wrapped)
	}
	if transient(err) {
		return quantrac.WithKind(quantrac.Unavailable, wrapped)
	}
	return wrapped
}

// sqliteCode returns the primary result code of an error, 0 where SQLite has
// no part in it.
func sqliteCode(err error) int {
	var e *sqlite.Error
	if errors.As(err, &e) {
		return e.Code() & 0xff
	}
	return 0
}

// transient says whether an error may go away by itself.
func transient(err error) bool {
	switch sqliteCode(err) {
	case sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_CANTOPEN:
		return true
	}
	return false
}

// Wrap says of an error that SQL gave which projection it is of, and what kind it
// has; nil stays nil.
func (p *DB) Wrap(doing string, err error) error { return p.wrap(doing, err) }

// damaged marks an error as one of a damaged file, and says what can be done.
func (p *DB) damaged(err error) error {
	return quantrac.Errorf(quantrac.Corrupt, "%w: restore the file from a backup, or move it away with its -wal and -shm and start again: what the journal still holds is built anew from it, if that is all", err)
}

// checkPatience bounds the check of a file at its opening. Ours are read at
// hundreds of megabytes a second.
const checkPatience = 20 * time.Second

// check reads the whole database and compares what it can. Damage met later,
// by a query of a night, would stop the service then.
func (p *DB) check(patience time.Duration) error {
	if p.path == Memory {
		return nil
	}
	ctx, cancel := context.WithTimeout(p.life, patience)
	defer cancel()
	said, err := p.quickCheck(ctx)
	switch {
	case ctx.Err() != nil && p.life.Err() == nil:
		p.o.Logger.Warn("projection: too large to be checked whole at the start", "path", p.path, "after", patience)
		return nil
	case err != nil:
		return err
	case said != "ok":
		return p.damaged(fmt.Errorf("SQLite's check says: %s", said))
	}
	return nil
}

// quickCheck returns what SQLite finds wrong, "ok" for nothing.
func (p *DB) quickCheck(ctx context.Context) (string, error) {
	rows, err := p.read.QueryContext(ctx, "PRAGMA quick_check(3)")
	if err != nil {
		return "", err
	}
	defer rows.Close()
	var said []string
	for rows.Next() {
		var line string
		if err := rows.Scan(&line); err != nil {
			return "", err
		}
		said = append(said, strings.ReplaceAll(line, "\n", "; "))
	}
	return strings.Join(said, "; "), rows.Err()
}
