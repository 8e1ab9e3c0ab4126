package tsdb

import (
	"context"
	"sync"

	"quantrac/tsdb/internal/ahead"
)

// readAhead reads every series of a query in parallel and shows them in order.
// build returns how many samples it has made something of.
func readAhead[T any](ctx context.Context, db *DB, q *Query, pool *sync.Pool,
	build func(context.Context, *view, *scratch, target, *T) (samples int, err error), show func(*T) bool,
) error {
	return db.reading(q, func(v *view) error {
		ts := db.targets(ctx, q.Matchers)
		b := bounds{Query: q}
		task := ahead.Task[T]{
			N: len(ts), Pool: pool,
			Build: func(ctx context.Context, into *T, i int) (int, error) {
				sc := db.scratch.Get().(*scratch)
				defer db.scratch.Put(sc)
				return build(ctx, v, sc, ts[i], into)
			},
			Show: func(made *T, samples int) (bool, error) {
				if err := b.add(samples); err != nil {
					return false, err
				}
				return show(made), nil
			},
		}
		return task.Run(ctx)
	})
}
