package promql

import (
	"slices"
	"sync"

	"quantrac"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// rows is the result of a native path: what promql.Vector and promql.Matrix are
// to the engine. Its points belong to mem.
type rows struct {
	kind parser.ValueType
	list []row
	mem  *memory
}

// row is one series of a result.
type row struct {
	labels quantrac.Labels
	points []promql.FPoint
}

// Type implements parser.Value.
func (r *rows) Type() parser.ValueType { return r.kind }

// String implements parser.Value.
func (r *rows) String() string { return r.engineValue().String() }

// engineValue returns the result as the engine would have made it.
func (r *rows) engineValue() parser.Value {
	if r.kind == parser.ValueTypeVector {
		out := make(promql.Vector, 0, len(r.list))
		for _, row := range r.list {
			out = append(out, promql.Sample{Metric: engineLabels(row.labels), T: row.points[0].T, F: row.points[0].F})
		}
		return out
	}
	out := make(promql.Matrix, 0, len(r.list))
	for _, row := range r.list {
		out = append(out, promql.Series{Metric: engineLabels(row.labels), Floats: row.points})
	}
	return out
}

// add makes a row of columns.
func (r *rows) add(labels quantrac.Labels, g grid, c columns) {
	room := r.mem.room(c.points())
	for k, n := range c.counts {
		if n > 0 {
			room = append(room, promql.FPoint{T: int64(g.at(k)), F: c.values[k]})
		}
	}
	r.list = append(r.list, row{labels, r.mem.keep(room)})
}

func (r *rows) sort() {
	slices.SortFunc(r.list, func(a, b row) int { return a.labels.Compare(b.labels) })
}

// rowSink makes a row of every series.
type rowSink struct {
	*rows
	grid grid
}

func (s *rowSink) add(j *joiner, id quantrac.Labels, nameless bool, c columns) error {
	s.rows.add(j.merged(id, nameless), s.grid, c)
	return nil
}

func (s *rowSink) finish() {}

// memory is points in large pieces, which come from a pool and go back to it
// when the answer has been used.
type memory struct {
	pool   *sync.Pool
	pieces []*[]promql.FPoint
	free   []promql.FPoint // the rest of the last piece
}

// piecePoints is more than a range has steps.
const piecePoints = 16 << 10

// room returns an empty slice with room for n points, at most piecePoints.
func (m *memory) room(n int) []promql.FPoint {
	if cap(m.free) < n {
		p, ok := m.pool.Get().(*[]promql.FPoint)
		if !ok {
			s := make([]promql.FPoint, 0, piecePoints)
			p = &s
		}
		m.pieces = append(m.pieces, p)
		m.free = *p
	}
	return m.free
}

// keep takes the filled part of a room out of what is free.
func (m *memory) keep(filled []promql.FPoint) []promql.FPoint {
	n := len(filled)
	m.free = filled[n:]
	return filled[:n:n]
}

// release gives everything back.
func (m *memory) release() {
	for _, p := range m.pieces {
		m.pool.Put(p)
	}
	*m = memory{pool: m.pool}
}
