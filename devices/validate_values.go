package devices

import (
	"math"
	"slices"
	"strings"

	"quantrac"
)

// NewProperty returns a property with every test switched off, in the unit
// its metric's name promises ("" where it promises none).
func NewProperty(metric string) quantrac.Property {
	nan := math.NaN()
	p := quantrac.Property{Name: metric, Min: nan, Max: nan, SuspectMin: nan, SuspectMax: nan, SpikeLimit: nan, RateLimit: nan, Decimals: 2}
	if m := quantrac.MetricOf(metric); m.Units != nil {
		p.Unit = m.Unit
	}
	return p
}

func inspectProperty(in inspector, p *Property) {
	// A colon is left to recording rules, and would end the name in a
	// threshold's ID.
	if !quantrac.ValidLabelName(p.Name) || strings.HasPrefix(p.Name, "__") || len(p.Name) > quantrac.MaxLabelNameBytes {
		in.bad("name", "%q cannot be the name of a metric, want such as water_level_meters", p.Name)
	}
	in.text("unit", p.Unit, false)
	if units := quantrac.MetricOf(p.Name).Units; units != nil && !slices.Contains(units, p.Unit) {
		in.bad("unit", "%q is not what the metric's name says, want %s", p.Unit, strings.Join(units, " or "))
	}
	in.text("human_name", p.HumanName, false)
	in.text("human_name_en", p.HumanNameEn, false)
	if p.Interval < 0 || p.Interval > maxInterval {
		in.bad("interval_ms", "%s is outside 0 to %s", p.Interval, maxInterval)
	}
	if p.FlatFor < 0 || p.FlatFor > maxInterval {
		in.bad("flat_for_ms", "%s is outside 0 to %s", p.FlatFor, maxInterval)
	}
	if p.Decimals < 0 || p.Decimals > 9 {
		in.bad("decimals", "%d is outside 0 to 9", p.Decimals)
	}
	inspectLimits(in, p)
}

func inspectLimits(in inspector, p *Property) {
	for _, l := range []struct {
		field string
		v     float64
	}{{"min", p.Min}, {"suspect_min", p.SuspectMin}, {"suspect_max", p.SuspectMax}, {"max", p.Max}} {
		if math.IsInf(l.v, 0) {
			in.bad(l.field, "is infinite; leave it out to switch the test off")
		}
	}
	if p.Min >= p.Max {
		in.bad("max", "%v is not above min %v", p.Max, p.Min)
	}
	if p.SuspectMin >= p.SuspectMax {
		in.bad("suspect_max", "%v is not above suspect_min %v", p.SuspectMax, p.SuspectMin)
	}
	if p.SuspectMin < p.Min || p.SuspectMin > p.Max {
		in.bad("suspect_min", "%v is outside the gross range %v to %v", p.SuspectMin, p.Min, p.Max)
	}
	if p.SuspectMax > p.Max || p.SuspectMax < p.Min {
		in.bad("suspect_max", "%v is outside the gross range %v to %v", p.SuspectMax, p.Min, p.Max)
	}
	if p.SpikeLimit <= 0 || math.IsInf(p.SpikeLimit, 0) {
		in.bad("spike_limit", "%v is not a positive number; leave it out to switch the test off", p.SpikeLimit)
	}
	if p.RateLimit <= 0 || math.IsInf(p.RateLimit, 0) {
		in.bad("rate_limit_per_second", "%v is not a positive number; leave it out to switch the test off", p.RateLimit)
	}
	if !(p.FlatEpsilon >= 0) || math.IsInf(p.FlatEpsilon, 0) {
		in.bad("flat_epsilon", "%v is not zero or a positive number", p.FlatEpsilon)
	}
	if !(p.TrendEpsilon >= 0) || math.IsInf(p.TrendEpsilon, 0) {
		in.bad("trend_epsilon_per_hour", "%v is not zero or a positive number", p.TrendEpsilon)
	}
	if len(p.FaultValues) > 16 || slices.ContainsFunc(p.FaultValues, func(v float64) bool { return math.IsNaN(v) || math.IsInf(v, 0) }) {
		in.bad("fault_values", "want at most 16 finite numbers")
	}
}

func inspectThreshold(in inspector, t *Threshold, st *station) {
	p, ok := st.byName[t.Property]
	if !ok {
		in.bad("property", "the station has no property %q", t.Property)
	} else if t.Unit != p.Unit {
		in.bad("unit", "%q is not the property's unit, want %q", t.Unit, p.Unit)
	}
	switch t.Kind {
	case quantrac.ThresholdAlarm:
		// Decision 05/2020/QĐ-TTg art. 4: levels are set by its annex or by
		// the provincial People's Committee, never by us.
		if t.LegalBasis == "" {
			in.bad("legal_basis", "is missing: a báo động rests on a decision (Decision 05/2020/QĐ-TTg or the provincial People's Committee); without one the kind is %s", quantrac.ThresholdWatch)
		}
		if t.ValidFrom <= quantrac.MinMillis {
			in.bad("valid_from_ms", "is missing: a báo động holds from the day its decision says")
		}
	case quantrac.ThresholdWatch:
	default:
		in.bad("kind", "%q is unknown, want %s or %s", t.Kind, quantrac.ThresholdAlarm, quantrac.ThresholdWatch)
	}
	if t.Level < 1 || t.Level > 3 {
		in.bad("level", "%d is outside 1 to 3", t.Level)
	}
	if math.IsNaN(t.Value) || math.IsInf(t.Value, 0) {
		in.bad("value", "is not a finite number")
	}
	if t.Value < p.Min || t.Value > p.Max {
		in.bad("value", "%v %s is outside the gross range %v to %v: no reading that passes could reach it", t.Value, t.Unit, p.Min, p.Max)
	}
	if !(t.Hysteresis >= 0) || math.IsInf(t.Hysteresis, 0) {
		in.bad("hysteresis", "%v is not zero or a positive number", t.Hysteresis)
	}
	if t.Hold < 0 || t.Hold > maxInterval {
		in.bad("hold_ms", "%s is outside 0 to %s", t.Hold, maxInterval)
	}
	in.text("legal_basis", t.LegalBasis, false)
	in.text("entered_by", t.EnteredBy, false)
	in.validity(boundOut(t.ValidFrom), boundOut(t.ValidTo))
	if want := ThresholdID(&t.Threshold); t.ID != want {
		in.bad("id", "is not made of the threshold's key, want %q", want)
	}
}

// inspectLevels wants no two thresholds of one kind and level in force at
// once, and levels to rise.
func inspectLevels(ps *Problems, st *station) {
	list := slices.Clone(st.thresholds)
	slices.SortFunc(list, compareThresholds)
	for i := range list {
		t := &list[i]
		in := inspector{"threshold", t.ID, ps}
		for j := range list[:i] {
			o := &list[j]
			if o.Property != t.Property || o.Kind != t.Kind || o.ValidFrom >= t.ValidTo || t.ValidFrom >= o.ValidTo {
				continue
			}
			if o.Level == t.Level {
				in.conflict("valid_from_ms", "%s is still in force then, until %s", o.ID, o.ValidTo)
			} else if o.Value >= t.Value {
				in.bad("value", "%v is not above level %d, %v", t.Value, o.Level, o.Value)
			}
		}
	}
}
