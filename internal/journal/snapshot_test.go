package journal

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
)

// A snapshot taken while others append opens, holds every commit up to a point
// not before the one it was asked at, and is not touched by what follows.
func TestSnapshot(t *testing.T) {
	mem := vfs.NewMem()
	o := Options{Clock: quantrac.NewManualClock(1_800_000_000_000), SegmentBytes: 2 << 10, ReserveBytes: -1, MinFreeBytes: -1}
	j, err := Open(mem, "journal", o)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	h := j.Hold("store", 0)
	ctx := context.Background()
	put := func() {
		if _, err := j.Append(ctx, Record{Kind: quantrac.RecordAudit, Data: make([]byte, 100)}); err != nil {
			t.Error(err)
		}
	}
	for range 100 {
		put()
	}
	for round := range 5 {
		before := j.Last().Number
		var wg sync.WaitGroup
		wg.Go(func() {
			for range 60 {
				put()
			}
		})
		dir := fmt.Sprintf("copies/%d", round)
		if err := j.Snapshot(dir); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		h.Advance(before) // drops segments, of the journal alone
		c, err := Open(mem, dir, o)
		if err != nil {
			t.Fatal(err)
		}
		n := uint64(0)
		if last := c.Last().Number; last < before {
			t.Errorf("the snapshot ends at %d, the journal stood at %d", last, before)
		}
		from := c.Last().Number - 40
		if err := c.Replay(ctx, from, func(e Entry) error { n++; return nil }); err != nil || n != 40 {
			t.Errorf("%d commits of the snapshot, want 40: %v", n, err)
		}
		if _, err := c.Append(ctx, Record{Kind: quantrac.RecordAudit}); err != nil {
			t.Error(err)
		}
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	}
	if err := j.Snapshot("copies/0"); !errors.Is(err, fs.ErrExist) {
		t.Errorf("a snapshot in the place of another: %v", err)
	}
}
