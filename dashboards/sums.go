package dashboards

import (
	"cmp"
	"math"
	"slices"
	"strings"
	"time"

	"quantrac"
)

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
