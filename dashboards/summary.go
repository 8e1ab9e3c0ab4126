package dashboards

import (
	"math"
	"slices"
	"strings"

	"quantrac"
)

// gathered is what is known of one station when it is looked at.
type gathered struct {
	station    quantrac.Station
	properties []quantrac.Property
	latest     []Reading
	recent     []Series // all qualities, over lookback
	thresholds func(property string) []quantrac.Threshold
	warnings   []quantrac.Warning // public ones of the station
}

// summarize applies the rules of state, trend and age to one station.
func summarize(g gathered, now quantrac.Millis) *stationView {
	s := g.station
	v := &stationView{
		ID: s.ID, Name: s.Name, NameEn: s.NameEn, Family: s.Family, River: s.River,
		Commune: s.Commune, District: s.District, Operator: s.Operator, Upstream: s.Upstream, Simulated: s.Simulated,
		Status: statusNone, Main: -1, Readings: []readingView{},
	}
	if s.Lat != 0 || s.Lon != 0 {
		v.Lat, v.Lon = &s.Lat, &s.Lon
	}
	recent := map[string]*Series{}
	for i := range g.recent {
		recent[seriesKey(g.recent[i].Labels)] = &g.recent[i]
	}
	for _, p := range shown(g) {
		v.addProperty(p.Named(), g, recent, now)
	}
	v.conclude()
	if s.Family == quantrac.FamilyInsect {
		v.Night = nightOf(v, recent)
	}
	return v
}

// conclude makes the state of the station of those of its readings.
func (v *stationView) conclude() {
	v.Main = chief(v)
	if v.Main >= 0 {
		v.Status = v.Readings[v.Main].Status
	}
	for i := range v.Readings {
		r := &v.Readings[i]
		v.HasLevels = v.HasLevels || len(r.Levels) > 0
		if v.Kind == "" && len(r.Levels) > 0 {
			v.Kind = r.Levels[0].Kind
		}
		if r.Level > v.Level {
			v.Level, v.Kind = r.Level, r.Kind
		}
	}
}

// shown returns the properties to show: the registered ones, or whatever the
// station sends where nothing is registered.
func shown(g gathered) []quantrac.Property {
	if len(g.properties) > 0 {
		return g.properties
	}
	var out []quantrac.Property
	for _, r := range g.latest {
		m := r.Labels.Metric()
		if !slices.ContainsFunc(out, func(p quantrac.Property) bool { return p.Name == m }) {
			out = append(out, quantrac.Property{Name: m, Decimals: 2})
		}
	}
	return out
}

// addProperty adds a reading for every series of the property.
func (v *stationView) addProperty(p quantrac.Property, g gathered, recent map[string]*Series, now quantrac.Millis) {
	levels := levelsOf(g.thresholds(p.Name))
	series := seriesOf(p.Name, g.latest, recent)
	if len(series) == 0 {
		v.Readings = append(v.Readings, newReading(p, quantrac.NewLabels(quantrac.LabelMetric, p.Name), levels))
		return
	}
	for _, k := range sortedKeys(series) {
		last, s := series[k], recent[k]
		var ls quantrac.Labels
		if last != nil {
			ls = last.Labels
		} else {
			ls = s.Labels
		}
		r := newReading(p, ls, levels)
		r.judge(p, last, s, now)
		r.stateOf(g.warnings)
		rain := strings.HasPrefix(p.Name, prefixRain)
		if s != nil && !p.Cumulative {
			if !rain && v.Family != quantrac.FamilyInsect && p.Name != metricLightning && r.Status != statusSilent {
				r.Trend = trendOf(s, p.Interval, p.TrendEpsilon)
			}
			if rain && v.RainDay == nil {
				v.RainDay = &amountView{rainDay(s, now), p.Unit, p.Decimals}
			}
		}
		v.Readings = append(v.Readings, r)
	}
}

// seriesOf returns the newest readings of a property by series, nil for a series
// that has only ever failed.
func seriesOf(property string, latest []Reading, recent map[string]*Series) map[string]*Reading {
	out := map[string]*Reading{}
	for i := range latest {
		if latest[i].Labels.Metric() == property {
			out[seriesKey(latest[i].Labels)] = &latest[i]
		}
	}
	for k, s := range recent {
		if s.Labels.Metric() == property && out[k] == nil {
			out[k] = nil
		}
	}
	return out
}

// chief returns the index of the reading a list shows: by the family's chief
// metric, else the registry's first; -1 where nothing is measured.
func chief(v *stationView) int {
	prefix := map[quantrac.Family]string{
		quantrac.FamilyGauge: prefixLevel, quantrac.FamilyRain: prefixRain, quantrac.FamilyLightning: metricLightning,
		quantrac.FamilyWater: prefixSalinity, quantrac.FamilyInsect: metricCatch,
	}[v.Family]
	best := -1
	for i, r := range v.Readings {
		if prefix != "" && !strings.HasPrefix(r.Metric, prefix) {
			continue
		}
		if best < 0 || v.Family == quantrac.FamilyInsect && r.Time > v.Readings[best].Time {
			best = i
		}
	}
	if best < 0 && len(v.Readings) > 0 {
		best = 0
	}
	return best
}

// seriesKey names a series within its station: its labels less the station.
func seriesKey(ls quantrac.Labels) string {
	return ls.Without(quantrac.LabelStation).String()
}

func finite(v float64) bool { return !math.IsNaN(v) && !math.IsInf(v, 0) }

func sortedKeys[V any](m map[string]V) []string {
	out := make([]string, 0, len(m))
	for k := range m {
		out = append(out, k)
	}
	slices.Sort(out)
	return out
}
