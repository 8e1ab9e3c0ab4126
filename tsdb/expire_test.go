package tsdb_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// What has been kept for its time goes with its partition, from files and from
// what is listed; everything else stays, and what comes again is taken again.
func TestExpire(t *testing.T) {
	mem := vfs.NewMem()
	clock := quantrac.NewManualClock(workStart + 201*day)
	keep := func(_ quantrac.Labels, property string) time.Duration {
		if strings.HasPrefix(property, "battery") {
			return 60 * 24 * time.Hour
		}
		return 0
	}
	o := tsdb.Options{FlushInterval: -1, Retention: keep}
	db, j := openDB(t, mem, clock, o)
	ctx := context.Background()
	for d := range 200 {
		at := 144 * d
		rows := []quantrac.Row{row("both", at, "battery", 12.5, "level", float64(d))}
		if d < 30 {
			rows = append(rows, row("old", at, "battery", 12.0))
		}
		mustAppend(t, db, readings(rows...))
		if d%40 == 39 {
			if err := db.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	count := func(db *tsdb.DB, station, property string) int {
		t.Helper()
		ms := []*quantrac.Matcher{quantrac.Equals("station", station), quantrac.Equals(quantrac.LabelMetric, property)}
		n := 0
		for s, err := range db.Select(ctx, tsdb.Query{Matchers: ms, From: quantrac.MinMillis, To: quantrac.MaxMillis}) {
			if err != nil {
				t.Fatal(err)
			}
			n += len(s.Times)
		}
		return n
	}
	before := db.Stats()
	if err := db.Expire(ctx); err != nil {
		t.Fatal(err)
	}
	after := db.Stats()
	battery := count(db, "both", "battery")
	if count(db, "both", "level") != 200 || count(db, "old", "battery") != 0 || battery < 60 || battery > 91 {
		t.Errorf("%d levels, %d old, %d batteries are left; want 200, none, 60 to 90", count(db, "both", "level"), count(db, "old", "battery"), battery)
	}
	if after.Groups != before.Groups-1 || after.Series != before.Series-1 || after.DiskBytes >= before.DiskBytes {
		t.Errorf("before %+v\nafter %+v", before, after)
	}
	values, err := db.LabelValues(ctx, "station", nil, quantrac.MinMillis, quantrac.MaxMillis, 0)
	if err != nil || fmt.Sprint(values) != "[both]" {
		t.Errorf("stations %v, %v", values, err)
	}
	oldest, err := db.Series(ctx, nil, workStart, workStart+day)
	if err != nil || len(oldest) != 1 || oldest[0].Metric() != "level" {
		t.Errorf("on the first day there are %v, %v", oldest, err)
	}
	last, err := db.Latest(ctx, nil)
	if err != nil || len(last) != 2 {
		t.Errorf("last values %v, %v", last, err)
	}
	if err := db.Expire(ctx); err != nil || db.Stats().Compactions != after.Compactions {
		t.Errorf("a second time: %v, %d merges more", err, db.Stats().Compactions-after.Compactions)
	}
	mustAppend(t, db, readings(row("old", 144*200, "battery", 11.5)))
	if n := count(db, "old", "battery"); n != 1 {
		t.Errorf("%d values of a station that is back, want 1", n)
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	db, _ = openDB(t, mem, clock, o)
	if count(db, "old", "battery") != 1 || count(db, "both", "level") != 200 || count(db, "both", "battery") != battery {
		t.Error("not the same after a restart")
	}
}

// A query that began before values expired goes on with them, and leaves nothing
// of them behind in what is kept.
func TestExpireUnderAQuery(t *testing.T) {
	clock := quantrac.NewManualClock(workStart)
	keep := 300 * 24 * time.Hour
	db, _ := openDB(t, vfs.NewMem(), clock, tsdb.Options{
		FlushInterval: -1, Retention: func(quantrac.Labels, string) time.Duration { return keep },
	})
	ctx := context.Background()
	const stations, days = 600, 120
	for d := range days {
		var rows []quantrac.Row
		for i := range stations {
			rows = append(rows, row(fmt.Sprintf("s%03d", i), 144*d, "v", float64(d)))
		}
		clock.Set(workStart + quantrac.Millis(d)*day)
		mustAppend(t, db, readings(rows...))
	}
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	w := tsdb.Windows{First: workStart, Step: 10 * day, Width: 10 * day, Count: days / 10}
	values := func(anew bool, each func()) (n uint32) {
		t.Helper()
		for f, err := range db.Fold(ctx, tsdb.Query{Anew: anew}, w, tsdb.FoldCount) {
			if err != nil {
				t.Fatal(err)
			}
			for _, c := range f.Counts {
				n += c
			}
			each()
		}
		return n
	}
	all, once := values(true, func() {}), true
	seen := values(false, func() {
		if once {
			once, keep = false, 60*24*time.Hour
			if err := db.Expire(ctx); err != nil {
				t.Fatal(err)
			}
		}
	})
	left := values(true, func() {})
	if seen != all || left == 0 || left >= all {
		t.Fatalf("%d values, of which a query under way sees %d, and %d have not expired", all, seen, left)
	}
	if n := values(false, func() {}); n != left {
		t.Errorf("what is kept tells %d values, there are %d", n, left)
	}
}

// Where one partition cannot be written anew, what has gone of another one before
// it is gone from memory too.
func TestExpireInPart(t *testing.T) {
	clock := quantrac.NewManualClock(workStart)
	full := false
	fsys := vfs.Faulty(vfs.NewMem(), func(op vfs.Op) error {
		if full && op.Kind == vfs.OpCreate && strings.HasSuffix(op.Name, ".block") {
			return errNoSpace
		}
		return nil
	})
	keep := func(_ quantrac.Labels, property string) time.Duration {
		if property == "level" {
			return 0
		}
		return 24 * time.Hour
	}
	db, _ := openDB(t, fsys, clock, tsdb.Options{FlushInterval: -1, Retention: keep})
	ctx := context.Background()
	mustAppend(t, db, readings(row("old", 0, "battery", 12.0)))
	clock.Set(workStart + 100*day)
	mustAppend(t, db, readings(row("new", 144*100, "battery", 12.5, "level", 3.0)))
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	if last, err := db.Latest(ctx, nil); err != nil || len(last) != 3 {
		t.Fatalf("%v, %v", last, err)
	}
	before := db.Mark()
	clock.Set(workStart + 200*day)
	full = true
	if err := db.Expire(ctx); !errors.Is(err, errNoSpace) {
		t.Fatalf("%v, want that there is no space", err)
	}
	last, err := db.Latest(ctx, nil)
	if err != nil || len(last) != 2 || db.Stats().Groups != 1 {
		t.Errorf("last values of %d groups are %v, %v; want those of what has not gone", db.Stats().Groups, last, err)
	}
	if db.Unchanged(ctx, before, nil, workStart, workStart+day) {
		t.Error("nothing is said to have changed")
	}
	full = false
	if err := db.Expire(ctx); err != nil {
		t.Fatal(err)
	}
	if last, err := db.Latest(ctx, nil); err != nil || len(last) != 1 {
		t.Errorf("last values are %v, %v; want the level", last, err)
	}
}

// Series that come and go leave nothing in memory but a number each.
func TestChurn(t *testing.T) {
	clock := quantrac.NewManualClock(workStart)
	db, _ := openDB(t, vfs.NewMem(), clock, tsdb.Options{
		FlushInterval: -1, Retention: func(quantrac.Labels, string) time.Duration { return 24 * time.Hour },
	})
	ctx := context.Background()
	for round := range 6 {
		start := workStart + quantrac.Millis(round)*60*day
		clock.Set(start)
		var rows []quantrac.Row
		for i := range 500 {
			r := row(fmt.Sprintf("s-%d-%d", round, i), 0, "v", float64(i))
			r.Time = start
			rows = append(rows, r)
		}
		mustAppend(t, db, readings(rows...))
		if err := db.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		if err := db.Expire(ctx); err != nil {
			t.Fatal(err)
		}
		if s := db.Stats(); s.Groups != 500 || s.Series != 500 || s.Blocks != 1 {
			t.Fatalf("round %d: %d groups, %d series, %d blocks; want 500, 500, 1", round, s.Groups, s.Series, s.Blocks)
		}
		last, err := db.Latest(ctx, nil)
		if err != nil || len(last) != 500 {
			t.Fatalf("round %d: %d last values, %v", round, len(last), err)
		}
	}
}
