package devices

import (
	"context"
	"slices"

	"quantrac"
)

// Every method here is one change: journalled, with who asks taken from the
// context, and waited for until it is seen. What is refused tells every
// reason: Invalid, or Conflict where the state has moved on or stands against
// it (ProblemsOf lists them). A put of what is already there changes nothing;
// its commit is zero.

// PutStation registers a station or changes it as a whole, its dated facts
// included. Commune codes without CommuneAt are read in the list in force at
// the beginning of their facts, or now.
func (r *Registry) PutStation(ctx context.Context, s Station, reason string) (quantrac.Commit, error) {
	return r.change(ctx, changeOptions{action: "station.put", object: s.ID, reason: reason}, func(d *draft) {
		d.planStation(s, r.o.Clock.Now())
	})
}

// PutDevice registers a device or changes it: its station, labels, whether it
// may send. Its tokens stay as they are.
func (r *Registry) PutDevice(ctx context.Context, dev Device, reason string) (quantrac.Commit, error) {
	return r.change(ctx, changeOptions{action: "device.put", object: dev.ID, reason: reason}, func(d *draft) { d.planDevice(dev) })
}

// PutProperty sets what a station measures and the limits it is checked by.
// Begin with NewProperty: in a zero Property the limits are zeros, not off.
func (r *Registry) PutProperty(ctx context.Context, p Property, reason string) (quantrac.Commit, error) {
	return r.change(ctx, changeOptions{action: "property.put", object: p.Station + ":" + p.Name, reason: reason}, func(d *draft) {
		d.planProperty(p)
	})
}

// RemoveProperty takes a property off a station. Its series stay; thresholds
// of it must be removed before.
func (r *Registry) RemoveProperty(ctx context.Context, station, name, reason string) (quantrac.Commit, error) {
	return r.change(ctx, changeOptions{action: "property.remove", object: station + ":" + name, reason: reason}, func(d *draft) {
		if d.property(station, name) == nil {
			d.missing("property", station+":"+name)
			return
		}
		d.do(edit{RemoveProperty: &propertyRef{station, name}})
	})
}

// PutThreshold sets a threshold; the reason is wanted. ID and, where empty,
// Unit and EnteredBy are filled in. One of the same station, property, kind
// and level that began earlier and is open ends where this one begins. A báo
// động without legal basis or date is refused.
func (r *Registry) PutThreshold(ctx context.Context, t Threshold, reason string) (quantrac.Commit, error) {
	actor := quantrac.PrincipalFrom(ctx).Name
	id := ThresholdID(&t.Threshold)
	return r.change(ctx, changeOptions{action: "threshold.put", object: id, reason: reason, asked: true}, func(d *draft) {
		d.planThreshold(t, actor)
	})
}

// RemoveThreshold withdraws a threshold that should never have been entered;
// the reason is wanted. One that no longer holds is ended by its ValidTo.
func (r *Registry) RemoveThreshold(ctx context.Context, id, reason string) (quantrac.Commit, error) {
	return r.change(ctx, changeOptions{action: "threshold.remove", object: id, reason: reason, asked: true}, func(d *draft) {
		if d.find("threshold", id) == nil {
			d.missing("threshold", id)
			return
		}
		d.do(edit{RemoveThreshold: id})
	})
}

// PutUnits enters administrative units, all or none. One of the same code that
// began earlier and is open ends where the new one begins.
func (r *Registry) PutUnits(ctx context.Context, units []Unit, reason string) (quantrac.Commit, error) {
	return r.change(ctx, changeOptions{action: "unit.put", reason: reason}, func(d *draft) {
		for _, u := range units {
			d.planUnit(u)
		}
	})
}

// PutAuthority records in whose name a province's forecasts are published,
// with the licence they rest on; the reason is wanted.
func (r *Registry) PutAuthority(ctx context.Context, a Authority, reason string) (quantrac.Commit, error) {
	return r.change(ctx, changeOptions{action: "authority.put", object: a.key(), reason: reason, asked: true}, func(d *draft) {
		d.planAuthority(a)
	})
}

// NewToken makes a token for a device and returns its secret, which is not
// kept: the one time it is seen. To rotate, make the second token, bring it to
// the device, and revoke the first; with MaxTokens in force it is a Conflict.
func (r *Registry) NewToken(ctx context.Context, device, reason string) (secret string, t Token, err error) {
	actor := quantrac.PrincipalFrom(ctx).Name
	_, err = r.change(ctx, changeOptions{action: "token.new", object: device, reason: reason}, func(d *draft) {
		if d.devices[device] == nil {
			d.missing("device", device)
			return
		}
		secret, t = d.planToken(device, actor, r.o.Clock.Now())
	})
	if err != nil {
		return "", Token{}, err
	}
	return secret, t, nil
}

// RevokeToken ends a token at once.
func (r *Registry) RevokeToken(ctx context.Context, device, id, reason string) (quantrac.Commit, error) {
	return r.change(ctx, changeOptions{action: "token.revoke", object: device + ":" + id, reason: reason}, func(d *draft) {
		dev := d.devices[device]
		if dev == nil || !dev.hasToken(id) {
			d.missing("token", device+":"+id)
			return
		}
		d.do(edit{RevokeToken: &tokenRef{device, id}})
	})
}

func (d *device) hasToken(id string) bool {
	for _, t := range d.Tokens {
		if t.ID == id {
			return true
		}
	}
	return false
}

func (d *draft) missing(kind, id string) {
	d.problems = append(d.problems, Problem{kind, id, "", "is not registered", quantrac.NotFound})
}

// LocalDevice is a device that turns up on a developer's machine, with what is
// known of its station. Only Device is wanted.
type LocalDevice struct {
	Device     string
	Station    string          // Device
	Name       string          // Station
	Family     quantrac.Family // FamilyField
	Lat, Lon   float64
	Simulated  bool
	Sensor     string
	Labels     map[string]string
	Properties []quantrac.Property // begin with NewProperty
}

// EnsureDevice returns a device's binding and registers the device, and a
// station for it, where nobody has: an explicit change like any other, in the
// name of who asks. What is registered already stays as it is, but for
// properties the station does not have yet, and that it is simulated: who says
// so of itself is believed. Without Options.Local it is
// Denied.
func (r *Registry) EnsureDevice(ctx context.Context, l LocalDevice) (*quantrac.Binding, error) {
	if b, ok := r.Binding(l.Device); ok && hasAll(b, l.Properties) && (b.Simulated || !l.Simulated) {
		return b, nil
	}
	if !r.o.Local {
		return nil, quantrac.Errorf(quantrac.Denied, "device %q is not registered", l.Device)
	}
	_, err := r.change(ctx, changeOptions{
		action: "device.ensure", object: l.Device, reason: l.reason(),
	}, func(d *draft) { d.planLocal(l, r.o.Clock.Now()) })
	if err != nil {
		return nil, err
	}
	b, _ := r.Binding(l.Device)
	return b, nil
}

func (l *LocalDevice) reason() string {
	if l.Simulated {
		return "device on a local connection that says that its readings are made up"
	}
	return "unknown device on a local connection, registered by itself"
}

func hasAll(b *quantrac.Binding, want []quantrac.Property) bool {
	for _, p := range want {
		if _, ok := b.Properties[p.Name]; !ok {
			return false
		}
	}
	return true
}

func (d *draft) planLocal(l LocalDevice, now quantrac.Millis) {
	if old := d.devices[l.Device]; old != nil {
		l.Station = old.Station
	}
	if l.Station == "" {
		l.Station = l.Device
	}
	switch st := d.stations[l.Station]; {
	case st != nil && l.Simulated && !st.Simulated:
		s := st.Station
		s.Simulated, s.Revision, s.Facts = true, 0, slices.Clone(s.Facts)
		d.planStation(s, now)
	case st == nil:
		s := Station{ID: l.Station, Family: l.Family, Lat: l.Lat, Lon: l.Lon, Simulated: l.Simulated, Facts: []Facts{{Name: l.Name}}}
		if s.Family == "" {
			s.Family = quantrac.FamilyField
		}
		if l.Name == "" {
			s.Facts[0].Name = l.Station
		}
		d.planStation(s, now)
	}
	if d.devices[l.Device] == nil {
		d.planDevice(Device{ID: l.Device, Station: l.Station, Sensor: l.Sensor, Labels: l.Labels})
	}
	for _, p := range l.Properties {
		if d.property(l.Station, p.Name) == nil {
			d.planProperty(Property{Station: l.Station, Property: p})
		}
	}
}
