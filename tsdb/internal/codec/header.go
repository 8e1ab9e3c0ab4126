package codec

import (
	"encoding/binary"
	"fmt"
)

// A section of whole numbers in mode intSmall: the header tells a model, the
// rest is what the model could not know. The numbers are told as multiples of
// a step above the first one, in two halves that are decoded side by side; of
// an odd count the last one is told by itself.
//
// Where the caller says that numbers are missing between others, the missing
// ones have slots too, and their predictions stand in for them: neighbours stay
// as far apart as they were in time.
//
// An event is a number too far off for its table: its prediction stands in for
// it, so that the predictions after it stay good, and a list tells by how much
// the number (a spike), or it and all after it (a step), are off.
const (
	intSmall = 4

	smallMin = 64 // numbers, below which it is not worth its header
)

// Forms of prediction, the first byte of the header.
const (
	formLevel  = 0  // nothing: numbers at or above the first
	formLast   = 1  // the number before
	formValues = 1  // + n: n coefficients of the numbers before
	formSteps  = 17 // + n: n coefficients of their differences
	formEnd    = formSteps + maxReach

	formCoarse = 64  // added: predictions have no binary places
	formGapped = 128 // added: gaps are counted

	valuePlaces = 8 // binary places of coefficients
	stepPlaces  = 5
)

// header is the part of a section before events and codes.
type header struct {
	form    byte
	coefs   []int64
	bias    int64
	step    uint64
	first   int64
	seed    int64 // before the second half, as predictions see it
	last    int64 // of an odd count, in steps from the one before
	slow    uint
	classes int
	width   int
	coarse  uint
	low     int
	counted bool // tables are told by frequencies, not by shape and scale
	kind    int  // shape or layout
	shaped  bool // the shape is known before the classes (encoding only)
	scales  [maxClasses]uint8
	levels  [maxClasses][]uint8
}

func (h *header) append(dst []byte, odd bool) []byte {
	dst = append(dst, intSmall, h.form)
	if len(h.coefs) > 0 {
		zig := make([]uint64, len(h.coefs))
		for i, c := range h.coefs {
			zig[i] = zigzag(c)
		}
		dst = binary.AppendVarint(appendRice(dst, zig), h.bias)
	}
	dst = binary.AppendUvarint(dst, h.step)
	dst = binary.AppendVarint(dst, h.first)
	dst = binary.AppendVarint(dst, h.seed)
	if odd {
		dst = binary.AppendVarint(dst, h.last)
	}
	classing := byte(h.slow) | byte(h.classes-1)<<3 | byte(h.width-1)<<6
	if h.counted {
		classing |= 1 << 7
	}
	dst = append(dst, classing)
	if h.classes > 1 {
		dst = append(dst, byte(h.coarse), byte(h.low))
	}
	dst = append(dst, byte(h.kind))
	for c := range h.classes {
		if h.counted {
			dst = appendLevels(dst, h.levels[c])
		} else {
			dst = append(dst, h.scales[c])
		}
	}
	return dst
}

// header reads what header.append has written, but mode and form.
func (r *reader) header(form byte, odd bool) (h header, err error) {
	h.form = form
	if count := h.coefficients(); count > 0 {
		h.coefs = make([]int64, count)
		r.rice(h.coefs)
		for i, c := range h.coefs {
			h.coefs[i] = unzigzag(uint64(c))
		}
		h.bias = r.varint()
	}
	h.step, h.first, h.seed = r.uvarint(), r.varint(), r.varint()
	if odd {
		h.last = r.varint()
	}
	classing := r.byte()
	h.slow, h.classes, h.width = uint(classing&7), int(classing>>3&7)+1, int(classing>>6&1)+1
	h.counted = classing>>7 != 0
	if h.classes > 1 {
		h.coarse, h.low = uint(r.byte()), int(r.byte())
	}
	h.kind = int(r.byte())
	for c := range h.classes {
		if h.counted {
			h.levels[c] = r.levels()
		} else {
			h.scales[c] = r.byte()
		}
	}
	return h, h.check(r.err)
}

// coefficients returns how many coefficients the form has, -1 for no form.
func (h *header) coefficients() int {
	switch f := int(h.form &^ (formCoarse | formGapped)); {
	case f <= formLast:
		return 0
	case f <= formSteps:
		return f - formValues
	case f < formEnd:
		return f - formSteps
	}
	return -1
}

func (h *header) check(err error) error {
	switch {
	case err != nil:
		return err
	case h.coefficients() < 0, h.coefficients() > 0 && h.form&formCoarse != 0:
		return fmt.Errorf("prediction of form %d is unknown", h.form)
	case h.coarse > 63 || h.low > 128:
		return fmt.Errorf("sizes from %d on without %d bits", h.low, h.coarse)
	case h.counted && h.kind >= len(layouts), !h.counted && h.kind >= shapeCount:
		return fmt.Errorf("tables of kind %d are unknown", h.kind)
	}
	for c := range h.classes {
		if h.scales[c] > maxScale {
			return fmt.Errorf("scale %d of a table is out of range", h.scales[c])
		}
	}
	return nil
}
