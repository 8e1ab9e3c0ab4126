package promql

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"quantrac"
	"quantrac/tsdb"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql/parser"
)

// While late data arrive, a dashboard's aggregation changes at a few windows of a few
// series each time it is asked for. What the series came to in all windows is kept
// with the result; where the store says which windows rows have come into, those
// are folded again, and only the groups of their series are aggregated anew, there,
// by the same steps in the same order as at first.

// refolder is a store that knows what has changed.
type refolder interface {
	Mark() tsdb.Mark
	FoldSince(ctx context.Context, since tsdb.Mark, q tsdb.Query, w tsdb.Windows, op tsdb.FoldOp, show func(f *tsdb.Folded, k, n int) bool) (now tsdb.Mark, ok bool, err error)
}

const (
	maxStandings     = 32
	maxStandingCells = 2 << 20 // windows of all series of all of them, 8 bytes each
)

// standings are aggregations that are asked for again and again, those used last.
type standings struct {
	mu     sync.Mutex
	list   []*standing // the latest first
	mended atomic.Uint64
}

// standing is one of them.
type standing struct {
	key   string
	cells int // of values, guarded by the list's mu

	mu sync.Mutex // held while it is evaluated; guards result
	result
}

// result is what an aggregation came to, and of what.
type result struct {
	whole    bool // else the rest says nothing
	mark     tsdb.Mark
	registry uint64
	op       parser.ItemType
	steps    int
	members  map[uint64]int // by number of the series
	groupOf  []int          // of each member
	values   []float64      // of each member at each step, absent for none
	points   int            // of all members
	groups   []standingGroup
	dirty    []int // group * steps + step: to be aggregated anew
}

type standingGroup struct {
	labels  quantrac.Labels
	members []int // as they are aggregated
	values  []float64
}

// isAbsent says whether something stands for no value: a stale marker is no sample,
// and nothing that is worked out comes to one.
func isAbsent(v float64) bool { return math.Float64bits(v) == value.StaleNaN }

// find returns what is kept for a key, empty at first.
func (s *standings) find(key string) *standing {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := slices.IndexFunc(s.list, func(st *standing) bool { return st.key == key })
	if i < 0 {
		i = len(s.list)
		s.list = append(s.list, &standing{key: key})
	}
	st := s.list[i]
	copy(s.list[1:], s.list[:i])
	s.list[0] = st
	if len(s.list) > maxStandings {
		s.list = slices.Delete(s.list, maxStandings, len(s.list))
	}
	return st
}

// settle notes how many cells are kept, and lets the oldest go that would be too
// many for all.
func (s *standings) settle(st *standing, cells int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	st.cells = cells
	total := 0
	for i, o := range s.list {
		if total += o.cells; total > maxStandingCells {
			s.list = slices.Delete(s.list, i, len(s.list))
			return
		}
	}
}

// stands says whether the evaluation is one whose series are kept.
func (e *evaluation) stands() bool {
	_, knows := e.store.(refolder)
	_, counts := e.reg.(committed)
	return knows && counts && e.again != "" && e.agg != nil && !e.function.present && e.sel.asOf == 0 && !e.anew
}

// stand folds what has changed since the last time, or everything.
func (e *evaluation) stand(ctx context.Context, w tsdb.Windows) error {
	st := e.standings.find(e.again)
	st.mu.Lock()
	defer st.mu.Unlock()
	registry := e.registry
	if st.whole && st.registry == registry {
		if ok, err := e.mend(ctx, st, w); ok || err != nil {
			return err
		}
	}
	st.result = result{
		whole: true, mark: e.store.(refolder).Mark(), registry: registry,
		op: e.agg.Op, steps: e.steps, members: map[uint64]int{},
	}
	sink := e.sink.(*groups)
	if err := e.foldAll(ctx, w, func(f *tsdb.Folded) { st.add(f, sink.last) }); err != nil {
		st.result = result{}
		return err
	}
	st.close(sink)
	e.standings.settle(st, len(st.values))
	return nil
}

// add takes in a series that has become part of a group.
func (r *result) add(f *tsdb.Folded, group int) {
	m := len(r.members)
	if _, twice := r.members[f.Series]; twice || len(r.values)+r.steps > maxStandingCells {
		r.whole = false
	}
	if !r.whole {
		return
	}
	r.members[f.Series] = m
	r.groupOf = append(r.groupOf, group)
	if group == len(r.groups) {
		r.groups = append(r.groups, standingGroup{})
	}
	r.groups[group].members = append(r.groups[group].members, m)
	for k, n := range f.Counts {
		if n == 0 {
			r.values = append(r.values, math.Float64frombits(value.StaleNaN))
			continue
		}
		r.values = append(r.values, f.Values[k])
		r.points++
	}
}

// close takes what the groups have come to, when all series are there.
func (r *result) close(from *groups) {
	if !r.whole {
		*r = result{}
		return
	}
	for i := range r.groups {
		g := &r.groups[i]
		g.labels = from.list[i].labels
		g.values = make([]float64, r.steps)
		for k := range g.values {
			g.values[k] = from.list[i].cells[k].shown(r.op)
		}
	}
}

// shown returns what a cell has come to, absent if that is nothing.
func (c *cell) shown(op parser.ItemType) float64 {
	if c.count == 0 {
		return math.Float64frombits(value.StaleNaN)
	}
	return c.result(op)
}

// mend brings what is kept up to date and takes it for the result; false where all
// has to be worked out.
func (e *evaluation) mend(ctx context.Context, st *standing, w tsdb.Windows) (ok bool, err error) {
	now, ok, err := e.store.(refolder).FoldSince(ctx, st.mark, e.query(0, 0), w, e.function.fold, func(f *tsdb.Folded, k, n int) bool {
		m, known := st.members[f.Series]
		if known {
			st.whole = st.change(m, f, k, n)
		} else if slices.ContainsFunc(f.Counts[k:n], func(n uint32) bool { return n > 0 }) {
			st.whole = !e.wanted(f.Labels) // a series more
		}
		return st.whole
	})
	if err != nil || !ok || !st.whole {
		return false, err
	}
	st.mark = now
	st.aggregate()
	// The limits are those of the series, as if all had been read.
	if err := e.spend(len(st.members), 0); err != nil {
		return false, err
	}
	if err := e.budget.add(0, st.points); err != nil {
		return false, err
	}
	e.standings.mended.Add(1)
	out := e.sink.(*groups).out
	for i := range st.groups {
		g := &st.groups[i]
		e.columns.reset(st.steps)
		for k, v := range g.values {
			if !isAbsent(v) {
				e.columns.set(k, v)
			}
		}
		if err := out.add(g.labels, *e.columns); err != nil {
			return false, err
		}
	}
	return true, nil
}

// change takes in what a member has come to at steps from k to before n. It says no
// where that is nothing any more at any step: then it is no member.
func (r *result) change(m int, f *tsdb.Folded, k, n int) bool {
	all := r.values[m*r.steps:][:r.steps]
	gone := false
	for i := k; i < n; i++ {
		v := f.Values[i]
		if f.Counts[i] == 0 {
			v = math.Float64frombits(value.StaleNaN)
		}
		if math.Float64bits(v) == math.Float64bits(all[i]) {
			continue
		}
		if isAbsent(all[i]) {
			r.points++
		}
		if all[i] = v; isAbsent(v) {
			r.points--
			gone = true
		}
		r.dirty = append(r.dirty, r.groupOf[m]*r.steps+i)
	}
	return !gone || slices.ContainsFunc(all, func(v float64) bool { return !isAbsent(v) })
}

// aggregate works out what groups come to where members have changed.
func (r *result) aggregate() {
	slices.Sort(r.dirty)
	for _, d := range slices.Compact(r.dirty) {
		g, k := &r.groups[d/r.steps], d%r.steps
		var c cell
		for _, m := range g.members {
			if v := r.values[m*r.steps+k]; !isAbsent(v) {
				c.take(r.op, v)
			}
		}
		g.values[k] = c.shown(r.op)
	}
	r.dirty = r.dirty[:0]
}
