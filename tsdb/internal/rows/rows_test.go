package rows

import (
	"math/rand/v2"
	"testing"

	"quantrac"
)

// Pick is quantrac.Visible, for any revisions and any as-of.
func TestPickIsVisible(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for range 20000 {
		var revs []quantrac.Revision
		var cells []Cell
		revoked := map[uint64]uint64{}
		n := 1 + rnd.IntN(6)
		for i := range n {
			c := Cell{Commit: uint64(i + 1), Value: float64(rnd.IntN(3)), Kind: uint8(rnd.IntN(3)), Quality: uint8(rnd.IntN(5))}
			r := quantrac.Revision{Value: c.Value, Quality: quantrac.Quality(c.Quality), Commit: quantrac.Commit{Number: c.Commit}}
			if c.Kind == Human {
				r.Layer = quantrac.LayerHuman
				if rnd.IntN(3) == 0 {
					r.Revoked = c.Commit + uint64(1+rnd.IntN(4))
					revoked[c.Commit] = r.Revoked
				}
			}
			cells = append(cells, c)
			if c.Kind == Reading && seenBefore(cells[:i], c.Value) {
				continue // the oracle never has it
			}
			revs = append(revs, r)
		}
		v := View{AsOf: uint64(1 + rnd.IntN(n+3)), DeviceOnly: rnd.IntN(3) == 0, Revoked: func(c uint64) uint64 { return revoked[c] }}
		want := quantrac.Visible(revs, v.AsOf, v.DeviceOnly)
		got := v.Pick(cells)
		if (want == nil) != (got < 0) || want != nil && want.Commit.Number != cells[got].Commit {
			t.Fatalf("cells %+v revoked %v as of %d device only %v: picked %d, Visible says %+v", cells, revoked, v.AsOf, v.DeviceOnly, got, want)
		}
	}
}

func TestMergeDropsRedelivered(t *testing.T) {
	put := func(tb *Table, time int64, commit uint64, kind uint8, v ...float64) {
		r := &Row{Time: time, Commit: commit, Kind: kind}
		for i, x := range v {
			if x >= 0 {
				r.Cols, r.Values, r.Quality = append(r.Cols, i), append(r.Values, x), append(r.Quality, 0)
			}
		}
		tb.Append(r)
	}
	a, b, c := &Table{}, &Table{}, &Table{}
	put(a, 10, 1, Reading, 1, 5)
	put(a, 10, 3, Reading, 2)
	put(a, 20, 4, Reading, 9)
	put(b, 10, 2, Human, 7)
	put(b, 10, 5, Reading, 1, 6) // 1 again
	put(b, 20, 6, Forecast, 9)   // again, but a forecast
	put(c, 20, 7, Reading, -1, 3)
	put(c, 20, 8, Reading, 9)
	m := Merge([]*Table{a, b, c}, -1<<62, 1<<62)
	type row struct {
		time   int64
		commit uint64
		q0, q1 uint8
	}
	want := []row{{10, 1, 0, 0}, {10, 2, 0, Absent}, {10, 3, 0, Absent}, {10, 5, Absent, 0}, {20, 4, 0, Absent}, {20, 6, 0, Absent}, {20, 7, Absent, 0}}
	if m.Len() != len(want) {
		t.Fatalf("%d rows, want %d: %+v", m.Len(), len(want), m)
	}
	for i, w := range want {
		if got := (row{m.Times[i], m.Commits[i], m.Quality(i, 0), m.Quality(i, 1)}); got != w {
			t.Errorf("row %d: got %v, want %v", i, got, w)
		}
	}
	if !m.Repeats || !m.Humans || m.MaxCommit != 7 || m.Cells != 8 {
		t.Errorf("repeats %v humans %v max commit %d cells %d", m.Repeats, m.Humans, m.MaxCommit, m.Cells)
	}
	if part := Merge([]*Table{a, b, c}, 20, 20); part.Len() != 3 {
		t.Errorf("from 20 to 20: %d rows, want 3", part.Len())
	}
}
