package codec

import (
	"math"
	"slices"
)

// The coefficients of a prediction minimise the squared residuals (the
// covariance method of linear prediction: J. Makhoul, Linear prediction: a
// tutorial review, Proc. IEEE 63, 1975). Few but large jumps, spikes and sensor
// faults would own that sum; so the fit sees differences that are cut to what
// is usual.
//
// Floating point is fine here: what it finds is rounded and written down.

// usual is how many times the median a difference may be for the fit.
const usual = 10

// fitter holds the normal equations of one chunk.
type fitter struct {
	diffs  []float64 // cut
	sums   []float64 // of the cut differences: the numbers without jumps
	sample []float64
	normal [maxReach + 1][maxReach + 1]float64
	factor [maxReach][maxReach]float64 // Cholesky
	half   [maxReach]float64           // solution of its lower half
	left   [maxReach + 1]float64       // squared residuals by the count of coefficients
}

// prediction is what a fit has found.
type prediction struct {
	form  byte
	coefs []int64
	bias  int64
	sigma float64 // of the residuals
	bits  float64 // guess of the bits of the chunk
}

// cut takes the differences of the numbers, none further from their median than
// usual.
func (f *fitter) cut(x []int64) {
	f.diffs = f.diffs[:0]
	for i := 1; i < len(x); i++ {
		f.diffs = append(f.diffs, float64(x[i]-x[i-1]))
	}
	middle, spread := f.spread()
	low, high := middle-usual*spread-2, middle+usual*spread+2
	f.sums = append(f.sums[:0], 0)
	sum := 0.0
	for i, d := range f.diffs {
		d = max(low, min(high, d))
		sum += d
		f.diffs[i] = d
		f.sums = append(f.sums, sum)
	}
}

// spread returns the median of a sample of the differences and that of their
// distances from it.
func (f *fitter) spread() (middle, spread float64) {
	const sample = 512
	f.sample = f.sample[:0]
	n := len(f.diffs)
	for i := range min(n, sample) {
		f.sample = append(f.sample, f.diffs[i*n/min(n, sample)])
	}
	slices.Sort(f.sample)
	middle = f.sample[len(f.sample)/2]
	for i, d := range f.sample {
		f.sample[i] = math.Abs(d - middle)
	}
	slices.Sort(f.sample)
	return middle, f.sample[len(f.sample)/2]
}

// best returns the better prediction of those from values and from differences.
func (f *fitter) best(x []int64) prediction {
	f.cut(x)
	p := f.fit(f.diffs, formSteps, maxReach-1, stepPlaces)
	if q := f.fit(f.sums, formValues, maxReach, valuePlaces); q.bits < p.bits {
		return q
	}
	return p
}

// fit predicts y from so many of its last values at most.
func (f *fitter) fit(y []float64, form byte, most, places int) prediction {
	mean := center(y)
	f.equations(y, most)
	most = f.solve(most)
	n := float64(len(y))
	best := prediction{bits: math.Inf(1)}
	count := 0
	for k := 1; k <= most; k++ {
		variance := f.left[k]/n + 1./12
		// A coefficient costs about as many bits as it has places.
		guess := n/2*math.Log2(variance) + float64(k*(places-1))
		if guess < best.bits {
			best.bits, best.sigma, count = guess, math.Sqrt(variance), k
		}
	}
	if count == 0 {
		return best
	}
	best.form = form + byte(count)
	best.coefs = f.round(count, places)
	sum := 0.0
	for _, c := range best.coefs {
		sum += float64(c) / float64(int(1)<<places)
	}
	best.bias = int64(math.Round(mean * (1 - sum) * (1 << fullPoint)))
	return best
}

// center takes the mean away and returns it, but one that may be chance.
func center(y []float64) float64 {
	sum := 0.0
	for _, v := range y {
		sum += v
	}
	mean := sum / float64(len(y))
	for i := range y {
		y[i] -= mean
	}
	return mean
}

// equations sums the products of y with its last values: row and column 0 are
// y, row i is i back. Each diagonal follows from its first product.
func (f *fitter) equations(y []float64, most int) {
	n := len(y)
	for j := range most + 1 {
		f.normal[0][j] = dot(y[most:], y[most-j:n-j])
	}
	for i := range most {
		for j := i; j < most; j++ {
			f.normal[i+1][j+1] = f.normal[i][j] + y[most-1-i]*y[most-1-j] - y[n-1-i]*y[n-1-j]
		}
	}
}

func dot(a, b []float64) float64 {
	var s0, s1, s2, s3 float64
	b = b[:len(a)]
	i := 0
	for ; i+4 <= len(a); i += 4 {
		s0 += a[i] * b[i]
		s1 += a[i+1] * b[i+1]
		s2 += a[i+2] * b[i+2]
		s3 += a[i+3] * b[i+3]
	}
	for ; i < len(a); i++ {
		s0 += a[i] * b[i]
	}
	return s0 + s1 + s2 + s3
}

// solve factors the equations and returns for how many coefficients they can
// be solved. The first ones of a factor are the factor of a smaller set, so
// left tells what every count leaves.
func (f *fitter) solve(most int) int {
	f.left[0] = f.normal[0][0]
	for i := range most {
		for j := range i + 1 {
			v := f.normal[j+1][i+1]
			if i == j {
				v += v*1e-9 + 1e-3
			}
			for k := range j {
				v -= f.factor[i][k] * f.factor[j][k]
			}
			if i != j {
				f.factor[i][j] = v / f.factor[j][j]
			} else if v <= 0 || math.IsInf(v, 0) || math.IsNaN(v) {
				return i
			} else {
				f.factor[i][i] = math.Sqrt(v)
			}
		}
		b := f.normal[0][i+1]
		for k := range i {
			b -= f.factor[i][k] * f.half[k]
		}
		f.half[i] = b / f.factor[i][i]
		f.left[i+1] = max(f.left[i]-f.half[i]*f.half[i], 0)
	}
	return most
}

// round returns the coefficients of the first so many equations, rounded to
// binary places. Each is solved for after those behind it have been rounded,
// and so makes good for them (L. Babai, On Lovász' lattice reduction,
// Combinatorica 6, 1986).
func (f *fitter) round(count, places int) []int64 {
	out := make([]int64, count)
	one := float64(int(1) << places)
	var rounded [maxReach]float64
	for i := count - 1; i >= 0; i-- {
		v := f.half[i]
		for k := i + 1; k < count; k++ {
			v -= f.factor[k][i] * rounded[k]
		}
		c := math.Round(v / f.factor[i][i] * one)
		c = max(-1<<20, min(1<<20, c))
		out[i], rounded[i] = int64(c), c/one
	}
	return out
}
