package index

import (
	"cmp"
	"hash/maphash"
	"slices"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"quantrac/tsdb/internal/hashed"
)

// label is the values of one label. Most labels of a large store that have many
// values, such as station, have a group or two of each: a value takes little more
// than its place in two slices.
type label struct {
	values []value
	free   []uint32     // places of values that are gone
	by     hashed.Table // by text
	// sorted is the places of the values in order of their texts, nil where one
	// has come or gone since it was made.
	sorted atomic.Pointer[[]uint32]
}

// value is one value of a label and the groups that carry it.
type value struct {
	text string
	posting
}

// posting is a set of groups, one at least.
type posting struct {
	one  uint32 // the only one, where there is no more
	more *groups
}

// groups is a set of groups.
type groups struct {
	list []uint32 // rising; nil once there is a bitmap
	bits *roaring.Bitmap
}

// maxList is how many groups a posting lists before it becomes a bitmap.
const maxList = 64

func hashOf(seed maphash.Seed, text string) uint32 { return uint32(maphash.String(seed, text)) }

// find returns the place of a value.
func (l *label) find(hash uint32, text string) (uint32, bool) {
	return l.by.Find(hash, func(at uint32) bool { return l.values[at].text == text })
}

func (l *label) add(hash uint32, text string, id uint32) {
	if at, ok := l.find(hash, text); ok {
		l.values[at].add(id)
		return
	}
	at := uint32(len(l.values))
	if n := len(l.free); n > 0 {
		at, l.free = l.free[n-1], l.free[:n-1]
	} else {
		l.values = append(l.values, value{})
	}
	l.values[at] = value{text, posting{one: id}}
	l.by.Add(hash, at)
	l.sorted.Store(nil)
}

// remove takes a group from a value and says whether the label has no value left.
func (l *label) remove(hash uint32, text string, id uint32) (empty bool) {
	at, ok := l.find(hash, text)
	if !ok || !l.values[at].remove(id) {
		return false
	}
	l.by.Remove(hash, at)
	l.values[at] = value{}
	l.free = append(l.free, at)
	l.sorted.Store(nil)
	return len(l.free) == len(l.values)
}

// of returns the groups that carry a value; a nil label has none.
func (l *label) of(seed maphash.Seed, text string) *posting {
	if l == nil {
		return nil
	}
	at, ok := l.find(hashOf(seed, text), text)
	if !ok {
		return nil
	}
	return &l.values[at].posting
}

// each calls f with every value, in any order, until it returns false.
func (l *label) each(f func(v *value) bool) {
	for i := range l.values {
		if v := &l.values[i]; v.text != "" && !f(v) { // no label has an empty value
			return
		}
	}
}

// order returns the places of the values, sorted. The caller holds the index for
// reading.
func (l *label) order() []uint32 {
	if s := l.sorted.Load(); s != nil {
		return *s
	}
	out := make([]uint32, 0, len(l.values))
	for at := range l.values {
		if l.values[at].text != "" {
			out = append(out, uint32(at))
		}
	}
	slices.SortFunc(out, func(a, b uint32) int { return cmp.Compare(l.values[a].text, l.values[b].text) })
	l.sorted.Store(&out)
	return out
}

func (p *posting) add(id uint32) {
	switch g := p.more; {
	case g == nil && p.one == id:
	case g == nil:
		p.more = &groups{list: []uint32{min(p.one, id), max(p.one, id)}}
	case g.bits != nil:
		g.bits.Add(id)
	default:
		i, ok := slices.BinarySearch(g.list, id)
		if ok {
			return
		}
		g.list = slices.Insert(g.list, i, id)
		if len(g.list) > maxList {
			g.bits, g.list = roaring.BitmapOf(g.list...), nil
		}
	}
}

// remove takes a group out and says whether none is left.
func (p *posting) remove(id uint32) (empty bool) {
	switch g := p.more; {
	case g == nil:
		return p.one == id
	case g.bits != nil:
		g.bits.Remove(id)
		return g.bits.IsEmpty()
	default:
		if i, ok := slices.BinarySearch(g.list, id); ok {
			g.list = slices.Delete(g.list, i, i+1)
		}
		return len(g.list) == 0
	}
}

// addTo adds the set to b; a nil posting is empty.
func (p *posting) addTo(b *roaring.Bitmap) {
	switch {
	case p == nil:
	case p.more == nil:
		b.Add(p.one)
	case p.more.bits != nil:
		b.Or(p.more.bits)
	default:
		b.AddMany(p.more.list)
	}
}

// meets says whether the set has a group in common with another.
func (p *posting) meets(b *roaring.Bitmap) bool {
	switch {
	case p.more == nil:
		return b.Contains(p.one)
	case p.more.bits != nil:
		return p.more.bits.Intersects(b)
	}
	return slices.ContainsFunc(p.more.list, b.Contains)
}
