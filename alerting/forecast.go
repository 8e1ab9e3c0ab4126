package alerting

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"quantrac"
	"quantrac/alerting/level"
)

// foreseen is the state of the forecast rule for one station, property, kind of
// threshold and model.
//
// The rule: a level is reached when a run holds it probable (PMax) by
// Options.ForecastRaise; it is over when by Options.ForecastRuns issue times in
// a row it is less probable than Options.ForecastLower, or when it is no longer
// in force. A run made again for the same issue time takes the place of the one
// before. A run that fell back to persistence neither raises nor ends anything.
type foreseen struct {
	key    string
	kind   quantrac.ThresholdKind
	issue  quantrac.Millis // of the newest run taken
	run    uint64          // its number
	before improbable      // by the issue times before
	below  improbable      // and by the newest run
	open   *saying         // newest revision of the open episode
}

// improbable counts, by level, the issue times in a row that held it so.
type improbable [level.Levels + 1]int

// byLevel is what a run says about the levels of one kind; nil for a level that
// is not in force.
type byLevel [level.Levels + 1]*quantrac.Exceedance

// outlookOf reads what a run says. What makes no sense is an Invalid error.
func (a *Alerting) outlookOf(c quantrac.Commit, record []byte) (*quantrac.Outlook, error) {
	run, err := a.o.Outlook(c, record)
	if err != nil {
		return nil, err
	}
	n := len(run.Leads)
	if n == 0 || len(run.Median) != n {
		return nil, quantrac.Errorf(quantrac.Invalid, "forecast of %s %s: %d leads, %d medians", run.Station, run.Property, n, len(run.Median))
	}
	for i := range run.Exceedances {
		e := &run.Exceedances[i]
		if lvl := e.Threshold.Level; lvl < 1 || lvl > level.Levels || len(e.Prob) != n || !(e.PMax >= 0 && e.PMax <= 1) {
			return nil, quantrac.Errorf(quantrac.Invalid, "forecast of %s %s: level %d of 1 to %d, %d probabilities for %d leads, maximum %g",
				run.Station, run.Property, lvl, level.Levels, len(e.Prob), n, e.PMax)
		}
	}
	return &run, nil
}

func forecastKey(kind quantrac.ThresholdKind, run *quantrac.Outlook) string {
	key := fmt.Sprintf("forecast %s %s %s %s", kind, run.Station, run.Property, run.Model)
	if run.Sensor != "" {
		key += " " + run.Sensor
	}
	return key
}

func (g *judge) foreseenOf(key string, kind quantrac.ThresholdKind) *foreseen {
	o := g.foreseen[key]
	if o == nil {
		o = &foreseen{key: key, kind: kind}
		g.foreseen[key] = o
	}
	return o
}

// run judges a forecast run: each kind of threshold that it speaks of, or that
// a warning stands of.
func (g *judge) run(ctx context.Context, c quantrac.Commit, run *quantrac.Outlook) error {
	kinds := map[quantrac.ThresholdKind]*byLevel{}
	for _, o := range g.foreseen {
		if o.open != nil && o.key == forecastKey(o.kind, run) {
			kinds[o.kind] = &byLevel{}
		}
	}
	for i := range run.Exceedances {
		e := &run.Exceedances[i]
		if kinds[e.Threshold.Kind] == nil {
			kinds[e.Threshold.Kind] = &byLevel{}
		}
		kinds[e.Threshold.Kind][e.Threshold.Level] = e
	}
	for _, kind := range slices.Sorted(maps.Keys(kinds)) {
		if err := g.foresee(ctx, c, g.foreseenOf(forecastKey(kind, run), kind), run, kinds[kind]); err != nil {
			return err
		}
	}
	return nil
}

// take moves on to a run and says whether it is news: of a later issue time, or
// made later for the same one.
func (o *foreseen) take(run *quantrac.Outlook) bool {
	switch {
	case run.Issue < o.issue, run.Issue == o.issue && run.Run <= o.run:
		return false
	case run.Issue > o.issue:
		o.before = o.below
	}
	o.issue, o.run = run.Issue, run.Run
	return true
}

func (o *foreseen) told() int {
	if o.open == nil {
		return 0
	}
	return o.open.Warning.Level
}

// weigh returns the level to tell by a run that has been taken.
func (o *foreseen) weigh(by *byLevel, opt *Options) int {
	now, told := 0, o.told()
	for k := 1; k <= level.Levels; k++ {
		e := by[k]
		switch {
		case e == nil:
			o.below[k] = opt.ForecastRuns
		case e.PMax < opt.ForecastLower:
			o.below[k] = o.before[k] + 1
		default:
			o.below[k] = 0
		}
		if e != nil && e.PMax >= opt.ForecastRaise || k <= told && o.below[k] < opt.ForecastRuns {
			now = k
		}
	}
	return now
}

// foresee judges what a run says about the levels of one kind.
func (g *judge) foresee(ctx context.Context, c quantrac.Commit, o *foreseen, run *quantrac.Outlook, by *byLevel) error {
	if !o.take(run) {
		return nil
	}
	if *by == (byLevel{}) {
		return g.unforesee(ctx, o, run, cause{c.Number, run.Issue})
	}
	if run.Fallback != "" {
		return nil
	}
	told := o.told()
	now := o.weigh(by, &g.a.o)
	if now == told && (told == 0 || !g.outdated(c, o, run, by[told])) {
		return nil
	}
	return g.foretell(ctx, c, o, run, by, now)
}

// outdated says whether the newest revision must follow a run although the
// level stands: its time runs out, it says that there is no newer run, or it
// quotes an earlier run of the same issue time that said otherwise. The time is
// that of the run's commit, so that it comes out the same when the journal is
// judged again.
func (g *judge) outdated(c quantrac.Commit, o *foreseen, run *quantrac.Outlook, e *quantrac.Exceedance) bool {
	replaced := o.open.Issue == run.Issue && percent(e.PMax) != percent(o.open.Prob)
	return replaced || o.open.Cause.Commit == 0 || c.Time >= g.renewal(&o.open.Warning)
}
