package journal

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
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

func TestTailFollows(t *testing.T) {
	j := open(t, vfs.NewMem(), small(nil))
	const n = 2000
	for i := range 30 {
		mustAppend(t, j, fmt.Sprint("entry ", i+1))
	}
	var wg sync.WaitGroup
	for r := range 4 {
		ctx, cancel := context.WithCancel(context.Background())
		wg.Go(func() {
			defer cancel()
			next := uint64(r*10) + 1
			for e, err := range j.Tail(ctx, next-1) {
				if next == n+1 {
					if !errors.Is(err, context.Canceled) {
						t.Errorf("at the end: %v", err)
					}
					return
				}
				if err != nil || e.Number != next || string(e.Data) != fmt.Sprint("entry ", next) {
					t.Errorf("reader %d: %v %q %v, want %d", r, e.Commit, e.Data, err, next)
					return
				}
				if next++; next == n+1 {
					cancel()
				}
			}
		})
	}
	for i := 30; i < n; i++ {
		mustAppend(t, j, fmt.Sprint("entry ", i+1))
	}
	wg.Wait()
}

func TestTailBehindAtFirst(t *testing.T) {
	j := open(t, vfs.NewMem(), small(nil))
	mustAppend(t, j, "a")
	for _, err := range j.Tail(context.Background(), 2) {
		if quantrac.KindOf(err) != quantrac.Conflict {
			t.Errorf("a reader ahead of the journal: %v", err)
		}
	}
}
