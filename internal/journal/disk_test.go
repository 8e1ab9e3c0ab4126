package journal

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
)

func warning(s string) Record {
	return Record{Kind: quantrac.RecordWarning, Data: []byte(s), Priority: true}
}

// tryAppend appends one record and says whether it was taken.
func tryAppend(t *testing.T, j *Journal, r Record) bool {
	t.Helper()
	_, err := j.Append(context.Background(), r)
	if err != nil && (quantrac.KindOf(err) != quantrac.Unavailable || !strings.Contains(err.Error(), "disk full")) {
		t.Errorf("refused with: %v", err)
	}
	return err == nil
}

func TestFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	var log bytes.Buffer
	o := small(quantrac.NewManualClock(noon))
	o.Logger = slog.New(slog.NewTextHandler(&log, nil))
	j := open(t, mem, o)
	var want []string
	keep := func(s string) { want = append(want, fmt.Sprintf("%d:%s", len(want)+1, s)) }
	mustAppend(t, j, "before")
	keep("before")

	// Little space: readings are refused, warnings go on.
	mem.SetCapacity(mem.Used() + o.MinFreeBytes - 1)
	if tryAppend(t, j, record("reading")) {
		t.Error("a reading was taken below the free space kept for warnings")
	}
	if !j.Stats().Full {
		t.Error("the journal does not say that the disk is full")
	}
	if !tryAppend(t, j, warning("low")) {
		t.Error("a warning was refused while there is space")
	}
	keep("low")

	// None at all: warnings go to the reserve until that is used up.
	mem.SetCapacity(mem.Used())
	taken := 0
	for i := range 200 {
		s := fmt.Sprintf("full %d %s", i, strings.Repeat("!", 100))
		if !tryAppend(t, j, warning(s)) {
			break
		}
		keep(s)
		taken++
		if tryAppend(t, j, record("reading")) {
			t.Error("a reading was taken on a full disk")
		}
	}
	if taken < 25 || taken == 200 {
		t.Errorf("the reserve of %d bytes took %d warnings", o.ReserveBytes, taken)
	}
	equal(t, contents(t, j, 0), want)
	for seed := range uint64(5) {
		after := mem.Crash(seed)
		after.SetCapacity(0)
		equal(t, contents(t, open(t, after, small(nil)), 0), want)
	}

	// Space again: all goes on without a restart, and the reserve is back.
	mem.SetCapacity(0)
	mustAppend(t, j, "again")
	keep("again")
	if j.Stats().Full {
		t.Error("the journal still says that the disk is full")
	}
	if info, err := mem.Stat("/j/reserve"); err != nil || info.Size() != o.ReserveBytes {
		t.Errorf("the reserve: %v, %v", info, err)
	}
	equal(t, contents(t, j, 0), want)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	equal(t, contents(t, open(t, mem, small(nil)), 0), want)
	if n := strings.Count(log.String(), "disk full, only"); n != 1 {
		t.Errorf("the full disk was logged %d times:\n%s", n, log.String())
	}
	if !strings.Contains(log.String(), "space is back") {
		t.Errorf("the end of it was not logged:\n%s", log.String())
	}
}

// TestMixedGroupOnFullDisk: of calls that wait together, those with priority
// are taken when the write finds the disk full.
func TestMixedGroupOnFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	var gate, hold atomic.Pointer[chan struct{}]
	fsys := vfs.Faulty(mem, func(op vfs.Op) error {
		if g := gate.Load(); g != nil && op.Kind == vfs.OpWrite && gate.CompareAndSwap(g, nil) {
			close(*hold.Load()) // somebody is writing: the others gather
			<-*g
		}
		return nil
	})
	o := small(nil)
	o.MinFreeBytes = -1
	j := open(t, fsys, o)
	mustAppend(t, j, "before")
	g, h := make(chan struct{}), make(chan struct{})
	hold.Store(&h)
	gate.Store(&g)
	var wg sync.WaitGroup
	wg.Go(func() { mustAppend(t, j, "first") })
	<-h
	var taken, refused atomic.Int32
	for i := range 20 {
		wg.Go(func() {
			r := record(fmt.Sprint("reading ", i))
			if i%2 == 0 {
				r = warning(fmt.Sprint("warning ", i))
			}
			switch ok := tryAppend(t, j, r); {
			case ok && !r.Priority, !ok && r.Priority:
				t.Errorf("%s: taken is %v", r.Data, ok)
			case ok:
				taken.Add(1)
			default:
				refused.Add(1)
			}
		})
	}
	for { // all twenty wait
		j.queue.Lock()
		n := 0
		if j.queue.pending != nil {
			n = len(j.queue.pending.calls)
		}
		j.queue.Unlock()
		if n == 20 {
			break
		}
	}
	mem.SetCapacity(mem.Used() + 60) // enough for the first alone
	close(g)
	wg.Wait()
	if taken.Load() != 10 || refused.Load() != 10 {
		t.Errorf("%d taken, %d refused", taken.Load(), refused.Load())
	}
	got := contents(t, j, 0)
	if len(got) != 12 {
		t.Errorf("contents %q", got)
	}
	for _, s := range got {
		if strings.Contains(s, "reading") {
			t.Errorf("refused and there: %q", s)
		}
	}
}

// TestReserveIsForWarnings: once warnings go to the reserve, readings that would
// fit in it are refused all the same, also where no space is kept free beside it.
func TestReserveIsForWarnings(t *testing.T) {
	mem := vfs.NewMem()
	o := small(nil)
	o.MinFreeBytes = -1
	j := open(t, mem, o)
	mustAppend(t, j, "before")
	mem.SetCapacity(mem.Used())
	for i := range 3 {
		if !tryAppend(t, j, warning(fmt.Sprint("warning ", i))) {
			t.Fatal("a warning was refused while there is a reserve")
		}
		if tryAppend(t, j, record("reading")) {
			t.Error("a reading was put into the reserve")
		}
		if !j.Stats().Full {
			t.Error("the journal does not say that the disk is full")
		}
	}
	mem.SetCapacity(mem.Used() + o.ReserveBytes - 1)
	if tryAppend(t, j, record("reading")) {
		t.Error("a reading was taken while the reserve cannot be made anew")
	}
	mem.SetCapacity(0)
	mustAppend(t, j, "again")
	if info, err := mem.Stat("/j/reserve"); err != nil || info.Size() != o.ReserveBytes {
		t.Errorf("the reserve: %v, %v", info, err)
	}
	want := []string{"1:before", "2:warning 0", "3:warning 1", "4:warning 2", "5:again"}
	equal(t, contents(t, j, 0), want)
	for seed := range uint64(5) {
		equal(t, contents(t, open(t, mem.Crash(seed), small(nil)), 0), want)
	}
}

// TestReserveFaults: also on a full disk every single operation may fail
// without loss.
func TestReserveFaults(t *testing.T) {
	for k := int64(1); k < 60; k++ {
		mem := vfs.NewMem()
		armed := false
		hook := vfs.Nth(k, &vfs.Fault{Err: syscall.EIO, Done: k%2 == 0})
		fsys := vfs.Faulty(mem, func(op vfs.Op) error {
			if !armed {
				return nil
			}
			return hook(op)
		})
		j := open(t, fsys, small(quantrac.NewManualClock(noon)))
		var want []string
		add := func(s string) {
			if cs, err := j.Append(context.Background(), warning(s)); err == nil {
				for uint64(len(want)+1) < cs[0].Number {
					t.Fatalf("commit %v after %d", cs[0], len(want))
				}
				want = append(want, fmt.Sprintf("%d:%s", cs[0].Number, s))
			}
		}
		add("before")
		armed = true
		mem.SetCapacity(mem.Used())
		for i := range 5 {
			add(fmt.Sprint("full ", i))
		}
		mem.SetCapacity(0)
		for i := range 5 {
			add(fmt.Sprint("again ", i))
		}
		equal(t, contents(t, j, 0), want)
		for variant := range uint64(4) {
			after := mem.Crash(variant * uint64(k))
			got := contents(t, open(t, after, small(nil)), 0)
			equal(t, got[:min(len(got), len(want))], want)
		}
		if t.Failed() {
			t.Fatalf("operation %d", k)
		}
	}
}

// TestCrashOnFullDisk takes the power away at every operation while warnings
// go to the reserve.
func TestCrashOnFullDisk(t *testing.T) {
	for k := int64(1); k < 40; k++ {
		mem := vfs.NewMem()
		armed := false
		hook := vfs.From(k, errPower)
		fsys := vfs.Faulty(mem, func(op vfs.Op) error {
			if !armed {
				return nil
			}
			return hook(op)
		})
		o := small(quantrac.NewManualClock(noon))
		o.ReserveBytes = 64 << 10
		j := open(t, fsys, o)
		l := newLedger()
		rnd := rand.New(rand.NewPCG(uint64(k), 1))
		if err := l.append(t, j, rnd); err != nil {
			t.Fatal(err)
		}
		mem.SetCapacity(mem.Used())
		armed = true
		for range 8 {
			var recs []Record
			for len(recs) < 6 { // groups of many sectors
				recs = append(recs, l.call(rnd)...)
			}
			var texts []string
			for i := range recs {
				recs[i].Priority = true
				texts = append(texts, string(recs[i].Data))
			}
			for _, s := range texts {
				l.calls[s] = texts
			}
			if cs, err := j.Append(context.Background(), recs...); err == nil {
				for i, c := range cs {
					l.acked[c.Number] = texts[i]
				}
			}
		}
		for variant := range uint64(16) {
			after := mem.Crash(variant * uint64(k))
			after.SetCapacity(0)
			l.clone().reopen(t, after, quantrac.NewManualClock(noon), uint64(k))
			if t.Failed() {
				t.Fatalf("power gone at operation %d", k)
			}
		}
	}
}

func TestShortWriteIsCutDurably(t *testing.T) {
	mem := vfs.NewMem()
	var fault atomic.Pointer[vfs.Fault]
	fsys := vfs.Faulty(mem, func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite {
			if f := fault.Swap(nil); f != nil {
				return f
			}
		}
		return nil
	})
	j := open(t, fsys, small(nil))
	mustAppend(t, j, "before")
	want, err := vfs.ReadFile(mem, "/j/0000000001.journal")
	if err != nil {
		t.Fatal(err)
	}
	fault.Store(&vfs.Fault{Err: syscall.EIO, Bytes: 50})
	if _, err := j.Append(context.Background(), record(strings.Repeat("lost", 20))); !errors.Is(err, syscall.EIO) {
		t.Fatalf("a short write: %v", err)
	}
	for seed := range uint64(50) {
		got, err := vfs.ReadFile(mem.Crash(seed), "/j/0000000001.journal")
		if err != nil || !bytes.Equal(got, want) {
			t.Fatalf("a crash leaves remains of a failed write: %q, %v", got, err)
		}
	}
}

func TestFailedSyncLeavesTheSegment(t *testing.T) {
	mem := vfs.NewMem()
	var failing atomic.Bool
	var written []string
	fsys := vfs.Faulty(mem, func(op vfs.Op) error {
		switch op.Kind {
		case vfs.OpSync:
			if failing.Load() {
				return &vfs.Fault{Err: syscall.EIO, LosePages: true}
			}
		case vfs.OpWrite:
			written = append(written, filepath.Base(op.Name))
		}
		return nil
	})
	j := open(t, fsys, small(nil))
	mustAppend(t, j, "a", "b")
	failing.Store(true)
	for i := range 3 { // not even a new segment can be begun
		if _, err := j.Append(context.Background(), record("lost")); !errors.Is(err, syscall.EIO) || quantrac.KindOf(err) != quantrac.Unavailable {
			t.Fatalf("attempt %d: %v", i, err)
		}
	}
	if n := j.Stats().SyncErrors; n != 3 {
		t.Errorf("%d failed syncs counted", n)
	}
	failing.Store(false)
	written = nil
	if cs := mustAppend(t, j, "c"); cs[0].Number != 3 {
		t.Errorf("commit %v", cs[0])
	}
	for _, name := range written {
		if name == "0000000001.journal" {
			t.Error("the segment whose sync failed was written again")
		}
	}
	want := []string{"1:a", "2:b", "3:c"}
	equal(t, contents(t, j, 0), want)
	for seed := range uint64(20) {
		equal(t, contents(t, open(t, mem.Crash(seed), small(nil)), 0), want)
	}
}

func TestFailedReadIsNotDamage(t *testing.T) {
	mem := vfs.NewMem()
	j := open(t, mem, small(nil))
	for i := range 100 {
		mustAppend(t, j, fmt.Sprint(i, strings.Repeat("x", 100)))
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	var failing atomic.Bool
	fsys := vfs.Faulty(mem, func(op vfs.Op) error {
		if failing.Load() && op.Kind == vfs.OpRead {
			return syscall.EIO
		}
		return nil
	})
	failing.Store(true)
	if _, err := Open(fsys, "/j", small(nil)); !errors.Is(err, syscall.EIO) || quantrac.KindOf(err) == quantrac.Corrupt {
		t.Errorf("opening: %v", err)
	}
	failing.Store(false)
	j = open(t, fsys, small(nil))
	failing.Store(true)
	if _, err := replay(j, 0); !errors.Is(err, syscall.EIO) || quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("replaying: %v", err)
	}
	failing.Store(false)
	if got := contents(t, j, 0); len(got) != 100 {
		t.Errorf("%d entries", len(got))
	}
}
