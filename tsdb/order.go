package tsdb

import (
	"math/bits"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	"quantrac"
)

// order is all series sorted by their labels, so that the answers of queries
// need no sorting. New series wait until the next query.
type order struct {
	mu     sync.RWMutex
	sorted []place // the series at sorted[i] has rank i
	// generation rises before a new series can have rows, and after series are gone.
	generation atomic.Uint64

	fresh struct {
		sync.Mutex
		list []freshPlaces
	}
}

// freshPlaces are the places of the same column of so many groups that follow one
// another.
type freshPlaces struct {
	place
	n uint32
}

// place is where a series is.
type place struct{ group, col uint32 }

// target returns the series at a place.
func (t *groupTable) target(p place) target {
	g := t.at(p.group)
	if p.col == 0 {
		return target{g: g, s: &g.one}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	return target{g: g, col: int(p.col), s: g.at(int(p.col))}
}

// add puts a new series into the order.
func (o *order) add(p place) {
	o.fresh.Lock()
	defer o.fresh.Unlock()
	o.generation.Add(1)
	if n := len(o.fresh.list); n > 0 {
		if l := &o.fresh.list[n-1]; p.col == l.col && p.group == l.group+l.n {
			l.n++
			return
		}
	}
	o.fresh.list = append(o.fresh.list, freshPlaces{p, 1})
}

// compare orders series as quantrac.Labels.Compare orders their labels, without
// making them.
func (t target) compare(u target) int {
	a := labelCursor{rest: t.g.key, metric: t.s.metric.name}
	b := labelCursor{rest: u.g.key, metric: u.s.metric.name}
	return compareLabels(&a, &b)
}

// compareLabels goes through the labels of both.
func compareLabels(a, b *labelCursor) int {
	for {
		x, y := a.next(), b.next()
		if !x || !y {
			switch {
			case x:
				return 1
			case y:
				return -1
			}
			return 0
		}
		if c := strings.Compare(a.at.Name, b.at.Name); c != 0 {
			return c
		}
		if c := strings.Compare(a.at.Value, b.at.Value); c != 0 {
			return c
		}
	}
}

// labelCursor walks the labels of a key, and a metric's name among them, "" for
// none.
type labelCursor struct {
	rest   string
	metric string
	at     quantrac.Label
}

// next goes to the next label, false at the end.
func (c *labelCursor) next() bool {
	l, rest := quantrac.CutLabel(c.rest)
	switch {
	case c.metric != "" && (c.rest == "" || quantrac.LabelMetric < l.Name):
		c.at = quantrac.Label{Name: quantrac.LabelMetric, Value: c.metric}
		c.metric = ""
	case c.rest == "":
		return false
	default:
		c.at, c.rest = l, rest
	}
	return true
}

// settle sorts what is new in among the rest.
func (o *order) settle(groups *groupTable) {
	o.fresh.Lock()
	defer o.fresh.Unlock()
	if len(o.fresh.list) == 0 {
		return
	}
	var list []place
	for _, l := range o.fresh.list {
		for i := range l.n {
			list = append(list, place{l.group + i, l.col})
		}
	}
	o.fresh.list = nil
	compare := func(a, b place) int { return groups.target(a).compare(groups.target(b)) }
	slices.SortFunc(list, compare)
	merged := make([]place, 0, len(o.sorted)+len(list))
	rest := o.sorted
	for _, p := range list {
		n, _ := slices.BinarySearchFunc(rest, p, compare)
		merged = append(append(merged, rest[:n]...), p)
		rest = rest[n:]
	}
	merged = append(merged, rest...)
	o.mu.Lock()
	defer o.mu.Unlock()
	o.rank(groups, merged)
}

// rank makes a list the order. The caller holds mu.
func (o *order) rank(groups *groupTable, list []place) {
	o.sorted = list
	for i, p := range list {
		groups.target(p).s.rank = int32(i)
	}
}

// remove takes all series of groups out.
func (o *order) remove(groups *groupTable, gone []uint32) {
	if len(gone) == 0 {
		return
	}
	o.settle(groups)
	set := make(map[uint32]bool, len(gone))
	for _, id := range gone {
		set[id] = true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	left := make([]place, 0, max(len(o.sorted)-len(gone), 0))
	for _, p := range o.sorted {
		if set[p.group] {
			groups.target(p).s.rank = -1
			continue
		}
		left = append(left, p)
	}
	o.rank(groups, left)
	o.generation.Add(1)
}

// pick returns the series that each passes to its argument, in order.
func (o *order) pick(groups *groupTable, each func(pass func(s *series))) []target {
	o.settle(groups)
	o.mu.RLock()
	defer o.mu.RUnlock()
	set := make([]uint64, (len(o.sorted)+63)/64)
	n := 0
	each(func(s *series) {
		if s.rank >= 0 { // not newer than the order
			set[s.rank/64] |= 1 << (s.rank % 64)
			n++
		}
	})
	out := make([]target, 0, n)
	for i, w := range set {
		for ; w != 0; w &= w - 1 {
			out = append(out, groups.target(o.sorted[i*64+bits.TrailingZeros64(w)]))
		}
	}
	return out
}
