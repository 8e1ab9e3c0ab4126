package rows

import (
	"math/rand/v2"
	"testing"
)

// TestMemory: what one head gave back comes clean to the next, runs in it are what
// runs on the heap are, and no more is kept than was used last.
func TestMemory(t *testing.T) {
	var spare Spare
	rnd := rand.New(rand.NewPCG(1, 9))
	r := &Row{Cols: []int{0, 1, 2}, Values: []float64{1, 2, 3}, Quality: []uint8{0, 0, Absent}}
	for _, n := range []int{20_000, 20_000, 2_000} {
		mem := spare.Memory()
		runs, want := [3]Run{}, [3]Run{}
		for i := range runs {
			runs[i], want[i] = NewRun(3, mem), NewRun(3, nil)
		}
		for i := range n {
			k := rnd.IntN(3)
			r.Time, r.Commit, r.Values[0] = int64(i), uint64(i), rnd.Float64()
			if got, heap := runs[k].Append(r), want[k].Append(r); got != heap {
				t.Fatalf("row %d grows the run by %d, on the heap by %d", i, got, heap)
			}
		}
		for i := range runs {
			a, b := &Table{}, &Table{}
			runs[i].Table(a, 0, runs[i].Len())
			want[i].Table(b, 0, want[i].Len())
			sameRows(t, a, b)
			for k := range runs[i].Len() {
				if v := runs[i].Value(k, 2); v != 0 {
					t.Fatalf("row %d has %v where it has no cell", k, v)
				}
			}
		}
		pieces := len(mem.all)
		if want := 1 + n*7/pieceWords; pieces < want-1 || pieces > want+1 {
			t.Errorf("%d rows take %d pieces, want about %d", n, pieces, want)
		}
		mem.Free()
		if len(spare.free) != pieces {
			t.Errorf("%d pieces are kept, %d were used", len(spare.free), pieces)
		}
	}
}
