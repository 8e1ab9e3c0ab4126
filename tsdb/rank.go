package tsdb

import (
	"cmp"
	"slices"
	"strings"
	"sync"
)

// groupOrder is all groups sorted by their labels, so that writing blocks needs no
// sorting by them. New groups wait until the next block.
type groupOrder struct {
	mu     sync.Mutex
	sorted []uint32     // the ranks of these rise
	ranks  []*rankPiece // by number, nil where all groups of a piece are gone
	fresh  struct {
		sync.Mutex
		list []uint32
	}
}

type rankPiece [1 << pieceBits]uint32

// add puts a new group into the order.
func (o *groupOrder) add(id uint32) {
	o.fresh.Lock()
	defer o.fresh.Unlock()
	o.fresh.list = append(o.fresh.list, id)
}

// compareKeys orders groups by their keys as quantrac.Labels.Compare orders their
// labels.
func compareKeys(a, b string) int {
	for a != "" && b != "" {
		x, restA := cutText(a)
		y, restB := cutText(b)
		if x != y {
			return strings.Compare(x, y)
		}
		a, b = restA, restB
	}
	return cmp.Compare(len(a), len(b)) // one of them is at its end
}

// cutText takes the first text off a key.
func cutText(key string) (text, rest string) {
	n, width := uvarintString(key)
	return key[width : width+n], key[width+n:]
}

// settle sorts what is new in among the rest. The caller holds mu.
func (o *groupOrder) settle(groups *groupTable) {
	o.fresh.Lock()
	list := o.fresh.list
	o.fresh.list = nil
	o.fresh.Unlock()
	if len(list) == 0 {
		return
	}
	key := func(id uint32) string { return groups.at(id).key }
	byKey := make([]keyed, len(list))
	for i, id := range list {
		byKey[i] = keyed{id: id}
	}
	sortKeyed(groups, byKey)
	for i := range byKey {
		list[i] = byKey[i].id
	}
	merged := make([]uint32, 0, len(o.sorted)+len(list))
	rest := o.sorted
	for _, id := range list {
		k := key(id)
		n := gallop(len(rest), func(i int) bool { return compareKeys(key(rest[i]), k) > 0 })
		merged = append(append(merged, rest[:n]...), id)
		rest = rest[n:]
	}
	o.sorted = append(merged, rest...)
	for i, id := range o.sorted {
		*o.rank(id) = uint32(i)
	}
}

// rank returns where the rank of a group stands. The caller holds mu.
func (o *groupOrder) rank(id uint32) *uint32 {
	k := int(id >> pieceBits)
	for k >= len(o.ranks) {
		o.ranks = append(o.ranks, nil)
	}
	if o.ranks[k] == nil {
		o.ranks[k] = &rankPiece{}
	}
	return &o.ranks[k][id&(1<<pieceBits-1)]
}

// gallop returns the first of n places where is begins to be true, quickly where
// that is near.
func gallop(n int, is func(i int) bool) int {
	lo, step := 0, 1
	for lo+step <= n && !is(lo+step-1) {
		lo += step
		step *= 2
	}
	hi := min(lo+step-1, n)
	for lo < hi {
		if mid := (lo + hi) / 2; is(mid) {
			hi = mid
		} else {
			lo = mid + 1
		}
	}
	return lo
}

// sort sorts groups by their labels.
func (o *groupOrder) sort(groups *groupTable, ids []uint32) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(groups)
	if len(ids) > len(o.sorted)/8 && o.pick(ids) {
		return
	}
	byRank := make([]uint64, len(ids))
	for i, id := range ids {
		byRank[i] = uint64(*o.rank(id))<<32 | uint64(id)
	}
	slices.Sort(byRank)
	for i, r := range byRank {
		ids[i] = uint32(r)
	}
}

// pick sorts groups that are many of all by going through all of these. It is false,
// and nothing is changed, where some are not among them. The caller holds mu.
func (o *groupOrder) pick(ids []uint32) bool {
	wanted := make([]uint64, slices.Max(ids)/64+1)
	for _, id := range ids {
		wanted[id/64] |= 1 << (id % 64)
	}
	out := make([]uint32, 0, len(ids))
	for _, id := range o.sorted {
		if int(id/64) < len(wanted) && wanted[id/64]>>(id%64)&1 != 0 {
			out = append(out, id)
		}
	}
	if len(out) != len(ids) {
		return false
	}
	copy(ids, out)
	return true
}

// remove takes groups out.
func (o *groupOrder) remove(groups *groupTable, gone []uint32) {
	set := make(map[uint32]bool, len(gone))
	for _, id := range gone {
		set[id] = true
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	o.settle(groups)
	left := make([]uint32, 0, max(len(o.sorted)-len(gone), 0))
	ranks := make([]*rankPiece, len(o.ranks))
	for _, id := range o.sorted {
		if !set[id] {
			left = append(left, id)
			ranks[id>>pieceBits] = o.ranks[id>>pieceBits]
		}
	}
	o.sorted, o.ranks = left, ranks
}
