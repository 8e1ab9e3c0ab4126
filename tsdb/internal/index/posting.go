package index

import (
	"cmp"
	"hash/maphash"
	"math"
	"slices"
	"strings"
	"sync/atomic"

	"github.com/RoaringBitmap/roaring/v2"

	"quantrac"
	"quantrac/tsdb/internal/hashed"
)

// label is the values of one label. Most labels of a large store that have many
// values, such as station, have a group or two of each: a value takes little more
// than a word in a slice. What it reads is a piece of the key of a group that has it.
type label struct {
	name string
	key  func(id uint32) string

	ones  []uint32           // of each value a group that carries it; noGroup of one that is gone
	more  map[uint32]*groups // by place of the value, where several groups carry it
	texts []string           // of the values of the metric name, which is in no key; else nil
	free  []uint32           // places of values that are gone
	by    hashed.Table       // by text
	// sorted is the values in order, nil where one has come or gone since it was
	// made.
	sorted atomic.Pointer[ordered]
}

// ordered is the places of values in order of their texts. Those are kept too where
// they are few, copied side by side: the keys that they are pieces of lie all over the
// memory.
type ordered struct {
	places []uint32
	texts  []string // nil where there are more than maxTexts
}

// maxTexts is how many texts of a label are kept.
const maxTexts = 1 << 16

// noGroup is the number of no group.
const noGroup = math.MaxUint32

// posting is the groups that carry a value, one at least.
type posting struct {
	one  uint32
	more *groups // nil where that is the only one
}

// groups is a set of groups.
type groups struct {
	list []uint32 // rising; nil once there is a bitmap
	bits *roaring.Bitmap
}

// maxList is how many groups are listed before they become a bitmap.
const maxList = 64

func hashOf(seed maphash.Seed, text string) uint32 { return uint32(maphash.String(seed, text)) }

// text returns the value at a place, "" where it is gone: no label has an empty value.
func (l *label) text(at uint32) string {
	if l.texts != nil {
		return l.texts[at]
	}
	id := l.ones[at]
	if id == noGroup {
		return ""
	}
	for rest := l.key(id); rest != ""; {
		var x quantrac.Label
		if x, rest = quantrac.CutLabel(rest); x.Name == l.name {
			return x.Value
		}
	}
	return ""
}

// find returns the place of a value.
func (l *label) find(hash uint32, text string) (uint32, bool) {
	return l.by.Find(hash, func(at uint32) bool { return l.text(at) == text })
}

func (l *label) add(hash uint32, text string, id uint32) {
	if at, ok := l.find(hash, text); ok {
		l.join(at, id)
		return
	}
	at := uint32(len(l.ones))
	if n := len(l.free); n > 0 {
		at, l.free = l.free[n-1], l.free[:n-1]
	} else {
		l.ones = append(l.ones, noGroup)
		if l.name == quantrac.LabelMetric {
			l.texts = append(l.texts, "")
		}
	}
	l.ones[at] = id
	if l.texts != nil {
		l.texts[at] = text
	}
	l.by.Add(hash, at)
	l.sorted.Store(nil)
}

// join adds a group to those of a value.
func (l *label) join(at, id uint32) {
	if g := l.more[at]; g != nil {
		g.add(id)
		return
	}
	one := l.ones[at]
	if one == id {
		return
	}
	if l.more == nil {
		l.more = map[uint32]*groups{}
	}
	l.more[at] = &groups{list: []uint32{min(one, id), max(one, id)}}
}

// remove takes a group from a value and says whether the label has no value left.
func (l *label) remove(hash uint32, text string, id uint32) (empty bool) {
	at, ok := l.find(hash, text)
	if !ok || !l.leave(at, id) {
		return false
	}
	l.by.Remove(hash, at)
	l.ones[at] = noGroup
	if l.texts != nil {
		l.texts[at] = ""
	}
	l.free = append(l.free, at)
	l.sorted.Store(nil)
	return len(l.free) == len(l.ones)
}

// leave takes a group out of those of a value and says whether none is left.
func (l *label) leave(at, id uint32) (empty bool) {
	g := l.more[at]
	if g == nil {
		return l.ones[at] == id
	}
	if g.remove(id) {
		delete(l.more, at)
		return true
	}
	if l.ones[at] == id {
		l.ones[at] = g.first()
	}
	return false
}

// posting returns the groups of the value at a place.
func (l *label) posting(at uint32) posting { return posting{l.ones[at], l.more[at]} }

// of returns the groups that carry a value, false for none; a nil label has none.
func (l *label) of(seed maphash.Seed, text string) (posting, bool) {
	if l == nil {
		return posting{}, false
	}
	at, ok := l.find(hashOf(seed, text), text)
	if !ok {
		return posting{}, false
	}
	return l.posting(at), true
}

// each calls f with the groups of every value, in any order, until it returns false.
func (l *label) each(f func(p posting) bool) {
	for at, one := range l.ones {
		if one != noGroup && !f(l.posting(uint32(at))) {
			return
		}
	}
}

// order returns the values, sorted. The caller holds the index for reading.
func (l *label) order() *ordered {
	if o := l.sorted.Load(); o != nil {
		return o
	}
	o := &ordered{places: make([]uint32, 0, len(l.ones))}
	texts := make([]string, len(l.ones))
	for at := range l.ones {
		if texts[at] = l.text(uint32(at)); texts[at] != "" {
			o.places = append(o.places, uint32(at))
		}
	}
	slices.SortFunc(o.places, func(a, b uint32) int { return cmp.Compare(texts[a], texts[b]) })
	if len(o.places) <= maxTexts {
		o.keep(texts)
	}
	l.sorted.Store(o)
	return o
}

// keep copies the texts, which are given by place.
func (o *ordered) keep(texts []string) {
	var all strings.Builder
	for _, at := range o.places {
		all.WriteString(texts[at])
	}
	o.texts = make([]string, len(o.places))
	rest := all.String()
	for i, at := range o.places {
		n := len(texts[at])
		o.texts[i], rest = rest[:n], rest[n:]
	}
}

func (g *groups) add(id uint32) {
	if g.bits != nil {
		g.bits.Add(id)
		return
	}
	i, ok := slices.BinarySearch(g.list, id)
	if ok {
		return
	}
	g.list = slices.Insert(g.list, i, id)
	if len(g.list) > maxList {
		g.bits, g.list = roaring.BitmapOf(g.list...), nil
	}
}

// remove takes a group out and says whether none is left.
func (g *groups) remove(id uint32) (empty bool) {
	if g.bits != nil {
		g.bits.Remove(id)
		return g.bits.IsEmpty()
	}
	if i, ok := slices.BinarySearch(g.list, id); ok {
		g.list = slices.Delete(g.list, i, i+1)
	}
	return len(g.list) == 0
}

// first returns one of the groups.
func (g *groups) first() uint32 {
	if g.bits != nil {
		return g.bits.Minimum()
	}
	return g.list[0]
}

// addTo adds the set to b.
func (p posting) addTo(b *roaring.Bitmap) {
	switch {
	case p.more == nil:
		b.Add(p.one)
	case p.more.bits != nil:
		b.Or(p.more.bits)
	default:
		b.AddMany(p.more.list)
	}
}

// meets says whether the set has a group in common with another.
func (p posting) meets(b *roaring.Bitmap) bool {
	switch {
	case p.more == nil:
		return b.Contains(p.one)
	case p.more.bits != nil:
		return p.more.bits.Intersects(b)
	}
	return slices.ContainsFunc(p.more.list, b.Contains)
}
