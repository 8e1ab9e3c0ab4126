package codec

import (
	"encoding/binary"
	"fmt"
	"slices"
)

// A section in mode intRanks is for numbers that take few values far apart,
// such as levels converted from feet and rounded, or what a coarse sensor
// shows: the count of the values, the bytes of their section, their section in
// rising order, then the section of the ranks.
const intRanks = 5

// A section in mode intSums is for numbers whose differences take few values:
// the first number and the section of the differences, in mode intRanks.
const intSums = 7

// appendSums appends the numbers by their differences' ranks, nothing where
// these take too many values for that.
func (s *Small) appendSums(dst []byte, vals []int64) []byte {
	s.diffs = s.diffs[:0]
	for i, v := range vals[1:] {
		s.diffs = append(s.diffs, v-vals[i])
	}
	at := len(dst)
	dst = binary.AppendVarint(append(dst, intSums), vals[0])
	head := len(dst)
	if dst = s.appendRanks(dst, s.diffs, nil); len(dst) == head {
		return dst[:at]
	}
	return dst
}

// readSums appends the n numbers of a section in mode intSums to dst.
func readSums(dst []int64, r *reader, n int) ([]int64, error) {
	first := r.varint()
	if r.err != nil || n < 1 || r.byte() != intRanks {
		return dst, fmt.Errorf("%d sums of what are no ranks", n)
	}
	from := len(dst)
	dst, err := readRanks(append(grow(dst, n), first), r, n-1, nil)
	if err != nil {
		return dst[:from], err
	}
	for i := from + 1; i < len(dst); i++ {
		dst[i] += dst[i-1]
	}
	return dst, nil
}

// appendRanks appends the numbers by their ranks, nothing where they take too
// many values for that.
func (s *Small) appendRanks(dst []byte, vals []int64, gaps []uint8) []byte {
	if !fewValues(vals) {
		return dst
	}
	s.values = append(s.values[:0], vals...)
	slices.Sort(s.values)
	s.values = slices.Compact(s.values)
	if len(s.values) > len(vals)/4 {
		return dst
	}
	dst = binary.AppendUvarint(append(dst, intRanks), uint64(len(s.values)))
	dst = appendSized(dst, AppendInts(nil, s.values))
	s.ranks = s.ranks[:0]
	for _, v := range vals {
		i, _ := slices.BinarySearch(s.values, v)
		s.ranks = append(s.ranks, int64(i))
	}
	return s.appendWhole(dst, s.ranks, gaps)
}

// fewValues says whether a sample takes few values for its range, but for the
// outermost ones: whether ranks may be smaller than the numbers.
func fewValues(vals []int64) bool {
	const sample = 256
	var seen [sample]int64
	n := min(sample, len(vals))
	for i := range n {
		seen[i] = vals[i*len(vals)/n]
	}
	slices.Sort(seen[:n])
	span := magnitude(seen[n-1-n/20] - seen[n/20])
	count := len(slices.Compact(seen[:n]))
	return count <= n/2 && span > 4*uint64(count)*commonDivisor(vals)
}

// readRanks appends the n numbers of a section in mode intRanks to dst.
func readRanks(dst []int64, r *reader, n int, gaps []uint8) ([]int64, error) {
	count := r.uvarint()
	if r.err != nil || count > uint64(n) {
		return dst, errShort
	}
	values, err := r.plain(int(count))
	if err != nil {
		return dst, err
	}
	if len(r.data) == 0 || r.data[0] != intPacked && r.data[0] > intSmall {
		return dst, fmt.Errorf("ranks of what are no numbers")
	}
	from := len(dst)
	dst, err = ReadGappedInts(dst, r.data, n, gaps)
	if err != nil {
		return dst, err
	}
	for i, k := range dst[from:] {
		if uint64(k) >= uint64(len(values)) {
			return dst[:from], fmt.Errorf("rank %d of %d", k, len(values))
		}
		dst[from+i] = values[k]
	}
	return dst, nil
}
