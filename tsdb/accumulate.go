package tsdb

// accumulator joins days and stretches of samples, in order.
type accumulator struct {
	op    FoldOp
	mixed bool // there are days, and not just one stretch of samples
	best  *day
	n     int64
	value float64
	sum   float64 // with c, of sums and averages
	c     float64
	parts int
}

func (a *accumulator) day(d day) {
	if d.count > 0 {
		a.part(d.count, d.value)
	}
}

// samples adds values; alone in a window they are reduced as everywhere else.
func (a *accumulator) samples(values []float64) {
	if len(values) == 0 {
		return
	}
	if !a.mixed {
		a.n, a.value = int64(len(values)), reducer(a.op)(values)
		return
	}
	op := a.op
	if op == FoldAvg {
		op = FoldSum
	}
	a.part(int64(len(values)), reducer(op)(values))
}

// result returns how many samples there were and what they come to.
func (a *accumulator) result() (int64, float64) {
	if a.n == 0 || !a.mixed {
		return a.n, a.value
	}
	sum := a.sum
	if a.c == a.c {
		sum += a.c
	}
	switch a.op {
	case FoldCount:
		return a.n, float64(a.n)
	case FoldSum:
		return a.n, sum
	case FoldAvg:
		return a.n, sum / float64(a.n)
	}
	return a.n, a.value
}

func (a *accumulator) part(n int64, v float64) {
	a.parts++
	a.n += n
	switch a.op {
	case FoldSum, FoldAvg:
		a.sum, a.c = plus(v, a.sum, a.c)
	case FoldFirst:
		if a.parts == 1 {
			a.value = v
		}
	case FoldLast:
		a.value = v
	case FoldMin:
		if a.parts == 1 || v < a.value || a.value != a.value {
			a.value = v
		}
	case FoldMax:
		if a.parts == 1 || v > a.value || a.value != a.value {
			a.value = v
		}
	}
}
