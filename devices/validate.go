package devices

import (
	"cmp"
	"math"
	"regexp"
	"slices"
	"strings"
	"time"

	"quantrac"
)

// Bounds of what is entered. They keep one mistake from filling labels,
// topics and pages.
const (
	MaxIDBytes    = 64
	maxTextBytes  = 300
	maxUpstream   = 32
	maxLabels     = 8   // further identity labels of a device
	maxFacts      = 100 // changes of one station's facts
	maxPerStation = 500 // properties, and thresholds, of one station
	maxInterval   = 400 * 24 * time.Hour
)

// ValidID says whether a text can be the id of a station or device: 1 to 64
// of A–Z a–z 0–9 _ - beginning with a letter or digit. Ids stand in MQTT
// topics, where / + # $ mean something, in URLs and in labels.
func ValidID(id string) bool {
	if id == "" || len(id) > MaxIDBytes {
		return false
	}
	for i := 0; i < len(id); i++ {
		c := id[i]
		letter := c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z' || c >= '0' && c <= '9'
		if !letter && (i == 0 || c != '_' && c != '-') {
			return false
		}
	}
	return true
}

const wantID = "want 1 to 64 of A-Z a-z 0-9 _ - beginning with a letter or digit"

// inspect checks everything the draft has touched, references included.
func (d *draft) inspect() Problems {
	var ps Problems
	visited := map[string]bool{}
	for _, id := range sortedKeys(d.touchedStations) {
		st := d.stations[id]
		d.inspectStation(inspector{"station", id, &ps}, st, visited)
		for i := range st.properties {
			inspectProperty(inspector{"property", id + ":" + st.properties[i].Name, &ps}, &st.properties[i])
		}
		for i := range st.thresholds {
			t := &st.thresholds[i]
			inspectThreshold(inspector{"threshold", t.ID, &ps}, t, st)
		}
		inspectLevels(&ps, st)
	}
	for _, id := range sortedKeys(d.touchedDevices) {
		inspectDevice(inspector{"device", id, &ps}, &d.devices[id].Device)
	}
	for _, code := range sortedKeys(d.touchedCodes) {
		inspectUnits(&ps, d.units[code])
	}
	d.inspectAuthorities(&ps)
	return ps
}

// sortedKeys returns the keys of what was edited, sorted.
func sortedKeys(m map[string]bool) []string {
	out := make([]string, 0, len(m))
	for k, edited := range m {
		if edited {
			out = append(out, k)
		}
	}
	slices.Sort(out)
	return out
}

var families = []quantrac.Family{
	quantrac.FamilyGauge, quantrac.FamilyRain, quantrac.FamilyLightning, quantrac.FamilyWater, quantrac.FamilyInsect, quantrac.FamilyField,
}

func (d *draft) inspectStation(in inspector, st *station, visited map[string]bool) {
	if !ValidID(st.ID) {
		in.bad("id", wantID)
	}
	if !slices.Contains(families, st.Family) {
		in.bad("family", "%q is unknown, want one of %v", st.Family, families)
	}
	if !(math.Abs(st.Lat) <= 90) {
		in.bad("lat", "%v is outside -90 to 90 degrees", st.Lat)
	}
	if !(math.Abs(st.Lon) <= 180) {
		in.bad("lon", "%v is outside -180 to 180 degrees", st.Lon)
	}
	if st.Installed != 0 && st.Closed != 0 && st.Closed <= st.Installed {
		in.bad("closed_ms", "%s is not after the installation %s", st.Closed, st.Installed)
	}
	d.inspectUpstream(in, st, visited)
	if len(st.properties) > maxPerStation || len(st.thresholds) > maxPerStation {
		in.bad("id", "has %d properties and %d thresholds, at most %d of each are kept", len(st.properties), len(st.thresholds), maxPerStation)
	}
	if len(st.Facts) == 0 || len(st.Facts) > maxFacts {
		in.bad("facts", "has %d entries, want 1 to %d", len(st.Facts), maxFacts)
	}
	for i, f := range st.Facts {
		in.validity(f.ValidFrom, 0)
		if i > 0 && f.ValidFrom <= st.Facts[i-1].ValidFrom {
			in.bad("facts", "two sets of facts begin at %s", f.ValidFrom)
		}
		in.text("name", f.Name, true)
		in.text("name_en", f.NameEn, false)
		in.text("river", f.River, false)
		in.text("district", f.District, false)
		in.text("operator", f.Operator, false)
		d.inspectCommune(in, f)
	}
}

// inspectUpstream wants the stations above to exist and to form no circle.
func (d *draft) inspectUpstream(in inspector, st *station, visited map[string]bool) {
	if len(st.Upstream) > maxUpstream {
		in.bad("upstream", "has %d stations, at most %d are kept", len(st.Upstream), maxUpstream)
		return
	}
	for _, id := range st.Upstream {
		if d.stations[id] == nil {
			in.bad("upstream", "station %q is not registered", id)
		}
	}
	if at := d.circle(st.ID, visited); at != "" {
		in.bad("upstream", "station %q lies upstream of itself", at)
	}
}

// circle follows the water up from a station and returns a station that is met
// twice on one way, "" where there is none: a circle would send a forecast
// round and round. visited keeps what has been followed to its end (false
// while on the way), so that a whole network is walked once.
func (d *draft) circle(id string, visited map[string]bool) string {
	if done, met := visited[id]; met {
		if done {
			return ""
		}
		return id
	}
	st := d.stations[id]
	if st == nil {
		return ""
	}
	visited[id] = false
	defer func() { visited[id] = true }()
	for _, up := range st.Upstream {
		if at := d.circle(up, visited); at != "" {
			return at
		}
	}
	return ""
}

// inspectCommune wants a code to be in the list it was read from, where there
// is such a list.
func (d *draft) inspectCommune(in inspector, f Facts) {
	in.text("commune_code", f.Commune, false)
	if f.Commune == "" {
		return
	}
	at := boundIn(f.CommuneAt, boundIn(f.ValidFrom, quantrac.MinMillis))
	if u := unitAt(d.units[f.Commune], at); u != nil {
		if u.Level != Commune {
			in.bad("commune_code", "%q is the %s %s, want a commune", f.Commune, u.Level, u.Name)
		}
		return
	}
	for _, list := range d.units {
		if u := unitAt(list, at); u != nil && u.Level == Commune {
			in.bad("commune_code", "%q is not in the list of communes in force at %s", f.Commune, at)
			return
		}
	}
}

var labelPattern = regexp.MustCompile(`^[a-zA-Z_][a-zA-Z0-9_]*$`)

func inspectDevice(in inspector, d *Device) {
	if !ValidID(d.ID) {
		in.bad("id", wantID)
	}
	in.text("sensor", d.Sensor, false)
	in.text("note", d.Note, false)
	if len(d.Labels) > maxLabels {
		in.bad("labels", "has %d, at most %d are kept", len(d.Labels), maxLabels)
	}
	for n, v := range d.Labels {
		switch {
		case !labelPattern.MatchString(n) || strings.HasPrefix(n, "__") || len(n) > quantrac.MaxLabelNameBytes:
			in.bad("labels", "%q cannot be the name of a label", n)
		case n == quantrac.LabelStation || n == quantrac.LabelSensor || slices.Contains(keys, n):
			in.bad("labels", "%q is reserved", n)
		}
		in.text("labels", v, true)
	}
	if len(d.Tokens) > MaxTokens {
		in.conflict("tokens", "%d tokens are in force, at most %d may be: revoke one first", len(d.Tokens)-1, MaxTokens)
	}
}

func inspectUnits(ps *Problems, list []Unit) {
	for i := range list {
		u := &list[i]
		in := inspector{"unit", u.key(), ps}
		if !ValidID(u.Code) {
			in.bad("code", wantID)
		}
		in.text("name", u.Name, true)
		if !slices.Contains([]Level{Province, District, Commune}, u.Level) {
			in.bad("level", "%q is unknown, want province, district or commune", u.Level)
		}
		if u.Parent != "" && !ValidID(u.Parent) {
			in.bad("parent", wantID)
		}
		in.validity(u.ValidFrom, u.ValidTo)
		if i > 0 && overlap(list[i-1].ValidFrom, list[i-1].ValidTo, u.ValidFrom, u.ValidTo) {
			in.conflict("valid_from_ms", "the code still belongs to %s then: end that validity first", list[i-1].Name)
		}
	}
}

func (d *draft) inspectAuthorities(ps *Problems) {
	for i := range d.authorities {
		a := &d.authorities[i]
		in := inspector{"authority", a.key(), ps}
		in.text("name", a.Name, true)
		in.text("name_en", a.NameEn, false)
		in.text("legal_basis", a.LegalBasis, true)
		if a.Province != "" && !ValidID(a.Province) {
			in.bad("province", wantID)
		}
		in.validity(a.ValidFrom, a.ValidTo)
		if i > 0 && d.authorities[i-1].Province == a.Province {
			if b := &d.authorities[i-1]; overlap(b.ValidFrom, b.ValidTo, a.ValidFrom, a.ValidTo) {
				in.conflict("valid_from_ms", "%s holds the office then: end that validity first", b.Name)
			}
		}
	}
}

// compareThresholds orders the thresholds of one property for the checks of
// inspectLevels.
func compareThresholds(a, b Threshold) int {
	return cmp.Or(
		cmp.Compare(a.Property, b.Property), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Level, b.Level),
		cmp.Compare(a.ValidFrom, b.ValidFrom))
}
