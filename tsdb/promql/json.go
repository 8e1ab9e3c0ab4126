package promql

import (
	"context"
	"io"
	"sync"

	"quantrac/tsdb/internal/ahead"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// writer writes JSON as it goes, in pieces, without making a value of every
// number. Errors of the connection stay in err.
type writer struct {
	ctx  context.Context
	w    io.Writer
	buf  []byte
	pool *buffers
	err  error

	// head, where not nil, is called before anything is written: with how many bytes
	// the answer has where all of it is written at once, else with -1.
	head  func(bytes int)
	begun bool

	keeps bool   // a copy of what is written, as long as it is not too long
	kept  []byte // which is here
}

// buffers are memory for answers on their way out.
type buffers struct {
	whole sync.Pool // of *[]byte
	rows  sync.Pool // of ahead

	once   sync.Once
	digits *digits
}

// stamps returns those of a grid.
func (b *buffers) stamps(g grid) *stamps {
	b.once.Do(func() { b.digits = newDigits() })
	return newStamps(g, b.digits)
}

// pieceBytes is how much is gathered before it is sent. What is shorter goes out as a
// whole, so that whoever waits for it is told at once how long it is.
const pieceBytes = 128 << 10

// newWriter returns a writer; close gives its memory back.
func newWriter(ctx context.Context, w io.Writer, pool *buffers) *writer {
	out := &writer{ctx: ctx, w: w, pool: pool}
	if b, ok := pool.whole.Get().(*[]byte); ok {
		out.buf = (*b)[:0]
	} else {
		out.buf = make([]byte, 0, pieceBytes/4)
	}
	return out
}

// close sends the rest.
func (w *writer) close() {
	if !w.begun {
		w.begin(len(w.buf))
	}
	w.flush()
	w.pool.whole.Put(&w.buf)
}

func (w *writer) begin(bytes int) {
	if w.begun = true; w.head != nil && w.err == nil {
		w.head(bytes)
	}
}

func (w *writer) raw(s string) {
	w.buf = append(w.buf, s...)
	w.sendPiece()
}

func (w *writer) sendPiece() {
	if len(w.buf) >= pieceBytes {
		w.flush()
	}
}

func (w *writer) flush() {
	w.send(w.buf)
	w.buf = w.buf[:0]
}

// pass writes what is made already: what is long is not gathered first.
func (w *writer) pass(b []byte) {
	if len(b) < pieceBytes/2 {
		w.buf = append(w.buf, b...)
		w.sendPiece()
		return
	}
	w.flush()
	w.send(b)
}

func (w *writer) send(b []byte) {
	if !w.begun {
		w.begin(-1)
	}
	if w.err == nil && len(b) > 0 {
		_, w.err = w.w.Write(b)
	}
	if w.keeps = w.keeps && len(w.kept)+len(b) <= maxAnswer; w.keeps {
		w.kept = append(w.kept, b...)
	}
}

func (w *writer) str(s string) { w.buf = appendString(w.buf, s) }

func (w *writer) strs(list []string) {
	w.raw("[")
	for i, s := range list {
		if i > 0 {
			w.buf = append(w.buf, ',')
		}
		w.str(s)
		w.sendPiece()
	}
	w.raw("]")
}

func (w *writer) labels(ls labels.Labels) {
	w.raw("{")
	first := true
	ls.Range(func(l labels.Label) {
		if !first {
			w.raw(",")
		}
		first = false
		w.str(l.Name)
		w.raw(":")
		w.str(l.Value)
	})
	w.raw("}")
}

// value writes the result of an evaluation. There are no histograms: the store
// keeps floats only.
func (w *writer) value(v parser.Value) {
	switch v := v.(type) {
	case promql.Scalar:
		w.buf = appendPoint(w.buf, promql.FPoint{T: v.T, F: v.V})
	case promql.String:
		w.buf = append(appendSeconds(append(w.buf, '['), v.T), ',')
		w.str(v.V)
		w.raw("]")
	case *rows:
		w.rows(v)
	case promql.Vector:
		w.each(len(v), func(i int) {
			w.raw(`{"metric":`)
			w.labels(v[i].Metric)
			w.raw(`,"value":`)
			w.buf = appendPoint(w.buf, promql.FPoint{T: v[i].T, F: v[i].F})
			w.raw("}")
		})
	case promql.Matrix:
		w.each(len(v), func(i int) {
			w.raw(`{"metric":`)
			w.labels(v[i].Metric)
			w.raw(`,"values":[`)
			w.buf = appendPoints(w.buf, v[i].Floats)
			w.raw("]}")
		})
	}
}

// each writes a list of n elements.
func (w *writer) each(n int, element func(i int)) {
	w.raw("[")
	for i := range n {
		if i > 0 {
			w.raw(",")
		}
		element(i)
	}
	w.raw("]")
}

const (
	// manyPoints is how many points are worth several goroutines.
	manyPoints = 8 << 10
	// rowsPoints is about how many points of rows are made together, so that what is
	// made need not be gathered before it is sent.
	rowsPoints = 2 * manyPoints
)

// rows writes the result of a native path.
func (w *writer) rows(r *rows) {
	points := 0
	for i := range r.list {
		points += len(r.list[i].values)
	}
	stamps := w.pool.stamps(r.grid)
	if points < manyPoints || len(r.list) == 1 {
		w.each(len(r.list), func(i int) {
			w.buf = append(r.appendRow(w.buf, i, stamps), '}')
			w.sendPiece()
		})
		return
	}
	stamps.keep()
	w.raw("[")
	together := min(1+rowsPoints*len(r.list)/points, 1+len(r.list)/16)
	task := ahead.Task[[]byte]{
		N: (len(r.list) + together - 1) / together, Pool: &w.pool.rows, Anywhere: true,
		Build: func(_ context.Context, into *[]byte, n int) (made int, _ error) {
			b := (*into)[:0]
			for i := n * together; i < min((n+1)*together, len(r.list)); i++ {
				if i > 0 {
					b = append(b, ',')
				}
				b = append(r.appendRow(b, i, stamps), '}')
				made += len(r.list[i].values)
			}
			*into = b
			return made, nil
		},
		Show: func(made *[]byte, _ int) (bool, error) {
			w.pass(*made)
			return w.err == nil, w.err
		},
	}
	if err := task.Run(w.ctx); err != nil {
		w.err = err
	}
	w.raw("]")
}

// appendRow appends the i-th series of a result, less the last brace. stamps are
// those of its grid.
func (r *rows) appendRow(b []byte, i int, stamps *stamps) []byte {
	row := &r.list[i]
	b = append(b, `{"metric":{`...)
	for i, l := range row.labels {
		if i > 0 {
			b = append(b, ',')
		}
		b = append(appendString(b, l.Name), ':')
		b = appendString(b, l.Value)
	}
	if r.kind == parser.ValueTypeVector {
		return appendPoint(append(b, `},"value":`...), row.point(r.grid, 0))
	}
	return append(stamps.appendPoints(append(b, `},"values":[`...), row), ']')
}
