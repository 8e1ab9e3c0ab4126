package forecast

import (
	"sync"
	"time"

	"github.com/jonboulle/clockwork"

	"quantrac"
)

// timetable is the room's clock as gocron wants it, so that the schedule of a
// replayed recording runs on the recording's time.
type timetable struct{ clock quantrac.Clock }

func (t timetable) Now() time.Time                         { return t.clock.Now().Time() }
func (t timetable) Since(u time.Time) time.Duration        { return t.Now().Sub(u) }
func (t timetable) Until(u time.Time) time.Duration        { return u.Sub(t.Now()) }
func (t timetable) After(d time.Duration) <-chan time.Time { return t.NewTimer(d).Chan() }
func (t timetable) Sleep(d time.Duration)                  { <-t.After(d) }

func (t timetable) NewTimer(d time.Duration) clockwork.Timer {
	a := &alarm{t: t, ch: make(chan time.Time, 1)}
	a.ring = a.send
	a.Reset(d)
	return a
}

func (t timetable) AfterFunc(d time.Duration, fn func()) clockwork.Timer {
	a := &alarm{t: t, ring: fn}
	a.Reset(d)
	return a
}

func (t timetable) NewTicker(d time.Duration) clockwork.Ticker {
	k := &ticker{alarm: &alarm{t: t, ch: make(chan time.Time, 1)}}
	k.alarm.ring = k.tick
	k.Reset(d)
	return k
}

// alarm is a clockwork.Timer on a quantrac.Clock.
type alarm struct {
	t    timetable
	ch   chan time.Time // nil for a function
	ring func()

	mu   sync.Mutex
	due  quantrac.Millis
	stop chan struct{} // closed to give up the wait; nil where none is under way
}

// send hands the time to who waits on the channel; a time that nobody took is
// not queued behind.
func (a *alarm) send() {
	select {
	case a.ch <- a.t.Now():
	default:
	}
}

// Chan implements clockwork.Timer.
func (a *alarm) Chan() <-chan time.Time { return a.ch }

// Stop implements clockwork.Timer.
func (a *alarm) Stop() bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.halt()
}

// halt gives up the wait under way, if there is one. The lock is held.
func (a *alarm) halt() bool {
	if a.stop == nil {
		return false
	}
	close(a.stop)
	a.stop = nil
	return true
}

// Reset implements clockwork.Timer.
func (a *alarm) Reset(d time.Duration) bool {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.set(a.t.clock.Now().Add(d))
}

// again sets the alarm that has rung for d after the time it was due, so that
// a ticker keeps its pace however late it is looked at.
func (a *alarm) again(d time.Duration) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.set(a.due.Add(d))
}

// set starts a wait in place of the one that may be under way, and says
// whether there was one. The lock is held.
func (a *alarm) set(due quantrac.Millis) bool {
	was := a.halt()
	stop := make(chan struct{})
	a.due, a.stop = due, stop
	reached, cancel := a.t.clock.At(due)
	go func() {
		select {
		case <-stop:
			cancel()
			return
		case <-reached:
		}
		a.mu.Lock()
		mine := a.stop == stop // nobody stopped or set it meanwhile
		if mine {
			a.stop = nil
		}
		a.mu.Unlock()
		if mine {
			a.ring()
		}
	}()
	return was
}

// ticker is a clockwork.Ticker: an alarm that sets itself again.
type ticker struct {
	alarm *alarm
	mu    sync.Mutex
	every time.Duration // 0 while stopped
}

func (k *ticker) tick() {
	k.alarm.send()
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.every > 0 {
		k.alarm.again(k.every)
	}
}

// Chan implements clockwork.Ticker.
func (k *ticker) Chan() <-chan time.Time { return k.alarm.ch }

// Reset implements clockwork.Ticker.
func (k *ticker) Reset(d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.every = d
	k.alarm.Reset(d)
}

// Stop implements clockwork.Ticker.
func (k *ticker) Stop() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.every = 0
	k.alarm.Stop()
}
