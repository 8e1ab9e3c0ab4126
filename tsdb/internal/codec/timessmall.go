package codec

import (
	"encoding/binary"
	"fmt"
)

// A section of times in mode timesPacked tells what one in mode timesGrid does,
// its numbers in columns: first time and interval, the count of exceptions, and
// three sections of whole numbers behind their bytes: the runs of times on the
// grid before each exception, twice its skip and one more where it has an
// offset, and the offsets. The run after the last exception is what is left.
const timesPacked = 2

// exceptions of a grid of times.
type exceptions struct {
	head    []byte // first time and interval
	runs    []int64
	skips   []int64
	offsets []int64
}

// AppendTimes appends the section of the times.
func (s *Small) AppendTimes(dst []byte, times []int64) []byte {
	at := len(dst)
	dst = AppendTimes(dst, times)
	second := len(dst)
	switch dst[at] {
	case timesGrid:
		e, err := readExceptions(dst[at:])
		if err != nil || len(e.runs) == 0 {
			return dst
		}
		return smaller(s.appendExceptions(dst, &e), at, second)
	case timesInts:
		return smaller(s.AppendInts(append(dst, timesInts), times, nil), at, second)
	}
	return dst
}

func (s *Small) appendExceptions(dst []byte, e *exceptions) []byte {
	dst = append(append(dst, timesPacked), e.head...)
	dst = binary.AppendUvarint(dst, uint64(len(e.runs)))
	dst = appendSized(dst, s.AppendInts(nil, e.runs, nil))
	dst = appendSized(dst, s.AppendInts(nil, e.skips, nil))
	return append(dst, s.AppendInts(nil, e.offsets, nil)...)
}

// readExceptions takes a section in mode timesGrid apart.
func readExceptions(section []byte) (exceptions, error) {
	r := reader{data: section[1:]}
	r.varint()
	r.uvarint()
	e := exceptions{head: section[1 : len(section)-len(r.data)]}
	for r.err == nil {
		tag := r.uvarint()
		if tag&(tagSkip|tagOffset) == 0 {
			break
		}
		skip := int64(0)
		if tag&tagSkip != 0 {
			skip = r.varint()
		}
		skip *= 2
		if tag&tagOffset != 0 {
			skip++
			e.offsets = append(e.offsets, r.varint())
		}
		e.runs, e.skips = append(e.runs, int64(tag>>2)), append(e.skips, skip)
	}
	return e, r.err
}

// unpackTimes returns the section in mode timesGrid that tells the same n
// times.
func unpackTimes(section []byte, n int) ([]byte, error) {
	r := reader{data: section[1:]}
	r.varint()
	r.uvarint()
	out := append([]byte{timesGrid}, section[1:len(section)-len(r.data)]...)
	count := r.uvarint()
	if r.err != nil || count >= uint64(n) {
		return nil, errShort
	}
	runs, err := r.sized(int(count))
	if err != nil {
		return nil, err
	}
	skips, err := r.sized(int(count))
	if err != nil {
		return nil, err
	}
	offset := 0
	for _, s := range skips {
		offset += int(s & 1)
	}
	offsets, err := ReadInts(nil, r.data, offset)
	if err != nil {
		return nil, err
	}
	left := int64(n) - 1
	for i, s := range skips {
		if left -= runs[i] + 1; runs[i] < 0 || left < 0 || s == 0 {
			return nil, fmt.Errorf("exception %d is none, or beyond %d times", i, n)
		}
		out = binary.AppendUvarint(out, uint64(runs[i])<<2|exceptionTag(s))
		if s>>1 != 0 {
			out = binary.AppendVarint(out, s>>1)
		}
		if s&1 != 0 {
			out = binary.AppendVarint(out, offsets[0])
			offsets = offsets[1:]
		}
	}
	return binary.AppendUvarint(out, uint64(left)<<2), nil
}

// exceptionTag returns the flags of an exception of such a skip.
func exceptionTag(skip int64) uint64 {
	tag := uint64(skip&1) * tagOffset
	if skip>>1 != 0 {
		tag |= tagSkip
	}
	return tag
}

// ReadGaps appends, for each of the n times of a section, how many of its
// interval are missing before it, 255 where more are: what columns of values at
// these times are told as gaps. Where times keep no interval it appends nothing.
func ReadGaps(dst []uint8, section []byte, n int) ([]uint8, error) {
	section, err := plainTimes(section, n)
	if err != nil || section[0] != timesGrid {
		return dst, err
	}
	from := len(dst)
	dst = grow(dst, n)
	g, err := newGrid(section, n)
	if err != nil {
		return dst, err
	}
	dst = append(dst, 0)
	for g.left > 0 {
		run, more, err := g.step()
		if err != nil {
			return dst[:from], err
		}
		dst = append(dst, make([]uint8, run)...)
		if more {
			before := g.next
			if err := g.exception(); err != nil {
				return dst[:from], err
			}
			dst = append(dst, uint8(max(0, min((g.next-before)/g.interval-1, 255))))
		}
	}
	return dst, nil
}

// plainTimes returns a section that is not in mode timesPacked.
func plainTimes(section []byte, n int) ([]byte, error) {
	if len(section) == 0 {
		return nil, errShort
	}
	if section[0] == timesPacked {
		return unpackTimes(section, n)
	}
	return section, nil
}
