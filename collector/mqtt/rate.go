package mqtt

import (
	"context"
	"time"
)

// rate holds back a reader that is too fast: it may run ahead by a second's
// worth of messages and then waits until it is within its rate again. TCP slows
// the client down in turn; nothing is dropped. It belongs to one goroutine.
type rate struct {
	each time.Duration // between two messages, 0: no limit
	free time.Time     // when the next message is due at the steady rate
}

func newRate(perSecond int) rate {
	if perSecond <= 0 {
		return rate{}
	}
	return rate{each: time.Second / time.Duration(perSecond)}
}

func (r *rate) wait(ctx context.Context) error {
	if r.each == 0 {
		return nil
	}
	now := time.Now()
	if r.free.Before(now) {
		r.free = now
	}
	r.free = r.free.Add(r.each)
	ahead := r.free.Sub(now) - time.Second
	if ahead <= 0 {
		return nil
	}
	t := time.NewTimer(ahead)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}
