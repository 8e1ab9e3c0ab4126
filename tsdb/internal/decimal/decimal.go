// Package decimal turns float64 values that were written as short decimals
// (2.314, -0.05, 17) into a scaled integer and back without losing a bit.
//
// A value v is the decimal m/10^e when the correctly rounded quotient of the
// two exact numbers m and 10^e is v. Both are exact in a float64 for
// |m| ≤ 2^53 and e ≤ 22, so one division gives what parsing the decimal text
// would have given (W. D. Clinger, How to read floating point numbers
// accurately, PLDI 1990, §3). Everything else (NaN, infinities, −0, values with
// more digits) is not a decimal here and stays as bits.
//
// Pure functions, for the engine's journal payload and its column codecs.
package decimal

import "math"

// MaxExp is the largest exponent that is tried: a micrometre of water, a
// nanosecond of time.
const MaxExp = 9

// maxMantissa keeps the scaled value and its rounding exact in a float64: half
// a unit can still be added below it.
const maxMantissa = 1 << 52

var pow10 = [MaxExp + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9}

// Scale returns m with Value(m, e) equal to v bit for bit, and whether there
// is one.
func Scale(v float64, e int) (m int64, ok bool) {
	s := v * pow10[e]
	if !(s > -maxMantissa && s < maxMantissa) {
		return 0, false // also NaN
	}
	// Round half away from zero; the test below is what decides.
	if s < 0 {
		m = int64(s - 0.5)
	} else {
		m = int64(s + 0.5)
	}
	return m, math.Float64bits(float64(m)/pow10[e]) == math.Float64bits(v)
}

// Find returns the decimal of v with the smallest exponent from hint on, or
// from 0 where none of those fits.
func Find(v float64, hint int) (m int64, e int, ok bool) {
	for e = hint; e <= MaxExp; e++ {
		if m, ok = Scale(v, e); ok {
			return m, e, true
		}
	}
	for e = 0; e < hint; e++ {
		if m, ok = Scale(v, e); ok {
			return m, e, true
		}
	}
	return 0, 0, false
}

// Value returns m/10^e. It is defined for e up to MaxExp.
func Value(m int64, e int) float64 { return float64(m) / pow10[e] }

// Pow10 returns 10^e, for loops that divide a column.
func Pow10(e int) float64 { return pow10[e] }
