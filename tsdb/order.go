package tsdb

import (
	"cmp"
	"math/bits"
	"quantrac"
	"slices"
	"strings"
	"sync"
)

// order is all series sorted by their labels, so that the answers of queries
// need no sorting. New series wait until the next query.
type order struct {
	mu     sync.RWMutex
	sorted []target // sorted[i].s.rank is i

	fresh struct {
		sync.Mutex
		list []target
	}
}

// add puts a new series into the order.
func (o *order) add(t target) {
	o.fresh.Lock()
	defer o.fresh.Unlock()
	o.fresh.list = append(o.fresh.list, t)
}

// compare orders series as quantrac.Labels.Compare orders their labels, without
// making them.
func (t target) compare(u target) int {
	m, n := t.metricAt(), u.metricAt()
	for i := 0; i <= len(t.g.labels) && i <= len(u.g.labels); i++ {
		a, b := t.labelAt(i, m), u.labelAt(i, n)
		if c := strings.Compare(a.Name, b.Name); c != 0 {
			return c
		}
		if c := strings.Compare(a.Value, b.Value); c != 0 {
			return c
		}
	}
	return cmp.Compare(len(t.g.labels), len(u.g.labels))
}

// metricAt returns where the metric's name stands among the labels.
func (t target) metricAt() int {
	i := 0
	for i < len(t.g.labels) && t.g.labels[i].Name < quantrac.LabelMetric {
		i++
	}
	return i
}

// labelAt returns label i of the series, whose metric stands at metric.
func (t target) labelAt(i, metric int) quantrac.Label {
	switch {
	case i < metric:
		return t.g.labels[i]
	case i == metric:
		return quantrac.Label{Name: quantrac.LabelMetric, Value: t.s.property}
	}
	return t.g.labels[i-1]
}

// settle sorts what is new in among the rest.
func (o *order) settle() {
	o.fresh.Lock()
	defer o.fresh.Unlock()
	if len(o.fresh.list) == 0 {
		return
	}
	list := o.fresh.list
	o.fresh.list = nil
	slices.SortFunc(list, target.compare)
	merged := make([]target, 0, len(o.sorted)+len(list))
	rest := o.sorted
	for _, t := range list {
		n, _ := slices.BinarySearchFunc(rest, t, target.compare)
		merged = append(append(merged, rest[:n]...), t)
		rest = rest[n:]
	}
	merged = append(merged, rest...)
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := range merged {
		merged[i].s.rank = int32(i)
	}
	o.sorted = merged
}

// remove takes series out.
func (o *order) remove(gone map[*series]bool) {
	if len(gone) == 0 {
		return
	}
	o.settle()
	o.mu.Lock()
	defer o.mu.Unlock()
	left := make([]target, 0, len(o.sorted))
	for _, t := range o.sorted {
		if gone[t.s] {
			t.s.rank = -1
			continue
		}
		t.s.rank = int32(len(left))
		left = append(left, t)
	}
	o.sorted = left
}

// pick returns the series that each passes to its argument, in order.
func (o *order) pick(each func(pass func(s *series))) []target {
	o.settle()
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
			out = append(out, o.sorted[i*64+bits.TrailingZeros64(w)])
		}
	}
	return out
}
