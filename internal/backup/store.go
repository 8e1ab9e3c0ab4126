package backup

import (
	"context"
	"time"
)

// Store is the place that backups are kept in: objects of 1 byte to some
// 100 MiB by name. Names are slash-separated, of letters, digits, '.', '_' and
// '-'. Methods may be called from several goroutines. Errors are of kind
// NotFound, Denied or Unavailable, and say of which object.
type Store interface {
	// Put stores an object in place of what has its name. Whoever gets or lists
	// it later sees all of it or nothing; nil means that it is durable.
	Put(ctx context.Context, name string, data []byte) error
	// Get returns an object.
	Get(ctx context.Context, name string) ([]byte, error)
	// List calls each for every object whose name begins with prefix, which is
	// empty or ends in a slash, until each returns an error, which List returns.
	List(ctx context.Context, prefix string, each func(Object) error) error
	// Delete deletes an object; that it is not there is no error.
	Delete(ctx context.Context, name string) error
	// String names the place for people, without credentials.
	String() string
}

// Object describes a stored object.
type Object struct {
	Name     string
	Bytes    int64     // as stored
	Modified time.Time // by the store's clock, to the second at least
}
