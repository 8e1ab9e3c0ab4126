package arx

import (
	"fmt"
	"math"
	"slices"
	"time"

	"quantrac"
)

// Levels are the quantiles a forecast states.
var Levels = [...]float64{0.01, 0.05, 0.1, 0.25, 0.5, 0.75, 0.9, 0.95, 0.99}

// Forecast is what a model says at its last row.
type Forecast struct {
	Issue quantrac.Millis // time of the row
	Base  float64         // the gauge's newest value, which persistence repeats
	Age   int             // steps since Base was observed; 0 where it is of the row itself
	Leads []Lead          // those for which enough errors are known; at least one
	Blind bool            // every lead is persistence for want of anything learned, though the gauge reports

	joint [][]float64 // by lead: the past errors, dressed on the forecast, of the same issues throughout
	all   [][]float64 // by lead: the same of every verified issue, sorted
}

// Lead is the forecast for one lead time.
type Lead struct {
	Ahead       time.Duration
	Point       float64              // expected value: the least squared error, gauge's unit
	Quantiles   [len(Levels)]float64 // at Levels, never falling, gauge's unit
	Persistence [len(Levels)]float64 // what persistence would state: the reference for skill
	Fallback    string               // why this is persistence; "" where it is the model's
	PI          float64              // persistence index of the trailing forecasts (see trailing); NaN where none is verified
	Verified    int                  // how many of them
	Errors      int                  // past errors behind the quantiles
}

// Median returns the forecast's middle.
func (l *Lead) Median() float64 { return l.Quantiles[len(Levels)/2] }

// recent is how many of the newest issues make the distribution of persistence,
// the reference.
const recent = 1000

// minErrors is how many verified errors a distribution needs.
const minErrors = 20

// Forecast returns the forecast issued at the last row. Where the gauge's own
// reading is older than MaxHold steps, or the model has lately been worse than
// persistence, or there is no regression, a lead falls back to persistence and
// says why. Leads for which too few past errors are known are left out; it is
// an Unavailable error where that is all of them, or the gauge has been silent
// for longer than the longest lead.
func (m *Model) Forecast() (*Forecast, error) {
	row := m.t.n - 1
	if row < 0 {
		return nil, quantrac.Errorf(quantrac.Unavailable, "no readings")
	}
	f := &Forecast{Issue: m.At(), Blind: !m.spec.Plain, Leads: make([]Lead, len(m.spec.Leads)),
		joint: make([][]float64, len(m.spec.Leads)), all: make([][]float64, len(m.spec.Leads))}
	for f.Age <= row && math.IsNaN(m.t.raw[0][row-f.Age]) {
		f.Age++
	}
	if f.Age > row || f.Age > m.spec.horizon()+m.spec.MaxHold {
		return nil, quantrac.Errorf(quantrac.Unavailable,
			"no reading of the gauge within the longest lead before %v: nothing can be forecast from it", f.Issue)
	}
	f.Base = m.t.raw[0][row-f.Age]
	if f.Age > m.spec.MaxHold {
		return m.stale(f, row)
	}
	is := m.sp.at(row)
	all := m.sp.past(row)
	near := m.sp.nearest(is, all)
	for i, h := range m.spec.Leads {
		l := &f.Leads[i]
		l.Ahead = time.Duration(h) * m.spec.Step
		l.PI, l.Verified = m.sp.trailing(row, i)
		src := byModel
		switch {
		case m.reason != "":
			src, l.Fallback = byPersistence, m.reason
		case math.IsNaN(is.pred[i]):
			src, l.Fallback = byPersistence, "inputs missing"
		case l.Verified >= minErrors && l.PI < 0:
			src, l.Fallback = byPersistence, fmt.Sprintf("persistence index %.2f over the last %d forecasts", l.PI, l.Verified)
		}
		f.all[i], f.joint[i] = m.dress(near, is, src, i)
		if n := len(f.all[i]); src == byModel && n < minErrors {
			src, l.Fallback = byPersistence, fmt.Sprintf("only %d past forecasts can be judged, %d wanted", n, minErrors)
			f.all[i], f.joint[i] = m.dress(near, is, src, i)
		}
		f.Blind = f.Blind && src == byPersistence && l.Verified < minErrors
		l.Point = is.center(src, i)
		l.Errors = len(f.all[i])
		l.Quantiles = quantiles(f.all[i])
		past, _ := m.dress(all[:min(len(all), recent)], is, byPersistence, i)
		l.Persistence = quantiles(past)
		if l.Errors < minErrors {
			return f.until(i, "only %d past forecasts for %v can be judged, %d wanted: no distribution yet", l.Errors, l.Ahead, minErrors)
		}
	}
	return f, nil
}

// dress puts the errors of past issues, scaled to the present, on the forecast
// of a source: sorted, and in the order of the issues, NaN where one could not
// be verified.
func (m *Model) dress(past []*issue, is *issue, src source, lead int) (sorted, joint []float64) {
	center, scale := is.center(src, lead), m.sp.scale(is, src, lead)
	sorted, joint = make([]float64, 0, len(past)), make([]float64, 0, len(past))
	for _, old := range past {
		e := old.err[src][lead]
		v := math.NaN()
		if !math.IsNaN(e) {
			v = m.cap(is.row, lead, center+e/m.sp.scale(old, src, lead)*scale)
			sorted = append(sorted, v)
		}
		joint = append(joint, v) // an issue has the same place for every lead
	}
	slices.Sort(sorted)
	return sorted, joint
}

// stale forecasts by persistence from an old reading: the spread is that of
// the changes seen over the lead and the age together.
func (m *Model) stale(f *Forecast, row int) (*Forecast, error) {
	f.Blind = false
	for i, h := range m.spec.Leads {
		l := &f.Leads[i]
		l.Ahead = time.Duration(h) * m.spec.Step
		l.PI = math.NaN()
		l.Fallback = fmt.Sprintf("the gauge's last reading is %v old", time.Duration(f.Age)*m.spec.Step)
		span := h + f.Age
		longest := m.spec.horizon() + f.Age
		for r := row; r >= longest && r > row-len(m.sp.ring); r-- {
			from := m.t.raw[0][r-longest]
			v := f.Base + m.t.raw[0][r-longest+span] - from
			if m.spec.NonNegative {
				v = max(0, v)
			}
			f.joint[i] = append(f.joint[i], v)
			if !math.IsNaN(v) {
				f.all[i] = append(f.all[i], v)
			}
		}
		slices.Sort(f.all[i])
		if l.Errors = len(f.all[i]); l.Errors < minErrors {
			return f.until(i, "the gauge's last reading is %d steps old and only %d changes over %d steps are known", f.Age, l.Errors, span)
		}
		l.Point = f.Base
		l.Quantiles = quantiles(f.all[i])
		l.Persistence = l.Quantiles
	}
	return f, nil
}

// until cuts the forecast off before lead i, for which there is no
// distribution; with nothing left that is an error with the text given.
func (f *Forecast) until(i int, format string, args ...any) (*Forecast, error) {
	if i == 0 {
		return nil, quantrac.Errorf(quantrac.Unavailable, format, args...)
	}
	f.Leads, f.joint, f.all = f.Leads[:i], f.joint[:i], f.all[:i]
	return f, nil
}

// quantiles reads Levels off sorted values: level p lies at rank p·(n+1), the
// conformal rank, between neighbours by a line. NaN where there are none.
func quantiles(sorted []float64) (q [len(Levels)]float64) {
	n := len(sorted)
	for i, p := range Levels {
		if n == 0 {
			q[i] = math.NaN()
			continue
		}
		x := min(max(p*float64(n+1)-1, 0), float64(n-1))
		k := min(int(x), max(0, n-2))
		q[i] = sorted[k]
		if k+1 < n {
			q[i] += (x - float64(k)) * (sorted[k+1] - sorted[k])
		}
		if i > 0 {
			q[i] = max(q[i], q[i-1]) // rounding must not make them fall
		}
	}
	return q
}

// Exceed returns by lead the probability that the value is at least level, and
// the probability that the maximum over all leads is. The latter comes from
// the errors that belonged together in past issues, so that it knows how they
// hang together, and is never below any of the former. No probability is
// exactly 0 or 1: the past is finite.
func (f *Forecast) Exceed(level float64) (byLead []float64, anywhere float64) {
	byLead = make([]float64, len(f.Leads))
	for i, vs := range f.all {
		k, _ := slices.BinarySearch(vs, level)
		byLead[i] = share(len(vs)-k, len(vs))
	}
	hits, n := 0, 0
	for j := range f.joint[0] {
		top, gap := math.Inf(-1), false
		for i := range f.joint {
			gap = gap || math.IsNaN(f.joint[i][j])
			top = max(top, f.joint[i][j])
		}
		if gap {
			continue
		}
		n++
		if top >= level {
			hits++
		}
	}
	anywhere = slices.Max(byLead)
	if n > 0 {
		anywhere = max(anywhere, share(hits, n))
	}
	return byLead, anywhere
}

// share is the estimate (k+½)/(n+1) of a probability from k of n cases.
func share(k, n int) float64 { return (float64(k) + 0.5) / (float64(n) + 1) }
