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
	hand     hand    // of the block's clock
	came     []int64 // where commits are told by it

	full map[int][]float64 // columns that others are told beside, a value for each row

	times     codec.TimesReader
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
	clear(d.full)
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
	var err error
	dst, d.gaps, err = d.times.Read(dst, d.gaps[:0], d.sections[0], d.rows)
	d.gapsKnown = err == nil
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

// Commits appends the commit numbers of all rows to dst; times are those that
// Times gives. kinds, if not nil, are what Kinds gives, and only rows of kind
// Human are asked for: those of others may be 0.
func (d *Data) Commits(dst []uint64, times []int64, kinds []uint8) ([]uint64, error) {
	if d.pack != nil {
		return append(dst, d.pack.Commits[d.from:d.from+d.rows]...), nil
	}
	s := d.sections[1]
	if len(s) > 0 && (s[0] == commitsByClock || s[0] == commitsBySecond) {
		dst, err := d.commitsByClock(dst, s[1:], times, kinds, s[0] == commitsBySecond)
		return dst, d.wrap("commits", err)
	}
	var err error
	var gaps []uint8
	if codec.IntsGapped(s) {
		if gaps, err = d.rowGaps(); err != nil {
			return dst, err
		}
	}
	if d.ints, err = codec.ReadGappedInts(d.ints[:0], s, d.rows, gaps); err != nil {
		return dst, d.wrap("commits", err)
	}
	for _, c := range d.ints {
		dst = append(dst, uint64(c))
	}
	return dst, nil
}

func (d *Data) commitsByClock(dst []uint64, s []byte, times []int64, kinds []uint8, seconds bool) ([]uint64, error) {
	if d.hand.Clock == nil {
		return dst, errors.New("they are told by a clock, and the block has none")
	}
	if seconds && d.hand.step != secondLen {
		return dst, fmt.Errorf("they are told by their seconds, and the clock goes by steps of %d ms", d.hand.step)
	}
	if kinds != nil && !slices.Contains(kinds, rows.Human) {
		return append(dst, make([]uint64, d.rows)...), nil
	}
	after, n := binary.Varint(s)
	if n <= 0 {
		return dst, errors.New("the time after which they follow is cut short")
	}
	s = s[n:]
	var err error
	var places, above []int64
	if seconds {
		if places, above, s, err = readAbove(s, d.rows); err != nil {
			return dst, err
		}
	}
	if d.came, err = d.cameFor(d.came[:0], times, kinds); err != nil {
		return dst, err
	}
	if d.ints, err = codec.ReadInts(d.ints[:0], s, d.rows); err != nil {
		return dst, err
	}
	from := len(dst)
	for i, t := range d.came {
		if kinds != nil && kinds[i] != rows.Human {
			dst = append(dst, 0)
			continue
		}
		var n uint64
		if seconds {
			n, err = d.hand.within(floorDiv(t+after, secondLen)+d.ints[i], 0)
		} else {
			n, err = d.hand.number(t + after)
			n += uint64(d.ints[i])
		}
		if err != nil {
			return dst, err
		}
		dst = append(dst, n)
	}
	for i, p := range places {
		if kinds == nil || kinds[p] == rows.Human {
			dst[from+int(p)] += uint64(above[i])
		}
	}
	return dst, nil
}

// readAbove reads which of so many rows came by a commit above the first of their
// second, and by how many; s is what follows.
func readAbove(data []byte, rows int) (places, above []int64, s []byte, err error) {
	n, size := binary.Uvarint(data)
	if size <= 0 || n > uint64(rows) {
		return nil, nil, nil, fmt.Errorf("%d of %d rows are not by the first commit of their second", n, rows)
	}
	if data = data[size:]; n == 0 {
		return nil, nil, data, nil
	}
	return readPlaced(data, int(n), rows)
}

// cameFor appends when rows came, as far as that is known; if kinds is not nil at
// least for rows of kind Human.
func (d *Data) cameFor(dst, times []int64, kinds []uint8) ([]int64, error) {
	none, err := d.onlyOthersReceived(kinds)
	if err != nil {
		return dst, err
	}
	if none {
		return append(dst, times...), nil
	}
	from := len(dst)
	if dst, err = d.Received(dst, times); err != nil {
		return dst, err
	}
	for i, r := range dst[from:] {
		if r == 0 {
			dst[from+i] = times[i]
		}
	}
	return dst, nil
}

// rowGaps returns how many rows are missing before each, by their times.
func (d *Data) rowGaps() ([]uint8, error) {
	if d.gapsKnown {
		return d.gaps, nil
	}
	_, err := d.Times(nil)
	return d.gaps, err
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
	if col.Qualities, err = codec.ReadRuns(col.Qualities, d.qualities(i), d.rows); err != nil {
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
	others, err := d.others(i, col.Qualities[from:])
	if err != nil {
		return col, d.wrap(fmt.Sprintf("values of column %d", i), err)
	}
	if stored == d.rows {
		col.Values, d.ints, err = codec.ReadFloatsBeside(col.Values, d.sections[at+1], stored, gaps, others, d.ints)
		return col, d.wrap(fmt.Sprintf("values of column %d", i), err)
	}
	if d.floats, d.ints, err = codec.ReadFloatsBeside(d.floats[:0], d.sections[at+1], stored, gaps, others, d.ints); err != nil {
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

// others returns what stands beside the values of column i, at its cells that are
// stored: of other columns, which stand alone.
func (d *Data) others(i int, qualities []uint8) (codec.Beside, error) {
	columns, err := codec.FloatsBeside(d.sections[sharedSections+2*i+1])
	if err != nil || len(columns) == 0 {
		return nil, err
	}
	out := make(codec.Beside, len(columns))
	for k, c := range columns {
		full, err := d.alone(c)
		if err != nil {
			return nil, err
		}
		for row, q := range qualities {
			if q < missing {
				out[k] = append(out[k], full[row])
			}
		}
	}
	return out, nil
}

// alone returns a value for each row of a column that stands alone.
func (d *Data) alone(c int) ([]float64, error) {
	if full := d.full[c]; full != nil {
		return full, nil
	}
	if at := sharedSections + 2*c + 1; at >= len(d.sections) {
		return nil, fmt.Errorf("they are told beside column %d, and there is none", c)
	} else if more, err := codec.FloatsBeside(d.sections[at]); err != nil || len(more) > 0 {
		return nil, errors.Join(fmt.Errorf("they are told beside column %d, which does not stand alone", c), err)
	}
	own := Data{rows: d.rows, sections: d.sections, where: d.where, gaps: d.gaps, gapsKnown: d.gapsKnown}
	col, err := own.Column(rows.Column{}, c, 0)
	if err != nil {
		return nil, err
	}
	if d.full == nil {
		d.full = map[int][]float64{}
	}
	d.full[c] = spreadOut(col)
	return d.full[c], nil
}

// qualities returns the section of the qualities of column i: its own, or the one
// before that is not empty.
func (d *Data) qualities(i int) []byte {
	for i > 0 && len(d.sections[sharedSections+2*i]) == 0 {
		i--
	}
	return d.sections[sharedSections+2*i]
}

func (d *Data) wrap(what string, err error) error {
	if err == nil {
		return nil
	}
	return d.where(fmt.Errorf("%s: %w", what, err))
}
