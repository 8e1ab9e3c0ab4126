package dashboards

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"quantrac"
)

// every makes a series of one value each step, ending at fakeNow.
func every(step time.Duration, values ...float64) *Series {
	s := &Series{Labels: quantrac.NewLabels(quantrac.LabelMetric, "water_level_meters", quantrac.LabelStation, "a")}
	for i, v := range values {
		s.Times = append(s.Times, fakeNow.Add(-time.Duration(len(values)-1-i)*step))
		s.Values = append(s.Values, v)
		s.Qualities = append(s.Qualities, quantrac.Good)
	}
	return s
}

func TestTrend(t *testing.T) {
	f := func(name string, s *Series, interval time.Duration, eps float64, dir direction, perHour float64) {
		t.Helper()
		got := trendOf(s, interval, eps)
		if dir == "" {
			if got != nil {
				t.Errorf("%s: got %+v, want no trend", name, got)
			}
			return
		}
		if got == nil || got.Dir != dir || math.Abs(got.PerHour-perHour) > 1e-9 {
			t.Errorf("%s: got %+v, want %s by %g an hour", name, got, dir, perHour)
		}
	}
	min10 := 10 * time.Minute
	f("nothing", every(min10), min10, 0, "", 0)
	f("two readings are not enough", every(time.Hour, 1, 2), time.Hour, 0, "", 0)
	f("rising 6 cm an hour", every(min10, 1, 1.01, 1.02, 1.03, 1.04, 1.05, 1.06), min10, 0, rising, 0.06)
	f("one spike turns nothing", every(min10, 1, 1.01, 1.02, 9, 1.04, 1.05, 1.06), min10, 0, rising, 0.06)
	f("falling", every(min10, 1.06, 1.05, 1.04, 1.03), min10, 0, falling, -0.06)
	f("below a centimetre an hour is steady", every(min10, 1, 1.001, 1.002, 1.003), min10, 0, steady, 0.006)
	f("the property's own limit", every(min10, 1, 1.01, 1.02, 1.03), min10, 0.1, steady, 0.06)
	f("old readings do not count", every(min10, 9, 8, 7, 6, 5, 1, 1, 1, 1, 1, 1, 1), min10, 0, steady, 0)
	f("slow series look back four intervals", every(6*time.Hour, 1, 2, 3, 4, 5), 6*time.Hour, 0, rising, 1.0/6)
	f("readings of a few minutes only", every(time.Minute, 1, 2, 3), 10*time.Minute, 0, "", 0)
	failed := every(min10, 1, 1.01, 1.02, -9999, 1.04, 1.05)
	failed.Qualities[3] = quantrac.Fail
	f("failed readings are not used", failed, min10, 0, rising, 0.06)
	many := make([]float64, 3601)
	for i := range many {
		many[i] = float64(i)
	}
	f("a reading a second", every(time.Second, many...), time.Second, 0, rising, 3600)
}

// The difference of two tidal means sees the flood and not the tide.
func TestDayChange(t *testing.T) {
	var v []float64
	for i := range 51 * 6 {
		h := float64(i) / 6
		v = append(v, 2+0.1*h/24.833+0.8*math.Sin(2*math.Pi*h/12.4167))
	}
	got := trendOf(every(10*time.Minute, v...), 10*time.Minute, 0)
	if got == nil || got.DayChange == nil || math.Abs(*got.DayChange-0.1) > 0.005 {
		t.Fatalf("got %+v, want a change near 0.1 m in a tidal day", got)
	}
	holed := every(10*time.Minute, v...)
	for i := 20; i < 60; i++ {
		holed.Qualities[i] = quantrac.Missing
	}
	if got := trendOf(holed, 10*time.Minute, 0); got.DayChange != nil {
		t.Errorf("with a fifth of a day missing: got %g, want none", *got.DayChange)
	}
}

func TestStatus(t *testing.T) {
	p := level()
	f := func(name string, last *Reading, recent *Series, want status, since quantrac.Millis) {
		t.Helper()
		r := newReading(p, quantrac.NewLabels(quantrac.LabelMetric, p.Name), nil)
		r.judge(p, last, recent, fakeNow)
		if r.Status != want || r.Since != since {
			t.Errorf("%s: got %s since %d, want %s since %d", name, r.Status, r.Since, want, since)
		}
	}
	at := func(ago time.Duration) *Reading {
		return &Reading{Time: fakeNow.Add(-ago), Value: 1, Quality: quantrac.Good}
	}
	f("nothing ever", nil, nil, statusNone, 0)
	f("fresh", at(time.Minute), nil, statusOK, 0)
	f("three intervals and a minute are still fine", at(31*time.Minute), nil, statusOK, 0)
	f("a moment more is silence", at(31*time.Minute+time.Millisecond), nil, statusSilent, 0)
	f("in doubt", &Reading{Time: fakeNow, Value: 1, Quality: quantrac.Suspect}, nil, statusSuspect, 0)
	f("a value that is no number", &Reading{Time: fakeNow, Value: math.Inf(1)}, nil, statusNone, 0)
	bad := every(10*time.Minute, 1, 1, -9999, -9999)
	bad.Qualities[2], bad.Qualities[3] = quantrac.Fail, quantrac.Fail
	f("failing after good ones", at(20*time.Minute), bad, statusFailed, fakeNow.Add(-10*time.Minute))
	f("failing from the start", nil, bad, statusFailed, fakeNow.Add(-10*time.Minute))
	f("failed before the newest good one", at(0), bad, statusOK, 0)
	old := every(10*time.Minute, -9999)
	old.Times[0], old.Qualities[0] = fakeNow.Add(-5*time.Hour), quantrac.Fail
	f("failed and then silent", at(6*time.Hour), old, statusSilent, 0)
}

func TestState(t *testing.T) {
	levels := levelsOf([]quantrac.Threshold{
		{Level: 3, Value: 3, Kind: quantrac.ThresholdWatch}, {Level: 1, Value: 1, Kind: quantrac.ThresholdWatch},
		{Level: 2, Value: 2, Kind: quantrac.ThresholdWatch}, {Level: 2, Value: 1.9, Kind: quantrac.ThresholdAlarm}, {Level: 3, Value: nan()},
	})
	if len(levels) != 4 || levels[0].Level != 1 || levels[1].Kind != quantrac.ThresholdAlarm {
		t.Fatalf("levels in order, báo động before a watch level, no NaN: got %+v", levels)
	}
	f := func(name, metric string, value float64, warnings []quantrac.Warning, want int, kind quantrac.ThresholdKind) {
		t.Helper()
		r := readingView{Metric: metric, Value: &value, Levels: levels}
		if metric == metricLightning {
			r.Levels = nil
		}
		r.stateOf(warnings)
		if r.Level != want || r.Kind != kind {
			t.Errorf("%s: got level %d %q, want %d %q", name, r.Level, r.Kind, want, kind)
		}
	}
	w := func(rule, property string, level int, state quantrac.WarningState) []quantrac.Warning {
		return []quantrac.Warning{{Rule: rule, Property: property, Level: level, State: state}}
	}
	const wl = "water_level_meters"
	f("below all", wl, 0.99, nil, 0, "")
	f("at a level is reached", wl, 1, nil, 1, quantrac.ThresholdWatch)
	f("báo động of the same level names it", wl, 2.5, nil, 2, quantrac.ThresholdAlarm)
	f("above all", wl, 9, nil, 3, quantrac.ThresholdWatch)
	f("a running warning holds its level", wl, 0.99, w("level", wl, 1, quantrac.WarningUpdated), 1, quantrac.ThresholdWatch)
	f("a warning never lowers", wl, 9, w("level", wl, 1, quantrac.WarningIssued), 3, quantrac.ThresholdWatch)
	f("a forecast is no state", wl, 0.5, w("forecast", wl, 3, quantrac.WarningIssued), 0, "")
	f("another property's warning", wl, 0.5, w("level", "rainfall_millimeters", 3, quantrac.WarningIssued), 0, "")
	f("an ended warning", wl, 0.5, w("level", wl, 0, quantrac.WarningClear), 0, "")
	f("lightning is its own level", metricLightning, 2, nil, 2, "")
	f("and stays within its words", metricLightning, 17, nil, 3, "")
}

// TestUnregistered: what nobody has registered is shown by the name and in the
// unit that its metric says.
func TestUnregistered(t *testing.T) {
	f := func(metric, vi, en, unit string, properties ...quantrac.Property) {
		t.Helper()
		ls := quantrac.NewLabels(quantrac.LabelMetric, metric, quantrac.LabelStation, "a")
		v := summarize(gathered{
			station: quantrac.Station{ID: "a"}, properties: properties, thresholds: func(string) []quantrac.Threshold { return nil },
			latest: []Reading{{Labels: ls, Time: fakeNow, Value: 1.5, Quality: quantrac.Good}},
		}, fakeNow)
		if r := v.Readings[0]; r.Name != (quantrac.Text{Vi: vi, En: en}) || r.Unit != unit {
			t.Errorf("%s: %+v in %q, want %q, %q in %q", metric, r.Name, r.Unit, vi, en, unit)
		}
	}
	f("water_level_meters", "Mực nước", "Water level", "m")
	f("water_level_meters", "Mực nước", "Water level", "m", quantrac.Property{Name: "water_level_meters"})
	f("salinity_grams_per_liter", "Độ mặn ở cống", "Salinity", "‰", quantrac.Property{Name: "salinity_grams_per_liter", HumanName: "Độ mặn ở cống", Unit: "‰"})
	f("sap_flow_millimeters", "sap flow", "sap flow", "mm")
}

func TestRainDay(t *testing.T) {
	at := func(h, m int) quantrac.Millis {
		return quantrac.FloorMillis(time.Date(2026, 10, 6, h, m, 0, 0, quantrac.Zone))
	}
	s := &Series{
		Times:     []quantrac.Millis{at(18, 50), at(19, 0), at(19, 10), at(23, 0), at(23, 10)},
		Values:    []float64{100, 50, 0.1, 0.2, 999},
		Qualities: []quantrac.Quality{quantrac.Good, quantrac.Good, quantrac.Good, quantrac.NotEvaluated, quantrac.Fail},
	}
	if got := rainDay(s, fakeNow); got != 0.3 {
		t.Errorf("got %v mm since 19:00, want 0.3: 19:00 belongs to the day before, failed amounts to none", got)
	}
}

func TestNight(t *testing.T) {
	n := newNetwork()
	p, err := New(n.deps(), Options{Clock: n.clock})
	if err != nil {
		t.Fatal(err)
	}
	v, err := p.current(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := v.cells[v.index["bay-01"]].view
	if got.Night == nil || got.Night.Date != "2026-10-06" || len(got.Night.Catches) != 6 {
		t.Fatalf("got %+v, want the night of 6 October with six species", got.Night)
	}
	if !slices.IsSortedFunc(got.Night.Catches, func(a, b catchView) int { return int(b.Count - a.Count) }) {
		t.Errorf("catches are not the greatest first: %+v", got.Night.Catches)
	}
	for _, c := range got.Night.Catches {
		if c.Before == nil || c.Name.Vi == "" || c.Role == roleOther {
			t.Errorf("%s: want a name, a role and the night before, got %+v", c.Species, c)
		}
	}
	if got := speciesOf("ánh_sáng_x"); got.name.Vi != "Ánh sáng x" || got.role != roleOther {
		t.Errorf("unknown species: got %+v", got)
	}
}

func TestChartKeepsPeaksAndGaps(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		s := &Series{}
		at := fakeNow.Add(-30 * 24 * time.Hour)
		for at < fakeNow {
			s.Times = append(s.Times, at)
			s.Values = append(s.Values, rnd.NormFloat64())
			s.Qualities = append(s.Qualities, quantrac.Good)
			at = at.Add(10 * time.Minute)
			if rnd.IntN(500) == 0 {
				at = at.Add(time.Duration(rnd.IntN(40)) * time.Hour)
			}
		}
		var c chartSeries
		c.chart(s, 10*time.Minute, fakeNow.Add(-30*24*time.Hour), fakeNow)
		if len(c.T) != len(c.V) || len(c.T) > 3*maxPoints+2 {
			t.Fatalf("%d times, %d values, at most %d wanted", len(c.T), len(c.V), 3*maxPoints)
		}
		if !slices.IsSorted(c.T) {
			t.Fatal("times are not in order")
		}
		lo, hi, gaps := math.Inf(1), math.Inf(-1), 0
		for i, v := range c.V {
			if v == nil {
				gaps++
				if i == 0 || i == len(c.V)-1 || c.V[i-1] == nil {
					t.Fatal("a break stands at an end or beside another")
				}
				continue
			}
			lo, hi = min(lo, *v), max(hi, *v)
		}
		want := 0
		for i := 1; i < len(s.Times); i++ {
			if s.Times[i].Sub(s.Times[i-1]) > 31*time.Minute {
				want++
			}
		}
		if lo != slices.Min(s.Values) || hi != slices.Max(s.Values) || *c.Min != lo || *c.Max != hi {
			t.Fatalf("extremes %g and %g, want %g and %g", lo, hi, slices.Min(s.Values), slices.Max(s.Values))
		}
		// Two gaps within one bucket may be drawn as one.
		if gaps != c.Gaps || gaps > want || want-gaps > 3 {
			t.Fatalf("%d breaks drawn, %d gaps in the data", gaps, want)
		}
		if c.T[0] != seconds(s.Times[0]) || c.T[len(c.T)-1] != seconds(s.Times[len(s.Times)-1]) {
			t.Fatal("the first or the last reading is missing")
		}
	}
}

func TestChartMarksQuality(t *testing.T) {
	s := every(10*time.Minute, 1, 2, -9999, 4, 5)
	s.Qualities[2], s.Qualities[3], s.Qualities[4] = quantrac.Fail, quantrac.Suspect, quantrac.Missing
	var c chartSeries
	c.chart(s, 10*time.Minute, fakeNow.Add(-24*time.Hour), fakeNow)
	if *c.Max != 2 {
		t.Errorf("greatest %g, want 2: the 4 is in doubt", *c.Max)
	}
	if c.Count != 3 || c.Failed != 1 || c.Suspects != 1 || !slices.Equal(c.Suspect, []int{2}) || *c.V[2] != 4 {
		t.Errorf("got %+v, want three readings, the last in doubt, one failed", c)
	}
}
