package codec

import (
	"math"
	"slices"
	"strconv"
)

// A scaling makes a float of a whole number m: m / 10^places, times a factor if
// there is one, rounded to a float32 if single; each step is rounded once as
// IEEE 754 has it. That is how stations make theirs: decimals, decimals sent as
// float32, decimals in another unit. Where a value is only near, because it was
// converted in other steps or printed in between, it is told apart by so many
// floats.
type scaling struct {
	places int
	factor float64 // 0 for none
	single bool
	near   bool
}

const (
	maxPlaces = 15
	maxNear   = 64 // floats

	// A whole number below this is exact in a float with its half.
	maxWhole   = 1 << 52
	singleBits = 1 << 24
)

// powers are exact.
var powers = [maxPlaces + 1]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15}

// value returns the float of m. The conversions keep a compiler from fusing
// what must be rounded twice.
func (s *scaling) value(m int64) float64 {
	v := float64(float64(m) / powers[s.places])
	if s.factor != 0 {
		v = float64(v * s.factor)
	}
	if s.single {
		v = float64(float32(v))
	}
	return v
}

// of returns the whole number whose float v is, and whether there is one.
func (s *scaling) of(v float64) (int64, bool) {
	x := v * powers[s.places]
	if s.factor != 0 {
		x /= s.factor
	}
	if !(x > -maxWhole && x < maxWhole) {
		return 0, false // also NaN
	}
	// Round half away from zero; the test below is what decides.
	m := int64(x + math.Copysign(0.5, x))
	if s.near {
		return m, magnitude(s.floats(v, m)) <= maxNear
	}
	return m, math.Float64bits(s.value(m)) == math.Float64bits(v)
}

// floats returns how many floats v is above that of m.
func (s *scaling) floats(v float64, m int64) int64 { return ordered(v, 0) - ordered(s.value(m), 0) }

// misfits counts the values that the scaling does not make.
func (s *scaling) misfits(vals []float64) int {
	n := 0
	for _, v := range vals {
		if _, ok := s.of(v); !ok {
			n++
		}
	}
	return n
}

// sampleScaling returns the decimal places of a sample.
func sampleScaling(vals []float64) scaling {
	const sample = 64
	var some [sample]float64
	for i := range some {
		some[i] = vals[i*len(vals)/sample]
	}
	return scaling{places: fewestPlaces(some[:], false)}
}

// findScaling returns the scaling that makes the most of the values, and how
// many it does not make.
func findScaling(vals []float64) (best scaling, misfits int) {
	best = scaling{places: fewestPlaces(vals, false)}
	if misfits = best.misfits(vals); misfits <= len(vals)/64 {
		return best, misfits
	}
	try := func(s scaling) {
		if n := s.misfits(vals); n < misfits {
			best, misfits = s, n
		}
	}
	if singles(vals) {
		try(scaling{places: fewestPlaces(vals, true), single: true})
	}
	if misfits > len(vals)/8 {
		if s, ok := findFactor(vals); ok {
			try(s)
		}
	}
	return best, misfits
}

// singles says whether nearly all values are float32.
func singles(vals []float64) bool {
	n := 0
	for _, v := range vals {
		if float64(float32(v)) == v {
			n++
		}
	}
	return n > len(vals)-len(vals)/8
}

// exceptionBits is about what a value takes that is told by itself, and
// placeBits what a decimal place more takes in every value that is not the same
// as the one before.
const (
	exceptionBits = 70
	placeBits     = 3.3
)

// fewestPlaces returns the decimal places that cost the least: a place more
// makes every difference longer, a place less leaves some values to be told
// by themselves.
func fewestPlaces(vals []float64, single bool) int {
	var need [maxPlaces + 1]int // values by the places they need
	hint, changes := 0, 0
	for i, v := range vals {
		if i > 0 && v != vals[i-1] {
			changes++
		}
		if e, ok := placesOf(v, hint, single); ok {
			need[e]++
			hint = e
		}
	}
	best, least, left := 0, math.Inf(1), 0
	for e := maxPlaces; e >= 0; e-- {
		cost := float64(left)*exceptionBits + float64(e)*placeBits*float64(changes)
		if cost < least {
			best, least = e, cost
		}
		left += need[e]
	}
	return best
}

// placesOf returns the fewest places that make v, looked for from hint on.
func placesOf(v float64, hint int, single bool) (int, bool) {
	s := scaling{places: hint, single: single}
	fits := func(e int) bool {
		s.places = e
		m, ok := s.of(v)
		return ok && (!single || m > -singleBits && m < singleBits)
	}
	e := hint
	for !fits(e) {
		if e++; e > maxPlaces {
			return 0, false
		}
	}
	for e > 0 && fits(e-1) {
		e--
	}
	return e, true
}

// findFactor looks for a factor that makes whole numbers, or decimals, of all
// values of a sample: of its greatest common divisor.
func findFactor(vals []float64) (scaling, bool) {
	sample := make([]float64, 0, 64)
	for i := range 64 {
		if v := math.Abs(vals[i*len(vals)/64]); v > 0 && v < 1e15 {
			sample = append(sample, v)
		}
	}
	if len(sample) < 8 {
		return scaling{}, false
	}
	unit := realDivisor(sample)
	most := slices.Max(sample)
	if !(unit > most*1e-7) {
		return scaling{}, false
	}
	unit = most / math.Round(most/unit) // as exact as the greatest value is
	for places := range 7 {
		f := unit * powers[places]
		for digits := 1; digits <= 17; digits++ {
			short, err := strconv.ParseFloat(strconv.FormatFloat(f, 'g', digits, 64), 64)
			if err != nil || math.Abs(short-f) > f*4e-15 {
				continue
			}
			s := scaling{places: places, factor: short}
			if s.misfits(sample) == 0 {
				return s, true
			}
		}
	}
	s := scaling{factor: unit, near: true}
	return s, s.misfits(sample) == 0
}

// realDivisor returns about the greatest number of which all values are
// multiples, by Euclid's algorithm with room for rounding. What remains of a
// value is as uncertain as the value; so after every value the divisor is made
// as exact as that again.
func realDivisor(vals []float64) float64 {
	d := 0.0
	for _, v := range vals {
		a, b := v, d
		for b > v*1e-9 {
			r := math.Mod(a, b)
			if r < b*1e-3 || b-r < b*1e-3 {
				r = 0
			}
			a, b = b, r
		}
		d = v / math.Round(v/a)
	}
	return d
}
