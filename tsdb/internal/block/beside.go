package block

import (
	"cmp"
	"math"
	"slices"

	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/rows"
)

// What a station measures hangs together: salinity follows from conductance,
// gusts from wind. In chunks that are written small a column may be told beside
// others of the chunk, which are told beside none: who reads it reads those, and
// no more. Telling and reading so takes far longer, about a microsecond a value:
// it is chosen where it saves a twentieth of a column's bytes, or, for a column
// that is told so beside none, a twelfth and a byte of every 24 values.

const (
	minBesideRows  = 256
	minBesideBytes = 64
	maxBesideCols  = 16 // of a chunk that are looked at, those of the most bytes
	maxOthers      = 3

	// A column is told otherwise where that saves such a part of its bytes, and
	// alone at least a byte of so many values.
	besideGain  = 20
	aloneGain   = 12
	aloneValues = 24

	worthTrying = 0.02 // of a column's bytes, by a guess
	worthMore   = 0.02 // of the spread that is left, for one column more
)

// beside chooses columns to be told beside others.
type beside struct {
	tries map[string]*tries // by property
	cols  []besideColumn
	body  []byte
}

// tries is how it went before for a property. Where nothing was gained, it is
// tried the less often: trying takes several times as long as all the rest.
type tries struct{ failed, skip int }

// besideColumn is a column of a chunk.
type besideColumn struct {
	name    string
	number  int // in the chunk
	section []byte
	full    []float64 // a value for each row
	values  []float64 // those that are stored
	at      []int     // and their rows
	others  []int     // columns that it is told beside
	tried   bool      // or else it may only stand beside others
	told    bool
	needed  bool // others are told beside it
}

// rewrite replaces sections of values in a chunk's body by smaller ones and
// returns the bodies' sizes.
func (e *encoder) rewrite(t *rows.Table, from, to int, cols []int, names []string) {
	if e.small == nil || to-from < minBesideRows {
		return
	}
	b := &e.beside
	if b.tries == nil {
		b.tries = map[string]*tries{}
	}
	b.columns(e, t, from, to, cols, names)
	if len(b.cols) == 0 {
		return
	}
	b.choose(e.small)
	replaced := map[int][]byte{}
	for i := range b.cols {
		if c := &b.cols[i]; c.told {
			replaced[c.number] = c.section
		}
	}
	if len(replaced) == 0 {
		return
	}
	b.body = b.body[:0]
	at := 0
	for i, n := range e.sizes {
		section := e.body[at : at+n]
		at += n
		if k := i - sharedSections; k > 0 && k%2 == 1 {
			if r, ok := replaced[k/2]; ok {
				section = r
			}
		}
		b.body = append(b.body, section...)
		e.sizes[i] = len(section)
	}
	e.body, b.body = b.body, e.body
}

// columns gathers the columns that may be told otherwise.
func (b *beside) columns(e *encoder, t *rows.Table, from, to int, cols []int, names []string) {
	b.cols = b.cols[:0]
	at := 0
	for i, n := range e.sizes {
		section := e.body[at : at+n]
		at += n
		k := i - sharedSections
		if k < 0 || k%2 == 0 || n < minBesideBytes {
			continue
		}
		b.cols = append(b.cols, besideColumn{name: names[k/2], number: k / 2, section: section})
	}
	slices.SortStableFunc(b.cols, func(x, y besideColumn) int { return cmp.Compare(len(y.section), len(x.section)) })
	b.cols = b.cols[:min(len(b.cols), maxBesideCols)]
	any := false
	for i := range b.cols {
		b.cols[i].tried = b.allowed(b.cols[i].name)
		any = any || b.cols[i].tried
	}
	if !any {
		b.cols = b.cols[:0]
		return
	}
	for i := range b.cols {
		c := &b.cols[i]
		col, number := rows.Column{}, cols[c.number]
		for row := from; row < to; row++ {
			q, v := t.Quality(row, number), 0.0
			if q < missing {
				v = t.Cols[number].Values[row]
				c.values, c.at = append(c.values, v), append(c.at, row-from)
			}
			col.Qualities, col.Values = append(col.Qualities, q), append(col.Values, v)
		}
		c.full = spreadOut(col)
	}
}

// spreadOut returns a value for each row of a column: its own, or the last one
// before that is stored and a number, or, before all of these, the first.
func spreadOut(c rows.Column) []float64 {
	full := make([]float64, len(c.Qualities))
	last, begun := 0.0, false
	for i, q := range c.Qualities {
		if q < missing && c.Values[i]-c.Values[i] == 0 { // neither infinite nor NaN
			if last = c.Values[i]; !begun {
				for k := range i {
					full[k] = last
				}
				begun = true
			}
		}
		full[i] = last
	}
	return full
}

// choose tells columns beside others, first those that promise to gain the most.
func (b *beside) choose(small *codec.Small) {
	waiting := make([]int, 0, len(b.cols))
	for i := range b.cols {
		if c := &b.cols[i]; c.tried && len(c.values) >= minBesideRows {
			waiting = append(waiting, i)
		}
	}
	if len(waiting) == 0 {
		return
	}
	alike := b.correlations()
	for len(waiting) > 0 {
		best, gain := 0, -1.0
		var others []int
		for k, i := range waiting {
			o, bits := b.others(alike, i)
			if g := bits * float64(len(b.cols[i].values)) / 8 / float64(len(b.cols[i].section)); g > gain {
				best, gain, others = k, g, o
			}
		}
		i := waiting[best]
		waiting = slices.Delete(waiting, best, best+1)
		b.try(small, i, others, gain)
	}
}

func (b *beside) allowed(name string) bool {
	t := b.tries[name]
	if t == nil {
		t = &tries{}
		b.tries[name] = t
	}
	if t.skip > 0 {
		t.skip--
		return false
	}
	return true
}

// try encodes a column beside others, or alone.
func (b *beside) try(small *codec.Small, i int, others []int, gain float64) {
	c := &b.cols[i]
	limit := len(c.section) - len(c.section)/besideGain
	if len(others) > 0 && gain > worthTrying {
		var columns []int
		var values codec.Beside
		for _, o := range others {
			columns, values = append(columns, b.cols[o].number), append(values, b.cols[o].of(c.at))
		}
		if s := small.AppendFloatsBeside(nil, c.values, columns, values, limit); len(s) > 0 {
			c.section, c.others, c.told = s, others, true
			for _, o := range others {
				b.cols[o].needed = true
			}
		}
	}
	if !c.told {
		least := max(len(c.section)/aloneGain, len(c.values)/aloneValues)
		if s := small.AppendFloatsBeside(nil, c.values, nil, nil, len(c.section)-least); len(s) > 0 {
			c.section, c.told = s, true
		}
	}
	if c.told {
		*b.tries[c.name] = tries{}
		return
	}
	b.failed(c.name)
}

// failed notes that nothing was gained: the next chunk is tried, then the fourth
// after that, the sixteenth, and so on.
func (b *beside) failed(name string) {
	t := b.tries[name]
	t.failed = min(t.failed+1, 8)
	t.skip = 1<<(2*t.failed-2) - 1
}

// of returns the column's values at some rows.
func (c *besideColumn) of(rows []int) []float64 {
	out := make([]float64, len(rows))
	for i, row := range rows {
		out[i] = c.full[row]
	}
	return out
}

// correlations returns how alike the columns' differences are, cut to what is
// usual.
func (b *beside) correlations() [][]float64 {
	diffs := make([][]float64, len(b.cols))
	for i := range b.cols {
		diffs[i] = differences(b.cols[i].full)
	}
	out := make([][]float64, len(diffs))
	for i, x := range diffs {
		out[i] = make([]float64, len(diffs))
		for j, y := range diffs[:i+1] {
			sum := 0.0
			for k, v := range x {
				sum += v * y[k]
			}
			out[i][j], out[j][i] = sum, sum
		}
	}
	return out
}

// differences returns those of neighbours, cut, of squares that add up to 1.
func differences(full []float64) []float64 {
	out := make([]float64, len(full)-1)
	mean := 0.0
	for i := range out {
		out[i] = full[i+1] - full[i]
		mean += math.Abs(out[i]) / float64(len(out))
	}
	sum := 0.0
	for i, d := range out {
		out[i] = max(-8*mean, min(8*mean, d))
		sum += out[i] * out[i]
	}
	if sum > 0 {
		by := 1 / math.Sqrt(sum)
		for i := range out {
			out[i] *= by
		}
	}
	return out
}

// others returns the columns that tell the most of column i, and about how many
// bits of each value they spare.
func (b *beside) others(alike [][]float64, i int) (others []int, bits float64) {
	if b.cols[i].needed {
		return nil, 0
	}
	m := make([][]float64, len(alike))
	for k := range m {
		m[k] = slices.Clone(alike[k])
	}
	for len(others) < maxOthers {
		best, gain := -1, worthMore*m[i][i]
		for k := range b.cols {
			if k == i || len(b.cols[k].others) > 0 || m[k][k] < 0.01 {
				continue
			}
			if g := m[i][k] * m[i][k] / m[k][k]; g > gain {
				best, gain = k, g
			}
		}
		if best < 0 {
			break
		}
		others = append(others, best)
		sweep(m, best)
	}
	left := max(m[i][i], 1e-4) / max(alike[i][i], 1e-4)
	return others, -math.Log2(left) / 2
}

// sweep takes what a column tells out of all others.
func sweep(m [][]float64, by int) {
	row := slices.Clone(m[by])
	for i := range m {
		f := m[i][by] / row[by]
		for j := range m[i] {
			m[i][j] -= f * row[j]
		}
	}
}
