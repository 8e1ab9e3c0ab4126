package tsdb

import (
	"math"

	"quantrac"
)

// manyWindows is how many windows a sample must lie in for the extremes to be
// kept from window to window; for fewer it is quicker to look through each.
const manyWindows = 24

// reducer returns what makes one value of the samples of a window, at least one.
func reducer(op FoldOp) func([]float64) float64 {
	switch op {
	case FoldMin:
		return least
	case FoldMax:
		return greatest
	case FoldSum:
		return sum
	case FoldAvg:
		return average
	case FoldFirst:
		return func(vs []float64) float64 { return vs[0] }
	case FoldLast:
		return func(vs []float64) float64 { return vs[len(vs)-1] }
	}
	return func(vs []float64) float64 { return float64(len(vs)) }
}

// skipNaN returns the values from the first that is a number on, the last one
// where none is.
func skipNaN(vs []float64) []float64 {
	for len(vs) > 1 && vs[0] != vs[0] {
		vs = vs[1:]
	}
	return vs
}

func least(vs []float64) float64 {
	vs = skipNaN(vs)
	m := vs[0]
	for _, v := range vs[1:] {
		if v < m {
			m = v
		}
	}
	return m
}

func greatest(vs []float64) float64 {
	vs = skipNaN(vs)
	m := vs[0]
	for _, v := range vs[1:] {
		if v > m {
			m = v
		}
	}
	return m
}

// extremes is Fold where every sample lies in many windows: the values that can
// still become the extreme of a window stand in a deque, the present one first.
func (w Windows) extremes(out *Folded, times []quantrac.Millis, values []float64, op FoldOp) bool {
	beats := func(a, b float64) bool { return a > b }
	if op == FoldMin {
		beats = func(a, b float64) bool { return a < b }
	}
	queue, head := out.deque[:0], 0
	lo, hi, any := 0, 0, false
	for k := range w.Count {
		from := hi
		lo, hi = w.advance(k, times, lo, hi)
		for i := from; i < hi; i++ {
			v := values[i]
			if v != v {
				continue
			}
			for len(queue) > head && beats(v, values[queue[len(queue)-1]]) {
				queue = queue[:len(queue)-1]
			}
			queue = append(queue, i)
		}
		for head < len(queue) && queue[head] < lo {
			head++
		}
		out.Counts[k] = uint32(hi - lo)
		switch {
		case lo == hi:
			continue
		case head < len(queue):
			out.Values[k] = values[queue[head]]
		default: // not a number among them
			out.Values[k] = values[hi-1]
		}
		any = true
	}
	out.deque = queue
	return any
}

// plus adds v to a sum and to c what rounding has cut off, which can be had
// exactly and without a branch (Knuth). Where a sum overflows, or something is
// not finite, c becomes NaN: compensated is the form for those.
func plus(v, sum, c float64) (float64, float64) {
	t := sum + v
	b := t - sum
	return t, c + ((sum - (t - b)) + (v - b))
}

// compensated adds v to a sum as Prometheus' kahansum.Inc does. Conversions
// keep the compiler from joining a product of the caller's with these sums.
func compensated(v, sum, c float64) (float64, float64) {
	v, sum, c = float64(v), float64(sum), float64(c)
	t := sum + v
	switch {
	case math.IsInf(t, 0):
		c = 0
	case math.Abs(sum) >= math.Abs(v):
		c += (sum - t) + v
	default:
		c += (v - t) + sum
	}
	return float64(t), float64(c)
}

func sum(vs []float64) float64 {
	var s, c float64
	for _, v := range vs {
		s, c = plus(v, s, c)
	}
	if c == c {
		return s + c
	}
	s, c = 0, 0
	for _, v := range vs {
		s, c = compensated(v, s, c)
	}
	if math.IsInf(s, 0) {
		return s
	}
	return s + c
}

func average(vs []float64) float64 {
	s, c := vs[0], 0.0
	for _, v := range vs[1:] {
		s, c = plus(v, s, c)
	}
	if n := float64(len(vs)); c == c {
		return s/n + c/n
	}
	return averageFar(vs)
}

// averageFar is the average of values whose sum overflows or that are not all
// finite: a sum as long as it goes, from there on a mean that is moved.
func averageFar(vs []float64) float64 {
	s, c, n := vs[0], 0.0, 1.0
	for i, v := range vs[1:] {
		n = float64(i + 2)
		t, tc := compensated(v, s, c)
		if math.IsInf(t, 0) {
			return movedMean(s/(n-1), c/(n-1), vs[i+1:], n)
		}
		s, c = t, tc
	}
	return s/n + c/n
}

// movedMean moves a mean by further values, the first of which is the n-th.
func movedMean(mean, c float64, vs []float64, n float64) float64 {
	for _, v := range vs {
		q := (n - 1) / n
		mean, c = compensated(v/n, q*mean, q*c)
		n++
	}
	return mean + c
}
