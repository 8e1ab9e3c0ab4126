package codec

import "slices"

// trial is what a prediction leaves of the numbers, before their tables are
// known.
type trial struct {
	res    []int64 // residuals
	dist   []int64 // distances from the predictions, with binary places
	part   []uint8 // numbers of the predictions' fractions
	size   []int64 // what the classes go by
	slow   int     // of these, -1 for none
	class  []uint8
	mean   int64 // of the distances
	first  int   // how many are of the first half
	events int
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
	n := min(sample, len(t.dist))
	for i := range n {
		sizes[i] = t.dist[i*len(t.dist)/n]
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
	t.res, t.dist, t.part = t.res[:0], t.dist[:0], t.part[:0]
	s.events = s.events[:0]
	a, b := s.seeds(half)
	off := s.tryHalf(s.x[:half], a, 0, 0, low, high)
	t.first = len(t.dist)
	s.sow(b, off)
	s.tryHalf(s.x[half:], b, half, off, low, high)
	t.events = len(s.events)
	sum := uint64(0)
	for _, d := range t.dist {
		sum += uint64(min(d, 1<<48))
	}
	t.mean = int64(sum / uint64(len(t.dist)))
}

func (s *Small) tryHalf(x, h []int64, from int, off, low, high int64) int64 {
	m, t := &s.model, &s.trial
	for i, v := range x {
		p := m.predict((*[maxReach]int64)(h[i:]))
		if s.hole(from + i) {
			h[i+maxReach] = m.nearest(p)
			continue
		}
		r := v - off - p>>m.point
		if r < low || r >= high {
			off += s.event(m, x, h, i, from, off, p>>m.point)
			r = 0
		}
		h[i+maxReach] = p>>m.point + r
		t.res = append(t.res, r)
		t.dist = append(t.dist, int64(magnitude(h[i+maxReach]<<m.point-p)))
		t.part = append(t.part, uint8(m.fraction(p)))
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
	for i, d := range t.dist {
		if i == t.first {
			size = m.startSize()
		}
		t.size = append(t.size, size)
		size += (d - size) >> (m.slow & 63)
	}
}
