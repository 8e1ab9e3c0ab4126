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
	m := new(Merger).Merge([]*Table{a, b, c})
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
	if !m.Repeats || !m.Humans || m.MaxCommit != 7 {
		t.Errorf("repeats %v humans %v max commit %d", m.Repeats, m.Humans, m.MaxCommit)
	}
}

// TestMergeIsRowByRow joins random tables, some of few rows between others', and
// compares with the same rows put one by one.
func TestMergeIsRowByRow(t *testing.T) {
	var m Merger // its memory is used again
	for seed := range uint64(300) {
		rnd := rand.New(rand.NewPCG(seed, 3))
		tables := make([]*Table, 1+rnd.IntN(4))
		for i := range tables {
			tables[i] = &Table{}
		}
		columns, time := 1+rnd.IntN(4), int64(0)
		var all []Row
		for commit := range uint64(rnd.IntN(60)) {
			if time += int64(rnd.IntN(4)); rnd.IntN(3) > 0 {
				time += 5
			}
			r := randomRow(rnd, time, commit, columns)
			r.Cols, r.Quality, r.Values = append(r.Cols, columns), append(r.Quality, 1), append(r.Values, 0) // no row is empty
			for k := range r.Values {
				r.Values[k] = float64(rnd.IntN(3))
			}
			tables[rnd.IntN(len(tables))].Append(r)
			all = append(all, *r)
		}
		slow := Merger{}
		for i := range all {
			one := &Table{}
			one.Append(&all[i])
			for c := range one.Cols {
				one.Cols[c].reach(1)
			}
			slow.add(one, 0)
		}
		got := m.Merge(tables)
		sameRows(t, got, &slow.out)
		if got.Humans != slow.out.Humans || got.MaxCommit != slow.out.MaxCommit {
			t.Errorf("seed %d: humans %t to commit %d, want %t %d", seed, got.Humans, got.MaxCommit, slow.out.Humans, slow.out.MaxCommit)
		}
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
}
