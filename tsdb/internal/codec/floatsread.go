package codec

import (
	"encoding/binary"
	"fmt"
	"math"

	"quantrac/tsdb/internal/decimal"
)

// scaledHead is what stands before the whole numbers of a scaled section.
type scaledHead struct {
	scaling
	at    []int     // places of the exceptions
	odd   []float64 // and what they are
	above []int64   // by how many floats the others are above their scaling
	rest  []byte    // section of the others
}

func (r *reader) scaled(n int) (h scaledHead, err error) {
	flags := r.byte()
	h.places, h.single = int(flags&15), flags&scaledSingle != 0
	if flags&scaledFactor != 0 {
		if len(r.data) < 8 {
			return h, errShort
		}
		h.factor = math.Float64frombits(binary.LittleEndian.Uint64(r.data))
		r.data = r.data[8:]
	}
	count := r.uvarint()
	switch {
	case r.err != nil || count > uint64(len(r.data)):
		return h, errShort
	case flags >= 2*scaledNear || count > uint64(n):
		return h, fmt.Errorf("scaling %d with %d exceptions in %d values", flags, count, n)
	}
	if count > 0 {
		if err := h.exceptions(r, int(count), n); err != nil {
			return h, err
		}
	}
	if flags&scaledNear != 0 {
		h.near = true
		if h.above, err = r.sized(n - int(count)); err != nil {
			return h, err
		}
	}
	h.rest = r.data
	return h, nil
}

func (h *scaledHead) exceptions(r *reader, count, n int) error {
	at := 0
	for i := range count {
		step := r.uvarint()
		if at += int(min(step, uint64(n))); at >= n || i > 0 && step == 0 {
			return fmt.Errorf("exception %d beyond %d values", at, n)
		}
		h.at = append(h.at, at)
	}
	list, err := r.sized(count)
	for _, m := range list {
		h.odd = append(h.odd, unordered(m, 0))
	}
	return err
}

// readScaled appends the n values of a section in mode floatsScaled to dst.
func readScaled(dst []float64, r *reader, n int, gaps []uint8, beside Beside, scratch []int64) ([]float64, []int64, error) {
	h, err := r.scaled(n)
	if err != nil {
		return dst, scratch, err
	}
	if len(h.at) > 0 {
		gaps, beside = widen(nil, gaps, h.at, n), beside.without(h.at)
	}
	if len(h.rest) > 0 && h.rest[0] == intLearnt {
		scratch, err = readLearnt(scratch[:0], &reader{data: h.rest[1:]}, n-len(h.at), beside)
	} else if len(beside) > 0 {
		err = errAlone
	} else {
		scratch, err = ReadGappedInts(scratch[:0], h.rest, n-len(h.at), gaps)
	}
	if err != nil {
		return dst, scratch, err
	}
	from := len(dst)
	dst = h.values(grow(dst, n), scratch)
	for i, above := range h.above {
		dst[from+i] = unordered(ordered(dst[from+i], 0)+above, 0)
	}
	dst = dst[:from+n]
	h.spread(dst[from:])
	return dst, scratch, nil
}

// values appends the floats of whole numbers.
func (s *scaling) values(dst []float64, ints []int64) []float64 {
	by := powers[s.places]
	if s.factor != 0 || s.single {
		for _, m := range ints {
			dst = append(dst, s.value(m))
		}
		return dst
	}
	for _, m := range ints {
		dst = append(dst, float64(m)/by)
	}
	return dst
}

// spread moves the values apart, from the last one on, and puts the exceptions
// between.
func (h *scaledHead) spread(vals []float64) {
	k := len(h.at)
	for i := len(vals) - 1; k > 0; i-- {
		if h.at[k-1] == i {
			k--
			vals[i] = h.odd[k]
		} else {
			vals[i] = vals[i-k]
		}
	}
}

// readBits appends the n values of a section in mode floatsBits to dst.
func readBits(dst []float64, r *reader, n int, gaps []uint8, scratch []int64) ([]float64, []int64, error) {
	shift := uint(r.byte())
	if shift > bitsSingle {
		return dst, scratch, fmt.Errorf("%d bits that no float has", shift)
	}
	scratch, err := ReadGappedInts(scratch[:0], r.data, n, gaps)
	if err != nil {
		return dst, scratch, err
	}
	dst = grow(dst, n)
	for _, m := range scratch {
		dst = append(dst, unordered(m, shift))
	}
	return dst, scratch, nil
}

// ReadScaled appends the n values of a section to dst as whole numbers m, where
// every value is m / 10^places, and says whether that is so; else dst stays as
// it was. gaps as for ReadGappedFloats.
func ReadScaled(dst []int64, section []byte, n int, gaps []uint8) (ints []int64, places int, ok bool, err error) {
	r := reader{data: section}
	rest := []byte(nil)
	switch mode := r.byte(); mode {
	case floatsDecimal:
		places = int(r.byte())
		exceptions := r.uvarint()
		rest, ok = r.data, exceptions == 0 && places <= decimal.MaxExp
	case floatsScaled:
		h, err := r.scaled(n)
		if err != nil {
			return dst, 0, false, err
		}
		places, rest = h.places, h.rest
		ok = len(h.at) == 0 && h.factor == 0 && !h.single && !h.near && (len(rest) == 0 || rest[0] != intLearnt)
	}
	if r.err != nil || !ok {
		return dst, 0, false, r.err
	}
	ints, err = ReadGappedInts(dst, rest, n, gaps)
	return ints, places, err == nil, err
}
