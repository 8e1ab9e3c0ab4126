package arx

import (
	"slices"
	"time"

	"quantrac"
)

// Kind says how an input enters the regression.
type Kind uint8

// The kinds of inputs.
const (
	// Level is a state read at an instant: stage, discharge, salinity.
	Level Kind = iota
	// Rain is an amount that fell within the step that ends at the row's time.
	Rain
)

// Input is one column of the table a model learns from.
type Input struct {
	Name string // for people; part of the model's version
	Kind Kind

	// Lags in steps, rising from 0. Of a Level: the ages of the values used.
	// Of Rain: the starts of the windows summed; the window of a lag reaches
	// to just before the next one, the last is one step long. Empty means the
	// defaults of the spec.
	Lags []int

	// Of Rain: index of the level input whose wetness multiplies it; 0 is the
	// gauge itself.
	Wets int
}

// Spec is what a model is told; all else it learns. The zero value of every
// field but Step, Leads and Inputs works.
type Spec struct {
	Step   time.Duration // of the grid; rows lie on multiples of it since 1970
	Leads  []int         // in steps, rising, at least 1
	Inputs []Input       // the first is the gauge that is forecast, a Level

	Periods []time.Duration // of harmonics: day, year, tides
	Memory  []time.Duration // e-folding times of the rain to date

	// What the validation inside the training window chooses among.
	Powers []float64 // transforms (x−origin)^power of levels; 1 is none
	Ridges []float64 // penalties, per row, on standardised inputs
	// Steps after which a row counts half; 0 keeps all alike.
	HalfLives []int

	RefitEvery  int  // steps between solving anew; default 30 d, or 7 d below daily steps
	MaxHold     int  // steps a missing level is carried forward, default 2; −1 not at all
	Trail       int  // verified forecasts judged for the fallback; default 365, or 30 d below daily steps
	TrailHalf   int  // steps after which one of them counts half when judged once more; default not, or 7 d below daily steps
	Residuals   int  // issues kept for the distribution of errors; default 4000
	NonNegative bool // no forecast below 0
	Plain       bool // persistence alone: nothing is regressed
}

// Default lags: each step for short windows, then ever wider ones.
var (
	shortLags = []int{0, 1, 2, 3}
	longLags  = []int{0, 1, 2, 3, 4, 6, 8, 12, 16, 24}
)

const day = 24 * time.Hour

func (s *Spec) daily() bool { return s.Step >= day }

// horizon returns the longest lead in steps.
func (s *Spec) horizon() int { return s.Leads[len(s.Leads)-1] }

// withDefaults returns the spec with every zero field set, or an Invalid error
// that says what is wrong with it.
func (s Spec) withDefaults() (Spec, error) {
	bad := func(format string, args ...any) (Spec, error) {
		return s, quantrac.Errorf(quantrac.Invalid, "forecast model: "+format, args...)
	}
	if s.Step < time.Second || s.Step%time.Millisecond != 0 {
		return bad("step %v is not a whole number of milliseconds of at least a second", s.Step)
	}
	if len(s.Leads) == 0 {
		return bad("no leads")
	}
	for i, l := range s.Leads {
		if l < 1 || i > 0 && l <= s.Leads[i-1] || l > 10000 {
			return bad("leads %v are not rising steps between 1 and 10000", s.Leads)
		}
	}
	if len(s.Inputs) == 0 || s.Inputs[0].Kind != Level {
		return bad("the first input must be the gauge itself, a level")
	}
	s.Inputs = slices.Clone(s.Inputs)
	for i := range s.Inputs {
		in := &s.Inputs[i]
		if len(in.Lags) == 0 {
			in.Lags = longLags
			if s.horizon() <= 7 {
				in.Lags = shortLags
			}
		}
		for j, l := range in.Lags {
			if l < 0 || j == 0 && l != 0 || j > 0 && l <= in.Lags[j-1] || l > 100000 {
				return bad("input %s: lags %v do not rise from 0", in.Name, in.Lags)
			}
		}
		if in.Kind == Rain && (in.Wets < 0 || in.Wets >= len(s.Inputs) || s.Inputs[in.Wets].Kind != Level) {
			return bad("input %s: wets input %d, which is no level", in.Name, in.Wets)
		}
	}
	for _, p := range s.Periods {
		if p < 2*s.Step {
			return bad("period %v is shorter than two steps", p)
		}
	}
	for _, p := range s.Powers {
		if !(p > 0 && p <= 1) {
			return bad("power %g is not in (0, 1]", p)
		}
	}
	for _, r := range s.Ridges {
		if !(r > 0) {
			return bad("ridge %g is not positive", r)
		}
	}
	for _, h := range s.HalfLives {
		if h < 0 {
			return bad("half-life %d is negative", h)
		}
	}
	if s.RefitEvery < 0 || s.Trail < 0 || s.TrailHalf < 0 || s.Residuals < 0 {
		return bad("negative count")
	}
	s.fill()
	return s, nil
}

func (s *Spec) fill() {
	steps := func(d time.Duration) int { return max(1, int(d/s.Step)) }
	if s.Memory == nil {
		s.Memory = []time.Duration{6 * day, 20 * day, 50 * day}
		if !s.daily() {
			s.Memory = []time.Duration{6 * time.Hour, day, 6 * day, 20 * day}
		}
	}
	if len(s.Powers) == 0 {
		s.Powers = []float64{1, 0.75, 0.5}
	}
	if len(s.Ridges) == 0 {
		s.Ridges = []float64{1e-4, 1e-3, 1e-2, 1e-1}
	}
	if len(s.HalfLives) == 0 {
		s.HalfLives = []int{0}
		if !s.daily() {
			s.HalfLives = []int{0, steps(30 * day), steps(10 * day)}
		}
	}
	if s.RefitEvery == 0 {
		s.RefitEvery = steps(7 * day)
		if s.daily() {
			s.RefitEvery = steps(30 * day)
		}
	}
	if s.MaxHold == 0 {
		s.MaxHold = 2
	}
	s.MaxHold = max(0, s.MaxHold)
	if s.Trail == 0 {
		s.Trail = 365
		if !s.daily() {
			s.Trail = max(100, steps(30*day))
		}
	}
	// By days a season is judged; by hours also what the river is doing now: the
	// skill of three weeks ago says little of this week's flood.
	if s.TrailHalf == 0 && !s.daily() {
		s.TrailHalf = steps(7 * day)
	}
	if s.Residuals == 0 {
		s.Residuals = 4000
	}
}
