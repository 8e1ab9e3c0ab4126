package tsdb

import (
	"context"
	"runtime"
	"sync"
)

// ahead makes something of every one of n series, several at a time on
// goroutines of its own, and shows what was made in order. What it makes is
// kept in pieces of memory that go round: a bounded number is made ahead.
type ahead[T any] struct {
	n     int
	build func(ctx context.Context, into *T, i int) (samples int, err error) // of no samples nothing is shown
	show  func(made *T, samples int) (more bool, err error)
	pool  *sync.Pool // of *batch[T]

	free, taken chan *batch[T] // taken: in order
	mu          sync.Mutex
	next        int // the first that nobody has taken
	made        int // series
	samples     int // of those
}

// batch is consecutive series that one goroutine builds.
type batch[T any] struct {
	items []item[T]
	n     int
	err   error
	built chan struct{} // holds one
}

type item[T any] struct {
	value   T
	samples int
}

// A batch has about so many samples, and no more series than that: enough to
// make handing over cheap, not so many that the last one is waited for long.
const (
	batchSamples = 32 << 10
	batchSeries  = 32
)

func (a *ahead[T]) batch() *batch[T] {
	if b, ok := a.pool.Get().(*batch[T]); ok {
		return b
	}
	return &batch[T]{built: make(chan struct{}, 1)}
}

// run builds and shows until all is shown, show has enough, or the context
// ends. All goroutines have ended when it returns.
func (a *ahead[T]) run(ctx context.Context) error {
	workers := min(runtime.GOMAXPROCS(0), a.n)
	if workers <= 1 {
		return a.alone(ctx)
	}
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	all := make([]*batch[T], 2*workers)
	a.free, a.taken = make(chan *batch[T], len(all)), make(chan *batch[T], len(all))
	for i := range all {
		all[i] = a.batch()
		a.free <- all[i]
	}
	defer func() {
		cancel()
		wg.Wait()
		for _, b := range all {
			select {
			case <-b.built:
			default:
			}
			a.pool.Put(b)
		}
	}()
	for range workers {
		wg.Go(func() { a.work(ctx) })
	}
	return a.showAll(ctx)
}

// alone is run without goroutines.
func (a *ahead[T]) alone(ctx context.Context) error {
	b := a.batch()
	defer a.pool.Put(b)
	b.room(1)
	for i := range a.n {
		if err := ctx.Err(); err != nil {
			return err
		}
		it := &b.items[0]
		var err error
		if it.samples, err = a.build(ctx, &it.value, i); err != nil {
			return err
		}
		if more, err := a.present(it); !more {
			return err
		}
	}
	return nil
}

// present shows one thing, if there is something to show.
func (a *ahead[T]) present(it *item[T]) (more bool, err error) {
	if it.samples == 0 {
		return true, nil
	}
	more, err = a.show(&it.value, it.samples)
	return more && err == nil, err
}

func (b *batch[T]) room(n int) {
	for len(b.items) < n {
		b.items = append(b.items, item[T]{})
	}
	b.n, b.err = n, nil
}

// work builds batches until none is left.
func (a *ahead[T]) work(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case b := <-a.free:
			first := a.take(b)
			if b.n == 0 {
				return
			}
			samples := 0
			for i := 0; i < b.n && b.err == nil; i++ {
				it := &b.items[i]
				it.samples, b.err = a.build(ctx, &it.value, first+i)
				samples += it.samples
				if b.err != nil {
					b.n = i
				}
			}
			a.mu.Lock()
			a.made, a.samples = a.made+b.n, a.samples+samples
			a.mu.Unlock()
			b.built <- struct{}{}
		}
	}
}

// take gives a batch its series, none where none is left, and returns the first.
func (a *ahead[T]) take(b *batch[T]) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := a.next
	n := min(1+batchSamples*a.made/(1+a.samples), batchSeries)
	n = min(n, 1+(a.n-first)/(2*cap(a.free)), a.n-first)
	b.room(n)
	if n > 0 {
		a.next += n
		a.taken <- b
	}
	return first
}

// showAll shows what is built, in order.
func (a *ahead[T]) showAll(ctx context.Context) error {
	for shown := 0; shown < a.n; {
		var b *batch[T]
		select {
		case b = <-a.taken:
		case <-ctx.Done():
			return ctx.Err()
		}
		select {
		case <-b.built:
		case <-ctx.Done():
			return ctx.Err()
		}
		for i := range b.items[:b.n] {
			if more, err := a.present(&b.items[i]); !more {
				return err
			}
		}
		if b.err != nil {
			return b.err
		}
		shown += b.n
		a.free <- b
	}
	return nil
}

// readAhead reads every series of a query in parallel and shows them in order.
// build returns how many samples it has made something of.
func readAhead[T any](ctx context.Context, db *DB, q *Query, pool *sync.Pool,
	build func(context.Context, *view, *scratch, target, *T) (samples int, err error), show func(*T) bool,
) error {
	return db.reading(q, func(v *view) error {
		ts := db.targets(ctx, q.Matchers)
		b := bounds{Query: q}
		a := ahead[T]{
			n: len(ts), pool: pool,
			build: func(ctx context.Context, into *T, i int) (int, error) {
				sc := db.scratch.Get().(*scratch)
				defer db.scratch.Put(sc)
				return build(ctx, v, sc, ts[i], into)
			},
			show: func(made *T, samples int) (bool, error) {
				if err := b.add(samples); err != nil {
					return false, err
				}
				return show(made), nil
			},
		}
		return a.run(ctx)
	})
}
