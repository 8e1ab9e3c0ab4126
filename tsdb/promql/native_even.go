package promql

import (
	"slices"

	"quantrac"
	"quantrac/tsdb"
)

// halves are sums like those of moments, in 64 bits: a value y in units is taken apart
// into upper<<halfBits + lower. They wrap around, and so do products of their
// differences; what a window comes to is right as long as that has room.
type halves struct {
	x, xx         uint64
	upper, xupper uint64
	lower, xlower uint64
}

const (
	halfBits = 27
	// evenSpread is by how many powers of two values may lie apart, so that in units they
	// have 63 bits.
	evenSpread = 63 - mantissaBits - 1
)

// slopes works out the slopes of the windows of a width that end at a time and every step
// after it, to the last bit as slope does, or says that the series is not an even one: not
// all of its samples are whole seconds apart, its values are not nearly of a size, or
// there are too many in a window.
func (m *moments) slopes(out *tsdb.Folded, times []quantrac.Millis, values []float64, end, step, width quantrac.Millis) bool {
	span := uint64(width / 1000)
	if span >= 1<<spanBits || m.spread > evenSpread || len(times) == 0 {
		return false
	}
	// Of n samples within so many seconds neither half comes to more than
	// n²·span·2^(halfBits+spread)/4, which is to be less than 2^62. The variance is less.
	fit := func(samples int) bool {
		n := min(uint64(samples), span+1) // there are no more that are seconds apart
		return n*n*(span+1) < 1<<(64-halfBits-m.spread)
	}
	starts, ends := m.windows(times, len(out.Counts), end, step, width)
	if !fit(len(times)) && !fit(widest(starts, ends)) || !m.halve(times, values) {
		return false
	}
	before, counts, slopes, unit := m.halves, out.Counts[:len(ends)], out.Values[:len(ends)], m.unit
	starts = starts[:len(ends)]
	most, last, shown := 0, 0, 0
	for k, hi := range ends {
		lo := starts[k]
		last = hi - lo
		most = max(most, last)
		if counts[k] = 0; last < 2 {
			continue
		}
		shown++
		a, b := &before[lo], &before[hi]
		n, x := uint64(last), b.x-a.x
		variance := int64(n*(b.xx-a.xx) - x*x)
		upper := int64(n*(b.xupper-a.xupper) - x*(b.upper-a.upper))
		lower := int64(n*(b.xlower-a.xlower) - x*(b.lower-a.lower))
		covariance := float64(upper)*(1<<halfBits) + float64(lower)
		if uint64((upper+1<<53)|(lower+1<<53)) >= 1<<54 { // one of them is rounded
			sum := whole{uint64(upper >> (64 - halfBits)), uint64(upper << halfBits)}.plus(whole{uint64(lower >> 63), uint64(lower)})
			covariance = sum.float()
		}
		counts[k], slopes[k] = 1, covariance*unit/float64(variance)
	}
	out.Widest, out.Last, out.Shown = most, last, shown
	return true
}

// halve sums up samples, if they are whole seconds apart.
func (m *moments) halve(times []quantrac.Millis, values []float64) bool {
	n := len(times)
	if (times[n-1]-times[0])%1000 != 0 { // as in most series that are not even
		return false
	}
	m.halves = slices.Grow(m.halves[:0], n+1)[:n+1]
	m.halves[0] = halves{}
	after := m.halves[1:][:n]
	values = values[:n]
	inUnits, first := 1/m.unit, times[0]
	var odd, x, xx, upper, xupper, lower, xlower uint64
	for i, t := range times {
		ms := uint64(t - first)
		at := ms / 1000
		odd |= ms - at*1000
		y := int64(values[i] * inUnits)
		u, l := uint64(y>>halfBits), uint64(y&(1<<halfBits-1))
		x, xx = x+at, xx+at*at
		upper, xupper = upper+u, xupper+at*u
		lower, xlower = lower+l, xlower+at*l
		next := &after[i]
		next.x, next.xx = x, xx
		next.upper, next.xupper = upper, xupper
		next.lower, next.xlower = lower, xlower
	}
	return odd == 0
}

// windows returns the first sample of each of n windows, and the one after its last.
func (m *moments) windows(times []quantrac.Millis, n int, end, step, width quantrac.Millis) (starts, ends []int) {
	if steps := width / step; steps*step == width && steps <= quantrac.Millis(n) {
		m.starts = positions(m.starts, times, n+int(steps), end-width, step)
		return m.starts[:n], m.starts[steps:] // a window starts where one before it ends
	}
	m.starts = positions(m.starts, times, n, end-width, step)
	m.ends = positions(m.ends, times, n, end, step)
	return m.starts, m.ends
}

// widest returns how many samples there are in the window that holds the most.
func widest(starts, ends []int) (most int) {
	for k, hi := range ends {
		most = max(most, hi-starts[k])
	}
	return most
}

// positions returns, in memory that is used again, how many samples there are up to each
// of n times.
func positions(out []int, times []quantrac.Millis, n int, at, step quantrac.Millis) []int {
	out = slices.Grow(out[:0], n)[:n]
	i := 0
	for k := range out {
		for i < len(times) && times[i] <= at {
			i++
		}
		out[k] = i
		at += step
	}
	return out
}
