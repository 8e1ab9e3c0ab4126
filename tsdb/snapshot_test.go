package tsdb_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// A snapshot opens with the same content, whatever becomes of the store: what is
// merged away there stays here.
func TestSnapshot(t *testing.T) {
	mem := vfs.NewMem()
	clock := quantrac.NewManualClock(workStart + 1<<40)
	db, j := openDB(t, mem, clock, tsdb.Options{FlushInterval: -1})
	ctx := context.Background()
	for b := range 3 {
		for i := range 50 {
			mustAppend(t, db, readings(row("a", b*50+i, "level", float64(i%17)/10)))
		}
		if b < 2 {
			if err := db.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := errors.Join(db.Snapshot("copy/tsdb"), j.Snapshot("copy/journal")); err != nil {
		t.Fatal(err)
	}
	if err := db.Snapshot("copy/tsdb"); err == nil {
		t.Error("a snapshot in the place of another")
	}
	if err := errors.Join(db.Flush(ctx), db.Compact(ctx)); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, db, readings(row("a", 500, "level", 9.0)))
	count := func(db *tsdb.DB) int {
		n := 0
		for s, err := range db.Select(ctx, tsdb.Query{From: quantrac.MinMillis, To: quantrac.MaxMillis}) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(s.Times)
		}
		return n
	}
	// The copy lies in a folder of its own.
	moved := vfs.NewMem()
	for _, dir := range []string{"tsdb", "journal"} {
		if err := moved.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
		names, err := mem.ReadDir("copy/" + dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			data, err := vfs.ReadFile(mem, fmt.Sprintf("copy/%s/%s", dir, n))
			if err == nil {
				err = vfs.WriteFile(moved, dir+"/"+n, data, 0o640)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	copied, _ := openDB(t, moved, clock, tsdb.Options{})
	if got := count(copied); got != 150 {
		t.Errorf("%d values in the copy, want 150", got)
	}
	if got := count(db); got != 151 {
		t.Errorf("%d values in the store, want 151", got)
	}
}
