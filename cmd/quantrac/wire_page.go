package main

import (
	"context"
	"iter"

	"quantrac"
	"quantrac/dashboards"
	"quantrac/devices"
	"quantrac/internal/journal"
	"quantrac/tsdb"
)

// pageRegistry is the registry as the page asks for it.
type pageRegistry struct{ *devices.Registry }

func (r pageRegistry) Stations(at quantrac.Millis) []quantrac.Station { return r.StationsAt(at) }

// pageReadings is the engine as the page asks for it.
type pageReadings struct{ db *tsdb.DB }

func (r pageReadings) Latest(ctx context.Context, ms []*quantrac.Matcher) ([]dashboards.Reading, error) {
	last, err := r.db.Latest(ctx, ms)
	if err != nil {
		return nil, err
	}
	out := make([]dashboards.Reading, len(last))
	for i, l := range last {
		out[i] = dashboards.Reading{Labels: l.Labels, Time: l.Time, Value: l.Value, Quality: l.Quality}
	}
	return out, nil
}

// Limits of one read: the page reads a whole family at once, and of one chart
// thirty days of a reading a second are more than a screen can show.
const (
	pageMaxSeries  = 50_000
	pageMaxSamples = 3_000_000
)

func (r pageReadings) Range(ctx context.Context, ms []*quantrac.Matcher, from, to, asOf quantrac.Millis, qs quantrac.QualitySet) ([]dashboards.Series, error) {
	var out []dashboards.Series
	for s, err := range r.db.Select(ctx, tsdb.Query{Matchers: ms, From: from, To: to, AsOf: asOf, Qualities: qs, MaxSeries: pageMaxSeries, MaxSamples: pageMaxSamples}) {
		if err != nil {
			return nil, err
		}
		out = append(out, dashboards.Series(*s))
	}
	return out, nil
}

// pageFeed tells the page what each commit touched.
type pageFeed struct {
	j   *journal.Journal
	reg *devices.Registry
}

func (f pageFeed) Changes(ctx context.Context) iter.Seq2[dashboards.Change, error] {
	return func(yield func(dashboards.Change, error) bool) {
		shown := f.stations()
		for e, err := range f.j.Tail(ctx, f.j.Last().Number, quantrac.RecordBatch) {
			if err != nil {
				yield(dashboards.Change{}, err)
				return
			}
			c, err := changeOf(e, shown)
			if c.Registry { // the page reads it at once
				err = f.reg.Wait(ctx, e.Number)
				shown = f.stations()
			}
			if !yield(c, err) || err != nil {
				return
			}
		}
	}
}

// stations are those the page shows: all of the registry.
func (f pageFeed) stations() map[string]bool {
	out := map[string]bool{}
	for _, s := range f.reg.Records() {
		out[s.ID] = true
	}
	return out
}

func changeOf(e journal.Entry, shown map[string]bool) (dashboards.Change, error) {
	switch e.Kind {
	case quantrac.RecordRegistry:
		return dashboards.Change{Registry: true}, nil
	case quantrac.RecordWarning:
		return dashboards.Change{Warnings: true}, nil
	case quantrac.RecordBatch:
		var c dashboards.Change
		seen := map[string]bool{}
		_, err := tsdb.DecodeBatch(e.Data, func(station []byte) bool {
			if shown[string(station)] && !seen[string(station)] {
				id := string(station)
				seen[id] = true
				c.Stations = append(c.Stations, id)
			}
			return false
		})
		return c, err
	}
	return dashboards.Change{}, nil
}
