package verify

import (
	"math"
	"slices"
)

// CRPSSample returns the continuous ranked probability score of the empirical
// distribution of an ensemble, ∫(F(x) − 1{x ≥ o})² dx, in the unit of the
// property: Σ|x−o|/n − ΣΣ|x−x′|/(2n²). It is the MAE of a single value; 0 is
// perfect. The ensemble is not changed.
//
// Source: Gneiting & Raftery, J. Am. Stat. Assoc. 102:359, 2007, eq. 21.
func CRPSSample(ensemble []float64, observed float64) float64 {
	return CRPSWeighted(ensemble, nil, observed)
}

// CRPSWeighted is CRPSSample for an ensemble whose members weigh differently;
// weights need not sum to 1 and nil means equal ones.
func CRPSWeighted(ensemble, weights []float64, observed float64) float64 {
	if len(ensemble) == 0 || math.IsNaN(observed) {
		return math.NaN()
	}
	order := make([]int, len(ensemble))
	total := 0.0
	for i := range order {
		order[i] = i
		total += weight(weights, i)
	}
	slices.SortFunc(order, func(a, b int) int {
		switch {
		case ensemble[a] < ensemble[b]:
			return -1
		case ensemble[a] > ensemble[b]:
			return 1
		}
		return 0
	})
	// The quantile form over a step function: each member x_i holds the levels
	// (c, c+w], and 2·pinball averaged over them is
	// 2·w·(x−o)·(1{o<x} − c − w/2).
	sum, c := 0.0, 0.0
	for _, i := range order {
		x, w := ensemble[i], weight(weights, i)/total
		below := 0.0
		if observed < x {
			below = 1
		}
		sum += 2 * w * (x - observed) * (below - c - w/2)
		c += w
	}
	return sum
}

func weight(ws []float64, i int) float64 {
	if ws == nil {
		return 1
	}
	return ws[i]
}

// CRPSQuantiles returns the continuous ranked probability score of a
// distribution given by quantiles: levels rise in (0, 1), values do not fall.
// Between two quantiles the distribution function is a straight line; what
// lies below the first and above the last is put at these, so that the tails
// are judged as the forecast states them. Unit of the property.
//
// Source: the definition ∫(F(x) − 1{x ≥ o})² dx, Gneiting & Raftery 2007,
// integrated in closed form.
func CRPSQuantiles(levels, values []float64, observed float64) float64 {
	n := len(levels)
	if n == 0 || math.IsNaN(observed) || math.IsNaN(values[0]) {
		return math.NaN()
	}
	sum := 0.0
	if observed < values[0] { // F is 0 there, the step is 1
		sum += values[0] - observed
	}
	if observed > values[n-1] {
		sum += observed - values[n-1]
	}
	for i := 1; i < n; i++ {
		x0, x1, p0, p1 := values[i-1], values[i], levels[i-1], levels[i]
		switch {
		case x1 <= x0:
		case observed >= x1:
			sum += square(x0, x1, p0, p1, x0, x1)
		case observed <= x0:
			sum += square(x0, x1, 1-p0, 1-p1, x0, x1)
		default:
			sum += square(x0, x1, p0, p1, x0, observed)
			sum += square(x0, x1, 1-p0, 1-p1, observed, x1)
		}
	}
	return sum
}

// square integrates over [a, b] the square of the line through (x0, p0) and
// (x1, p1).
func square(x0, x1, p0, p1, a, b float64) float64 {
	at := func(x float64) float64 { return p0 + (p1-p0)*(x-x0)/(x1-x0) }
	pa, pb := at(a), at(b)
	return (b - a) * (pa*pa + pa*pb + pb*pb) / 3
}

// CRPSNormal returns the continuous ranked probability score of the normal
// distribution: σ·(z·(2Φ(z)−1) + 2φ(z) − 1/√π), z = (o−μ)/σ.
//
// Source: Gneiting, Raftery, Westveld & Goldman, Mon. Weather Rev. 133:1098,
// 2005, eq. 5.
func CRPSNormal(mean, sd, observed float64) float64 {
	z := (observed - mean) / sd
	cdf := 0.5 * math.Erfc(-z/math.Sqrt2)
	pdf := math.Exp(-z*z/2) / math.Sqrt(2*math.Pi)
	return sd * (z*(2*cdf-1) + 2*pdf - 1/math.Sqrt(math.Pi))
}

// Pinball returns the loss of a quantile forecast of level tau:
// (o−q)·tau above it, (q−o)·(1−tau) below. Unit of the property.
//
// Source: Koenker & Bassett, Econometrica 46:33, 1978.
func Pinball(tau, quantile, observed float64) float64 {
	if observed >= quantile {
		return (observed - quantile) * tau
	}
	return (quantile - observed) * (1 - tau)
}

// Coverage returns the share of observations within [lo, hi], ends included,
// 0 to 1. A 90 % interval that deserves its name covers 0.88 to 0.92.
func Coverage(lo, hi, observed []float64) float64 {
	in, n := 0, 0
	for i, o := range observed {
		if math.IsNaN(o + lo[i] + hi[i]) {
			continue
		}
		n++
		if o >= lo[i] && o <= hi[i] {
			in++
		}
	}
	return ratio(in, n)
}
