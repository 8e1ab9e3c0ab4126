package block

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"quantrac"
	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/rows"
)

// sonde is a month of a station whose salinity follows from its conductance, each
// with cells that are not there, missing, infinite or NaN.
func sonde() sample {
	rnd := rand.New(rand.NewPCG(5, 6))
	t := &rows.Table{}
	level := 20.0
	for i := range 2880 {
		if level += rnd.NormFloat64() / 8; i > 400 && i < 450 {
			continue
		}
		cond := math.Round(level*100) / 100
		r := &rows.Row{
			Time: 1_790_000_000_000 + 900_000*int64(i), Commit: uint64(i + 1), Cols: []int{0, 1, 2},
			Values:  []float64{math.Round(10*(0.3+0.6*cond+0.002*cond*cond)) / 10, cond, math.Round(rnd.NormFloat64()*8) / 4},
			Quality: []uint8{1, 1, 1},
		}
		switch {
		case i < 3 || i%301 == 7:
			r.Cols, r.Values, r.Quality = []int{0, 2}, []float64{r.Values[0], 1}, []uint8{1, 1}
		case i%401 == 9:
			r.Values[1] = math.Inf(1)
		case i%401 == 10:
			r.Values[1], r.Quality[1] = math.NaN(), missing
		case i%401 == 11:
			r.Values[1] = math.NaN()
		case i%501 == 12:
			r.Values[0], r.Quality[0] = math.NaN(), missing
		case i%501 == 13:
			r.Cols, r.Values, r.Quality = []int{1, 2}, []float64{r.Values[1], 2}, []uint8{1, 1}
		case i%701 == 14:
			r.Values[0] = math.Pi
		}
		t.Append(r)
	}
	return sample{labels: quantrac.NewLabels("station", "sonde"), props: []string{"sal", "cond", "wind"}, table: t}
}

// sondeChunk opens the chunk of a block of the sonde.
func sondeChunk(t *testing.T) (*Reader, *Group, *Data) {
	t.Helper()
	r, groups, err := open(t, writeAs(t, []sample{sonde()}, true))
	if err != nil {
		t.Fatal(err)
	}
	g := &groups[0].Group
	if len(g.Chunks) != 1 {
		t.Fatalf("%d chunks, want one of a month of quarter-hours", len(g.Chunks))
	}
	var d Data
	if _, err := r.Read(&d, &g.Chunks[0], len(g.Properties), nil); err != nil {
		t.Fatal(err)
	}
	return r, g, &d
}

// What follows from another column takes little, and comes back bit for bit, by
// itself and with all others.
func TestBeside(t *testing.T) {
	r, g, d := sondeChunk(t)
	s := sonde()
	table, err := r.Table(g)
	if err != nil {
		t.Fatal(err)
	}
	if err := sameTable(table, s.table, 3); err != nil {
		t.Error(err)
	}
	if err := r.Verify(nil); err != nil {
		t.Error(err)
	}
	others, err := codec.FloatsBeside(d.sections[sharedSections+1])
	if err != nil || len(others) != 1 || others[0] != 1 {
		t.Errorf("salinity is told beside columns %d, %v, want conductance", others, err)
	}
	if n := len(d.sections[sharedSections+1]); n*8 > 3*s.table.Len() {
		t.Errorf("salinity takes %d bytes, %d rows", n, s.table.Len())
	}
	for c := range s.props {
		var alone Data
		if _, err := r.Read(&alone, &g.Chunks[0], len(g.Properties), nil); err != nil {
			t.Fatal(err)
		}
		for range 2 { // what has been read is used again
			col, err := alone.Column(rows.Column{}, c, math.NaN())
			if err != nil {
				t.Fatal(err)
			}
			for i, v := range col.Values {
				if q := s.table.Quality(i, c); col.Qualities[i] != q || q < missing && math.Float64bits(v) != math.Float64bits(s.table.Value(i, c)) {
					t.Fatalf("%s row %d is %v of quality %d", s.props[c], i, v, col.Qualities[i])
				}
			}
		}
	}
}

// Columns that lean on themselves, on one that leans on others or on none that is
// there are errors, and so is damage in the one that they lean on; others are read.
func TestBesideDamaged(t *testing.T) {
	const sal, cond, wind = sharedSections + 1, sharedSections + 3, sharedSections + 5
	for name, c := range map[string]struct {
		damage func(sections [][]byte)
		want   string
	}{
		"itself":       {func(s [][]byte) { s[sal][2] = 0 }, "does not stand alone"},
		"none":         {func(s [][]byte) { s[sal][2] = 77 }, "there is none"},
		"one another":  {func(s [][]byte) { s[cond] = append([]byte{4, 1, 2}, s[cond]...) }, "does not stand alone"},
		"damaged head": {func(s [][]byte) { s[cond] = s[cond][:3] }, "column 1"},
		"cut":          {func(s [][]byte) { s[cond] = s[cond][:len(s[cond])/2] }, "column 1"},
	} {
		_, _, d := sondeChunk(t)
		c.damage(d.sections)
		if _, err := d.Column(rows.Column{}, 0, math.NaN()); err == nil || !strings.Contains(err.Error(), c.want) || quantrac.KindOf(err) != quantrac.Corrupt {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := d.Column(rows.Column{}, 2, math.NaN()); err != nil {
			t.Errorf("%s: another column: %v", name, err)
		}
	}
}

// Columns that have nothing to do with one another are told as before, and seldom
// tried.
func TestBesideSeldomTried(t *testing.T) {
	b := beside{tries: map[string]*tries{}}
	tried := 0
	for range 10_000 {
		if b.allowed("x") {
			tried++
			b.failed("x")
		}
	}
	if tried < 3 || tried > 12 {
		t.Errorf("tried %d times", tried)
	}
}
