package rows

import (
	"math/rand/v2"
	"testing"
)

// A log gives back the rows of each series as a run does that they were put into,
// and takes no more of one than it should and none that come late.
func TestLogIsRun(t *testing.T) {
	rnd := rand.New(rand.NewPCG(9, 9))
	var log Log
	last, want := make([]uint32, 300), make([]Run, 300)
	for i := range want {
		want[i] = NewRun(1, nil)
	}
	refused, commit := 0, uint64(1)<<40
	for i := range 4_000 {
		k := rnd.IntN(len(last))
		if commit++; rnd.IntN(500) == 0 {
			commit += 1 << logCommitBits
		}
		r := randomRow(rnd, int64(i/40+rnd.IntN(20)), commit, 1)
		fits := true
		switch rnd.IntN(40) {
		case 0:
			r.Received = r.Time + []int64{1 << 26, -1 << 26, 1<<27 - 1, 1<<27 - 2, -1<<27 + 1}[rnd.IntN(5)]
		case 1:
			r.Received, fits = r.Time+[]int64{1 << 27, 1 << 50, -1 << 27, -1 << 60}[rnd.IntN(4)], false
		case 2:
			r.Time, r.Received, fits = []int64{1 << 43, -1<<43 - 1, 1 << 60, -1 << 60}[rnd.IntN(4)], 0, false
		}
		run := &want[k]
		belongs := fits && run.Len() < maxLogged && (run.Len() == 0 || r.Time >= run.Last())
		place, ok := log.Append(last[k], r)
		if ok != belongs {
			t.Fatalf("row %d of a series, at %d after %d: taken %v, want %v", run.Len(), r.Time, run.last, ok, belongs)
		}
		if !ok {
			refused++
			continue
		}
		last[k] = place
		run.Append(r)
	}
	if refused == 0 {
		t.Error("no row was refused")
	}
	var words []uint64
	for k := range want {
		if last[k] == 0 {
			continue
		}
		var got Run
		got, words = log.Run(last[k], words, nil)
		a, b := &Table{}, &Table{}
		got.Table(a, 0, got.Len())
		want[k].Table(b, 0, want[k].Len())
		sameRows(t, a, b)
		if got.Repeats != want[k].Repeats || got.Humans != want[k].Humans || got.MaxCommit != want[k].MaxCommit || got.Last() != want[k].Last() {
			t.Fatalf("repeats %v humans %v to commit %d and time %d, want %v %v %d %d", got.Repeats, got.Humans, got.MaxCommit, got.Last(), want[k].Repeats, want[k].Humans, want[k].MaxCommit, want[k].Last())
		}
		next := &Row{Time: got.Last() + 1, Commit: 1 << 60, Cols: []int{0}, Values: []float64{7}, Quality: []uint8{1}}
		if got.Append(next); got.Len() != want[k].Len()+1 {
			t.Fatalf("%d rows after one more, want %d", got.Len(), want[k].Len()+1)
		}
	}
}
