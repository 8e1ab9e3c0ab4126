// Package ahead makes things in parallel and shows them in order: series that
// are decoded, pieces of an answer that are written out. What it makes is kept in
// memory that goes round, so that only a bounded number is made before the one
// that is shown.
//
// Pure mechanism, without state of its own; packages below tsdb import it.
package ahead

import (
	"context"
	"runtime"
	"sync"
)

// Task is n things to be made and shown.
type Task[T any] struct {
	N int
	// Build makes the i-th, in memory that may have been used before, and says
	// what it weighs: what weighs nothing is not shown. It is called from
	// several goroutines.
	Build func(ctx context.Context, into *T, i int) (weight int, err error)
	// Show takes one after the other, in order, as long as it returns true. It
	// keeps nothing of what was made.
	Show func(made *T, weight int) (more bool, err error)
	// Pool keeps memory between tasks of one kind, and for nothing else.
	Pool *sync.Pool
	// Anywhere says that Show may be called from any goroutine, by one at a time:
	// then who has made something shows it, while it is still in the processor's
	// cache, and no more is made before its turn than one thing a goroutine.
	Anywhere bool
}

// Run builds and shows until all is shown, Show has enough, something fails or
// the context ends. All goroutines have ended when it returns.
func (t Task[T]) Run(ctx context.Context) error {
	workers := min(runtime.GOMAXPROCS(0), t.N)
	a := &ahead[T]{Task: t}
	switch {
	case workers <= 1:
		return a.alone(ctx)
	case t.Anywhere:
		return a.inTurn(ctx, workers)
	}
	return a.together(ctx, workers)
}

// ahead is a task under way.
type ahead[T any] struct {
	Task[T]
	free, taken chan *batch[T] // taken: in order

	mu     sync.Mutex
	next   int // the first that nobody has taken
	made   int // things
	weight int // of those

	// Of inTurn, with next.
	turn  sync.Cond
	shown int   // things whose turn is over
	ended bool  // nothing more is to be shown
	err   error // why
}

// batch is consecutive things that one goroutine builds.
type batch[T any] struct {
	items []item[T]
	n     int
	err   error
	built chan struct{} // holds one
}

type item[T any] struct {
	value  T
	weight int
}

// A batch weighs about so much, and has no more things than that: enough to make
// handing over cheap, not so many that the last one is waited for long.
const (
	batchWeight = 32 << 10
	batchItems  = 32
)

func (a *ahead[T]) batch() *batch[T] {
	if b, ok := a.Pool.Get().(*batch[T]); ok {
		return b
	}
	return &batch[T]{built: make(chan struct{}, 1)}
}

// together is Run on several goroutines.
func (a *ahead[T]) together(ctx context.Context, workers int) error {
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
			a.Pool.Put(b)
		}
	}()
	for range workers {
		wg.Go(func() { a.work(ctx) })
	}
	return a.showAll(ctx)
}

// inTurn is Run on several goroutines, this one among them, each of which shows what it
// has built.
func (a *ahead[T]) inTurn(ctx context.Context, workers int) error {
	a.turn.L = &a.mu
	var wg sync.WaitGroup
	for range workers - 1 {
		wg.Go(func() { a.each(ctx) })
	}
	a.each(ctx)
	wg.Wait()
	return a.err
}

// each builds one thing after the other, and shows it in its turn.
func (a *ahead[T]) each(ctx context.Context) {
	b := a.batch()
	defer a.Pool.Put(b)
	b.room(1)
	it := &b.items[0]
	for i := a.begin(); i < a.N; i = a.begin() {
		err := ctx.Err()
		if err == nil {
			it.weight, err = a.Build(ctx, &it.value, i)
		}
		if !a.await(i) {
			return
		}
		more := err == nil
		if more {
			more, err = a.present(it)
		}
		a.pass(more, err)
	}
}

// begin returns the next thing to be built, N where there is none.
func (a *ahead[T]) begin() int {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.ended || a.next == a.N {
		return a.N
	}
	a.next++
	return a.next - 1
}

// await waits for a thing's turn, and says whether it comes.
func (a *ahead[T]) await(i int) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	for a.shown < i && !a.ended {
		a.turn.Wait()
	}
	return !a.ended
}

// pass ends a turn.
func (a *ahead[T]) pass(more bool, err error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.shown++
	a.ended, a.err = !more, err
	a.turn.Broadcast()
}

// alone is Run on this one.
func (a *ahead[T]) alone(ctx context.Context) error {
	b := a.batch()
	defer a.Pool.Put(b)
	b.room(1)
	for i := range a.N {
		if err := ctx.Err(); err != nil {
			return err
		}
		it := &b.items[0]
		var err error
		if it.weight, err = a.Build(ctx, &it.value, i); err != nil {
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
	if it.weight == 0 {
		return true, nil
	}
	more, err = a.Show(&it.value, it.weight)
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
			a.fill(ctx, b, first)
		}
	}
}

// fill builds the things of a batch, as far as they can be built.
func (a *ahead[T]) fill(ctx context.Context, b *batch[T], first int) {
	weight := 0
	for i := range b.n {
		it := &b.items[i]
		if it.weight, b.err = a.Build(ctx, &it.value, first+i); b.err != nil {
			b.n = i
			break
		}
		weight += it.weight
	}
	a.mu.Lock()
	a.made, a.weight = a.made+b.n, a.weight+weight
	a.mu.Unlock()
	b.built <- struct{}{}
}

// take gives a batch its things, none where none is left, and returns the first.
func (a *ahead[T]) take(b *batch[T]) int {
	a.mu.Lock()
	defer a.mu.Unlock()
	first := a.next
	n := min(1+batchWeight*a.made/(1+a.weight), batchItems)
	n = min(n, 1+(a.N-first)/(2*cap(a.free)), a.N-first)
	b.room(n)
	if n > 0 {
		a.next += n
		a.taken <- b
	}
	return first
}

// showAll shows what is built, in order.
func (a *ahead[T]) showAll(ctx context.Context) error {
	for shown := 0; shown < a.N; {
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
