package promql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quantrac"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
)

// The shapes of expressions that are asked most have native paths: they work on
// columns and never make a point before it is part of the answer. What a native
// path says is what Prometheus' engine would say, to the last bit, but that sums over
// days and slopes are exact until they are rounded, where the engine rounds at every
// step; a shape, or a circumstance met on the way, of which that is not certain is
// declined, and the engine evaluates.

// errDeclined says that the engine has to evaluate after all.
var errDeclined = errors.New("no native path")

// grid is the times of evaluations.
type grid struct {
	start, end quantrac.Millis
	step       quantrac.Millis // 1 for an instant
	steps      int
	instant    bool
}

func newGrid(start, end quantrac.Millis, step time.Duration) grid {
	g := grid{start: start, end: end, step: quantrac.Millis(step.Milliseconds()), instant: step == 0}
	if g.instant {
		g.step = 1
	}
	if end >= start {
		g.steps = int((end-start)/g.step) + 1
	}
	return g
}

// at returns the time of a step.
func (g grid) at(k int) quantrac.Millis { return g.start + quantrac.Millis(k)*g.step }

// sink takes series in the order in which they are read.
type sink interface {
	// add takes one, with its name or without; it keeps nothing of the columns.
	add(j *joiner, id quantrac.Labels, nameless bool, c columns) error
	// finish puts what is still outstanding into the result.
	finish() error
}

// evaluation is one expression being evaluated natively.
type evaluation struct {
	*reading
	shape
	grid
	registry uint64 // last commit of the registry before anything was asked of it
	sink     sink
	columns  *columns // of the series at hand
	budget   budget
	notes    annotations.Annotations
	noted    map[string]bool // metrics that have got their remark
	names    map[string]bool // label sets less the name, where two might be equal
}

// native evaluates an expression on a native path; errDeclined where it has
// none.
func (v *view) native(ctx context.Context, expr parser.Expr, g grid, mem *memory) (_ *rows, _ annotations.Annotations, err error) {
	s, ok := shapeOf(expr)
	if !ok || g.steps == 0 {
		return nil, nil, errDeclined
	}
	if err := ended(ctx, "query execution"); err != nil {
		return nil, nil, err
	}
	var registry uint64
	if reg, ok := v.reg.(committed); ok {
		registry = reg.Commit()
	}
	sel, err := v.selector(s.selector.LabelMatchers)
	if err != nil {
		return nil, nil, err
	}
	e := &evaluation{
		registry: registry,
		reading:  &reading{view: v, sel: &sel, join: newJoiner(v.reg, sel.registryAt)},
		shape:    s, grid: g, columns: &mem.shown, budget: budget{most: v.maxSamples},
	}
	e.take, e.reuse, e.far = e.newest, true, max(v.lookback, s.width)
	if e.reach = e.stale; s.call != nil {
		e.reach = func(quantrac.Labels) quantrac.Millis { return s.width }
	}
	out := &rows{kind: parser.ValueTypeMatrix, grid: g, share: &v.share, memory: mem}
	out.matchers, out.from, out.to = sel.identity, g.start-s.offset-max(v.lookback, s.width), g.end-s.offset
	if g.instant {
		out.kind = parser.ValueTypeVector
	}
	if s.agg != nil {
		e.sink = newGroups(s.agg, out)
	} else {
		e.sink = &rowSink{out}
	}
	if s.dropsName() && !sel.oneMetric() {
		e.names = map[string]bool{}
	}
	if err := e.read(ctx); err != nil {
		return nil, nil, err
	}
	if err := e.sink.finish(); err != nil {
		return nil, nil, storeError{err}
	}
	if !g.instant {
		out.sort()
	}
	return out, e.notes, ended(ctx, "expression evaluation")
}

// ended returns the engine's word for it that the context has ended.
func ended(ctx context.Context, where string) error {
	switch err := ctx.Err(); {
	case errors.Is(err, context.Canceled):
		return promql.ErrQueryCanceled(where)
	case errors.Is(err, context.DeadlineExceeded):
		return promql.ErrQueryTimeout(where)
	default:
		return err
	}
}

// read feeds the sink. What the store, or the view's limits, say is wrapped as
// the engine does.
func (e *evaluation) read(ctx context.Context) error {
	ctx, ok := e.restrict(ctx)
	if !ok {
		return nil
	}
	err := e.source(ctx)
	var samples promql.ErrTooManySamples
	if err == nil || errors.Is(err, errDeclined) || errors.As(err, &samples) {
		return err
	}
	return fmt.Errorf("expanding series: %w", storeError{err})
}

// source reads the series in the way that suits the shape.
func (e *evaluation) source(ctx context.Context) error {
	first, last := e.start-e.offset, e.end-e.offset
	switch {
	case e.call == nil && !e.byInterval:
		return e.columnsOf(ctx, e.sel.identity, first-e.lookback+1, last, nil)
	case e.isLast() && e.instant && e.sel.plain():
		return e.latest(ctx, first)
	case e.call == nil && e.instant && e.sel.plain():
		return e.present(ctx, first)
	case e.call == nil:
		return e.windows(ctx, e.sel.identity, first, last)
	case e.function.value != nil:
		return e.scan(ctx)
	}
	return e.fold(ctx)
}

// budget counts samples in memory as the engine does.
type budget struct{ most, held int }

func (b *budget) add(window, points int) error {
	if b.held+window+points > b.most {
		return promql.ErrTooManySamples("query execution")
	}
	b.held += points
	return nil
}
