package promql

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
)

// Limits of an expression. The time to parse one grows with the square of what
// is nested in it, parser and engine descend into it, and the engine sets aside
// memory for every step of a subquery before it looks at any series: none of
// them has a limit of its own.
const (
	maxExprBytes     = 128 << 10
	maxExprNodes     = 2000 // operators and brackets that open
	maxSubquerySteps = 1_000_000
)

// parse parses an expression of bearable size.
func (a *API) parse(text string) (parser.Expr, *apiError) {
	if len(text) > maxExprBytes {
		return nil, badParam("query", fmt.Errorf("the expression has %d bytes, at most %d are taken", len(text), maxExprBytes))
	}
	if n := countNodes(text); n > maxExprNodes {
		return nil, badParam("query", fmt.Errorf("the expression has %d operators and brackets, at most %d are taken", n, maxExprNodes))
	}
	expr, err := a.parser.ParseExpr(text)
	if err != nil {
		return nil, badParam("query", err)
	}
	return expr, nil
}

// countNodes counts what can nest: operators, signs and opening brackets
// outside of strings, comments and matchers (inside braces the grammar has
// nothing that nests). It need not be exact, only never far too low; what is no
// PromQL at all the parser refuses.
func countNodes(text string) int {
	n, braces := 0, false
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '"' || c == '\'' || c == '`':
			for i++; i < len(text) && text[i] != c; i++ {
				if text[i] == '\\' && c != '`' {
					i++
				}
			}
		case c == '#':
			for i++; i < len(text) && text[i] != '\n'; i++ {
			}
		case c == '{' || c == '}':
			braces = c == '{'
		case braces:
		case strings.IndexByte("+-*/%^=<>!([", c) >= 0:
			n++
		case isWordByte(c):
			from := i
			for i+1 < len(text) && isWordByte(text[i+1]) {
				i++
			}
			switch strings.ToLower(text[from : i+1]) {
			case "and", "or", "unless", "atan2":
				n++
			}
		}
	}
	return n
}

func isWordByte(c byte) bool {
	return c == '_' || c == ':' || c == '.' || c >= 0x80 || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}

// check finds what the engine would not: pseudo-labels that say nothing,
// modifiers that need a lookback, subqueries without measure. span is the time
// from the first evaluation to the last, step that between two of them. It notes
// whether there are subqueries, and windows that overlap much.
func (v *view) check(expr parser.Expr, span, step time.Duration) (err error) {
	parser.Inspect(expr, func(n parser.Node, path []parser.Node) error {
		switch n := n.(type) {
		case *parser.VectorSelector:
			if (n.Anchored || n.Smoothed) && v.byInterval {
				// These read a lookback beyond the range, one for all series.
				err = errors.New("the modifiers anchored and smoothed need the parameter lookback_delta")
			} else {
				_, err = v.selector(n.LabelMatchers)
			}
		case *parser.MatrixSelector:
			v.window(n.Range, path, step)
		case *parser.SubqueryExpr:
			v.window(n.Range, path, step)
			v.step = 0
			steps := span
			for _, outer := range append(path, n) {
				if q, ok := outer.(*parser.SubqueryExpr); ok {
					steps += q.Range
				}
			}
			step := stepOf(n)
			if steps/step > maxSubquerySteps || steps < 0 {
				err = fmt.Errorf("subquery [%s:%s] would be evaluated %d times, the limit is %d", n.Range, step, steps/step, maxSubquerySteps)
			}
		}
		return err
	})
	return err
}

// muchOverlap is how many windows a sample may lie in before a series' windows
// are much work: each is worked out by itself.
const muchOverlap = 16

// window notes whether windows of a range overlap much on the grid of the
// innermost subquery around them, or of the request, whose step is given.
func (v *view) window(width time.Duration, path []parser.Node, step time.Duration) {
	for _, outer := range path {
		if q, ok := outer.(*parser.SubqueryExpr); ok {
			step = stepOf(q)
		}
	}
	v.overlaps = v.overlaps || step > 0 && width/step > muchOverlap
}

func stepOf(q *parser.SubqueryExpr) time.Duration {
	if q.Step <= 0 {
		return subqueryStep
	}
	return q.Step
}
