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

// TimesReader reads sections of times. The zero value works; it keeps memory for
// the next section, and is for one goroutine at a time.
type TimesReader struct{ runs, skips, offsets []int64 }

// Read appends the n times of a section to dst, and to gaps for each of them how
// many of their interval are missing before it, 255 where more are: what columns
// of values at these times are told as gaps. Where times keep no interval it
// appends no gaps.
func (t *TimesReader) Read(dst []int64, gaps []uint8, section []byte, n int) ([]int64, []uint8, error) {
	if len(section) == 0 {
		return dst, gaps, errShort
	}
	var err error
	switch mode := section[0]; mode {
	case timesInts:
		dst, err = ReadInts(dst, section[1:], n)
	case timesGrid:
		return readGrid(dst, gaps, section, n)
	case timesPacked:
		return t.packed(dst, gaps, section, n)
	default:
		err = fmt.Errorf("mode %d of times is unknown", mode)
	}
	return dst, gaps, err
}

// open reads what a section in mode timesPacked tells, and checks it.
func (t *TimesReader) open(section []byte, n int) (first, interval int64, err error) {
	r := reader{data: section[1:]}
	first = r.varint()
	step := r.uvarint()
	count := r.uvarint()
	if r.err != nil || count >= uint64(n) {
		return 0, 0, errShort
	}
	if step == 0 || step > 1<<62 {
		return 0, 0, fmt.Errorf("%d times at an interval of %d ms", n, step)
	}
	if t.runs, err = r.sizedTo(t.runs[:0], int(count)); err != nil {
		return 0, 0, err
	}
	if t.skips, err = r.sizedTo(t.skips[:0], int(count)); err != nil {
		return 0, 0, err
	}
	offsets := 0
	for _, s := range t.skips {
		offsets += int(s & 1)
	}
	if t.offsets, err = ReadInts(t.offsets[:0], r.data, offsets); err != nil {
		return 0, 0, err
	}
	left := int64(n) - 1
	for i, s := range t.skips {
		if t.runs[i] < 0 || t.runs[i] >= left || s == 0 {
			return 0, 0, fmt.Errorf("exception %d is none, or beyond %d times", i, n)
		}
		left -= t.runs[i] + 1
	}
	return first, int64(step), nil
}

func (t *TimesReader) packed(dst []int64, gaps []uint8, section []byte, n int) ([]int64, []uint8, error) {
	first, interval, err := t.open(section, n)
	if err != nil {
		return dst, gaps, err
	}
	from, at := len(dst), len(gaps)
	dst, gaps = grow(dst, n)[:from+n], grow(gaps, n)[:at+n]
	times, missing := dst[from:], gaps[at:]
	clear(missing)
	times[0] = first
	next, i, offset := first+interval, 1, 0
	for k, s := range t.skips {
		for end := i + int(t.runs[k]); i < end; i++ {
			times[i] = next
			next += interval
		}
		times[i] = next + s>>1*interval
		if s&1 != 0 {
			times[i] += t.offsets[offset]
			offset++
		}
		missing[i] = uint8(max(0, min(s>>1, 255)))
		next += (s>>1 + 1) * interval
		i++
	}
	for ; i < n; i++ {
		times[i] = next
		next += interval
	}
	return dst, gaps, nil
}

// unpackTimes returns the section in mode timesGrid that tells the same n
// times.
func unpackTimes(section []byte, n int) ([]byte, error) {
	var t TimesReader
	first, interval, err := t.open(section, n)
	if err != nil {
		return nil, err
	}
	out := binary.AppendUvarint(binary.AppendVarint([]byte{timesGrid}, first), uint64(interval))
	left := int64(n) - 1
	for i, s := range t.skips {
		left -= t.runs[i] + 1
		out = binary.AppendUvarint(out, uint64(t.runs[i])<<2|exceptionTag(s))
		if s>>1 != 0 {
			out = binary.AppendVarint(out, s>>1)
		}
		if s&1 != 0 {
			out = binary.AppendVarint(out, t.offsets[0])
			t.offsets = t.offsets[1:]
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
