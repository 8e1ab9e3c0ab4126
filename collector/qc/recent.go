package qc

import (
	"time"

	"quantrac"
)

// Recent is what the tests need to know of the readings before: the zero value
// knows none. Its size is fixed.
type Recent struct {
	any        bool            // a slot has been seen
	slot       quantrac.Millis // time of the newest slot, with a value or without
	seen       bool            // a value has been seen
	lastTime   quantrac.Millis // of last
	last       float64         // the newest value that did not fail
	before     float64         // the one before it
	neighbours uint8           // how many of last and before follow each other without a gap
	flat       window
}

// newer says whether t lies after everything that r holds.
func (r *Recent) newer(t quantrac.Millis) bool { return !r.any || t > r.slot }

// gap enters a slot without a usable value.
func (r *Recent) gap(p *quantrac.Property, t quantrac.Millis) {
	r.breakAfterSilence(p, t)
	r.any, r.slot, r.neighbours = true, t, 0
	r.flat.slot(t)
}

// breakAfterSilence forgets the neighbours and the flat run where the series
// has been silent for longer than it is shown: the first value after an outage
// has no neighbour, and an outage is no flat line. The last value stays: a rate
// over a long time is small by itself.
func (r *Recent) breakAfterSilence(p *quantrac.Property, t quantrac.Millis) {
	if r.any && p.Interval > 0 && t.Sub(r.slot) > quantrac.StaleAfter(p.Interval) {
		r.neighbours = 0
		r.flat = window{}
	}
}

func (r *Recent) enter(t quantrac.Millis, v float64) {
	r.any, r.slot, r.seen = true, t, true
	r.before, r.last, r.lastTime = r.last, v, t
	if r.neighbours < 2 {
		r.neighbours++
	}
}

// flatSpan is how long a value must have stood still to be a flat line: FlatFor
// in whole expected intervals, so that readings at the interval can span it
// exactly; at least one interval.
func flatSpan(p *quantrac.Property) time.Duration {
	if p.FlatFor <= 0 || p.Interval <= 0 {
		return p.FlatFor
	}
	return max(p.FlatFor/p.Interval, 1) * p.Interval
}

// window keeps the range of the values of the last span. Two queues hold the
// candidates for the largest and the smallest: each value drops those before it
// that it outdoes. The queues are bounded; where one would grow over its bound,
// as in a long steady rise, its two oldest entries become one that is as extreme
// as the older and lasts as long as the younger. So the range is never taken for
// smaller than it is, and a flat line is at worst noticed later, never too soon.
type window struct {
	started   bool
	start     quantrac.Millis // of the first slot
	values    uint8           // seen in the run, up to 2
	high, low queue
}

// queueSize bounds a queue. Sixteen turning values hold a tide's rise at ten
// minutes in full detail where it matters: at its newest end.
const queueSize = 16

type queue struct {
	n int
	e [queueSize]entry
}

type entry struct {
	t quantrac.Millis
	v float64
}

func (w *window) slot(t quantrac.Millis) {
	if !w.started {
		w.started, w.start = true, t
	}
}

// add enters a value and says whether the series has been flat for span: its
// values since then differ by at most epsilon. judged is false as long as the
// run is shorter than span, or has this value only.
func (w *window) add(t quantrac.Millis, v float64, span time.Duration, epsilon float64) (flat, judged bool) {
	w.slot(t)
	from := t.Add(-span)
	w.high.push(t, v, from, func(old float64) bool { return old <= v })
	w.low.push(t, v, from, func(old float64) bool { return old >= v })
	if w.values < 2 {
		w.values++
	}
	if w.start > from || w.values < 2 {
		return false, false
	}
	return w.high.e[0].v-w.low.e[0].v <= epsilon, true
}

// push drops what is older than from and what v outdoes, and appends v.
func (q *queue) push(t quantrac.Millis, v float64, from quantrac.Millis, outdone func(old float64) bool) {
	for q.n > 0 && outdone(q.e[q.n-1].v) {
		q.n--
	}
	gone := 0
	for gone < q.n && q.e[gone].t < from {
		gone++
	}
	copy(q.e[:], q.e[gone:q.n])
	q.n -= gone
	if q.n == queueSize {
		q.e[1].v = q.e[0].v
		copy(q.e[:], q.e[1:])
		q.n--
	}
	q.e[q.n] = entry{t, v}
	q.n++
}
