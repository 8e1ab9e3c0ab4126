package promql

import (
	"math"
	"math/bits"
	"slices"
)

// totals sums up values over any window, as a compensated sum of them does: exactly,
// and rounded once. A float64 is a whole number of units in its last place; in the
// units of the smallest value the others are whole numbers too, and 128 bits hold
// sums of all of them as long as they are of a size.
type totals struct {
	hi   []int64 // of the values before each, and one after the last
	lo   []uint64
	unit float64
	ok   bool // else the values are not of a size, or not finite
}

const (
	mantissaBits = 52
	exponentMask = 0x7ff

	// maxSpread is by how many powers of two values may lie apart. The errors that
	// a compensated sum adds up stay exact below it.
	maxSpread = 40
	// Exponents, as they are stored, between which neither units nor sums leave the
	// range of normal numbers.
	minExponent, maxExponent = 256, 1792
)

// set sums the values of a series up.
func (t *totals) set(values []float64) {
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
	t.ok = least >= minExponent && greatest <= maxExponent && greatest-least <= maxSpread
	if !t.ok {
		return
	}
	t.unit = math.Float64frombits((least - mantissaBits) << mantissaBits)
	n := len(values) + 1
	t.hi, t.lo = slices.Grow(t.hi[:0], n)[:n], slices.Grow(t.lo[:0], n)[:n]
	var hi, lo uint64
	t.hi[0], t.lo[0] = 0, 0
	for i, v := range values {
		if b := math.Float64bits(v); v != 0 {
			m := b&(1<<mantissaBits-1) | 1<<mantissaBits
			shift := b>>mantissaBits&exponentMask - least
			var carry uint64
			if b>>63 == 0 {
				lo, carry = bits.Add64(lo, m<<shift, 0)
				hi, _ = bits.Add64(hi, m>>(64-shift), carry)
			} else {
				lo, carry = bits.Sub64(lo, m<<shift, 0)
				hi, _ = bits.Sub64(hi, m>>(64-shift), carry)
			}
		}
		t.hi[i+1], t.lo[i+1] = int64(hi), lo
	}
}

// of returns the sum of the values from lo to before hi.
func (t *totals) of(lo, hi int) float64 {
	l, borrow := bits.Sub64(t.lo[hi], t.lo[lo], 0)
	h, _ := bits.Sub64(uint64(t.hi[hi]), uint64(t.hi[lo]), borrow)
	unit := t.unit
	if int64(h) < 0 {
		l, borrow = bits.Sub64(0, l, 0)
		h, _ = bits.Sub64(0, h, borrow)
		unit = -unit
	}
	if h == 0 {
		return float64(l) * unit
	}
	// The upper 64 bits; of the others only whether there are any can matter to how
	// these are rounded.
	z := uint(bits.LeadingZeros64(h))
	top := h<<z | l>>(64-z)
	if l<<z != 0 {
		top |= 1
	}
	return float64(top) * float64(uint64(1)<<(63-z)) * 2 * unit
}
