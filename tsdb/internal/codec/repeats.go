package codec

import (
	"encoding/binary"
	"fmt"
)

// A section in mode intRepeats is for numbers that mostly are the one before
// again, such as the seconds of commits or how many values a day has: the count
// of runs, the bytes of the section of their lengths less one, that section,
// then the section of their numbers. Neither of these is in this mode.
const intRepeats = 9

// minRepeated is how many times the runs the numbers are at least: with fewer
// repetitions other modes are smaller.
const minRepeated = 3

// appendRepeats appends the numbers by their runs, nothing where these are too
// short for that.
func (s *Small) appendRepeats(dst []byte, vals []int64) []byte {
	runs := 1
	for i, v := range vals[1:] {
		if v != vals[i] {
			runs++
		}
	}
	if runs > len(vals)/minRepeated {
		return dst
	}
	lengths, numbers := make([]int64, 0, runs), make([]int64, 0, runs)
	for i, from := 1, 0; i <= len(vals); i++ {
		if i == len(vals) || vals[i] != vals[from] {
			lengths, numbers = append(lengths, int64(i-from-1)), append(numbers, vals[from])
			from = i
		}
	}
	dst = binary.AppendUvarint(append(dst, intRepeats), uint64(runs))
	dst = appendSized(dst, s.appendSingle(nil, lengths, nil))
	return s.appendSingle(dst, numbers, nil)
}

// readRepeats appends the n numbers of a section in mode intRepeats to dst.
func readRepeats(dst []int64, r *reader, n int) ([]int64, error) {
	runs, size := r.uvarint(), r.uvarint()
	if r.err != nil || runs > uint64(n) || size >= uint64(len(r.data)) {
		return dst, errShort
	}
	section, rest := r.data[:size], r.data[size:]
	if size == 0 || section[0] == intRepeats || rest[0] == intRepeats {
		return dst, fmt.Errorf("runs of what is repeated itself")
	}
	lengths, err := ReadInts(nil, section, int(runs))
	if err != nil {
		return dst, err
	}
	numbers, err := ReadInts(nil, rest, int(runs))
	if err != nil {
		return dst, err
	}
	dst = grow(dst, n)
	left := n
	for i, more := range lengths {
		if uint64(more) >= uint64(left) {
			return dst, fmt.Errorf("a run of %d more numbers where %d are left", more, left)
		}
		for range more + 1 {
			dst = append(dst, numbers[i])
		}
		left -= int(more) + 1
	}
	if left > 0 {
		return dst, errShort
	}
	return dst, nil
}
