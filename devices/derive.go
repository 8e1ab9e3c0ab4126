package devices

import (
	"cmp"
	"slices"
	"strings"

	"quantrac"
)

// Names of the metadata labels that are joined to series at read time. Sorted,
// as Keys returns them.
const (
	labelCommune     = "commune"
	labelCommuneCode = "commune_code"
	labelDistrict    = "district"
	labelFamily      = "family"
	labelName        = "name"
	labelNameEn      = "name_en"
	labelOperator    = "operator"
	labelRiver       = "river"
)

var keys = []string{
	labelCommune, labelCommuneCode, labelDistrict, labelFamily, labelName, labelNameEn, labelOperator, labelRiver, quantrac.LabelSimulated,
}

// span is what a station's metadata are from an instant until the next span.
type span struct {
	from    quantrac.Millis // MinMillis for since ever
	station quantrac.Station
	labels  quantrac.Labels
	unit    *Unit // its commune, nil where that is not known to be in force
}

// levelSpan is which thresholds of a property are in force from an instant
// until the next span, by level.
type levelSpan struct {
	from       quantrac.Millis
	thresholds []quantrac.Threshold
}

// derive makes again what follows from the station, its properties and
// thresholds, and the units.
func (st *station) derive(units map[string][]Unit) {
	st.spans = st.spans[:0:0]
	for i, f := range st.Facts {
		to := quantrac.MaxMillis
		if i+1 < len(st.Facts) {
			to = st.Facts[i+1].ValidFrom
		}
		st.addSpans(f, boundIn(f.ValidFrom, quantrac.MinMillis), to, units)
	}
	st.byName = make(map[string]quantrac.Property, len(st.properties))
	st.shown = make([]quantrac.Property, 0, len(st.properties))
	for _, p := range st.properties {
		st.byName[p.Name] = p.Property
		st.shown = append(st.shown, p.Property)
	}
	st.binding = bind(&Device{Station: st.ID}, st)
	slices.SortStableFunc(st.shown, func(a, b quantrac.Property) int {
		return cmp.Compare(rank(st.Family, a.Name), rank(st.Family, b.Name))
	})
	st.levels = map[string][]levelSpan{}
	for _, t := range st.thresholds {
		if _, done := st.levels[t.Property]; !done {
			st.levels[t.Property] = levelSpans(st.thresholds, t.Property)
		}
	}
}

// chief is how the metric begins that a family of stations stands for.
var chief = map[quantrac.Family]string{
	quantrac.FamilyGauge: "water_level_", quantrac.FamilyRain: "rain", quantrac.FamilyLightning: "lightning_",
	quantrac.FamilyWater: "salinity_", quantrac.FamilyInsect: "insect_",
}

// rank orders what a station measures for people: its chief property, other
// observations, the health of the station itself.
func rank(f quantrac.Family, metric string) int {
	if begin := chief[f]; begin != "" && strings.HasPrefix(metric, begin) {
		return 0
	}
	for _, health := range []string{"battery_", "solar_", "signal_", "logger_", "device_"} {
		if strings.HasPrefix(metric, health) {
			return 2
		}
	}
	return 1
}

// addSpans adds the spans of one set of facts: its commune is shown only
// while the unit it meant is in force.
func (st *station) addSpans(f Facts, from, to quantrac.Millis, units map[string][]Unit) {
	known := units[f.Commune]
	if f.Commune == "" || len(known) == 0 {
		st.spans = append(st.spans, st.span(f, from, f.Commune, nil))
		return
	}
	unit := unitAt(known, boundIn(f.CommuneAt, from))
	if unit == nil { // a code that no list knows at that time
		st.spans = append(st.spans, st.span(f, from, "", nil))
		return
	}
	begin := max(from, boundIn(unit.ValidFrom, quantrac.MinMillis))
	end := min(to, boundIn(unit.ValidTo, quantrac.MaxMillis))
	if begin >= end {
		st.spans = append(st.spans, st.span(f, from, "", nil))
		return
	}
	if from < begin {
		st.spans = append(st.spans, st.span(f, from, "", nil))
	}
	st.spans = append(st.spans, st.span(f, begin, f.Commune, unit))
	if end < to {
		st.spans = append(st.spans, st.span(f, end, "", nil))
	}
}

func (st *station) span(f Facts, from quantrac.Millis, code string, unit *Unit) span {
	s := span{from: from, unit: unit, station: quantrac.Station{
		ID: st.ID, Name: f.Name, NameEn: f.NameEn, Family: st.Family, Lat: st.Lat, Lon: st.Lon, River: f.River,
		Commune: code, District: f.District, Operator: f.Operator, Installed: st.Installed, Simulated: st.Simulated,
		Upstream: st.Upstream,
	}}
	simulated, commune, name := "", "", quantrac.Text{Vi: f.Name, En: f.NameEn}
	if st.Simulated {
		// In the name too: a legend shows that, whoever has made the dashboard.
		simulated, name = "true", name.Simulated()
	}
	if unit != nil {
		commune = unit.Name
	}
	s.labels = quantrac.NewLabels(
		labelName, name.Vi, labelNameEn, name.En, labelFamily, string(st.Family), labelRiver, f.River,
		labelCommune, commune, labelCommuneCode, code, labelDistrict, f.District, labelOperator, f.Operator,
		quantrac.LabelSimulated, simulated,
	)
	return s
}

// at returns the span that holds an instant, nil where the station is not
// known that early.
func (st *station) at(at quantrac.Millis) *span {
	for i := len(st.spans) - 1; i >= 0; i-- {
		if st.spans[i].from <= at {
			return &st.spans[i]
		}
	}
	return nil
}

// unitAt returns the unit in force among those of one code, nil where none is.
func unitAt(list []Unit, at quantrac.Millis) *Unit {
	for i := range list {
		if list[i].inForce(at) {
			return &list[i]
		}
	}
	return nil
}

// levelSpans cuts time at every beginning and end of a threshold of the
// property.
func levelSpans(all []Threshold, property string) []levelSpan {
	var cuts []quantrac.Millis
	for _, t := range all {
		if t.Property == property {
			cuts = append(cuts, t.ValidFrom, t.ValidTo)
		}
	}
	slices.Sort(cuts)
	cuts = slices.Compact(cuts)
	out := make([]levelSpan, 0, len(cuts))
	for _, from := range cuts {
		var in []quantrac.Threshold
		for _, t := range all {
			if t.Property == property && t.InForce(from) {
				in = append(in, t.Threshold)
			}
		}
		slices.SortFunc(in, func(a, b quantrac.Threshold) int {
			return cmp.Or(cmp.Compare(a.Level, b.Level), cmp.Compare(a.Kind, b.Kind))
		})
		out = append(out, levelSpan{from, slices.Clip(in)})
	}
	return out
}

// bind makes a device's binding.
func bind(d *Device, st *station) *quantrac.Binding {
	pairs := make([]string, 0, 4+2*len(d.Labels))
	for n, v := range d.Labels {
		pairs = append(pairs, n, v)
	}
	pairs = append(pairs, quantrac.LabelStation, d.Station, quantrac.LabelSensor, d.Sensor)
	b := &quantrac.Binding{Device: d.ID, Station: d.Station, Group: quantrac.NewLabels(pairs...), Disabled: d.Disabled}
	if st != nil {
		b.Properties, b.Installed, b.Simulated = st.byName, st.Installed, st.Simulated
	}
	return b
}

// authority returns in whose name a station's forecasts may be published:
// that of the province its commune lies in, else the one of no province.
func (s *state) authority(id string, at quantrac.Millis) *Authority {
	province := ""
	if st := s.stations[id]; st != nil {
		if sp := st.at(at); sp != nil {
			province = s.provinceOf(sp.unit, at)
		}
	}
	var general *Authority
	for i := range s.authorities {
		a := &s.authorities[i]
		if !within(at, a.ValidFrom, a.ValidTo) {
			continue
		}
		if a.Province != "" && a.Province == province {
			return a
		}
		if a.Province == "" {
			general = a
		}
	}
	return general
}

// provinceOf climbs from a unit to its province; "" where the way is not known.
func (s *state) provinceOf(u *Unit, at quantrac.Millis) string {
	for range 4 { // commune, district, province: a longer way is a circle
		if u == nil {
			return ""
		}
		if u.Level == Province {
			return u.Code
		}
		u = unitAt(s.units[u.Parent], at)
	}
	return ""
}

// StationOf returns the station of a threshold, by its ID.
func StationOf(id string) string {
	station, _, _ := strings.Cut(id, ":")
	return station
}
