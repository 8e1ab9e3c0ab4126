package tsdb_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"strings"
	"syscall"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
	"quantrac/tsdb/tsdbtest"
)

// A step of the workload that the fault and crash tests run: a batch to append,
// or something done to the store.
type step struct {
	batch *quantrac.Batch
	do    func(*workload) error
	name  string
}

// workload runs steps against a subject, through faults, and keeps a ledger of
// what was acknowledged.
type workload struct {
	s      *subject
	clock  *tsdbtest.Clock
	e      tsdbtest.Engine
	ledger []entry
	oracle tsdbtest.Engine // has what was acknowledged
}

type entry struct {
	batch *quantrac.Batch
	acked bool
}

const workStart = quantrac.Millis(1_793_000_000_000)

func row(station string, slot int, cells ...any) quantrac.Row {
	r := quantrac.Row{Group: quantrac.NewLabels("station", station), Time: workStart + quantrac.Millis(slot)*600_000}
	for i := 0; i < len(cells); i += 2 {
		c := quantrac.Cell{Property: cells[i].(string)}
		switch v := cells[i+1].(type) {
		case float64:
			c.Value = v
		case nil:
			c.Value, c.Quality = math.NaN(), quantrac.Missing
		}
		r.Cells = append(r.Cells, c)
	}
	return r
}

// steps is a life in short: live and late rows over three partitions, a
// redelivery, corrections, a deletion, a revocation, two runs of a model, with
// flushes, merges and restarts between.
func steps() []step {
	flush := step{name: "flush", do: func(w *workload) error { return w.e.Flush(context.Background()) }}
	compact := step{name: "compact", do: func(w *workload) error { return w.e.Compact(context.Background()) }}
	reopen := step{name: "reopen", do: func(w *workload) error { return w.reopen() }}
	human := func(kind quantrac.BatchKind, id string, rows ...quantrac.Row) step {
		return step{batch: &quantrac.Batch{Kind: kind, Author: "lan", Reason: "check", Correction: id, Rows: rows}}
	}
	run := func(issue int, rows ...quantrac.Row) step {
		for i := range rows {
			rows[i].Group = rows[i].Group.With("model", "m")
		}
		return step{batch: &quantrac.Batch{Kind: quantrac.Forecasts, Model: "m", Issue: workStart + quantrac.Millis(issue)*600_000, Rows: rows}}
	}
	readings := func(rows ...quantrac.Row) step { return step{batch: &quantrac.Batch{Rows: rows}} }
	return []step{
		readings(row("a", 0, "stage", 1.5, "rain", 0.0), row("b", 0, "stage", 7.25)),
		readings(row("a", 1, "stage", 1.75), row("a", -3000, "stage", 0.5)),
		flush,
		readings(row("a", 0, "stage", 1.5, "rain", 0.25), row("b", 1, "stage", 8.0)),
		human(quantrac.Corrections, "c1", row("a", 1, "stage", 1.8)),
		run(1, row("a", 3, "f", 1.0), row("a", 4, "f", 2.0)),
		flush,
		compact,
		readings(row("a", 2, "stage", 2.0), row("b", 2, "stage", 9.0), row("b", -6000, "stage", 3.0)),
		human(quantrac.Corrections, "", row("b", 0, "stage", nil)),
		reopen,
		readings(row("b", 0, "stage", 7.25), row("c", 0, "stage", 1.0)),
		run(2, row("a", 4, "f", 2.5)),
		human(quantrac.Revocation, "c1"),
		flush,
		readings(row("a", 1, "stage", 1.75), row("c", 1, "stage", 2.0)),
		flush,
		compact,
		reopen,
		readings(row("c", 2, "stage", 3.0)),
	}
}

func newWorkload() *workload {
	w := &workload{s: newSubject(), clock: &tsdbtest.Clock{}}
	w.clock.Set(workStart + 100*600_000)
	w.oracle, _ = tsdbtest.NewOracle().Open(tsdbtest.Options{Clock: w.clock})
	return w
}

// replay makes the oracle anew of the ledger.
func (w *workload) replay() {
	w.oracle, _ = tsdbtest.NewOracle().Open(tsdbtest.Options{Clock: w.clock})
	for _, en := range w.ledger {
		if en.acked {
			_, _ = w.oracle.Append(context.Background(), en.batch) // it has been taken before
		}
	}
}

func (w *workload) open() error {
	e, err := w.s.Open(tsdbtest.Options{Clock: w.clock})
	if err != nil {
		return err
	}
	w.e = e
	return nil
}

func (w *workload) reopen() error {
	err := w.e.Close()
	if oerr := w.open(); oerr != nil {
		w.e = nil
		return errors.Join(err, oerr)
	}
	return err
}

// run does the steps and collects errors; once the store cannot be opened it
// stops.
func (w *workload) run(steps []step) (errs []error) {
	if err := w.open(); err != nil {
		return []error{fmt.Errorf("open: %w", err)}
	}
	for _, s := range steps {
		if s.do != nil {
			if err := s.do(w); err != nil {
				errs = append(errs, fmt.Errorf("%s: %w", s.name, err))
			}
			if w.e == nil {
				return errs
			}
			continue
		}
		_, err := w.e.Append(context.Background(), s.batch)
		w.ledger = append(w.ledger, entry{s.batch, err == nil})
		if err != nil {
			errs = append(errs, fmt.Errorf("append: %w", err))
		} else if _, err := w.oracle.Append(context.Background(), s.batch); err != nil {
			errs = append(errs, fmt.Errorf("oracle: %w", err))
		}
		// Whatever happens to the disk, what is acknowledged can be read.
		if got, err := show(w.e); err != nil {
			errs = append(errs, fmt.Errorf("read: %w", err))
		} else if !w.accounted(got) {
			errs = append(errs, fmt.Errorf("after batch %d: got\n%swant\n%s", len(w.ledger), got, w.expected(-1)))
		}
	}
	return errs
}

// accounted says whether the ledger explains what is read: all that was
// acknowledged, and at most one of what was not, which may turn up after a
// restart.
func (w *workload) accounted(got string) bool {
	if want, err := show(w.oracle); err == nil && got == want {
		return true
	}
	for i, en := range w.ledger {
		if !en.acked && w.expected(i) == got {
			return true
		}
	}
	return false
}

// expected is what the oracle shows after the acknowledged batches and, unless
// it is negative, the unacknowledged one at a position of the ledger.
func (w *workload) expected(also int) string {
	o := tsdbtest.NewOracle()
	e, err := o.Open(tsdbtest.Options{Clock: w.clock})
	if err != nil {
		return err.Error()
	}
	for i, en := range w.ledger {
		if en.acked || i == also {
			if _, err := e.Append(context.Background(), en.batch); err != nil {
				return err.Error()
			}
		}
	}
	text, err := show(e)
	if err != nil {
		return err.Error()
	}
	return text
}

// show writes out everything that can be read, less the commit numbers, which
// differ when a batch failed in between.
func show(e tsdbtest.Engine) (string, error) {
	var b strings.Builder
	ctx := context.Background()
	for _, device := range []bool{false, true} {
		for s, err := range e.Select(ctx, tsdb.Query{From: quantrac.MinMillis, To: quantrac.MaxMillis, Qualities: quantrac.AllQualities, DeviceOnly: device}) {
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&b, "%v %v %v %v\n", s.Labels, s.Times, s.Values, s.Qualities)
			for _, t := range s.Times {
				revs, err := e.Revisions(ctx, s.Labels, t)
				if err != nil {
					return "", err
				}
				for _, r := range revs {
					fmt.Fprintf(&b, "  %v %v %v %q %v\n", r.Layer, r.Value, r.Quality, r.Correction, r.Revoked != 0)
				}
			}
		}
	}
	all, err := e.Latest(ctx, nil)
	for _, l := range all {
		fmt.Fprintf(&b, "last %v %v %v\n", l.Labels, l.Time, l.Value)
	}
	return b.String(), err
}

// verify opens what is left on the disk and wants every acknowledged batch,
// and nothing else but, at most, the one that was under way; also after
// flushing, merging and opening once more.
func (w *workload) verify(t *testing.T, what string, disk *vfs.Mem) {
	t.Helper()
	w.s = &subject{mem: disk, seed: 1}
	if err := w.open(); err != nil {
		t.Fatalf("%s: opening again: %v", what, err)
	}
	got, err := show(w.e)
	if err != nil {
		t.Fatalf("%s: reading again: %v", what, err)
	}
	if !w.accounted(got) {
		t.Fatalf("%s: got\n%swant\n%s", what, got, w.expected(-1))
	}
	for _, do := range []func() error{
		func() error { return w.e.Flush(context.Background()) },
		func() error { return w.e.Compact(context.Background()) },
		w.reopen,
	} {
		if err := do(); err != nil {
			t.Fatalf("%s: once more: %v", what, err)
		}
	}
	again, err := show(w.e)
	if err != nil || again != got {
		t.Fatalf("%s: flushed, merged and opened again: %v\n%swant\n%s", what, err, again, got)
	}
	if err := w.e.Close(); err != nil {
		t.Fatalf("%s: closing: %v", what, err)
	}
}

func TestWorkloadWithoutFaults(t *testing.T) {
	w := newWorkload()
	if errs := w.run(steps()); len(errs) > 0 {
		t.Fatal(errs)
	}
	if err := w.e.Close(); err != nil {
		t.Fatal(err)
	}
	w.verify(t, "no fault", w.s.mem)
}

// TestFaults fails the k-th operation on the store's and the journal's files,
// for every k and in several ways. Every failure is reported or harmless, what
// is acknowledged is read all the while, and is there after a restart and after
// a power loss. By default every other k is tried, of the rarer ways every
// fifth; QUANTRAC_FAULTS=1 tries all.
func TestFaults(t *testing.T) {
	faults := map[string]*vfs.Fault{
		"error":      {Err: syscall.EIO},
		"full":       {Err: syscall.ENOSPC},
		"short":      {Err: syscall.EIO, Bytes: 5},
		"done":       {Err: syscall.EIO, Done: true},
		"lost pages": {Err: syscall.EIO, LosePages: true},
		"flipped":    {FlipBit: 1003}, // a read that says nothing of it
	}
	for name, fault := range faults {
		t.Run(name, func(t *testing.T) {
			stride := int64(5)
			switch {
			case envInt(t, "QUANTRAC_FAULTS", 0) > 0:
				stride = 1
			case name == "error":
				stride = 2
			}
			for k := int64(1); ; k += stride {
				fired := ""
				n := int64(0)
				w := newWorkload()
				w.s.wrap = func(fsys vfs.FS) vfs.FS {
					return vfs.Faulty(fsys, func(op vfs.Op) error {
						n++
						if n != k || name == "lost pages" && op.Kind != vfs.OpSync || name == "flipped" && op.Kind != vfs.OpRead {
							return nil
						}
						fired = fmt.Sprintf("%s %s, the %d-th operation", op.Kind, op.Name, k)
						return fault
					})
				}
				errs := w.run(steps())
				if n < k {
					t.Logf("%d operations", n)
					return
				}
				for _, err := range errs {
					if strings.Contains(err.Error(), "got\n") {
						t.Fatalf("%s: %v", fired, err)
					}
				}
				disk := w.s.mem
				if w.e != nil && k%2 == 0 {
					_ = w.e.Close() // it may report the fault
				} else {
					disk = disk.Crash(uint64(k) % 5)
				}
				w.verify(t, fired, unlocked(disk))
			}
		})
	}
}

// unlocked returns the disk as another process finds it after this one ended.
func unlocked(m *vfs.Mem) *vfs.Mem {
	if l, err := m.Lock("journal/lock"); err == nil {
		_ = l.Close() // nobody holds it
	}
	return m
}

// TestCrashes takes the power away before every operation that changes the
// disk, once losing all that is not synced and once some of it at random, and
// again while the store recovers.
func TestCrashes(t *testing.T) {
	type image struct {
		what  string
		disk  *vfs.Mem
		acked int
	}
	record := func(w *workload, images *[]image) func(vfs.FS) vfs.FS {
		return func(fsys vfs.FS) vfs.FS {
			return vfs.Faulty(fsys, func(op vfs.Op) error {
				if op.Changes() {
					seed := uint64(0)
					if n := len(*images); n%2 == 1 {
						seed = uint64(n)
					}
					*images = append(*images, image{fmt.Sprintf("crash %d before %s %s", len(*images), op.Kind, op.Name), w.s.mem.Crash(seed), len(w.ledger)})
				}
				return nil
			})
		}
	}
	var images []image
	w := newWorkload()
	w.s.wrap = record(w, &images)
	if errs := w.run(steps()); len(errs) > 0 {
		t.Fatal(errs)
	}
	full := w.ledger
	t.Logf("%d crashes", len(images))
	for i, im := range images {
		at := *w
		at.ledger = append([]entry(nil), full[:min(im.acked+1, len(full))]...)
		if len(at.ledger) > im.acked {
			at.ledger[im.acked].acked = false // it was under way, or had not begun
		}
		at.replay()
		at.verify(t, im.what, im.disk.Crash(0))
		if i%7 != 0 {
			continue
		}
		// Again, while recovering from the crash.
		var more []image
		again := at
		again.s = &subject{mem: im.disk.Crash(0), seed: 1}
		again.s.wrap = record(&again, &more)
		if err := again.open(); err != nil {
			t.Fatalf("%s: %v", im.what, err)
		}
		if err := errors.Join(again.e.Flush(context.Background()), again.e.Close()); err != nil {
			t.Fatalf("%s: %v", im.what, err)
		}
		for k, m := range more {
			if k%3 == 0 {
				at.verify(t, im.what+", then "+m.what, m.disk)
			}
		}
	}
}
