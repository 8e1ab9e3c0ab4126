package promql

import (
	"context"
	"math"
	"slices"
	"strings"
	"sync"

	"quantrac"
	"quantrac/tsdb"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/util/annotations"
)

// columns are what a series shows at the steps of a grid: a value where the
// count is not 0.
type columns struct {
	counts []uint32
	values []float64
	shown  int // at how many steps there is a value
}

// foldedColumns makes columns of what was folded.
func foldedColumns(f *tsdb.Folded) columns {
	c := columns{counts: f.Counts, values: f.Values}
	if f.Full {
		c.shown = len(c.counts)
		return c
	}
	shown := 0 // not in c: adding to memory takes longer than all the rest
	for _, count := range c.counts {
		shown += int((uint64(count) + math.MaxUint32) >> 32) // 1 if it is not 0
	}
	c.shown = shown
	return c
}

func (c *columns) reset(n int) {
	c.counts = slices.Grow(c.counts[:0], n)[:n]
	c.values = slices.Grow(c.values[:0], n)[:n]
	c.shown = 0
	clear(c.counts)
}

func (c *columns) set(k int, v float64) {
	if c.counts[k] == 0 {
		c.shown++
	}
	c.counts[k], c.values[k] = 1, v
}

// wanted says whether a series' metadata pass.
func (e *evaluation) wanted(id quantrac.Labels) bool { return e.join.passes(id, e.sel.meta) }

// query is one for the times that windows reach.
func (e *evaluation) query(from, to quantrac.Millis) tsdb.Query {
	return tsdb.Query{
		Matchers: e.sel.identity, From: from, To: to,
		AsOf: e.sel.asOf, Qualities: e.sel.qualities, DeviceOnly: e.sel.deviceOnly, Reuse: true, Anew: e.anew,
	}
}

// fold lets the store fold, which holds no window in memory.
func (e *evaluation) fold(ctx context.Context) error {
	w := tsdb.Windows{First: e.start - e.offset, Step: e.step, Width: e.width, Count: e.steps}
	if e.stands() {
		return e.stand(ctx, w)
	}
	return e.foldAll(ctx, w, func(*tsdb.Folded) {})
}

// foldAll folds all series; each sees those that have become part of the result.
func (e *evaluation) foldAll(ctx context.Context, w tsdb.Windows, each func(*tsdb.Folded)) error {
	for f, err := range e.store.Fold(ctx, e.query(0, 0), w, e.function.fold) {
		if err != nil {
			return err
		}
		if !e.wanted(f.Labels) {
			continue
		}
		if e.function.present {
			for k := range f.Values {
				f.Values[k] = 1
			}
		}
		if err := e.emit(f.Labels, foldedColumns(f), 0, 0); err != nil {
			return err
		}
		each(f)
	}
	return ctx.Err()
}

// scan works out a function's values from the samples of each window, of several
// series at a time.
func (e *evaluation) scan(ctx context.Context) error {
	w := tsdb.Windows{First: e.start - e.offset, Step: e.step, Width: e.width, Count: e.steps}
	var pool sync.Pool
	w.By = func(out *tsdb.Folded, s *tsdb.Series) bool {
		at, ok := pool.Get().(*window)
		if !ok {
			at = &window{}
		}
		defer pool.Put(at)
		return e.slide(at, out, w.First, s)
	}
	for f, err := range e.store.Fold(ctx, e.query(0, 0), w, 0) {
		if err != nil {
			return err
		}
		if !e.wanted(f.Labels) {
			continue
		}
		if err := e.emit(f.Labels, columns{f.Counts, f.Values, f.Shown}, f.Widest, f.Last); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// slide moves a window over a series and says whether it ever held a sample.
func (e *evaluation) slide(w *window, out *tsdb.Folded, first quantrac.Millis, s *tsdb.Series) bool {
	m, timed := &w.moments, e.function.timed
	if timed && m.size(s.Values) && m.slopes(out, s.Times, s.Values, first, e.step, e.width) {
		return out.Widest > 0
	}
	w.times, w.values = s.Times, s.Values
	w.lo, w.hi = 0, 0
	if !timed || !m.ok { // no marker is of a size
		w.times, w.values = dropStale(s.Times, s.Values)
	}
	if timed && (m.ok || len(w.times) < len(s.Times) && m.size(w.values)) {
		m.sum(w.times, w.values)
	}
	out.Widest, out.Last, out.Shown = 0, 0, 0
	clear(out.Counts)
	for k := range e.steps {
		w.move(first+quantrac.Millis(k)*e.step, e.width)
		if out.Last = w.hi - w.lo; out.Last == 0 {
			continue
		}
		out.Widest = max(out.Widest, out.Last)
		if v, ok := e.function.value(w); ok {
			out.Counts[k], out.Values[k] = 1, v
			out.Shown++
		}
	}
	return out.Widest > 0
}

// dropStale leaves out values that are Prometheus' stale markers; almost always
// there are none.
func dropStale(times []quantrac.Millis, values []float64) ([]quantrac.Millis, []float64) {
	n := slices.IndexFunc(values, value.IsStaleNaN)
	if n < 0 {
		return times, values
	}
	ts, vs := slices.Clone(times[:n]), slices.Clone(values[:n])
	for i := n; i < len(values); i++ {
		if !value.IsStaleNaN(values[i]) {
			ts, vs = append(ts, times[i]), append(vs, values[i])
		}
	}
	return ts, vs
}

// newest takes of a series what evaluations see of it: its newest sample, as
// long as that is not older than stale (0: as far back as is looked) and no stale
// marker.
func (e *evaluation) newest(id quantrac.Labels, times []quantrac.Millis, values []float64, stale quantrac.Millis) error {
	if !e.wanted(id) {
		return nil
	}
	if stale == 0 {
		stale = e.lookback
	}
	e.columns.reset(e.steps)
	next, at := 0, e.start-e.offset
	for k := range e.steps {
		for next < len(times) && times[next] <= at {
			next++
		}
		if next > 0 && at-times[next-1] < stale && !value.IsStaleNaN(values[next-1]) {
			e.columns.set(k, values[next-1])
		}
		at += e.step
	}
	return e.emit(id, *e.columns, 0, 0)
}

// latest evaluates a last_over_time at one time from the table of last values.
// Those that had to be read come after the others, and are put in order.
func (e *evaluation) latest(ctx context.Context, t quantrac.Millis) error {
	type last struct {
		id    quantrac.Labels
		value float64
	}
	var all []last
	e.take = func(id quantrac.Labels, times []quantrac.Millis, values []float64, _ quantrac.Millis) error {
		if _, values = dropStale(times, values); len(values) > 0 {
			all = append(all, last{id, values[len(values)-1]})
		}
		return nil
	}
	if err := e.present(ctx, t); err != nil {
		return err
	}
	order := func(a, b last) int { return a.id.Compare(b.id) }
	if !slices.IsSortedFunc(all, order) {
		slices.SortFunc(all, order)
	}
	e.columns.reset(1)
	for _, l := range all {
		if !e.wanted(l.id) {
			continue
		}
		e.columns.set(0, l.value)
		if err := e.emit(l.id, *e.columns, 0, 0); err != nil {
			return err
		}
	}
	return nil
}

// emit hands a series to the sink. Its points, and the samples that its widest
// and its last window hold, count as the engine counts them.
func (e *evaluation) emit(id quantrac.Labels, c columns, widest, last int) error {
	if err := e.spend(1, 0); err != nil {
		return err
	}
	if err := e.budget.add(widest, 0); err != nil || c.shown == 0 {
		return err
	}
	if err := e.budget.add(last, c.shown); err != nil {
		return err
	}
	if e.join.clashes(id) || e.repeated(id) {
		return errDeclined
	}
	e.remark(id.Metric())
	return e.sink.add(e.join, id, e.dropsName(), c)
}

// repeated says whether a label set less the name has been before: then series
// have to be joined, or the expression makes no sense.
func (e *evaluation) repeated(id quantrac.Labels) bool {
	if e.names == nil {
		return false
	}
	key := e.join.merged(id, true).Key()
	if e.names[key] {
		return true
	}
	e.names[key] = true
	return false
}

// remark notes that a metric which does not look like a counter is taken for
// one, in the engine's words.
func (e *evaluation) remark(metric string) {
	if !e.function.counter || e.noted[metric] {
		return
	}
	if e.noted == nil {
		e.noted = map[string]bool{}
	}
	e.noted[metric] = true
	for _, suffix := range []string{"_total", "_sum", "_count", "_bucket"} {
		if strings.HasSuffix(metric, suffix) {
			return
		}
	}
	e.notes.Add(annotations.NewPossibleNonCounterInfo(metric, e.call.Args[0].PositionRange()))
}
