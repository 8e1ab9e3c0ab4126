package promql

import (
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/prometheus/prometheus/util/kahansum"
)

// TestTotals: sums over windows are the exact ones, rounded once, which is what
// compensated sums come to.
func TestTotals(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 8))
	kinds := []func() float64{
		func() float64 { return math.Round(rnd.NormFloat64()*1000) / 1000 },
		func() float64 { return float64(rnd.IntN(5)) / 10 },
		func() float64 { return rnd.NormFloat64() },
		func() float64 { return math.Ldexp(rnd.NormFloat64(), rnd.IntN(30)) },
		func() float64 { return -math.Ldexp(1+rnd.Float64(), rnd.IntN(2)*20) },
		func() float64 { return math.Copysign(0, rnd.NormFloat64()) },
		func() float64 { return math.Ldexp(rnd.NormFloat64(), rnd.IntN(200)) }, // mostly not of a size
		func() float64 { return []float64{1, math.NaN(), math.Inf(1), 5e-324}[rnd.IntN(4)] },
	}
	var sums totals
	used := 0
	for range 4000 {
		values := make([]float64, 1+rnd.IntN(60))
		kind := kinds[rnd.IntN(len(kinds))]
		for i := range values {
			values[i] = kind()
		}
		if sums.set(values); !sums.ok {
			continue
		}
		used++
		for range 10 {
			lo := rnd.IntN(len(values))
			hi := lo + 1 + rnd.IntN(len(values)-lo)
			want := new(big.Float).SetPrec(4000)
			var y, c float64
			for _, v := range values[lo:hi] {
				want.Add(want, new(big.Float).SetFloat64(v))
				y, c = kahansum.Inc(v, y, c)
			}
			exactly, _ := want.Float64()
			got := sums.of(lo, hi)
			if math.Float64bits(got) != math.Float64bits(y+c) || got != exactly {
				t.Fatalf("%v from %d to %d: %v, compensated %v, exactly %v", values, lo, hi, got, y+c, exactly)
			}
		}
	}
	if used < 2500 {
		t.Errorf("only %d of 4000 lists were of a size", used)
	}
}
