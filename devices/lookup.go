package devices

import (
	"maps"
	"slices"
	"time"

	"quantrac"
)

// Binding returns what a message from a device needs to know. The binding is
// shared and immutable. No lock, no query, no allocation.
func (r *Registry) Binding(device string) (*quantrac.Binding, bool) {
	d := r.snap.Load().devices[device]
	if d == nil {
		return nil, false
	}
	return d.binding, true
}

// StationBinding returns how to judge what is said of a station by a client
// that is none of its devices. Shared, immutable, and had as cheaply as Binding.
func (r *Registry) StationBinding(station string) (*quantrac.Binding, bool) {
	st := r.snap.Load().stations[station]
	if st == nil {
		return nil, false
	}
	return st.binding, true
}

// Keys returns the names of the metadata labels, sorted. They are reserved:
// an ingested tag of such a name becomes exported_….
func (r *Registry) Keys() []string { return slices.Clone(keys) }

// Reserved says whether a label name is one of Keys.
func (r *Registry) Reserved(name string) bool {
	_, found := slices.BinarySearch(keys, name)
	return found
}

// Labels returns a station's metadata labels at an instant, nil where it is
// not known then. The labels are shared; do not change them.
func (r *Registry) Labels(station string, at quantrac.Millis) quantrac.Labels {
	if sp := r.snap.Load().spanAt(station, at); sp != nil {
		return sp.labels
	}
	return nil
}

func (s *state) spanAt(id string, at quantrac.Millis) *span {
	st := s.stations[id]
	if st == nil {
		return nil
	}
	return st.at(at)
}

// Stations returns the ids, sorted, of stations whose metadata at an instant
// pass every matcher; matchers of other labels see "". Stations closed by
// then are among them: their series are still there.
func (r *Registry) Stations(at quantrac.Millis, ms []*quantrac.Matcher) []string {
	s := r.snap.Load()
	var out []string
	for _, id := range s.order {
		if sp := s.stations[id].at(at); sp != nil && quantrac.MatchAll(sp.labels, ms) {
			out = append(out, id)
		}
	}
	return out
}

// StationsAt returns the stations in service at an instant as they were known
// then, by id. Their Upstream is shared; do not change it.
func (r *Registry) StationsAt(at quantrac.Millis) []quantrac.Station {
	s := r.snap.Load()
	out := make([]quantrac.Station, 0, len(s.order))
	for _, id := range s.order {
		st := s.stations[id]
		if sp := st.at(at); sp != nil && (st.Closed == 0 || at < st.Closed) {
			out = append(out, sp.station)
		}
	}
	return out
}

// Station returns a station as it was known at an instant.
func (r *Registry) Station(id string, at quantrac.Millis) (quantrac.Station, bool) {
	sp := r.snap.Load().spanAt(id, at)
	if sp == nil {
		return quantrac.Station{}, false
	}
	return sp.station, true
}

// Properties returns what a station measures: its chief property first, then
// other observations, then the station's own health, each by name. The slice
// is shared; do not change it.
func (r *Registry) Properties(station string) []quantrac.Property {
	if st := r.snap.Load().stations[station]; st != nil {
		return st.shown
	}
	return nil
}

// Property returns a property of a metric: that of the first station, by id,
// which measures it. It describes the metric (unit, names), not its limits.
func (r *Registry) Property(metric string) (quantrac.Property, bool) {
	p, ok := r.snap.Load().metrics()[metric]
	return p, ok
}

// Interval returns the expected interval of a series by its station and
// metric, 0 where none is registered.
func (r *Registry) Interval(series quantrac.Labels) time.Duration {
	st := r.snap.Load().stations[series.Station()]
	if st == nil {
		return 0
	}
	return st.byName[series.Metric()].Interval
}

// Thresholds returns the thresholds of a station's property in force at an
// instant, by level. The slice is shared; do not change it.
func (r *Registry) Thresholds(station, property string, at quantrac.Millis) []quantrac.Threshold {
	st := r.snap.Load().stations[station]
	if st == nil {
		return nil
	}
	spans := st.levels[property]
	for i := len(spans) - 1; i >= 0; i-- {
		if spans[i].from <= at {
			return spans[i].thresholds
		}
	}
	return nil
}

// AllThresholds returns every threshold on record, past and future ones too,
// by station and ID.
func (r *Registry) AllThresholds() []quantrac.Threshold {
	s := r.snap.Load()
	var out []quantrac.Threshold
	for _, id := range s.order {
		for _, t := range s.stations[id].thresholds {
			out = append(out, t.Threshold)
		}
	}
	return out
}

// Authority returns in whose name forecasts for a station may be published at
// an instant: that of the province it lies in, else one recorded for no
// province. Without one they stay internal.
func (r *Registry) Authority(station string, at quantrac.Millis) (Authority, bool) {
	if a := r.snap.Load().authority(station, at); a != nil {
		return *a, true
	}
	return Authority{}, false
}

// Commit returns the number of the last commit that changed what is read here.
func (r *Registry) Commit() uint64 { return r.snap.Load().commit }

// Record returns a station's whole entry with all its dated facts.
func (r *Registry) Record(id string) (Station, bool) {
	st := r.snap.Load().stations[id]
	if st == nil {
		return Station{}, false
	}
	s := st.Station
	s.Facts, s.Upstream = slices.Clone(s.Facts), slices.Clone(s.Upstream)
	return s, true
}

// Records returns every station's whole entry, by id.
func (r *Registry) Records() []Station {
	s := r.snap.Load()
	out := make([]Station, 0, len(s.order))
	for _, id := range s.order {
		st := s.stations[id].Station
		st.Facts, st.Upstream = slices.Clone(st.Facts), slices.Clone(st.Upstream)
		out = append(out, st)
	}
	return out
}

// PropertyRecords returns the entries of a station's properties, by name.
func (r *Registry) PropertyRecords(station string) []Property {
	if st := r.snap.Load().stations[station]; st != nil {
		return slices.Clone(st.properties)
	}
	return nil
}

// ThresholdRecords returns the entries of a station's thresholds, past and
// future ones too, by ID.
func (r *Registry) ThresholdRecords(station string) []Threshold {
	if st := r.snap.Load().stations[station]; st != nil {
		return slices.Clone(st.thresholds)
	}
	return nil
}

// Device returns a device's entry.
func (r *Registry) Device(id string) (Device, bool) {
	d := r.snap.Load().devices[id]
	if d == nil {
		return Device{}, false
	}
	return d.entry(), true
}

// Devices returns the entries of a station's devices, by id; of all devices
// for "".
func (r *Registry) Devices(station string) []Device {
	s := r.snap.Load()
	var ids []string
	if station == "" {
		ids = slices.Sorted(maps.Keys(s.devices))
	} else if st := s.stations[station]; st != nil {
		ids = st.devices
	}
	out := make([]Device, 0, len(ids))
	for _, id := range ids {
		out = append(out, s.devices[id].entry())
	}
	return out
}

func (d *device) entry() Device {
	out := d.Device
	out.Labels, out.Tokens = maps.Clone(out.Labels), slices.Clone(out.Tokens)
	return out
}

// Units returns every administrative unit, by code and beginning.
func (r *Registry) Units() []Unit {
	s := r.snap.Load()
	var out []Unit
	for _, code := range slices.Sorted(maps.Keys(s.units)) {
		out = append(out, s.units[code]...)
	}
	return out
}

// Unit returns the administrative unit that a code means at an instant.
func (r *Registry) Unit(code string, at quantrac.Millis) (Unit, bool) {
	if u := unitAt(r.snap.Load().units[code], at); u != nil {
		return *u, true
	}
	return Unit{}, false
}

// Authorities returns every authority on record, by province and beginning.
func (r *Registry) Authorities() []Authority { return slices.Clone(r.snap.Load().authorities) }
