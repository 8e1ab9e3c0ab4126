package quantrac

import (
	"sync"
	"time"
)

// SystemClock is the machine's clock.
type SystemClock struct{}

// Now implements Clock.
func (SystemClock) Now() Millis { return FloorMillis(time.Now()) }

// At implements Clock.
func (SystemClock) At(t Millis) (<-chan struct{}, func()) {
	ch := make(chan struct{})
	d := time.Until(t.Time())
	if d <= 0 {
		close(ch)
		return ch, func() {}
	}
	timer := time.AfterFunc(d, func() { close(ch) })
	return ch, func() { timer.Stop() }
}

// ManualClock stands still until it is set: the clock of tests, and of a
// service that judges a recording as if it were live. The zero value stands at
// 1970. It never goes backwards.
type ManualClock struct {
	mu    sync.Mutex
	now   Millis
	waits map[*manualWait]struct{}
}

type manualWait struct {
	at Millis
	ch chan struct{}
}

// NewManualClock returns a clock that stands at now.
func NewManualClock(now Millis) *ManualClock { return &ManualClock{now: now} }

// Now implements Clock.
func (c *ManualClock) Now() Millis {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.now
}

// At implements Clock.
func (c *ManualClock) At(t Millis) (<-chan struct{}, func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := &manualWait{at: t, ch: make(chan struct{})}
	if t <= c.now {
		close(w.ch)
		return w.ch, func() {}
	}
	if c.waits == nil {
		c.waits = make(map[*manualWait]struct{})
	}
	c.waits[w] = struct{}{}
	return w.ch, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		delete(c.waits, w)
	}
}

// Set moves the clock to t and wakes who waited for it; a t before the present
// is ignored.
func (c *ManualClock) Set(t Millis) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if t <= c.now {
		return
	}
	c.now = t
	for w := range c.waits {
		if w.at <= t {
			close(w.ch)
			delete(c.waits, w)
		}
	}
}

// Advance moves the clock forward by d.
func (c *ManualClock) Advance(d time.Duration) { c.Set(c.Now().Add(d)) }
