package alerting

import (
	"context"
	"time"

	"quantrac"
	"quantrac/alerting/level"
)

// transition says a change of level.
func (g *judge) transition(ctx context.Context, s *series, k *kindState, tr level.Transition, c cause) error {
	key := "level " + string(k.kind) + " " + s.labels.String()
	at := tr.Time
	if at == 0 && k.open != nil {
		at = k.open.Warning.ValidTime
	}
	sc, unit := g.scene(s.labels.Station(), s.labels.Metric(), at)
	w := quantrac.Warning{
		ID: episodeID(s.labels.Station(), key, at, c), State: stateOf(tr.Change), Rule: quantrac.RuleLevel, Audience: quantrac.AudiencePublic,
		Series: s.labels.String(), Level: tr.To, Peak: tr.To, Kind: k.kind, Unit: unit,
		Value: tr.Value, Suspect: tr.Quality == quantrac.Suspect, ValidTime: tr.Time, Onset: tr.Time,
	}
	if k.open != nil {
		old := &k.open.Warning
		w.ID, w.Onset, w.Peak, w.Threshold = old.ID, old.Onset, max(old.Peak, tr.To), old.Threshold
		if tr.Time == 0 { // nothing usable is left to report
			w.Value, w.ValidTime = old.Value, old.ValidTime
		}
	}
	held := tr.To
	if held == 0 {
		held = tr.From
	}
	if th := k.rule.Threshold(held, w.ValidTime); th != nil {
		w.Threshold = th.Value
		if w.Unit == "" {
			w.Unit = th.Unit
		}
	}
	sc.from = tr.From
	switch {
	case tr.Withdrawn:
		sc.why = byWithdrawal
	case tr.Corrected:
		sc.why = byCorrection
	}
	sc.levels = k.levels(w.ValidTime)
	said, err := g.say(ctx, &saying{Warning: w, Key: key, Labels: labelMap(s.labels), Cause: c, Core: k.track.Core}, k.open, sc)
	if err != nil {
		return err
	}
	if said.Warning.Level != tr.To {
		// Journalled by a judge that saw it otherwise; what was said stands
		// and the next reading compares with it.
		k.track.Told = said.Warning.Level
	}
	k.open = said
	if said.Warning.Ended() {
		k.open = nil
	}
	g.schedule(said)
	return nil
}

// levels returns the thresholds in force at t.
func (k *kindState) levels(t quantrac.Millis) []quantrac.Threshold {
	var out []quantrac.Threshold
	for lvl := 1; lvl <= level.Levels; lvl++ {
		if th := k.rule.Threshold(lvl, t); th != nil {
			out = append(out, *th)
		}
	}
	return out
}

func labelMap(ls quantrac.Labels) map[string]string {
	m := make(map[string]string, len(ls))
	for _, l := range ls {
		m[l.Name] = l.Value
	}
	return m
}

// scene starts a text: station and property as they are known.
func (g *judge) scene(station, property string, at quantrac.Millis) (*scene, string) {
	sc := &scene{}
	st, ok := g.a.reg.Station(station, at)
	if !ok { // readings older than the registry's first entry
		st, ok = g.a.reg.Station(station, g.a.o.Clock.Now())
	}
	if !ok {
		st = quantrac.Station{ID: station}
	}
	sc.station = st
	sc.prop = g.property(station, property)
	return sc, sc.prop.Unit
}

// property returns a property with a name and a unit that people know, also where
// nobody has registered them.
func (g *judge) property(station, name string) quantrac.Property {
	for _, p := range g.a.reg.Properties(station) {
		if p.Name == name {
			return p.Named()
		}
	}
	return quantrac.Property{Name: name, Decimals: 2}.Named()
}

// renewal is when a warning is said again: when a quarter of its time is left.
func (g *judge) renewal(w *quantrac.Warning) quantrac.Millis {
	sent := w.Sent
	if sent == 0 { // not yet journalled: about now
		sent = g.a.o.Clock.Now()
	}
	return w.Expires - max(w.Expires-sent, 0)/4
}

// lastRenewal is when a warning is said again at the latest: half-way from its
// renewal to its end.
func (g *judge) lastRenewal(w *quantrac.Warning) quantrac.Millis {
	at := g.renewal(w)
	return at + (w.Expires-at)/2
}

// renew says again that an open episode stands, shortly before it expires.
func (g *judge) renew(ctx context.Context, s *series, k *kindState) error {
	old := k.open
	w := old.Warning
	w.State = quantrac.WarningUpdated
	silent := false
	if c := &k.track.Core; c.Last != 0 {
		w.Value, w.ValidTime, w.Suspect = c.Value, c.Last, c.Quality == quantrac.Suspect
		silent = s.set != nil && g.a.o.Clock.Now() > g.deadline(s)
	}
	sc, _ := g.scene(w.Station, w.Property, w.ValidTime)
	sc.from, sc.why, sc.silent, sc.levels = w.Level, byTime, silent, k.levels(w.ValidTime)
	said, err := g.say(ctx, &saying{Warning: w, Key: old.Key, Labels: old.Labels, Core: k.track.Core}, old, sc)
	if err != nil {
		return err
	}
	k.open = said
	g.schedule(said)
	return nil
}

// deadline is when a series counts as silent.
func (g *judge) deadline(s *series) quantrac.Millis {
	return max(s.last, g.started).Add(g.patience(s))
}

func (g *judge) patience(s *series) time.Duration {
	return quantrac.StaleAfter(s.set.Interval) + g.a.o.SilenceHold
}
