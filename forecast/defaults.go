package forecast

import (
	"time"

	"quantrac"
)

// tidalCycles are the periods that matter in the mixed tide of the delta: S2,
// M2, N2, K2, K1, O1, P1, Q1, the shallow-water M4 and MS4, the fortnightly Mf
// and the year. From the speeds of Doodson & Warburg, Admiralty Manual of
// Tides, 1941, in degrees an hour: 30, 28.9841042, 28.4397295, 30.0821373,
// 15.0410686, 13.9430356, 14.9589314, 13.3986609, 57.9682084, 58.9841042,
// 1.0980331, 0.0410686.
var tidalCycles = []Duration{
	milliseconds(43200000), milliseconds(44714164), milliseconds(45570054), milliseconds(43082045),
	milliseconds(86164091), milliseconds(92949630), milliseconds(86637205), milliseconds(96726084),
	milliseconds(22357082), milliseconds(21972021), milliseconds(1180292288), milliseconds(31556955923),
}

// tidalLags are ages, in steps of an hour, that see half a day, a day and two
// days of tide on both sides of high water.
var tidalLags = []int{0, 1, 2, 3, 6, 9, 12, 13, 24, 25, 37, 49}

// Defaults returns a configuration for every stage of every gauge that the
// registry knows at an instant: hourly steps, or as long as it takes to the
// next reading, up to two days and at least five steps ahead, its upstream
// gauges and the rain at all of them as inputs, and the cycles of the tide,
// which every station of the delta feels.
func Defaults(reg Registry, at quantrac.Millis) []Config {
	var out []Config
	for _, st := range reg.StationsAt(at) {
		if st.Family != quantrac.FamilyGauge {
			continue
		}
		for _, p := range reg.Properties(st.ID) {
			if p.Name != StageMetric {
				continue
			}
			if c, err := ofStage(st.ID, &p, inputsFrom(reg, st)).withDefaults(); err == nil {
				out = append(out, c)
			}
		}
	}
	return out
}

// ofStage is what Defaults configures for one stage.
func ofStage(station string, p *quantrac.Property, upstream []Source) Config {
	step := StepFor(p.Interval)
	c := Config{Source: Source{Station: station, Property: p.Name}, Step: Duration(step), Leads: leadsOf(step), NonNegative: p.NonNegative, Upstream: upstream}
	for _, cycle := range tidalCycles {
		if cycle >= 2*c.Step {
			c.Cycles = append(c.Cycles, cycle)
		}
	}
	if step == time.Hour {
		for _, l := range tidalLags {
			c.Lags = append(c.Lags, Duration(l)*c.Step)
		}
	}
	return c
}

// StepFor returns the step of the grid that Defaults forecasts a property on
// that is read in an interval, 0 where irregular: whole hours, at least one. No
// two leads are more than three steps apart.
func StepFor(interval time.Duration) time.Duration {
	return max(time.Hour, (interval+time.Hour-1)/time.Hour*time.Hour)
}

// leadsOf returns every lead, or where they are many every third after the
// second.
func leadsOf(step time.Duration) []Duration {
	var out []Duration
	last := max(5, int(48*time.Hour/step))
	for n := 1; n <= last; n++ {
		if last <= 16 || n < 3 || n%3 == 0 {
			out = append(out, Duration(n)*Duration(step))
		}
	}
	return out
}

// StageMetric is the property that Defaults forecasts, RainMetric the one it
// takes for rain.
const (
	StageMetric = "water_level_meters"
	RainMetric  = "rainfall_millimeters"
)

// inputsFrom lists what a gauge's forecast reads beside itself: the rain there,
// and stage and rain of the gauges upstream.
func inputsFrom(reg Registry, st quantrac.Station) []Source {
	var out []Source
	for i, id := range append([]string{st.ID}, st.Upstream...) {
		for _, p := range reg.Properties(id) {
			if p.Name == StageMetric && i > 0 {
				out = append(out, Source{Station: id, Property: p.Name})
			}
		}
		for _, p := range reg.Properties(id) {
			if p.Name == RainMetric && !p.Cumulative {
				out = append(out, Source{Station: id, Property: p.Name, Sum: true})
			}
		}
	}
	return out
}
