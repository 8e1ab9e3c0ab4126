package journal

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"syscall"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
)

var errPower = errors.New("the power is gone")

// ledger remembers what was tried and what was acknowledged.
type ledger struct {
	mu    sync.Mutex
	acked map[uint64]string
	calls map[string][]string // of each text tried, the whole call
	n     int
}

func newLedger() *ledger { return &ledger{acked: map[uint64]string{}, calls: map[string][]string{}} }

// call makes up the next call: one to four records of 0 to 1200 bytes, texts
// all different.
func (l *ledger) call(rnd *rand.Rand) []Record {
	l.mu.Lock()
	defer l.mu.Unlock()
	var recs []Record
	var texts []string
	priority := rnd.IntN(3) == 0
	for range 1 + rnd.IntN(4) {
		l.n++
		s := fmt.Sprintf("%d-", l.n) + strings.Repeat(string(rune('a'+l.n%26)), rnd.IntN(1200)>>rnd.IntN(8))
		texts = append(texts, s)
		recs = append(recs, Record{Kind: quantrac.RecordWarning, Data: []byte(s), Priority: priority})
	}
	for _, s := range texts {
		l.calls[s] = texts
	}
	return recs
}

// append appends one call and notes what came of it.
func (l *ledger) append(t testing.TB, j *Journal, rnd *rand.Rand) error {
	recs := l.call(rnd)
	cs, err := j.Append(context.Background(), recs...)
	if err != nil {
		if quantrac.KindOf(err) != quantrac.Unavailable {
			t.Errorf("append failed with kind %s: %v", quantrac.KindOf(err), err)
		}
		return err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	for i, c := range cs {
		if was, ok := l.acked[c.Number]; ok {
			t.Errorf("commit %d acknowledged twice, first for %.20q", c.Number, was)
		}
		l.acked[c.Number] = string(recs[i].Data)
	}
	return nil
}

// verify checks the journal's contents against the ledger: all that was
// acknowledged is there under its number, nothing is there that was not tried,
// and calls are whole.
func (l *ledger) verify(t testing.TB, j *Journal) {
	t.Helper()
	got := map[uint64]string{}
	order := []string{}
	last := quantrac.Commit{}
	err := j.Replay(context.Background(), 0, func(e Entry) error {
		if e.Number != last.Number+1 || e.Time < last.Time {
			return fmt.Errorf("%v follows %v", e.Commit, last)
		}
		last = e.Commit
		got[e.Number] = string(e.Data)
		order = append(order, string(e.Data))
		return nil
	})
	if err != nil {
		t.Fatalf("replay: %v", err)
	}
	if last != j.Last() && last.Number != 0 {
		t.Errorf("replay ends at %v, the journal at %v", last, j.Last())
	}
	for n, s := range l.acked {
		if got[n] != s {
			t.Fatalf("commit %d was acknowledged as %.20q, found %.20q (last %d)", n, s, got[n], last.Number)
		}
	}
	for i := 0; i < len(order); {
		call := l.calls[order[i]]
		if call == nil {
			t.Fatalf("commit %d: %.20q was never appended", i+1, order[i])
		}
		if i+len(call) > len(order) || strings.Join(order[i:i+len(call)], "|") != strings.Join(call, "|") {
			t.Fatalf("commit %d: the call of %.20q is not whole", i+1, order[i])
		}
		i += len(call)
	}
}

// adopt makes what is in the journal the truth: a reader has now seen it.
func (l *ledger) adopt(t testing.TB, j *Journal) {
	t.Helper()
	l.verify(t, j)
	if err := j.Replay(context.Background(), 0, func(e Entry) error {
		l.acked[e.Number] = string(e.Data)
		return nil
	}); err != nil {
		t.Fatal(err)
	}
}

// work opens the journal, appends calls from one or several goroutines and
// closes it, until something fails.
func (l *ledger) work(t testing.TB, fsys vfs.FS, clock quantrac.Clock, seed uint64, calls, writers int) error {
	j, err := Open(fsys, "/j", small(clock))
	if err != nil {
		return err
	}
	var wg sync.WaitGroup
	errs := make([]error, writers)
	for w := range writers {
		wg.Go(func() {
			rnd := rand.New(rand.NewPCG(seed, uint64(w)))
			for range calls / writers {
				if err := l.append(t, j, rnd); err != nil {
					errs[w] = err
					return
				}
			}
		})
	}
	wg.Wait()
	return errors.Join(errors.Join(errs...), j.Close())
}

// reopen opens what a crash left, checks it, works on and checks again.
func (l *ledger) reopen(t testing.TB, fsys vfs.FS, clock quantrac.Clock, seed uint64) {
	t.Helper()
	j, err := Open(fsys, "/j", small(clock))
	if err != nil {
		t.Fatalf("reopening: %v", err)
	}
	l.adopt(t, j)
	rnd := rand.New(rand.NewPCG(seed, 99))
	for range 5 {
		if err := l.append(t, j, rnd); err != nil {
			t.Fatalf("working on: %v", err)
		}
	}
	l.verify(t, j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	if j, err = Open(fsys, "/j", small(clock)); err != nil {
		t.Fatalf("reopening again: %v", err)
	}
	l.verify(t, j)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestCrashEverywhere takes the power away at every operation of a run that
// changes files, in several ways of what then is on the disk, and once more at
// every operation of the recovery.
func TestCrashEverywhere(t *testing.T) {
	clock := quantrac.NewManualClock(noon)
	for _, writers := range []int{1, 4} {
		for k := int64(1); ; k++ {
			mem := vfs.NewMem()
			l := newLedger()
			if err := l.work(t, mem, clock, uint64(k), 8, writers); err != nil { // a past to lose
				t.Fatal(err)
			}
			err := l.work(t, vfs.Faulty(mem, vfs.From(k, errPower)), clock, uint64(k)+1000, 24, writers)
			for variant := range uint64(8) {
				seed := variant * uint64(k) // 0, nothing unsynced survives, among them
				after := mem.Crash(seed)
				if variant%4 == 3 {
					l.crashRecovery(t, after, clock, seed)
				}
				l.clone().reopen(t, after, clock, seed)
			}
			l.killed(t, mem, clock, uint64(k))
			if t.Failed() {
				t.Fatalf("writers %d, power gone at operation %d", writers, k)
			}
			if err == nil {
				if k < 30 {
					t.Fatalf("only %d operations", k)
				}
				break
			}
		}
	}
}

func (l *ledger) clone() *ledger {
	c := newLedger()
	c.n = l.n
	for n, s := range l.acked {
		c.acked[n] = s
	}
	for s, call := range l.calls {
		c.calls[s] = call
	}
	return c
}

// crashRecovery takes the power away at every operation of opening after, and
// checks that the next opening finds all.
func (l *ledger) crashRecovery(t testing.TB, after *vfs.Mem, clock quantrac.Clock, seed uint64) {
	t.Helper()
	for k := int64(1); k < 100; k++ {
		base := after.Crash(0) // a copy: all in it is durable
		j, err := Open(vfs.Faulty(base, vfs.From(k, errPower)), "/j", small(clock))
		if err == nil {
			_ = j.Close()
		}
		l.clone().reopen(t, base.Crash(seed+uint64(k)), clock, seed)
		if t.Failed() {
			t.Fatalf("power gone at operation %d of the recovery, seed %d", k, seed)
		}
		if err == nil {
			return
		}
	}
	t.Fatal("opening never succeeded")
}

// killed opens what a killed process left, the machine having stayed up, and
// takes the power away before anything is appended: what the second process
// could show to its readers must last.
func (l *ledger) killed(t testing.TB, mem *vfs.Mem, clock quantrac.Clock, seed uint64) {
	t.Helper()
	j, err := Open(mem, "/j", small(clock))
	if err != nil {
		t.Fatalf("opening after a kill: %v", err)
	}
	l = l.clone()
	l.adopt(t, j)
	after := mem.Crash(0)
	later := mem.Crash(seed)
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	l.clone().reopen(t, after, clock, seed)
	l.reopen(t, later, clock, seed)
}

// TestFailThenCrash lets an operation fail and then takes the power away or
// kills the process a few operations later.
func TestFailThenCrash(t *testing.T) {
	clock := quantrac.NewManualClock(noon)
	for name, fault := range map[string]error{
		"short":            &vfs.Fault{Err: syscall.EIO, Bytes: 700},
		"done, said not":   &vfs.Fault{Err: syscall.EIO, Done: true},
		"pages lost":       &vfs.Fault{Err: syscall.EIO, LosePages: true},
		"no space, a part": &vfs.Fault{Err: syscall.ENOSPC, Bytes: 90},
	} {
		for k := int64(1); k < 60; k++ {
			for d := int64(1); d < 6; d++ {
				mem := vfs.NewMem()
				l := newLedger()
				fail, power := vfs.Nth(k, fault), vfs.From(k+d, errPower)
				hook := func(op vfs.Op) error {
					err, dead := fail(op), power(op)
					if dead != nil {
						return dead
					}
					return err
				}
				l.survive(t, vfs.Faulty(mem, hook), clock, uint64(k))
				for variant := range uint64(4) {
					seed := variant * uint64(k*7+d)
					l.clone().reopen(t, mem.Crash(seed), clock, seed)
				}
				l.killed(t, mem, clock, uint64(k*d))
				if t.Failed() {
					t.Fatalf("%s: operation %d failed, power gone %d later", name, k, d)
				}
			}
		}
	}
}

// survive works with one writer that goes on after errors.
func (l *ledger) survive(t testing.TB, fsys vfs.FS, clock quantrac.Clock, seed uint64) {
	j, err := Open(fsys, "/j", small(clock))
	if err != nil {
		return
	}
	rnd := rand.New(rand.NewPCG(seed, 3))
	for range 20 {
		_ = l.append(t, j, rnd)
	}
	_ = j.Close()
}

// TestFailEveryOperation lets every single operation fail once, in several
// ways, and checks that nothing acknowledged is lost, neither at once nor
// after a crash, and that the journal goes on without being reopened.
func TestFailEveryOperation(t *testing.T) {
	eio := syscall.EIO
	for name, fault := range map[string]error{
		"not done":          eio,
		"done all the same": &vfs.Fault{Err: eio, Done: true},
		"short":             &vfs.Fault{Err: eio, Bytes: 40},
		"no space":          &vfs.Fault{Err: syscall.ENOSPC, Bytes: 7},
		"pages lost":        &vfs.Fault{Err: eio, LosePages: true},
	} {
		t.Run(name, func(t *testing.T) {
			clock := quantrac.NewManualClock(noon)
			for k := int64(1); ; k++ {
				if !failOnce(t, clock, k, fault) {
					if k < 30 {
						t.Fatalf("only %d operations", k)
					}
					return
				}
				if t.Failed() {
					t.Fatalf("operation %d", k)
				}
			}
		})
	}
}

// failOnce returns whether operation k was reached.
func failOnce(t *testing.T, clock *quantrac.ManualClock, k int64, fault error) bool {
	mem := vfs.NewMem()
	hook := vfs.Nth(k, fault)
	reached := false
	fsys := vfs.Faulty(mem, func(op vfs.Op) error {
		err := hook(op)
		reached = reached || err != nil
		return err
	})
	l := newLedger()
	rnd := rand.New(rand.NewPCG(uint64(k), 7))
	j, err := Open(fsys, "/j", small(clock))
	if err != nil {
		if j, err = Open(fsys, "/j", small(clock)); err != nil {
			t.Fatalf("opening after a failure that is over: %v", err)
		}
	}
	failures := 0
	for range 30 {
		if l.append(t, j, rnd) != nil {
			failures++
			l.verify(t, j)
		}
	}
	if failures > 1 {
		t.Errorf("%d appends failed for one failed operation", failures)
	}
	l.verify(t, j)
	for variant := range uint64(4) {
		seed := variant * uint64(k)
		l.clone().reopen(t, mem.Crash(seed), clock, seed)
	}
	if err := j.Close(); err != nil && !reached {
		t.Error(err)
	}
	l.reopen(t, mem, clock, 1)
	return reached
}
