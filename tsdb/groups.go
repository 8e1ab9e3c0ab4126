package tsdb

import (
	"slices"
	"strings"
	"sync/atomic"
)

// groupTable is every group by its number, in pieces of memory that hold the groups
// themselves: side by side they take less than one by one, and are found quicker.
// Numbers only grow; a reader's copy of the table stays as it is. A piece goes when
// all of its groups have gone.
type groupTable struct {
	n      atomic.Uint32
	pieces atomic.Pointer[[]groupPiece]
	keys   strings.Builder // of the next groups
	nobody group           // stands in the place of removed ones
}

// groupPiece is groups with numbers in a row.
type groupPiece struct {
	groups *[pieceGroups]group // nil once all are gone
	gone   *[pieceGroups]bool  // nil while none is
}

const (
	pieceGroups = 68      // with a word of the allocator 8 KiB
	keyBytes    = 4 << 10 // of keys in one piece of memory
)

// at returns a group. The caller has learned its number from the index, or from
// who has.
func (t *groupTable) at(id uint32) *group {
	p := &(*t.pieces.Load())[id/pieceGroups]
	if i := id % pieceGroups; p.groups != nil && (p.gone == nil || !p.gone[i]) {
		return &p.groups[i]
	}
	return &t.nobody
}

// make returns a new group with a key, and gives it its number. One goroutine at a
// time changes the table.
func (t *groupTable) make(key []byte) *group {
	id := t.n.Load()
	var pieces []groupPiece
	if p := t.pieces.Load(); p != nil {
		pieces = *p
	}
	if int(id/pieceGroups) == len(pieces) {
		pieces = append(pieces, groupPiece{groups: &[pieceGroups]group{}})
		t.pieces.Store(&pieces)
	}
	g := &pieces[id/pieceGroups].groups[id%pieceGroups]
	g.id, g.key = id, t.keep(key)
	t.n.Store(id + 1)
	return g
}

// keep returns a copy of a key that lies beside those before.
func (t *groupTable) keep(key []byte) string {
	if t.keys.Cap()-t.keys.Len() < len(key) {
		t.keys = strings.Builder{}
		t.keys.Grow(max(keyBytes, len(key)))
	}
	from := t.keys.Len()
	t.keys.Write(key)
	return t.keys.String()[from:]
}

// remove lets the memory of groups go. A reader may still see them.
func (t *groupTable) remove(ids []uint32) {
	pieces := slices.Clone(*t.pieces.Load())
	fresh := map[uint32]bool{}
	for _, id := range ids {
		k := id / pieceGroups
		p := &pieces[k]
		if !fresh[k] {
			fresh[k] = true
			gone := [pieceGroups]bool{}
			if p.gone != nil {
				gone = *p.gone
			}
			p.gone = &gone
		}
		p.gone[id%pieceGroups] = true
	}
	full := t.n.Load() / pieceGroups // pieces before it get no more groups
	for k := range fresh {
		if k < full && !slices.Contains(pieces[k].gone[:], false) {
			pieces[k] = groupPiece{}
		}
	}
	t.pieces.Store(&pieces)
}
