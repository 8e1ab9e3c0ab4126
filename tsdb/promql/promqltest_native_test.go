package promql

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"quantrac"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
)

// nativeEngine evaluates on native paths what has one, the rest by an engine.
type nativeEngine struct {
	promql.QueryEngine
	parser parser.Parser
	native *atomic.Int64 // evaluations
}

func (e nativeEngine) NewInstantQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, ts time.Time) (promql.Query, error) {
	query, err := e.QueryEngine.NewInstantQuery(ctx, q, opts, qs, ts)
	return e.wrap(query, err, q, qs, ts, ts, 0)
}

func (e nativeEngine) NewRangeQuery(ctx context.Context, q storage.Queryable, opts promql.QueryOpts, qs string, start, end time.Time, step time.Duration) (promql.Query, error) {
	query, err := e.QueryEngine.NewRangeQuery(ctx, q, opts, qs, start, end, step)
	return e.wrap(query, err, q, qs, start, end, step)
}

func (e nativeEngine) wrap(query promql.Query, err error, q storage.Queryable, qs string, start, end time.Time, step time.Duration) (promql.Query, error) {
	if err != nil {
		return nil, err
	}
	expr, err := e.parser.ParseExpr(qs)
	if err == nil {
		expr, err = promql.PreprocessExpr(expr, start, end, step)
	}
	store := q.(*scriptStore)
	return nativeQuery{query, e, store.view(store.byInterval), expr, newGrid(quantrac.FloorMillis(start), quantrac.FloorMillis(end), step)}, err
}

// nativeQuery is a query of a nativeEngine; its results are never released.
type nativeQuery struct {
	promql.Query
	engine nativeEngine
	view   *view
	expr   parser.Expr
	grid   grid
}

func (q nativeQuery) Exec(ctx context.Context) *promql.Result {
	r, notes, err := q.view.native(ctx, q.expr, q.grid, &memory{})
	if errors.Is(err, errDeclined) {
		return q.Query.Exec(ctx)
	}
	q.engine.native.Add(1)
	if err != nil {
		return &promql.Result{Err: err}
	}
	return &promql.Result{Value: r.engineValue(), Warnings: notes}
}
