package leveltest

import (
	"math"
	"time"

	"quantrac"
	"quantrac/alerting/level"
)

// Naive is a second implementation of the machine, written from the package
// comment of level and nothing else: it keeps every reading for ever and, for
// each question, looks back through them. It shares no code with level.Track
// but the types of input and output.
type Naive struct {
	rule    level.Rule
	times   []*naiveTime
	settled int // readings before this index can no longer be changed
	told    int
}

type naiveTime struct {
	t     quantrac.Millis
	says  []naiveSaying
	level int // after this reading, if it counts
}

type naiveSaying struct {
	v          float64
	bad        bool
	q          quantrac.Quality
	human      bool
	correction string
}

// Load sets or changes the rule.
func (n *Naive) Load(r level.Rule) level.Transition {
	n.rule = r
	if n.told == 0 {
		return level.Transition{}
	}
	return n.again()
}

func (s *naiveTime) visible() *naiveSaying {
	var device, human *naiveSaying
	for i := range s.says {
		if s.says[i].human {
			human = &s.says[i]
		} else {
			device = &s.says[i]
		}
	}
	if human != nil {
		return human
	}
	return device
}

func (s *naiveTime) counts() bool {
	v := s.visible()
	return v != nil && !v.bad
}

// counting returns the indexes of the readings that count, oldest first.
func (n *Naive) counting() []int {
	var out []int
	for i, s := range n.times {
		if s.counts() {
			out = append(out, i)
		}
	}
	return out
}

// Take takes a reading or correction.
func (n *Naive) Take(rd level.Reading) level.Transition {
	if rd.Time <= 0 {
		return level.Transition{}
	}
	say := naiveSaying{v: rd.Value, q: rd.Quality, human: rd.Layer == quantrac.LayerHuman, correction: rd.Correction}
	say.bad = rd.Quality == quantrac.Fail || rd.Quality == quantrac.Missing || math.IsNaN(rd.Value) || math.IsInf(rd.Value, 0)
	c := n.counting()
	for i, s := range n.times {
		if s.t != rd.Time {
			continue
		}
		if i < n.settled {
			return level.Transition{}
		}
		if !say.human {
			for _, old := range s.says {
				if !old.human && math.Float64bits(old.v) == math.Float64bits(say.v) {
					return level.Transition{}
				}
			}
		}
		s.says = append(s.says, say)
		return n.again()
	}
	if len(c) > 0 && rd.Time <= n.times[c[len(c)-1]].t {
		return level.Transition{}
	}
	at := len(n.times)
	for at > 0 && n.times[at-1].t > rd.Time {
		at--
	}
	s := &naiveTime{t: rd.Time, says: []naiveSaying{say}}
	n.times = append(n.times[:at], append([]*naiveTime{s}, n.times[at:]...)...)
	if say.bad {
		n.settle()
		return level.Transition{}
	}
	s.level = n.levelAt(append(c, at), len(c))
	return n.tell(false, true)
}

// Revoke withdraws the human sayings of a correction.
func (n *Naive) Revoke(correction string, _ uint64) level.Transition {
	hit := false
	for i, s := range n.times {
		if i < n.settled || correction == "" {
			continue
		}
		kept := s.says[:0:0]
		for _, say := range s.says {
			if say.human && say.correction == correction {
				hit = true
				continue
			}
			kept = append(kept, say)
		}
		s.says = kept
	}
	if !hit {
		return level.Transition{}
	}
	return n.again()
}

// again judges every reading that is not settled anew.
func (n *Naive) again() level.Transition {
	c := n.counting()
	reached := false
	for k, i := range c {
		if i >= n.settled {
			n.times[i].level = n.levelAt(c, k)
		} else if k+1 < len(c) && c[k+1] < n.settled {
			continue
		}
		if n.times[i].level > 0 {
			reached = true
		}
	}
	return n.tell(true, reached)
}

// levelAt says the level after reading c[k], given the levels of those before.
func (n *Naive) levelAt(c []int, k int) int {
	before := 0
	if k > 0 {
		before = n.times[c[k-1]].level
	}
	top := max(before, n.reaches(n.times[c[k]]))
	for l := top; l >= 1; l-- {
		if !n.over(c, k, l) {
			return l
		}
	}
	return 0
}

func (n *Naive) threshold(l int, t quantrac.Millis) *quantrac.Threshold {
	var out *quantrac.Threshold
	for i, th := range n.rule.Thresholds {
		if th.Level == l && t >= th.ValidFrom && t < th.ValidTo && (out == nil || th.Value < out.Value) {
			out = &n.rule.Thresholds[i]
		}
	}
	return out
}

// reaches says the highest level whose value the reading has reached.
func (n *Naive) reaches(s *naiveTime) int {
	for l := 3; l >= 1; l-- {
		if th := n.threshold(l, s.t); th != nil && s.visible().v >= th.Value {
			return l
		}
	}
	return 0
}

// over says whether level l is over at reading c[k]: the readings back from it
// are all under, unbroken, while the level was held, for the hold.
func (n *Naive) over(c []int, k, l int) bool {
	th := n.threshold(l, n.times[c[k]].t)
	if th == nil {
		return true
	}
	since := quantrac.Millis(-1)
	for j := k; j >= 0; j-- {
		s := n.times[c[j]]
		was := 0
		if j > 0 {
			was = n.times[c[j-1]].level
		}
		then := n.threshold(l, s.t)
		if max(was, n.reaches(s)) < l || then == nil || !(s.visible().v < then.Value-then.Hysteresis) {
			break
		}
		since = s.t
		if j > 0 && n.rule.MaxGap > 0 && time.Duration(s.t-n.times[c[j-1]].t)*time.Millisecond > n.rule.MaxGap {
			break
		}
	}
	return since >= 0 && time.Duration(n.times[c[k]].t-since)*time.Millisecond >= th.Hold
}

func (n *Naive) tell(corrected, reached bool) level.Transition {
	defer n.settle()
	tr := level.Transition{From: n.told, Corrected: corrected}
	c := n.counting()
	if len(c) > 0 {
		s := n.times[c[len(c)-1]]
		tr.To, tr.Time, tr.Value, tr.Quality = s.level, s.t, s.visible().v, s.visible().q
	}
	switch {
	case tr.To == tr.From:
		return level.Transition{}
	case tr.From == 0:
		tr.Change = level.Issue
	case tr.To > 0:
		tr.Change = level.Update
	case tr.Time != 0 && n.threshold(1, tr.Time) == nil && n.threshold(2, tr.Time) == nil && n.threshold(3, tr.Time) == nil:
		tr.Change, tr.Withdrawn = level.Cancel, true
	case reached:
		tr.Change = level.Clear
	default:
		tr.Change = level.Cancel
	}
	n.told = tr.To
	return tr
}

// settle moves the line before which nothing changes any more.
func (n *Naive) settle() {
	if n.told > 0 {
		n.settled = max(n.settled, len(n.times)-level.MaxWindow)
		return
	}
	if c := n.counting(); len(c) > 0 {
		n.settled = max(n.settled, c[len(c)-1])
	}
}

// Quick is Take without keeping the past for corrections that will not come:
// for long recordings. It drops what no rule can look back to, the readings
// more than a week before the last.
func Quick(n *Naive, rd level.Reading) level.Transition {
	const span = quantrac.Millis(3 * 24 * 3600 * 1000)
	tr := n.Take(rd)
	drop := 0
	for drop+1 < len(n.times) && n.times[drop+1].t < rd.Time-span {
		drop++
	}
	if drop > 64 {
		n.times = append(n.times[:0:0], n.times[drop:]...)
		n.settled = max(0, n.settled-drop)
	}
	return tr
}
