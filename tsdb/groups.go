package tsdb

import "sync/atomic"

// groupTable is every group by its number. Numbers only grow; a reader's copy of
// the table stays as it is. It is cut into pieces, so that those of whom all
// groups are gone take nothing.
type groupTable struct {
	n      atomic.Uint32
	pieces atomic.Pointer[[]*groupPiece]
	nobody group // stands in the place of removed ones
}

const pieceBits = 8

type groupPiece [1 << pieceBits]*group

// at returns a group. The caller has learned its number from the index, or from
// who has.
func (t *groupTable) at(id uint32) *group {
	p := (*t.pieces.Load())[id>>pieceBits]
	if p == nil {
		return &t.nobody
	}
	return p[id&(1<<pieceBits-1)]
}

// add adds a group and returns its number. One goroutine at a time changes the
// table.
func (t *groupTable) add(g *group) uint32 {
	id := t.n.Load()
	var pieces []*groupPiece
	if p := t.pieces.Load(); p != nil {
		pieces = *p
	}
	if int(id>>pieceBits) == len(pieces) {
		pieces = append(pieces, &groupPiece{})
		t.pieces.Store(&pieces)
	}
	pieces[id>>pieceBits][id&(1<<pieceBits-1)] = g
	t.n.Store(id + 1)
	return id
}

// remove lets the memory of groups go. A reader may still see them.
func (t *groupTable) remove(ids []uint32) {
	pieces := append([]*groupPiece(nil), *t.pieces.Load()...)
	fresh := map[uint32]bool{}
	for _, id := range ids {
		k := id >> pieceBits
		if !fresh[k] {
			fresh[k] = true
			c := *pieces[k]
			pieces[k] = &c
		}
		pieces[k][id&(1<<pieceBits-1)] = &t.nobody
	}
	full := t.n.Load() >> pieceBits // pieces before it get no more groups
	for k := range fresh {
		gone := k < full
		for _, g := range pieces[k] {
			gone = gone && g == &t.nobody
		}
		if gone {
			pieces[k] = nil
		}
	}
	t.pieces.Store(&pieces)
}
