package promql

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"quantrac"
	"quantrac/tsdb"
)

// TestSlopes: the slope of a window is the exact one but for its last places, whatever
// lies before the window.
func TestSlopes(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 8))
	kinds := []func() float64{
		func() float64 { return math.Round(rnd.NormFloat64()*1000) / 1000 },
		func() float64 { return float64(rnd.IntN(5)) / 10 },
		func() float64 { return 1e6 + rnd.NormFloat64() },
		func() float64 { return math.Ldexp(rnd.NormFloat64(), rnd.IntN(30)) },
		func() float64 { return -math.Ldexp(1+rnd.Float64(), rnd.IntN(2)*20) },
		func() float64 { return math.Copysign(0, rnd.NormFloat64()) },
		func() float64 { return math.Ldexp(rnd.NormFloat64(), rnd.IntN(200)) }, // mostly not of a size
		func() float64 { return []float64{1, math.NaN(), math.Inf(1), 5e-324}[rnd.IntN(4)] },
	}
	between := []func() quantrac.Millis{
		func() quantrac.Millis { return 600_000 },
		func() quantrac.Millis { return quantrac.Millis(1+rnd.IntN(900)) * 1000 },
		func() quantrac.Millis { return quantrac.Millis(1 + rnd.IntN(20)/19*999 + 999) },
		func() quantrac.Millis { return 300_000_000 }, // soon too far apart
	}
	var m moments
	used, even := 0, 0
	for range 4000 {
		n := 2 + rnd.IntN(60)
		if rnd.IntN(50) == 0 {
			n *= 10 // often too many for 64 bits
		}
		times, values := make([]quantrac.Millis, n), make([]float64, n)
		kind, step, at := kinds[rnd.IntN(len(kinds))], between[rnd.IntN(len(between))], quantrac.Millis(rnd.Int64N(1<<41))
		for i := range values {
			times[i], values[i] = at, kind()
			at += step()
		}
		width := 1000 + quantrac.Millis(rnd.Int64N(int64(times[n-1]-times[0]+1)))
		apart := quantrac.Millis(1 + rnd.Int64N(3*int64(width)))
		if rnd.IntN(2) == 0 { // windows that start where others end
			apart = width / quantrac.Millis(1+rnd.IntN(9))
			width -= width % apart
		}
		if m.size(values) {
			m.sum(times, values)
		}
		even += sameSlopes(t, &m, times, values, apart, width)
		for range 10 {
			lo := rnd.IntN(n - 1)
			hi := lo + 2 + rnd.IntN(n-lo-1)
			got, ok := m.slope(lo, hi)
			if !ok {
				continue
			}
			used++
			exactly := exactSlope(times[lo:hi], values[lo:hi])
			off := new(big.Rat).Sub(new(big.Rat).SetFloat64(got), exactly)
			most := new(big.Rat).Mul(new(big.Rat).Abs(exactly), new(big.Rat).SetFloat64(0x1p-51))
			if off.Abs(off).Cmp(most) > 0 {
				want, _ := exactly.Float64()
				t.Fatalf("%v at %v: %v, exactly %v", values[lo:hi], times[lo:hi], got, want)
			}
		}
	}
	if used < 10_000 || even < 5000 {
		t.Errorf("only %d of 40000 windows were summed up, and %d of even series", used, even)
	}
}

// sameSlopes wants the slopes of an even series' windows to be those of the windows by
// themselves, and returns how many there are.
func sameSlopes(t *testing.T, m *moments, times []quantrac.Millis, values []float64, step, width quantrac.Millis) (n int) {
	const windows = 50
	w := window{times: times, values: values}
	out := tsdb.Folded{Counts: make([]uint32, windows), Values: make([]float64, windows)}
	for k := range out.Counts {
		out.Counts[k] = 7 // of the series before
	}
	first, widest := times[0]-width, 0
	if !m.size(values) || !m.slopes(&out, times, values, first, step, width) {
		return 0
	}
	for k := range windows {
		w.move(first+quantrac.Millis(k)*step, width)
		widest = max(widest, w.hi-w.lo)
		want, count := 0.0, uint32(0)
		if w.hi-w.lo > 1 {
			var ok bool
			if want, ok = m.slope(w.lo, w.hi); !ok {
				t.Fatalf("%v at %v: no slope by itself", values, times)
			}
			count = 1
			n++
		}
		if out.Counts[k] != count || count > 0 && math.Float64bits(out.Values[k]) != math.Float64bits(want) {
			t.Fatalf("%v at %v, window %d: %d slopes, %v, want %d, %v", values, times, k, out.Counts[k], out.Values[k], count, want)
		}
	}
	if last := w.hi - w.lo; out.Widest != widest || out.Last != last {
		t.Fatalf("%v: %d samples at most and %d at last, want %d and %d", times, out.Widest, out.Last, widest, last)
	}
	return n
}

func exactSlope(times []quantrac.Millis, values []float64) *big.Rat {
	var x, y, xy, xx big.Rat
	for i, v := range values {
		at, value := big.NewRat(int64(times[i]-times[0]), 1000), new(big.Rat).SetFloat64(v)
		x.Add(&x, at)
		y.Add(&y, value)
		xy.Add(&xy, new(big.Rat).Mul(at, value))
		xx.Add(&xx, new(big.Rat).Mul(at, at))
	}
	n := big.NewRat(int64(len(values)), 1)
	covariance := new(big.Rat).Sub(new(big.Rat).Mul(n, &xy), new(big.Rat).Mul(&x, &y))
	variance := new(big.Rat).Sub(new(big.Rat).Mul(n, &xx), new(big.Rat).Mul(&x, &x))
	return covariance.Quo(covariance, variance)
}
