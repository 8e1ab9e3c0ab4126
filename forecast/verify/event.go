package verify

import "math"

// Brier returns the Brier score Σ(p−o)²/n of probabilities p (0 to 1) for an
// event that happened or not: 0 is perfect.
//
// Source: Brier, Mon. Weather Rev. 78:1, 1950 (the half form in use today).
func Brier(prob []float64, happened []bool) float64 {
	sum, n := 0.0, 0
	for i, p := range prob {
		if math.IsNaN(p) {
			continue
		}
		d := p
		if happened[i] {
			d = p - 1
		}
		sum += d * d
		n++
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}

// BSS returns the Brier skill score 1 − BS/BS_reference, the reference saying
// the base rate of the event in the sample every time: 1 is perfect, 0 is no
// better than the climatology. NaN where the event always or never happened.
//
// Source: Wilks, Statistical Methods in the Atmospheric Sciences, 3rd ed.
// 2011, eq. 8.37.
func BSS(prob []float64, happened []bool) float64 {
	k, n := 0, 0
	for i, p := range prob {
		if math.IsNaN(p) {
			continue
		}
		n++
		if happened[i] {
			k++
		}
	}
	if k == 0 || k == n {
		return math.NaN()
	}
	base := float64(k) / float64(n)
	return 1 - Brier(prob, happened)/(base*(1-base))
}

// Table counts warnings against events.
type Table struct {
	Hits         int // warned and happened
	Misses       int // happened without a warning
	FalseAlarms  int // warned and did not happen
	QuietCorrect int // neither
}

// Add counts one case.
func (t *Table) Add(warned, happened bool) {
	switch {
	case warned && happened:
		t.Hits++
	case happened:
		t.Misses++
	case warned:
		t.FalseAlarms++
	default:
		t.QuietCorrect++
	}
}

// POD returns the probability of detection hits/(hits+misses), NaN where
// nothing happened.
//
// Source: Wilks 2011, eq. 8.10 (hit rate).
func (t Table) POD() float64 { return ratio(t.Hits, t.Hits+t.Misses) }

// FAR returns the false alarm ratio false alarms/(hits+false alarms): the
// share of warnings that were for nothing. NaN where nothing was warned of.
//
// Source: Wilks 2011, eq. 8.11.
func (t Table) FAR() float64 { return ratio(t.FalseAlarms, t.Hits+t.FalseAlarms) }

// CSI returns the critical success index hits/(hits+misses+false alarms).
//
// Source: Wilks 2011, eq. 8.9 (threat score).
func (t Table) CSI() float64 { return ratio(t.Hits, t.Hits+t.Misses+t.FalseAlarms) }

func ratio(a, b int) float64 {
	if b == 0 {
		return math.NaN()
	}
	return float64(a) / float64(b)
}
