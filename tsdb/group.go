package tsdb

import (
	"encoding/binary"
	"math"
	"sync"

	"quantrac"
)

// group is series that share all labels but the metric name.
type group struct {
	id     uint32
	labels quantrac.Labels // less the metric name

	// Of the applying goroutine alone.
	shapes []groupShape

	// mu guards the rest, and the runs of the group in every head. The applying
	// goroutine alone changes it, so that it need not lock for reading.
	mu      sync.RWMutex
	series  []*series // by column
	newest  int64     // time of the newest row of any kind
	touched uint64    // last commit with rows of the group since the store was opened
	folds   []*keptFold
	humans  bool // there are rows by people
}

// groupShape says which columns the cells of a list of properties go to.
type groupShape struct {
	shape *shape
	cols  []int
}

// shape is a list of properties that rows have in common, kept once.
type shape struct{ props []string }

// series is one series; its fields are guarded by the group's mu. What every
// row touches stands together.
type series struct {
	property string
	rank     int32 // in the order of all series, guarded by that; -1 at first

	first, last int64 // times of the first and last cell of any kind

	// What Latest shows. It is kept up to date while commits are applied as
	// long as that is a matter of comparing; else it becomes unknown and the
	// next reader looks it up.
	state   lastState
	changes uint32 // of state and value
	value   lastValue
}

type lastState uint8

const (
	lastUnknown lastState = iota // to be looked up
	lastNone                     // there is no such value
	lastKnown
)

type lastValue struct {
	time     int64
	value    float64
	received int64
	commit   quantrac.Commit
	quality  uint8
}

// extend makes the span of the series reach a time.
func (s *series) extend(t int64) {
	s.first, s.last = min(s.first, t), max(s.last, t)
}

// set makes v the last value, or none where v is nil.
func (s *series) set(state lastState, v lastValue) {
	s.state, s.value = state, v
	s.changes++
}

// groupOf returns the group of a label set, whose key is given; it is made
// where it is not known. Only one goroutine at a time may call it: who holds
// apply, or who opens the store.
func (db *DB) groupOf(key []byte, labels quantrac.Labels) *group {
	var buf [4]byte
	if v := db.cache.Get(buf[:0], key); len(v) == 4 {
		db.stats.cacheHits.Add(1)
		return (*db.groups.Load())[binary.LittleEndian.Uint32(v)]
	}
	db.stats.cacheMisses.Add(1)
	groups := *db.groups.Load()
	id, ok := db.index.Lookup(key)
	if !ok {
		if labels == nil {
			labels = decodeLabels(key)
		}
		g := &group{id: uint32(len(groups)), labels: labels, newest: math.MinInt64}
		groups = append(groups, g)
		db.groups.Store(&groups)
		id = db.index.Add(labels)
	}
	binary.LittleEndian.PutUint32(buf[:], id)
	db.cache.Set(key, buf[:])
	return groups[id]
}

// find returns the column of a property, -1 where the group has none.
func (g *group) find(property string) int {
	for i, s := range g.series {
		if s.property == property {
			return i
		}
	}
	return -1
}

// column returns the column of a property in a group, a new one where the
// group has none; its series then lies at s. It is called as groupOf is.
func (db *DB) column(g *group, property string, s *series) int {
	if col := g.find(property); col >= 0 {
		return col
	}
	col := len(g.series)
	*s = series{
		property: property,
		first:    math.MaxInt64, last: math.MinInt64, state: lastNone, rank: -1,
	}
	g.mu.Lock()
	g.series = append(g.series, s)
	g.mu.Unlock()
	db.stats.series.Add(1)
	db.index.AddProperty(g.id, property)
	db.order.add(target{g, col, s})
	return col
}

// columns returns the columns of a row's cells.
func (db *DB) columns(g *group, sh *shape) []int {
	for i := range g.shapes {
		if g.shapes[i].shape == sh {
			return g.shapes[i].cols
		}
	}
	cols := db.columnsOf(g, sh.props)
	if len(g.shapes) >= 64 {
		g.shapes = g.shapes[:0] // they are cheap to find again
	}
	g.shapes = append(g.shapes, groupShape{sh, cols})
	return cols
}

// columnsOf returns the columns of properties. The series that are new lie side
// by side, as they will be met.
func (db *DB) columnsOf(g *group, props []string) []int {
	fresh := 0
	for _, p := range props {
		if g.find(p) < 0 {
			fresh++
		}
	}
	slab := make([]series, fresh)
	cols := make([]int, len(props))
	for i, p := range props {
		known := len(g.series)
		var s *series
		if len(slab) > 0 {
			s = &slab[0]
		}
		cols[i] = db.column(g, p, s)
		if len(g.series) > known {
			slab = slab[1:]
		}
	}
	return cols
}
