package tsdb

import (
	"context"
	"sync"

	"quantrac"
)

// What waits in memory to be flushed is bounded. Once there is half as much again
// as makes a flush begin, Append waits for it to end: who sends is slowed down to
// what the disk takes. Where flushing fails, or nobody sees to it, Append goes on to
// a further bound and then refuses.

// room says when there is no room for more rows in memory.
func (db *DB) room() (wait, refuse int64) { return db.o.FlushBytes * 3 / 2, 4 * db.o.FlushBytes }

// flushGate tells whether it is worth waiting for a flush, and when one has ended.
type flushGate struct {
	mu       sync.Mutex
	underWay int
	running  bool          // somebody sees to flushing
	failed   bool          // the last one did
	ended    chan struct{} // closed when one has; nil where nobody waits
}

// begin says that a flush is under way until the function returned is called.
func (g *flushGate) begin() (end func(error)) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.underWay++
	return func(err error) {
		g.mu.Lock()
		defer g.mu.Unlock()
		g.underWay--
		g.failed = err != nil
		g.release()
	}
}

// run says whether somebody sees to flushing when woken.
func (g *flushGate) run(running bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.running = running
	g.release()
}

// release wakes who waits. The caller holds mu.
func (g *flushGate) release() {
	if g.ended != nil {
		close(g.ended)
		g.ended = nil
	}
}

// wait returns what is closed when a flush has ended, nil where none is under way
// or to be expected.
func (g *flushGate) wait() <-chan struct{} {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.underWay == 0 && (!g.running || g.failed) {
		return nil
	}
	if g.ended == nil {
		g.ended = make(chan struct{})
	}
	return g.ended
}

// roomForMore waits while memory is full and being flushed, and refuses where it
// fills up because flushing fails or nobody flushes.
func (db *DB) roomForMore(ctx context.Context) error {
	wait, refuse := db.room()
	for db.headBytes() > wait {
		ended := db.gate.wait()
		n := db.headBytes() // once more, so that no end is missed
		switch {
		case n <= wait:
			return nil
		case ended != nil:
		case n <= refuse:
			return nil
		default:
			return quantrac.Errorf(quantrac.Busy, "tsdb %s: %d MiB wait to be flushed, nothing more is taken until some are (last error: %v)", db.dir, n>>20, db.stats.lastError())
		}
		db.wakeFlush()
		select {
		case <-ended:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// wakeFlush asks Run for a flush.
func (db *DB) wakeFlush() {
	select {
	case db.wake <- struct{}{}:
	default:
	}
}

// headBytes returns how much memory the rows of all heads take, an estimate.
func (db *DB) headBytes() int64 {
	db.apply.RLock()
	defer db.apply.RUnlock()
	n := int64(0)
	for _, h := range db.apply.state.heads {
		n += h.bytes.Load()
	}
	return n
}

// full says whether the head that takes rows is to be flushed.
func (db *DB) full() bool {
	db.apply.RLock()
	defer db.apply.RUnlock()
	heads := db.apply.state.heads
	return heads[len(heads)-1].bytes.Load() > db.o.FlushBytes
}
