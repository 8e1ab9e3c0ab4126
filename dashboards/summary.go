package dashboards

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"quantrac"
)

// status says whether the newest reading can be relied on.
type status string

const (
	statusOK      status = "ok"
	statusSuspect status = "suspect" // quality control doubts the newest reading
	statusFailed  status = "failed"  // what arrives now fails quality control
	statusSilent  status = "silent"  // nothing for three expected intervals and a minute
	statusNone    status = "none"    // nothing has ever arrived
)

// Metrics with a meaning of their own on the page.
const (
	metricLightning = "lightning_state" // 0 none, 1 far, 2 near, 3 at the site
	metricCatch     = "insect_catch"    // per trap-night and species
	prefixLevel     = "water_level"
	prefixRain      = "rainfall"
	prefixSalinity  = "salinity"
)

// stationView is a station as the page shows it.
type stationView struct {
	ID        string                 `json:"id"`
	Name      string                 `json:"name"`
	NameEn    string                 `json:"name_en,omitempty"`
	Family    quantrac.Family        `json:"family"`
	Lat       *float64               `json:"lat,omitempty"` // WGS84; absent where unknown
	Lon       *float64               `json:"lon,omitempty"`
	River     string                 `json:"river,omitempty"`
	Commune   string                 `json:"commune,omitempty"` // name, or the code where no name is known
	District  string                 `json:"district,omitempty"`
	Operator  string                 `json:"operator,omitempty"`
	Upstream  []string               `json:"upstream,omitempty"` // ids
	Simulated bool                   `json:"simulated,omitempty"`
	Status    status                 `json:"status"`
	Level     int                    `json:"level"`          // highest of its readings
	Kind      quantrac.ThresholdKind `json:"kind,omitempty"` // of Level, or of its levels where none is reached
	HasLevels bool                   `json:"has_levels,omitempty"`
	Main      int                    `json:"main"` // index of the chief reading, -1 where there is none
	Readings  []readingView          `json:"readings"`
	Night     *nightView             `json:"night,omitempty"`    // of an insect trap
	RainDay   *amountView            `json:"rain_day,omitempty"` // sum since 19:00 at +07:00
}

// amountView is a sum over a day.
type amountView struct {
	Value    float64 `json:"value"`
	Unit     string  `json:"unit"`
	Decimals int     `json:"decimals"`
}

// readingView is the newest usable reading of one series.
type readingView struct {
	Key      string                 `json:"key"` // names the series within its station
	Metric   string                 `json:"metric"`
	Sensor   string                 `json:"sensor,omitempty"`
	Species  string                 `json:"species,omitempty"`
	Name     quantrac.Text          `json:"name"`
	Unit     string                 `json:"unit"`
	Decimals int                    `json:"decimals"`
	Time     quantrac.Millis        `json:"time,omitempty"`
	Value    *float64               `json:"value"` // null where nothing usable has arrived
	Status   status                 `json:"status"`
	Since    quantrac.Millis        `json:"since,omitempty"` // of statusFailed: first of the failed readings
	Interval int64                  `json:"interval_s,omitempty"`
	StaleAt  quantrac.Millis        `json:"stale_at,omitempty"` // when it falls silent unless another comes; 0 never
	Trend    *trend                 `json:"trend,omitempty"`
	Level    int                    `json:"level"`
	Kind     quantrac.ThresholdKind `json:"kind,omitempty"`
	Levels   []levelView            `json:"levels,omitempty"`
}

// levelView is a threshold in force.
type levelView struct {
	Level int                    `json:"level"`
	Kind  quantrac.ThresholdKind `json:"kind"`
	Value float64                `json:"value"`
	Basis string                 `json:"basis,omitempty"` // decision that sets it
	Name  quantrac.Text          `json:"name"`
}

// nightView is what a trap caught in its newest night.
type nightView struct {
	Date    string      `json:"date"` // of the evening
	Catches []catchView `json:"catches"`
}

type catchView struct {
	Species string        `json:"species"`
	Name    quantrac.Text `json:"name"`
	Role    role          `json:"role"`
	Count   float64       `json:"count"`          // per trap-night
	Before  *float64      `json:"before"`         // the night before, null where unknown
	Status  status        `json:"status"`         // of the reading
	Time    int64         `json:"time,omitempty"` // when counted
}

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
	if s.Family == quantrac.FamilyInsect {
		v.Night = nightOf(v, recent)
	}
	return v
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
	keys := map[string]*Reading{}
	for i := range g.latest {
		if g.latest[i].Labels.Metric() == p.Name {
			keys[seriesKey(g.latest[i].Labels)] = &g.latest[i]
		}
	}
	for k, s := range recent { // a series that has only ever failed
		if s.Labels.Metric() == p.Name && keys[k] == nil {
			keys[k] = nil
		}
	}
	if len(keys) == 0 {
		v.Readings = append(v.Readings, newReading(p, quantrac.NewLabels(quantrac.LabelMetric, p.Name), levels))
		return
	}
	for _, k := range sortedKeys(keys) {
		ls := quantrac.Labels(nil)
		if keys[k] != nil {
			ls = keys[k].Labels
		} else {
			ls = recent[k].Labels
		}
		r := newReading(p, ls, levels)
		r.judge(p, keys[k], recent[k], now)
		r.stateOf(g.warnings)
		if v.Family != quantrac.FamilyInsect && p.Name != metricLightning && !strings.HasPrefix(p.Name, prefixRain) && recent[k] != nil && r.Status != statusSilent && !p.Cumulative {
			r.Trend = trendOf(recent[k], p.Interval, p.TrendEpsilon)
		}
		if strings.HasPrefix(p.Name, prefixRain) && !p.Cumulative && recent[k] != nil && v.RainDay == nil {
			v.RainDay = &amountView{rainDay(recent[k], now), p.Unit, p.Decimals}
		}
		v.Readings = append(v.Readings, r)
	}
}

func newReading(p quantrac.Property, ls quantrac.Labels, levels []levelView) readingView {
	return readingView{
		Key: seriesKey(ls), Metric: p.Name, Sensor: ls.Get(quantrac.LabelSensor), Species: ls.Get(quantrac.LabelSpecies),
		Name: quantrac.Text{Vi: p.HumanName, En: p.HumanNameEn}, Unit: p.Unit, Decimals: p.Decimals,
		Status: statusNone, Interval: int64(p.Interval / time.Second), Levels: levels,
	}
}

// judge fills in value, time and status: failed where readings newer than the
// newest usable one fail quality control, else silent by the expected
// interval, else suspect where quality control doubts the newest one.
func (r *readingView) judge(p quantrac.Property, last *Reading, recent *Series, now quantrac.Millis) {
	var usableAt quantrac.Millis
	if last != nil && finite(last.Value) {
		val := last.Value
		r.Value, r.Time, r.Status, usableAt = &val, last.Time, statusOK, last.Time
		if last.Quality == quantrac.Suspect {
			r.Status = statusSuspect
		}
		if p.Interval > 0 {
			r.StaleAt = last.Time.Add(quantrac.StaleAfter(p.Interval))
			if now > r.StaleAt {
				r.Status = statusSilent
			}
		}
	}
	if since, newest := failing(recent, usableAt); newest > usableAt && (p.Interval <= 0 || now <= newest.Add(quantrac.StaleAfter(p.Interval))) {
		r.Status, r.Since = statusFailed, since
	}
}

// failing returns the first and the last time of the failed samples after t.
func failing(s *Series, t quantrac.Millis) (since, newest quantrac.Millis) {
	if s == nil {
		return 0, 0
	}
	for i, q := range s.Qualities {
		if q == quantrac.Fail && s.Times[i] > t {
			if since == 0 {
				since = s.Times[i]
			}
			newest = s.Times[i]
		}
	}
	return since, newest
}

// stateOf finds the level of a reading: the highest threshold in force that
// its newest usable value reaches. A running public level warning of the
// series' property raises it to the warning's level, because hysteresis and
// hold belong to the rule that warned, and page and warning must not
// contradict each other. A lightning state is its own level.
func (r *readingView) stateOf(warnings []quantrac.Warning) {
	if r.Value == nil {
		return
	}
	if r.Metric == metricLightning {
		r.Level = int(min(max(*r.Value, 0), 3))
		return
	}
	for _, l := range r.Levels {
		if *r.Value >= l.Value && l.Level > r.Level {
			r.Level, r.Kind = l.Level, l.Kind
		}
	}
	for _, w := range warnings {
		if w.Rule == "level" && w.Property == r.Metric && !w.Ended() && w.Level > r.Level {
			r.Level = w.Level
			for _, l := range r.Levels {
				if l.Level == w.Level {
					r.Kind = l.Kind
				}
			}
		}
	}
}

// levelsOf sorts thresholds by level; of one level báo động goes before a
// watch level of our own.
func levelsOf(ts []quantrac.Threshold) []levelView {
	var out []levelView
	for _, t := range ts {
		if !finite(t.Value) {
			continue
		}
		vi, en := t.Label()
		out = append(out, levelView{Level: t.Level, Kind: t.Kind, Value: t.Value, Basis: t.LegalBasis, Name: quantrac.Text{Vi: vi, En: en}})
	}
	slices.SortStableFunc(out, func(a, b levelView) int {
		return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Value, b.Value))
	})
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

// nightOf gathers the catches of the newest night, the greatest first.
func nightOf(v *stationView, recent map[string]*Series) *nightView {
	n := &nightView{Catches: []catchView{}}
	for _, r := range v.Readings {
		if r.Metric == metricCatch && r.Value != nil {
			n.Date = max(n.Date, r.Time.Night())
		}
	}
	if n.Date == "" {
		return nil
	}
	for _, r := range v.Readings {
		if r.Metric != metricCatch || r.Value == nil || r.Time.Night() != n.Date {
			continue
		}
		sp := speciesOf(r.Species)
		c := catchView{Species: r.Species, Name: sp.name, Role: sp.role, Count: *r.Value, Status: r.Status, Time: int64(r.Time)}
		if s := recent[r.Key]; s != nil {
			c.Before = nightBefore(s, r.Time)
		}
		n.Catches = append(n.Catches, c)
	}
	slices.SortStableFunc(n.Catches, func(a, b catchView) int {
		return cmp.Or(cmp.Compare(b.Count, a.Count), strings.Compare(a.Species, b.Species))
	})
	return n
}

// nightBefore returns the usable value of the night before t's.
func nightBefore(s *Series, t quantrac.Millis) *float64 {
	want := t.Add(-24 * time.Hour).Night()
	ts, vs := usable(s)
	for i := len(ts) - 1; i >= 0; i-- {
		if ts[i].Night() == want {
			return &vs[i]
		}
	}
	return nil
}

// rainDay sums the usable amounts since 19:00 at +07:00. An amount belongs to
// the interval that ends at its time, so one stamped 19:00 is the day before's.
func rainDay(s *Series, now quantrac.Millis) float64 {
	from, _ := now.RainDay()
	sum := 0.0
	ts, vs := usable(s)
	for i, t := range ts {
		if t > from && t <= now {
			sum += vs[i]
		}
	}
	return math.Round(sum*1e6) / 1e6 // amounts are decimal: no 0.30000000000000004
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
