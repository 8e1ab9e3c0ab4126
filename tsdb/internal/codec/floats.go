package codec

import (
	"encoding/binary"
	"fmt"
	"math"

	"quantrac/tsdb/internal/decimal"
)

// A section of floats: one byte of mode.
//
// floatsRaw: the eight bytes of each, little-endian.
//
// floatsDecimal: a byte with the number of decimal places, the count of
// exceptions and each as its distance from the one before (varint) and eight
// bytes, then a section of whole numbers with the scaled value of each, that
// of an exception repeating the one before it.
const (
	floatsRaw     = 0
	floatsDecimal = 1
)

// AppendFloats appends the section of the values; scratch is memory for reuse,
// returned grown.
func AppendFloats(dst []byte, vals []float64, scratch []int64) ([]byte, []int64) {
	places, exceptions := scale(vals)
	if exceptions > len(vals)/2 {
		return appendRaw(dst, vals), scratch
	}
	at := len(dst)
	dst = append(dst, floatsDecimal, byte(places))
	dst = binary.AppendUvarint(dst, uint64(exceptions))
	scratch = scratch[:0]
	prev, lastAt := int64(0), 0
	for i, v := range vals {
		m, ok := decimal.Scale(v, places)
		if !ok {
			dst = binary.AppendUvarint(dst, uint64(i-lastAt))
			dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
			lastAt, m = i, prev
		}
		scratch = append(scratch, m)
		prev = m
	}
	dst = AppendInts(dst, scratch)
	if len(dst)-at > 1+8*len(vals) {
		dst = appendRaw(dst[:at], vals)
	}
	return dst, scratch
}

func appendRaw(dst []byte, vals []float64) []byte {
	dst = append(dst, floatsRaw)
	for _, v := range vals {
		dst = binary.LittleEndian.AppendUint64(dst, math.Float64bits(v))
	}
	return dst
}

// scale returns the decimal places that hold every value that is a decimal,
// and how many are none with so many places.
func scale(vals []float64) (places, exceptions int) {
	for _, v := range vals {
		if _, ok := decimal.Scale(v, places); ok {
			continue
		}
		if _, e, ok := decimal.Find(v, places); ok && e > places {
			places = e
		}
	}
	for _, v := range vals {
		if _, ok := decimal.Scale(v, places); !ok {
			exceptions++
		}
	}
	return places, exceptions
}

// FloatsGapped says whether a section of floats may want to be told gaps.
func FloatsGapped(section []byte) bool {
	return len(section) > 0 && (section[0] == floatsScaled || section[0] == floatsBits)
}

// ReadFloats appends the n values of a section to dst.
func ReadFloats(dst []float64, section []byte, n int, scratch []int64) ([]float64, []int64, error) {
	return ReadGappedFloats(dst, section, n, nil, scratch)
}

// ReadGappedFloats is ReadFloats of a section that Small.AppendFloats was told
// gaps for: the same ones.
func ReadGappedFloats(dst []float64, section []byte, n int, gaps []uint8, scratch []int64) ([]float64, []int64, error) {
	r := reader{data: section}
	switch mode := r.byte(); {
	case r.err != nil:
		return dst, scratch, r.err
	case mode == floatsRaw:
		dst, err := readRaw(dst, r.data, n)
		return dst, scratch, err
	case mode == floatsDecimal:
		return readDecimal(dst, &r, n, scratch)
	case mode == floatsScaled:
		return readScaled(dst, &r, n, gaps, nil, scratch)
	case mode == floatsBits:
		return readBits(dst, &r, n, gaps, scratch)
	default:
		return dst, scratch, fmt.Errorf("mode %d of floats is unknown", mode)
	}
}

func readRaw(dst []float64, data []byte, n int) ([]float64, error) {
	if len(data) != 8*n {
		return dst, fmt.Errorf("%d bytes for %d raw values", len(data), n)
	}
	dst = grow(dst, n)
	for ; len(data) > 0; data = data[8:] {
		dst = append(dst, math.Float64frombits(binary.LittleEndian.Uint64(data)))
	}
	return dst, nil
}

// readDecimal appends the n values of a section in mode floatsDecimal to dst.
func readDecimal(dst []float64, r *reader, n int, scratch []int64) ([]float64, []int64, error) {
	places := int(r.byte())
	exceptions := r.uvarint()
	if r.err != nil {
		return dst, scratch, r.err
	}
	if places > decimal.MaxExp || exceptions > uint64(n) || exceptions > uint64(len(r.data)/9) {
		return dst, scratch, fmt.Errorf("%d decimal places, %d exceptions in %d values", places, exceptions, n)
	}
	list := r.data
	for range exceptions {
		r.uvarint()
		if len(r.data) < 8 {
			return dst, scratch, errShort
		}
		r.data = r.data[8:]
	}
	var err error
	if scratch, err = ReadInts(scratch[:0], r.data, n); err != nil {
		return dst, scratch, err
	}
	dst = grow(dst, n)
	from := len(dst)
	by := decimal.Pow10(places)
	for _, m := range scratch {
		dst = append(dst, float64(m)/by)
	}
	return dst, scratch, except(dst[from:], list, exceptions)
}

// except puts the exceptions of a list, which is long enough, among the values.
func except(vals []float64, list []byte, exceptions uint64) error {
	r, at, n := reader{data: list}, uint64(0), uint64(len(vals))
	for range exceptions {
		step := r.uvarint()
		if step >= n || at+step >= n {
			return fmt.Errorf("exception %d beyond %d values", at+step, n)
		}
		at += step
		vals[at] = math.Float64frombits(binary.LittleEndian.Uint64(r.data))
		r.data = r.data[8:]
	}
	return nil
}
