package promql

import (
	"time"

	"quantrac"
	"quantrac/tsdb"

	"github.com/prometheus/prometheus/promql/parser"
)

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
	value func(*window) (float64, bool) // nil for a fold
	timed bool                          // value looks at the window's clock
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
	"rate":              {value: (*window).rate, counter: true},
	"increase":          {value: (*window).increase, counter: true},
	"delta":             {value: (*window).delta},
	"deriv":             {value: (*window).slope, timed: true},
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

// folds says whether the values are a fold.
func (s *shape) folds() bool { return s.call != nil && s.function.value == nil }

func (s *shape) isLast() bool { return s.folds() && s.function.fold == tsdb.FoldLast }
