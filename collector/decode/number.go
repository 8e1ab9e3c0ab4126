package decode

import (
	"encoding/binary"
	"math"
	"math/bits"
	"strconv"
)

const (
	ones = 0x0101010101010101
	high = 0x80 * ones
)

// value reads the field value at b[i:] as the library does, and returns where
// it ends; -1 for what is none of the plain forms: decimals, integers with i or
// u, booleans. It looks at eight bytes at once for a number shorter than that:
// numbers of instruments have changing lengths, and a loop over their digits
// would be guessed wrongly by the processor each time.
func value(b []byte, i int) (float64, int) {
	if i+9 > len(b) {
		return anyValue(b, i)
	}
	start := i
	if b[i] == '-' {
		start++
	}
	text := binary.LittleEndian.Uint64(b[start:])
	digits, others := figures(text)
	whole := bits.TrailingZeros64(others) >> 3
	n, point := whole, 0
	if byte(text>>(8*whole&63)) == '.' {
		n, point = bits.TrailingZeros64(others&(others-1))>>3, 1
	}
	decimals := n - whole - point
	if whole == 0 || n == 8 || point > decimals || b[start+n] > '9' {
		return anyValue(b, i)
	}
	before := uint64(1)<<(8*whole&63) - 1
	digits = digits&before | digits>>(8*point)&^before
	v := float64(eight(digits<<(8*(8-n+point)&63))) / exactTens[decimals&7]
	if start > i {
		v = -v
	}
	return v, start + n
}

// anyValue is value for numbers of any length, at the end of the payload too.
func anyValue(b []byte, i int) (float64, int) {
	if i >= len(b) {
		return 0, -1
	}
	switch c := b[i]; {
	case c >= '0' && c <= '9':
		return unsigned(b, i)
	case c == '-' && i+1 < len(b) && b[i+1] >= '0' && b[i+1] <= '9':
		v, end := unsigned(b, i+1)
		return negate(b, v, end)
	}
	return boolean(b, i)
}

// negate gives a number its sign. There is no negative zero among integers, nor
// a sign among unsigned ones.
func negate(b []byte, v float64, end int) (float64, int) {
	if end < 0 || b[end-1] == 'u' {
		return 0, -1
	}
	if v == 0 && b[end-1] == 'i' {
		return 0, end
	}
	return -v, end
}

// exactTens are the powers of ten that a float64 holds exactly. A quotient of
// two exact numbers is rounded once and thus the nearest float64, which is what
// strconv makes of the same text.
var exactTens = [...]float64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

var tens = [...]uint64{1, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10, 1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19}

// figures makes of each byte of a text the value of its digit, and sets the
// highest bit of each byte of others that has not been one.
func figures(text uint64) (digits, others uint64) {
	digits = text ^ '0'*ones
	return digits, ((digits&^high + 0x76*ones) | digits) & high
}

// eight is the number of eight digits, the first in the lowest byte.
func eight(d uint64) uint64 {
	d = d*10 + d>>8
	const mask = 0x000000FF000000FF
	return ((d&mask)*(100+1000000<<32) + (d>>16&mask)*(1+10000<<32)) >> 32
}

// unsigned reads a number without a sign that begins with a digit.
func unsigned(b []byte, i int) (float64, int) {
	start := i
	m, i := digits(b, i, 0)
	n := i - start
	decimals := 0
	if i < len(b) && b[i] == '.' {
		point := i
		m, i = digits(b, i+1, m)
		if decimals = i - point - 1; decimals == 0 {
			return 0, -1
		}
	}
	n += decimals
	power := i < len(b) && b[i]|0x20 == 'e'
	switch {
	case n > 19 || power:
		return foreign(b, start, i, power)
	case m < 1<<53:
		return suffixed(b, i, float64(m)/exactTens[decimals], decimals > 0)
	case decimals > 0:
		return quotient(m, tens[decimals]), i
	}
	return foreign(b, start, i, power)
}

// quotient is the float64 nearest to m/n: 64 bits of it by a long division, the
// last one set where something remains, which settles how they are rounded.
func quotient(m, n uint64) float64 {
	up, down := bits.LeadingZeros64(m), bits.LeadingZeros64(n)
	m <<= up
	q, rest := bits.Div64(m>>1, m<<63, n<<down)
	if rest != 0 {
		q |= 1
	}
	scale := math.Float64frombits(uint64(1023-63-up+down) << 52)
	return float64(q) * scale
}

// digits reads digits behind those of m; 19 of them cannot overflow it.
func digits(b []byte, i int, m uint64) (uint64, int) {
	for ; i+8 <= len(b); i += 8 {
		d, others := figures(binary.LittleEndian.Uint64(b[i:]))
		if others != 0 {
			break
		}
		m = m*1e8 + eight(d)
	}
	for ; i < len(b); i++ {
		c := b[i] - '0'
		if c > 9 {
			break
		}
		m = m*10 + uint64(c)
	}
	return m, i
}

// suffixed takes the letter that makes a number an integer.
func suffixed(b []byte, i int, v float64, decimals bool) (float64, int) {
	if i < len(b) && (b[i] == 'i' || b[i] == 'u') {
		if decimals {
			return 0, -1
		}
		i++
	}
	return v, i
}

// foreign leaves a float whose digits end at i to strconv, its power of ten
// included. Of integers that long it takes none.
func foreign(b []byte, start, i int, power bool) (float64, int) {
	if power {
		if i++; i < len(b) && (b[i] == '-' || b[i] == '+') {
			i++
		}
		_, i = digits(b, i, 0)
	}
	if i < len(b) && (b[i] == 'i' || b[i] == 'u') {
		return 0, -1
	}
	v, err := strconv.ParseFloat(string(b[start:i]), 64)
	if err != nil {
		return 0, -1
	}
	return v, i
}

// boolean reads one of the words that the library takes for a boolean.
func boolean(b []byte, i int) (float64, int) {
	end, most := i, min(len(b), i+len("false"))
	for end < most && b[end]|0x20 >= 'a' && b[end]|0x20 <= 'z' {
		end++
	}
	switch string(b[i:end]) {
	case "t", "T", "true", "True", "TRUE":
		return 1, end
	case "f", "F", "false", "False", "FALSE":
		return 0, end
	}
	return 0, -1
}
