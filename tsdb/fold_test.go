package tsdb_test

import (
	"context"
	"math"
	"math/rand/v2"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

const staleMarker = 0x7ff0000000000002

// columns makes a random series; the kind of values is one for all, or mixed.
func columns(rnd *rand.Rand) *tsdb.Series {
	s := &tsdb.Series{Labels: quantrac.NewLabels("__name__", "a")}
	kinds := []func() float64{
		func() float64 { return float64(rnd.IntN(2000)) / 1000 },
		func() float64 { return rnd.NormFloat64() * math.Pow(10, float64(rnd.IntN(40)-20)) },
		func() float64 { return []float64{0, math.Copysign(0, -1), 1, -1}[rnd.IntN(4)] },
		func() float64 { return []float64{math.MaxFloat64, -math.MaxFloat64, 1e308, 3}[rnd.IntN(4)] },
		func() float64 { return []float64{math.NaN(), 1, 2}[rnd.IntN(3)] },
		func() float64 { return []float64{math.Inf(1), math.Inf(-1), 5, 7, 9, 11}[rnd.IntN(6)] },
		func() float64 { return []float64{math.Float64frombits(staleMarker), math.NaN(), 4}[rnd.IntN(3)] },
	}
	kind := rnd.IntN(len(kinds) + 1)
	at := quantrac.Millis(rnd.IntN(40))
	for range rnd.IntN(120) {
		k := kind
		if k == len(kinds) {
			k = rnd.IntN(len(kinds))
		}
		s.Times, s.Values = append(s.Times, at), append(s.Values, kinds[k]())
		s.Qualities = append(s.Qualities, quantrac.Good)
		at += quantrac.Millis(1 + rnd.IntN([]int{2, 5, 60}[rnd.IntN(3)]))
	}
	return s
}

// add is Prometheus' step of a compensated sum.
func add(v, sum, c float64) (float64, float64) {
	t := sum + v
	switch {
	case math.IsInf(t, 0):
		return t, 0
	case math.Abs(sum) >= math.Abs(v):
		return t, c + ((sum - t) + v)
	}
	return t, c + ((v - t) + sum)
}

// plainly is what an op makes of samples, one PromQL function after the other.
func plainly(op tsdb.FoldOp, vs []float64) float64 {
	switch op {
	case tsdb.FoldMin, tsdb.FoldMax:
		m := vs[0]
		for _, v := range vs {
			if op == tsdb.FoldMax && v > m || op == tsdb.FoldMin && v < m || math.IsNaN(m) {
				m = v
			}
		}
		return m
	case tsdb.FoldSum:
		var sum, c float64
		for _, v := range vs {
			sum, c = add(v, sum, c)
		}
		if math.IsInf(sum, 0) {
			return sum
		}
		return sum + c
	case tsdb.FoldAvg:
		return plainAverage(vs)
	case tsdb.FoldFirst:
		return vs[0]
	case tsdb.FoldLast:
		return vs[len(vs)-1]
	}
	return float64(len(vs))
}

func plainAverage(vs []float64) float64 {
	sum, count, mean, c, moved := vs[0], 1.0, 0.0, 0.0, false
	for i, v := range vs[1:] {
		count = float64(i + 2)
		if !moved {
			s, sc := add(v, sum, c)
			if !math.IsInf(s, 0) {
				sum, c = s, sc
				continue
			}
			moved, mean, c = true, sum/(count-1), c/(count-1)
		}
		q := (count - 1) / count
		mean, c = add(v/count, float64(q*mean), float64(q*c))
	}
	if moved {
		return mean + c
	}
	return sum/count + c/count
}

// TestFoldColumns compares with each window looked at by itself.
func TestFoldColumns(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 9))
	var out tsdb.Folded
	shown := 0
	for n := range 4000 {
		s := columns(rnd)
		w := tsdb.Windows{
			First: quantrac.Millis(rnd.IntN(300) - 100), Step: quantrac.Millis(1 + rnd.IntN([]int{3, 80}[n%2])),
			Width: quantrac.Millis(1 + rnd.IntN([]int{30, 400}[rnd.IntN(2)])), Count: rnd.IntN(90),
		}
		op := tsdb.FoldOp(n % 7)
		any := w.Fold(&out, s, op)
		if len(out.Counts) != w.Count || len(out.Values) != w.Count {
			t.Fatalf("%+v: %d counts, %d values", w, len(out.Counts), len(out.Values))
		}
		for k := range w.Count {
			end := w.First + quantrac.Millis(k)*w.Step
			var in []float64
			for i, at := range s.Times {
				if at > end-w.Width && at <= end && math.Float64bits(s.Values[i]) != staleMarker {
					in = append(in, s.Values[i])
				}
			}
			if int(out.Counts[k]) != len(in) {
				t.Fatalf("op %d, %+v, %v: window %d has %d, want %d", op, w, s.Times, k, out.Counts[k], len(in))
			}
			if len(in) == 0 {
				continue
			}
			if !any {
				t.Fatalf("%+v of %v says there is nothing", w, s.Times)
			}
			shown++
			want := plainly(op, in)
			if math.Float64bits(out.Values[k]) != math.Float64bits(want) && !(want != want && out.Values[k] != out.Values[k] && (op == tsdb.FoldSum || op == tsdb.FoldAvg)) {
				t.Fatalf("op %d of %v is %v, want %v", op, in, out.Values[k], want)
			}
		}
	}
	if shown < 10_000 {
		t.Errorf("only %d windows had samples", shown)
	}
}

func TestFoldWindows(t *testing.T) {
	db, _ := openDB(t, vfs.NewMem(), quantrac.NewManualClock(workStart+1<<40), tsdb.Options{})
	ctx := context.Background()
	for _, w := range []tsdb.Windows{{Width: 0, Count: 1}, {Width: 1, Count: -1}, {Width: 1, Count: 2}} {
		for f, err := range db.Fold(ctx, tsdb.Query{}, w, tsdb.FoldMax) {
			if f != nil || quantrac.KindOf(err) != quantrac.Invalid {
				t.Errorf("%+v: %v, %v", w, f, err)
			}
		}
	}
}
