package forecast

import (
	"cmp"
	"context"
	"math"
	"slices"
	"time"

	"quantrac"
	"quantrac/forecast/verify"
)

// Skill is how the forecasts of a model came out, by lead.
type Skill struct {
	Station  string          `json:"station"`
	Property string          `json:"property"`
	Model    string          `json:"model"`
	Unit     string          `json:"unit"`
	From     quantrac.Millis `json:"from_ms"` // issue times
	To       quantrac.Millis `json:"to_ms"`
	Runs     int             `json:"runs"`
	Leads    []LeadSkill     `json:"leads"`
}

// LeadSkill is the skill of one lead over the runs that an observation has come
// for. Scores are nil where nothing can be judged. Those of persistence stand
// beside the model's: what saying "no change" would have scored.
type LeadSkill struct {
	Ahead              Duration     `json:"ahead"`
	N                  int          `json:"n"`
	MAE                *float64     `json:"mae"`  // of the median, property's unit
	RMSE               *float64     `json:"rmse"` // of the expected value, property's unit
	PI                 *float64     `json:"pi"`   // persistence index of the expected value
	CRPS               *float64     `json:"crps"` // property's unit
	Coverage           *float64     `json:"coverage"`
	PersistenceMAE     *float64     `json:"persistence_mae"`
	PersistenceRMSE    *float64     `json:"persistence_rmse"`
	PersistenceCRPS    *float64     `json:"persistence_crps"`
	Fallbacks          int          `json:"fallbacks"` // of N that were persistence
	StatutoryPass      *float64     `json:"statutory_pass"`
	StatutoryTolerance *float64     `json:"statutory_tolerance"` // property's unit
	Events             []EventSkill `json:"events"`
}

// EventSkill counts warnings, given at a probability of at least one half,
// against what came, by kind and level of the thresholds then in force.
type EventSkill struct {
	Kind        string   `json:"kind"`
	Level       int      `json:"level"`
	Hits        int      `json:"hits"`
	Misses      int      `json:"misses"`
	FalseAlarms int      `json:"false_alarms"`
	POD         *float64 `json:"pod"`
	FAR         *float64 `json:"far"`
	Brier       *float64 `json:"brier"`
}

// warnAt is the probability from which a forecast counts as a warning.
const warnAt = 0.5

// Skill scores the runs of one model that pass, issued from From to To, against
// the observations as they are known now, or were known at AsOf. Of the runs of
// one issue time the first counts: what was said then. Without a model or sensor
// it takes those of the newest run. It is a NotFound error where there are no
// runs.
func (f *Forecaster) Skill(ctx context.Context, q Filter) (*Skill, error) {
	q.Limit = 1
	newest, err := f.Runs(ctx, q)
	if err != nil {
		return nil, err
	}
	from, to := q.From, q.To
	if len(newest) == 0 {
		return nil, quantrac.Errorf(quantrac.NotFound, "no forecast of %s at %s by %s issued from %v to %v", q.Property, q.Station, cmp.Or(q.Model, "any model"), from, to)
	}
	c := newest[0].Config
	step, ahead := time.Duration(c.Step), time.Duration(c.Leads[len(c.Leads)-1])
	first := floor(from, step)
	if to < from || (to-from)/quantrac.Millis(step.Milliseconds()) > maxRuns {
		return nil, quantrac.Errorf(quantrac.Invalid, "skill from %v to %v: at most %d steps of %v are scored at once", from, to, maxRuns, step)
	}
	obs, err := f.readColumn(ctx, &c.Source, step, first, floor(min(to.Add(ahead), f.o.Clock.Now()), step), Known{Time: q.AsOf})
	if err != nil {
		return nil, err
	}
	at := func(t quantrac.Millis) float64 {
		i := int((t - first) / quantrac.Millis(step.Milliseconds()))
		if t < first || i >= len(obs.values) {
			return math.NaN()
		}
		return obs.values[i]
	}
	s := &Skill{Station: q.Station, Property: q.Property, Model: c.Model, Unit: newest[0].Unit, From: from, To: to}
	tallies := make([]tally, len(c.Leads))
	q.Model, q.Sensor, q.FirstOnly, q.Limit = c.Model, &c.Sensor, true, maxRuns
	err = f.each(ctx, q, func(r *Run) error {
		s.Runs++
		for i := range r.Leads {
			for k, l := range c.Leads {
				if l == r.Leads[i].Ahead {
					tallies[k].add(r, i, at(r.Leads[i].Time))
				}
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	for i := range tallies {
		ls := tallies[i].score(c.Leads[i])
		statutory(&ls, &tallies[i], obs.values, int(time.Duration(c.Leads[i])/step))
		s.Leads = append(s.Leads, ls)
	}
	return s, nil
}

// tally collects the pairs of one lead.
type tally struct {
	point, median, base, lo, hi, obs []float64
	crps, persist                    []float64
	fallbacks                        int
	events                           map[eventKey]*eventTally
}

// eventKey names a threshold through all its values: báo động I is another
// event than the first level of a watch.
type eventKey struct {
	kind  string
	level int
}

type eventTally struct {
	table    verify.Table
	prob     []float64
	happened []bool
}

func (t *tally) add(r *Run, lead int, y float64) {
	if math.IsNaN(y) {
		return
	}
	l := &r.Leads[lead]
	t.obs = append(t.obs, y)
	t.point, t.median, t.base = append(t.point, l.Point), append(t.median, r.Median(lead)), append(t.base, r.Base)
	lo, hi := math.NaN(), math.NaN()
	for i, p := range r.Levels {
		switch p {
		case 0.05:
			lo = l.Quantiles[i]
		case 0.95:
			hi = l.Quantiles[i]
		}
	}
	t.lo, t.hi = append(t.lo, lo), append(t.hi, hi)
	t.crps = append(t.crps, verify.CRPSQuantiles(r.Levels, l.Quantiles, y))
	if l.Persistence != nil {
		t.persist = append(t.persist, verify.CRPSQuantiles(r.Levels, l.Persistence, y))
	}
	if l.Fallback != "" {
		t.fallbacks++
	}
	for _, x := range r.Thresholds {
		if t.events == nil {
			t.events = map[eventKey]*eventTally{}
		}
		key := eventKey{x.Threshold.Kind, x.Threshold.Level}
		e := t.events[key]
		if e == nil {
			e = &eventTally{}
			t.events[key] = e
		}
		happened := y >= x.Threshold.Value
		e.table.Add(x.Prob[lead] >= warnAt, happened)
		e.prob, e.happened = append(e.prob, x.Prob[lead]), append(e.happened, happened)
	}
}

func (t *tally) score(ahead Duration) LeadSkill {
	s := LeadSkill{Ahead: ahead, N: len(t.obs), Fallbacks: t.fallbacks, Events: []EventSkill{},
		MAE: number(verify.MAE(t.median, t.obs)), RMSE: number(verify.RMSE(t.point, t.obs)), PI: number(verify.PI(t.point, t.base, t.obs)),
		CRPS: number(mean(t.crps)), Coverage: number(verify.Coverage(t.lo, t.hi, t.obs)),
		PersistenceMAE: number(verify.MAE(t.base, t.obs)), PersistenceRMSE: number(verify.RMSE(t.base, t.obs)), PersistenceCRPS: number(mean(t.persist))}
	for key, e := range t.events {
		s.Events = append(s.Events, EventSkill{Kind: key.kind, Level: key.level, Hits: e.table.Hits, Misses: e.table.Misses, FalseAlarms: e.table.FalseAlarms,
			POD: number(e.table.POD()), FAR: number(e.table.FAR()), Brier: number(verify.Brier(e.prob, e.happened))})
	}
	slices.SortFunc(s.Events, func(a, b EventSkill) int {
		return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Level, b.Level))
	})
	return s
}

// statutory adds the score of Circular 42/2017/TT-BTNMT, art. 11, from the
// changes over the lead in the observations scored. The circular takes ten
// years of them; what there is of the window is said by the tolerance.
func statutory(s *LeadSkill, t *tally, obs []float64, lead int) {
	var changes []float64
	for i := lead; i < len(obs); i++ {
		changes = append(changes, obs[i]-obs[i-lead])
	}
	tolerance := verify.PermissibleError(changes)
	s.StatutoryTolerance = number(tolerance)
	if !math.IsNaN(tolerance) {
		s.StatutoryPass = number(verify.PassRate(t.median, t.obs, tolerance))
	}
}

func mean(xs []float64) float64 {
	sum := 0.0
	for _, x := range xs {
		sum += x
	}
	return sum / float64(len(xs)) // NaN of none
}

// number returns a score as JSON can say it: nil where there is none.
func number(v float64) *float64 {
	if math.IsNaN(v) || math.IsInf(v, 0) {
		return nil
	}
	v = math.Round(v*1e6) / 1e6
	return &v
}
