package tsdb

import (
	"math/bits"
	"slices"
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

// settle sorts what is new in among the rest.
func (o *order) settle() {
	o.fresh.Lock()
	defer o.fresh.Unlock()
	if len(o.fresh.list) == 0 {
		return
	}
	list := o.fresh.list
	o.fresh.list = nil
	compare := func(a, b target) int { return a.s.labels.Compare(b.s.labels) }
	slices.SortFunc(list, compare)
	merged := make([]target, 0, len(o.sorted)+len(list))
	rest := o.sorted
	for _, t := range list {
		n, _ := slices.BinarySearchFunc(rest, t, compare)
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
