package promql

import (
	"encoding/binary"
	"math"
	"math/bits"
	"slices"
	"strconv"
)

// floatRoom is more than a float64 takes, with room to move digits about.
const floatRoom = 40

// appendFloat appends the shortest decimal that is read as v again.
func appendFloat(b []byte, v float64) []byte {
	b = slices.Grow(b, floatRoom)
	n := putFloat((*[floatRoom]byte)(b[len(b):len(b)+floatRoom]), v)
	return b[:len(b)+n]
}

// round added to a number below 2^51 and taken away again leaves the nearest whole one.
const round = 3 << 51

// putFloat writes the shortest decimal that is read as v again, and returns its
// length. Where v is some thousandths, as most readings are, that is the thousandths
// as they stand: of decimals of up to 15 digits no two are the same float64.
func putFloat(b *[floatRoom]byte, v float64) int {
	if n := float64(v*1000) + round - round; n/1000 == v && n != 0 && n < 1e15 && n > -1e15 {
		return putThousandths(b, int64(n))
	}
	abs, n := math.Abs(v), 0
	if d, exp, ok := shortest(abs); ok {
		if v < 0 {
			b[0], n = '-', 1
		}
		return putDigits(b, n, d, exp)
	}
	format := byte('f')
	if abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return len(strconv.AppendFloat(b[:0], v, format, -1, 64))
}

// fives are the powers of five below 2^63.
var fives = [...]uint64{
	1, 5, 25, 125, 625, 3125, 15625, 78125, 390625, 1953125, 9765625, 48828125, 244140625, 1220703125, 6103515625,
	30517578125, 152587890625, 762939453125, 3814697265625, 19073486328125, 95367431640625, 476837158203125,
	2384185791015625, 11920928955078125, 59604644775390625, 298023223876953125, 1490116119384765625, 7450580596923828125,
}

// shortest finds the shortest decimal d·10^exp that is read as v, and of those the
// nearest, by the Schubfach method (R. Giulietti, The Schubfach way to render doubles,
// 2020), which strconv's agrees with. d may end with zeros. It knows numbers from 2^-37
// to below 2^53 that are no powers of two: for those 10^-exp fits a word and all is
// exact.
func shortest(v float64) (d uint64, exp int, ok bool) {
	const fraction = 1<<52 - 1
	u := math.Float64bits(v)
	q := int(u>>52) - 1075
	c := u&fraction | (fraction + 1)
	if q < -89 || q > 0 || u&fraction == 0 {
		return 0, 0, false
	}
	k := q * 1262611 >> 22 // the whole part of log10(2^q)
	five, shift := fives[-k], uint(k-q)
	mid := scaled(4*c, five, shift)
	// The ends of what is read as v have more binary places than 10^k: they are no
	// candidates themselves, and need not be told from what lies within.
	low, high := scaled(4*c-2, five, shift), scaled(4*c+2, five, shift)
	// Of the tens around v at most one is read as v; else one of the ones is.
	ones := mid / 4
	tens := ones / 10
	if down, up := low <= 40*tens, 40*tens+40 <= high; down != up {
		if up {
			tens++
		}
		return tens, k + 1, true
	}
	down, up := low <= 4*ones, 4*ones+4 <= high
	if down == up {
		half := 4*ones + 2
		up = mid > half || mid == half && ones&1 == 1
	}
	if up {
		ones++
	}
	return ones, k, true
}

// scaled returns x·five/2^shift, with the last bit set where that is not whole.
func scaled(x, five uint64, shift uint) uint64 {
	hi, lo := bits.Mul64(x, five)
	out := hi<<(64-shift) | lo>>shift
	if lo&(1<<shift-1) != 0 {
		out |= 1
	}
	return out
}

// putDigits writes d·10^exp, d of up to 17 digits, from n on and returns the end. Digits
// are moved by a constant number of bytes, which needs no call; what is too many is
// written over.
func putDigits(b *[floatRoom]byte, n int, d uint64, exp int) int {
	const most = 16 // digits behind the first
	var text [floatRoom]byte
	upper, lower := d/1e8, d%1e8
	text[0] = byte('0' + upper/1e8)
	binary.LittleEndian.PutUint64(text[1:], eightDigits(upper%1e8))
	binary.LittleEndian.PutUint64(text[9:], eightDigits(lower))
	text[17], text[18] = '0', '0' // of numbers that end before their unit
	first, end := 0, 17
	for text[first] == '0' {
		first++
	}
	for text[end-1] == '0' {
		end--
	}
	digits := (*[most]byte)(text[first+1:])
	rest := end - first - 1   // digits behind the first
	point := exp + 16 - first // the exponent of the first
	switch {
	case point < -6:
		b[n], b[n+1] = text[first], '.'
		*(*[most]byte)(b[n+2:]) = *digits
		if n++; rest > 0 {
			n += 1 + rest
		}
		b[n], b[n+1], b[n+2], b[n+3] = 'e', '-', pairs[-2*point], pairs[-2*point+1]
		return n + 4
	case point < 0:
		*(*[8]byte)(b[n:]) = [8]byte{'0', '.', '0', '0', '0', '0', '0', '0'}
		n += 1 - point
		b[n] = text[first]
		*(*[most]byte)(b[n+1:]) = *digits
		return n + 1 + rest
	}
	b[n] = text[first]
	n++
	*(*[most]byte)(b[n:]) = *digits
	if point < rest {
		b[n+point] = '.'
		*(*[most]byte)(b[n+point+1:]) = *(*[most]byte)(text[first+1+point:])
		return n + rest + 1
	}
	return n + point // what has been cut off are zeros
}

// eightDigits returns the digits of a number below 10^8, the first in the lowest byte:
// two halves of four digits, four of two, eight of one, all at once.
func eightDigits(x uint64) uint64 {
	x = x/10000 | x%10000<<32
	hundreds := x * 10486 >> 20 & 0x7f0000007f
	x = hundreds | (x-100*hundreds)<<16
	tens := x * 103 >> 10 & 0x000f000f000f000f
	return tens | (x-10*tens)<<8 | 0x3030303030303030
}

// fourDigits is eightDigits of a number below 10^4.
func fourDigits(x uint64) uint64 {
	hundreds := x * 10486 >> 20
	x = hundreds | (x-100*hundreds)<<16
	tens := x * 103 >> 10 & 0x000f000f
	return tens | (x-10*tens)<<8 | 0x30303030
}

// putThousandths writes n/1000, where n is not 0, and returns its length.
func putThousandths(b *[floatRoom]byte, n int64) int {
	at := 0
	if n < 0 {
		b[0], at, n = '-', 1, -n
	}
	whole := uint64(n) / 1000
	rest := uint32(uint64(n) - whole*1000)
	switch {
	case whole < 10:
		b[at] = byte('0' + whole)
		at++
	case whole < 100:
		b[at], b[at+1] = pairs[2*whole], pairs[2*whole+1]
		at += 2
	default:
		at = len(strconv.AppendUint(b[:at], whole, 10))
	}
	if rest == 0 {
		return at
	}
	tenth := rest / 100
	pair := rest - tenth*100
	b[at], b[at+1], b[at+2], b[at+3] = '.', byte('0'+tenth), pairs[2*pair], pairs[2*pair+1]
	switch {
	case pair == 0:
		return at + 2
	case pair%10 == 0:
		return at + 3
	}
	return at + 4
}

// pairs are the numbers below 100 in two digits.
const pairs = "00010203040506070809" +
	"10111213141516171819" +
	"20212223242526272829" +
	"30313233343536373839" +
	"40414243444546474849" +
	"50515253545556575859" +
	"60616263646566676869" +
	"70717273747576777879" +
	"80818283848586878889" +
	"90919293949596979899"
