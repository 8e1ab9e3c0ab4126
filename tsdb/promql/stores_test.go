package promql

import (
	"context"
	"errors"
	"testing"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
	"quantrac/tsdb/tsdbtest"
)

// testStores are the stores that the tests of meaning run on.
var testStores = map[string]func(testing.TB, quantrac.Clock) tsdbtest.Engine{
	"oracle": openOracle,
	"head":   openDB,
	"blocks": openBlocks,
}

// openOracle returns an empty oracle.
func openOracle(t testing.TB, clock quantrac.Clock) tsdbtest.Engine {
	e, err := tsdbtest.NewOracle().Open(tsdbtest.Options{Clock: clock, Reserved: reserved})
	if err != nil {
		t.Fatal(err)
	}
	return e
}

// openedDB is the engine with its journal, in memory.
type openedDB struct {
	*tsdb.DB
	j *journal.Journal
}

// openDB returns an empty engine whose rows stay in the head.
func openDB(t testing.TB, clock quantrac.Clock) tsdbtest.Engine {
	fsys := vfs.NewMem()
	j, err := journal.Open(fsys, "journal", journal.Options{Clock: clock, ReserveBytes: -1, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	db, err := tsdb.Open(fsys, "tsdb", j, tsdb.Options{Clock: clock, Reserved: reserved})
	if err != nil {
		t.Fatal(err)
	}
	e := openedDB{db, j}
	t.Cleanup(func() { _ = e.Close() }) // for tests that did not; the second time does nothing
	return e
}

func (e openedDB) Close() error { return errors.Join(e.DB.Close(), e.j.Close()) }

// flushedDB moves every batch to a block at once.
type flushedDB struct{ openedDB }

func openBlocks(t testing.TB, clock quantrac.Clock) tsdbtest.Engine {
	return flushedDB{openDB(t, clock).(openedDB)}
}

func (e flushedDB) Append(ctx context.Context, b *quantrac.Batch) (quantrac.Receipt, error) {
	rc, err := e.DB.Append(ctx, b)
	if err == nil {
		err = e.Flush(ctx)
	}
	return rc, err
}
