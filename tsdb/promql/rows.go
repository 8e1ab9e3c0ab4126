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
func (r *rows) add(labels quantrac.Labels, c columns) error {
	n := c.points()
	if err := r.share.hold(n); err != nil {
		return err
	}
	room := r.room(n)
	for k, n := range c.counts {
		if n > 0 {
			room = append(room, promql.FPoint{T: int64(r.grid.at(k)), F: c.values[k]})
		}
	}
	r.list = append(r.list, row{labels, r.keep(room)})
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

// memory is what results are made in: points in large pieces, and the list of
// rows. It is used again when the answer has been used.
type memory struct {
	list   []row
	pieces [][]promql.FPoint
	used   int             // pieces
	free   []promql.FPoint // the rest of the last one
}

// piecePoints is more than a range has steps.
const piecePoints = 16 << 10

// room returns an empty slice with room for n points, at most piecePoints.
func (m *memory) room(n int) []promql.FPoint {
	if cap(m.free) < n {
		if m.used == len(m.pieces) {
			m.pieces = append(m.pieces, make([]promql.FPoint, 0, piecePoints))
		}
		m.free = m.pieces[m.used]
		m.used++
	}
	return m.free
}

// keep takes the filled part of a room out of what is free.
func (m *memory) keep(filled []promql.FPoint) []promql.FPoint {
	n := len(filled)
	m.free = filled[n:]
	return filled[:n:n]
}

// reset makes all of it free again; what was made in it is gone.
func (m *memory) reset() {
	clear(m.list[:cap(m.list)])
	m.list, m.used, m.free = m.list[:0], 0, nil
}
