package promql

import (
	"context"
	"maps"
	"slices"

	"quantrac"
	"quantrac/tsdb"

	"github.com/prometheus/prometheus/model/value"
)

// reading is one selector being read.
type reading struct {
	*view
	sel  *selector
	join *joiner
	// reach is how far back an evaluation looks for a sample of a series, far the
	// most that it can be.
	reach func(quantrac.Labels) quantrac.Millis
	far   quantrac.Millis
	// take gets what is read: columns, and how long after its last sample a
	// series is seen, 0 where nothing but far ends it. They are its own, unless
	// reuse is set.
	take  func(id quantrac.Labels, times []quantrac.Millis, values []float64, stale quantrac.Millis) error
	reuse bool
	list  []*series // what add has taken
}

// restrict bounds the context to the stations whose metadata pass, where the
// metadata matchers rule out series that have none; false where no station is
// left. Every series is still checked by itself.
func (r *reading) restrict(ctx context.Context) (context.Context, bool) {
	if len(r.sel.meta) == 0 || r.sel.matchEmpty() {
		return ctx, true
	}
	return within(ctx, r.reg.Stations(r.sel.registryAt, r.sel.meta))
}

// stale returns how long a series is seen after its last sample.
func (r *reading) stale(id quantrac.Labels) quantrac.Millis {
	d := quantrac.Millis(quantrac.StaleAfter(r.reg.Interval(id)).Milliseconds())
	return min(d, r.lookback-1)
}

// columnsOf reads samples from from to to. pick, where not nil, says which
// series are wanted and the distance of their stale markers.
func (r *reading) columnsOf(ctx context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis, pick func(quantrac.Labels) (quantrac.Millis, bool)) error {
	q := tsdb.Query{
		Matchers: ms, From: from, To: to, Reuse: r.reuse,
		AsOf: r.sel.asOf, Qualities: r.sel.qualities, DeviceOnly: r.sel.deviceOnly,
	}
	for s, err := range r.store.Select(ctx, q) {
		if err != nil {
			return err
		}
		var stale quantrac.Millis
		if pick != nil {
			var ok bool
			if stale, ok = pick(s.Labels); !ok {
				continue
			}
			if r.step > 0 && !r.reuse {
				s.Times, s.Values = thin(s.Times, s.Values, from+stale-1, to, r.step)
			}
		}
		if err := r.take(s.Labels, s.Times, s.Values, stale); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// thin keeps of columns what evaluations at first, first+step … up to last look
// at: the newest sample by each of them. It matters where the steps are long
// against the interval: the rest need not be held.
func thin(times []quantrac.Millis, values []float64, first, last, step quantrac.Millis) ([]quantrac.Millis, []float64) {
	steps := int((last-first)/step) + 1
	if len(times) <= 2*steps {
		return times, values
	}
	ts, vs := make([]quantrac.Millis, 0, steps), make([]float64, 0, steps)
	kept := -1
	for i, at := 0, first; at <= last && i < len(times); at += step {
		for i < len(times) && times[i] <= at {
			i++
		}
		if i-1 > kept { // else none by then, or one that is kept already
			kept = i - 1
			ts, vs = append(ts, times[kept]), append(vs, values[kept])
		}
	}
	return ts, vs
}

// add takes a series into the answer if its metadata pass.
func (r *reading) add(id quantrac.Labels, times []quantrac.Millis, values []float64, stale quantrac.Millis) error {
	if len(times) == 0 || !r.join.passes(id, r.sel.meta) {
		return nil
	}
	if err := r.spend(1, len(times)); err != nil {
		return err
	}
	if err := r.share.hold(len(times) + r.points); err != nil {
		return err
	}
	r.list = append(r.list, &series{lset: r.join.join(id), times: times, values: values, stale: stale})
	return nil
}

// instants reads for evaluations from first to last, each of which sees the
// newest sample of a series that is not stale by then.
func (r *reading) instants(ctx context.Context, first, last quantrac.Millis) error {
	if first == last && r.sel.plain() {
		return r.present(ctx, first)
	}
	return r.windows(ctx, r.sel.identity, first, last)
}

// windows reads the columns that evaluations from first to last can see.
func (r *reading) windows(ctx context.Context, ms []*quantrac.Matcher, first, last quantrac.Millis) error {
	ids, err := r.store.Series(ctx, ms, first-r.far+1, last)
	if err != nil {
		return err
	}
	return r.windowsOf(ctx, ms, ids, first, last, nil)
}

// windowsOf is windows of some of the series that pass. How far back to read
// depends on the series, so they are read by classes of equal reach; only, where
// not nil, holds the keys of those that are wanted.
func (r *reading) windowsOf(ctx context.Context, ms []*quantrac.Matcher, ids []quantrac.Labels, first, last quantrac.Millis, only map[string]bool) error {
	classes := map[quantrac.Millis][]string{} // stations by reach
	for _, id := range ids {
		if r.join.passes(id, r.sel.meta) {
			d := r.reach(id)
			classes[d] = append(classes[d], id.Station())
		}
	}
	for _, d := range slices.Sorted(maps.Keys(classes)) {
		stations, ctx := classes[d], ctx
		if (len(classes) > 1 || only != nil) && !slices.Contains(stations, "") {
			var ok bool
			if ctx, ok = within(ctx, stations); !ok {
				continue
			}
		}
		err := r.columnsOf(ctx, ms, first-d+1, last, func(id quantrac.Labels) (quantrac.Millis, bool) {
			return d, (only == nil || only[id.Key()]) && r.reach(id) == d
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// present answers one evaluation at t from the table of last values. Columns
// are read only of series that have samples after t, or a stale marker as their
// last value, and of what models wrote: the table leaves out what lies ahead of
// its commit, and only models write ahead (other readings there fail, and
// nobody corrects what is not yet).
func (r *reading) present(ctx context.Context, t quantrac.Millis) error {
	observed := append(slices.Clip(r.sel.identity), quantrac.Equals(quantrac.LabelModel, ""))
	lasts, err := r.store.Latest(ctx, observed)
	if err != nil {
		return err
	}
	var later []quantrac.Labels
	times, values := make([]quantrac.Millis, len(lasts)), make([]float64, len(lasts)) // columns of one
	for i, l := range lasts {
		switch {
		case l.Time > t || value.IsStaleNaN(l.Value):
			later = append(later, l.Labels)
		case t-l.Time < r.reach(l.Labels):
			times[i], values[i] = l.Time, l.Value
			if err := r.take(l.Labels, times[i:i+1], values[i:i+1], 0); err != nil {
				return err
			}
		}
	}
	if len(later) > 0 {
		only := map[string]bool{}
		for _, id := range later {
			only[id.Key()] = true
		}
		if err := r.windowsOf(ctx, observed, later, t, t, only); err != nil {
			return err
		}
	}
	modelled, err := quantrac.NewMatcher(quantrac.MatchNotEqual, quantrac.LabelModel, "")
	if err != nil {
		return err
	}
	return r.windows(ctx, append(slices.Clip(r.sel.identity), modelled), t, t)
}
