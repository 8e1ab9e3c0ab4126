package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/rows"
)

// Data is a chunk's bytes with its sections found, to be decoded one by one.
type Data struct {
	rows     int
	sections [][]byte
	where    func(err error) error // says where a damage is
	ints     []int64
	codes    []uint8
	floats   []float64
	gaps     []uint8 // between rows, where gapsKnown
	cells    []uint8

	gapsKnown bool

	// Of a group of a pack: its rows, from this one on.
	pack *packTable
	from int
}

var errSum = errors.New("checksum does not match")

// parse checks a chunk and finds its sections.
func (d *Data) parse(data []byte, c *Chunk, columns int) error {
	if len(data) < 4 || binary.LittleEndian.Uint32(data) != checksum(data[4:]) {
		return errSum
	}
	data = data[4:]
	uvarint := func() uint64 {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			data = nil
			return 1 << 62 // too large for everything that follows
		}
		data = data[n:]
		return v
	}
	if n := uvarint(); n != uint64(c.Rows) {
		return fmt.Errorf("chunk says %d rows, index %d", n, c.Rows)
	}
	if n := uvarint(); n != uint64(columns) {
		return fmt.Errorf("chunk says %d columns, index %d", n, columns)
	}
	d.rows, d.gapsKnown = int(c.Rows), false
	count := sharedSections + 2*columns
	sizes := make([]uint64, count)
	for i := range sizes {
		sizes[i] = uvarint()
	}
	d.sections = d.sections[:0]
	for i, n := range sizes {
		if n > uint64(len(data)) {
			return fmt.Errorf("section %d of %d has %d bytes, %d are left", i, count, n, len(data))
		}
		d.sections = append(d.sections, data[:n])
		data = data[n:]
	}
	if len(data) > 0 {
		return fmt.Errorf("%d bytes after the last section", len(data))
	}
	return nil
}

// Rows returns the number of rows.
func (d *Data) Rows() int { return d.rows }

// Times appends the times of all rows to dst.
func (d *Data) Times(dst []int64) ([]int64, error) {
	if d.pack != nil {
		return append(dst, d.pack.Times[d.from:d.from+d.rows]...), nil
	}
	dst, err := codec.ReadTimes(dst, d.sections[0], d.rows)
	return dst, d.wrap("times", err)
}

// FindTime returns the first row of a time, and whether there is one.
func (d *Data) FindTime(t int64) (int, bool, error) {
	if d.pack != nil {
		i, ok := slices.BinarySearch(d.pack.Times[d.from:d.from+d.rows], t)
		return i, ok, nil
	}
	i, ok, err := codec.FindTime(d.sections[0], d.rows, t)
	return i, ok, d.wrap("times", err)
}

// Commits appends the commit numbers of all rows to dst.
func (d *Data) Commits(dst []uint64) ([]uint64, error) {
	if d.pack != nil {
		return append(dst, d.pack.Commits[d.from:d.from+d.rows]...), nil
	}
	var err error
	var gaps []uint8
	if codec.IntsGapped(d.sections[1]) {
		if gaps, err = d.rowGaps(); err != nil {
			return dst, err
		}
	}
	if d.ints, err = codec.ReadGappedInts(d.ints[:0], d.sections[1], d.rows, gaps); err != nil {
		return dst, d.wrap("commits", err)
	}
	for _, c := range d.ints {
		dst = append(dst, uint64(c))
	}
	return dst, nil
}

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
	case receivedMixed:
		return d.receivedMixed(dst, times, s[1:])
	}
	return dst, d.wrap("received times", fmt.Errorf("mode %d is unknown", s[0]))
}

func (d *Data) receivedMixed(dst, times []int64, s []byte) ([]int64, error) {
	size, n := binary.Uvarint(s)
	if n <= 0 || size > uint64(len(s)-n) {
		return dst, d.wrap("received times", errors.New("runs are cut short"))
	}
	var err error
	if d.codes, err = codec.ReadRuns(d.codes[:0], s[n:n+int(size)], d.rows); err != nil {
		return dst, d.wrap("received times", err)
	}
	known := 0
	for _, c := range d.codes {
		known += int(c & 1)
	}
	if d.ints, err = codec.ReadInts(d.ints[:0], s[n+int(size):], known); err != nil {
		return dst, d.wrap("received times", err)
	}
	at := 0
	for i, c := range d.codes {
		v := int64(0)
		if c&1 != 0 {
			v = times[i] + d.ints[at]
			at++
		}
		dst = append(dst, v)
	}
	return dst, nil
}

// rowGaps returns how many rows are missing before each, by their times.
func (d *Data) rowGaps() ([]uint8, error) {
	if d.gapsKnown {
		return d.gaps, nil
	}
	var err error
	if d.gaps, err = codec.ReadGaps(d.gaps[:0], d.sections[0], d.rows); err != nil {
		return nil, d.wrap("times", err)
	}
	d.gapsKnown = true
	return d.gaps, nil
}

// Kinds appends the kinds of all rows to dst.
func (d *Data) Kinds(dst []uint8) ([]uint8, error) {
	if d.pack != nil {
		return append(dst, d.pack.Kinds[d.from:d.from+d.rows]...), nil
	}
	from := len(dst)
	dst, err := codec.ReadRuns(dst, d.sections[3], d.rows)
	if err != nil {
		return dst, d.wrap("kinds", err)
	}
	for i, k := range dst[from:] {
		if k > rows.Forecast {
			return dst, d.wrap("kinds", fmt.Errorf("row %d is of kind %d", i, k))
		}
	}
	return dst, nil
}

// Column appends the cells of column i to col.
func (d *Data) Column(col rows.Column, i int, nan float64) (rows.Column, error) {
	if d.pack != nil {
		return d.packColumn(col, i, nan), nil
	}
	at := sharedSections + 2*i
	from := len(col.Qualities)
	var err error
	if col.Qualities, err = codec.ReadRuns(col.Qualities, d.sections[at], d.rows); err != nil {
		return col, d.wrap(fmt.Sprintf("qualities of column %d", i), err)
	}
	stored := 0
	for row, q := range col.Qualities[from:] {
		switch {
		case q < missing:
			stored++
		case q != rows.Absent && q != missing:
			return col, d.wrap(fmt.Sprintf("qualities of column %d", i), fmt.Errorf("row %d has quality %d", row, q))
		}
	}
	var gaps []uint8
	if codec.FloatsGapped(d.sections[at+1]) {
		if gaps, err = d.rowGaps(); err != nil {
			return col, err
		}
		d.cells = cellGaps(d.cells[:0], gaps, col.Qualities[from:])
		gaps = d.cells
	}
	if stored == d.rows {
		col.Values, d.ints, err = codec.ReadGappedFloats(col.Values, d.sections[at+1], stored, gaps, d.ints)
		return col, d.wrap(fmt.Sprintf("values of column %d", i), err)
	}
	if d.floats, d.ints, err = codec.ReadGappedFloats(d.floats[:0], d.sections[at+1], stored, gaps, d.ints); err != nil {
		return col, d.wrap(fmt.Sprintf("values of column %d", i), err)
	}
	next := 0
	for _, q := range col.Qualities[from:] {
		v := nan
		if q != rows.Absent && q != missing {
			v = d.floats[next]
			next++
		}
		col.Values = append(col.Values, v)
	}
	return col, nil
}

func (d *Data) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return d.where(fmt.Errorf("%s: %w", what, err))
}
