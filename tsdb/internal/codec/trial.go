package codec

import "slices"

// trial is what a prediction leaves of the numbers, before their tables are
// known.
type trial struct {
	left   []residual
	size   []int64 // what the classes go by
	slow   int     // of these, -1 for none
	mean   int64   // of the distances
	first  int     // how many are of the first half
	events int
}

type residual struct {
	value int64
	dist  int64 // distance from the prediction, with binary places
	part  uint8 // number of the prediction's fraction
	class uint8
}

// attempt tries a prediction, taking for events what lies beyond so many times
// the usual residual that there are few.
func (s *Small) attempt(h *header, p *prediction) {
	limit := int64(eventLimit * (min(p.sigma, 1<<40) + 1))
	s.try(h, -limit, limit)
	if usual := eventLimit * (s.usual() + 1); usual < limit/2 {
		limit = usual
		s.try(h, -limit, limit)
	}
	for s.trial.events > len(s.x)/12 && limit < 1<<50 {
		limit *= 8
		s.try(h, -limit, limit)
	}
}

// eventLimit is how many times the usual residual an event is at least.
const eventLimit = 32

// usual returns the median of a sample of the residuals' sizes.
func (s *Small) usual() int64 {
	const sample = 256
	t := &s.trial
	var sizes [sample]int64
	n := min(sample, len(t.left))
	for i := range n {
		sizes[i] = t.left[i*len(t.left)/n].dist
	}
	slices.Sort(sizes[:n])
	return sizes[n/2] >> s.model.point
}

// try predicts the numbers by the header's form and keeps what is left, with
// events for what does not lie in a range.
func (s *Small) try(h *header, low, high int64) {
	m, t := &s.model, &s.trial
	h.predictor(m)
	t.slow = -1
	half := len(s.x) / 2
	t.left = grow(t.left[:0], len(s.x))
	s.events = s.events[:0]
	a, b := s.seeds(half)
	off := s.tryHalf(s.x[:half], a, 0, 0, low, high)
	t.first = len(t.left)
	s.sow(b, off)
	s.tryHalf(s.x[half:], b, half, off, low, high)
	t.events = len(s.events)
	sum := uint64(0)
	for i := range t.left {
		sum += uint64(min(t.left[i].dist, 1<<48))
	}
	t.mean = int64(sum / uint64(len(t.left)))
}

func (s *Small) tryHalf(x, h []int64, from int, off, low, high int64) int64 {
	m, t := &s.model, &s.trial
	for i, v := range x {
		p := m.predict((*[maxReach]int64)(h[i:]))
		if s.hole(from + i) {
			h[i+maxReach] = m.nearest(p)
			continue
		}
		whole := p >> (m.point & 63)
		r := v - off - whole
		if r < low || r >= high {
			off += s.event(m, x, h, i, from, off, whole)
			r = 0
		}
		h[i+maxReach] = whole + r
		d := (whole+r)<<(m.point&63) - p
		t.left = append(t.left, residual{value: r, dist: d ^ d>>63 - d>>63, part: uint8(m.fraction(p))})
	}
	return off
}

// sizes follows the size of the residuals as the decoder will.
func (t *trial) sizes(m *model) {
	if t.slow == int(m.slow) {
		return
	}
	t.slow = int(m.slow)
	t.size = t.size[:0]
	size := m.startSize()
	for i := range t.left {
		if i == t.first {
			size = m.startSize()
		}
		t.size = append(t.size, size)
		size += (t.left[i].dist - size) >> (m.slow & 63)
	}
}
