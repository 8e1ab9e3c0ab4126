package tsdb_test

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// until waits for a condition that other goroutines bring about.
func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("after a minute: not yet %s", what)
		}
	}
}

// openDB opens a store and its journal on a file system, closed by the test.
func openDB(t *testing.T, fsys vfs.FS, clock quantrac.Clock, o tsdb.Options) (*tsdb.DB, *journal.Journal) {
	t.Helper()
	j, err := journal.Open(fsys, "journal", journal.Options{Clock: clock, SegmentBytes: 64 << 10, ReserveBytes: -1, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	o.Clock = clock
	db, err := tsdb.Open(fsys, filepath.Join("tsdb"), j, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := db.Close(); err != nil {
			t.Error(err)
		}
		if err := j.Close(); err != nil {
			t.Error(err)
		}
	})
	return db, j
}

// TestConcurrent lets writers, readers, flushes and merges run together. Every
// batch writes one value to all stations at one time, so whatever a reader
// sees, all series must look the same: no batch is seen in part.
func TestConcurrent(t *testing.T) {
	const stations, writers, batches = 7, 3, 60
	clock := quantrac.NewManualClock(workStart + 1<<40)
	db, _ := openDB(t, vfs.NewMem(), clock, tsdb.Options{FlushBytes: 24 << 10})
	ctx, stop := context.WithCancel(context.Background())
	var background sync.WaitGroup
	background.Go(func() { _ = db.Run(ctx) })
	defer background.Wait()
	defer stop()

	write := func(slot int, v float64) error {
		b := &quantrac.Batch{}
		for s := range stations {
			b.Rows = append(b.Rows, row(fmt.Sprint(s), slot, "v", v, "w", -v))
		}
		for {
			_, err := db.Append(ctx, b)
			if quantrac.KindOf(err) != quantrac.Busy {
				return err
			}
			time.Sleep(time.Millisecond) // flushing is behind: that is to be tried again
		}
	}
	var left atomic.Int64
	left.Store(writers)
	var work sync.WaitGroup
	for n := range writers {
		work.Go(func() {
			defer left.Add(-1)
			// At least until there was a merge beside them.
			for i := 0; i < batches || i < 100*batches && db.Stats().Compactions == 0; i++ {
				slot := i*writers + n
				if i%4 == 3 {
					slot = (i - 3) * writers // revise an old one, of whoever's
				}
				if i%10 == 9 {
					slot = -slot * 100 // late, by months
				}
				if err := write(slot, float64(i*writers+n)); err != nil {
					t.Error(err)
					return
				}
			}
		})
	}
	type shown map[quantrac.Millis]float64
	read := func(q tsdb.Query) {
		q.From, q.To = quantrac.MinMillis, quantrac.MaxMillis
		var first shown
		n := 0
		for s, err := range db.Select(ctx, q) {
			if err != nil {
				t.Error(err)
				return
			}
			n++
			sign := 1.0
			if s.Labels.Metric() == "w" {
				sign = -1
			}
			got := shown{}
			for i, at := range s.Times {
				got[at] = sign * s.Values[i]
			}
			if first == nil {
				first = got
			}
			if len(got) != len(first) {
				t.Errorf("%v shows %d values, the first series %d", s.Labels, len(got), len(first))
				return
			}
			for at, v := range got {
				if first[at] != v {
					t.Errorf("%v shows %v at %v, the first series %v", s.Labels, v, at, first[at])
					return
				}
			}
		}
		if n != 0 && n != 2*stations {
			t.Errorf("%d series of %d", n, 2*stations)
		}
	}
	for n := range 2 {
		work.Go(func() {
			for left.Load() > 0 {
				q := tsdb.Query{}
				if n == 1 {
					q.AsOfCommit = max(db.Stats().Applied/2, 1)
				}
				read(q)
				all, err := db.Latest(ctx, nil)
				if err != nil {
					t.Error(err)
					return
				}
				for _, l := range all {
					if l.Commit != all[0].Commit {
						t.Errorf("last value of %v by commit %v, of %v by %v", l.Labels, l.Commit, all[0].Labels, all[0].Commit)
						return
					}
				}
			}
		})
	}
	work.Go(func() {
		for left.Load() > 0 {
			if err := db.Compact(ctx); err != nil {
				t.Error(err)
			}
			if err := db.Flush(ctx); err != nil {
				t.Error(err)
			}
		}
	})
	work.Wait()
	read(tsdb.Query{})
	if s := db.Stats(); s.Flushes == 0 || s.Compactions == 0 || s.Stored == 0 {
		t.Errorf("%+v: want flushes and merges", s)
	}
}

// Series that appear while others are read take their place in the order, and
// whoever reads sees each once.
func TestConcurrentSeries(t *testing.T) {
	const writers, each = 3, 80
	db, _ := openDB(t, vfs.NewMem(), quantrac.NewManualClock(workStart+1<<40), tsdb.Options{})
	ctx := context.Background()
	var work sync.WaitGroup
	var left atomic.Int64
	left.Store(writers)
	for n := range writers {
		work.Go(func() {
			defer left.Add(-1)
			for i := range each {
				name := fmt.Sprintf("s%d-%d", (i*37)%each, n)
				if _, err := db.Append(ctx, readings(row(name, i, "v", 1.0), row("shared", i, fmt.Sprintf("p%d", i), float64(n)))); err != nil {
					t.Error(err)
				}
				if i%20 == 19 {
					if err := db.Flush(ctx); err != nil {
						t.Error(err)
					}
				}
			}
		})
	}
	sorted := func(n int, labels func(int) quantrac.Labels) {
		for i := 1; i < n; i++ {
			if labels(i-1).Compare(labels(i)) >= 0 {
				t.Errorf("%v before %v", labels(i-1), labels(i))
			}
		}
	}
	work.Go(func() {
		for left.Load() > 0 {
			all, err := db.Latest(ctx, nil)
			if err != nil {
				t.Error(err)
			}
			sorted(len(all), func(i int) quantrac.Labels { return all[i].Labels })
			sets, err := db.Series(ctx, []*quantrac.Matcher{quantrac.Equals("station", "shared")}, quantrac.MinMillis, quantrac.MaxMillis)
			if err != nil {
				t.Error(err)
			}
			sorted(len(sets), func(i int) quantrac.Labels { return sets[i] })
		}
	})
	work.Wait()
	all, err := db.Latest(ctx, nil)
	if want := writers*each + each; err != nil || len(all) != want || db.Stats().Series != want {
		t.Errorf("%d last values, %v, want %d; %d series", len(all), err, want, db.Stats().Series)
	}
	sorted(len(all), func(i int) quantrac.Labels { return all[i].Labels })
}

// While a flush is under way and memory is full, Append waits and does not refuse.
func TestAppendWaits(t *testing.T) {
	held, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	fsys := vfs.Faulty(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpCreate && filepath.Dir(op.Name) == "tsdb" && strings.HasSuffix(op.Name, ".block") {
			once.Do(func() { close(held) })
			<-release
		}
		return nil
	})
	db, _ := openDB(t, fsys, quantrac.NewManualClock(workStart+1<<40), tsdb.Options{FlushBytes: 4 << 10})
	ctx, stop := context.WithCancel(context.Background())
	var background sync.WaitGroup
	background.Go(func() { _ = db.Run(ctx) })
	defer background.Wait()
	defer stop()
	var full quantrac.Batch
	for slot := range 64 {
		full.Rows = append(full.Rows, row("a", slot, "v", float64(slot)))
	}
	mustAppend(t, db, &full)
	<-held
	done := make(chan error, 1)
	go func() {
		for slot := range 2000 {
			if _, err := db.Append(ctx, readings(row("b", slot, "v", float64(slot)))); err != nil {
				done <- fmt.Errorf("row %d: %w", slot, err)
				return
			}
		}
		done <- nil
	}()
	until(t, "more waits than makes Append wait", func() bool { return db.Stats().HeadBytes > 6<<10 })
	waiting, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := db.Append(waiting, readings(row("c", 0, "v", 1.0))); !errors.Is(err, context.Canceled) {
		t.Errorf("who does not wait is told %v", err)
	}
	if n := db.Stats().HeadBytes; n > 8<<10 {
		t.Errorf("%d bytes wait", n)
	}
	close(release)
	if err := <-done; err != nil {
		t.Error(err)
	}
}

// TestFlushEnds: a flush writes what was there when it was asked for, and leaves
// what comes meanwhile to the next one.
func TestFlushEnds(t *testing.T) {
	var db *tsdb.DB
	slot := 0
	fsys := vfs.Faulty(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpCreate && filepath.Ext(op.Name) == ".block" && slot < 100 {
			slot++
			mustAppend(t, db, readings(row("a", slot, "v", 1.0)))
		}
		return nil
	})
	db, _ = openDB(t, fsys, quantrac.NewManualClock(workStart+1<<40), tsdb.Options{})
	mustAppend(t, db, readings(row("a", 0, "v", 1.0)))
	for n := 1; n <= 3; n++ {
		if err := db.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if s := db.Stats(); s.Blocks != n || s.HeadRows != 1 || s.Flushed != s.Applied-1 {
			t.Fatalf("flush %d while a row came: %+v; want %d blocks and one row not flushed", n, s, n)
		}
	}
}

// Run flushes by size and by age, and tries again after a failure.
func TestRun(t *testing.T) {
	clock := quantrac.NewManualClock(workStart + 1<<40)
	mem := vfs.NewMem()
	var full atomic.Bool
	fsys := vfs.Faulty(mem, func(op vfs.Op) error {
		if full.Load() && op.Kind == vfs.OpCreate && filepath.Dir(op.Name) == "tsdb" {
			return errNoSpace
		}
		return nil
	})
	db, _ := openDB(t, fsys, clock, tsdb.Options{FlushBytes: 2 << 10, FlushInterval: time.Hour})
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- db.Run(ctx) }()
	append1 := func(slot int) {
		t.Helper()
		if _, err := db.Append(ctx, &quantrac.Batch{Rows: []quantrac.Row{row("a", slot, "v", float64(slot))}}); err != nil {
			t.Fatal(err)
		}
	}
	append1(0)
	for slot := 1; db.Stats().Flushes == 0; slot++ {
		if slot < 60 { // below what Append refuses
			append1(slot)
		}
		until(t, "awake", func() bool { return true })
	}
	append1(1000)
	before := db.Stats().Flushes
	until(t, "flushed for its age", func() bool {
		clock.Advance(time.Hour)
		return db.Stats().Flushes > before
	})
	until(t, "flushed whole", func() bool {
		clock.Advance(time.Hour)
		s := db.Stats()
		return s.Flushed == s.Applied
	})

	full.Store(true)
	append1(1001)
	until(t, "failing", func() bool { clock.Advance(time.Hour); return db.Stats().FlushErrors > 1 })
	if err := db.Stats().LastError; quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("the disk is full: last error %v", err)
	}
	if all, err := db.Latest(ctx, nil); err != nil || len(all) != 1 || all[0].Value != 1001 {
		t.Errorf("while the disk is full: %v, %v", all, err)
	}
	full.Store(false)
	until(t, "flushed again", func() bool { clock.Advance(time.Minute); s := db.Stats(); return s.Flushed == s.Applied })
	if err := db.Stats().LastError; err != nil {
		t.Errorf("all is well, but the last error is %v", err)
	}
	stop()
	if err := <-done; err != context.Canceled {
		t.Errorf("Run returned %v, want the context's error", err)
	}
}

// TestTinyFlush: a head that may hold next to nothing takes batches of which nothing is stored.
func TestTinyFlush(t *testing.T) {
	db, _ := openDB(t, vfs.NewMem(), quantrac.NewManualClock(workStart+1<<40), tsdb.Options{FlushBytes: 4})
	b := readings(row("a", 1, "x", 1.0))
	mustAppend(t, db, b)
	if err := db.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	mustAppend(t, db, readings(row("a", 1, "x", 1.0))) // redelivered: nothing is stored
}

// TestLookUpWhileApplying: a last value that a correction has made unknown is looked
// up while more is applied. It is for the race detector.
func TestLookUpWhileApplying(t *testing.T) {
	clock := quantrac.NewManualClock(1_788_000_000_000)
	db, _ := openDB(t, vfs.NewMem(), clock, tsdb.Options{FlushInterval: -1})
	ctx := t.Context()
	var looking sync.WaitGroup
	done := make(chan struct{})
	looking.Go(func() {
		for {
			if _, err := db.Latest(ctx, nil); err != nil {
				t.Error(err)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	for i := range 300 {
		b := &quantrac.Batch{}
		if i%2 == 1 {
			b = &quantrac.Batch{Kind: quantrac.Corrections, Author: "an", Reason: "test"}
		}
		for _, station := range []string{"a", "b"} {
			b.Rows = append(b.Rows, quantrac.Row{Group: quantrac.NewLabels("station", station), Time: clock.Now(), Cells: []quantrac.Cell{
				{Property: "level", Value: float64(i), Quality: quantrac.Good}, {Property: "rain", Value: 1, Quality: quantrac.Good},
			}})
		}
		if _, err := db.Append(ctx, b); err != nil {
			t.Fatal(err)
		}
		clock.Advance(time.Second)
	}
	close(done)
	looking.Wait()
}
