package promql

import (
	"context"
	"errors"
	"fmt"
	"time"

	"quantrac"

	"github.com/prometheus/prometheus/promql"
)

// request is one evaluation.
type request struct {
	expr       string
	start, end quantrac.Millis
	step       time.Duration   // 0 for an instant
	timeout    time.Duration   // 0 for Options.Timeout, which it can only shorten
	lookback   time.Duration   // 0: by expected interval
	asOf       quantrac.Millis // 0: all that is known
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
// been used: its points go back to the engine's pool.
func (a *API) run(ctx context.Context, r request) (q promql.Query, res *promql.Result, done func(), err *apiError) {
	ctx, release, err := a.enter(ctx, r.timeout)
	if err != nil {
		return nil, nil, nil, err
	}
	v, err := a.prepare(&r)
	if err != nil {
		release()
		return nil, nil, nil, err
	}
	opts := promql.NewPrometheusQueryOpts(false, r.lookback, nil)
	var qerr error
	if r.step == 0 {
		q, qerr = a.engine.NewInstantQuery(ctx, v, opts, r.expr, r.start.Time())
	} else {
		q, qerr = a.engine.NewRangeQuery(ctx, v, opts, r.expr, r.start.Time(), r.end.Time(), r.step)
	}
	if qerr != nil {
		release()
		return nil, nil, nil, badParam("query", qerr)
	}
	res = q.Exec(ctx)
	done = func() { q.Close(); release() }
	if res.Err != nil {
		done()
		return nil, nil, nil, a.classify(res.Err)
	}
	return q, res, done, nil
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

// prepare checks a request and makes its view.
func (a *API) prepare(r *request) (*view, *apiError) {
	if r.start < minEval || r.end > maxEval {
		return nil, &apiError{badData, fmt.Errorf("evaluation time out of range: from %s to %s", r.start, r.end)}
	}
	if r.step != 0 && r.end.Sub(r.start)/r.step > maxPoints {
		return nil, &apiError{badData, errors.New("exceeded maximum resolution of 11,000 points per timeseries. Try decreasing the query resolution (?step=XX)")}
	}
	v := a.view(r.end, r.asOf)
	v.step = quantrac.Millis(r.step.Milliseconds())
	if r.lookback > 0 {
		v.lookback, v.byInterval = quantrac.Millis(r.lookback.Milliseconds()), false
	}
	expr, aerr := a.parse(r.expr)
	if aerr != nil {
		return nil, aerr
	}
	// Ranges may be written as arithmetic; this works them out.
	expr, err := promql.PreprocessExpr(expr, r.start.Time(), r.end.Time(), r.step)
	if err == nil {
		err = v.check(expr, r.end.Sub(r.start))
	}
	if err != nil {
		return nil, badParam("query", err)
	}
	return v, nil
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
	m, merr := res.Matrix()
	if merr != nil {
		return nil, fmt.Errorf("query %s: %w", expr, merr)
	}
	out := make([]Series, len(m))
	for i, s := range m {
		o := Series{root(s.Metric), make([]quantrac.Millis, len(s.Floats)), make([]float64, len(s.Floats))}
		for k, p := range s.Floats {
			o.Times[k], o.Values[k] = quantrac.Millis(p.T), p.F
		}
		out[i] = o
	}
	return out, nil
}
