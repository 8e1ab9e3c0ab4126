package codec

import (
	"encoding/binary"
	"fmt"
	"sort"
)

// A section of times (milliseconds, never falling): one byte of mode.
//
// timesGrid is for a station that speaks at an interval, with gaps and jitter:
// first time and interval, then tags until all times are told. A tag is a
// varint, its low two bits flags and the rest the number of times that lie
// exactly on the grid, one slot after the other. Then comes one time off that
// line: with flag 1 a number of slots (zigzag) by which it is further than the
// next one, with flag 2 a distance from its slot (zigzag). The grid itself
// does not move. A tag without flags is the last.
//
// timesInts is a section of whole numbers, where that is smaller. A third mode,
// timesPacked, is that of Small.
const (
	timesGrid = 0
	timesInts = 1

	tagSkip   = 1
	tagOffset = 2
)

// AppendTimes appends the section of the times.
func AppendTimes(dst []byte, times []int64) []byte {
	if len(times) == 0 {
		return AppendInts(append(dst, timesInts), times)
	}
	at := len(dst)
	dst = appendGrid(append(dst, timesGrid), times)
	if len(dst)-at <= 4+len(times)/4 {
		return dst
	}
	if ints := AppendInts([]byte{timesInts}, times); len(ints) < len(dst)-at {
		dst = append(dst[:at], ints...)
	}
	return dst
}

func appendGrid(dst []byte, times []int64) []byte {
	interval := CommonStep(times)
	dst = binary.AppendVarint(dst, times[0])
	dst = binary.AppendUvarint(dst, uint64(interval))
	next := times[0] + interval // of the grid
	run := uint64(0)
	for _, t := range times[1:] {
		if t == next {
			run++
			next += interval
			continue
		}
		skip := nearest(t-next, interval)
		offset := t - next - skip*interval
		tag := run << 2
		if skip != 0 {
			tag |= tagSkip
		}
		if offset != 0 {
			tag |= tagOffset
		}
		dst = binary.AppendUvarint(dst, tag)
		if skip != 0 {
			dst = binary.AppendVarint(dst, skip)
		}
		if offset != 0 {
			dst = binary.AppendVarint(dst, offset)
		}
		next += (skip + 1) * interval
		run = 0
	}
	return binary.AppendUvarint(dst, run<<2)
}

// CommonStep returns the most frequent distance of neighbours, 1 where there
// is none.
func CommonStep(times []int64) int64 {
	if len(times) < 2 {
		return 1
	}
	steps := make([]int64, 0, len(times)-1)
	for i := 1; i < len(times); i++ {
		if d := times[i] - times[i-1]; d > 0 {
			steps = append(steps, d)
		}
	}
	if len(steps) == 0 {
		return 1
	}
	sort.Slice(steps, func(i, j int) bool { return steps[i] < steps[j] })
	best, count := steps[0], 0
	for i := 0; i < len(steps); {
		j := i
		for j < len(steps) && steps[j] == steps[i] {
			j++
		}
		if j-i > count {
			best, count = steps[i], j-i
		}
		i = j
	}
	return best
}

// nearest returns how many intervals come closest to d.
func nearest(d, interval int64) int64 {
	n := d / interval
	rest := d - n*interval
	switch {
	case 2*rest > interval:
		n++
	case -2*rest > interval:
		n--
	}
	return n
}

// ReadTimes appends the n times of a section to dst.
func ReadTimes(dst []int64, section []byte, n int) ([]int64, error) {
	var t TimesReader
	dst, _, err := t.Read(dst, nil, section, n)
	return dst, err
}

func readGrid(dst []int64, gaps []uint8, section []byte, n int) ([]int64, []uint8, error) {
	from, at := len(dst), len(gaps)
	dst, gaps = grow(dst, n), grow(gaps, n)
	g, err := newGrid(section, n)
	if err != nil {
		return dst, gaps, err
	}
	dst, gaps = append(dst, g.time), append(gaps, 0)
	for g.left > 0 {
		run, more, err := g.step()
		if err != nil {
			return dst[:from], gaps[:at], err
		}
		for range run {
			dst, gaps = append(dst, g.next), append(gaps, 0)
			g.next += g.interval
		}
		if more {
			before := g.next
			if err := g.exception(); err != nil {
				return dst[:from], gaps[:at], err
			}
			dst = append(dst, g.time)
			gaps = append(gaps, uint8(max(0, min((g.next-before)/g.interval-1, 255))))
		}
	}
	if err := g.r.end(); err != nil {
		return dst[:from], gaps[:at], err
	}
	return dst, gaps, nil
}

// grid walks a section in mode timesGrid.
type grid struct {
	r        reader
	interval int64
	next     int64 // time of the next slot
	time     int64 // the first one, then that of the last exception
	left     int   // times not yet told
	tag      uint64
	done     bool
}

func newGrid(section []byte, n int) (grid, error) {
	g := grid{r: reader{data: section[1:]}, left: n - 1}
	g.time = g.r.varint()
	interval := g.r.uvarint()
	if g.r.err != nil {
		return g, g.r.err
	}
	if n < 1 || interval == 0 || interval > 1<<62 {
		return g, fmt.Errorf("%d times at an interval of %d ms", n, interval)
	}
	g.interval = int64(interval)
	g.next = g.time + g.interval
	if n == 1 {
		if g.r.uvarint() != 0 {
			return g, fmt.Errorf("more times than the one announced")
		}
	}
	return g, nil
}

// step reads a tag: how many times on the grid follow, and whether one off it.
func (g *grid) step() (run int, more bool, err error) {
	if g.done {
		return 0, false, errShort
	}
	g.tag = g.r.uvarint()
	if g.r.err != nil {
		return 0, false, g.r.err
	}
	more = g.tag&(tagSkip|tagOffset) != 0
	n := g.tag >> 2
	if more {
		n++
	}
	if n > uint64(g.left) || !more && n != uint64(g.left) {
		return 0, false, fmt.Errorf("a run of %d times where %d are left", n, g.left)
	}
	g.left -= int(n)
	g.done = !more
	if more && g.left == 0 {
		// The tag that ends every section follows the exception.
		return int(g.tag >> 2), more, nil
	}
	return int(g.tag >> 2), more, nil
}

// exception reads the time off the grid that a tag announced.
func (g *grid) exception() error {
	var skip, offset int64
	if g.tag&tagSkip != 0 {
		skip = g.r.varint()
	}
	if g.tag&tagOffset != 0 {
		offset = g.r.varint()
	}
	g.time = g.next + skip*g.interval + offset
	g.next += (skip + 1) * g.interval
	if g.left == 0 { // only the closing tag can follow
		if g.r.uvarint() != 0 {
			g.r.fail(fmt.Errorf("more times than announced"))
		}
		g.done = true
	}
	return g.r.err
}

// FindTime returns the position of the first of the n times of a section that
// equals t, and whether there is one, without telling all of them apart where
// the times keep an interval.
func FindTime(section []byte, n int, t int64) (int, bool, error) {
	section, err := plainTimes(section, n)
	if err != nil {
		return 0, false, err
	}
	if section[0] != timesGrid {
		times, err := ReadTimes(nil, section, n)
		if err != nil {
			return 0, false, err
		}
		i := sort.Search(len(times), func(i int) bool { return times[i] >= t })
		return i, i < len(times) && times[i] == t, nil
	}
	g, err := newGrid(section, n)
	if err != nil {
		return 0, false, err
	}
	at := 0 // position of g.time
	for {
		if g.time >= t || g.left == 0 {
			return at, g.time == t, nil
		}
		run, more, err := g.step()
		if err != nil {
			return 0, false, err
		}
		if run > 0 && t <= g.next+int64(run-1)*g.interval {
			d := t - g.next
			return at + 1 + int(d/g.interval), d >= 0 && d%g.interval == 0, nil
		}
		g.next += int64(run) * g.interval
		at += run
		if !more {
			return at, false, nil
		}
		if err := g.exception(); err != nil {
			return 0, false, err
		}
		at++
	}
}
