package tsdb

import (
	"math"
	"slices"
	"sync"

	"quantrac"
)

// group is series that share all labels but the metric name. There may be a
// million, most of one series: what few of them need lies apart.
type group struct {
	key string // of the labels, less the metric name (quantrac.Labels.AppendKey)
	id  uint32

	// mu guards what follows, and the runs of the group in every head. The
	// applying goroutine alone changes it, so that it need not lock for reading.
	mu      sync.Mutex
	count   uint32 // series
	touched uint64 // last commit with rows of the group since the store was opened
	one     series // the first
	more    *groupMore
}

// groupMore is what lone series have not.
type groupMore struct {
	shape  *groupShape // the last one met; of the applying goroutine alone
	newest int64       // time of the newest row of any kind, of several series
	humans bool        // there are rows by people
	series []*series   // by column less one
	folds  []*keptFold
	shapes []*groupShape // of the applying goroutine alone
}

// groupShape says which columns the cells of a list of properties go to.
type groupShape struct {
	shape *shape
	cols  []int
}

// shape is a list of properties that rows have in common, kept once.
type shape struct {
	props []string
	plain *groupShape // of groups whose columns are these properties, in order
}

// metric is a property that series have in common, kept once.
type metric struct{ name string }

// series is one series; its fields are guarded by the group's mu. What every
// row touches stands together.
type series struct {
	metric *metric
	rank   int32 // in the order of all series, guarded by that; -1 at first

	// What Latest shows. It is kept up to date while commits are applied as
	// long as that is a matter of comparing; else it becomes unknown and the
	// next reader looks it up.
	state   lastState
	quality uint8
	changes uint16 // of state and value, or of what would change them

	// Times of the first and last cell of any kind. Only who holds apply changes them,
	// so that the applying goroutine may read them without mu: they stand at both ends
	// of what a reader may be looking up, see applier.fetch.
	first int64
	value lastValue
	last  int64
}

type lastState uint8

const (
	lastUnknown lastState = iota // to be looked up
	lastNone                     // there is no such value
	lastKnown
)

// lastValue is a last value, less its quality.
type lastValue struct {
	time     int64
	value    float64
	received int64
	commit   quantrac.Commit
}

// extend makes the span of the series reach a time.
func (s *series) extend(t int64) {
	s.first, s.last = min(s.first, t), max(s.last, t)
}

// set makes v, of quality q, the last value, or none by the state.
func (s *series) set(state lastState, v lastValue, q uint8) {
	s.state, s.value, s.quality = state, v, q
	s.changes++
}

// labelCount returns how many labels the group has.
func (g *group) labelCount() int {
	n := 0
	for rest := g.key; rest != ""; n++ {
		_, rest = quantrac.CutLabel(rest)
	}
	return n
}

// labels returns the labels of the group, made of its key.
func (g *group) labels() quantrac.Labels {
	return g.appendLabels(make(quantrac.Labels, 0, g.labelCount()))
}

func (g *group) appendLabels(dst quantrac.Labels) quantrac.Labels {
	for rest := g.key; rest != ""; {
		var l quantrac.Label
		l, rest = quantrac.CutLabel(rest)
		dst = append(dst, l)
	}
	return dst
}

// at returns the series of a column. The group's mu is held.
func (g *group) at(col int) *series {
	if col == 0 {
		return &g.one
	}
	return g.more.series[col-1]
}

// all returns the series by column, as they are.
func (g *group) all() []*series {
	g.mu.Lock()
	defer g.mu.Unlock()
	out := make([]*series, g.count)
	for i := range out {
		out[i] = g.at(i)
	}
	return out
}

// each calls f with the series of the group until it returns false.
func (g *group) each(f func(col int, s *series) bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range int(g.count) {
		if !f(i, g.at(i)) {
			return
		}
	}
}

// rare returns what lone series have not, made at first. The group's mu is held.
func (g *group) rare() *groupMore {
	if g.more == nil {
		g.more = &groupMore{}
	}
	return g.more
}

// newest returns the time of the newest row of any kind. The group's mu is held.
func (g *group) newest() int64 {
	if g.count > 1 {
		return g.more.newest
	}
	return g.one.last
}

// reach notes that there is a row of a time, of which the series know already. The
// group's mu is held.
func (g *group) reach(t int64) {
	if g.count > 1 {
		g.more.newest = max(g.more.newest, t)
	}
}

// humans says whether there are rows by people. The group's mu is held.
func (g *group) humans() bool { return g.more != nil && g.more.humans }

// folds returns what is kept of the group. Its mu is held.
func (g *group) folds() []*keptFold {
	if g.more == nil {
		return nil
	}
	return g.more.folds
}

// groupOf returns the group of a label set, whose key is given; it is made
// where it is not known. Only one goroutine at a time may call it: who holds
// apply, or who opens the store.
func (db *DB) groupOf(key []byte) *group {
	if id, ok := db.index.Lookup(key); ok {
		return db.groups.at(id)
	}
	g := db.groups.make(key)
	db.byLabels.add(g.id)
	db.index.Add(g.key)
	return g
}

// find returns the column of a property, -1 where the group has none. The
// group's mu is held.
func (g *group) find(property string) int {
	for i := range int(g.count) {
		if g.at(i).metric.name == property {
			return i
		}
	}
	return -1
}

// addColumn adds a series of a property, which lies at s or, where the group has
// none, in the group. It is called as groupOf is.
func (db *DB) addColumn(g *group, property string, s *series) {
	m := db.metrics[property]
	if m == nil {
		m = &metric{property}
		db.metrics[property] = m
	}
	col := g.count
	g.mu.Lock()
	if col == 0 {
		s = &g.one
	} else {
		more := g.rare()
		if col == 1 {
			more.newest = g.one.last
		}
		more.series = append(more.series, s)
	}
	*s = series{metric: m, first: math.MaxInt64, last: math.MinInt64, state: lastNone, rank: -1}
	g.count++
	g.mu.Unlock()
	db.stats.series.Add(1)
	db.index.AddProperty(g.id, property)
	db.order.add(place{g.id, col})
}

// columns returns the columns of a row's cells.
func (db *DB) columns(g *group, sh *shape) []int {
	if g.isOne(sh) && sh.plain != nil {
		return sh.plain.cols
	}
	if more := g.more; more != nil {
		if more.shape != nil && more.shape.shape == sh {
			return more.shape.cols
		}
		for _, known := range more.shapes {
			if known.shape == sh {
				more.shape = known
				return known.cols
			}
		}
	}
	found := &groupShape{sh, db.columnsOf(g, sh.props)}
	if found.inOrder() {
		// So it is nearly always.
		if sh.plain == nil {
			sh.plain = found
		}
		found = sh.plain
	}
	if !g.isOne(sh) {
		g.remember(found)
	}
	return found.cols
}

// isOne says whether the cells of a list of properties are those of a lone series.
func (g *group) isOne(sh *shape) bool {
	return g.count == 1 && len(sh.props) == 1 && g.one.metric.name == sh.props[0]
}

// remember keeps where the cells of a list of properties go to, the last one met.
func (g *group) remember(found *groupShape) {
	more := g.rare()
	if more.shape != nil { // there is more than one
		if len(more.shapes) >= 64 {
			more.shapes = more.shapes[:0] // they are cheap to find again
		}
		if len(more.shapes) == 0 {
			more.shapes = append(more.shapes, more.shape)
		}
		more.shapes = append(more.shapes, found)
	}
	more.shape = found
}

// inOrder says whether the columns are those from the first on.
func (s *groupShape) inOrder() bool {
	for i, c := range s.cols {
		if c != i {
			return false
		}
	}
	return true
}

// columnsOf returns the columns of properties. The series that are new lie side
// by side, as they will be met.
func (db *DB) columnsOf(g *group, props []string) []int {
	cols := make([]int, len(props))
	var slab []series
	for i, p := range props {
		if cols[i] = g.find(p); cols[i] >= 0 {
			continue
		}
		cols[i] = int(g.count)
		if cols[i] > 0 && len(slab) == 0 {
			slab = make([]series, len(props)-i)
		}
		if cols[i] == 0 {
			db.addColumn(g, p, nil)
			continue
		}
		db.addColumn(g, p, &slab[0])
		slab = slab[1:]
	}
	return cols
}

// metricNamed returns the column of a property as a reader finds it.
func (g *group) metricNamed(property string) (col int, s *series, ok bool) {
	g.each(func(i int, x *series) bool {
		if ok = x.metric.name == property; ok {
			col, s = i, x
		}
		return !ok
	})
	return col, s, ok
}

// properties returns the names of the group's columns.
func (g *group) properties() []string {
	out := make([]string, 0, 1)
	g.each(func(_ int, s *series) bool {
		out = append(out, s.metric.name)
		return true
	})
	return slices.Clip(out)
}
