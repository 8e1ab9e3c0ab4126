package codec

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// More forms of a section of floats.
//
// floatsScaled: a byte with the decimal places and flags, the factor (eight
// bytes) if there is one, the count of exceptions and, if there are any, each
// as its distance from the one before, the bytes of their section, and the
// section of their bits as whole numbers; with scaledNear, the bytes and the
// section of by how many floats the others are above their scaling; then the
// section of the others' whole numbers, for which the exceptions are missing
// values.
//
// floatsBits: a byte with the count of last bits that no value has, or bitsSingle
// where all are float32, and the section of all values' other bits (or of the
// float32's) as whole numbers that rise with them.
const (
	floatsScaled = 2
	floatsBits   = 3

	bitsSingle = 64

	scaledSingle = 16
	scaledFactor = 32
	scaledNear   = 64
)

// ordered returns the bits of a float, but so many of the last ones, as a whole
// number that rises with it; with bitsSingle those of the float32.
func ordered(v float64, shift uint) int64 {
	b := int64(math.Float64bits(v))
	if shift == bitsSingle {
		b, shift = int64(math.Float32bits(float32(v)))<<32, 32
	}
	return b>>shift ^ int64(uint64(b>>63)>>(shift+1))
}

func unordered(m int64, shift uint) float64 {
	single := shift == bitsSingle
	if single {
		shift = 32
	}
	b := uint64(m^int64(uint64(m>>63)>>(shift+1))) << shift
	if single {
		return float64(math.Float32frombits(uint32(b >> 32)))
	}
	return math.Float64frombits(b)
}

// bitsShift returns how many last bits to leave out of the values' bits.
func bitsShift(vals []float64) uint {
	or, singles := uint64(1<<63), true
	for _, v := range vals {
		or |= math.Float64bits(v)
		singles = singles && float64(float32(v)) == v // no NaN: processors differ in what they keep of it
	}
	if singles {
		return bitsSingle
	}
	return uint(bits.TrailingZeros64(or))
}

// AppendFloats appends a section of the values. gaps, if not nil, tells for each
// value how many are missing between it and the one before; ReadGappedFloats
// wants to be told the same.
func (s *Small) AppendFloats(dst []byte, vals []float64, gaps []uint8) []byte {
	at := len(dst)
	if len(vals) < smallMin {
		dst, s.ints = AppendFloats(dst, vals, s.ints)
		return dst
	}
	if by := sampleScaling(vals); s.scale(vals, &by) == 0 {
		return s.appendScaled(dst, vals, gaps, &by)
	}
	by, misfits := findScaling(vals)
	if misfits > len(vals)/2 {
		dst = s.appendBits(dst, vals, gaps)
	} else {
		s.scale(vals, &by)
		dst = s.appendScaled(dst, vals, gaps, &by)
		if misfits > len(vals)/16 {
			second := len(dst)
			dst = smaller(s.appendBits(dst, vals, gaps), at, second)
		}
	}
	if len(dst)-at > 1+8*len(vals) {
		return appendRaw(dst[:at], vals)
	}
	return dst
}

func (s *Small) appendBits(dst []byte, vals []float64, gaps []uint8) []byte {
	shift := bitsShift(vals)
	s.ints = s.ints[:0]
	for _, v := range vals {
		s.ints = append(s.ints, ordered(v, shift))
	}
	return s.AppendInts(append(dst, floatsBits, byte(shift)), s.ints, gaps)
}

// scale turns values into whole numbers, keeps what is none, and returns how
// many are none.
func (s *Small) scale(vals []float64, by *scaling) int {
	s.ints, s.odd, s.oddAt, s.above = s.ints[:0], s.odd[:0], s.oddAt[:0], s.above[:0]
	for i, v := range vals {
		m, ok := by.of(v)
		switch {
		case !ok:
			s.odd, s.oddAt = append(s.odd, ordered(v, 0)), append(s.oddAt, i)
		case by.near:
			s.above = append(s.above, by.floats(v, m))
			fallthrough
		default:
			s.ints = append(s.ints, m)
		}
	}
	return len(s.odd)
}

// appendScaled appends what scale has made.
func (s *Small) appendScaled(dst []byte, vals []float64, gaps []uint8, by *scaling) []byte {
	dst = s.appendScaledHead(dst, by)
	if len(s.odd) > 0 {
		s.gaps = widen(s.gaps[:0], gaps, s.oddAt, len(vals))
		gaps = s.gaps
	}
	return s.AppendInts(dst, s.ints, gaps)
}

// appendScaledHead appends what stands before the whole numbers.
func (s *Small) appendScaledHead(dst []byte, by *scaling) []byte {
	flags := byte(by.places)
	if by.single {
		flags |= scaledSingle
	}
	if by.factor != 0 {
		flags |= scaledFactor
	}
	if by.near {
		flags |= scaledNear
	}
	dst = append(dst, floatsScaled, flags)
	if by.factor != 0 {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(by.factor))
	}
	dst = binary.AppendUvarint(dst, uint64(len(s.odd)))
	if len(s.odd) > 0 {
		dst = s.appendOdd(dst)
	}
	if by.near {
		dst = appendSized(dst, s.AppendInts(nil, s.above, nil))
	}
	return dst
}

func appendSized(dst, section []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(section))), section...)
}

// appendOdd appends where the exceptions are and what.
func (s *Small) appendOdd(dst []byte) []byte {
	last := 0
	for _, i := range s.oddAt {
		dst = binary.AppendUvarint(dst, uint64(i-last))
		last = i
	}
	return appendSized(dst, s.AppendInts(nil, s.odd, nil))
}

// widen returns the gaps between the values that are left when those of n at
// some places are taken out.
func widen(dst, gaps []uint8, without []int, n int) []uint8 {
	missing := 0
	for i := range n {
		if len(gaps) == n {
			missing += int(gaps[i])
		}
		if len(without) > 0 && without[0] == i {
			without = without[1:]
			missing++
			continue
		}
		dst = append(dst, uint8(min(missing, 255)))
		missing = 0
	}
	return dst
}
