package tsdb_test

import (
	"context"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// Where there are as many series as there may be, new ones are refused and known
// ones are not.
func TestMaxSeries(t *testing.T) {
	db, j := openDB(t, vfs.NewMem(), quantrac.NewManualClock(workStart+1<<40), tsdb.Options{MaxSeries: 5})
	ctx := context.Background()
	mustAppend(t, db, readings(row("a", 0, "v", 1.0, "w", 1.0), row("b", 0, "v", 1.0)))
	mustAppend(t, db, readings(row("c", 0, "v", 1.0), row("c", 1, "v", 2.0), row("c", 2, "v", 3.0), row("b", 1, "w", 1.0)))
	before := j.Last()
	for _, b := range []*quantrac.Batch{readings(row("d", 0, "v", 1.0)), readings(row("a", 1, "v", 1.0), row("a", 2, "x", 1.0))} {
		if _, err := db.Append(ctx, b); quantrac.KindOf(err) != quantrac.Busy || !strings.Contains(err.Error(), "of the 5 that there may be there are 5") {
			t.Errorf("error %v, want one of kind Busy that says how many there may be", err)
		}
	}
	if j.Last() != before {
		t.Error("what was refused is in the journal")
	}
	mustAppend(t, db, readings(row("a", 3, "v", 4.0, "w", 1.0), row("b", 3, "w", 1.0)))
	if s := db.Stats(); s.Series != 5 || s.Groups != 3 {
		t.Errorf("%+v", s)
	}
}

// A store through which series come and go does not grow: what they took in memory
// is there for the next ones.
func TestChurnWithoutGrowth(t *testing.T) {
	const series, warm, rounds = 4000, 10, 10 // warm: memos have given up
	dir := t.TempDir()
	clock := quantrac.NewManualClock(workStart)
	j, err := journal.Open(vfs.OS(), filepath.Join(dir, "journal"), journal.Options{Clock: clock, ReserveBytes: -1, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	db, err := tsdb.Open(vfs.OS(), filepath.Join(dir, "tsdb"), j, tsdb.Options{
		Clock: clock, FlushInterval: -1, Retention: func(quantrac.Labels, string) time.Duration { return 24 * time.Hour },
	})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := context.Background()
	var before uint64
	for round := range warm + rounds {
		start := workStart + quantrac.Millis(round)*60*day
		clock.Set(start)
		b := &quantrac.Batch{}
		for i := range series {
			r := row(fmt.Sprintf("s-%d-%d", round, i), 0, "v", float64(i))
			r.Time = start
			b.Rows = append(b.Rows, r)
		}
		mustAppend(t, db, b)
		if err := db.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if _, err := db.LabelValues(ctx, "station", nil, quantrac.MinMillis, quantrac.MaxMillis, 0); err != nil {
			t.Fatal(err)
		}
		if err := db.Expire(ctx); err != nil {
			t.Fatal(err)
		}
		if round == warm-1 {
			before = liveBytes()
		}
	}
	// What a series takes is some hundreds of bytes.
	grown := int64(liveBytes()) - int64(before)
	if grown > rounds*series*16 {
		t.Errorf("%d series that came and went left %d bytes in memory, %d each", rounds*series, grown, grown/(rounds*series))
	}
	if s := db.Stats(); s.Series != series {
		t.Errorf("%d series are known, want %d", s.Series, series)
	}
}

func liveBytes() uint64 {
	runtime.GC()
	runtime.GC() // what pools hold goes the second time
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}
