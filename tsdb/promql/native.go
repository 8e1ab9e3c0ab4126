package promql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quantrac"
	"quantrac/tsdb"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
)

// The shapes of expressions that are asked most have native paths: they work on
// columns and never make a point before it is part of the answer. What a native
// path says is what Prometheus' engine would say, to the last bit; a shape, or a
// circumstance met on the way, of which that is not certain is declined, and
// the engine evaluates.

// errDeclined says that the engine has to evaluate after all.
var errDeclined = errors.New("no native path")

// shape is an expression with a native path: a selector, perhaps in a function
// over a range, perhaps aggregated.
type shape struct {
	agg      *parser.AggregateExpr // nil for none
	call     *parser.Call          // nil for a plain selector
	function rangeFunction         // of call
	selector *parser.VectorSelector
	width    quantrac.Millis // of the range, 0 for a plain selector
	offset   quantrac.Millis
}

// rangeFunction is a function over a range. Either its values are a fold or they
// are worked out from the samples of a window.
type rangeFunction struct {
	fold  tsdb.FoldOp
	value func(window) (float64, bool) // nil for a fold
	// present makes 1 of a count.
	present bool
	// keepsName is set where the result is one of the samples.
	keepsName bool
	// counter is set where a metric that does not look like a counter gets a
	// remark.
	counter bool
}

var rangeFunctions = map[string]rangeFunction{
	"min_over_time":     {fold: tsdb.FoldMin},
	"max_over_time":     {fold: tsdb.FoldMax},
	"sum_over_time":     {fold: tsdb.FoldSum},
	"avg_over_time":     {fold: tsdb.FoldAvg},
	"count_over_time":   {fold: tsdb.FoldCount},
	"present_over_time": {fold: tsdb.FoldCount, present: true},
	"first_over_time":   {fold: tsdb.FoldFirst, keepsName: true},
	"last_over_time":    {fold: tsdb.FoldLast, keepsName: true},
	"rate":              {value: window.rate, counter: true},
	"increase":          {value: window.increase, counter: true},
	"delta":             {value: window.delta},
	"deriv":             {value: window.slope},
}

// shapeOf returns the shape of an expression that has been preprocessed; ok is
// false where it has no native path.
func shapeOf(expr parser.Expr) (s shape, ok bool) {
	expr = bare(expr)
	if agg, is := expr.(*parser.AggregateExpr); is {
		if !aggregates(agg) {
			return s, false
		}
		s.agg, expr = agg, bare(agg.Expr)
	}
	if call, is := expr.(*parser.Call); is {
		if s.function, ok = rangeFunctions[call.Func.Name]; !ok || len(call.Args) != 1 {
			return s, false
		}
		m, is := call.Args[0].(*parser.MatrixSelector)
		if !is || m.Range <= 0 || m.Range%time.Millisecond != 0 {
			return s, false
		}
		s.call, s.width, expr = call, quantrac.Millis(m.Range.Milliseconds()), m.VectorSelector
	}
	s.selector, ok = expr.(*parser.VectorSelector)
	return s, ok && s.simple() && !(s.dropsName() && s.groupsByName())
}

func bare(expr parser.Expr) parser.Expr {
	for {
		p, ok := expr.(*parser.ParenExpr)
		if !ok {
			return expr
		}
		expr = p.Expr
	}
}

// simple says whether the selector has no modifier but an offset.
func (s *shape) simple() bool {
	v := s.selector
	s.offset = quantrac.Millis(v.OriginalOffset.Milliseconds())
	return v.Timestamp == nil && v.StartOrEnd == 0 && !v.Anchored && !v.Smoothed && v.OriginalOffset%time.Millisecond == 0
}

func (s *shape) dropsName() bool { return s.call != nil && !s.function.keepsName }

// groupsByName says whether groups are told apart by what a function has
// dropped, of which the engine thinks differently by its options.
func (s *shape) groupsByName() bool {
	if s.agg == nil || s.agg.Without {
		return false
	}
	for _, name := range s.agg.Grouping {
		if reservedName(name) {
			return true
		}
	}
	return false
}

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
	finish()
}

// evaluation is one expression being evaluated natively.
type evaluation struct {
	*reading
	shape
	grid
	sink    sink
	columns columns // of the series at hand
	budget  budget
	notes   annotations.Annotations
	noted   map[string]bool // metrics that have got their remark
	names   map[string]bool // label sets less the name, where two might be equal
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
	sel, err := v.selector(s.selector.LabelMatchers)
	if err != nil {
		return nil, nil, err
	}
	e := &evaluation{
		reading: &reading{view: v, sel: &sel, join: newJoiner(v.reg, sel.registryAt)},
		shape:   s, grid: g, budget: budget{most: v.maxSamples},
	}
	e.take, e.reuse, e.far = e.newest, true, max(v.lookback, s.width)
	if e.reach = e.stale; s.call != nil {
		e.reach = func(quantrac.Labels) quantrac.Millis { return s.width }
	}
	out := &rows{kind: parser.ValueTypeMatrix, mem: mem}
	if g.instant {
		out.kind = parser.ValueTypeVector
	}
	if s.agg != nil {
		e.sink = newGroups(s.agg, g, out)
	} else {
		e.sink = &rowSink{rows: out, grid: g}
	}
	if s.dropsName() && !sel.oneMetric() {
		e.names = map[string]bool{}
	}
	if err := e.read(ctx); err != nil {
		return nil, nil, err
	}
	e.sink.finish()
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
	case e.call == nil && e.instant && e.sel.plain(), e.isLast() && e.instant && e.sel.plain():
		return e.present(ctx, first)
	case e.call == nil:
		return e.windows(ctx, e.sel.identity, first, last)
	case e.function.value != nil:
		return e.scan(ctx)
	}
	return e.fold(ctx)
}

func (e *evaluation) isLast() bool {
	return e.call != nil && e.function.value == nil && e.function.fold == tsdb.FoldLast
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
