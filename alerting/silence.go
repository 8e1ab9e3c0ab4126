package alerting

import (
	"container/heap"
	"context"
	"math"

	"quantrac"
	"quantrac/alerting/level"
)

// heard notes a reading for the rule on silent gauges. Silence ends with the
// first usable reading that is not itself stale when it arrives: a backlog
// sent oldest first does not make the state flap.
func (g *judge) heard(ctx context.Context, s *series, c quantrac.Commit, rd *level.Reading) error {
	if !rd.Quality.Usable() || math.IsNaN(rd.Value) || math.IsInf(rd.Value, 0) || rd.Time <= s.last {
		return nil
	}
	s.last, s.value = rd.Time, rd.Value
	if g.a.o.SilenceHold < 0 {
		return nil
	}
	if s.silent != nil && rd.Time.Add(g.patience(s)) > c.Time {
		return g.endSilence(ctx, s, cause{c.Number, rd.Time})
	}
	g.watch(s)
	return nil
}

// watch sets the timer of a series' silence, unless one is set or it is
// silent already.
func (g *judge) watch(s *series) {
	if !s.timed && s.silent == nil && s.set != nil && s.last != 0 && g.a.o.SilenceHold >= 0 {
		s.timed = true
		g.timers.add(timer{at: g.deadline(s), s: s})
	}
}

// fellSilent says that nothing usable came for too long.
func (g *judge) fellSilent(ctx context.Context, s *series) error {
	key := "silence " + s.labels.String()
	sc, unit := g.scene(s.labels.Station(), s.labels.Metric(), s.last)
	c := cause{0, s.last}
	w := quantrac.Warning{
		ID: episodeID(s.labels.Station(), key, s.last, c), State: quantrac.WarningIssued, Rule: quantrac.RuleSilence, Audience: quantrac.AudienceStaff,
		Series: s.labels.String(), Value: s.value, Unit: unit, ValidTime: s.last, Onset: s.last,
	}
	said, err := g.say(ctx, &saying{Warning: w, Key: key, Labels: labelMap(s.labels), Cause: c}, nil, sc)
	if err == nil {
		s.silent = said
	}
	return err
}

func (g *judge) endSilence(ctx context.Context, s *series, c cause) error {
	return g.closeSilence(ctx, s, quantrac.WarningClear, c)
}

func (g *judge) closeSilence(ctx context.Context, s *series, state quantrac.WarningState, c cause) error {
	w := s.silent.Warning
	sc, _ := g.scene(w.Station, w.Property, s.last)
	w.State, w.Value, w.ValidTime = state, s.value, s.last
	if _, err := g.say(ctx, &saying{Warning: w, Key: s.silent.Key, Labels: s.silent.Labels, Cause: c}, s.silent, sc); err != nil {
		return err
	}
	s.silent = nil
	g.watch(s)
	return nil
}

// unwatch ends the silence of a series that no rule is on any more.
func (g *judge) unwatch(ctx context.Context, s *series, commit uint64) error {
	if s.silent == nil {
		return nil
	}
	return g.closeSilence(ctx, s, quantrac.WarningCancel, cause{commit, 0})
}

// timer is something to look at when the clock has reached a time: the silence
// of a series, or the renewal of an episode. It may be out of date by then.
type timer struct {
	at quantrac.Millis
	s  *series // of a silence timer
	id string  // episode of a renewal
}

// timers is a heap by time.
type timers struct{ list []timer }

func (t *timers) Len() int           { return len(t.list) }
func (t *timers) Less(i, j int) bool { return t.list[i].at < t.list[j].at }
func (t *timers) Swap(i, j int)      { t.list[i], t.list[j] = t.list[j], t.list[i] }
func (t *timers) Push(x any)         { t.list = append(t.list, x.(timer)) }
func (t *timers) Pop() any {
	n := len(t.list) - 1
	x := t.list[n]
	t.list[n] = timer{}
	t.list = t.list[:n]
	return x
}
func (t *timers) add(x timer) { heap.Push(t, x) }

// next returns when the clock must be looked at, and whether at all.
func (t *timers) next() (quantrac.Millis, bool) {
	if len(t.list) == 0 {
		return 0, false
	}
	return t.list[0].at, true
}

// schedule sets the renewal of an open episode. A forecast's is left to its next
// runs for a while: only where none renews it, the clock does.
func (g *judge) schedule(s *saying) {
	switch w := &s.Warning; {
	case w.Ended():
	case w.Rule == quantrac.RuleLevel:
		g.timers.add(timer{at: g.renewal(w), id: w.ID})
	case w.Rule == quantrac.RuleForecast:
		g.timers.add(timer{at: g.lastRenewal(w), id: w.ID})
	}
}

// tick does what is due.
func (g *judge) tick(ctx context.Context, now quantrac.Millis) error {
	for {
		at, ok := g.timers.next()
		if !ok || at > now {
			return g.flush(ctx)
		}
		t := heap.Pop(&g.timers).(timer)
		var err error
		if t.s != nil {
			err = g.tickSilence(ctx, t.s, now)
		} else {
			err = g.tickRenewal(ctx, t.id, now)
		}
		if err != nil {
			return err
		}
	}
}

func (g *judge) tickSilence(ctx context.Context, s *series, now quantrac.Millis) error {
	s.timed = false
	if s.set == nil || s.silent != nil {
		return nil
	}
	if g.deadline(s) > now {
		g.watch(s)
		return nil
	}
	return g.fellSilent(ctx, s)
}

func (g *judge) tickRenewal(ctx context.Context, id string, now quantrac.Millis) error {
	for _, s := range g.sorted() {
		for _, k := range s.kinds {
			if k.open == nil || k.open.Warning.ID != id {
				continue
			}
			if at := g.renewal(&k.open.Warning); at > now {
				return nil // said again since; its own timer is set
			}
			return g.renew(ctx, s, k)
		}
	}
	for _, o := range g.foreseen {
		if o.open == nil || o.open.Warning.ID != id {
			continue
		}
		if g.lastRenewal(&o.open.Warning) > now {
			return nil
		}
		return g.reforesee(ctx, o)
	}
	return nil
}
