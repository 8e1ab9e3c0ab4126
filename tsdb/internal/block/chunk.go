package block

import (
	"encoding/binary"

	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/rows"
)

// A chunk is a checksum, the count of rows and of columns, the sizes of the
// sections, and the sections: times, commits, received, kinds, then for each
// column its qualities (rows.Absent where a row has no such cell) and the
// values of the cells that are there and not missing.
const sharedSections = 4

// Modes of the section of received times.
const (
	receivedNone  = 0 // known of no row
	receivedAll   = 1 // whole numbers: received less valid time
	receivedMixed = 2 // size and runs of known (1) and not (0), then whole numbers
)

const missing = uint8(4) // quantrac.Missing, whose value is not stored

// encoder holds what encoding a chunk needs, for reuse.
type encoder struct {
	body   []byte
	sizes  []int
	ints   []int64
	scaled []int64
	floats []float64
	codes  []uint8
	gaps   []uint8 // between rows
	cells  []uint8 // between the cells of a column
	// small is not nil where sections are to be as small as they can be.
	small *codec.Small
}

func (e *encoder) times(times []int64) {
	if e.small == nil {
		e.body = codec.AppendTimes(e.body, times)
		return
	}
	at := len(e.body)
	e.body = e.small.AppendTimes(e.body, times)
	// What was just written has gaps or none.
	e.gaps, _ = codec.ReadGaps(e.gaps[:0], e.body[at:], len(times))
}

func (e *encoder) whole(dst []byte, ints []int64, gaps []uint8) []byte {
	if e.small == nil {
		return codec.AppendInts(dst, ints)
	}
	return e.small.AppendInts(dst, ints, gaps)
}

func (e *encoder) values() {
	if e.small == nil {
		e.body, e.scaled = codec.AppendFloats(e.body, e.floats, e.scaled)
		return
	}
	e.cells = cellGaps(e.cells[:0], e.gaps, e.codes)
	e.body = e.small.AppendFloats(e.body, e.floats, e.cells)
}

// cellGaps appends for each stored cell of a column how many are missing before
// it: as many as are between the rows, and the rows whose cell is not stored.
func cellGaps(dst, gaps []uint8, qualities []uint8) []uint8 {
	n := 0
	for i, q := range qualities {
		if len(gaps) > 0 {
			n += int(gaps[i])
		}
		if q >= missing {
			n++
			continue
		}
		dst = append(dst, uint8(min(n, 255)))
		n = 0
	}
	return dst
}

func (e *encoder) section(before int) { e.sizes = append(e.sizes, len(e.body)-before) }

// chunk appends rows [from, to) of t, columns cols, to dst and returns how many
// cells they have.
func (e *encoder) chunk(dst []byte, t *rows.Table, from, to int, cols []int) ([]byte, int) {
	e.body, e.sizes = e.body[:0], e.sizes[:0]

	e.times(t.Times[from:to])
	e.section(0)

	at := len(e.body)
	e.ints = e.ints[:0]
	for _, c := range t.Commits[from:to] {
		e.ints = append(e.ints, int64(c))
	}
	e.body = e.whole(e.body, e.ints, e.gaps)
	e.section(at)

	at = len(e.body)
	e.received(t.Times[from:to], t.Received[from:to])
	e.section(at)

	at = len(e.body)
	e.body = codec.AppendRuns(e.body, t.Kinds[from:to])
	e.section(at)

	cells := 0
	for _, c := range cols {
		cells += e.column(t, from, to, c)
	}

	start := len(dst)
	dst = append(dst, 0, 0, 0, 0)
	dst = binary.AppendUvarint(dst, uint64(to-from))
	dst = binary.AppendUvarint(dst, uint64(len(cols)))
	for _, n := range e.sizes {
		dst = binary.AppendUvarint(dst, uint64(n))
	}
	dst = append(dst, e.body...)
	binary.LittleEndian.PutUint32(dst[start:], checksum(dst[start+4:]))
	return dst, cells
}

func (e *encoder) received(times, received []int64) {
	known := 0
	e.ints, e.codes = e.ints[:0], e.codes[:0]
	for i, r := range received {
		code := uint8(0)
		if r != 0 {
			known++
			code = 1
			e.ints = append(e.ints, r-times[i])
		}
		e.codes = append(e.codes, code)
	}
	switch known {
	case 0:
		e.body = append(e.body, receivedNone)
	case len(received):
		e.body = e.whole(append(e.body, receivedAll), e.ints, nil)
	default:
		runs := codec.AppendRuns(nil, e.codes)
		e.body = binary.AppendUvarint(append(e.body, receivedMixed), uint64(len(runs)))
		e.body = e.whole(append(e.body, runs...), e.ints, nil)
	}
}

// column encodes both sections of a column and returns its count of cells.
func (e *encoder) column(t *rows.Table, from, to, c int) (cells int) {
	e.codes, e.floats = e.codes[:0], e.floats[:0]
	for i := from; i < to; i++ {
		q := t.Quality(i, c)
		e.codes = append(e.codes, q)
		if q == rows.Absent {
			continue
		}
		cells++
		if q != missing {
			e.floats = append(e.floats, t.Cols[c].Values[i])
		}
	}
	at := len(e.body)
	e.body = codec.AppendRuns(e.body, e.codes)
	e.section(at)
	at = len(e.body)
	e.values()
	e.section(at)
	return cells
}
