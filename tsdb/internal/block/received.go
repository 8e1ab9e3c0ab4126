package block

import (
	"encoding/binary"
	"errors"
	"fmt"

	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/rows"
)

// Received appends the received times to dst, 0 where unknown.
func (d *Data) Received(dst, times []int64) ([]int64, error) {
	if d.pack != nil {
		return append(dst, d.pack.Received[d.from:d.from+d.rows]...), nil
	}
	s := d.sections[2]
	if len(s) == 0 {
		return dst, d.wrap("received times", errors.New("no mode"))
	}
	switch s[0] {
	case receivedNone:
		return append(dst, make([]int64, d.rows)...), nil
	case receivedAll:
		from := len(dst)
		dst, err := codec.ReadInts(dst, s[1:], d.rows)
		if err != nil {
			return dst, d.wrap("received times", err)
		}
		for i, t := range times {
			dst[from+i] += t
		}
		return dst, nil
	case receivedMixed, receivedLate:
		dst, err := d.receivedSome(dst, times, s[1:], s[0] == receivedLate)
		return dst, d.wrap("received times", err)
	}
	return dst, d.wrap("received times", fmt.Errorf("mode %d is unknown", s[0]))
}

// receivedSome reads received times that some rows may not have, or that some
// have intervals late.
func (d *Data) receivedSome(dst, times []int64, s []byte, late bool) ([]int64, error) {
	runs, s, ok := cutBytes(s)
	if !ok {
		return dst, errors.New("runs are cut short")
	}
	known := d.rows
	var err error
	d.codes = d.codes[:0]
	if !late || len(runs) > 0 {
		if d.codes, err = codec.ReadRuns(d.codes, runs, d.rows); err != nil {
			return dst, err
		}
		known = 0
		for _, c := range d.codes {
			known += int(c & 1)
		}
	}
	var places, by []int64
	if late {
		if places, by, s, err = readLate(s, known); err != nil {
			return dst, err
		}
	}
	if d.ints, err = codec.ReadInts(d.ints[:0], s, known); err != nil {
		return dst, err
	}
	for i, p := range places {
		d.ints[p] += by[i]
	}
	at := 0
	for i, t := range times {
		v := int64(0)
		if len(d.codes) == 0 || d.codes[i]&1 != 0 {
			v = t + d.ints[at]
			at++
		}
		dst = append(dst, v)
	}
	return dst, nil
}

// readLate reads which of the known received times are intervals late, and by how
// much; s is what follows.
func readLate(data []byte, known int) (places, by []int64, s []byte, err error) {
	r := indexReader{data: data, size: len(data)}
	interval, n := r.uvarint(), r.uvarint()
	if r.err != nil || n > uint64(known) {
		return nil, nil, nil, fmt.Errorf("%d of %d are late", n, known)
	}
	if places, by, s, err = readPlaced(r.data, int(n), known); err != nil {
		return nil, nil, nil, err
	}
	for i := range by {
		by[i] *= int64(interval)
	}
	return places, by, s, nil
}

// readPlaced reads n places among so many, and a number for each, behind their
// bytes; s is what follows.
func readPlaced(data []byte, n, among int) (places, numbers []int64, s []byte, err error) {
	first, rest, ok := cutBytes(data)
	second, s, more := cutBytes(rest)
	if !ok || !more {
		return nil, nil, nil, errors.New("places are cut short")
	}
	if places, err = codec.ReadInts(nil, first, n); err != nil {
		return nil, nil, nil, err
	}
	if numbers, err = codec.ReadInts(nil, second, n); err != nil {
		return nil, nil, nil, err
	}
	at := int64(0)
	for i, p := range places {
		if p < 0 || p >= int64(among)-at {
			return nil, nil, nil, fmt.Errorf("place %d is %d after %d of %d", i, p, at, among)
		}
		at += p
		places[i] = at
	}
	return places, numbers, s, nil
}

// cutBytes cuts off bytes behind their count.
func cutBytes(data []byte) (b, rest []byte, ok bool) {
	size, n := binary.Uvarint(data)
	if n <= 0 || size > uint64(len(data)-n) {
		return nil, nil, false
	}
	return data[n : n+int(size)], data[n+int(size):], true
}

// onlyOthersReceived says, from the runs alone, that received times are known only
// of rows that are not of kind Human, where kinds says which those are.
func (d *Data) onlyOthersReceived(kinds []uint8) (bool, error) {
	s := d.sections[2]
	if kinds == nil || len(s) == 0 || s[0] != receivedMixed && s[0] != receivedLate {
		return false, nil
	}
	runs, _, ok := cutBytes(s[1:])
	if !ok {
		return false, errors.New("runs of received times are cut short")
	}
	if len(runs) == 0 {
		return false, nil // all are known
	}
	var err error
	if d.codes, err = codec.ReadRuns(d.codes[:0], runs, d.rows); err != nil {
		return false, err
	}
	for i, k := range kinds {
		if k == rows.Human && d.codes[i]&1 != 0 {
			return false, nil
		}
	}
	return true, nil
}
