package promql

import (
	"context"
	"quantrac/tsdb/tsdbtest"
	"slices"
	"testing"
	"time"

	"quantrac"
)

// testNow is the present of these tests: 2026-11-23T07:00:00+07:00.
const testNow quantrac.Millis = 1795392000000

// testRegistry is a registry in maps.
type testRegistry struct {
	stations   map[string][]entry
	intervals  map[string]time.Duration // by metric
	properties map[string]quantrac.Property
}

// entry is metadata valid from a time on.
type entry struct {
	from   quantrac.Millis
	labels quantrac.Labels
}

var testKeys = []string{"commune", "river", "simulated", "station_name"}

func reserved(name string) bool { return slices.Contains(testKeys, name) }

func (r *testRegistry) Keys() []string { return testKeys }

func (r *testRegistry) Labels(station string, at quantrac.Millis) quantrac.Labels {
	var ls quantrac.Labels
	for _, e := range r.stations[station] {
		if at >= e.from {
			ls = e.labels
		}
	}
	return ls
}

func (r *testRegistry) Stations(at quantrac.Millis, ms []*quantrac.Matcher) []string {
	var out []string
	for s := range r.stations {
		if quantrac.MatchAll(r.Labels(s, at), ms) {
			out = append(out, s)
		}
	}
	return out
}

func (r *testRegistry) Interval(series quantrac.Labels) time.Duration {
	return r.intervals[series.Metric()]
}

func (r *testRegistry) Property(metric string) (quantrac.Property, bool) {
	p, ok := r.properties[metric]
	return p, ok
}

// Stations of the fixture: tq and hn on the river, moved between communes an
// hour before testNow, and a light trap.
func newTestRegistry() *testRegistry {
	l := quantrac.NewLabels
	return &testRegistry{
		stations: map[string][]entry{
			"tq": {
				{quantrac.MinMillis, l("commune", "Xã Cũ", "river", "Tiền", "station_name", "Tân Quới")},
				{testNow - hour, l("commune", "Xã Mới", "river", "Tiền", "station_name", "Tân Quới")},
			},
			"hn": {
				{quantrac.MinMillis, l("commune", "Xã Cũ", "river", "Hậu", "station_name", "Hồng Ngự", "simulated", "true")},
			},
			"trap": {{quantrac.MinMillis, l("commune", "Xã Mới", "station_name", "Bẫy đèn 1")}},
		},
		intervals: map[string]time.Duration{
			"water_level_meters":          10 * time.Minute,
			"water_level_forecast_meters": time.Hour,
			"insect_catch":                24 * time.Hour,
		},
		properties: map[string]quantrac.Property{
			"water_level_meters": {Name: "water_level_meters", Unit: "m", HumanName: "Mực nước", HumanNameEn: "Water level"},
			"rain_total":         {Name: "rain_total", Unit: "mm", HumanName: "Mưa", Cumulative: true},
		},
	}
}

const (
	second quantrac.Millis = 1000
	minute                 = 60 * second
	hour                   = 60 * minute
	day                    = 24 * hour
)

// put appends one reading per value, from a time on in steps.
func put(t testing.TB, e tsdbtest.Engine, group quantrac.Labels, metric string, from, step quantrac.Millis, values ...float64) {
	t.Helper()
	b := &quantrac.Batch{}
	for i, v := range values {
		b.Rows = append(b.Rows, quantrac.Row{
			Group: group, Time: from + quantrac.Millis(i)*step,
			Cells: []quantrac.Cell{{Property: metric, Value: v}},
		})
	}
	appendBatch(t, e, b)
}

func appendBatch(t testing.TB, e tsdbtest.Engine, b *quantrac.Batch) {
	t.Helper()
	if _, err := e.Append(context.Background(), b); err != nil {
		t.Fatal(err)
	}
}

// newFixture fills a store: two gauges every ten minutes for a day up to
// testNow, the second silent for its last hour, a trap with nightly catches, a
// series of no station, a failed reading, a correction and a forecast.
func newFixture(t testing.TB, e tsdbtest.Engine, clock *quantrac.ManualClock) {
	t.Helper()
	clock.Set(testNow - 2*hour)
	var tq, hn []float64
	for i := range 145 {
		tq = append(tq, 1+float64(i)/100)
		hn = append(hn, 3-float64(i)/100)
	}
	level := func(station string, values []float64, from, to int) {
		put(t, e, quantrac.NewLabels("station", station), "water_level_meters", testNow-day+quantrac.Millis(from)*10*minute, 10*minute, values[from:to]...)
	}
	level("tq", tq, 0, 133)
	level("hn", hn, 0, 133)
	appendBatch(t, e, &quantrac.Batch{Rows: []quantrac.Row{{
		Group: quantrac.NewLabels("station", "tq"), Time: testNow - 2*hour - 5*minute,
		Cells: []quantrac.Cell{{Property: "water_level_meters", Value: -9999, Quality: quantrac.Fail}},
	}}})
	clock.Set(testNow - hour)
	level("tq", tq, 133, 139)
	level("hn", hn, 133, 139)
	appendBatch(t, e, &quantrac.Batch{
		Kind: quantrac.Corrections, Author: "an", Reason: "gauge read against staff", Correction: "c1",
		Rows: []quantrac.Row{{
			Group: quantrac.NewLabels("station", "tq"), Time: testNow - 3*hour,
			Cells: []quantrac.Cell{{Property: "water_level_meters", Value: 9}},
		}},
	})
	f := &quantrac.Batch{Kind: quantrac.Forecasts, Model: "arx", Issue: testNow - hour}
	for i := range 12 {
		f.Rows = append(f.Rows, quantrac.Row{
			Group: quantrac.NewLabels("station", "tq", "model", "arx", "quantile", "0.5"), Time: testNow + quantrac.Millis(i)*hour,
			Cells: []quantrac.Cell{{Property: "water_level_forecast_meters", Value: float64(i)}},
		})
	}
	appendBatch(t, e, f)
	clock.Set(testNow)
	level("tq", tq, 139, 145)
	put(t, e, quantrac.NewLabels("station", "trap", "species", "rầy nâu"), "insect_catch", testNow-2*day-12*hour, day, 10, 20, 40)
	put(t, e, nil, "loose", testNow-10*minute, minute, 1, 2, 3, 4, 5, 6, 7, 8)
}
