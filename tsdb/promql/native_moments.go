package promql

import (
	"math"
	"math/bits"
	"slices"

	"quantrac"
)

// moments sum up a series so that the regression line through any of its windows
// follows from what was summed up before the window and at its end, however many
// samples lie between: exactly, in whole numbers, rounded when the slope is known.
//
// Times are taken in whole seconds, as they almost always are apart. A float64 is a
// whole number of units in its last place; in the units of the smallest value the
// others are whole numbers too, and 128 bits hold sums of products of both.
type moments struct {
	seconds []int64 // since the first, as far as they are whole
	// since[i] is the first sample from which on all up to i are whole seconds
	// apart.
	since  []int
	before []sums  // of the samples before each, and one after the last
	unit   float64 // of values
	spread int     // by how many powers of two values lie apart
	ok     bool    // else the values are not of a size, or not finite

	// Of even series, see slopes:
	halves       []halves // of the samples before each, and one after the last
	starts, ends []int    // of windows
}

// sums are those of times x in seconds, of values y in units, and of their products.
// They may wrap around; their differences do not.
type sums struct {
	x, xx uint64
	y, xy whole
}

const (
	mantissaBits = 52
	exponentMask = 0x7ff

	// maxSpread is by how many powers of two values may lie apart.
	maxSpread = 40
	// Exponents, as they are stored, between which neither units nor sums leave the
	// range of normal numbers.
	minExponent, maxExponent = 256, 1792
	// spanBits bounds the seconds from the first sample of a window to its last.
	spanBits = 20
)

// sum sums a series up whose values are of a size.
func (m *moments) sum(times []quantrac.Millis, values []float64) {
	n := len(times)
	m.seconds, m.since = slices.Grow(m.seconds[:0], n)[:n], slices.Grow(m.since[:0], n)[:n]
	m.before = slices.Grow(m.before[:0], n+1)[:n+1]
	m.before[0] = sums{}
	m.sumTimes(times)
	m.sumValues(values)
}

// sumTimes sums up times.
func (m *moments) sumTimes(times []quantrac.Millis) {
	if len(times) == 0 {
		return
	}
	from, at := 0, int64(0)
	last := times[0]
	var x, xx uint64
	seconds, since, after := m.seconds[:len(times)], m.since[:len(times)], m.before[1:][:len(times)]
	for i, t := range times {
		between := int64(t - last)
		last = t
		sec := between / 1000
		if sec*1000 != between {
			from = i
		}
		at += sec
		seconds[i], since[i] = at, from
		x, xx = x+uint64(at), xx+uint64(at*at)
		after[i].x, after[i].xx = x, xx
	}
}

// sumValues sums up values, and their products with the times that have been.
func (m *moments) sumValues(values []float64) {
	least := math.Float64bits(m.unit)>>mantissaBits + mantissaBits
	var y, xy whole
	seconds, after := m.seconds[:len(values)], m.before[1:][:len(values)]
	for i, v := range values {
		if v != 0 {
			v := wholeOf(v, least)
			y, xy = y.plus(v), xy.plus(v.times(uint64(seconds[i])))
		}
		next := &after[i]
		next.y.hi, next.y.lo, next.xy.hi, next.xy.lo = y.hi, y.lo, xy.hi, xy.lo
	}
}

// fits says whether sums of windows of n samples keep within 128 bits.
func (m *moments) fits(n uint64) bool {
	return 2*bits.Len64(n)+m.spread+mantissaBits+1+spanBits <= 126
}

// size finds the unit of the values of another series, and says whether they are of a size.
func (m *moments) size(values []float64) bool {
	least, greatest := uint64(math.MaxUint64), uint64(0)
	for _, v := range values {
		size := math.Float64bits(v) << 1
		least, greatest = min(least, size-1), max(greatest, size) // a 0 is not the least
	}
	from, to := (least+1)>>(mantissaBits+1), greatest>>(mantissaBits+1)
	if greatest == 0 {
		from, to = minExponent, minExponent
	}
	if m.ok = from >= minExponent && to <= maxExponent && to-from <= maxSpread; !m.ok {
		return false
	}
	m.unit, m.spread = math.Float64frombits((from-mantissaBits)<<mantissaBits), int(to-from)
	return true
}

// inSeconds says whether the samples from lo to before hi are whole seconds apart, and
// not too many.
func (m *moments) inSeconds(lo, hi int) bool {
	return m.since[hi-1] <= lo && m.seconds[hi-1]-m.seconds[lo] <= 1<<spanBits
}

// slope returns the slope per second of the regression line through the samples from lo
// to before hi, which are at least two: exact but for three roundings. ok is false where
// sums may go beyond 128 bits, or samples are not inSeconds.
func (m *moments) slope(lo, hi int) (slope float64, ok bool) {
	n := uint64(hi - lo)
	if !m.ok || !m.inSeconds(lo, hi) || !m.fits(n) {
		return 0, false
	}
	first := uint64(m.seconds[lo])
	a, b := &m.before[lo], &m.before[hi]
	y := b.y.minus(a.y)
	xy := b.xy.minus(a.xy).minus(y.times(first)) // counted from the first of them
	x := b.x - a.x
	xx := b.xx - a.xx - 2*first*x + n*first*first
	x -= n * first
	covariance := xy.times(n).minus(y.times(x))
	variance := product(n, xx).minus(product(x, x))
	if variance.hi == 0 {
		return covariance.float() * m.unit / float64(variance.lo), true
	}
	return covariance.float() * m.unit / variance.float(), true
}

// whole is a whole number of 128 bits, in two's complement.
type whole struct{ hi, lo uint64 }

// wholeOf returns v, which is not 0, in units of the last place of numbers whose stored
// exponent is least.
func wholeOf(v float64, least uint64) whole {
	b := math.Float64bits(v)
	m, sign := int64(b&(1<<mantissaBits-1)|1<<mantissaBits), int64(b)>>63
	m = m ^ sign - sign
	shift := b>>mantissaBits&exponentMask - least // at most maxSpread
	return whole{uint64(m >> 1 >> (63 - shift&63)), uint64(m) << (shift & 63)}
}

func product(a, b uint64) whole {
	hi, lo := bits.Mul64(a, b)
	return whole{hi, lo}
}

func (a whole) plus(b whole) whole {
	lo, carry := bits.Add64(a.lo, b.lo, 0)
	hi, _ := bits.Add64(a.hi, b.hi, carry)
	return whole{hi, lo}
}

func (a whole) minus(b whole) whole {
	lo, borrow := bits.Sub64(a.lo, b.lo, 0)
	hi, _ := bits.Sub64(a.hi, b.hi, borrow)
	return whole{hi, lo}
}

// times returns a·n, n not taken for a negative number.
func (a whole) times(n uint64) whole {
	hi, lo := bits.Mul64(a.lo, n)
	return whole{hi + a.hi*n, lo}
}

// float returns the nearest float64, of a number of 127 bits at most.
func (a whole) float() float64 {
	sign := uint64(int64(a.hi) >> 63)
	a = whole{a.hi ^ sign, a.lo ^ sign}.minus(whole{sign, sign})
	power := uint64(1023 + 64)
	if a.hi == 0 {
		a.hi, a.lo, power = a.lo>>1, a.lo<<63, 1023+1
	}
	// The upper 63 bits; of the others only whether there are any can matter to how
	// these are rounded.
	z := bits.LeadingZeros64(a.hi<<1) & 63
	top := a.hi<<z | a.lo>>1>>(63-z)
	if a.lo<<z != 0 {
		top |= 1
	}
	return float64(int64(top)) * math.Float64frombits((power-uint64(z))<<mantissaBits|sign<<63)
}
