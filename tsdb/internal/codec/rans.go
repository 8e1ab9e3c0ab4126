package codec

import (
	"encoding/binary"
	"slices"
)

// Symbols are coded by ranges of an asymmetric numeral system (J. Duda,
// Asymmetric numeral systems, arXiv:1311.2540; F. Giesen, Interleaved entropy
// coders, arXiv:1402.3392): a state takes a symbol of frequency f out of 2^15
// in by growing by the factor 2^15/f, and gives symbols back in the reverse
// order. It is kept from stateLow to stateLow<<32 by 32 bits at a time. Two
// states, each for one half of the numbers, keep a processor busier than one.
const stateLow = 1 << 16

// coded is a number on its way to the bits.
type coded struct {
	word uint64 // of its symbol, 0 in the slot of none
	rest uint64 // extra bits
}

// appendCoded appends the numbers of both halves: bytes of extra bits, states,
// extra bits, words of the states.
func appendCoded(dst []byte, a, b []coded) []byte {
	var extra bitWriter
	for i := range a {
		extra.put(a[i].rest, uint(a[i].word>>40&63))
		extra.put(b[i].rest, uint(b[i].word>>40&63))
	}
	x, y := uint64(stateLow), uint64(stateLow)
	var words []uint32
	for i := len(a) - 1; i >= 0; i-- {
		y, words = pushSymbol(y, words, b[i].word)
		x, words = pushSymbol(x, words, a[i].word)
	}
	raw := extra.end()
	dst = binary.AppendUvarint(dst, uint64(len(raw)))
	dst = binary.AppendUvarint(dst, x)
	dst = binary.AppendUvarint(dst, y)
	dst = append(dst, raw...)
	for _, w := range slices.Backward(words) {
		dst = binary.LittleEndian.AppendUint32(dst, w)
	}
	return dst
}

func pushSymbol(state uint64, words []uint32, word uint64) (uint64, []uint32) {
	if word == 0 {
		return state, words
	}
	start, freq := word&0xffff, word>>16&0xffff
	if state >= freq<<(16+32-tableBits) {
		words = append(words, uint32(state))
		state >>= 32
	}
	return state/freq<<tableBits + state%freq + start, words
}

// bitWriter collects bits, the least significant first.
type bitWriter struct {
	data []byte
	acc  uint64
	n    uint
}

// put appends the low n bits of v, which has no others; n is at most 57.
func (w *bitWriter) put(v uint64, n uint) {
	w.acc |= v << w.n
	for w.n += n; w.n >= 8; w.n -= 8 {
		w.data = append(w.data, byte(w.acc))
		w.acc >>= 8
	}
}

// end returns all bits, the last byte filled up with zeros.
func (w *bitWriter) end() []byte {
	if w.n > 0 {
		w.data = append(w.data, byte(w.acc))
	}
	return w.data
}

// decoder gives back the numbers of a section.
type decoder struct {
	model
	state [2]uint64
	size  [2]int64
	data  []byte  // extra bits, then words
	raw   int     // bytes of extra bits
	end   int     // of the words
	holes []int32 // slots of both halves without a number
}

// cursor goes from hole to hole of a half that begins at a slot.
type cursor struct {
	holes []int32
	from  int
}

// next returns where the next hole is in a half behind its seeds, -1 for none.
func (c *cursor) next() int {
	if len(c.holes) == 0 {
		return -1
	}
	at := int(c.holes[0]) - c.from + maxReach
	c.holes = c.holes[1:]
	return at
}

// run fills both halves from the 16th number on, predicting from the ones
// before, and says whether the bytes held so many numbers and no more.
func (d *decoder) run(a, b []int64) bool {
	x, y := d.state[0], d.state[1]
	sx, sy := d.size[0], d.size[1]
	at, pos := d.raw, uint(0) // the next word; the next extra bit
	data, pace, reach, bias := d.data, d.pace, d.reach, d.bias
	classed := d.classes > 1
	class, borders, words := &d.class, &d.borders, &d.model.words
	b = b[:len(a)]
	half := len(a) - maxReach
	later, _ := slices.BinarySearch(d.holes, int32(half))
	first, second := cursor{d.holes, 0}, cursor{d.holes[later:], half}
	holeA, holeB := first.next(), second.next()
	for i := maxReach; i < len(a); i++ {
		p, q := bias, bias
		switch reach {
		case 0:
		case 1:
			p, q = a[i-1]<<(pace.point&63), b[i-1]<<(pace.point&63)
		case 4:
			c := (*[4]int64)(d.taps[12:])
			p += dot4(c, (*[4]int64)(a[i-4:]))
			q += dot4(c, (*[4]int64)(b[i-4:]))
		case 16:
			c := (*[8]int64)(d.taps[:])
			p += dot8(c, (*[8]int64)(a[i-16:]))
			q += dot8(c, (*[8]int64)(b[i-16:]))
			fallthrough
		default:
			c := (*[8]int64)(d.taps[8:])
			p += dot8(c, (*[8]int64)(a[i-8:]))
			q += dot8(c, (*[8]int64)(b[i-8:]))
		}

		if i == holeA {
			a[i] = pace.nearest(p)
			holeA = first.next()
		} else {
			t := pace.fraction(p)
			if classed {
				t += uint64(class[pace.sizeOf(sx)]) % maxClasses * fractions
			}
			part := x & (tableTotal - 1)
			s := words[t%tableCount][borders[t%tableCount].find(part)]
			x = s>>16&0xffff*(x>>tableBits) + part - s&0xffff
			if x < stateLow {
				if at+4 <= len(data) {
					x = x<<32 | uint64(binary.LittleEndian.Uint32(data[at:]))
				}
				at += 4
			}
			v := int64(s)>>48<<(s>>32&63) + p>>(pace.point&63)
			if n := s >> 40 & 63; n > 0 {
				if from := pos / 8; from+8 <= uint(len(data)) {
					v += int64(binary.LittleEndian.Uint64(data[from:]) >> (pos % 8) & (1<<n - 1))
				}
				pos += uint(n)
			}
			a[i] = v
			if classed {
				sx = pace.after(sx, v, p)
			}
		}
		if i == holeB {
			b[i] = pace.nearest(q)
			holeB = second.next()
		} else {
			t := pace.fraction(q)
			if classed {
				t += uint64(class[pace.sizeOf(sy)]) % maxClasses * fractions
			}
			part := y & (tableTotal - 1)
			s := words[t%tableCount][borders[t%tableCount].find(part)]
			y = s>>16&0xffff*(y>>tableBits) + part - s&0xffff
			if y < stateLow {
				if at+4 <= len(data) {
					y = y<<32 | uint64(binary.LittleEndian.Uint32(data[at:]))
				}
				at += 4
			}
			v := int64(s)>>48<<(s>>32&63) + q>>(pace.point&63)
			if n := s >> 40 & 63; n > 0 {
				if from := pos / 8; from+8 <= uint(len(data)) {
					v += int64(binary.LittleEndian.Uint64(data[from:]) >> (pos % 8) & (1<<n - 1))
				}
				pos += uint(n)
			}
			b[i] = v
			if classed {
				sy = pace.after(sy, v, q)
			}
		}
	}
	return x == stateLow && y == stateLow && at == d.end && (pos+7)/8 == uint(d.raw)
}
