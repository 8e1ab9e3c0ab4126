package dashboards

import (
	"cmp"
	"slices"
	"time"

	"quantrac"
)

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
