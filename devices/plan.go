package devices

import (
	"cmp"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"quantrac"
)

// Planning turns a wish into the edits that fulfil it, against the draft as
// it stands: nothing where nothing would change, a Conflict where who wishes
// has looked at an older revision.

// do applies an edit to the draft and keeps it for the record.
func (d *draft) do(e edit) {
	if err := d.apply(&e); err != nil {
		kind, id := e.object()
		d.problems = append(d.problems, Problem{kind, id, "", err.Error(), quantrac.Invalid})
		return
	}
	d.edits = append(d.edits, e)
}

// expect compares the revision that who wishes has seen with the present one
// (0 where there is nothing yet).
func (d *draft) expect(kind, id string, seen, present uint64) bool {
	text := "was changed meanwhile: read it again and decide"
	switch {
	case seen == 0 || seen == present:
		return true
	case seen == MustBeNew && present == 0:
		return true
	case seen == MustBeNew:
		text = "exists already"
	case present == 0:
		text = "does not exist"
	}
	d.problems = append(d.problems, Problem{kind, id, "revision", text, quantrac.Conflict})
	return false
}

// planStation puts a station; now dates commune codes that do not say in
// which list they were read.
func (d *draft) planStation(s Station, now quantrac.Millis) {
	old := d.stations[s.ID]
	var present Station
	if old != nil {
		present = old.Station
	}
	if !d.expect("station", s.ID, s.Revision, present.Revision) {
		return
	}
	s.Revision = 0
	s.Upstream = clipped(s.Upstream)
	s.Facts = slices.Clone(s.Facts)
	slices.SortStableFunc(s.Facts, func(a, b Facts) int { return cmp.Compare(a.ValidFrom, b.ValidFrom) })
	for i := range s.Facts {
		f := &s.Facts[i]
		for _, text := range []*string{&f.Name, &f.NameEn, &f.River, &f.Commune, &f.District, &f.Operator} {
			*text = strings.TrimSpace(*text)
		}
		f.CommuneAt = communeAt(f, present.Facts, now)
	}
	if old == nil || !sameStation(&present, &s) {
		d.do(edit{Station: &s})
	}
}

// communeAt dates a commune code: as it was dated before where the code is
// the same, else at the beginning of its facts, else now.
func communeAt(f *Facts, before []Facts, now quantrac.Millis) quantrac.Millis {
	if f.Commune == "" {
		return 0
	}
	if f.CommuneAt != 0 {
		return f.CommuneAt
	}
	for _, b := range before {
		if b.ValidFrom == f.ValidFrom && b.Commune == f.Commune {
			return b.CommuneAt
		}
	}
	return cmp.Or(f.ValidFrom, now)
}

func sameStation(a, b *Station) bool {
	return a.ID == b.ID && a.Family == b.Family && a.Lat == b.Lat && a.Lon == b.Lon && a.Installed == b.Installed &&
		a.Closed == b.Closed && a.Simulated == b.Simulated && slices.Equal(a.Upstream, b.Upstream) && slices.Equal(a.Facts, b.Facts)
}

// planDevice puts a device; its tokens are left as they are.
func (d *draft) planDevice(dev Device) {
	old := d.devices[dev.ID]
	var present Device
	if old != nil {
		present = old.Device
	}
	if !d.expect("device", dev.ID, dev.Revision, present.Revision) {
		return
	}
	dev.Revision, dev.Tokens, dev.Labels = 0, nil, maps.Clone(dev.Labels)
	dev.Sensor, dev.Note = strings.TrimSpace(dev.Sensor), strings.TrimSpace(dev.Note)
	if len(dev.Labels) == 0 {
		dev.Labels = nil
	}
	same := old != nil && present.Station == dev.Station && present.Sensor == dev.Sensor && present.Disabled == dev.Disabled &&
		present.Note == dev.Note && maps.Equal(present.Labels, dev.Labels)
	if !same {
		d.do(edit{Device: &dev})
	}
}

// planProperty puts a property of a station.
func (d *draft) planProperty(p Property) {
	present := d.property(p.Station, p.Name)
	var revision uint64
	if present != nil {
		revision = present.Revision
	}
	if !d.expect("property", p.Station+":"+p.Name, p.Revision, revision) {
		return
	}
	p.Revision = 0
	p.Interval, p.FlatFor = p.Interval.Truncate(time.Millisecond), p.FlatFor.Truncate(time.Millisecond) // as it is kept
	p.FaultValues = clipped(p.FaultValues)
	if p.Unit == "" {
		p.Unit = NewProperty(p.Name).Unit
	}
	if present == nil || !sameProperty(&present.Property, &p.Property) {
		d.do(edit{Property: &p})
	}
}

func (d *draft) property(station, name string) *Property {
	if st := d.stations[station]; st != nil {
		for i := range st.properties {
			if st.properties[i].Name == name {
				return &st.properties[i]
			}
		}
	}
	return nil
}

func sameProperty(a, b *quantrac.Property) bool {
	limits := func(p *quantrac.Property) []float64 {
		return []float64{p.Min, p.Max, p.SuspectMin, p.SuspectMax, p.SpikeLimit, p.RateLimit, p.FlatEpsilon, p.TrendEpsilon}
	}
	same := func(x, y float64) bool { return x == y || math.IsNaN(x) && math.IsNaN(y) }
	return a.Name == b.Name && a.Unit == b.Unit && a.Interval == b.Interval && slices.EqualFunc(limits(a), limits(b), same) &&
		a.FlatFor == b.FlatFor && a.Decimals == b.Decimals && slices.Equal(a.FaultValues, b.FaultValues) &&
		a.HumanName == b.HumanName && a.HumanNameEn == b.HumanNameEn && a.NonNegative == b.NonNegative && a.Cumulative == b.Cumulative
}

// planThreshold puts a threshold. One of the same station, property, kind and
// level that began earlier and has no end yet ends where this one begins.
func (d *draft) planThreshold(t Threshold, actor string) {
	t.ValidFrom, t.ValidTo = boundIn(t.ValidFrom, quantrac.MinMillis), boundIn(t.ValidTo, quantrac.MaxMillis)
	t.Hold = t.Hold.Truncate(time.Millisecond)
	t.LegalBasis, t.EnteredBy = strings.TrimSpace(t.LegalBasis), strings.TrimSpace(t.EnteredBy)
	if p := d.property(t.Station, t.Property); p != nil && t.Unit == "" {
		t.Unit = p.Unit
	}
	t.ID = ThresholdID(&t.Threshold)
	var present *Threshold
	st := d.stations[t.Station]
	if st != nil {
		if i := slices.IndexFunc(st.thresholds, func(o Threshold) bool { return o.ID == t.ID }); i >= 0 {
			present = &st.thresholds[i]
		}
	}
	var revision uint64
	if present != nil {
		revision = present.Revision
	}
	if !d.expect("threshold", t.ID, t.Revision, revision) {
		return
	}
	t.Revision = 0
	if present != nil {
		as := t.Threshold
		as.EnteredBy = present.EnteredBy
		if as == present.Threshold {
			return
		}
	}
	t.EnteredBy = cmp.Or(t.EnteredBy, actor)
	if st != nil {
		d.endBefore(st, &t)
	}
	d.do(edit{Threshold: &t})
}

// endBefore ends the open predecessor of a threshold.
func (d *draft) endBefore(st *station, t *Threshold) {
	for _, o := range slices.Clone(st.thresholds) {
		if o.Property == t.Property && o.Kind == t.Kind && o.Level == t.Level &&
			o.ValidFrom < t.ValidFrom && o.ValidTo == quantrac.MaxMillis {
			o.ValidTo, o.Revision = t.ValidFrom, 0
			d.do(edit{Threshold: &o})
		}
	}
}

// planUnit puts an administrative unit. One of the same code that began
// earlier and has no end yet ends where this one begins.
func (d *draft) planUnit(u Unit) {
	u.Name = strings.TrimSpace(u.Name)
	var present Unit
	for _, o := range d.units[u.Code] {
		if o.ValidFrom == u.ValidFrom {
			present = o
		}
	}
	if !d.expect("unit", u.key(), u.Revision, present.Revision) {
		return
	}
	if u.Revision = present.Revision; u == present {
		return
	}
	u.Revision = 0
	for _, o := range d.units[u.Code] {
		if o.ValidFrom < u.ValidFrom && o.ValidTo == 0 {
			o.ValidTo, o.Revision = u.ValidFrom, 0
			d.do(edit{Unit: &o})
			break
		}
	}
	d.do(edit{Unit: &u})
}

// planAuthority puts an issuing authority. The one of the same province that
// began earlier and has no end yet ends where this one begins.
func (d *draft) planAuthority(a Authority) {
	a.Name, a.NameEn, a.LegalBasis = strings.TrimSpace(a.Name), strings.TrimSpace(a.NameEn), strings.TrimSpace(a.LegalBasis)
	var present Authority
	for _, o := range d.authorities {
		if o.Province == a.Province && o.ValidFrom == a.ValidFrom {
			present = o
		}
	}
	if !d.expect("authority", a.key(), a.Revision, present.Revision) {
		return
	}
	if a.Revision = present.Revision; a == present {
		return
	}
	a.Revision = 0
	for _, o := range d.authorities {
		if o.Province == a.Province && o.ValidFrom < a.ValidFrom && o.ValidTo == 0 {
			o.ValidTo, o.Revision = a.ValidFrom, 0
			d.do(edit{Authority: &o})
			break
		}
	}
	d.do(edit{Authority: &a})
}

// clipped returns a copy of its own, nil for an empty one.
func clipped[T any](in []T) []T {
	if len(in) == 0 {
		return nil
	}
	return slices.Clone(in)
}
