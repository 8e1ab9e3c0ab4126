package codec

import "math/bits"

// A model says how a section in mode intSmall tells its numbers: how each is
// predicted from those before it, and by which table its residual, the
// distance from the prediction rounded down, is coded. The table is chosen by
// the class, which follows the size of the last residuals, and by the fraction
// of the prediction, which tells on what side of it the number likely lies.
//
// All of it is integer arithmetic that wraps, for the decoder must predict what
// the encoder did.
type model struct {
	pace
	reach   int             // of the prediction: 0, 1, or taps in fours
	taps    [maxReach]int64 // the last one for the number just before
	bias    int64
	class   [256]uint8
	classes int

	borders [maxClasses * fractions]borders
	words   [maxClasses * fractions]words
	layouts [maxClasses]*layout // for encoding
	shifts  [maxClasses]uint
}

// pace is how a model goes from number to number.
type pace struct {
	point  uint   // binary places of predictions, taps and bias
	mask   uint64 // of the fraction's number: 7, or 0 where there is none
	slow   uint   // how slowly the size follows
	coarse uint   // the size is looked up without so many bits
}

const (
	maxReach   = 16
	maxClasses = 8
	fractions  = 8
	tableCount = maxClasses * fractions
	fullPoint  = 8 // binary places, but none where the numbers are huge
)

// dot8 adds up eight products.
func dot8(c, h *[8]int64) int64 {
	return c[0]*h[0] + c[1]*h[1] + c[2]*h[2] + c[3]*h[3] + c[4]*h[4] + c[5]*h[5] + c[6]*h[6] + c[7]*h[7]
}

// dot4 adds up four products.
func dot4(c, h *[4]int64) int64 {
	return c[0]*h[0] + c[1]*h[1] + c[2]*h[2] + c[3]*h[3]
}

// predict returns the prediction that follows on h.
func (m *model) predict(h *[maxReach]int64) int64 {
	switch m.reach {
	case 0:
		return m.bias
	case 1:
		return h[15] << (m.point & 63)
	case 4:
		return m.bias + dot4((*[4]int64)(m.taps[12:]), (*[4]int64)(h[12:]))
	}
	p := m.bias + dot8((*[8]int64)(m.taps[8:]), (*[8]int64)(h[8:]))
	if m.reach == 16 {
		p += dot8((*[8]int64)(m.taps[:]), (*[8]int64)(h[:]))
	}
	return p
}

// sizeOf returns where the class of a size is looked up.
func (c pace) sizeOf(size int64) uint64 { return min(uint64(size)>>(c.coarse&63), 255) }

// fraction returns the number of the fraction of a prediction.
func (c pace) fraction(p int64) uint64 { return uint64(p) >> (fullPoint - 3) & c.mask }

// context returns the number of the table for a prediction after residuals of
// a size.
func (m *model) context(p, size int64) uint64 {
	return uint64(m.class[m.sizeOf(size)])*fractions + m.fraction(p)
}

// nearest returns the whole number nearest to a prediction: what stands in for
// a number that is missing.
func (c pace) nearest(p int64) int64 { return (p + 1<<(c.point&63)>>1) >> (c.point & 63) }

// after returns the size after a number and its prediction.
func (c pace) after(size, v, p int64) int64 {
	d := v<<(c.point&63) - p
	d = d ^ d>>63 - d>>63
	return size + (d-size)>>(c.slow&63)
}

// linear says whether predictions have fractions.
func (m *model) linear() bool { return m.reach > 1 }

// classes fills the table of classes: sizes are told apart by half octaves (or
// whole ones) from low on.
func (m *model) setClasses(count, low, width int) {
	m.classes = count
	for i := range m.class {
		m.class[i] = uint8(max(0, min((halfOctave(i)-low)/width, count-1)))
	}
}

// halfOctave returns 0 for 0, and one more for every factor of about 1.4.
func halfOctave(size int) int {
	n := bits.Len(uint(size))
	if n < 2 {
		return 2 * n
	}
	return 2*n + size>>(n-2)&1
}
