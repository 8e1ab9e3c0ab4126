package index

import (
	"cmp"
	"slices"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"
)

// label is the values of one label.
type label struct {
	values map[string]*posting
	// sorted is the values in order, nil where one has come or gone since it was
	// made.
	sorted atomic.Pointer[[]value]
}

// value is one value of a label and the groups that carry it.
type value struct {
	text string
	*posting
}

func (l *label) add(text string, id uint32) {
	p := l.values[text]
	if p == nil {
		p = &posting{}
		l.values[text] = p
		l.sorted.Store(nil)
	}
	p.add(id)
}

func (l *label) remove(text string, id uint32) {
	p := l.values[text]
	if p == nil || !p.remove(id) {
		return
	}
	delete(l.values, text)
	l.sorted.Store(nil)
}

// of returns the groups that carry a value; a nil label has none.
func (l *label) of(text string) *posting {
	if l == nil {
		return nil
	}
	return l.values[text]
}

// order returns the values sorted. The caller holds the index for reading.
func (l *label) order() []value {
	if s := l.sorted.Load(); s != nil {
		return *s
	}
	out := make([]value, 0, len(l.values))
	for text, p := range l.values {
		out = append(out, value{text, p})
	}
	slices.SortFunc(out, func(a, b value) int { return cmp.Compare(a.text, b.text) })
	l.sorted.Store(&out)
	return out
}

// maxList is how many groups a posting lists before it becomes a bitmap: most
// labels, such as station, have a group or two.
const maxList = 64

// posting is a set of groups.
type posting struct {
	list []uint32 // rising; nil once there is a bitmap
	bits *roaring.Bitmap
}

func (p *posting) add(id uint32) {
	if p.bits != nil {
		p.bits.Add(id)
		return
	}
	i, ok := slices.BinarySearch(p.list, id)
	if ok {
		return
	}
	p.list = slices.Insert(p.list, i, id)
	if len(p.list) > maxList {
		p.bits, p.list = roaring.BitmapOf(p.list...), nil
	}
}

// remove takes a group out and says whether none is left.
func (p *posting) remove(id uint32) (empty bool) {
	if p.bits != nil {
		p.bits.Remove(id)
		return p.bits.IsEmpty()
	}
	if i, ok := slices.BinarySearch(p.list, id); ok {
		p.list = slices.Delete(p.list, i, i+1)
	}
	return len(p.list) == 0
}

// addTo adds the set to b; a nil posting is empty.
func (p *posting) addTo(b *roaring.Bitmap) {
	switch {
	case p == nil:
	case p.bits != nil:
		b.Or(p.bits)
	default:
		b.AddMany(p.list)
	}
}

// meets says whether the set has a group in common with another.
func (p *posting) meets(b *roaring.Bitmap) bool {
	if p.bits != nil {
		return p.bits.Intersects(b)
	}
	return slices.ContainsFunc(p.list, b.Contains)
}
