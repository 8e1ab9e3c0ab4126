package promql

import (
	"slices"

	"quantrac"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// rows is the result of a native path: what promql.Vector and promql.Matrix are
// to the engine.
type rows struct {
	kind parser.ValueType
	grid grid
	origin
	share *share // of the request; may be nil
	*memory
}

// row is one series of a result: its values, at steps that follow one another from
// the first on or, where some have none, at those that are listed.
type row struct {
	labels quantrac.Labels
	values []float64
	first  int
	steps  []uint32 // nil where they follow one another
}

// step returns the step of the i-th value.
func (r *row) step(i int) int {
	if r.steps == nil {
		return r.first + i
	}
	return int(r.steps[i])
}

// point returns the i-th value with its time.
func (r *row) point(g grid, i int) promql.FPoint {
	return promql.FPoint{T: int64(g.at(r.step(i))), F: r.values[i]}
}

// Type implements parser.Value.
func (r *rows) Type() parser.ValueType { return r.kind }

// String implements parser.Value.
func (r *rows) String() string { return r.engineValue().String() }

// engineValue returns the result as the engine would have made it.
func (r *rows) engineValue() parser.Value {
	if r.kind == parser.ValueTypeVector {
		out := make(promql.Vector, 0, len(r.list))
		for i := range r.list {
			p := r.list[i].point(r.grid, 0)
			out = append(out, promql.Sample{Metric: engineLabels(r.list[i].labels), T: p.T, F: p.F})
		}
		return out
	}
	out := make(promql.Matrix, 0, len(r.list))
	for i := range r.list {
		row := &r.list[i]
		points := make([]promql.FPoint, len(row.values))
		for k := range points {
			points[k] = row.point(r.grid, k)
		}
		out = append(out, promql.Series{Metric: engineLabels(row.labels), Floats: points})
	}
	return out
}

// add makes a row of columns.
func (r *rows) add(labels quantrac.Labels, c columns) error {
	n := c.shown
	if err := r.share.hold(n); err != nil {
		return err
	}
	out := row{labels: labels, values: r.values.room(n)}
	for out.first < len(c.counts) && c.counts[out.first] == 0 {
		out.first++
	}
	end := min(out.first+n, len(c.counts))
	if n == len(c.counts) || !slices.Contains(c.counts[out.first:end], 0) {
		copy(out.values, c.values[out.first:end])
	} else {
		out.steps = r.steps.room(n)
		i := 0
		for k, count := range c.counts {
			if count > 0 {
				out.values[i], out.steps[i] = c.values[k], uint32(k)
				i++
			}
		}
	}
	r.list = append(r.list, out)
	return nil
}

func (r *rows) sort() {
	slices.SortFunc(r.list, func(a, b row) int { return a.labels.Compare(b.labels) })
}

// rowSink makes a row of every series.
type rowSink struct{ *rows }

func (s *rowSink) add(j *joiner, id quantrac.Labels, nameless bool, c columns) error {
	return s.rows.add(j.merged(id, nameless), c)
}

func (s *rowSink) finish() error { return nil }

// memory is what results are made in, and the list of rows. It is used again when
// the answer has been used.
type memory struct {
	shown  columns // by the series at hand
	list   []row
	values arena[float64]
	steps  arena[uint32]
}

// arena is memory in large pieces.
type arena[T any] struct {
	pieces [][]T
	used   int // pieces
	free   []T // the rest of the last one
}

// pieceLen is more than a range has steps.
const pieceLen = 16 << 10

// room returns room for n elements; what lies there is of no meaning.
func (a *arena[T]) room(n int) []T {
	if n > pieceLen {
		return make([]T, n)
	}
	if len(a.free) < n {
		if a.used == len(a.pieces) {
			a.pieces = append(a.pieces, make([]T, pieceLen))
		}
		a.free = a.pieces[a.used]
		a.used++
	}
	out := a.free[:n:n]
	a.free = a.free[n:]
	return out
}

// reset makes all of it free again; what was made in it is gone.
func (m *memory) reset() {
	clear(m.list[:cap(m.list)])
	m.list = m.list[:0]
	m.values.used, m.values.free = 0, nil
	m.steps.used, m.steps.free = 0, nil
}
