package rows

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// A run gives back the rows that were put into it, as a table made of the same
// rows has them: of few and of many columns, wider as it grows.
func TestRunIsTable(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	for range 300 {
		columns := 1 + rnd.IntN(40)
		fresh, want := NewRun(rnd.IntN(columns+1), nil), &Table{}
		run := &fresh
		time := int64(-5)
		var held []Run
		for i := range 1 + rnd.IntN(70) {
			if rnd.IntN(5) > 0 {
				time += int64(rnd.IntN(3))
			}
			r := randomRow(rnd, time, uint64(i), columns)
			run.Append(r)
			want.Append(r)
			if rnd.IntN(10) == 0 {
				held = append(held, *run)
			}
		}
		got := &Table{}
		run.Table(got, 0, run.Len())
		sameRows(t, got, want)
		run.Table(got, 0, run.Len()) // its memory again
		sameRows(t, got, want)
		if run.Repeats != want.Repeats || run.Humans != want.Humans || run.MaxCommit != want.MaxCommit {
			t.Errorf("repeats %v humans %v to commit %d, want %v %v %d", run.Repeats, run.Humans, run.MaxCommit, want.Repeats, want.Humans, want.MaxCommit)
		}
		for _, at := range []int64{-9, 0, 3, time, time + 1} {
			if got, want := run.Find(at), want.Find(at); got != want {
				t.Errorf("Find(%d) = %d, want %d", at, got, want)
			}
		}
		for _, h := range held { // what is appended later does not change what is held
			h.Table(got, 0, h.Len())
			sameRows(t, got, cut(want, h.Len()))
		}
	}
}

func TestJoinKeepsEveryRow(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 8))
	for range 300 {
		a, b := NewRun(1, nil), NewRun(3, nil)
		var all []*Row
		for i := range 1 + rnd.IntN(50) {
			r := randomRow(rnd, int64(i), uint64(i), 20)
			all = append(all, r)
			if rnd.IntN(3) == 0 {
				b.Append(r)
			} else {
				a.Append(r)
			}
		}
		want := &Table{}
		for _, r := range all {
			want.Append(r)
		}
		got := Join(&a, &b)
		table := &Table{}
		got.Table(table, 0, got.Len())
		sameRows(t, table, want)
	}
}

func randomRow(rnd *rand.Rand, time int64, commit uint64, columns int) *Row {
	r := &Row{Time: time, Commit: commit, Received: int64(rnd.IntN(3)) * -77, Kind: uint8(rnd.IntN(3))}
	for c := range columns {
		if rnd.IntN(3) > 0 {
			continue
		}
		q := uint8(rnd.IntN(5))
		if rnd.IntN(9) == 0 {
			q = Absent
		}
		r.Cols, r.Values, r.Quality = append(r.Cols, c), append(r.Values, rnd.NormFloat64()), append(r.Quality, q)
	}
	return r
}

func cut(t *Table, n int) *Table {
	out := *t
	out.Times, out.Commits, out.Received, out.Kinds = t.Times[:n], t.Commits[:n], t.Received[:n], t.Kinds[:n]
	return &out
}

func sameRows(t *testing.T, got, want *Table) {
	t.Helper()
	if !slices.Equal(got.Times, want.Times) || !slices.Equal(got.Commits, want.Commits) ||
		!slices.Equal(got.Received, want.Received) || !slices.Equal(got.Kinds, want.Kinds) {
		t.Fatalf("shared columns differ:\n%v\n%v", got, want)
	}
	for row := range want.Len() {
		for c := range max(len(want.Cols), len(got.Cols)) {
			q := want.Quality(row, c)
			if got.Quality(row, c) != q {
				t.Fatalf("row %d column %d: quality %d, want %d", row, c, got.Quality(row, c), q)
			}
			if q != Absent && math.Float64bits(got.Value(row, c)) != math.Float64bits(want.Value(row, c)) {
				t.Fatalf("row %d column %d: %v, want %v", row, c, got.Value(row, c), want.Value(row, c))
			}
		}
	}
}
