package level

import (
	"math"
	"time"

	"quantrac"
)

// Levels is how many levels there are: 1 (lowest) to Levels.
const Levels = 3

// Rule is what a series is judged by.
type Rule struct {
	// Thresholds of one kind, of any validity, in any order. Levels outside
	// 1 to Levels are ignored.
	Thresholds []quantrac.Threshold
	// MaxGap is the longest time between two readings of an unbroken run;
	// 0 means no limit. Use quantrac.StaleAfter of the expected interval.
	MaxGap time.Duration
}

// Core is the state of the machine after a usable reading. The zero value has
// seen none.
type Core struct {
	Level   int
	Below   [Levels + 1]quantrac.Millis // by level; 0 where the water is not shown to be under it
	Last    quantrac.Millis             // valid time of the last usable reading; 0 before any
	Value   float64                     // of that reading
	Quality quantrac.Quality            // of that reading
}

// rung is a threshold in force.
type rung struct {
	set   bool
	value float64
	under float64 // value − hysteresis
	hold  quantrac.Millis
}

// at returns the thresholds in force at t, by level, and whether there is any.
func (r *Rule) at(t quantrac.Millis) (rungs [Levels + 1]rung, any bool) {
	for i := range r.Thresholds {
		th := &r.Thresholds[i]
		if th.Level < 1 || th.Level > Levels || !th.InForce(t) || math.IsNaN(th.Value) {
			continue
		}
		g := &rungs[th.Level]
		if !g.set || th.Value < g.value {
			*g = rung{true, th.Value, th.Value - th.Hysteresis, quantrac.Millis(th.Hold.Milliseconds())}
		}
		any = true
	}
	return rungs, any
}

// Threshold returns the threshold of a level in force at t, nil where there is
// none.
func (r *Rule) Threshold(lvl int, t quantrac.Millis) *quantrac.Threshold {
	var best *quantrac.Threshold
	for i := range r.Thresholds {
		th := &r.Thresholds[i]
		if th.Level == lvl && th.InForce(t) && (best == nil || th.Value < best.Value) {
			best = th
		}
	}
	return best
}

// Step returns the state after the usable reading v at t, which is later than
// c.Last. The package comment says by what rules.
func (r *Rule) Step(c Core, t quantrac.Millis, v float64, q quantrac.Quality) Core {
	rungs, _ := r.at(t)
	broken := c.Last != 0 && r.MaxGap > 0 && t.Sub(c.Last) > r.MaxGap
	for k := Levels; k > c.Level; k-- {
		if rungs[k].set && v >= rungs[k].value {
			c.Level = k
			break
		}
	}
	held := 0
	for k := 1; k <= c.Level; k++ {
		g := rungs[k]
		switch {
		case !g.set:
			c.Below[k] = 0
			continue
		case !(v < g.under):
			c.Below[k] = 0
		case c.Below[k] == 0 || broken:
			c.Below[k] = t
		}
		if c.Below[k] == 0 || t-c.Below[k] < g.hold {
			held = k
		}
	}
	c.Level = held
	clear(c.Below[held+1:])
	c.Last, c.Value, c.Quality = t, v, q
	return c
}
