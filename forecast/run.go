package forecast

import (
	"math"
	"strings"
	"time"

	"quantrac"
	"quantrac/forecast/arx"
)

// Run is one forecast, whole and for ever. Values are in the property's unit,
// probabilities from 0 to 1, both to five decimals.
type Run struct {
	ID        uint64          `json:"id"`           // commit number of its record
	Committed quantrac.Millis `json:"committed_ms"` // commit time of its record

	Config    Config          `json:"config"`
	Issue     quantrac.Millis `json:"issue_ms"`
	Reason    string          `json:"reason"` // what set it off: see the Reason constants
	Known     Known           `json:"known"`
	Training  Training        `json:"training"`
	Inputs    []Input         `json:"inputs"`
	Simulated bool            `json:"simulated"` // of made-up readings: every surface says so

	Base       float64         `json:"base"`            // newest reading of the gauge, which persistence repeats
	Age        quantrac.Millis `json:"base_age_ms"`     // of that reading's step before Issue
	Levels     []float64       `json:"levels"`          // of the quantiles
	Leads      []Lead          `json:"leads"`           // rising
	Thresholds []Exceedance    `json:"thresholds"`      // in force at Issue, by level
	Fallback   string          `json:"fallback"`        // why all leads are persistence; "" where not all are
	Alone      string          `json:"alone,omitempty"` // why the gauge was forecast by itself, without upstream; "" where it was not
	TookMS     float64         `json:"-"`               // of the work, for Stats; not part of the run
	Decimals   int             `json:"decimals"`        // shown to people
	Unit       string          `json:"unit"`            // shown to people
}

// What sets off a run.
const (
	ReasonSchedule = "schedule"    // the time had come
	ReasonInputs   = "inputs"      // all inputs had arrived
	ReasonLate     = "late inputs" // an input of an issued run arrived or was corrected
	ReasonStart    = "start"       // the service started and the newest issue had no run
	ReasonHand     = "by hand"     // somebody asked
)

// Known is a state of knowledge: all up to a commit, or, with Commit 0, all
// that was committed by Time.
type Known struct {
	Commit uint64          `json:"commit"`
	Time   quantrac.Millis `json:"time_ms"`
}

// Training says what the model of a run learned from.
type Training struct {
	From       quantrac.Millis `json:"from_ms"` // first row
	To         quantrac.Millis `json:"to_ms"`   // last row
	Known      Known           `json:"known"`
	Version    string          `json:"version"` // code, and a digest of parameters and coefficients
	Parameters []string        `json:"parameters"`
}

// Input says what there was of an input between the training window's end and
// Issue, and before.
type Input struct {
	Source
	Newest    quantrac.Millis `json:"newest_ms"`    // valid time of the newest reading used, 0 where none
	Readings  int             `json:"readings"`     // used in all, training included
	Suspect   int             `json:"suspect"`      // of them flagged suspect
	Gaps      int             `json:"gaps"`         // steps of the window without a reading
	GapsTail  int             `json:"gaps_at_end"`  // of them right before Issue
	StaleTail bool            `json:"stale_at_end"` // the gap at the end is longer than a level is carried forward
}

// Lead is the forecast for one lead time.
type Lead struct {
	Ahead       Duration        `json:"ahead"`
	Time        quantrac.Millis `json:"time_ms"`     // Issue + Ahead
	Point       float64         `json:"point"`       // expected value
	Quantiles   []float64       `json:"quantiles"`   // at Run.Levels, never falling
	Persistence []float64       `json:"persistence"` // the same of persistence, the reference
	Fallback    string          `json:"fallback"`    // why this is persistence; "" where it is the model's
	Index       *float64        `json:"index"`       // persistence index of the trailing forecasts; nil where none is verified
	Verified    int             `json:"verified"`    // how many
}

// Exceedance is what the run says about a threshold.
type Exceedance struct {
	Threshold Threshold `json:"threshold"`
	Prob      []float64 `json:"prob"`  // by lead
	PMax      float64   `json:"p_max"` // of the maximum over all leads
}

// Threshold is a quantrac.Threshold of the run's station and property, as it
// was in force at Issue.
type Threshold struct {
	ID         string          `json:"id"`
	Kind       string          `json:"kind"`
	Level      int             `json:"level"`
	Value      float64         `json:"value"`
	Unit       string          `json:"unit"`
	Hysteresis float64         `json:"hysteresis"`
	Hold       Duration        `json:"hold"`
	LegalBasis string          `json:"legal_basis"`
	ValidFrom  quantrac.Millis `json:"valid_from_ms"`
	ValidTo    quantrac.Millis `json:"valid_to_ms"`
	EnteredBy  string          `json:"entered_by"`
}

func thresholdOf(t quantrac.Threshold) Threshold {
	return Threshold{ID: t.ID, Kind: string(t.Kind), Level: t.Level, Value: t.Value, Unit: t.Unit, Hysteresis: t.Hysteresis,
		Hold: Duration(t.Hold), LegalBasis: t.LegalBasis, ValidFrom: t.ValidFrom, ValidTo: t.ValidTo, EnteredBy: t.EnteredBy}
}

func (t *Threshold) root(c *Config) quantrac.Threshold {
	return quantrac.Threshold{ID: t.ID, Station: c.Station, Property: c.Property, Kind: quantrac.ThresholdKind(t.Kind), Level: t.Level,
		Value: t.Value, Unit: t.Unit, Hysteresis: t.Hysteresis, Hold: time.Duration(t.Hold), LegalBasis: t.LegalBasis,
		ValidFrom: t.ValidFrom, ValidTo: t.ValidTo, EnteredBy: t.EnteredBy}
}

// Median returns the middle of a lead's distribution.
func (r *Run) Median(lead int) float64 {
	for i, p := range r.Levels {
		if p == 0.5 {
			return r.Leads[lead].Quantiles[i]
		}
	}
	return math.NaN()
}

// missing says what kept a run from being more than persistence, and which of
// its inputs are silent.
func (r *Run) missing() string {
	var silent []string
	for _, in := range r.Inputs {
		if in.StaleTail || in.Readings == 0 {
			silent = append(silent, in.Source.String())
		}
	}
	if len(silent) == 0 {
		return r.Fallback
	}
	return r.Fallback + ": " + strings.Join(silent, ", ")
}

// Outlook returns what the run says about the thresholds in force at its issue
// time.
func (r *Run) Outlook() quantrac.Outlook {
	o := quantrac.Outlook{Station: r.Config.Station, Sensor: r.Config.Sensor, Property: r.Config.Property, Model: r.Config.Model,
		Issue: r.Issue, Run: r.ID, Fallback: r.Fallback}
	for i := range r.Leads {
		o.Leads, o.Median = append(o.Leads, time.Duration(r.Leads[i].Ahead)), append(o.Median, r.Median(i))
	}
	for _, t := range r.Thresholds {
		o.Exceedances = append(o.Exceedances, quantrac.Exceedance{Threshold: t.Threshold.root(&r.Config), Prob: t.Prob, PMax: t.PMax})
	}
	return o
}

// OutlookOf reads from the journal's record of a run what it says about
// thresholds, for who follows the journal. Errors are Corrupt.
func OutlookOf(c quantrac.Commit, record []byte) (quantrac.Outlook, error) {
	r, err := decodeRun(record)
	if err != nil {
		return quantrac.Outlook{}, err
	}
	r.ID, r.Committed = c.Number, c.Time
	return r.Outlook(), nil
}

// writeAhead are the quantiles that go into the store.
var writeAhead = []struct {
	level float64
	label string
}{{0.05, "0.05"}, {0.25, "0.25"}, {0.5, "0.5"}, {0.75, "0.75"}, {0.95, "0.95"}}

// batch returns the values written ahead into the store.
func (r *Run) batch() *quantrac.Batch {
	b := &quantrac.Batch{Kind: quantrac.Forecasts, Model: r.Config.Model, Issue: r.Issue}
	metric := forecastMetric(r.Config.Property)
	group := r.Config.labels().Without(quantrac.LabelMetric).With(quantrac.LabelModel, r.Config.Model)
	for _, w := range writeAhead {
		ls := group.With(quantrac.LabelQuantile, w.label)
		for _, l := range r.Leads {
			for i, p := range r.Levels {
				if p == w.level {
					b.Rows = append(b.Rows, quantrac.Row{Group: ls, Time: l.Time,
						Cells: []quantrac.Cell{{Property: metric, Value: l.Quantiles[i], Quality: quantrac.NotEvaluated}}})
				}
			}
		}
	}
	return b
}

// fill puts a model's forecast into the run.
func (r *Run) fill(f *arx.Forecast, thresholds []quantrac.Threshold) {
	r.Base = round(f.Base)
	r.Age = quantrac.Millis(f.Age) * quantrac.Millis(time.Duration(r.Config.Step).Milliseconds())
	r.Levels = arx.Levels[:]
	r.Leads = make([]Lead, len(f.Leads))
	r.Fallback = f.Leads[0].Fallback
	for i := range f.Leads {
		l := &f.Leads[i]
		out := Lead{Ahead: Duration(l.Ahead), Time: r.Issue.Add(l.Ahead), Point: round(l.Point), Fallback: l.Fallback,
			Quantiles: roundAll(l.Quantiles[:]), Persistence: roundAll(l.Persistence[:]), Verified: l.Verified}
		if !math.IsNaN(l.PI) {
			v := round(l.PI)
			out.Index = &v
		}
		if l.Fallback == "" {
			r.Fallback = ""
		}
		r.Leads[i] = out
	}
	r.Thresholds = make([]Exceedance, len(thresholds))
	for i, t := range thresholds {
		by, anywhere := f.Exceed(t.Value)
		r.Thresholds[i] = Exceedance{Threshold: thresholdOf(t), Prob: roundAll(by), PMax: round(anywhere)}
	}
}

// round keeps five decimals: a hundredth of a millimetre of stage. Rounding
// keeps order, so quantiles still never fall.
func round(v float64) float64 { return math.Round(v*1e5) / 1e5 }

// roundAll rounds every value; nil where one of them is no number.
func roundAll(vs []float64) []float64 {
	out := make([]float64, len(vs))
	for i, v := range vs {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
		out[i] = round(v)
	}
	return out
}
