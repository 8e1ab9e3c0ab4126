package backup

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/vfs"
)

// aged is a store whose objects are older than they are.
type aged struct {
	Store
	mu  sync.Mutex
	age map[string]time.Duration
	now time.Time
}

func (a *aged) List(ctx context.Context, prefix string, each func(Object) error) error {
	return a.Store.List(ctx, prefix, func(o Object) error {
		a.mu.Lock()
		o.Modified = a.now.Add(-a.age[o.Name])
		a.mu.Unlock()
		return each(o)
	})
}

func (a *aged) set(name string, age time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.age[name] = age
}

func (a *aged) names(t *testing.T, prefix string) (out []string) {
	t.Helper()
	if err := a.List(t.Context(), prefix, func(o Object) error { out = append(out, o.Name); return nil }); err != nil {
		t.Fatal(err)
	}
	return out
}

func newAged() *aged {
	return &aged{Store: Folder(vfs.NewMem(), "/"), age: map[string]time.Duration{}, now: time.Unix(1e9, 0)}
}

func sourceOf(t *testing.T, texts ...string) Source {
	t.Helper()
	m := vfs.NewMem()
	for i, text := range texts {
		if err := vfs.WriteFile(m, fmt.Sprintf("/%d", i), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return Source{FS: m, Dir: "/"}
}

// Prune deletes what no backup names, but for what is young, and nothing when
// asked to only say it.
func TestPrune(t *testing.T) {
	s := newAged()
	clock := quantrac.NewManualClock(1_800_000_000_000)
	target := New(s, Options{Clock: clock})
	for i, texts := range [][]string{{"shared", "first"}, {"shared", "second"}, {"shared", "third"}} {
		clock.Advance(24 * time.Hour)
		if _, _, err := target.Create(t.Context(), sourceOf(t, texts...), Info{Name: fmt.Sprint(i)}); err != nil {
			t.Fatal(err)
		}
	}
	first, second := nameOf([]byte("first")).object(), nameOf([]byte("second")).object()
	leftover := unfinished + "/x.tmp"
	if err := s.Put(t.Context(), leftover, []byte("cut short")); err != nil {
		t.Fatal(err)
	}
	s.set(first, 2*grace)
	s.set(nameOf([]byte("shared")).object(), 2*grace)
	s.set(leftover, 2*grace)
	if _, err := target.Prune(t.Context(), Keep{}, false); quantrac.KindOf(err) != quantrac.Invalid {
		t.Errorf("keep nothing: %v", err)
	}
	for _, dry := range []bool{true, false} {
		got, err := target.Prune(t.Context(), Keep{Daily: 1}, dry)
		if err != nil || len(got.Deleted) != 2 || got.Pieces != 1 || got.Bytes != int64(len("qtrpiec1_first")+len("cut short")) {
			t.Errorf("dry %t: %+v, %v", dry, got, err)
		}
		if left := s.names(t, pieceFolder); slices.Contains(left, first) != dry || !slices.Contains(left, second) {
			t.Errorf("dry %t: left are %v", dry, left)
		}
	}
	if slices.Contains(s.names(t, ""), leftover) {
		t.Error("what was cut short is there still")
	}
	if got, err := target.Verify(t.Context(), "", false); err != nil || got.Err() != nil || got.Backups != 1 {
		t.Errorf("what is left: %+v, %v", got, err)
	}
}

// Create and Prune give way to each other, until who is at work has not been
// heard of for a while.
func TestClaims(t *testing.T) {
	s := newAged()
	target := New(s, Options{})
	src := sourceOf(t, "text")
	if _, _, err := target.Create(t.Context(), src, Info{Name: "one"}); err != nil {
		t.Fatal(err)
	}
	prune := func() error { _, err := target.Prune(t.Context(), Keep{Last: 1}, false); return err }
	made := func(name string) error { _, _, err := target.Create(t.Context(), src, Info{Name: name}); return err }
	for _, c := range []struct {
		why           purpose
		create, prune quantrac.ErrorKind
	}{{shipping, quantrac.KindNone, quantrac.Busy}, {deleting, quantrac.Busy, quantrac.Busy}} {
		_, claim, err := target.claim(t.Context(), c.why)
		if err != nil {
			t.Fatal(err)
		}
		if err := made("beside-" + string(c.why)); quantrac.KindOf(err) != c.create || (err == nil) != (c.create == quantrac.KindNone) {
			t.Errorf("create beside a %s: %v", c.why, err)
		}
		if err := prune(); quantrac.KindOf(err) != c.prune || !strings.Contains(err.Error(), string(c.why)) {
			t.Errorf("prune beside a %s: %v", c.why, err)
		}
		if left := s.names(t, claimFolder); len(left) != 1 {
			t.Errorf("who gave way left %v", left)
		}
		s.set(claim.name, target.life+time.Second) // as it is killed
		if err := made("after-" + string(c.why)); err != nil {
			t.Errorf("create long after a %s: %v", c.why, err)
		}
		if err := prune(); err != nil {
			t.Errorf("prune long after a %s: %v", c.why, err)
		}
		if left := s.names(t, claimFolder); len(left) != 0 {
			t.Errorf("prune left %v", left)
		}
		claim.release(t.Context())
	}
}

// deaf is a store that takes no claims any more once it is told so.
type deaf struct {
	Store
	mu sync.Mutex
	on bool
}

func (d *deaf) Put(ctx context.Context, name string, data []byte) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.on && strings.HasPrefix(name, claimFolder) {
		return errors.New("no")
	}
	return d.Store.Put(ctx, name, data)
}

// Who cannot renew its claim in time writes no manifest.
func TestClaimLost(t *testing.T) {
	d := &deaf{Store: Folder(vfs.NewMem(), "/")}
	target := New(d, Options{})
	target.life = 30 * time.Millisecond
	work, claim, err := target.claim(t.Context(), shipping)
	if err != nil {
		t.Fatal(err)
	}
	d.mu.Lock()
	d.on = true
	d.mu.Unlock()
	<-work.Done()
	if err := context.Cause(work); quantrac.KindOf(err) != quantrac.Unavailable || claim.fresh() == nil {
		t.Errorf("%v", err)
	}
	claim.release(t.Context())
}

// Backups that are made while others are pruned are whole, though all of them
// share pieces and every piece is old enough to be deleted.
func TestCreateBesidePrune(t *testing.T) {
	s := newAged()
	old := &old{s}
	target := New(old, Options{Workers: 2})
	if _, _, err := target.Create(t.Context(), sourceOf(t, "0", "1"), Info{Name: "first"}); err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	var made, pruned atomic.Int64
	for who := range 3 {
		wg.Go(func() {
			for i := range 60 {
				src := sourceOf(t, fmt.Sprint(i%3), fmt.Sprint((i+who)%4))
				_, _, err := target.Create(t.Context(), src, Info{Name: fmt.Sprintf("%d-%d", who, i)})
				if err == nil {
					made.Add(1)
				} else if quantrac.KindOf(err) != quantrac.Busy {
					t.Error(err)
				}
			}
		})
	}
	wg.Go(func() {
		for range 200 {
			_, err := target.Prune(t.Context(), Keep{Last: 1}, false)
			if err == nil {
				pruned.Add(1)
			} else if quantrac.KindOf(err) != quantrac.Busy {
				t.Error(err)
			}
			got, err := target.Verify(t.Context(), "", true)
			if k := quantrac.KindOf(err); err != nil && k != quantrac.Busy || got.Err() != nil {
				t.Error(err, got.Damage)
			}
		}
	})
	wg.Wait()
	if made.Load() == 0 || pruned.Load() == 0 {
		t.Errorf("%d backups made, %d times pruned: nothing met", made.Load(), pruned.Load())
	}
}

// old shows every piece as old.
type old struct{ *aged }

func (o *old) List(ctx context.Context, prefix string, each func(Object) error) error {
	return o.aged.List(ctx, prefix, func(ob Object) error {
		if strings.HasPrefix(ob.Name, pieceFolder) {
			ob.Modified = ob.Modified.Add(-2 * grace)
		}
		return each(ob)
	})
}
