package promql

import (
	"context"
	"slices"

	"quantrac"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

// view is how one request reads: a storage.Queryable for the engine.
type view struct {
	store      Store
	reg        Registry
	keys       []string        // of the registry
	asOf       quantrac.Millis // 0: all that is known
	registryAt quantrac.Millis
	// lookback is the engine's for this request; byInterval says that it is
	// long and that stale markers end each series by its own interval.
	lookback   quantrac.Millis
	byInterval bool
	// step is the distance of evaluations where every selector is evaluated on
	// the request's own grid; 0 for an instant and where there are subqueries.
	step quantrac.Millis
	// overlaps says that windows overlap so much that one series may take minutes.
	overlaps bool
	anew     bool // what earlier requests came to is neither used nor kept
	// again is the key of a request that is made again and again, else "".
	again     string
	standings *standings

	share  share // of what all requests hold
	points int   // evaluations of the request: as many samples come of a series

	// Its selectors share the limits.
	maxSeries, maxSamples int
	series, samples       int // touched so far
}

// spend counts what a selector has read.
func (v *view) spend(series, samples int) error {
	if v.series += series; v.series > v.maxSeries {
		return quantrac.Errorf(quantrac.Invalid, "query touches more than %d series, the limit; narrow its selectors", v.maxSeries)
	}
	if v.samples += samples; v.samples > v.maxSamples {
		return quantrac.Errorf(quantrac.Invalid, "query reads more than %d samples, the limit; narrow its selectors or its time", v.maxSamples)
	}
	return nil
}

// Querier implements storage.Queryable. The selectors' own hints are narrower
// than the bounds of the whole query.
func (v *view) Querier(int64, int64) (storage.Querier, error) { return querier{v}, nil }

type querier struct{ v *view }

// Select implements storage.Querier.
func (q querier) Select(ctx context.Context, sorted bool, hints *storage.SelectHints, ms ...*labels.Matcher) storage.SeriesSet {
	return &seriesSet{load: func() ([]*series, error) {
		sel, err := q.v.selector(ms)
		if err != nil {
			return nil, err
		}
		list, err := q.v.read(ctx, &sel, hints)
		if err != nil {
			return nil, storeError{err}
		}
		if sorted {
			slices.SortFunc(list, func(a, b *series) int { return labels.Compare(a.lset, b.lset) })
		}
		return list, nil
	}}
}

// storeError marks what the store, and not the engine, has said.
type storeError struct{ error }

func (e storeError) Unwrap() error { return e.error }

// read returns the series of a selector.
func (v *view) read(ctx context.Context, sel *selector, hints *storage.SelectHints) ([]*series, error) {
	r := &reading{view: v, sel: sel, join: newJoiner(v.reg, sel.registryAt), far: v.lookback}
	r.take, r.reach = r.add, r.stale
	ctx, ok := r.restrict(ctx)
	if !ok {
		return nil, nil
	}
	from, to := quantrac.Millis(hints.Start), quantrac.Millis(hints.End)
	var err error
	if hints.Range != 0 || !v.byInterval {
		err = r.columnsOf(ctx, sel.identity, from, to, nil)
	} else {
		// The engine asks from a lookback before the first evaluation, less the
		// millisecond that makes the window half open.
		err = r.instants(ctx, from+v.lookback-1, to)
	}
	return r.list, err
}

// LabelValues implements storage.Querier. The engine never asks; the handlers
// of labels have their own way.
func (q querier) LabelValues(context.Context, string, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// LabelNames implements storage.Querier, likewise.
func (q querier) LabelNames(context.Context, *storage.LabelHints, ...*labels.Matcher) ([]string, annotations.Annotations, error) {
	return nil, nil, nil
}

// Close implements storage.Querier.
func (q querier) Close() error { return nil }
