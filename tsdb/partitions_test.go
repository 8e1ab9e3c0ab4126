package tsdb_test

import (
	"context"
	"testing"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

const partition = 30 * 24 * 3_600_000 // ms

// strewn is n rows of a station, a partition apart from one another.
func strewn(station string, first quantrac.Millis, n int) *quantrac.Batch {
	b := &quantrac.Batch{}
	for i := range n {
		b.Rows = append(b.Rows, quantrac.Row{
			Group: quantrac.NewLabels("station", station), Time: first + quantrac.Millis(i)*partition,
			Cells: []quantrac.Cell{{Property: "stage", Value: float64(i)}},
		})
	}
	return b
}

// wantStrewn reads all rows of a station and does something after the first
// series has come.
func wantStrewn(t *testing.T, db *tsdb.DB, station string, first quantrac.Millis, n int, then func()) {
	t.Helper()
	got := 0
	q := tsdb.Query{Matchers: []*quantrac.Matcher{quantrac.Equals("station", station)}, From: quantrac.MinMillis, To: quantrac.MaxMillis, Qualities: quantrac.AllQualities}
	for s, err := range db.Select(context.Background(), q) {
		if err != nil {
			t.Fatal(err)
		}
		for i, at := range s.Times {
			if at != first+quantrac.Millis(i)*partition || s.Values[i] != float64(i) {
				t.Fatalf("value %d of %s is %v at %s", i, s.Labels, s.Values[i], at)
			}
		}
		got += len(s.Times)
		if then != nil {
			then()
		}
	}
	if got != n {
		t.Errorf("%s: %d values, want %d", station, got, n)
	}
}

// One device with a wild clock makes a partition of each of its rows. Its store
// must not need a descriptor for each: flushing would fail, memory fill up, and
// nobody be heard any more.
func TestVeryManyPartitions(t *testing.T) {
	const wild = 400
	mem := vfs.NewMem()
	clock := quantrac.NewManualClock(workStart)
	mem.SetHandles(76)
	j, err := journal.Open(mem, "journal", journal.Options{Clock: clock, ReserveBytes: -1, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	for station, at := range map[string]quantrac.Millis{"past": -1e15, "future": 1e15} { // before there were bounds
		data := tsdb.AppendBatch(nil, strewn(station, at, wild))
		if _, err := j.Append(context.Background(), journal.Record{Kind: quantrac.RecordBatch, Data: data}); err != nil {
			t.Fatal(err)
		}
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	check := func(db *tsdb.DB, then func()) {
		t.Helper()
		wantStrewn(t, db, "past", -1e15, wild, nil)
		wantStrewn(t, db, "future", 1e15, wild, nil)
		wantStrewn(t, db, "a", workStart-200*partition, 200, then)
	}
	t.Run("", func(t *testing.T) {
		db, _ := openDB(t, mem, clock, tsdb.Options{})
		if err := db.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		mustAppend(t, db, strewn("a", workStart-200*partition, 200))
		if err := db.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		check(db, nil)
		mustAppend(t, db, strewn("b", workStart-200*partition, 200))
		if err := db.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		// Merging takes files away from under a reader.
		check(db, func() {
			if err := db.Compact(ctx); err != nil {
				t.Fatal(err)
			}
		})
		if _, err := db.Append(ctx, strewn("c", 1e15, 1)); quantrac.KindOf(err) != quantrac.Invalid {
			t.Errorf("a wild time is taken: %v", err)
		}
	})
	db, _ := openDB(t, mem, clock, tsdb.Options{})
	check(db, nil)
}
