// Package index finds groups: by their labels as a whole when rows are
// appended, by matchers when they are read. A group is known by a small number,
// given in the order of first sight; a posting holds the groups that carry a
// label, or one property among their series.
//
// It lives in memory and is made again from the blocks and the journal when the
// store opens; there is no index by day, which for slow series is most of what
// such an index costs. Safe for concurrent use. Only package tsdb imports it.
package index

import (
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"quantrac"
)

// Index is an index. The zero value is empty and ready.
type Index struct {
	mu       sync.RWMutex
	byKey    map[string]uint32
	n        uint32 // groups
	postings map[string]map[string]*posting
}

// Lookup returns the number of the group with the key of its labels.
func (x *Index) Lookup(key []byte) (uint32, bool) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	id, ok := x.byKey[string(key)]
	return id, ok
}

// Add adds a group that is not there and returns its number, the next one.
func (x *Index) Add(labels quantrac.Labels) uint32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.byKey == nil {
		x.byKey, x.postings = map[string]uint32{}, map[string]map[string]*posting{}
	}
	id := x.n
	x.n++
	x.byKey[labels.Key()] = id
	for _, l := range labels {
		x.post(l.Name, l.Value, id)
	}
	return id
}

// AddProperty adds a property to a group.
func (x *Index) AddProperty(id uint32, property string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.post(quantrac.LabelMetric, property, id)
}

func (x *Index) post(name, value string, id uint32) {
	values := x.postings[name]
	if values == nil {
		values = map[string]*posting{}
		x.postings[name] = values
	}
	p := values[value]
	if p == nil {
		p = &posting{}
		values[value] = p
	}
	p.add(id)
}

// Match returns the numbers of the groups that pass every matcher, rising. A
// matcher on the metric name passes a group that has a property that does;
// which of its properties those are is for the caller to sort out. Stations,
// unless nil, are those that may be seen.
func (x *Index) Match(ms []*quantrac.Matcher, stations []string) []uint32 {
	x.mu.RLock()
	defer x.mu.RUnlock()
	var found *roaring.Bitmap // nil: all
	and := func(b *roaring.Bitmap) {
		if found == nil {
			found = b
		} else {
			found.And(b)
		}
	}
	if stations != nil {
		seen := roaring.New()
		for _, s := range stations {
			if s != "" {
				x.postings[quantrac.LabelStation][s].addTo(seen)
			}
		}
		and(seen)
	}
	for _, m := range ms {
		if found != nil && found.IsEmpty() {
			return nil
		}
		switch {
		case m.Kind == quantrac.MatchEqual && m.Value != "":
			one := roaring.New()
			x.postings[m.Name][m.Value].addTo(one)
			and(one)
		case m.Name == quantrac.LabelMetric, !m.Matches(""): // every group has a property
			and(x.union(m.Name, m.Matches))
		default:
			not := x.union(m.Name, func(v string) bool { return !m.Matches(v) })
			if found == nil {
				found = x.all()
			}
			found.AndNot(not)
		}
	}
	if found == nil {
		found = x.all()
	}
	return found.ToArray()
}

func (x *Index) all() *roaring.Bitmap {
	b := roaring.New()
	b.AddRange(0, uint64(x.n))
	return b
}

// union returns the groups with a value of the label that passes.
func (x *Index) union(name string, passes func(string) bool) *roaring.Bitmap {
	b := roaring.New()
	for v, p := range x.postings[name] {
		if passes(v) {
			p.addTo(b)
		}
	}
	return b
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
