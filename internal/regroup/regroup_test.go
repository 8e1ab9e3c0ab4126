package regroup

import (
	"fmt"
	"math"
	"math/rand/v2"
	"runtime"
	"slices"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
)

type added struct {
	series quantrac.Labels
	times  []quantrac.Millis
	revs   []quantrac.Revision
}

// random makes stretches of a few series in any order, with values told again.
func random(rnd *rand.Rand) (out []added) {
	for range 1 + rnd.IntN(60) {
		a := added{series: quantrac.NewLabels(quantrac.LabelMetric, fmt.Sprint("m", rnd.IntN(4)), "station", fmt.Sprint(rnd.IntN(3)))}
		at := quantrac.Millis(rnd.IntN(50) - 25)
		for range 1 + rnd.IntN(30) {
			at += quantrac.Millis(rnd.IntN(3))
			r := quantrac.Revision{Value: math.Float64frombits(rnd.Uint64()), Quality: quantrac.Quality(rnd.IntN(5))}
			if rnd.IntN(4) == 0 {
				r.Received = at + quantrac.Millis(rnd.IntN(5)-2)
			}
			a.times, a.revs = append(a.times, at), append(a.revs, r)
		}
		out = append(out, a)
	}
	return out
}

// naive is what the rows have to say: the last value of each series and time.
func naive(all []added) map[string]string {
	out := map[string]string{}
	for _, a := range all {
		for i, t := range a.times {
			r := a.revs[i]
			out[fmt.Sprintf("%v@%d", a.series, int64(t))] = fmt.Sprintf("%x %d %d", math.Float64bits(r.Value), r.Quality, int64(r.Received))
		}
	}
	return out
}

func rowsOf(t *testing.T, all []added, o Options) (rows []string, said map[string]string) {
	t.Helper()
	s := New(o)
	total := int64(0)
	for _, a := range all {
		if err := s.Add(a.series, a.times, a.revs); err != nil {
			t.Fatal(err)
		}
		total += int64(len(a.times))
	}
	said = map[string]string{}
	groups := map[string]bool{} // that are over
	var last quantrac.Row
	err := s.Rows(func(r *quantrac.Row) error {
		rows = append(rows, fmt.Sprintf("%v %d %d %v", r.Group, r.Time, r.Received, r.Cells))
		if !r.Group.Equal(last.Group) {
			if groups[r.Group.Key()] {
				t.Errorf("group %v comes again", r.Group)
			}
			groups[r.Group.Key()] = true
		} else if r.Time < last.Time {
			t.Errorf("%v: time %d after %d", r.Group, r.Time, last.Time)
		}
		last = *r
		for _, c := range r.Cells {
			key := fmt.Sprintf("%v@%d", r.Group.With(quantrac.LabelMetric, c.Property), int64(r.Time))
			if said[key] != "" {
				t.Errorf("%s is said twice", key)
			}
			said[key] = fmt.Sprintf("%x %d %d", math.Float64bits(c.Value), c.Quality, int64(r.Received))
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if n, beaten := s.Values(); n != total || beaten != total-int64(len(said)) {
		t.Errorf("%d added, %d beaten; want %d, %d", n, beaten, total, total-int64(len(said)))
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	return rows, said
}

// TestRows: rows say all there is, in order, and the same with little memory.
func TestRows(t *testing.T) {
	for seed := range uint64(50) {
		all := random(rand.New(rand.NewPCG(seed, 1)))
		mem := vfs.NewMem()
		if err := mem.MkdirAll("t", 0o700); err != nil {
			t.Fatal(err)
		}
		rows, said := rowsOf(t, all, Options{})
		if want := naive(all); fmt.Sprint(said) != fmt.Sprint(want) {
			t.Fatalf("seed %d: rows say\n%v, want\n%v", seed, said, want)
		}
		spilled, _ := rowsOf(t, all, Options{Memory: 1, FS: mem, File: "t/x"})
		if !slices.Equal(rows, spilled) {
			t.Fatalf("seed %d: other rows by way of the file", seed)
		}
		if names, err := mem.ReadDir("t"); err != nil || len(names) > 0 {
			t.Fatalf("left behind: %v, %v", names, err)
		}
	}
}

// TestNoFile: without a file what does not fit is refused.
func TestNoFile(t *testing.T) {
	s := New(Options{Memory: 1})
	err := s.Add(quantrac.NewLabels(quantrac.LabelMetric, "m"), make([]quantrac.Millis, 100), make([]quantrac.Revision, 100))
	if quantrac.KindOf(err) != quantrac.Invalid {
		t.Errorf("%v, want Invalid", err)
	}
}

// TestMemory: many values take little memory.
func TestMemory(t *testing.T) {
	dir := t.TempDir()
	s := New(Options{Memory: 4 << 20, FS: vfs.OS(), File: dir + "/runs"})
	times, revs := make([]quantrac.Millis, 1000), make([]quantrac.Revision, 1000)
	peak := uint64(0)
	look := func() {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		peak = max(peak, m.HeapAlloc)
	}
	look()
	before := peak
	const stretches = 600
	for i := range stretches {
		for k := range times {
			times[k] = quantrac.Millis(i/4*1000 + k)
		}
		if err := s.Add(quantrac.NewLabels(quantrac.LabelMetric, fmt.Sprint("m", i%4), "station", "a"), times, revs); err != nil {
			t.Fatal(err)
		}
		if i%50 == 0 {
			look()
		}
	}
	n := 0
	err := s.Rows(func(r *quantrac.Row) error {
		if n++; n%20000 == 0 {
			look()
		}
		if len(r.Cells) != 4 {
			return fmt.Errorf("a row of %d values, want 4", len(r.Cells))
		}
		return nil
	})
	if err != nil || n != stretches/4*1000 {
		t.Fatalf("%d rows, %v", n, err)
	}
	if most := uint64(12 << 20); peak-before > most {
		t.Errorf("%d bytes of memory for %d values, want %d at most", peak-before, stretches*1000, most)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
}

// TestFaults: a file that cannot be written or read is an error.
func TestFaults(t *testing.T) {
	all := random(rand.New(rand.NewPCG(2, 2)))
	failed := 0
	for k := 0; ; k++ {
		n := 0
		fsys := vfs.Faulty(vfs.NewMem(), func(vfs.Op) error {
			if n++; n == k+1 {
				return fmt.Errorf("operation %d fails", k)
			}
			return nil
		})
		s := New(Options{Memory: 1, FS: fsys, File: "x"})
		var err error
		for i := 0; i < len(all) && err == nil; i++ {
			err = s.Add(all[i].series, all[i].times, all[i].revs)
		}
		if err == nil {
			err = s.Rows(func(*quantrac.Row) error { return nil })
		}
		if closed := s.Close(); err == nil {
			err = closed
		}
		if n <= k {
			break
		}
		if failed++; err == nil {
			t.Fatalf("operation %d failed and nobody said so", k)
		}
	}
	if failed < 10 {
		t.Errorf("%d operations, want more", failed)
	}
}

// TestGreatest: in whatever order, and by way of the file too.
func TestGreatest(t *testing.T) {
	series := quantrac.NewLabels(quantrac.LabelMetric, "m")
	for _, memory := range []int64{0, 1} {
		s := New(Options{Memory: memory, FS: vfs.NewMem(), File: "x", Greatest: true})
		for i := range 100 {
			v := float64((i * 37) % 100)
			if err := s.Add(series, []quantrac.Millis{5}, []quantrac.Revision{{Value: v}}); err != nil {
				t.Fatal(err)
			}
		}
		err := s.Rows(func(r *quantrac.Row) error {
			if len(r.Cells) != 1 || r.Cells[0].Value != 99 {
				t.Errorf("%v, want 99", r.Cells)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
	}
}
