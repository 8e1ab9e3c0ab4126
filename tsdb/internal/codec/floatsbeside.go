package codec

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// floatsBeside: the count of other columns, the number of each in its chunk, and
// a section in mode floatsScaled whose whole numbers are in mode intLearnt, beside
// those columns. Where no others are needed there is that section alone.
const floatsBeside = 4

var errAlone = errors.New("values that stand alone are told beside others")

// AppendFloatsBeside appends a section of the values that was learnt from them
// and from other columns of so many numbers in the chunk, nothing if it would not
// be smaller than limit bytes.
func (s *Small) AppendFloatsBeside(dst []byte, vals []float64, columns []int, beside Beside, limit int) []byte {
	at := len(dst)
	if len(vals) < smallMin {
		return dst
	}
	if len(columns) > 0 {
		dst = append(dst, floatsBeside, byte(len(columns)))
		for _, c := range columns {
			dst = binary.AppendUvarint(dst, uint64(c))
		}
	}
	by := sampleScaling(vals)
	if s.scale(vals, &by) > 0 {
		var misfits int
		if by, misfits = findScaling(vals); misfits > len(vals)/16 {
			return dst[:at]
		}
		s.scale(vals, &by)
	}
	dst = s.appendScaledHead(dst, &by)
	numbers := len(dst)
	dst = appendLearnt(dst, s.ints, beside.without(s.oddAt), limit-(numbers-at))
	if len(dst) == numbers {
		return dst[:at]
	}
	return dst
}

// without leaves out the values at some places.
func (b Beside) without(places []int) Beside {
	if len(places) == 0 {
		return b
	}
	out := make(Beside, len(b))
	for k, from := range b {
		last := 0
		for _, at := range places {
			out[k] = append(out[k], from[last:at]...)
			last = at + 1
		}
		out[k] = append(out[k], from[last:]...)
	}
	return out
}

// FloatsBeside returns the numbers of the columns that a section of floats is told
// beside; none for most.
func FloatsBeside(section []byte) ([]int, error) {
	if len(section) == 0 || section[0] != floatsBeside {
		return nil, nil
	}
	r := reader{data: section[1:]}
	return r.columns()
}

func (r *reader) columns() ([]int, error) {
	n := int(r.byte())
	if r.err == nil && (n == 0 || n > maxBeside) {
		return nil, fmt.Errorf("values are told beside %d columns, not 1 to %d", n, maxBeside)
	}
	var out []int
	for range n {
		c := r.uvarint()
		if c > 1<<31 {
			return nil, fmt.Errorf("values are told beside column %d", c)
		}
		out = append(out, int(c))
	}
	return out, r.err
}

// ReadFloatsBeside is ReadGappedFloats of any section, given what stands beside
// the values in the columns that FloatsBeside names.
func ReadFloatsBeside(dst []float64, section []byte, n int, gaps []uint8, beside Beside, scratch []int64) ([]float64, []int64, error) {
	if len(beside) == 0 {
		return ReadGappedFloats(dst, section, n, gaps, scratch)
	}
	for _, b := range beside {
		if len(b) != n {
			return dst, scratch, fmt.Errorf("%d values stand beside %d", len(b), n)
		}
	}
	if len(section) == 0 || section[0] != floatsBeside {
		return dst, scratch, errAlone
	}
	r := reader{data: section[1:]}
	if columns, err := r.columns(); err != nil || len(columns) != len(beside) || r.byte() != floatsScaled {
		return dst, scratch, errors.Join(errAlone, err)
	}
	return readScaled(dst, &r, n, gaps, beside, scratch)
}
