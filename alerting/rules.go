package alerting

import (
	"cmp"
	"slices"
	"time"

	"quantrac"
	"quantrac/alerting/level"
)

// ruleSet is what the rules know of one property of one station: thresholds of
// every kind and validity, and how often it should report.
type ruleSet struct {
	Station    string               `json:"station"`
	Property   string               `json:"property"`
	Interval   time.Duration        `json:"interval"` // 0 where unknown
	Thresholds []quantrac.Threshold `json:"thresholds"`
}

// kinds returns the kinds of thresholds in the set, sorted.
func (s *ruleSet) kinds() []quantrac.ThresholdKind {
	var out []quantrac.ThresholdKind
	for _, t := range s.Thresholds {
		if !slices.Contains(out, t.Kind) {
			out = append(out, t.Kind)
		}
	}
	slices.Sort(out)
	return out
}

// rule returns the level rule of one kind; without thresholds if there is none.
func (s *ruleSet) rule(kind quantrac.ThresholdKind) level.Rule {
	var r level.Rule
	if s.Interval > 0 {
		r.MaxGap = quantrac.StaleAfter(s.Interval)
	}
	for _, t := range s.Thresholds {
		if t.Kind == kind {
			r.Thresholds = append(r.Thresholds, t)
		}
	}
	return r
}

func (s *ruleSet) equal(o *ruleSet) bool {
	return s.Interval == o.Interval && slices.Equal(s.Thresholds, o.Thresholds)
}

// rules are the sets in force, by station and property.
type rules map[string]map[string]*ruleSet

func (r rules) get(station, property string) *ruleSet { return r[station][property] }

// put sets or, without thresholds, removes a set.
func (r rules) put(s *ruleSet) {
	if len(s.Thresholds) == 0 {
		delete(r[s.Station], s.Property)
		if len(r[s.Station]) == 0 {
			delete(r, s.Station)
		}
		return
	}
	if r[s.Station] == nil {
		r[s.Station] = map[string]*ruleSet{}
	}
	r[s.Station][s.Property] = s
}

// list returns all sets in order of station and property.
func (r rules) list() []*ruleSet {
	var out []*ruleSet
	for _, byProperty := range r {
		for _, s := range byProperty {
			out = append(out, s)
		}
	}
	slices.SortFunc(out, compareSets)
	return out
}

func compareSets(a, b *ruleSet) int {
	return cmp.Or(cmp.Compare(a.Station, b.Station), cmp.Compare(a.Property, b.Property))
}

// readRules asks the registry for all thresholds and intervals.
func readRules(reg Registry) rules {
	out := rules{}
	for _, t := range reg.AllThresholds() {
		s := out.get(t.Station, t.Property)
		if s == nil {
			s = &ruleSet{Station: t.Station, Property: t.Property}
			for _, p := range reg.Properties(t.Station) {
				if p.Name == t.Property {
					s.Interval = p.Interval
				}
			}
		}
		s.Thresholds = append(s.Thresholds, t)
		out.put(s)
	}
	for _, s := range out.list() {
		slices.SortFunc(s.Thresholds, func(a, b quantrac.Threshold) int {
			return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Level, b.Level), cmp.Compare(a.ValidFrom, b.ValidFrom), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Value, b.Value))
		})
	}
	return out
}

// diff returns the sets of next that differ from r's, and for those that are
// no more in next empty ones.
func (r rules) diff(next rules) []ruleSet {
	var out []ruleSet
	for _, s := range next.list() {
		if old := r.get(s.Station, s.Property); old == nil || !old.equal(s) {
			out = append(out, *s)
		}
	}
	for _, s := range r.list() {
		if next.get(s.Station, s.Property) == nil {
			out = append(out, ruleSet{Station: s.Station, Property: s.Property})
		}
	}
	return out
}
