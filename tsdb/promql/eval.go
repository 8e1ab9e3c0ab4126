package promql

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"quantrac"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// request is one evaluation.
type request struct {
	expr       string
	start, end quantrac.Millis
	step       time.Duration   // 0 for an instant
	timeout    time.Duration   // 0 for Options.Timeout, which it can only shorten
	lookback   time.Duration   // 0: by expected interval
	asOf       quantrac.Millis // 0: all that is known
	stats      bool            // the engine's statistics are asked for
	anew       bool            // nothing that earlier requests came to is used
	again      string          // the key of one that is asked again and again, else ""
}

// maxPoints is how many steps a range may have, as in Prometheus.
const maxPoints = 11_000

// The engine counts nanoseconds in 64 bits: evaluation times lie between the
// years 1678 and 2262, with room for offsets and the lookback.
const (
	minEval quantrac.Millis = -9_000_000_000_000
	maxEval quantrac.Millis = 9_000_000_000_000
)

// run evaluates a request. On success done must be called when the result has
// been used: its points go back to where they came from. q is nil where a native
// path has evaluated. The request's turn is over when run returns, so that nobody
// waits for who takes an answer slowly.
func (a *API) run(ctx context.Context, r request) (q promql.Query, res *promql.Result, done func(), err *apiError) {
	ctx, release, err := a.enter(ctx, r.timeout)
	if err != nil {
		return nil, nil, nil, err
	}
	defer release()
	v, expr, err := a.prepare(&r)
	if err != nil {
		return nil, nil, nil, err
	}
	mem, ok := a.memory.Get().(*memory)
	if !ok {
		mem = &memory{}
	}
	done = func() {
		if q != nil {
			q.Close()
		}
		mem.reset()
		a.memory.Put(mem)
		v.share.release()
	}
	res = a.native(ctx, v, &r, expr, mem)
	if res == nil {
		if q, res, err = a.engineRun(ctx, v, &r); err != nil {
			done()
			return nil, nil, nil, err
		}
	}
	if res.Err != nil {
		done()
		return nil, nil, nil, a.classify(res.Err)
	}
	return q, res, done, nil
}

// native evaluates on a native path, nil where there is none.
func (a *API) native(ctx context.Context, v *view, r *request, expr parser.Expr, mem *memory) *promql.Result {
	if a.o.NoNative || r.stats {
		return nil
	}
	value, notes, err := v.native(ctx, expr, newGrid(r.start, r.end, r.step), mem)
	if errors.Is(err, errDeclined) {
		v.series, v.samples = 0, 0 // the engine counts anew
		return nil
	}
	a.counts.native.Add(1)
	return &promql.Result{Value: value, Err: err, Warnings: notes}
}

// engineRun evaluates by Prometheus' engine.
func (a *API) engineRun(ctx context.Context, v *view, r *request) (q promql.Query, res *promql.Result, _ *apiError) {
	a.counts.engine.Add(1)
	engine := a.engine
	if v.overlaps {
		engine = a.watched
	}
	opts := promql.NewPrometheusQueryOpts(false, r.lookback, nil)
	var err error
	if r.step == 0 {
		q, err = engine.NewInstantQuery(ctx, v, opts, r.expr, r.start.Time())
	} else {
		q, err = engine.NewRangeQuery(ctx, v, opts, r.expr, r.start.Time(), r.end.Time(), r.step)
	}
	if err != nil && ctx.Err() != nil {
		return nil, nil, a.classify(err)
	}
	if err != nil {
		return nil, nil, badParam("query", err)
	}
	return q, q.Exec(ctx), nil
}

// enter bounds a request in time and waits for its turn. release must be
// called at its end.
func (a *API) enter(ctx context.Context, timeout time.Duration) (_ context.Context, release func(), err *apiError) {
	if timeout <= 0 || timeout > a.o.Timeout {
		timeout = a.o.Timeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	select {
	case a.turns <- struct{}{}:
		return ctx, func() { <-a.turns; cancel() }, nil
	case <-ctx.Done():
		defer cancel()
		if errors.Is(ctx.Err(), context.DeadlineExceeded) {
			return nil, nil, &apiError{timedOut, fmt.Errorf("waited %s for one of %d queries at once to end", timeout, a.o.MaxConcurrent)}
		}
		return nil, nil, &apiError{canceled, ctx.Err()}
	}
}

// view returns how a request reads that ends at end.
func (a *API) view(end, asOf quantrac.Millis) *view {
	at := end
	if asOf != 0 {
		at = min(end, asOf)
	}
	return &view{
		store: a.store, reg: a.reg, keys: a.reg.Keys(),
		asOf: asOf, registryAt: at,
		lookback: quantrac.Millis(lookback.Milliseconds()), byInterval: true,
		maxSeries: a.o.MaxSeries, maxSamples: a.o.MaxSamples,
	}
}

// prepare checks a request, makes its view and preprocesses its expression.
func (a *API) prepare(r *request) (*view, parser.Expr, *apiError) {
	if r.start < minEval || r.end > maxEval {
		return nil, nil, &apiError{badData, fmt.Errorf("evaluation time out of range: from %s to %s", r.start, r.end)}
	}
	// In milliseconds, which cannot wrap around as nanoseconds do.
	if r.step != 0 && (r.end-r.start)/quantrac.Millis(r.step.Milliseconds()) > maxPoints {
		return nil, nil, &apiError{badData, errors.New("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")}
	}
	v := a.view(r.end, r.asOf)
	v.step, v.anew = quantrac.Millis(r.step.Milliseconds()), r.anew
	v.again, v.standings = r.again, &a.standings
	v.share.of, v.points = &a.held, newGrid(r.start, r.end, r.step).steps
	if r.lookback > 0 {
		v.lookback, v.byInterval = quantrac.Millis(r.lookback.Milliseconds()), false
	}
	expr, aerr := a.parse(r.expr)
	if aerr != nil {
		return nil, nil, aerr
	}
	// Ranges may be written as arithmetic; this works them out.
	expr, err := promql.PreprocessExpr(expr, r.start.Time(), r.end.Time(), r.step)
	if err == nil {
		err = v.check(expr, r.end.Sub(r.start), r.step)
	}
	if err != nil {
		return nil, nil, badParam("query", err)
	}
	return v, expr, nil
}

// Sample is the value of one series at one evaluation.
type Sample struct {
	Labels quantrac.Labels // metadata included; see API.Identity
	Time   quantrac.Millis // of the evaluation
	Value  float64
}

// Series is the values of one series over a range of evaluations: parallel
// columns, times rising by the step, absent where there is no value.
type Series struct {
	Labels quantrac.Labels
	Times  []quantrac.Millis
	Values []float64
}

// Instant evaluates an expression at a time. A scalar is one sample without
// labels; a string or a range is an Invalid error. The principal in ctx bounds
// what is seen. Errors carry kinds: Invalid for an expression that cannot be
// evaluated or touches too much, Busy when time ran out.
func (a *API) Instant(ctx context.Context, expr string, at quantrac.Millis) ([]Sample, error) {
	_, res, done, err := a.run(ctx, request{expr: expr, start: at, end: at})
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", expr, kinded(err))
	}
	defer done()
	switch v := res.Value.(type) {
	case *rows:
		out := make([]Sample, len(v.list))
		for i := range v.list {
			s := &v.list[i]
			out[i] = Sample{s.labels, v.grid.at(s.step(0)), s.values[0]}
		}
		return out, nil
	case promql.Vector:
		out := make([]Sample, len(v))
		for i, s := range v {
			out[i] = Sample{root(s.Metric), quantrac.Millis(s.T), s.F}
		}
		return out, nil
	case promql.Scalar:
		return []Sample{{nil, quantrac.Millis(v.T), v.V}}, nil
	}
	return nil, quantrac.Errorf(quantrac.Invalid, "query %s: result is a %s, want a vector or a scalar", expr, res.Value.Type())
}

// Range evaluates an expression every step from from to to, both inclusive;
// step is at least a millisecond. Otherwise it is as Instant.
func (a *API) Range(ctx context.Context, expr string, from, to quantrac.Millis, step time.Duration) ([]Series, error) {
	if step < time.Millisecond || to < from {
		return nil, quantrac.Errorf(quantrac.Invalid, "query %s: no range from %s to %s by %s", expr, from, to, step)
	}
	_, res, done, err := a.run(ctx, request{expr: expr, start: from, end: to, step: step})
	if err != nil {
		return nil, fmt.Errorf("query %s: %w", expr, kinded(err))
	}
	defer done()
	if v, ok := res.Value.(*rows); ok {
		out := make([]Series, len(v.list))
		for i := range v.list {
			s := &v.list[i]
			times := make([]quantrac.Millis, len(s.values))
			for k := range times {
				times[k] = v.grid.at(s.step(k))
			}
			out[i] = Series{s.labels, times, slices.Clone(s.values)}
		}
		return out, nil
	}
	m, merr := res.Matrix()
	if merr != nil {
		return nil, fmt.Errorf("query %s: %w", expr, merr)
	}
	out := make([]Series, len(m))
	for i, s := range m {
		out[i] = newSeries(root(s.Metric), s.Floats)
	}
	return out, nil
}

func newSeries(labels quantrac.Labels, points []promql.FPoint) Series {
	s := Series{labels, make([]quantrac.Millis, len(points)), make([]float64, len(points))}
	for k, p := range points {
		s.Times[k], s.Values[k] = quantrac.Millis(p.T), p.F
	}
	return s
}
