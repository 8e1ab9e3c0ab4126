package rows

import (
	"math"
	"slices"
)

// Run is rows in the order of time and commit, each in one piece of memory: a
// head takes rows from thousands of groups in turn, and what a row costs there
// is the places that have to be fetched to put it down, not the words it takes.
//
// A row is, in words of 64 bits: time, commit, received time and kind, the
// qualities of its cells by column, sixteen to a word, and their values. The
// first rows stand in one piece that doubles, as a series that speaks once a day
// is to take little; all others in pages of sixteen, so that growing moves
// nothing.
//
// Appending never changes what is there: a copy of a Run, made under the lock
// of who appends, can be read without it.
type Run struct {
	mem       *Memory   // of the pages; nil for the heap
	begin     []uint64  // the first rows, up to a page of them
	pages     *runPages // the others; nil for none
	last      int64     // time of the last row
	MaxCommit uint64
	rows      uint32
	columns   uint32 // cells a row has room for
	stride    uint32 // words of a row

	Repeats bool // a time occurs more than once
	Humans  bool // there are rows of kind Human
}

// runPages are pages of rows. A longer one takes its place.
type runPages struct {
	list   [][]uint64
	firsts []int64 // time of the first row of every page, for finding
}

const (
	cellsPerWord = 16
	cellBits     = 4
	cellMask     = 1<<cellBits - 1
	headWords    = 3 // before the qualities
	kindBits     = 2

	wordsInLine = 8 // of the cache

	pageBits = 4
	pageRows = 1 << pageBits
	// pageWords is about what a page takes beside its rows.
	pageWords = 5
)

// NewRun returns an empty run for rows of so many columns, whose pages are taken
// from memory, nil for the heap.
func NewRun(columns int, mem *Memory) Run {
	r := Run{mem: mem}
	r.shape(columns)
	return r
}

// row returns the words of row i.
func (r *Run) row(i int) []uint64 {
	stride := int(r.stride)
	if i < pageRows {
		return r.begin[i*stride : (i+1)*stride : (i+1)*stride]
	}
	at := i & (pageRows - 1) * stride
	return r.pages.list[i>>pageBits-1][at : at+stride : at+stride]
}

// stretch returns the words of the rows from i on that stand in one piece, and the
// row behind them, or to if that comes first.
func (r *Run) stretch(i, to int) (words []uint64, end int) {
	at := i & (pageRows - 1) * int(r.stride)
	if i < pageRows {
		return r.begin[at:], min(to, pageRows)
	}
	return r.pages.list[i>>pageBits-1][at:], min(to, (i>>pageBits+1)<<pageBits)
}

// add returns the words of one more row, of a time, and how many words of memory
// that took.
func (r *Run) add(time int64) (words []uint64, grown int) {
	n, stride := int(r.rows), int(r.stride)
	switch {
	case n < pageRows:
		if (n+1)*stride > cap(r.begin) {
			longer := make([]uint64, max(2*n, 1)*stride)
			grown = len(longer) - cap(r.begin)
			copy(longer, r.begin)
			r.begin = longer
		}
	case n&(pageRows-1) == 0:
		grown = pageRows*stride + pageWords
		longer := &runPages{}
		if r.pages != nil {
			*longer = *r.pages
		}
		longer.list = append(longer.list, r.mem.take(pageRows*stride))
		longer.firsts = append(longer.firsts, time)
		r.pages = longer
	}
	r.last = time
	r.rows++
	return r.row(n), grown
}

// Place reads of the memory of the last rows and the next two what brings it into
// the cache; the number means nothing.
func (r *Run) Place() (word int64) {
	piece := r.begin[:cap(r.begin)]
	if r.rows > pageRows {
		piece = r.pages.list[len(r.pages.list)-1]
	}
	if r.rows == 0 {
		return 0
	}
	at := int(r.rows-1) & (pageRows - 1) * int(r.stride)
	for to := min(at+3*int(r.stride), len(piece)); at < to; at += wordsInLine {
		word += int64(piece[at])
	}
	return word
}

func (r *Run) shape(columns int) {
	r.columns = uint32(columns)
	r.stride = uint32(headWords + qualityWords(columns) + columns)
}

func qualityWords(columns int) int { return (columns + cellsPerWord - 1) / cellsPerWord }

// Len returns the number of rows.
func (r *Run) Len() int { return int(r.rows) }

// Columns returns how many columns the rows may have.
func (r *Run) Columns() int { return int(r.columns) }

// Time returns the time of row i.
func (r *Run) Time(i int) int64 { return int64(r.row(i)[0]) }

// Last returns the time of the last row.
func (r *Run) Last() int64 { return r.last }

// Commit returns the commit of row i.
func (r *Run) Commit(i int) uint64 { return r.row(i)[1] }

// Received returns the received time of row i.
func (r *Run) Received(i int) int64 { return int64(r.row(i)[2]) >> kindBits }

// Kind returns the kind of row i.
func (r *Run) Kind(i int) uint8 { return uint8(r.row(i)[2] & (1<<kindBits - 1)) }

// Quality returns the quality of a cell, Absent where there is none.
func (r *Run) Quality(row, col int) uint8 {
	if col >= r.Columns() {
		return Absent
	}
	w := r.row(row)[headWords+col/cellsPerWord]
	return uint8(w>>(col%cellsPerWord*cellBits)) & Absent
}

// Value returns the value of a cell that is there.
func (r *Run) Value(row, col int) float64 {
	return math.Float64frombits(r.row(row)[headWords+qualityWords(r.Columns())+col])
}

// nearEnd is how many of the last rows Find looks at one by one.
const nearEnd = 4

// Find returns the first row that does not lie before time. What is looked for is
// mostly near the end: of senders that overtake each other. Else it looks for the
// page first: rows lie far apart in memory, the times of pages do not.
func (r *Run) Find(time int64) int {
	if r.rows == 0 || time > r.last {
		return r.Len()
	}
	for i := r.Len() - 2; i >= 0 && i >= r.Len()-nearEnd; i-- {
		if r.Time(i) < time {
			return i + 1
		}
	}
	page := 0
	if r.pages != nil {
		page, _ = slices.BinarySearch(r.pages.firsts, time) // how many begin before
	}
	lo, hi := page<<pageBits, min((page+1)<<pageBits, r.Len())
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if r.Time(mid) < time {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// Append adds a row that does not lie before the last one, and returns the
// growth in bytes.
func (r *Run) Append(row *Row) int {
	if n := width(row); n > r.Columns() {
		r.widen(n)
	}
	r.Repeats = r.Repeats || r.rows > 0 && r.Last() == row.Time
	r.Humans = r.Humans || row.Kind == Human
	r.MaxCommit = max(r.MaxCommit, row.Commit)
	w, grown := r.add(row.Time)
	w[0], w[1] = uint64(row.Time), row.Commit
	w[2] = uint64(row.Received)<<kindBits | uint64(row.Kind)
	nq := qualityWords(r.Columns())
	cells, values := w[headWords:headWords+nq], w[headWords+nq:]
	for i := range cells {
		cells[i] = ^uint64(0) // all absent
	}
	for i, c := range row.Cols {
		if q := row.Quality[i]; q != Absent {
			shift := c % cellsPerWord * cellBits
			cells[c/cellsPerWord] = cells[c/cellsPerWord]&^(cellMask<<shift) | uint64(q)<<shift
			values[c] = math.Float64bits(row.Values[i])
		}
	}
	return 8 * grown
}

// width returns how many columns the cells of a row reach to.
func width(row *Row) int {
	n := 0
	for i, c := range row.Cols {
		if c >= n && row.Quality[i] != Absent {
			n = c + 1
		}
	}
	return n
}

// widen gives all rows room for more columns, in memory of their own: readers
// may hold the old.
func (r *Run) widen(columns int) {
	old := *r
	r.shape(columns)
	r.begin, r.pages, r.rows = nil, nil, 0
	for i := range old.Len() {
		r.copy(&old, i)
	}
}

// copy adds row i of another run, which has no more columns than this one.
func (r *Run) copy(from *Run, i int) {
	row := from.row(i)
	w, _ := r.add(from.Time(i))
	nq, oq := qualityWords(r.Columns()), qualityWords(from.Columns())
	copy(w, row[:headWords+oq]) // cells behind the last of a word are absent
	for k := oq; k < nq; k++ {
		w[headWords+k] = ^uint64(0)
	}
	copy(w[headWords+nq:], row[headWords+oq:])
}

// Join returns the rows of two runs as one, in the memory of the first.
func Join(a, b *Run) Run {
	out := NewRun(max(a.Columns(), b.Columns()), a.mem)
	out.Humans, out.MaxCommit = a.Humans || b.Humans, max(a.MaxCommit, b.MaxCommit)
	i, k := 0, 0
	for i < a.Len() || k < b.Len() {
		if i == a.Len() || k < b.Len() && b.before(k, a, i) {
			out.copy(b, k)
			k++
		} else {
			out.copy(a, i)
			i++
		}
		n := out.Len()
		out.Repeats = out.Repeats || n > 1 && out.Time(n-1) == out.Time(n-2)
	}
	return out
}

// before says whether row i stands before row k of another run.
func (r *Run) before(i int, other *Run, k int) bool {
	t, u := r.Time(i), other.Time(k)
	return t < u || t == u && r.Commit(i) < other.Commit(k)
}

// Shared appends the times, commits, received times and kinds of the rows from
// from to before to.
func (r *Run) Shared(times []int64, commits []uint64, received []int64, kinds []uint8, from, to int) ([]int64, []uint64, []int64, []uint8) {
	for from < to {
		w, end := r.stretch(from, to)
		for ; from < end; from++ {
			times = append(times, int64(w[0]))
			commits = append(commits, w[1])
			received = append(received, int64(w[2])>>kindBits)
			kinds = append(kinds, uint8(w[2]&(1<<kindBits-1)))
			w = w[r.stride:]
		}
	}
	return times, commits, received, kinds
}

// Times appends the times of the rows from from to before to.
func (r *Run) Times(dst []int64, from, to int) []int64 {
	for i := from; i < to; i++ {
		dst = append(dst, r.Time(i))
	}
	return dst
}

// Column appends the cells of a column in the rows from from to before to.
func (r *Run) Column(dst Column, col, from, to int) Column {
	if col >= r.Columns() {
		dst.reach(len(dst.Values) + to - from)
		return dst
	}
	dst.Values, dst.Qualities = slices.Grow(dst.Values, to-from), slices.Grow(dst.Qualities, to-from)
	quality, shift := headWords+col/cellsPerWord, col%cellsPerWord*cellBits
	value := headWords + qualityWords(r.Columns()) + col
	for from < to {
		w, end := r.stretch(from, to)
		for ; from < end; from++ {
			dst.Values = append(dst.Values, math.Float64frombits(w[value]))
			dst.Qualities = append(dst.Qualities, uint8(w[quality]>>shift)&Absent)
			w = w[r.stride:]
		}
	}
	return dst
}

// Table puts the rows from from to before to into a table, in the place of what
// that held.
func (r *Run) Table(t *Table, from, to int) {
	t.Reset(r.Columns())
	t.Times, t.Commits, t.Received, t.Kinds = r.Shared(t.Times, t.Commits, t.Received, t.Kinds, from, to)
	t.Repeats, t.Humans, t.MaxCommit = r.Repeats, r.Humans, r.MaxCommit
	for c := range t.Cols {
		t.Cols[c] = r.Column(t.Cols[c], c, from, to)
	}
}
