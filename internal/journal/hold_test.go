package journal

import (
	"context"
	"fmt"
	"maps"
	"strings"
	"syscall"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
)

// grow appends n records that fill about one segment per four.
func grow(t *testing.T, j *Journal, n int) {
	t.Helper()
	for range n {
		mustAppend(t, j, strings.Repeat("g", 450))
	}
}

func segmentFiles(t *testing.T, fsys vfs.FS) (n int) {
	t.Helper()
	names, err := fsys.ReadDir("/j")
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range names {
		if strings.HasSuffix(name, segmentSuffix) {
			n++
		}
	}
	return n
}

func TestHolds(t *testing.T) {
	mem := vfs.NewMem()
	j := open(t, mem, small(nil))
	grow(t, j, 40)
	all := segmentFiles(t, mem)
	if j.First() != 1 || all < 8 {
		t.Fatalf("%d segments from commit %d on", all, j.First())
	}
	store, rules := j.Hold("store", 0), j.Hold("rules", 5)
	store.Advance(40)
	if first := j.First(); first > 6 || first < 2 {
		t.Errorf("the slowest hold is at 5, the oldest commit is %d", first)
	}
	rules.Advance(3) // never back
	rules.Advance(22)
	if first := j.First(); first > 23 || first < 18 {
		t.Errorf("the slowest hold is at 22, the oldest commit is %d", first)
	}
	if got := contents(t, j, j.First()-1); len(got) != 41-int(j.First()) {
		t.Errorf("%d entries", len(got))
	}
	err := j.Replay(context.Background(), 0, func(Entry) error { return nil })
	if quantrac.KindOf(err) != quantrac.NotFound || !strings.Contains(err.Error(), fmt.Sprint(j.First())) {
		t.Errorf("reading what was dropped: %v", err)
	}
	rules.Advance(1000) // beyond the end: the segment being written stays
	if n := segmentFiles(t, mem); n != 1 || j.Stats().Segments != 1 {
		t.Errorf("%d segment files, %d known", n, j.Stats().Segments)
	}
	grow(t, j, 10)
	if s := j.Stats(); s.Holds["store"] != 40 || s.Holds["rules"] != 1000 || s.Last != 50 || s.First != j.First() {
		t.Errorf("stats %+v", s)
	}
}

// TestPassed: how far a reader has come is one thing, what it needs no more is
// another. Of a reader that has not come back nothing is known.
func TestPassed(t *testing.T) {
	mem := vfs.NewMem()
	j := open(t, mem, small(nil))
	grow(t, j, 9)
	store := j.Hold("store", 2)
	j.Hold("gone", 1)
	want := func(holds, passed map[string]uint64) {
		t.Helper()
		if s := j.Stats(); !maps.Equal(s.Holds, holds) || !maps.Equal(s.Passed, passed) {
			t.Errorf("held %v, passed %v; want %v, %v", s.Holds, s.Passed, holds, passed)
		}
	}
	want(map[string]uint64{"store": 2, "gone": 1}, map[string]uint64{"store": 2, "gone": 1})
	store.Pass(7)
	want(map[string]uint64{"store": 2, "gone": 1}, map[string]uint64{"store": 7, "gone": 1})
	store.Advance(9)
	want(map[string]uint64{"store": 9, "gone": 1}, map[string]uint64{"store": 9, "gone": 1})
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, mem, small(nil))
	j.Hold("store", 9)
	want(map[string]uint64{"store": 9, "gone": 1}, map[string]uint64{"store": 9})
	j.Hold("gone", 1).Release()
	want(map[string]uint64{"store": 9}, map[string]uint64{"store": 9})
}

// TestHoldsLast: after a restart nothing is dropped before every reader that
// ever held the journal has said where it stands.
func TestHoldsLast(t *testing.T) {
	mem := vfs.NewMem()
	j := open(t, mem, small(nil))
	j.Hold("a reader\nwith \"quotes\"", 0)
	j.Hold("store", 0)
	grow(t, j, 40)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	mem = mem.Crash(0)
	j = open(t, mem, small(nil))
	store := j.Hold("store", 0)
	store.Advance(40)
	if j.First() != 1 {
		t.Fatalf("dropped up to %d before the other reader was there", j.First())
	}
	other := j.Hold("a reader\nwith \"quotes\"", 12)
	other.Advance(30)
	if first := j.First(); first < 25 || first > 31 {
		t.Errorf("the oldest commit is %d", first)
	}
	other.Release()
	other.Release()
	if first := j.First(); first < 36 {
		t.Errorf("a hold given up still holds: the oldest commit is %d", first)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	j = open(t, mem.Crash(0), small(nil))
	grow(t, j, 10)
	j.Hold("store", 50).Advance(51)
	if first := j.First(); first < 45 {
		t.Errorf("a hold given up came back: the oldest commit is %d", first)
	}
}

func TestNothingDroppedWithoutHolds(t *testing.T) {
	j := open(t, vfs.NewMem(), small(nil))
	grow(t, j, 20)
	h := j.Hold("only", 0)
	h.Release()
	if j.First() != 1 {
		t.Errorf("dropped up to %d with nobody to say what may go", j.First())
	}
}

func TestDamagedHolds(t *testing.T) {
	mem := vfs.NewMem()
	j := open(t, mem, small(nil))
	j.Hold("store", 7)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	data, err := vfs.ReadFile(mem, "/j/holds")
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(data) {
		copied := mem.Crash(0)
		flip(t, copied, "/j/holds", bit)
		if _, err := Open(copied, "/j", small(nil)); quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), "/j/holds") {
			t.Fatalf("bit %d: %v", bit, err)
		}
	}
}

// TestDropFaults: whatever fails or crashes while segments are dropped, what is
// left has no gap and holds all that is held.
func TestDropFaults(t *testing.T) {
	for k := int64(1); k < 40; k++ {
		for _, fault := range []error{syscall.EIO, &vfs.Fault{Err: syscall.EIO, Done: true}, nil} {
			mem := vfs.NewMem()
			j := open(t, mem, small(nil))
			grow(t, j, 30)
			if err := j.Close(); err != nil {
				t.Fatal(err)
			}
			hook := vfs.Nth(k+1, fault) // not the first of Open, which may refuse
			if fault == nil {
				hook = vfs.From(k+1, errPower)
			}
			j, err := Open(vfs.Faulty(mem, hook), "/j", small(nil))
			if err != nil {
				continue
			}
			h, g := j.Hold("store", 0), j.Hold("rules", 3)
			h.Advance(20)
			g.Advance(9)
			g.Advance(15)
			dropped := j.First() > 1
			for variant := range uint64(4) {
				after := mem.Crash(variant * uint64(k))
				j := open(t, after, small(nil))
				if j.First() > 16 {
					t.Fatalf("operation %d: the oldest commit is %d", k, j.First())
				}
				if got := contents(t, j, j.First()-1); len(got) != 31-int(j.First()) {
					t.Fatalf("operation %d: %d entries from %d on", k, len(got), j.First())
				}
				if j.Hold("store", 20).Advance(28); dropped && j.First() > 16 {
					t.Fatalf("operation %d: the other reader is not back, and the oldest commit is %d", k, j.First())
				}
			}
			_ = j.Close()
		}
	}
}
