package codec

import (
	"encoding/binary"
	"math/bits"
)

// Small encodes sections in the fewest bytes that any form takes, at some cost:
// for chunks that are written once and kept. The zero value works; it keeps
// memory for the next section, and is for one goroutine at a time.
type Small struct {
	x      []int64 // numbers of the slots of both halves, in steps from the first
	slots  []int32 // those without a number
	holes  []bool  // and whether each is one of them
	h      []int64 // both halves as predictions see them, each behind its seeds
	trial  trial
	events []event
	codes  []coded
	fit    fitter
	whole  []int64 // the numbers without events
	values []int64 // what the numbers are
	ranks  []int64 // which of the values each is
	diffs  []int64
	ints   []int64 // whole numbers of floats
	above  []int64 // by how many floats these are above
	odd    []int64 // bits of floats that are none
	oddAt  []int   // and their places
	gaps   []uint8
	model  model
	bins   bins
}

// AppendInts appends a section of the values. gaps, if not nil, tells for each
// value how many are missing between it and the one before; ReadGappedInts
// wants to be told the same.
func (s *Small) AppendInts(dst []byte, vals []int64, gaps []uint8) []byte {
	at := len(dst)
	dst = s.appendSingle(dst, vals, gaps)
	if constant(vals) {
		return dst
	}
	single := len(dst)
	dst = smaller(s.appendRepeats(dst, vals), at, single)
	repeats := len(dst)
	return smaller(appendRhythm(dst, vals), at, repeats)
}

// appendSingle appends the values one by one, in whatever form but their runs.
func (s *Small) appendSingle(dst []byte, vals []int64, gaps []uint8) []byte {
	at := len(dst)
	dst = s.appendWhole(dst, vals, gaps)
	if constant(vals) {
		return dst
	}
	if n := len(dst); len(vals) < smallMin {
		return smaller(appendMultiples(dst, vals), at, n)
	}
	ranks := len(dst)
	dst = smaller(s.appendRanks(dst, vals, gaps), at, ranks)
	sums := len(dst)
	return smaller(s.appendSums(dst, vals), at, sums)
}

// smaller keeps of the two forms of a section, the first from at and the
// second, which may be nothing, from second on, the one with fewer bytes.
func smaller(dst []byte, at, second int) []byte {
	if n := len(dst) - second; n > 0 && n < second-at {
		return append(dst[:at], dst[second:]...)
	}
	return dst[:second]
}

// appendWhole appends the values as they are.
func (s *Small) appendWhole(dst []byte, vals []int64, gaps []uint8) []byte {
	at := len(dst)
	dst = AppendInts(dst, vals)
	if len(vals) < smallMin || constant(vals) {
		return dst
	}
	small := len(dst)
	dst = smaller(s.append(dst, vals, gaps), at, small)
	if packed := len(dst); packed-at > len(vals) { // noise is no less than that
		return smaller(appendPacked(dst, vals), at, packed)
	}
	return dst
}

// append appends a section in mode intSmall, nothing where no model fits.
func (s *Small) append(dst []byte, vals []int64, gaps []uint8) []byte {
	n := len(vals)
	h := s.relative(vals, gaps)
	half := len(s.x) / 2
	odd := len(s.x)%2 != 0
	s.x = s.x[:2*half]
	h, ok := s.search(h)
	if !ok {
		return dst
	}
	h.last = (vals[n-1] - vals[n-2]) / int64(h.step)
	s.encode(&h, half)
	dst = h.append(dst, odd)
	dst = appendEvents(dst, s.events)
	return appendCoded(dst, s.codes[:half], s.codes[half:])
}

// relative lays the numbers out in their slots, in steps from the first, and
// begins a header with that. The slots of missing ones lie on a line.
func (s *Small) relative(vals []int64, gaps []uint8) header {
	h := header{step: commonDivisor(vals), first: vals[0]}
	if s.mark(gaps, len(vals)) {
		h.form = formGapped
	}
	s.x = s.x[:0]
	for i, v := range vals {
		d := v - vals[0]
		if h.step != 1 {
			d /= int64(h.step)
		}
		if i > 0 && h.form != 0 {
			from := s.x[len(s.x)-1]
			for k := int64(gaps[i]); k > 0; k-- {
				from += (d - from) / (k + 1)
				s.x = append(s.x, from)
			}
		}
		s.x = append(s.x, d)
	}
	return h
}

// mark notes the slots without a number and says whether there are any.
func (s *Small) mark(gaps []uint8, n int) bool {
	s.slots, s.holes = holes(s.slots[:0], gaps, n), s.holes[:0]
	if len(s.slots) == 0 {
		return false
	}
	s.holes = grow(s.holes, n+len(s.slots))[:n+len(s.slots)]
	clear(s.holes)
	for _, at := range s.slots {
		s.holes[at] = true
	}
	return true
}

// commonDivisor returns the greatest divisor of all differences.
func commonDivisor(vals []int64) uint64 {
	step := uint64(0)
	for _, v := range vals {
		if step = gcd(step, magnitude(v-vals[0])); step == 1 {
			break
		}
	}
	return step
}

func magnitude(v int64) uint64 {
	if v < 0 {
		return -uint64(v)
	}
	return uint64(v)
}

func gcd(a, b uint64) uint64 {
	for b != 0 {
		a, b = b, a%b
	}
	return a
}

// huge says that predictions of the numbers have no room for binary places.
func (s *Small) huge() bool {
	or := uint64(0)
	for _, v := range s.x {
		or |= magnitude(v)
	}
	return bits.Len64(or) > 50
}

// seeds makes room for both halves as predictions see them, and returns them
// with the seeds of the first.
func (s *Small) seeds(half int) (a, b []int64) {
	s.h = grow(s.h[:0], 2*(half+maxReach))[:2*(half+maxReach)]
	a, b = s.h[:half+maxReach], s.h[half+maxReach:]
	clear(a[:maxReach])
	return a, b
}

// sow sets the seeds of the second half, where steps have moved the numbers by
// off, and returns what they are.
func (s *Small) sow(b []int64, off int64) int64 {
	seed := s.x[len(s.x)/2] - off
	for i := range maxReach {
		b[i] = seed
	}
	return seed
}

// encode predicts the numbers by the header's model as the decoder will, and
// keeps their codes and the events.
func (s *Small) encode(h *header, half int) {
	h.model(&s.model)
	s.events, s.codes = s.events[:0], s.codes[:0]
	a, b := s.seeds(half)
	off := s.encodeHalf(s.x[:half], a, 0, 0)
	h.seed = s.sow(b, off)
	s.encodeHalf(s.x[half:], b, half, off)
}

func (s *Small) encodeHalf(x, h []int64, from int, off int64) int64 {
	m := &s.model
	size := m.startSize()
	for i, v := range x {
		p := m.predict((*[maxReach]int64)(h[i:]))
		if s.hole(from + i) {
			h[i+maxReach] = m.nearest(p)
			s.codes = append(s.codes, coded{})
			continue
		}
		t := m.context(p, size) % (maxClasses * fractions)
		l, shift := m.layouts[t/fractions], m.shifts[t/fractions]
		r := v - off - p>>m.point
		if !l.holds(r, shift) {
			off += s.event(m, x, h, i, from, off, p>>m.point)
			r = 0
		}
		h[i+maxReach] = p>>m.point + r
		s.codes = append(s.codes, l.code(&m.words[t], r, shift))
		size = m.after(size, h[i+maxReach], p)
	}
	return off
}

// event notes that a number is none for its table and returns by how much it
// and those after it are off from now on: by nothing for a spike, after which
// the next number goes on from the prediction rather than from the spike.
func (s *Small) event(m *model, x, h []int64, i, from int, off, pred int64) int64 {
	e := event{at: from + i, diff: x[i] - off - pred}
	if m.reach > 0 && i+1 < len(x) {
		slope := pred - h[i+maxReach-1]
		spike := magnitude(x[i+1] - off - pred - slope)
		e.step = magnitude(x[i+1]-x[i]-slope) < spike
	}
	s.events = append(s.events, e)
	if e.step {
		return e.diff
	}
	return 0
}

func (s *Small) hole(i int) bool { return len(s.holes) > 0 && s.holes[i] }

// manyEvents is how many make it worth to tell them in columns.
const manyEvents = 16

// appendEvents appends the count of the events and each, or, if they are many,
// sections of their distances with their kinds and of how far off they are.
func appendEvents(dst []byte, events []event) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(events)))
	gaps, diffs, at := make([]int64, len(events)), make([]int64, len(events)), 0
	for i, e := range events {
		gaps[i], diffs[i] = int64(e.at-at)<<1, e.diff
		if e.step {
			gaps[i] |= 1
		}
		at = e.at
	}
	if len(events) >= manyEvents {
		return appendSized(appendSized(dst, AppendInts(nil, gaps)), AppendInts(nil, diffs))
	}
	for i, g := range gaps {
		dst = binary.AppendVarint(binary.AppendUvarint(dst, uint64(g)), diffs[i])
	}
	return dst
}
