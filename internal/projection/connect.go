package projection

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"

	"modernc.org/sqlite"
)

// connect returns a pool of connections to a database.
func (p *DB) connect(dsn string) (*sql.DB, error) {
	c, err := sqlite.NewConnector(dsn)
	if err != nil {
		return nil, err
	}
	if p.path != Memory {
		c = lasting{c}
	}
	return sql.OpenDB(c), nil
}

// lasting connections leave the files beside the database when they close, the
// -wal empty and the -shm with its space: on a full disk SQLite could not make
// them, and the service not start, just when somebody starts it anew to mend it.
type lasting struct{ driver.Connector }

// Connect implements driver.Connector.
func (l lasting) Connect(ctx context.Context) (driver.Conn, error) {
	c, err := l.Connector.Connect(ctx)
	if err != nil {
		return nil, err
	}
	if f, ok := c.(sqlite.FileControl); ok {
		_, err = f.FileControlPersistWAL("main", 1)
	}
	if err != nil {
		return nil, errors.Join(err, c.Close())
	}
	return c, nil
}
