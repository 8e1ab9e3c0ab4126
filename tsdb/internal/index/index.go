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
	"hash/maphash"
	"slices"
	"sync"

	"github.com/RoaringBitmap/roaring/v2"

	"quantrac"
	"quantrac/tsdb/internal/hashed"
)

// Index is an index. Make it with New.
type Index struct {
	key  func(id uint32) string
	seed maphash.Seed

	mu     sync.RWMutex
	byKey  hashed.Table
	n      uint32 // groups, with those removed
	gone   roaring.Bitmap
	labels map[string]*label
}

// New returns an empty index. It keeps no keys of its own: key gives that of a
// group that is in the index, or is being added.
func New(key func(id uint32) string) *Index {
	return &Index{key: key, seed: maphash.MakeSeed(), labels: map[string]*label{}}
}

// Lookup returns the number of the group with the key of its labels
// (quantrac.Labels.AppendKey).
func (x *Index) Lookup(key []byte) (uint32, bool) {
	hash := uint32(maphash.Bytes(x.seed, key))
	x.mu.RLock()
	defer x.mu.RUnlock()
	return x.byKey.Find(hash, func(id uint32) bool { return x.key(id) == string(key) })
}

// Add adds a group that is not there, by the key of its labels, and returns its
// number, the next one.
func (x *Index) Add(key string) uint32 {
	x.mu.Lock()
	defer x.mu.Unlock()
	id := x.n
	x.n++
	x.byKey.Add(hashOf(x.seed, key), id)
	for rest := key; rest != ""; {
		var l quantrac.Label
		l, rest = quantrac.CutLabel(rest)
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

// Remove takes a group out, whose key and properties these are. Its number is
// not given again.
func (x *Index) Remove(id uint32, key string, properties []string) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.byKey.Remove(hashOf(x.seed, key), id)
	for rest := key; rest != ""; {
		var l quantrac.Label
		l, rest = quantrac.CutLabel(rest)
		x.unpost(l.Name, l.Value, id)
	}
	for _, p := range properties {
		x.unpost(quantrac.LabelMetric, p, id)
	}
	x.gone.Add(id)
}

func (x *Index) unpost(name, text string, id uint32) {
	if l := x.labels[name]; l != nil && l.remove(hashOf(x.seed, text), text, id) {
		delete(x.labels, name)
	}
}

func (x *Index) post(name, text string, id uint32) {
	l := x.labels[name]
	if l == nil {
		l = &label{name: name, key: x.key}
		x.labels[name] = l
	}
	l.add(hashOf(x.seed, text), text, id)
}

// Match returns the numbers of the groups that pass every matcher, rising. A
// matcher on the metric name passes a group that has a property that does;
// which of its properties those are is for the caller to sort out. Stations,
// unless nil, are those that may be seen.
//
// Groups that come or go meanwhile may be among them or not. Nobody waits while
// patterns are matched, which may take long.
func (x *Index) Match(ms []*quantrac.Matcher, stations []string) []uint32 {
	var found *roaring.Bitmap // nil: all
	and := func(b *roaring.Bitmap) {
		if found == nil {
			found = b
		} else {
			found.And(b)
		}
	}
	if stations != nil {
		and(x.having(quantrac.LabelStation, stations...))
	}
	for _, m := range ms {
		if found != nil && found.IsEmpty() {
			return nil
		}
		switch {
		case m.Kind == quantrac.MatchEqual && m.Value != "":
			and(x.having(m.Name, m.Value))
		case m.Name == quantrac.LabelMetric, !m.Matches(""): // every group has a property
			and(x.union(m.Name, m.Matches))
		default:
			if found == nil {
				found = x.all() // before those that are not, so that none comes between
			}
			found.AndNot(x.union(m.Name, func(v string) bool { return !m.Matches(v) }))
		}
	}
	if found == nil {
		found = x.all()
	}
	return found.ToArray()
}

func (x *Index) all() *roaring.Bitmap {
	x.mu.RLock()
	defer x.mu.RUnlock()
	b := roaring.New()
	b.AddRange(0, uint64(x.n))
	b.AndNot(&x.gone)
	return b
}

// having returns the groups with one of some values of the label.
func (x *Index) having(name string, values ...string) *roaring.Bitmap {
	x.mu.RLock()
	defer x.mu.RUnlock()
	b := roaring.New()
	for _, v := range values {
		if v != "" {
			if p, ok := x.labels[name].of(x.seed, v); ok {
				p.addTo(b)
			}
		}
	}
	return b
}

// unionPiece is how many values are looked at under one lock.
const unionPiece = 256

// union returns the groups with a value of the label that passes.
func (x *Index) union(name string, passes func(string) bool) *roaring.Bitmap {
	b := roaring.New()
	texts := make([]string, 0, unionPiece)
	for from := 0; ; from += len(texts) {
		if texts = x.texts(texts[:0], name, from); len(texts) == 0 {
			return b
		}
		left := 0
		for i, text := range texts {
			if text == "" || !passes(text) {
				texts[i] = ""
			} else {
				left++
			}
		}
		if left > 0 {
			x.addTo(b, name, from, texts)
		}
	}
}

// texts appends values of a label from a place on, "" where there is none.
func (x *Index) texts(dst []string, name string, from int) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	if l := x.labels[name]; l != nil {
		for at := from; at < min(from+unionPiece, len(l.ones)); at++ {
			dst = append(dst, l.text(uint32(at)))
		}
	}
	return dst
}

// addTo adds the groups with values of a label that are given from their place on.
// Where another value has come to lie there since, its groups are new.
func (x *Index) addTo(b *roaring.Bitmap, name string, from int, texts []string) {
	x.mu.RLock()
	defer x.mu.RUnlock()
	l := x.labels[name]
	for i, text := range texts {
		if at := from + i; text != "" && l != nil && at < len(l.ones) && l.text(uint32(at)) == text {
			l.posting(uint32(at)).addTo(b)
		}
	}
}

// Names returns the labels that some of the groups carry, sorted. The groups
// are given as Match returns them.
func (x *Index) Names(groups []uint32) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	in := x.among(groups)
	var out []string
	for name, l := range x.labels {
		l.each(func(p posting) bool {
			if in != nil && !in(p) {
				return true
			}
			out = append(out, name)
			return false
		})
	}
	slices.Sort(out)
	return out
}

// Values returns the values of a label that some of the groups carry, sorted,
// the first limit of them (0 for all).
func (x *Index) Values(name string, groups []uint32, limit int) []string {
	x.mu.RLock()
	defer x.mu.RUnlock()
	l := x.labels[name]
	if l == nil {
		return nil
	}
	all, in := l.order(), x.among(groups)
	most := len(all.places)
	if limit > 0 {
		most = min(most, limit)
	}
	if in == nil && all.texts != nil {
		return slices.Clone(all.texts[:most])
	}
	out := make([]string, 0, most)
	for i, at := range all.places {
		if len(out) == most {
			break
		}
		switch {
		case in != nil && !in(l.posting(at)):
		case all.texts != nil:
			out = append(out, all.texts[i])
		default:
			out = append(out, l.text(at))
		}
	}
	return out
}

// among returns whether a value is carried by any of the groups, nil where every value
// is.
func (x *Index) among(groups []uint32) func(posting) bool {
	// All of them, and none that has come since.
	if n := len(groups); n > 0 && n == int(x.n)-int(x.gone.GetCardinality()) && groups[n-1] == x.n-1 {
		return nil
	}
	set := roaring.BitmapOf(groups...)
	return func(p posting) bool { return p.meets(set) }
}
