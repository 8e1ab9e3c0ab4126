package codec

import (
	"encoding/binary"
	"fmt"
	"math/bits"
)

// A section in mode intPacked is for noise: the least number, a byte with a
// count of bits, and so many bits of each distance from it, least significant
// bit first.
const (
	intPacked = 6

	maxPacked = 56 // bits
)

// A section in mode intMultiples is for few numbers, too few for mode intSmall:
// a step, the first number, and the section of the others' distances from it in
// steps.
const intMultiples = 8

func appendMultiples(dst []byte, vals []int64) []byte {
	step := commonDivisor(vals)
	if step <= 1 {
		return dst
	}
	dst = binary.AppendVarint(binary.AppendUvarint(append(dst, intMultiples), step), vals[0])
	steps := make([]int64, len(vals)-1)
	for i, v := range vals[1:] {
		steps[i] = (v - vals[0]) / int64(step)
	}
	return AppendInts(dst, steps)
}

// readMultiples appends the n numbers of a section in mode intMultiples to dst.
func readMultiples(dst []int64, r *reader, n int) ([]int64, error) {
	step, first := int64(r.uvarint()), r.varint()
	if r.err != nil || n < 1 || !plain(r.data) {
		return dst, fmt.Errorf("%d multiples of what is not plain", n)
	}
	from := len(dst)
	dst, err := ReadInts(append(grow(dst, n), first), r.data, n-1)
	if err != nil {
		return dst[:from], err
	}
	for i := from + 1; i < len(dst); i++ {
		dst[i] = dst[i]*step + first
	}
	return dst, nil
}

func appendPacked(dst []byte, vals []int64) []byte {
	least, most := vals[0], vals[0]
	for _, v := range vals {
		least, most = min(least, v), max(most, v)
	}
	width := bits.Len64(uint64(most - least))
	if width > maxPacked {
		return dst
	}
	dst = append(binary.AppendVarint(append(dst, intPacked), least), byte(width))
	w := bitWriter{data: dst}
	for _, v := range vals {
		w.put(uint64(v-least), uint(width))
	}
	return w.end()
}

// readPacked appends the n numbers of a section in mode intPacked to dst.
func readPacked(dst []int64, r *reader, n int) ([]int64, error) {
	least, width := r.varint(), uint(r.byte())
	switch {
	case r.err != nil:
		return dst, r.err
	case width > maxPacked || (width*uint(n)+7)/8 != uint(len(r.data)):
		return dst, fmt.Errorf("%d bytes for %d numbers of %d bits", len(r.data), n, width)
	}
	dst = grow(dst, n)
	for i := range uint(n) {
		dst = append(dst, least+int64(load(r.data, i*width)&(1<<width-1)))
	}
	return dst, nil
}
