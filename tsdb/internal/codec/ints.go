package codec

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// A section of whole numbers: one byte of mode, then by mode
//
//	constant  the value, zigzag varint
//	order 0   the least value, then the distances from it
//	order 1   the first value, then the differences of neighbours
//	order 2   first value, first difference, then the differences of differences
//
// Distances and zigzagged differences are Rice-coded (R. F. Rice, Some
// practical universal noiseless coding techniques, JPL 79-22, 1979) in blocks
// of 128, each behind a byte with its parameter k and starting on a byte: the
// high part of a number as so many one bits and a zero, then its low k bits,
// least significant bit first. Arithmetic wraps, so every int64 is coded.
const (
	intConstant = 0
	intOrder0   = 1
	intOrder1   = 2
	intOrder2   = 3

	blockLen  = 128
	zeroBlock = 64 // in place of k: all numbers of the block are zero
	// escape ones are followed by the whole number in 64 bits.
	escape = 24
)

// AppendInts appends the section of the values.
func AppendInts(dst []byte, vals []int64) []byte {
	if constant(vals) {
		var v int64
		if len(vals) > 0 {
			v = vals[0]
		}
		return binary.AppendVarint(append(dst, intConstant), v)
	}
	var buf [blockLen]uint64
	switch mode, least := chooseOrder(vals); mode {
	case intOrder0:
		dst = binary.AppendVarint(append(dst, intOrder0), least)
		for len(vals) > 0 {
			n := min(blockLen, len(vals))
			for i, v := range vals[:n] {
				buf[i] = uint64(v - least)
			}
			dst, vals = appendRice(dst, buf[:n]), vals[n:]
		}
	case intOrder1:
		dst = binary.AppendVarint(append(dst, intOrder1), vals[0])
		prev := vals[0]
		for vals = vals[1:]; len(vals) > 0; {
			n := min(blockLen, len(vals))
			for i, v := range vals[:n] {
				buf[i] = zigzag(v - prev)
				prev = v
			}
			dst, vals = appendRice(dst, buf[:n]), vals[n:]
		}
	case intOrder2:
		prev, step := vals[1], vals[1]-vals[0]
		dst = binary.AppendVarint(append(dst, intOrder2), vals[0])
		dst = binary.AppendVarint(dst, step)
		for vals = vals[2:]; len(vals) > 0; {
			n := min(blockLen, len(vals))
			for i, v := range vals[:n] {
				buf[i] = zigzag(v - prev - step)
				prev, step = v, v-prev
			}
			dst, vals = appendRice(dst, buf[:n]), vals[n:]
		}
	}
	return dst
}

func constant(vals []int64) bool {
	for _, v := range vals {
		if v != vals[0] {
			return false
		}
	}
	return true
}

// chooseOrder guesses by the lengths of the numbers which order codes the
// values, of which there are at least two, in the fewest bits.
func chooseOrder(vals []int64) (mode byte, least int64) {
	least = vals[0]
	for _, v := range vals {
		least = min(least, v)
	}
	var n0, n1, n2 int
	prev, step := vals[0], int64(0)
	for i, v := range vals {
		d := v - prev
		n0 += bits.Len64(uint64(v - least))
		n1 += bits.Len64(zigzag(d))
		if i > 1 {
			n2 += bits.Len64(zigzag(d - step))
		}
		prev, step = v, d
	}
	switch {
	case n0 <= n1 && n0 <= n2 && least > -1<<62 && n0 < 62*len(vals):
		return intOrder0, least
	case n2 < n1 && len(vals) > 2:
		return intOrder2, least
	}
	return intOrder1, least
}

// IntsGapped says whether a section of whole numbers may want to be told gaps.
func IntsGapped(section []byte) bool {
	return len(section) > 0 && (section[0] == intSmall || section[0] == intRanks)
}

// ReadInts appends the n values of a section to dst.
func ReadInts(dst []int64, section []byte, n int) ([]int64, error) {
	return ReadGappedInts(dst, section, n, nil)
}

// ReadGappedInts is ReadInts of a section that Small.AppendInts was told gaps
// for: the same ones.
func ReadGappedInts(dst []int64, section []byte, n int, gaps []uint8) ([]int64, error) {
	r := reader{data: section}
	switch mode := r.byte(); mode {
	case intSmall:
		return readSmall(dst, &r, n, gaps)
	case intRanks:
		return readRanks(dst, &r, n, gaps)
	case intPacked:
		return readPacked(dst, &r, n)
	case intSums:
		return readSums(dst, &r, n)
	case intMultiples:
		return readMultiples(dst, &r, n)
	case intRepeats:
		return readRepeats(dst, &r, n)
	case intRhythm:
		return readRhythm(dst, &r, n)
	default:
		return readOrder(dst, &r, n, mode)
	}
}

// readOrder appends the n values of a section in one of the fast modes to dst.
func readOrder(dst []int64, r *reader, n int, mode byte) ([]int64, error) {
	first := r.varint()
	dst = grow(dst, n)
	from := len(dst)
	out := dst[from : from+n]
	switch {
	case mode == intConstant:
		for i := range out {
			out[i] = first
		}
	case mode == intOrder0:
		r.rice(out)
		for i := range out {
			out[i] += first
		}
	case mode == intOrder1 && n >= 1:
		r.rice(out[1:])
		out[0] = first
		for i := 1; i < n; i++ {
			out[i] = out[i-1] + unzigzag(uint64(out[i]))
		}
	case mode == intOrder2 && n >= 2:
		r.order2(out, first)
	default:
		return dst, fmt.Errorf("mode %d of whole numbers is unknown, or not for %d", mode, n)
	}
	if err := r.end(); err != nil {
		return dst, err
	}
	return dst[:from+n], nil
}

// order2 fills out with the first value and those that the differences of
// differences tell.
func (r *reader) order2(out []int64, first int64) {
	step := r.varint()
	r.rice(out[2:])
	out[0], out[1] = first, first+step
	for i := 2; i < len(out); i++ {
		step += unzigzag(uint64(out[i]))
		out[i] = out[i-1] + step
	}
}
