package projection

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"fmt"
	"io/fs"
	"regexp"
	"strconv"

	"quantrac"
	"quantrac/internal/journal"
)

// migration is one numbered step of the tables' history.
type migration struct {
	number int
	name   string
	sql    string
	sum    string // SHA-256, hex
}

var migrationName = regexp.MustCompile(`^([0-9]{4})_([a-z0-9_]+)\.sql$`)

// readMigrations returns the migrations in order.
func readMigrations(fsys fs.FS) ([]migration, error) {
	var list []migration
	if fsys == nil {
		return nil, nil
	}
	entries, err := fs.ReadDir(fsys, ".") // sorted by name
	if err != nil {
		return nil, fmt.Errorf("reading migrations: %w", err)
	}
	for _, e := range entries {
		m := migrationName.FindStringSubmatch(e.Name())
		if m == nil {
			return nil, quantrac.Errorf(quantrac.Invalid, "migration %q is not named NNNN_name.sql", e.Name())
		}
		number, _ := strconv.Atoi(m[1]) // four digits
		if number != len(list)+1 {
			return nil, quantrac.Errorf(quantrac.Invalid, "migration %q where number %04d was expected", e.Name(), len(list)+1)
		}
		body, err := fs.ReadFile(fsys, e.Name())
		if err != nil {
			return nil, fmt.Errorf("reading migrations: %w", err)
		}
		sum := sha256.Sum256(body)
		list = append(list, migration{number, e.Name(), string(body), hex.EncodeToString(sum[:])})
	}
	return list, nil
}

// migrate brings the tables up to date, each migration in a transaction of its
// own.
func migrate(ctx context.Context, db *sql.DB, fsys fs.FS) error {
	list, err := readMigrations(fsys)
	if err != nil {
		return err
	}
	if _, err := db.ExecContext(ctx, `
		CREATE TABLE IF NOT EXISTS projection_migrations (
			number INTEGER PRIMARY KEY, name TEXT NOT NULL, sha256 TEXT NOT NULL) STRICT;
		CREATE TABLE IF NOT EXISTS projection_state (
			id INTEGER PRIMARY KEY CHECK (id = 1), applied INTEGER NOT NULL) STRICT;
		INSERT OR IGNORE INTO projection_state VALUES (1, 0)`); err != nil {
		return err
	}
	have, err := checkMigrations(ctx, db, list)
	if err != nil {
		return err
	}
	for _, m := range list[have:] {
		if err := m.run(ctx, db); err != nil {
			return fmt.Errorf("migration %s: %w", m.name, err)
		}
	}
	return nil
}

// checkMigrations compares what the database has seen with what there is and
// returns how many it has.
func checkMigrations(ctx context.Context, db *sql.DB, list []migration) (have int, err error) {
	rows, err := db.QueryContext(ctx, "SELECT number, name, sha256 FROM projection_migrations ORDER BY number")
	if err != nil {
		return 0, err
	}
	defer rows.Close()
	for rows.Next() {
		var m migration
		if err := rows.Scan(&m.number, &m.name, &m.sum); err != nil {
			return 0, err
		}
		have++
		switch {
		case m.number > len(list):
			return 0, quantrac.Errorf(quantrac.Conflict,
				"the database has seen migration %s, this program knows %d: it was written by a newer version of the program; use that one", m.name, len(list))
		case m.number != have:
			return 0, quantrac.Errorf(quantrac.Corrupt, "the database has seen migration %s but not number %04d", m.name, have)
		case list[have-1].sum != m.sum:
			return 0, quantrac.Errorf(quantrac.Conflict,
				"migration %s was changed after the database had seen it (as %s)", list[have-1].name, m.name)
		}
	}
	return have, rows.Err()
}

func (m migration) run(ctx context.Context, db *sql.DB) error {
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback() //nolint:errcheck // after a commit it does nothing
	if _, err := tx.ExecContext(ctx, m.sql); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "INSERT INTO projection_migrations VALUES (?, ?, ?)", m.number, m.name, m.sum); err != nil {
		return err
	}
	return tx.Commit()
}

// commitName names an entry in an error.
func commitName(e journal.Entry) string {
	return fmt.Sprintf("commit %d (kind %d, %s)", e.Number, e.Kind, e.Time)
}
