package codec

import (
	"errors"
	"fmt"
)

var (
	errGaps  = errors.New("numbers are told apart by gaps that there are none of")
	errCodes = errors.New("codes do not end where they should")
)

// event is a number that its table does not hold.
type event struct {
	at   int // among the numbers of both halves
	step bool
	diff int64
}

// readSmall appends the n numbers of a section in mode intSmall to dst.
func readSmall(dst []int64, r *reader, n int, gaps []uint8) ([]int64, error) {
	form := r.byte()
	if n < smallMin {
		return dst, fmt.Errorf("%d numbers in a form for more", n)
	}
	var empty []int32
	if form&formGapped != 0 {
		if empty = holes(make([]int32, 0, n/32), gaps, n); len(empty) == 0 {
			return dst, errGaps
		}
	}
	slots := n + len(empty)
	h, err := r.header(form, slots%2 != 0)
	if err != nil {
		return dst, err
	}
	half := slots / 2
	events, later, err := r.events(half)
	if err != nil {
		return dst, err
	}
	// Both halves are decoded where they go, with what is before them.
	from := len(dst)
	dst = grow(dst, slots+2*maxReach)
	all := dst[from : from+2*half+2*maxReach]
	a, b := all[:half+maxReach], all[half+maxReach:]
	for i := range maxReach {
		a[i], b[i] = 0, h.seed
	}
	if err := r.codes(&h, a, b, empty); err != nil {
		return dst, err
	}
	copy(all, a[maxReach:])
	copy(all[half:], b[maxReach:])
	off := h.settle(all[:half], events[:later], 0)
	h.settle(all[half:2*half], events[later:], off)
	out := fill(all[:2*half], empty)
	if slots%2 != 0 {
		out = append(out, out[len(out)-1]+h.last*int64(h.step))
	}
	return dst[:from+len(out)], nil
}

// fill closes the holes.
func fill(all []int64, holes []int32) []int64 {
	n := 0
	for k, at := range holes {
		if k == 0 {
			n = int(at)
			continue
		}
		n += copy(all[n:], all[holes[k-1]+1:at])
	}
	if len(holes) > 0 {
		n += copy(all[n:], all[holes[len(holes)-1]+1:])
		return all[:n]
	}
	return all
}

// holes appends the slots without a number, nothing where gaps do not tell of n
// numbers, of missing ones, or tell of more missing ones than there are
// numbers.
func holes(dst []int32, gaps []uint8, n int) []int32 {
	if len(gaps) != n {
		return dst
	}
	from, at := len(dst), int32(0)
	for _, g := range gaps[min(1, n):] {
		for at++; g > 0; g-- {
			if dst = append(dst, at); len(dst)-from > n {
				return dst[:from]
			}
			at++
		}
	}
	return dst
}

// codes decodes both halves.
func (r *reader) codes(h *header, a, b []int64, holes []int32) error {
	d := decoder{holes: holes}
	h.model(&d.model)
	raw := r.uvarint()
	d.state[0], d.state[1] = r.uvarint(), r.uvarint()
	if r.err != nil || raw > uint64(len(r.data)) {
		return errShort
	}
	d.raw, d.data = int(raw), r.data
	if len(r.data)-d.raw < 8 { // extra bits are read eight bytes at a time
		d.data = append(append(make([]byte, 0, len(r.data)+8), r.data...), make([]byte, 8)...)
	}
	d.end = len(r.data)
	d.size = [2]int64{d.startSize(), d.startSize()}
	if !d.run(a, b) {
		return errCodes
	}
	return nil
}

// events reads the list of events of two halves of n slots: from the index on
// they belong to the second one.
func (r *reader) events(n int) (list []event, later int, err error) {
	gaps, diffs, err := r.eventColumns(n)
	if err != nil {
		return nil, 0, err
	}
	list = make([]event, len(gaps))
	at := uint64(0)
	for i, g := range gaps {
		gap := uint64(g)
		if at += gap >> 1; gap>>1 > 2*uint64(n) || at >= 2*uint64(n) {
			return nil, 0, fmt.Errorf("event at %d of %d numbers", at, 2*n)
		}
		list[i] = event{at: int(at), step: gap&1 != 0, diff: diffs[i]}
		if int(at) < n {
			later = i + 1
		} else {
			list[i].at -= n
		}
	}
	return list, later, nil
}

func (r *reader) eventColumns(n int) (gaps, diffs []int64, err error) {
	count := r.uvarint()
	if r.err != nil || count > 2*uint64(n) {
		return nil, nil, errShort
	}
	if count >= manyEvents {
		if gaps, err = r.plain(int(count)); err == nil {
			diffs, err = r.plain(int(count))
		}
		return gaps, diffs, err
	}
	for range count {
		gaps, diffs = append(gaps, int64(r.uvarint())), append(diffs, r.varint())
	}
	return gaps, diffs, r.err
}

// settle turns what the model told of a half into its numbers, off by so much
// at first, and returns by how much in the end.
func (h *header) settle(out []int64, events []event, off int64) int64 {
	from := 0
	for _, e := range events {
		if !e.step {
			out[e.at] += e.diff
			continue
		}
		h.scale(out[from:e.at], off)
		off, from = off+e.diff, e.at
	}
	h.scale(out[from:], off)
	return off
}

// scale turns steps, off by so many, into numbers.
func (h *header) scale(out []int64, off int64) {
	step := int64(h.step)
	off = h.first + off*step
	if step == 1 {
		for i := range out {
			out[i] += off
		}
		return
	}
	for i, v := range out {
		out[i] = v*step + off
	}
}
