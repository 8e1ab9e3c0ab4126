package projection

import (
	"context"
	"time"

	"quantrac"
)

// Wait returns when the tables contain commit n, or with the error that keeps
// them from it: the context's, that of a Run that failed, or Unavailable once
// the projection is closed, or when the disk has kept them from it once more
// since the call.
func (p *DB) Wait(ctx context.Context, n uint64) error {
	misses := -1
	return p.until(ctx, func() (bool, error) {
		if p.applied >= n {
			return true, nil
		}
		if misses < 0 {
			misses = p.misses
		}
		if p.misses > misses {
			return false, quantrac.Errorf(quantrac.Unavailable, "the tables cannot follow the journal: %w", p.missed)
		}
		return false, nil
	})
}

// WaitMemory returns when Options.Memory has been given what there is of
// commits up to n. Those that have been appended have been.
func (p *DB) WaitMemory(ctx context.Context, n uint64) error {
	return p.until(ctx, func() (bool, error) { return p.memory.shown.Load() >= n, nil })
}

// until waits for something that change brings about. It is looked at with the
// lock held.
func (p *DB) until(ctx context.Context, done func() (bool, error)) error {
	for {
		p.mu.Lock()
		ok, err := done()
		switch {
		case ok || err != nil:
		case p.failed != nil:
			err = p.failed
		case p.closed:
			err = quantrac.Errorf(quantrac.Unavailable, "projection %s is closed", p.path)
		}
		if ok || err != nil {
			p.mu.Unlock()
			return err
		}
		if p.wake == nil {
			p.wake = make(chan struct{})
		}
		wake := p.wake
		p.mu.Unlock()
		select {
		case <-wake:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// change alters what Wait looks at and wakes who waits.
func (p *DB) change(fn func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	fn()
	if p.wake != nil {
		close(p.wake)
		p.wake = nil
	}
}

// miss notes that the disk has not let the tables follow.
func (p *DB) miss(err error) {
	p.change(func() { p.misses, p.missed = p.misses+1, err })
	if say, left := p.again.Next(time.Now()); say {
		p.o.Logger.Warn("projection: the tables cannot follow the journal; trying again every second", "path", p.path, "error", err, "not_logged_before", left)
	}
}
