package alerting

import (
	"context"
	"slices"
	"sort"

	"quantrac"
	"quantrac/alerting/level"
	"quantrac/internal/journal"
)

// judge holds the state of all rules. Only the goroutine of Run touches it.
type judge struct {
	a         *Alerting
	rules     rules
	series    map[string]*series   // by property and group, see seriesKey
	foreseen  map[string]*foreseen // by key
	processed uint64               // commit up to which everything is judged
	rec       *recovery            // until the entries there were at the start are judged
	pending   []*saying            // said, not yet journalled
	said      uint64               // commit of the newest saying that is part of this state
	timers    timers
	started   quantrac.Millis // when this run began
	snapped   uint64          // commit of the newest snapshot
	buf       []byte
}

// series is the state of one watched series.
type series struct {
	labels quantrac.Labels // with the metric
	set    *ruleSet        // nil when no threshold is left
	kinds  []*kindState
	last   quantrac.Millis // valid time of the newest usable reading
	value  float64         // of it
	silent *saying         // the open episode of the silence rule
	timed  bool            // a silence timer is set
}

// kindState is the level rule of one kind of threshold on a series.
type kindState struct {
	kind  quantrac.ThresholdKind
	rule  level.Rule
	track level.Track
	open  *saying // newest revision of the open episode
}

// event is what the judge takes from the journal's tail.
type event struct {
	quantrac.Commit
	kind quantrac.RecordKind
	data []byte            // of a batch
	run  *quantrac.Outlook // of a forecast run
	said *saying
}

// eventOf decodes an entry as far as the judge needs it; of a batch only the
// judge knows which stations those are.
func (a *Alerting) eventOf(e journal.Entry) (event, error) {
	ev := event{Commit: e.Commit, kind: e.Kind}
	var err error
	switch {
	case e.Kind == quantrac.RecordBatch && e.Flags&quantrac.FlagHistory != 0:
		// Imported: passed over.
	case e.Kind == quantrac.RecordBatch:
		ev.data = append(a.spared(), e.Data...)
	case e.Kind == quantrac.RecordRun && a.o.Outlook != nil:
		ev.run, err = a.outlookOf(e.Commit, e.Data)
	case e.Kind == quantrac.RecordWarning && e.Flags == flagWarning:
		ev.said, err = decodeSaying(e.Commit, e.Data)
	}
	return ev, err
}

// maxSpare is how large the memory of a batch may be to be used again.
const maxSpare = 1 << 20

// spared returns memory for a batch.
func (a *Alerting) spared() []byte {
	select {
	case b := <-a.spare:
		return b[:0]
	default:
		return []byte{}
	}
}

// spareAgain gives memory back that a batch is not in any more.
func (a *Alerting) spareAgain(b []byte) {
	if cap(b) > maxSpare {
		return
	}
	select {
	case a.spare <- b:
	default: // there is enough
	}
}

// take judges one entry.
func (g *judge) take(ctx context.Context, ev event) error {
	var err error
	switch {
	case ev.data != nil:
		err = g.batch(ctx, ev.Commit, ev.data)
		g.a.spareAgain(ev.data)
	case ev.run != nil:
		err = g.run(ctx, ev.Commit, ev.run)
	case ev.kind == quantrac.RecordRegistry && g.rec == nil:
		err = g.reload(ctx, ev.Number, false)
	case ev.said != nil && g.rec != nil && ev.said.Cause.Commit != 0:
		g.adopt(ev.said)
	}
	if err == nil && g.rec != nil {
		// The registry has moved on since; what it said then is written down.
		err = g.apply(ctx, ev.Number, g.rec.rules[ev.Number])
	}
	if err != nil {
		return err
	}
	g.processed = ev.Number
	if g.rec == nil {
		return nil
	}
	if g.adoptClock(); g.processed >= g.rec.horizon {
		return g.recovered(ctx)
	}
	return nil
}

func seriesKey(dst []byte, property string, group quantrac.Labels) []byte {
	dst = append(append(dst, property...), 0)
	return group.AppendKey(dst)
}

// reading is one cell of a batch for a watched series.
type reading struct {
	s   *series
	row int
	rd  level.Reading
}

// batch judges a batch: its readings in order of time, of two for one series
// and time the later in the batch.
func (g *judge) batch(ctx context.Context, c quantrac.Commit, data []byte) error {
	b, err := g.a.decode(data, func(station []byte) bool { return g.rules[string(station)] != nil })
	if err != nil {
		g.a.passOver(c, err)
		return nil
	}
	switch b.Kind {
	case quantrac.Forecasts:
		return nil
	case quantrac.Revocation:
		return g.revoke(ctx, c, b.Correction)
	}
	g.a.stats.batches.Add(1)
	var rds []reading
	for i := range b.Rows {
		row := &b.Rows[i]
		props := g.rules[row.Group.Station()]
		if props == nil || row.Group.Get(quantrac.LabelModel) != "" || row.Group.Get(quantrac.LabelQuantile) != "" {
			continue
		}
		for _, cell := range row.Cells {
			set := props[cell.Property]
			if set == nil {
				continue
			}
			q := cell.Quality
			if row.Time > c.Time.Add(quantrac.MaxAhead) {
				q = quantrac.Fail
			}
			rds = append(rds, reading{g.seriesOf(set, row.Group, cell.Property), i, level.Reading{
				Time: row.Time, Value: cell.Value, Quality: q, Layer: b.Layer(), Correction: b.Correction, Commit: c,
			}})
		}
	}
	if len(rds) > 1 {
		sort.SliceStable(rds, func(i, j int) bool { return rds[i].rd.Time < rds[j].rd.Time })
	}
	for i := range rds {
		if !overruled(rds, i) {
			if err := g.reading(ctx, c, &rds[i]); err != nil {
				return err
			}
		}
	}
	return nil
}

// overruled says whether a later reading of the batch is for the same series
// and time.
func overruled(rds []reading, i int) bool {
	for j := i + 1; j < len(rds) && rds[j].rd.Time == rds[i].rd.Time; j++ {
		if rds[j].s == rds[i].s {
			return true
		}
	}
	return false
}

// seriesOf returns the state of a watched series, new at its first reading.
func (g *judge) seriesOf(set *ruleSet, group quantrac.Labels, property string) *series {
	g.buf = seriesKey(g.buf[:0], property, group)
	if s := g.series[string(g.buf)]; s != nil {
		return s
	}
	s := &series{labels: group.With(quantrac.LabelMetric, property)}
	g.series[string(g.buf)] = s
	s.fit(set)
	return s
}

// fit gives the series its rules; kinds that have gone stay while an episode
// is open.
func (s *series) fit(set *ruleSet) {
	s.set = set
	if set == nil {
		set = &ruleSet{}
	}
	for _, kind := range set.kinds() {
		if s.kind(kind) == nil {
			s.kinds = append(s.kinds, &kindState{kind: kind})
		}
	}
	s.kinds = slices.DeleteFunc(s.kinds, func(k *kindState) bool {
		k.rule = set.rule(k.kind)
		return len(k.rule.Thresholds) == 0 && k.open == nil
	})
	slices.SortFunc(s.kinds, func(a, b *kindState) int {
		if a.kind < b.kind {
			return -1
		}
		return 1
	})
}

func (s *series) kind(kind quantrac.ThresholdKind) *kindState {
	for _, k := range s.kinds {
		if k.kind == kind {
			return k
		}
	}
	return nil
}

// reading judges one reading.
func (g *judge) reading(ctx context.Context, c quantrac.Commit, r *reading) error {
	s := r.s
	for _, k := range s.kinds {
		if tr := k.track.Take(&k.rule, r.rd); tr.Change != level.None {
			if err := g.transition(ctx, s, k, tr, cause{c.Number, r.rd.Time}); err != nil {
				return err
			}
		}
	}
	return g.heard(ctx, s, c, &r.rd)
}

// revoke withdraws a correction wherever it had a part.
func (g *judge) revoke(ctx context.Context, c quantrac.Commit, correction string) error {
	for _, s := range g.sorted() {
		for _, k := range s.kinds {
			if tr := k.track.Revoke(&k.rule, correction, c.Number); tr.Change != level.None {
				if err := g.transition(ctx, s, k, tr, cause{c.Number, 0}); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// sorted returns the series in a fixed order, so that what is said at once is
// said in the same order again.
func (g *judge) sorted() []*series {
	keys := make([]string, 0, len(g.series))
	for k := range g.series {
		keys = append(keys, k)
	}
	sort.Strings(keys)
	out := make([]*series, len(keys))
	for i, k := range keys {
		out[i] = g.series[k]
	}
	return out
}

// reload takes up what the registry says now, for the entries after a commit,
// and writes it down if it is new; if first, in any case, so that thresholds
// entered later never judge what came before them.
func (g *judge) reload(ctx context.Context, commit uint64, first bool) error {
	if w, ok := g.a.reg.(waiter); ok {
		if err := w.Wait(ctx, commit); err != nil {
			return err
		}
	}
	sets := g.rules.diff(readRules(g.a.reg))
	if len(sets) == 0 && !first {
		return nil
	}
	if err := g.flush(ctx); err != nil {
		return err
	}
	rec, err := (&rulesRecord{After: commit, Sets: sets}).encode()
	if err != nil {
		return err
	}
	commits, err := g.a.append(ctx, rec)
	if err != nil {
		return err
	}
	g.said = max(g.said, commits[0].Number)
	return g.apply(ctx, commit, sets)
}

// apply puts changed rule sets in force, for the entries after the commit.
func (g *judge) apply(ctx context.Context, commit uint64, sets []ruleSet) error {
	if len(sets) == 0 {
		return nil
	}
	for i := range sets {
		g.rules.put(&sets[i])
	}
	for _, s := range g.sorted() {
		set := g.rules.get(s.labels.Station(), s.labels.Metric())
		if set == s.set {
			continue
		}
		s.fit(set)
		for _, k := range s.kinds {
			if tr := k.track.Refit(&k.rule); tr.Change != level.None {
				if err := g.transition(ctx, s, k, tr, cause{commit, 0}); err != nil {
					return err
				}
			}
		}
		if set != nil {
			continue
		}
		if err := g.unwatch(ctx, s, commit); err != nil {
			return err
		}
		if s.fit(nil); len(s.kinds) == 0 {
			delete(g.series, string(seriesKey(nil, s.labels.Metric(), s.labels.Without(quantrac.LabelMetric))))
		}
	}
	return nil
}
