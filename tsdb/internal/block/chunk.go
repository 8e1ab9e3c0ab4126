package block

import (
	"bytes"
	"encoding/binary"
	"slices"

	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/rows"
)

// A chunk is a checksum, the count of rows and of columns, the sizes of the
// sections, and the sections: times, commits, received, kinds, then for each
// column its qualities (rows.Absent where a row has no such cell; no bytes where
// they are those of the column before) and the values of the cells that are there
// and not missing.
const sharedSections = 4

// commitsByClock stands in place of the mode of whole numbers: a time, then whole
// numbers: how far each commit is from what the block's clock says so long after
// the row was received or, where that is unknown, after its time.
const commitsByClock = 64

// commitsBySecond is the same of a clock that has all seconds in which commits were
// made: a time, then which rows came by another commit than the first of their
// second, and by how many above it, then whole numbers: how many seconds each
// row's is above the one so long after it was received.
const commitsBySecond = 65

// Modes of the section of received times.
const (
	receivedNone  = 0 // known of no row
	receivedAll   = 1 // whole numbers: received less valid time
	receivedMixed = 2 // size and runs of known (1) and not (0), then whole numbers
	// size (0 if all are known) and runs, an interval, which of the known are some
	// intervals later than others, how many, then whole numbers: the rest
	receivedLate = 3
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
	before []uint8 // qualities of the column before
	gaps   []uint8 // between rows
	cells  []uint8 // between the cells of a column
	// small is not nil where sections are to be as small as they can be.
	small *codec.Small
	hand  hand // of the block's clock, if it has one
	came  []int64
	about []int64 // see fit

	beside beside
	reader codec.TimesReader
}

func (e *encoder) times(times []int64) {
	if e.small == nil {
		e.body = codec.AppendTimes(e.body, times)
		return
	}
	at := len(e.body)
	e.body = e.small.AppendTimes(e.body, times)
	// What was just written has gaps or none.
	e.came, e.gaps, _ = e.reader.Read(e.came[:0], e.gaps[:0], e.body[at:], len(times))
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
// cells they have. names are the columns' properties, none for the rows of a pack.
func (e *encoder) chunk(dst []byte, t *rows.Table, from, to int, cols []int, names []string) ([]byte, int) {
	e.body, e.sizes = e.body[:0], e.sizes[:0]

	e.times(t.Times[from:to])
	e.section(0)

	at := len(e.body)
	e.commits(t, from, to)
	e.section(at)

	at = len(e.body)
	e.received(t.Times[from:to], t.Received[from:to])
	e.section(at)

	at = len(e.body)
	e.body = codec.AppendRuns(e.body, t.Kinds[from:to])
	e.section(at)

	cells := 0
	for i, c := range cols {
		cells += e.column(t, from, to, c, i == 0)
	}
	if len(names) > 0 {
		e.rewrite(t, from, to, cols, names)
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

func (e *encoder) commits(t *rows.Table, from, to int) {
	at := len(e.body)
	if e.hand.Clock != nil && e.hand.seconds {
		e.commitsBySecond(t, from, to)
		e.hand.used = true
		return
	}
	if e.hand.Clock != nil && !e.hand.ofRows {
		if e.commitsByClock(t, from, to); len(e.body)-at <= to-from { // as small as it gets
			e.hand.used = true
			return
		}
		e.body = e.body[:at]
	}
	e.ints = e.ints[:0]
	for _, c := range t.Commits[from:to] {
		e.ints = append(e.ints, int64(c))
	}
	e.body = e.whole(e.body, e.ints, e.gaps)
	plain := len(e.body)
	if e.hand.Clock == nil || plain-at < 16 {
		return
	}
	if e.commitsByClock(t, from, to); len(e.body)-plain+8 > plain-at { // the clock takes some, too
		e.body = e.body[:plain]
		return
	}
	e.body = append(e.body[:at], e.body[plain:]...)
	e.hand.used = true
}

func (e *encoder) commitsByClock(t *rows.Table, from, to int) {
	commits := t.Commits[from:to]
	e.came = appendCame(e.came[:0], t.Times[from:to], t.Received[from:to])
	e.about = e.about[:0]
	for i, at := range e.came {
		e.about = append(e.about, e.hand.time(commits[i])-at)
	}
	far := func(i int, t int64) int64 {
		n, _ := e.hand.number(t) // nothing is read
		return int64(commits[i] - n)
	}
	after := fit(e.came, e.about, far)
	e.ints = e.ints[:0]
	for i, at := range e.came {
		e.ints = append(e.ints, far(i, at+after))
	}
	e.body = binary.AppendVarint(append(e.body, commitsByClock), after)
	e.body = e.whole(e.body, e.ints, nil)
}

func (e *encoder) commitsBySecond(t *rows.Table, from, to int) {
	e.came = appendCame(e.came[:0], t.Times[from:to], t.Received[from:to])
	e.about, e.ints = e.about[:0], e.ints[:0]
	var places, above []int64 // of rows whose commits are not the first of their second
	last := 0
	for i, c := range t.Commits[from:to] {
		at, first := e.hand.second(c)
		e.ints = append(e.ints, at)
		e.about = append(e.about, at*secondLen-e.came[i])
		if c != first {
			places, above = append(places, int64(i-last)), append(above, int64(c-first))
			last = i
		}
	}
	seconds := e.ints
	far := func(i int, t int64) int64 { return seconds[i] - floorDiv(t, secondLen) }
	after := fit(e.came, e.about, far)
	e.body = binary.AppendVarint(append(e.body, commitsBySecond), after)
	e.body = binary.AppendUvarint(e.body, uint64(len(places)))
	if len(places) > 0 {
		e.body = appendBytes(e.body, e.whole(nil, places, nil))
		e.body = appendBytes(e.body, e.whole(nil, above, nil))
	}
	for i, at := range e.came {
		e.ints[i] = far(i, at+after)
	}
	e.body = e.whole(e.body, e.ints, nil)
}

// appendCame appends when rows came, as far as that is known: when they were
// received, or else their times.
func appendCame(dst, times, received []int64) []int64 {
	for i, r := range received {
		if r == 0 {
			r = times[i]
		}
		dst = append(dst, r)
	}
	return dst
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
	var runs []byte
	if known > 0 && known < len(received) {
		runs = codec.AppendRuns(nil, e.codes)
	}
	switch {
	case known == 0:
		e.body = append(e.body, receivedNone)
	case e.small != nil && e.late(runs, codec.CommonStep(times)):
	case runs == nil:
		e.body = e.whole(append(e.body, receivedAll), e.ints, nil)
	default:
		e.body = e.whole(appendBytes(append(e.body, receivedMixed), runs), e.ints, nil)
	}
}

// late writes the received times, of which ints says how long after their rows'
// times they are, by intervals, and says whether it has: where some are late. Rows
// that were kept while a line was down come with later ones, at the usual time
// after these.
func (e *encoder) late(runs []byte, interval int64) bool {
	e.came = append(e.came[:0], e.ints...)
	slices.Sort(e.came)
	least := e.came[len(e.came)/2] - interval/2
	var places, by []int64
	last := 0
	for i, d := range e.ints {
		if n := floorDiv(d-least, interval); n != 0 {
			places, by = append(places, int64(i-last)), append(by, n)
			last = i
		}
	}
	if len(places) < 4 || len(places) > len(e.ints)/4 {
		return false
	}
	i := 0
	for k, p := range places {
		i += int(p)
		e.ints[i] -= by[k] * interval
	}
	e.body = binary.AppendUvarint(appendBytes(append(e.body, receivedLate), runs), uint64(interval))
	e.body = binary.AppendUvarint(e.body, uint64(len(places)))
	e.body = appendBytes(e.body, e.whole(nil, places, nil))
	e.body = appendBytes(e.body, e.whole(nil, by, nil))
	e.body = e.whole(e.body, e.ints, nil)
	return true
}

// appendBytes appends bytes behind their count.
func appendBytes(dst, b []byte) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(b))), b...)
}

// column encodes both sections of a column, the first one or not, and returns its
// count of cells.
func (e *encoder) column(t *rows.Table, from, to, c int, first bool) (cells int) {
	e.before, e.codes = e.codes, e.before[:0]
	e.floats = e.floats[:0]
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
	if first || !bytes.Equal(e.codes, e.before) {
		e.body = codec.AppendRuns(e.body, e.codes)
	}
	e.section(at)
	at = len(e.body)
	e.values()
	e.section(at)
	return cells
}
