package codec

import (
	"encoding/binary"
	"fmt"
)

// A section of small codes (0 to 7): runs, each a varint whose low three bits
// are the code and the rest the length less one.

// AppendRuns appends the section of the codes.
func AppendRuns(dst []byte, codes []uint8) []byte {
	for i := 0; i < len(codes); {
		j := i + 1
		for j < len(codes) && codes[j] == codes[i] {
			j++
		}
		dst = binary.AppendUvarint(dst, uint64(j-i-1)<<3|uint64(codes[i]&7))
		i = j
	}
	return dst
}

// ReadRuns appends the n codes of a section to dst.
func ReadRuns(dst []uint8, section []byte, n int) ([]uint8, error) {
	r := reader{data: section}
	dst = grow(dst, n)
	for n > 0 {
		u := r.uvarint()
		if r.err != nil {
			return dst, r.err
		}
		run := u>>3 + 1
		if run > uint64(n) {
			return dst, fmt.Errorf("a run of %d codes where %d are left", run, n)
		}
		for range run {
			dst = append(dst, uint8(u&7))
		}
		n -= int(run)
	}
	return dst, r.end()
}
