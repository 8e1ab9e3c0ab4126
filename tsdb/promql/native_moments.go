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

// set sums a series up.
func (m *moments) set(times []quantrac.Millis, values []float64) {
	n := len(times)
	m.seconds, m.since = slices.Grow(m.seconds[:0], n)[:n], slices.Grow(m.since[:0], n)[:n]
	m.before = slices.Grow(m.before[:0], n+1)[:n+1]
	m.ok = m.size(values)
	least := math.Float64bits(m.unit)>>mantissaBits + mantissaBits
	m.before[0] = sums{}
	var x, xx uint64
	var y, xy whole
	from, at := 0, int64(0)
	for i, t := range times {
		if i > 0 {
			between := int64(t - times[i-1])
			seconds := between / 1000
			if seconds*1000 != between {
				from = i
			}
			at += seconds
		}
		m.seconds[i], m.since[i] = at, from
		x, xx = x+uint64(at), xx+uint64(at*at)
		if v := values[i]; m.ok && v != 0 {
			v := wholeOf(v, least)
			y, xy = y.plus(v), xy.plus(v.times(uint64(at)))
		}
		next := &m.before[i+1]
		next.x, next.xx = x, xx
		next.y.hi, next.y.lo, next.xy.hi, next.xy.lo = y.hi, y.lo, xy.hi, xy.lo
	}
}

// size finds the unit of values, and says whether they are of a size.
func (m *moments) size(values []float64) bool {
	least, greatest := uint64(exponentMask), uint64(0)
	for _, v := range values {
		if v != 0 {
			e := math.Float64bits(v) >> mantissaBits & exponentMask
			least, greatest = min(least, e), max(greatest, e)
		}
	}
	if least > greatest {
		least, greatest = minExponent, minExponent // all are 0
	}
	if least < minExponent || greatest > maxExponent || greatest-least > maxSpread {
		return false
	}
	m.unit, m.spread = math.Float64frombits((least-mantissaBits)<<mantissaBits), int(greatest-least)
	return true
}

// inSeconds says whether the samples from lo to before hi are whole seconds apart, and
// not too many.
func (m *moments) inSeconds(lo, hi int) bool {
	return m.since[hi-1] <= lo && m.seconds[hi-1]-m.seconds[lo] <= 1<<spanBits
}

// slope returns the slope per second of the regression line through the samples from
// lo to before hi, which are inSeconds and at least two: the exact one but for three
// roundings. ok is false where that may go beyond 128 bits.
func (m *moments) slope(lo, hi int) (slope float64, ok bool) {
	n, first := uint64(hi-lo), uint64(m.seconds[lo])
	if !m.ok || 2*bits.Len64(n)+m.spread+mantissaBits+1+spanBits > 126 {
		return 0, false
	}
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
	shift := b>>mantissaBits&exponentMask - least
	return whole{uint64(m >> (64 - shift)), uint64(m) << shift}
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

// float returns the nearest float64.
func (a whole) float() float64 {
	sign := 1.0
	if int64(a.hi) < 0 {
		a, sign = whole{}.minus(a), -1
	}
	if a.hi == 0 {
		return sign * float64(a.lo)
	}
	// The upper 64 bits; of the others only whether there are any can matter to how
	// these are rounded.
	z := uint(bits.LeadingZeros64(a.hi))
	top := a.hi<<z | a.lo>>(64-z)
	if a.lo<<z != 0 {
		top |= 1
	}
	return sign * float64(top) * float64(uint64(1)<<(63-z)) * 2
}
