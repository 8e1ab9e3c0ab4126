package main

import (
	"context"
	"iter"
	"slices"
	"strconv"
	"strings"
	"time"

	"quantrac"
	"quantrac/devices"
	"quantrac/tsdb"
)

// thresholdStore is the engine with the registry's thresholds as series beside
// the readings: water_level_threshold_meters{station, kind, level} has the
// value in force, at every full hour of its validity. They are made when they
// are read; nothing of them is stored, so that the registry stays the one place
// that knows.
type thresholdStore struct {
	*tsdb.DB
	reg   *devices.Registry
	clock quantrac.Clock
}

// thresholdStep is the time between two points of such a series.
const thresholdStep = time.Hour

// thresholdMetric returns the metric of a property's thresholds: the word
// threshold goes before the unit, as forecast does in forecasts.
func thresholdMetric(property string) string {
	i := strings.LastIndexByte(property, '_')
	if i < 0 {
		return property + "_threshold"
	}
	return property[:i] + "_threshold" + property[i:]
}

func isThreshold(metric string) bool { return strings.Contains(metric, "_threshold") }

// made is the series of one threshold within its validity.
type made struct {
	labels   quantrac.Labels
	value    float64
	from, to quantrac.Millis // to exclusive
}

// thresholds returns the series that pass, sorted by labels; of one label set
// several follow each other in time.
func (s thresholdStore) thresholds(ctx context.Context, ms []*quantrac.Matcher) []made {
	for _, m := range ms {
		if m.Name == quantrac.LabelMetric && m.Kind == quantrac.MatchEqual && !isThreshold(m.Value) {
			return nil // the common case: a query for readings
		}
	}
	p := quantrac.PrincipalFrom(ctx)
	var out []made
	for _, t := range s.reg.AllThresholds() {
		if p.Stations != nil && !slices.Contains(p.Stations, t.Station) {
			continue
		}
		ls := quantrac.NewLabels(quantrac.LabelMetric, thresholdMetric(t.Property), quantrac.LabelStation, t.Station, "kind", string(t.Kind), "level", strconv.Itoa(t.Level))
		if quantrac.MatchAll(ls, ms) {
			out = append(out, made{ls, t.Value, t.ValidFrom, t.ValidTo})
		}
	}
	slices.SortFunc(out, func(a, b made) int {
		if c := a.labels.Compare(b.labels); c != 0 {
			return c
		}
		return int(max(-1, min(1, a.from-b.from)))
	})
	return out
}

// span returns the first and the last full hour of the threshold's validity from
// from to to, both inclusive; ok is false where there is none.
func (m made) span(from, to quantrac.Millis) (first, last quantrac.Millis, ok bool) {
	step := quantrac.Millis(thresholdStep.Milliseconds())
	first = ceil(max(from, m.from), step)
	last = min(to, m.to-1)
	return first, last, first <= last
}

// ceil rounds a time up to a multiple of step, also before 1970.
func ceil(t, step quantrac.Millis) quantrac.Millis {
	d := t % step
	if d > 0 {
		return t - d + step
	}
	return t - d
}

// maxThresholdSamples bounds a read that names no bound of its own: a century of
// hours of five thresholds.
const maxThresholdSamples = 5_000_000

// present returns the label sets of the thresholds in force at some full hour
// from from to to, sorted.
func (s thresholdStore) present(ctx context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis) []quantrac.Labels {
	var out []quantrac.Labels
	// The future of a threshold is not known: none is shown beyond the present.
	to = min(to, s.clock.Now())
	for _, m := range s.thresholds(ctx, ms) {
		if _, _, ok := m.span(from, to); ok && (len(out) == 0 || !out[len(out)-1].Equal(m.labels)) {
			out = append(out, m.labels)
		}
	}
	return out
}

// series returns the threshold series of a query; more samples than it allows
// are an Invalid error before any is made.
func (s thresholdStore) series(ctx context.Context, q tsdb.Query) ([]*tsdb.Series, error) {
	var out []*tsdb.Series
	step := quantrac.Millis(thresholdStep.Milliseconds())
	left := quantrac.Millis(maxThresholdSamples)
	if q.MaxSamples > 0 {
		left = quantrac.Millis(q.MaxSamples)
	}
	to := min(q.To, s.clock.Now())
	for _, m := range s.thresholds(ctx, q.Matchers) {
		first, last, ok := m.span(q.From, to)
		if !ok {
			continue
		}
		if left -= (last-first)/step + 1; left < 0 {
			return nil, quantrac.Errorf(quantrac.Invalid, "thresholds of %s from %s to %s are too many samples: ask for a shorter time", m.labels, first, last)
		}
		if n := len(out); n == 0 || !out[n-1].Labels.Equal(m.labels) {
			out = append(out, &tsdb.Series{Labels: m.labels})
		}
		dst := out[len(out)-1]
		for t := first; t <= last; t += step {
			dst.Times = append(dst.Times, t)
			dst.Values = append(dst.Values, m.value)
			dst.Qualities = append(dst.Qualities, quantrac.Good)
		}
	}
	return out, nil
}

// Select implements promql.Store: both kinds of series in one order.
func (s thresholdStore) Select(ctx context.Context, q tsdb.Query) iter.Seq2[*tsdb.Series, error] {
	extra, err := s.series(ctx, q)
	if err != nil {
		return func(yield func(*tsdb.Series, error) bool) { yield(nil, err) }
	}
	if len(extra) == 0 {
		return s.DB.Select(ctx, q)
	}
	return func(yield func(*tsdb.Series, error) bool) {
		extra := extra
		for got, err := range s.DB.Select(ctx, q) {
			for err == nil && len(extra) > 0 && extra[0].Labels.Compare(got.Labels) < 0 {
				if !yield(extra[0], nil) {
					return
				}
				extra = extra[1:]
			}
			if !yield(got, err) || err != nil {
				return
			}
		}
		for _, e := range extra {
			if !yield(e, nil) {
				return
			}
		}
	}
}

// Fold implements promql.Store.
func (s thresholdStore) Fold(ctx context.Context, q tsdb.Query, w tsdb.Windows, op tsdb.FoldOp) iter.Seq2[*tsdb.Folded, error] {
	if len(s.thresholds(ctx, q.Matchers)) > 0 {
		return tsdb.FoldSelect(ctx, s, q, w, op)
	}
	return s.DB.Fold(ctx, q, w, op)
}

// Unchanged says whether reads would show what they showed; thresholds reach up to
// the present, and never do.
func (s thresholdStore) Unchanged(ctx context.Context, since tsdb.Mark, ms []*quantrac.Matcher, from, to quantrac.Millis) bool {
	return len(s.thresholds(ctx, ms)) == 0 && s.DB.Unchanged(ctx, since, ms, from, to)
}

// FoldSince says what has changed of reads that have no threshold.
func (s thresholdStore) FoldSince(ctx context.Context, since tsdb.Mark, q tsdb.Query, w tsdb.Windows, op tsdb.FoldOp, show func(f *tsdb.Folded, k, n int) bool) (now tsdb.Mark, ok bool, err error) {
	if len(s.thresholds(ctx, q.Matchers)) > 0 {
		return tsdb.Mark{}, false, nil
	}
	return s.DB.FoldSince(ctx, since, q, w, op, show)
}

// Latest implements promql.Store.
func (s thresholdStore) Latest(ctx context.Context, ms []*quantrac.Matcher) ([]tsdb.Last, error) {
	last, err := s.DB.Latest(ctx, ms)
	if err != nil {
		return nil, err
	}
	now := s.clock.Now()
	extra, err := s.series(ctx, tsdb.Query{Matchers: ms, From: now.Add(-thresholdStep), To: now})
	if err != nil || len(extra) == 0 {
		return last, err
	}
	for _, e := range extra {
		n := len(e.Times) - 1
		last = append(last, tsdb.Last{Labels: e.Labels, Time: e.Times[n], Value: e.Values[n], Quality: e.Qualities[n]})
	}
	slices.SortFunc(last, func(a, b tsdb.Last) int { return a.Labels.Compare(b.Labels) })
	return last, nil
}

// Series implements promql.Store.
func (s thresholdStore) Series(ctx context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis) ([]quantrac.Labels, error) {
	out, err := s.DB.Series(ctx, ms, from, to)
	if err != nil {
		return nil, err
	}
	out = append(out, s.present(ctx, ms, from, to)...)
	slices.SortFunc(out, quantrac.Labels.Compare)
	return out, nil
}

// LabelNames implements promql.Store.
func (s thresholdStore) LabelNames(ctx context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis) ([]string, error) {
	out, err := s.DB.LabelNames(ctx, ms, from, to)
	if err != nil {
		return nil, err
	}
	for _, ls := range s.present(ctx, ms, from, to) {
		for _, l := range ls {
			out = append(out, l.Name)
		}
	}
	slices.Sort(out)
	return slices.Compact(out), nil
}

// LabelValues implements promql.Store.
func (s thresholdStore) LabelValues(ctx context.Context, name string, ms []*quantrac.Matcher, from, to quantrac.Millis, limit int) ([]string, error) {
	out, err := s.DB.LabelValues(ctx, name, ms, from, to, limit)
	if err != nil {
		return nil, err
	}
	extra := s.present(ctx, ms, from, to)
	if len(extra) == 0 {
		return out, nil
	}
	for _, ls := range extra {
		if v := ls.Get(name); v != "" {
			out = append(out, v)
		}
	}
	slices.Sort(out)
	out = slices.Compact(out)
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out, nil
}
