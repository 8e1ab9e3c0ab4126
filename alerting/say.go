package alerting

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"quantrac"
	"quantrac/alerting/level"
	"quantrac/internal/journal"
)

// recovery is what the journal already holds beyond the snapshot: what the
// judge would say again is found here and not said twice.
type recovery struct {
	horizon uint64 // newest commit at the start
	byCause map[string]*saying
	top     map[string]int // highest revision by episode
	used    map[uint64]bool
	rules   map[uint64][]ruleSet // by the commit after which they hold
	clock   []*saying            // those no reading brought about, in order
	seen    map[string]int       // highest revision taken over, by episode
}

func causeKey(key string, c cause) string { return fmt.Sprintf("%s %d %d", key, c.Commit, c.Time) }

// look reads the sayings and rules after a commit, less those up to the commit
// known, which are part of the state already.
func (a *Alerting) look(ctx context.Context, after, known uint64) (*recovery, error) {
	r := &recovery{
		horizon: a.j.Last().Number, byCause: map[string]*saying{}, top: map[string]int{},
		used: map[uint64]bool{}, rules: map[uint64][]ruleSet{}, seen: map[string]int{},
	}
	if r.horizon <= after {
		return nil, nil
	}
	err := a.j.Replay(ctx, after, func(e journal.Entry) error {
		if e.Kind != quantrac.RecordWarning || e.Number > r.horizon || e.Number <= known {
			return nil
		}
		if e.Flags == flagRules {
			rec, err := decodeRules(e.Commit, e.Data)
			if err == nil {
				r.rules[rec.After] = append(r.rules[rec.After], rec.Sets...)
			}
			return err
		}
		s, err := decodeSaying(e.Commit, e.Data)
		if err != nil {
			return err
		}
		r.top[s.Warning.ID] = max(r.top[s.Warning.ID], s.Warning.Revision)
		if s.Cause.Commit == 0 {
			r.clock = append(r.clock, s)
		} else {
			if k := causeKey(s.Key, s.Cause); r.byCause[k] == nil {
				r.byCause[k] = s
			}
		}
		return nil
	})
	return r, err
}

// say completes a revision that follows old (nil at the beginning of an
// episode) and puts it up to be journalled; or returns the one that was
// journalled for the same cause before a restart.
func (g *judge) say(_ context.Context, s *saying, old *saying, sc *scene) (*saying, error) {
	w := &s.Warning
	s.Judged = g.processed
	if g.rec != nil && s.Cause.Commit != 0 {
		if done := g.rec.byCause[causeKey(s.Key, s.Cause)]; done != nil {
			g.rec.used[done.Warning.Commit] = true
			g.rec.seen[w.ID] = done.Warning.Revision
			return done, nil
		}
	}
	top := 0
	if old != nil {
		top = old.Warning.Revision
	}
	if g.rec != nil {
		top = max(top, g.rec.top[w.ID])
	}
	now := g.a.o.Clock.Now()
	w.Revision, w.Epoch = top+1, g.a.j.Epoch()
	w.Commit, w.Sent = 0, 0 // until it is journalled
	switch {
	case w.Ended():
		w.Expires = now.Add(min(g.a.o.Validity, EndStands))
	case w.Rule != quantrac.RuleForecast:
		w.Expires = now.Add(g.a.o.Validity)
	}
	w.Station, w.Property = sc.station.ID, sc.prop.Name
	w.StationName, w.Simulated = sc.where(), sc.station.Simulated
	w.Lat, w.Lon, w.Area = sc.station.Lat, sc.station.Lon, sc.station.Commune
	if sc.station.Name == "" {
		w.StationName = quantrac.Text{Vi: w.Station, En: w.Station}
	}
	sc.w = w
	sc.write()
	g.pending = append(g.pending, s)
	return s, nil
}

// flush journals what was said since the last flush, and then tells it.
func (g *judge) flush(ctx context.Context) error {
	for len(g.pending) > 0 {
		part := g.pending[:min(len(g.pending), 256)]
		recs := make([]journal.Record, len(part))
		for i, s := range part {
			var err error
			if recs[i], err = s.encode(); err != nil {
				return err
			}
		}
		commits, err := g.a.append(ctx, recs...)
		if err != nil {
			return err
		}
		for i, s := range part {
			s.stamp(commits[i])
			g.said = commits[i].Number
		}
		g.a.publish(part)
		g.pending = g.pending[len(part):]
	}
	g.pending = nil
	return nil
}

// append makes records durable, however long the disk takes to take them: a
// transition is never dropped. It gives up with the context alone.
func (a *Alerting) append(ctx context.Context, recs ...journal.Record) ([]quantrac.Commit, error) {
	wait := 50 * time.Millisecond
	for {
		commits, err := a.j.Append(ctx, recs...)
		if err == nil || ctx.Err() != nil || quantrac.KindOf(err) == quantrac.Invalid {
			return commits, err
		}
		a.stats.retries.Add(1)
		a.o.Logger.Error("alerting: journal refuses a warning; trying again", "in", wait, "error", err)
		// The disk's time, not the service's: a clock that a recording
		// drives stands still while nothing can be written.
		var clock quantrac.SystemClock
		again, cancel := clock.At(clock.Now().Add(wait))
		select {
		case <-again:
		case <-ctx.Done():
			cancel()
			return nil, err
		}
		wait = min(2*wait, 10*time.Second)
	}
}

// adoptClock takes over the sayings that no reading brought about (renewals,
// silences, forecasts) where they were said: after the same commit was judged.
func (g *judge) adoptClock() {
	for len(g.rec.clock) > 0 && g.rec.clock[0].Judged <= g.processed {
		g.adopt(g.rec.clock[0])
		g.rec.clock = g.rec.clock[1:]
	}
}

// adopt takes over a journalled revision that nothing judged again has brought
// about by itself: one of the clock's, or a saying of a judge that saw things
// otherwise. What was said stands.
func (g *judge) adopt(s *saying) {
	w := &s.Warning
	if g.rec.used[w.Commit] || w.Commit <= g.said || w.Revision <= g.rec.seen[w.ID] {
		return
	}
	g.rec.seen[w.ID] = w.Revision
	var open *saying
	if !s.Warning.Ended() {
		open = s
	}
	defer g.schedule(s)
	if s.Warning.Rule == quantrac.RuleForecast {
		if o := g.foreseenOf(s.Key, s.Warning.Kind); newer(s, o.open) {
			o.open = open
			o.take(&quantrac.Outlook{Issue: s.Issue, Run: s.Warning.Run})
		}
		return
	}
	ls := quantrac.LabelsFromMap(s.Labels)
	property, group := ls.Metric(), ls.Without(quantrac.LabelMetric)
	set := g.rules.get(ls.Station(), property)
	st := g.series[string(seriesKey(nil, property, group))]
	if st == nil && open == nil {
		return
	}
	if st == nil {
		st = g.seriesOf(set, group, property)
	}
	if s.Warning.Rule == quantrac.RuleSilence {
		if newer(s, st.silent) {
			st.silent = open
		}
		return
	}
	k := st.kind(s.Warning.Kind)
	if k == nil {
		if open == nil {
			return
		}
		k = &kindState{kind: s.Warning.Kind}
		st.kinds = append(st.kinds, k)
	}
	if !newer(s, k.open) {
		return
	}
	if k.open = open; k.track.Told != s.Warning.Level {
		k.track = level.Resume(s.Core, s.Warning.Level)
		st.last, st.value = max(st.last, s.Core.Last), s.Core.Value
	}
}

// newer says whether a revision supersedes the newest one known of an open
// episode; one of another episode does.
func newer(s, open *saying) bool {
	return open == nil || open.Warning.ID != s.Warning.ID || s.Warning.Revision > open.Warning.Revision
}

// recovered ends the recovery: everything there was is judged.
func (g *judge) recovered(ctx context.Context) error {
	if err := g.flush(ctx); err != nil {
		return err
	}
	g.said = max(g.said, g.rec.horizon)
	g.rec = nil
	// What the registry changed at the very end, before the judge saw it.
	return g.reload(ctx, g.processed, false)
}

// episodeID makes the lasting name of an episode out of what began it.
func episodeID(station, key string, onset quantrac.Millis, c cause) string {
	sum := sha256.Sum256([]byte(causeKey(key, c)))
	slug := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9', r == '-':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, station)
	slug = slug[:min(len(slug), 40)]
	return slug + "-" + onset.Time().In(quantrac.Zone).Format("20060102T1504") + "-" + hex.EncodeToString(sum[:5])
}

// body is the saying as the tables keep it.
func (s *saying) body() (string, error) {
	data, err := json.Marshal(s)
	return string(data), err
}
