package journal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
)

const noon = quantrac.Millis(1_750_000_000_000)

// small are options under which little data makes many segments.
func small(clock quantrac.Clock) Options {
	return Options{Clock: clock, SegmentBytes: 2048, ReserveBytes: 4096, MinFreeBytes: 16 << 10, RingBytes: 1024}
}

func open(t testing.TB, fsys vfs.FS, o Options) *Journal {
	t.Helper()
	j, err := Open(fsys, "/j", o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func record(s string) Record {
	return Record{Kind: quantrac.RecordBatch, Flags: uint16(len(s)), Data: []byte(s)}
}

func mustAppend(t testing.TB, j *Journal, texts ...string) []quantrac.Commit {
	t.Helper()
	var recs []Record
	for _, s := range texts {
		recs = append(recs, record(s))
	}
	cs, err := j.Append(context.Background(), recs...)
	if err != nil {
		t.Fatal(err)
	}
	return cs
}

// contents returns all entries as number:text.
func contents(t testing.TB, j *Journal, after uint64) []string {
	t.Helper()
	out, err := replay(j, after)
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func replay(j *Journal, after uint64) ([]string, error) {
	var out []string
	var last quantrac.Commit
	err := j.Replay(context.Background(), after, func(e Entry) error {
		if last.Number != 0 && e.Number != last.Number+1 || e.Time < last.Time {
			return fmt.Errorf("%v follows %v", e.Commit, last)
		}
		last = e.Commit
		out = append(out, fmt.Sprintf("%d:%s", e.Number, e.Data))
		return nil
	})
	return out, err
}

func equal(t testing.TB, got, want []string) {
	t.Helper()
	if strings.Join(got, " ") != strings.Join(want, " ") {
		t.Errorf("got  %q\nwant %q", got, want)
	}
}

func TestAppendReplayReopen(t *testing.T) {
	for _, c := range []struct {
		name string
		fs   vfs.FS
		dir  string
	}{{"Mem", vfs.NewMem(), "/a/j"}, {"OS", vfs.OS(), filepath.Join(t.TempDir(), "a", "j")}} {
		t.Run(c.name, func(t *testing.T) {
			clock := quantrac.NewManualClock(noon)
			var want []string
			for round := range 4 {
				j, err := Open(c.fs, c.dir, small(clock))
				if err != nil {
					t.Fatal(err)
				}
				if got := j.Last().Number; got != uint64(len(want)) {
					t.Fatalf("last commit %d, want %d", got, len(want))
				}
				for i := range 50 {
					s := fmt.Sprintf("%d/%d/%s", round, i, strings.Repeat("x", i))
					cs := mustAppend(t, j, s, s+"b")
					for k, c := range cs {
						if c.Number != uint64(len(want)+1+k) || c.Time != clock.Now() {
							t.Fatalf("commit %v", c)
						}
					}
					want = append(want, fmt.Sprintf("%d:%s", len(want)+1, s), fmt.Sprintf("%d:%sb", len(want)+2, s))
					clock.Advance(1)
				}
				equal(t, contents(t, j, 0), want)
				equal(t, contents(t, j, 17), want[17:])
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				if err := j.Close(); err != nil {
					t.Fatal(err)
				}
				if _, err := j.Append(context.Background(), record("x")); quantrac.KindOf(err) != quantrac.Unavailable {
					t.Errorf("append to a closed journal: %v", err)
				}
			}
		})
	}
}

func TestGroupCommit(t *testing.T) {
	j := open(t, vfs.NewMem(), small(nil))
	var seen []uint64
	j.OnCommit(func(e Entry) { seen = append(seen, e.Number) })
	var wg sync.WaitGroup
	var mu sync.Mutex
	got := map[uint64]string{}
	for g := range 16 {
		wg.Go(func() {
			for i := range 50 {
				a, b := fmt.Sprintf("%d.%d.a", g, i), fmt.Sprintf("%d.%d.b", g, i)
				cs := mustAppend(t, j, a, b)
				mu.Lock()
				if len(cs) != 2 || cs[1].Number != cs[0].Number+1 {
					t.Errorf("a call's commits are %v", cs)
				}
				got[cs[0].Number], got[cs[1].Number] = a, b
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != 1600 {
		t.Fatalf("%d callbacks", len(seen))
	}
	for i, n := range seen {
		if n != uint64(i+1) {
			t.Fatalf("callback %d is of commit %d", i, n)
		}
	}
	var want []string
	for n := uint64(1); n <= 1600; n++ {
		want = append(want, fmt.Sprintf("%d:%s", n, got[n]))
	}
	equal(t, contents(t, j, 0), want)
}

// clockAt is a clock that can be set back.
type clockAt struct {
	quantrac.Clock
	now quantrac.Millis
}

func (c *clockAt) Now() quantrac.Millis { return c.now }

func TestClockGoesBack(t *testing.T) {
	mem, clock := vfs.NewMem(), &clockAt{now: noon}
	j := open(t, mem, small(clock))
	mustAppend(t, j, "a")
	clock.now = noon + 5000
	mustAppend(t, j, "b")
	clock.now = noon - 5000
	if c := mustAppend(t, j, "c")[0]; c.Time != noon+5000 {
		t.Errorf("the commit time went back to %s", c.Time)
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	_, err := Open(mem, "/j", small(clock))
	if quantrac.KindOf(err) != quantrac.Unavailable {
		t.Fatalf("opened with the clock before the last commit: %v", err)
	}
	for _, want := range []string{"clock", clock.now.String(), (noon + 5000).String(), "number 3", "10s"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q does not say %q", err, want)
		}
	}
	clock.now = noon + 5000
	equal(t, contents(t, open(t, mem, small(clock)), 0), []string{"1:a", "2:b", "3:c"})
}

// TestClockIsRememberedByTheHeader: also when all records are gone.
func TestClockIsRememberedByTheHeader(t *testing.T) {
	mem, clock := vfs.NewMem(), &clockAt{now: noon}
	j := open(t, mem, small(clock))
	j.Hold("reader", 0)
	mustAppend(t, j, "a")
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	o := small(clock)
	o.Epoch = 2
	j = open(t, mem, o)
	j.Hold("reader", 0).Advance(1)
	if j.First() != 2 {
		t.Fatalf("the oldest commit is %d", j.First())
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	clock.now--
	if _, err := Open(mem, "/j", small(clock)); quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("opened with the clock before the last commit: %v", err)
	}
}

func TestEpoch(t *testing.T) {
	mem := vfs.NewMem()
	for _, c := range []struct {
		epoch, want uint64
		kind        quantrac.ErrorKind
	}{{0, 1, 0}, {5, 5, 0}, {0, 5, 0}, {4, 0, quantrac.Conflict}, {5, 5, 0}, {6, 6, 0}} {
		o := small(nil)
		o.Epoch = c.epoch
		j, err := Open(mem, "/j", o)
		if quantrac.KindOf(err) != c.kind {
			t.Fatalf("epoch %d: %v", c.epoch, err)
		}
		if err != nil {
			continue
		}
		if j.Epoch() != c.want {
			t.Errorf("epoch %d, want %d", j.Epoch(), c.want)
		}
		mustAppend(t, j, "x")
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestSecondProcessIsRefused(t *testing.T) {
	for _, c := range []struct {
		fs  vfs.FS
		dir string
	}{{vfs.NewMem(), "/j"}, {vfs.OS(), t.TempDir()}} {
		j, err := Open(c.fs, c.dir, small(nil))
		if err != nil {
			t.Fatal(err)
		}
		if _, err := Open(c.fs, c.dir, small(nil)); !errors.Is(err, vfs.ErrLocked) || quantrac.KindOf(err) != quantrac.Unavailable {
			t.Errorf("opened twice: %v", err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		if j, err = Open(c.fs, c.dir, small(nil)); err != nil {
			t.Fatalf("after the first was closed: %v", err)
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
	}
}

func TestTooLarge(t *testing.T) {
	o := small(nil)
	o.MaxRecordBytes = 1000
	j := open(t, vfs.NewMem(), o)
	for _, recs := range [][]Record{
		{record(strings.Repeat("x", 1001))},
		{record(strings.Repeat("x", 600)), record(strings.Repeat("x", 401))},
		make([]Record, groupRecords+1),
	} {
		if _, err := j.Append(context.Background(), recs...); quantrac.KindOf(err) != quantrac.Invalid || !strings.Contains(err.Error(), "at most") {
			t.Errorf("%d records: %v", len(recs), err)
		}
	}
	mustAppend(t, j, strings.Repeat("x", 1000))
	if _, err := j.Append(context.Background(), make([]Record, groupRecords)...); err != nil {
		t.Error(err)
	}
	if cs, err := j.Append(context.Background()); cs != nil || err != nil {
		t.Errorf("an append of nothing: %v, %v", cs, err)
	}
	if n := j.Last().Number; n != groupRecords+1 {
		t.Errorf("last commit %d", n)
	}
}

func TestContextEndsBeforeQueueing(t *testing.T) {
	j := open(t, vfs.NewMem(), small(nil))
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := j.Append(ctx, record("x")); !errors.Is(err, context.Canceled) {
		t.Errorf("append: %v", err)
	}
	if n := j.Last().Number; n != 0 {
		t.Errorf("last commit %d", n)
	}
}

// TestPanickingCallback: a callback that panics takes nobody else down with it,
// and nothing is appended behind it.
func TestPanickingCallback(t *testing.T) {
	j := open(t, vfs.NewMem(), small(nil))
	j.OnCommit(func(e Entry) {
		if string(e.Data) == "boom" {
			panic("a broken invariant")
		}
	})
	mustAppend(t, j, "fine")
	func() {
		defer func() {
			if recover() == nil {
				t.Error("the panic was swallowed")
			}
		}()
		_, _ = j.Append(context.Background(), record("boom"))
	}()
	if _, err := j.Append(context.Background(), record("later")); quantrac.KindOf(err) != quantrac.Unavailable || !strings.Contains(err.Error(), "callback") {
		t.Errorf("append after a panic: %v", err)
	}
	if err := j.Close(); err != nil {
		t.Error(err)
	}
}

// TestCloseWaits: appends under way when the journal is closed are either
// durable or refused.
func TestCloseWaits(t *testing.T) {
	mem := vfs.NewMem()
	j := open(t, mem, small(nil))
	var wg sync.WaitGroup
	var acked atomic.Int64
	started := make(chan struct{}, 8)
	for range 8 {
		wg.Go(func() {
			for i := 0; ; i++ {
				if _, err := j.Append(context.Background(), record("x")); err != nil {
					if quantrac.KindOf(err) != quantrac.Unavailable {
						t.Error(err)
					}
					return
				}
				if acked.Add(1); i == 10 {
					started <- struct{}{}
				}
			}
		})
	}
	for range 8 {
		<-started
	}
	if err := j.Close(); err != nil {
		t.Fatal(err)
	}
	wg.Wait()
	if got := contents(t, open(t, mem.Crash(0), small(nil)), 0); int64(len(got)) != acked.Load() {
		t.Errorf("%d acknowledged, %d there", acked.Load(), len(got))
	}
}

// TestWaitingForRoom: calls that find the gathering group full wait for the
// next one, and can give up waiting.
func TestWaitingForRoom(t *testing.T) {
	var gate atomic.Bool
	writing, goOn := make(chan struct{}), make(chan struct{})
	fsys := vfs.Faulty(vfs.NewMem(), func(op vfs.Op) error {
		if op.Kind == vfs.OpWrite && gate.CompareAndSwap(true, false) {
			close(writing)
			<-goOn
		}
		return nil
	})
	o := small(nil)
	o.MaxRecordBytes = groupBytes
	j := open(t, fsys, o)
	gate.Store(true)
	var wg sync.WaitGroup
	wg.Go(func() { mustAppend(t, j, "first") })
	<-writing
	big := strings.Repeat("x", groupBytes/2)
	for range 3 { // one gathers, two find no room
		wg.Go(func() { mustAppend(t, j, big) })
	}
	waiting := func() bool {
		j.queue.Lock()
		defer j.queue.Unlock()
		return j.queue.room != nil
	}
	for !waiting() {
		runtime.Gosched()
	}
	ctx, cancel := context.WithCancel(context.Background())
	gaveUp := make(chan error)
	go func() {
		_, err := j.Append(ctx, record(big))
		gaveUp <- err
	}()
	cancel()
	if err := <-gaveUp; !errors.Is(err, context.Canceled) {
		t.Errorf("a call given up: %v", err)
	}
	close(goOn)
	wg.Wait()
	if n := j.Last().Number; n != 4 {
		t.Errorf("last commit %d", n)
	}
}
