package tsdb_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// Scrub finds a bit that has flipped under an open store, says where, and goes
// on to the other files.
func TestScrub(t *testing.T) {
	mem := vfs.NewMem()
	clock := quantrac.NewManualClock(workStart + 1<<40)
	db, _ := openDB(t, mem, clock, tsdb.Options{FlushInterval: -1})
	ctx := context.Background()
	for b := range 2 {
		for i := range 400 {
			mustAppend(t, db, readings(row("a", b*400+i, "level", float64(i%17)/10)))
		}
		if err := db.Flush(ctx); err != nil {
			t.Fatal(err)
		}
	}
	read := int64(0)
	if err := db.Scrub(ctx, func(n int64) { read += n }); err != nil || read == 0 {
		t.Fatalf("a sound store: %v after %d bytes", err, read)
	}
	if s := db.Stats(); s.LastScrub == 0 || s.ScrubError != nil {
		t.Errorf("%+v", s)
	}
	f, err := mem.OpenFile("tsdb/00000001.block", 2, 0)
	if err != nil {
		t.Fatal(err)
	}
	var b [1]byte
	if _, err := f.ReadAt(b[:], 40); err != nil {
		t.Fatal(err)
	}
	b[0] ^= 1
	if _, err := f.WriteAt(b[:], 40); err != nil {
		t.Fatal(err)
	}
	again := int64(0)
	err = db.Scrub(ctx, func(n int64) { again += n })
	if quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), "tsdb/00000001.block, offset 16") {
		t.Errorf("damage is %v", err)
	}
	if again == 0 || again >= read {
		t.Errorf("%d bytes read of %d: the other files too, and not the damaged one", again, read)
	}
	if s := db.Stats(); s.ScrubError == nil {
		t.Error("the damage does not show")
	}
	canceled, cancel := context.WithCancel(ctx)
	cancel()
	if err := db.Scrub(canceled, nil); err != context.Canceled {
		t.Errorf("cancelled: %v", err)
	}
}

// A partition that is over is written small once, and again only when enough has
// come for it since.
func TestSealing(t *testing.T) {
	clock := quantrac.NewManualClock(workStart + 100*day)
	db, _ := openDB(t, vfs.NewMem(), clock, tsdb.Options{FlushInterval: -1})
	ctx := context.Background()
	flush := func(station string, slot, rows int) {
		t.Helper()
		var batch []quantrac.Row
		for i := range rows {
			batch = append(batch, row(station, slot+i, "level", float64((slot+i)*(slot+i)%104729*31%9973)/10))
		}
		mustAppend(t, db, &quantrac.Batch{Rows: batch})
		if err := db.Flush(ctx); err != nil {
			t.Fatal(err)
		}
		// While something comes for a partition, it is not written anew.
		before := db.Stats().SealedBlocks
		for range 2 {
			if err := tsdb.CompactSome(db, ctx); err != nil {
				t.Fatal(err)
			}
			if s := db.Stats(); s.SealedBlocks != before {
				t.Errorf("%d blocks are sealed at once, %d were before", s.SealedBlocks, before)
			}
			clock.Advance(14 * time.Minute)
		}
		if err := tsdb.CompactSome(db, ctx); err != nil {
			t.Fatal(err)
		}
	}
	flush("a", 0, 8000)
	first := db.Stats()
	if first.Blocks == 0 || first.SealedBlocks != first.Blocks {
		t.Fatalf("%d of %d blocks are sealed", first.SealedBlocks, first.Blocks)
	}
	flush("b", 2000, 3)
	if s := db.Stats(); s.Blocks != first.Blocks+1 || s.SealedBlocks != first.SealedBlocks {
		t.Errorf("after a few late rows %d of %d blocks are sealed, want %d of %d; %+v", s.SealedBlocks, s.Blocks, first.SealedBlocks, first.Blocks+1, s)
	}
	flush("b", 2100, 1500)
	if s := db.Stats(); s.SealedBlocks != s.Blocks {
		t.Errorf("after many late rows %d of %d blocks are sealed", s.SealedBlocks, s.Blocks)
	}
	present := int(clock.Now()-workStart) / 600_000
	flush("a", present-2000, 2000)
	if s := db.Stats(); s.SealedBlocks == s.Blocks {
		t.Error("the partition of the present is sealed")
	}
}
