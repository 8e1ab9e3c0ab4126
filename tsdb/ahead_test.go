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

// TestReadAhead reads many series in every way and wants them as Select has
// them one by one: in order, whole, also where reading ends early.
func TestReadAhead(t *testing.T) {
	db, _ := openDB(t, vfs.NewMem(), quantrac.NewManualClock(workStart+1<<40), tsdb.Options{})
	ctx := context.Background()
	for slot := range 40 {
		b := &quantrac.Batch{}
		for s := range 150 {
			if (s+slot)%7 > 0 {
				b.Rows = append(b.Rows, row(fmt.Sprint(s), slot, "v", float64(s), "w", float64(slot)))
			}
		}
		if _, err := db.Append(ctx, b); err != nil {
			t.Fatal(err)
		}
		if slot == 20 {
			if err := db.Flush(ctx); err != nil {
				t.Fatal(err)
			}
		}
	}
	q := tsdb.Query{From: quantrac.MinMillis, To: quantrac.MaxMillis}
	var want []*tsdb.Series
	for s, err := range db.Select(ctx, q) {
		if err != nil {
			t.Fatal(err)
		}
		want = append(want, s)
	}
	if len(want) != 300 {
		t.Fatalf("%d series", len(want))
	}
	q.Reuse = true
	for _, stop := range []int{1, 17, 300, 1000} {
		n := 0
		for s, err := range db.Select(ctx, q) {
			if err != nil || fmt.Sprint(s) != fmt.Sprint(want[n]) {
				t.Fatalf("series %d is %v, %v, want %v", n, s, err, want[n])
			}
			if n++; n == stop {
				break
			}
		}
		if n != min(stop, 300) {
			t.Errorf("to be stopped at %d, read %d", stop, n)
		}
	}
	ended, end := context.WithCancel(ctx)
	n := 0
	var last error
	for _, err := range db.Select(ended, q) {
		if last = err; err == nil {
			n++
		}
		end()
	}
	if !errors.Is(last, context.Canceled) || n > 299 {
		t.Errorf("a reader that gives up has %d series and error %v", n, last)
	}
	end()
}
