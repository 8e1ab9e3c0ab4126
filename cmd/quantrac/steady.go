package main

import (
	"log/slog"
	"sync"
	"time"

	"quantrac"
	"quantrac/internal/seldom"
)

// maxJump is how far the machine's clock may jump, forwards or back, to be
// believed without a word.
const maxJump = 24 * time.Hour

// steadyClock is the machine's clock as long as it goes as time does. A hand
// that sets it to another year would date every commit so, for ever, and make
// every reading look years old: where it jumps by more than maxJump, the clock
// goes on as time has, until the machine's comes back, the system says that it
// is synchronised with others, or an operator accepts it.
type steadyClock struct {
	wall   func() quantrac.Millis // of the machine
	mono   func() time.Duration   // what has passed while the machine was awake
	asleep func() time.Duration   // since the start
	synced func() bool            // whether others agree with wall
	log    *slog.Logger

	mu    sync.Mutex
	base  quantrac.Millis // what was told last
	at    time.Duration   // when, by mono
	slept time.Duration   // of asleep, what is in base
	off   time.Duration   // how far the machine's clock is from ours, 0 while it is believed
	say   seldom.Limit
}

func newSteadyClock(log *slog.Logger) *steadyClock {
	start := time.Now()
	awake := func() time.Duration { return time.Since(start) }
	return startClock(&steadyClock{
		wall: quantrac.SystemClock{}.Now, mono: awake, asleep: sleepOf(awake), synced: clockSynced, log: log,
	})
}

func startClock(c *steadyClock) *steadyClock {
	c.base, c.at, c.slept = c.wall(), c.mono(), c.asleep()
	return c
}

// Now implements quantrac.Clock.
func (c *steadyClock) Now() quantrac.Millis {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall, mono := c.wall(), c.mono()
	steady := c.base.Add(mono - c.at)
	if far(wall, steady) {
		slept := c.asleep()
		steady = steady.Add(slept - c.slept)
		c.slept = slept
	}
	off := wall.Sub(steady)
	if !far(wall, steady) || c.synced() {
		c.believe(wall, mono, off)
		return wall
	}
	c.base, c.at, c.off = steady, mono, off
	if again, _ := c.say.Next(time.Now()); again {
		c.log.Error("the machine's clock has jumped and is not believed; set it right, or accept it: see \"clock\" in the operating manual",
			"machine", wall, "goes_on_at", steady, "jump", off)
	}
	return steady
}

// believe goes by the machine's clock. The lock is held.
func (c *steadyClock) believe(wall quantrac.Millis, mono, off time.Duration) {
	switch {
	case c.off != 0:
		c.log.Warn("the machine's clock is believed again", "clock", wall, "changes_by", off)
	case off > maxJump || off < -maxJump:
		c.log.Warn("the machine's clock has jumped; it is synchronised, and believed", "clock", wall, "changes_by", off)
	}
	c.base, c.at, c.off = wall, mono, 0
}

func far(a, b quantrac.Millis) bool { return a > b.Add(maxJump) || b > a.Add(maxJump) }

// accept goes by the machine's clock from now on, if it is about the time that
// somebody has read from another one.
func (c *steadyClock) accept(about quantrac.Millis) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	wall := c.wall()
	if err := checkAbout(wall, about); err != nil {
		return err
	}
	c.believe(wall, c.mono(), c.off)
	return nil
}

func checkAbout(wall, about quantrac.Millis) error {
	if far(wall, about) {
		return quantrac.Errorf(quantrac.Conflict, "the machine's clock says %s, which is not about %s: set it right first", wall, about)
	}
	return nil
}

// refused is how far the machine's clock is from ours, 0 while it is believed.
func (c *steadyClock) refused() time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.off
}

// At implements quantrac.Clock.
func (c *steadyClock) At(t quantrac.Millis) (<-chan struct{}, func()) {
	ch := make(chan struct{})
	d := t.Sub(c.Now())
	if d <= 0 {
		close(ch)
		return ch, func() {}
	}
	timer := time.AfterFunc(d, func() { close(ch) })
	return ch, func() { timer.Stop() }
}
