package tsdbtest

import (
	"context"
	"iter"
	"slices"
	"sort"

	"quantrac"
	"quantrac/tsdb"
)

// match returns the series that pass and that the principal may see, sorted.
func (o *Oracle) match(ctx context.Context, ms []*quantrac.Matcher) []*oracleSeries {
	stations := quantrac.PrincipalFrom(ctx).Stations
	var out []*oracleSeries
	for _, s := range o.series {
		station := s.labels.Station()
		if stations != nil && (station == "" || !slices.Contains(stations, station)) || !quantrac.MatchAll(s.labels, ms) {
			continue
		}
		out = append(out, s)
	}
	sort.Slice(out, func(i, j int) bool { return out[i].labels.Compare(out[j].labels) < 0 })
	return out
}

func (s *oracleSeries) times() []quantrac.Millis {
	var ts []quantrac.Millis
	for t := range s.revs {
		ts = append(ts, t)
	}
	slices.Sort(ts)
	return ts
}

// asOf returns the number of the last commit that counts, 0 for all; ok is
// false where nothing was known yet.
func (o *Oracle) asOf(q tsdb.Query) (n uint64, ok bool) {
	n = q.AsOfCommit
	if q.AsOf == 0 {
		return n, true
	}
	var last uint64
	for _, c := range o.commits {
		if c.Time <= q.AsOf/1000*1000 {
			last = c.Number
		}
	}
	if n == 0 || last < n {
		n = last
	}
	return n, n != 0
}

// second is the end of the second in which a time after 1970 lies.
func second(t quantrac.Millis) quantrac.Millis { return (t + 999) / 1000 * 1000 }

// Select implements Engine.
func (o *Oracle) Select(ctx context.Context, q tsdb.Query) iter.Seq2[*tsdb.Series, error] {
	return func(yield func(*tsdb.Series, error) bool) {
		n, ok := o.asOf(q)
		if !ok {
			return
		}
		series, samples := 0, 0
		for _, s := range o.match(ctx, q.Matchers) {
			out := &tsdb.Series{Labels: s.labels}
			for _, t := range s.times() {
				if t < q.From || t > q.To {
					continue
				}
				r := quantrac.Visible(s.revs[t], n, q.DeviceOnly)
				if r == nil || !q.Qualities.Has(r.Quality) {
					continue
				}
				out.Times = append(out.Times, t)
				out.Values = append(out.Values, r.Value)
				out.Qualities = append(out.Qualities, r.Quality)
			}
			if len(out.Times) == 0 {
				continue
			}
			series, samples = series+1, samples+len(out.Times)
			if q.MaxSeries > 0 && series > q.MaxSeries || q.MaxSamples > 0 && samples > q.MaxSamples {
				yield(nil, quantrac.Errorf(quantrac.Invalid, "more than %d series or %d samples", q.MaxSeries, q.MaxSamples))
				return
			}
			if !yield(out, nil) {
				return
			}
		}
	}
}

// Fold implements Engine.
func (o *Oracle) Fold(ctx context.Context, q tsdb.Query, w tsdb.Windows, op tsdb.FoldOp) iter.Seq2[*tsdb.Folded, error] {
	return tsdb.FoldSelect(ctx, o, q, w, op)
}

// Latest implements Engine.
func (o *Oracle) Latest(ctx context.Context, ms []*quantrac.Matcher) ([]tsdb.Last, error) {
	var out []tsdb.Last
	for _, s := range o.match(ctx, ms) {
		ts := s.times()
		slices.Reverse(ts)
		for _, t := range ts {
			r := quantrac.Visible(s.revs[t], 0, false)
			if r == nil || !quantrac.DefaultQualities.Has(r.Quality) || t > second(r.Commit.Time)+quantrac.Millis(quantrac.MaxAhead.Milliseconds()) {
				continue
			}
			out = append(out, tsdb.Last{Labels: s.labels, Time: t, Value: r.Value, Quality: r.Quality, Received: r.Received, Commit: r.Commit})
			break
		}
	}
	return out, nil
}

// Series implements Engine: a series is listed where the span from its first
// to its last revision, of any layer and quality, meets the range.
func (o *Oracle) Series(ctx context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis) ([]quantrac.Labels, error) {
	var out []quantrac.Labels
	for _, s := range o.match(ctx, ms) {
		if ts := s.times(); ts[0] <= to && ts[len(ts)-1] >= from {
			out = append(out, s.labels)
		}
	}
	return out, nil
}

// LabelNames implements Engine.
func (o *Oracle) LabelNames(ctx context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis) ([]string, error) {
	seen := map[string]bool{}
	all, _ := o.Series(ctx, ms, from, to)
	for _, ls := range all {
		for _, l := range ls {
			seen[l.Name] = true
		}
	}
	return sorted(seen, 0), nil
}

// LabelValues implements Engine.
func (o *Oracle) LabelValues(ctx context.Context, name string, ms []*quantrac.Matcher, from, to quantrac.Millis, limit int) ([]string, error) {
	seen := map[string]bool{}
	all, _ := o.Series(ctx, ms, from, to)
	for _, ls := range all {
		if v := ls.Get(name); v != "" {
			seen[v] = true
		}
	}
	return sorted(seen, limit), nil
}

func sorted(set map[string]bool, limit int) []string {
	var out []string
	for s := range set {
		out = append(out, s)
	}
	slices.Sort(out)
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out
}

// Revisions implements Engine.
func (o *Oracle) Revisions(ctx context.Context, series quantrac.Labels, t quantrac.Millis) ([]quantrac.Revision, error) {
	for _, s := range o.match(ctx, nil) {
		if s.labels.Equal(series) {
			return slices.Clone(s.revs[t]), nil
		}
	}
	return nil, quantrac.Errorf(quantrac.NotFound, "no series %v", series)
}
