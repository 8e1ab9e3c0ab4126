package score

import (
	"math"
	"slices"
	"time"

	"quantrac/forecast/arx"
	"quantrac/forecast/verify"
)

// Result is how the forecasts for one lead came out over the test rows.
type Result struct {
	Lead            int // steps
	N               int
	RMSE, MAE, CRPS float64 // of expected value, median and distribution; gauge's unit
	PersistRMSE     float64
	PersistMAE      float64
	PersistCRPS     float64 // of persistence dressed with its own past errors
	PI              float64
	Coverage        float64 // of the 90 % interval
	Fallbacks       int     // issues at which the lead fell back to persistence
	POD, FAR, BSS   float64 // of the exceedance of Level, warned at probability ≥ 0.5
	MaxPOD, MaxFAR  float64 // of the maximum over the window
	Level           float64
	PersistPOD      float64 // of the same, saying that nothing changes
	PersistFAR      float64
	MaxBSS          float64
}

// Hindcast trains on the first trainPart of the rows and forecasts at every
// later one. level is the level whose exceedance is judged; NaN for the 99th
// percentile of the gauge in the training rows.
//
// The model then learns on by itself. With again > 0 it is also trained from
// the start every so many rows, on the newest window rows, as the service does.
func (r *River) Hindcast(trainPart, level float64, again, window int) ([]Result, error) {
	n := len(r.Cols[0])
	train := int(trainPart * float64(n))
	m, err := r.train(0, train)
	if err != nil {
		return nil, err
	}
	if math.IsNaN(level) {
		level = percentile(r.Cols[0][:train], 0.99)
	}
	tallies := make([]tally, len(r.Spec.Leads))
	row := make([]float64, len(r.Cols))
	for i := train; i < n; i++ {
		if again > 0 && (i-train)%again == 0 && i > train {
			if m, err = r.train(max(0, i-window), i); err != nil {
				return nil, err
			}
		}
		for k := range r.Cols {
			row[k] = r.Cols[k][i]
		}
		if err := m.Append(row); err != nil {
			return nil, err
		}
		f, err := m.Forecast()
		if err != nil {
			continue // no reading for long: no forecast, counted in N
		}
		prob, pmax := f.Exceed(level)
		for h, lead := range r.Spec.Leads {
			if i+lead < n {
				tallies[h].add(&f.Leads[h], f, r.Cols[0][i+lead], prob[h], level)
			}
		}
		last := len(r.Spec.Leads) - 1
		if end := i + r.Spec.Leads[last]; end < n {
			top := math.Inf(-1)
			for _, lead := range r.Spec.Leads {
				top = max(top, r.Cols[0][i+lead]) // NaN stays NaN
			}
			if !math.IsNaN(top) {
				tallies[last].max.Add(pmax >= 0.5, top >= level)
				tallies[last].maxProb = append(tallies[last].maxProb, pmax)
				tallies[last].maxEvent = append(tallies[last].maxEvent, top >= level)
			}
		}
	}
	out := make([]Result, len(tallies))
	for h := range tallies {
		out[h] = tallies[h].result(r.Spec.Leads[h], level)
	}
	return out, nil
}

func (r *River) train(from, to int) (*arx.Model, error) {
	cols := make([][]float64, len(r.Cols))
	for i, c := range r.Cols {
		cols[i] = c[from:to]
	}
	return arx.Train(r.Spec, r.Start.Add(time.Duration(from)*r.Spec.Step), cols)
}

// tally collects what one lead needs.
type tally struct {
	point, median, base, lo, hi, obs []float64
	crps, past                       []float64
	prob                             []float64
	event                            []bool
	table, persist, max              verify.Table
	maxProb                          []float64
	maxEvent                         []bool
	fallbacks                        int
}

func (t *tally) add(l *arx.Lead, f *arx.Forecast, y, prob, level float64) {
	if math.IsNaN(y) {
		return
	}
	t.point, t.median = append(t.point, l.Point), append(t.median, l.Median())
	t.base = append(t.base, f.Base)
	t.obs = append(t.obs, y)
	t.lo, t.hi = append(t.lo, l.Quantiles[1]), append(t.hi, l.Quantiles[len(arx.Levels)-2])
	t.crps = append(t.crps, verify.CRPSQuantiles(arx.Levels[:], l.Quantiles[:], y))
	t.past = append(t.past, verify.CRPSQuantiles(arx.Levels[:], l.Persistence[:], y))
	t.prob, t.event = append(t.prob, prob), append(t.event, y >= level)
	t.table.Add(prob >= 0.5, y >= level)
	t.persist.Add(f.Base >= level, y >= level)
	if l.Fallback != "" {
		t.fallbacks++
	}
}

func (t *tally) result(lead int, level float64) Result {
	return Result{Lead: lead, N: len(t.obs), Level: level,
		RMSE: verify.RMSE(t.point, t.obs), MAE: verify.MAE(t.median, t.obs), CRPS: mean(t.crps),
		PersistRMSE: verify.RMSE(t.base, t.obs), PersistMAE: verify.MAE(t.base, t.obs), PersistCRPS: mean(t.past),
		PI: verify.PI(t.point, t.base, t.obs), Coverage: verify.Coverage(t.lo, t.hi, t.obs), Fallbacks: t.fallbacks,
		POD: t.table.POD(), FAR: t.table.FAR(), BSS: verify.BSS(t.prob, t.event),
		PersistPOD: t.persist.POD(), PersistFAR: t.persist.FAR(),
		MaxPOD: t.max.POD(), MaxFAR: t.max.FAR(), MaxBSS: verify.BSS(t.maxProb, t.maxEvent)}
}

func mean(xs []float64) float64 {
	sum, n := 0.0, 0
	for _, x := range xs {
		if !math.IsNaN(x) {
			sum += x
			n++
		}
	}
	return sum / float64(n)
}

// percentile returns the empirical quantile of the values that are not NaN, by
// a line between neighbouring ranks p·(n−1).
func percentile(xs []float64, p float64) float64 {
	var vs []float64
	for _, x := range xs {
		if !math.IsNaN(x) {
			vs = append(vs, x)
		}
	}
	if len(vs) == 0 {
		return math.NaN()
	}
	slices.Sort(vs)
	x := p * float64(len(vs)-1)
	k := min(int(x), len(vs)-2)
	if k < 0 {
		return vs[0]
	}
	return vs[k] + (x-float64(k))*(vs[k+1]-vs[k])
}
