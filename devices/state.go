package devices

import (
	"cmp"
	"maps"
	"slices"
	"sync"

	"quantrac"
)

// state is the whole registry after a commit, immutable once published:
// readers hold it through an atomic pointer. with makes the next one, sharing
// everything that the change does not touch.
type state struct {
	commit      uint64
	stations    map[string]*station
	order       []string // ids of stations, sorted
	devices     map[string]*device
	units       map[string][]Unit // by code, then by beginning of validity
	authorities []Authority

	// metrics holds a representative property of each metric: of the first
	// station, by id, that has it. Made when first asked for.
	metrics func() map[string]quantrac.Property
}

// station is what is known of one station, with what is derived from it
// (derive.go).
type station struct {
	Station
	properties []Property  // by name
	thresholds []Threshold // by id
	devices    []string    // ids of those bound to it, sorted

	spans   []span
	byName  map[string]quantrac.Property
	binding *quantrac.Binding      // of clients that are no device
	shown   []quantrac.Property    // chief first
	levels  map[string][]levelSpan // by property
}

// device is a device with its binding.
type device struct {
	Device
	binding *quantrac.Binding
}

func newState() *state {
	s := &state{stations: map[string]*station{}, devices: map[string]*device{}, units: map[string][]Unit{}}
	s.metrics = sync.OnceValue(s.collectMetrics)
	return s
}

// draft is a state in the making. Its maps are its own, what they point to is
// shared with the state it came from until it is touched.
type draft struct {
	*state
	before *state // what it came from
	// What was touched, by id: stations are copies already and are derived
	// again, those of value true were edited themselves.
	touchedStations map[string]bool
	touchedDevices  map[string]bool
	touchedCodes    map[string]bool // of units
	grown           bool            // a station is new

	edits    []edit   // recorded by do
	problems Problems // found while planning
}

// with returns the state after a change of the given commit. An edit about
// something that does not exist is an error.
func (s *state) with(edits []edit, commit uint64) (*state, error) {
	d := s.begin(commit)
	for i := range edits {
		if err := d.apply(&edits[i]); err != nil {
			return nil, err
		}
	}
	d.seal()
	return d.state, nil
}

// begin returns a draft of the next state. It takes edits one after another;
// seal derives what follows from them.
func (s *state) begin(commit uint64) *draft {
	next := &state{
		commit: commit, order: s.order, authorities: s.authorities,
		stations: maps.Clone(s.stations), devices: maps.Clone(s.devices), units: maps.Clone(s.units),
	}
	next.metrics = sync.OnceValue(next.collectMetrics)
	return &draft{state: next, before: s, touchedStations: map[string]bool{}, touchedDevices: map[string]bool{}, touchedCodes: map[string]bool{}}
}

func (d *draft) apply(e *edit) error {
	switch {
	case e.Unit != nil:
		d.putUnit(*e.Unit)
	case e.Station != nil:
		d.putStation(*e.Station)
	case e.Device != nil:
		return d.putDevice(*e.Device)
	case e.Authority != nil:
		d.putAuthority(*e.Authority)
	case e.AddToken != nil:
		t := e.AddToken
		return d.editTokens(t.Device, func(in []Token) []Token {
			return append(in, Token{ID: t.ID, Hash: t.Hash, Created: t.Created, By: t.By})
		})
	case e.RevokeToken != nil:
		return d.editTokens(e.RevokeToken.Device, func(in []Token) []Token {
			return slices.DeleteFunc(in, func(t Token) bool { return t.ID == e.RevokeToken.ID })
		})
	case e.Property != nil:
		p := *e.Property
		p.Revision = d.commit
		return d.editStation(p.Station, func(st *station) {
			st.properties = putSorted(st.properties, p, func(a, b Property) int { return cmp.Compare(a.Name, b.Name) })
		})
	case e.RemoveProperty != nil:
		return d.editStation(e.RemoveProperty.Station, func(st *station) {
			st.properties = slices.DeleteFunc(st.properties, func(p Property) bool { return p.Name == e.RemoveProperty.Property })
		})
	case e.Threshold != nil:
		t := *e.Threshold
		t.Revision = d.commit
		return d.editStation(t.Station, func(st *station) {
			st.thresholds = putSorted(st.thresholds, t, func(a, b Threshold) int { return cmp.Compare(a.ID, b.ID) })
		})
	case e.RemoveThreshold != "":
		return d.editStation(StationOf(e.RemoveThreshold), func(st *station) {
			st.thresholds = slices.DeleteFunc(st.thresholds, func(t Threshold) bool { return t.ID == e.RemoveThreshold })
		})
	}
	return nil
}

// touch returns the station of an id for changing, nil where there is none.
func (d *draft) touch(id string, edited bool) *station {
	st := d.stations[id]
	if st == nil {
		return nil
	}
	if before, copied := d.touchedStations[id]; copied {
		d.touchedStations[id] = before || edited
		return st
	}
	copied := *st
	copied.properties = slices.Clone(st.properties)
	copied.thresholds = slices.Clone(st.thresholds)
	copied.devices = slices.Clone(st.devices)
	d.stations[id], d.touchedStations[id] = &copied, edited
	return &copied
}

func (d *draft) editStation(id string, change func(*station)) error {
	st := d.touch(id, true)
	if st == nil {
		return quantrac.Errorf(quantrac.NotFound, "station %q is not registered", id)
	}
	change(st)
	return nil
}

func (d *draft) putStation(s Station) {
	st := d.touch(s.ID, true)
	if st == nil {
		st = &station{}
		d.stations[s.ID], d.touchedStations[s.ID], d.grown = st, true, true
	}
	s.Revision = d.commit
	st.Station = s
}

func (d *draft) putDevice(dev Device) error {
	old := d.devices[dev.ID]
	dev.Tokens, dev.Revision = nil, d.commit
	if old != nil {
		dev.Tokens = old.Tokens
		if old.Station != dev.Station {
			if err := d.editStation(old.Station, func(st *station) { st.devices = without(st.devices, dev.ID) }); err != nil {
				return err
			}
		}
	}
	err := d.editStation(dev.Station, func(st *station) { st.devices = putSorted(st.devices, dev.ID, cmp.Compare[string]) })
	if err != nil {
		return err
	}
	d.devices[dev.ID], d.touchedDevices[dev.ID] = &device{Device: dev}, true
	return nil
}

func (d *draft) editTokens(id string, change func([]Token) []Token) error {
	old := d.devices[id]
	if old == nil {
		return quantrac.Errorf(quantrac.NotFound, "device %q is not registered", id)
	}
	dev := &device{Device: old.Device}
	dev.Tokens, dev.Revision = change(slices.Clone(old.Tokens)), d.commit
	d.devices[id], d.touchedDevices[id] = dev, true
	return nil
}

func (d *draft) putUnit(u Unit) {
	u.Revision = d.commit
	list := slices.Clone(d.units[u.Code])
	d.units[u.Code] = putSorted(list, u, func(a, b Unit) int { return cmp.Compare(a.ValidFrom, b.ValidFrom) })
	d.touchedCodes[u.Code] = true
}

func (d *draft) putAuthority(a Authority) {
	a.Revision = d.commit
	d.authorities = putSorted(slices.Clone(d.authorities), a, func(x, y Authority) int {
		return cmp.Or(cmp.Compare(x.Province, y.Province), cmp.Compare(x.ValidFrom, y.ValidFrom))
	})
}

// seal derives everything again that depends on what was touched.
func (d *draft) seal() {
	if len(d.touchedCodes) > 0 {
		for id, st := range d.stations {
			if slices.ContainsFunc(st.Facts, func(f Facts) bool { return d.touchedCodes[f.Commune] }) {
				d.touch(id, false)
			}
		}
	}
	for id := range d.touchedStations {
		st := d.stations[id]
		st.derive(d.units)
		for _, dev := range st.devices {
			d.touchedDevices[dev] = true
		}
	}
	for id := range d.touchedDevices {
		old := d.devices[id]
		d.devices[id] = &device{old.Device, bind(&old.Device, d.stations[old.Station])}
	}
	if d.grown {
		d.order = slices.Sorted(maps.Keys(d.stations))
	}
}

func (s *state) collectMetrics() map[string]quantrac.Property {
	out := map[string]quantrac.Property{}
	for _, id := range s.order {
		for name, p := range s.stations[id].byName {
			if _, have := out[name]; !have {
				out[name] = p
			}
		}
	}
	return out
}

// putSorted puts v in its place in a sorted slice, over an equal one. The
// slice must be the caller's own.
func putSorted[T any](list []T, v T, by func(a, b T) int) []T {
	i, found := slices.BinarySearchFunc(list, v, by)
	if found {
		list[i] = v
		return list
	}
	return slices.Insert(list, i, v)
}

func without(list []string, s string) []string {
	return slices.DeleteFunc(list, func(x string) bool { return x == s })
}
