package journal

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/synctest"

	"quantrac"
	"quantrac/internal/vfs"
)

// TestTailFollows: readers that start at different places see all in order
// while it is written, from memory and from files.
func TestTailFollows(t *testing.T) {
	for _, ringBytes := range []int{-1, 1024, 1 << 20} {
		t.Run(fmt.Sprint("ring ", ringBytes), func(t *testing.T) {
			o := small(nil)
			o.RingBytes = ringBytes
			j := open(t, vfs.NewMem(), o)
			const n = 2000
			text := func(i uint64) string { return fmt.Sprint("entry ", i, strings.Repeat("-", int(i)%70)) }
			for i := range uint64(30) {
				mustAppend(t, j, text(i+1))
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
						if err != nil || e.Number != next || string(e.Data) != text(next) {
							t.Errorf("reader %d: %v %q %v, want %d", r, e.Commit, e.Data, err, next)
							return
						}
						if next++; next == n+1 {
							cancel()
						}
					}
				})
			}
			for i := uint64(30); i < n; i++ {
				mustAppend(t, j, text(i+1))
			}
			wg.Wait()
		})
	}
}

// TestTailOfKinds: every entry comes, and data only with the kinds that are named,
// from memory as from the files.
func TestTailOfKinds(t *testing.T) {
	for _, ringBytes := range []int{-1, 500, 1 << 20} {
		t.Run(fmt.Sprint("ring ", ringBytes), func(t *testing.T) {
			o := small(nil)
			o.RingBytes = ringBytes
			j := open(t, vfs.NewMem(), o)
			const n = 300
			text := func(i uint64) string { return strings.Repeat(string(rune('a'+i%26)), int(i*31%80)) }
			kindOf := func(i uint64) quantrac.RecordKind { return quantrac.RecordKind(1 + i*i%5) }
			for i := range uint64(n) {
				if _, err := j.Append(t.Context(), Record{Kind: kindOf(i + 1), Data: []byte(text(i + 1))}); err != nil {
					t.Fatal(err)
				}
			}
			for _, from := range []uint64{0, n - 3} {
				next := from + 1
				for e, err := range j.Tail(t.Context(), from, 2, 5) {
					want := ""
					if k := kindOf(next); k == 2 || k == 5 {
						want = text(next)
					}
					if err != nil || e.Number != next || e.Kind != kindOf(next) || string(e.Data) != want || e.Size != frameSize+len(text(next)) {
						t.Fatalf("%+v %v, want commit %d of kind %d with %q", e, err, next, kindOf(next), want)
					}
					if next++; next > n {
						break
					}
				}
			}
		})
	}
}

// TestTailReadsNothingUnfinished: a reader that looks into a file while a write
// fails there must not keep what it saw.
func TestTailReadsNothingUnfinished(t *testing.T) {
	var armed atomic.Bool
	atCut, goOn := make(chan struct{}), make(chan struct{})
	fsys := vfs.Faulty(vfs.NewMem(), func(op vfs.Op) error {
		if !armed.Load() {
			return nil
		}
		switch op.Kind {
		case vfs.OpWrite:
			return &vfs.Fault{Err: syscall.EIO, Done: true}
		case vfs.OpTruncate:
			armed.Store(false)
			close(atCut)
			<-goOn
		}
		return nil
	})
	o := small(nil)
	o.RingBytes = -1
	j := open(t, fsys, o)
	mustAppend(t, j, "one")
	armed.Store(true)
	failed := make(chan error)
	go func() {
		_, err := j.Append(context.Background(), record("bad"))
		failed <- err
	}()
	<-atCut
	var got []string
	for e, err := range j.Tail(context.Background(), 0) {
		if err != nil {
			t.Fatal(err)
		}
		got = append(got, string(e.Data))
		if len(got) == 2 {
			break
		}
		close(goOn)
		if err := <-failed; !errors.Is(err, syscall.EIO) {
			t.Fatal(err)
		}
		mustAppend(t, j, "two")
	}
	equal(t, got, []string{"one", "two"})
}

// TestCloseEndsReaders: a reader in the middle of a long segment, or of what is
// in memory, does not go on to its end.
func TestCloseEndsReaders(t *testing.T) {
	for _, ring := range []int{-1, 1 << 20} {
		o := small(nil)
		o.RingBytes, o.SegmentBytes = ring, 1<<20
		j := open(t, vfs.NewMem(), o)
		for i := range 500 {
			mustAppend(t, j, fmt.Sprint(i))
		}
		read := 0
		err := j.Replay(context.Background(), 0, func(Entry) error {
			if read++; read == 3 {
				return j.Close()
			}
			return nil
		})
		if quantrac.KindOf(err) != quantrac.Unavailable || read != 3 {
			t.Errorf("ring of %d bytes: %d entries were read, closed after 3: %v", ring, read, err)
		}
	}
}

// TestTailWakes: a reader with nothing to read sleeps, and wakes for a commit,
// for the end of its context and for the journal's close.
func TestTailWakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		j := open(t, vfs.NewMem(), small(nil))
		ctx, cancel := context.WithCancel(context.Background())
		var got []string
		var ends [2]error
		var wg sync.WaitGroup
		for i, ctx := range []context.Context{ctx, context.Background()} {
			wg.Go(func() {
				for e, err := range j.Tail(ctx, 0) {
					if err != nil {
						ends[i] = err
					} else if i == 0 {
						got = append(got, string(e.Data))
					}
				}
			})
		}
		synctest.Wait()
		mustAppend(t, j, "a")
		synctest.Wait()
		equal(t, got, []string{"a"})
		mustAppend(t, j, "b", "c")
		synctest.Wait()
		equal(t, got, []string{"a", "b", "c"})
		cancel()
		synctest.Wait()
		if ends[1] != nil {
			t.Errorf("the other reader ended: %v", ends[1])
		}
		if err := j.Close(); err != nil {
			t.Fatal(err)
		}
		wg.Wait()
		if !errors.Is(ends[0], context.Canceled) || quantrac.KindOf(ends[1]) != quantrac.Unavailable {
			t.Errorf("readers ended with %v", ends)
		}
	})
}

func TestTailStops(t *testing.T) {
	j := open(t, vfs.NewMem(), small(nil))
	mustAppend(t, j, "a", "b", "c")
	n := 0
	for range j.Tail(context.Background(), 0) {
		if n++; n == 2 {
			break
		}
	}
	stop := errors.New("enough")
	err := j.Replay(context.Background(), 1, func(Entry) error { n++; return stop })
	if err != stop || n != 3 {
		t.Errorf("replay: %v after %d entries", err, n)
	}
	if err := j.Replay(context.Background(), 3, func(Entry) error { return stop }); err != nil {
		t.Errorf("replay of nothing: %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := j.Replay(ctx, 0, func(Entry) error { return nil }); !errors.Is(err, context.Canceled) {
		t.Errorf("replay in a context that has ended: %v", err)
	}
}

// TestReaderOfAnotherJournal: a reader that has seen more than there is was
// fed by another journal, or this one has lost its end.
func TestReaderOfAnotherJournal(t *testing.T) {
	j := open(t, vfs.NewMem(), small(nil))
	mustAppend(t, j, "a")
	for _, err := range j.Tail(context.Background(), 2) {
		if quantrac.KindOf(err) != quantrac.Conflict {
			t.Errorf("tail: %v", err)
		}
	}
	if err := j.Replay(context.Background(), 2, func(Entry) error { return nil }); quantrac.KindOf(err) != quantrac.Conflict {
		t.Errorf("replay: %v", err)
	}
}

func TestRing(t *testing.T) {
	frameOf := func(n uint64, size int) []byte {
		b := appendFrame(nil, &Record{Data: []byte(strings.Repeat(string(rune('a'+n%26)), size))}, 0)
		finishFrame(b, 0, quantrac.Commit{Number: n})
		return b
	}
	r := ring{buf: make([]byte, 300), first: 1}
	hint, next := uint64(0), uint64(1)
	for n := uint64(1); n <= 500; n++ {
		size := int(n*37) % 100
		if n%97 == 0 {
			size = 400 // larger than the ring
		}
		r.put(frameOf(n, size), n+1)
		if _, _, ok := r.read(nil, n+1, 0, 100, nil); ok {
			t.Fatalf("after commit %d the next one can be read", n)
		}
		for m := r.first; m <= n; m++ {
			got, _, ok := r.read(nil, m, 0, 1, nil)
			if !ok || parseFrame(got).entry.Number != m || len(got) != parseFrame(got).size {
				t.Fatalf("after commit %d, reading %d: %v", n, m, ok)
			}
		}
		if n%3 != 0 { // a reader that goes on from where it was
			continue
		}
		got, h, ok := r.read(nil, max(next, r.first), hint, 1<<20, nil)
		if ok {
			for next = max(next, r.first); len(got) > 0; next++ {
				fr := parseFrame(got)
				if fr.entry.Number != next {
					t.Fatalf("read %d, want %d", fr.entry.Number, next)
				}
				got = got[fr.size:]
			}
		}
		hint = h
	}
}
