package codec

import (
	"math"
	"math/bits"
)

// choice is a way to class residuals: half octaves (or whole ones) of the
// sizes from low on.
type choice struct {
	slow           uint
	classes, width int
	low            int
}

// With tables by shape, sizes are looked up with so many bits gone that their
// mean lies between 16 and 32, at the half octaves 10 and 11. With counted
// tables all bits below 1 are gone, or all but three where sizes are means.
var (
	firstChoice    = []choice{{3, 6, 2, 5}}
	oneClass       = []choice{{3, 1, 1, 0}}
	shapedChoices  = []choice{{4, 6, 2, 5}, {3, 8, 1, 7}, {2, 6, 2, 5}}
	countedChoices = []choice{{0, 4, 2, 1}, {0, 1, 1, 0}, {0, 8, 1, 1}, {1, 6, 2, 2}, {2, 6, 2, 2}}
)

// search returns the header that promises the fewest bits, if any does.
func (s *Small) search(h header) (header, bool) {
	b := best{Small: s, bits: math.Inf(1)}
	h.form |= formLast
	if s.huge() {
		h.form |= formCoarse
		s.try(&h, -1<<60, 1<<60)
		b.consider(h, firstChoice)
		b.class(h)
		return b.header, b.header.classes > 0
	}
	p := s.fit.best(s.x)
	s.attempt(&h, &p)
	b.consider(h, firstChoice)
	last := h
	if len(p.coefs) > 0 {
		h = s.linear(h, &p)
		b.consider(h, firstChoice)
	}
	b.refine(h, last, &p)
	b.level()
	return b.header, b.header.classes > 0
}

// linear tries a fitted prediction; one that has met events is fitted once
// more, to the numbers without them.
func (s *Small) linear(h header, p *prediction) header {
	form := h.form &^ (1<<6 - 1)
	h.form, h.coefs, h.bias = form|p.form, p.coefs, p.bias
	s.attempt(&h, p)
	if s.trial.events == 0 {
		return h
	}
	if q := s.fit.best(s.clean()); len(q.coefs) > 0 {
		*p = q
		h.form, h.coefs, h.bias = form|p.form, p.coefs, p.bias
		s.attempt(&h, p)
	}
	return h
}

// clean returns the numbers as the last trial's predictions saw them, without
// the steps between.
func (s *Small) clean() []int64 {
	half := len(s.x) / 2
	a, b := s.h[maxReach:maxReach+half], s.h[half+2*maxReach:]
	s.whole = append(append(s.whole[:0], a...), b...)
	return s.whole
}

// refine tries more ways to class the residuals of the better prediction, h
// or, from the number before, last.
func (b *best) refine(h, last header, p *prediction) {
	if b.header.form != h.form {
		h = last
		b.attempt(&h, p)
	}
	b.class(h)
	if len(h.coefs) > 0 {
		if b.trial.mean > 4<<fullPoint {
			return
		}
		h = last
		b.attempt(&h, p)
	}
	switch mean := b.trial.mean >> fullPoint; {
	case mean < 2:
		b.count(h, narrow)
	case mean < 8:
		b.count(h, wide)
	}
}

// best is the best header of a search so far.
type best struct {
	*Small
	header header
	bits   float64
}

// consider measures ways to class the residuals of a trial, the first one only
// where it is far from the best.
func (b *best) consider(h header, choices []choice) {
	for i, c := range choices {
		h.slow, h.classes, h.width, h.low = c.slow, c.classes, c.width, c.low
		bits := b.measure(&h)
		if i == 0 && bits > 1.1*b.bits {
			return
		}
		if bits < b.bits {
			b.header, b.bits = h, bits
		}
	}
}

// class looks for the best classes of the residuals of a trial, after the first
// choice: where one class is better, they are all alike.
func (b *best) class(h header) {
	before := b.bits
	if b.consider(h, oneClass); b.bits == before {
		h.kind, h.shaped = b.header.kind, true
		b.consider(h, shapedChoices)
	}
}

// count measures counted tables of a layout.
func (b *best) count(h header, kind int) {
	h.counted, h.kind = true, kind
	b.consider(h, countedChoices)
}

// level tries numbers without prediction, from the least one on, and keeps
// them so where that is best.
func (b *best) level() {
	least := b.x[0]
	for _, v := range b.x {
		least = min(least, v)
	}
	h := header{form: b.header.form & formGapped, step: b.header.step}
	h.first = b.header.first + least*int64(h.step)
	b.shift(least)
	b.try(&h, 0, int64(layouts[unsigned].base[symbols]))
	before := b.bits
	if b.trial.mean < 32<<fullPoint && b.trial.events <= len(b.x)/32 {
		b.count(h, unsigned)
	}
	if b.bits == before {
		b.shift(-least)
	}
}

func (s *Small) shift(by int64) {
	for i := range s.x {
		s.x[i] -= by
	}
}

// measure chooses the tables of a header and returns how many bits the chunk
// takes with them.
func (s *Small) measure(h *header) float64 {
	m, t := &s.model, &s.trial
	switch {
	case !h.counted:
		h.coarse = uint(max(bits.Len64(uint64(t.mean)), 5)) - 5
	case h.slow > 0:
		h.coarse = max(m.point, 3) - 3
	default:
		h.coarse = m.point
	}
	m.slow, m.coarse = h.slow, h.coarse
	m.setClasses(h.classes, h.low, h.width)
	t.sizes(m)
	s.bins.sort(t, m, h.classes, h.counted)
	total := float64(8*(12+h.classes) + 32*(t.events+s.bins.beyond))
	for _, c := range h.coefs {
		total += 1 + float64(bits.Len64(zigzag(c)))
	}
	if h.counted {
		return total + s.bins.counts(h)
	}
	return total + s.bins.shape(h, m.linear())
}
