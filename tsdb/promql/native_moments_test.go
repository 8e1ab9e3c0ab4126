package promql

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"quantrac"
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
	used := 0
	for range 3000 {
		n := 2 + rnd.IntN(60)
		times, values := make([]quantrac.Millis, n), make([]float64, n)
		kind, step, at := kinds[rnd.IntN(len(kinds))], between[rnd.IntN(len(between))], quantrac.Millis(rnd.Int64N(1<<41))
		for i := range values {
			times[i], values[i] = at, kind()
			at += step()
		}
		m.set(times, values)
		for range 10 {
			lo := rnd.IntN(n - 1)
			hi := lo + 2 + rnd.IntN(n-lo-1)
			if !m.inSeconds(lo, hi) {
				continue
			}
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
	if used < 10_000 {
		t.Errorf("only %d of 30000 windows were summed up", used)
	}
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
