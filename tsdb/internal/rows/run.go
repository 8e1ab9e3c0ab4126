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
// qualities of its cells by column, sixteen to a word, and their values. Rows
// stand in pages, of four, eight, then always sixteen, so that growing moves
// nothing and a series that speaks once a day takes little.
//
// Appending never changes what is there: a copy of a Run, made under the lock
// of who appends, can be read without it.
type Run struct {
	pages   [][]uint64
	firsts  []int64 // time of the first row of every page, for finding
	last    int64   // time of the last row
	columns int     // cells a row has room for
	stride  int     // words of a row
	rows    int

	Repeats   bool // a time occurs more than once
	Humans    bool // there are rows of kind Human
	MaxCommit uint64
}

const (
	cellsPerWord = 16
	cellBits     = 4
	cellMask     = 1<<cellBits - 1
	headWords    = 3 // before the qualities
	kindBits     = 2

	pageBits = 4
	pageRows = 1 << pageBits
)

// NewRun returns an empty run for rows of so many columns.
func NewRun(columns int) *Run {
	r := &Run{}
	r.shape(columns)
	return r
}

// row returns the words of row i.
func (r *Run) row(i int) []uint64 {
	page, at := place(i)
	at *= r.stride
	return r.pages[page][at : at+r.stride : at+r.stride]
}

// place returns the page of row i and its position there.
func place(i int) (page, at int) {
	switch {
	case i < pageRows/4:
		return 0, i
	case i < pageRows/4+pageRows/2:
		return 1, i - pageRows/4
	}
	return (i + pageRows + pageRows/4) >> pageBits, (i + pageRows/4) & (pageRows - 1)
}

// pageStart returns the first row of a page.
func pageStart(page int) int {
	switch page {
	case 0:
		return 0
	case 1:
		return pageRows / 4
	}
	return (page-2)<<pageBits + pageRows/4 + pageRows/2
}

// add returns the words of one more row, of a time, and how many words of memory
// that took.
func (r *Run) add(time int64) (words []uint64, grown int) {
	if page, _ := place(r.rows); page == len(r.pages) {
		grown = pageRows >> max(2-page, 0) * r.stride
		r.pages = append(r.pages, make([]uint64, grown))
		r.firsts = append(r.firsts, time)
	}
	r.last = time
	r.rows++
	return r.row(r.rows - 1), grown
}

func (r *Run) shape(columns int) {
	r.columns = columns
	r.stride = headWords + qualityWords(columns) + columns
}

func qualityWords(columns int) int { return (columns + cellsPerWord - 1) / cellsPerWord }

// Len returns the number of rows.
func (r *Run) Len() int { return r.rows }

// Columns returns how many columns the rows may have.
func (r *Run) Columns() int { return r.columns }

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
	if col >= r.columns {
		return Absent
	}
	w := r.row(row)[headWords+col/cellsPerWord]
	return uint8(w>>(col%cellsPerWord*cellBits)) & Absent
}

// Value returns the value of a cell that is there.
func (r *Run) Value(row, col int) float64 {
	return math.Float64frombits(r.row(row)[headWords+qualityWords(r.columns)+col])
}

// Find returns the first row that does not lie before time. It looks for the
// page first: rows lie far apart in memory, the times of pages do not.
func (r *Run) Find(time int64) int {
	if r.rows == 0 || time > r.last {
		return r.rows
	}
	page, _ := slices.BinarySearch(r.firsts, time) // the first that begins then or later
	if page == 0 {
		return 0
	}
	lo, hi := pageStart(page-1), min(pageStart(page), r.rows)
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
	if n := width(row); n > r.columns {
		r.widen(n)
	}
	r.Repeats = r.Repeats || r.rows > 0 && r.Last() == row.Time
	r.Humans = r.Humans || row.Kind == Human
	r.MaxCommit = max(r.MaxCommit, row.Commit)
	w, grown := r.add(row.Time)
	w[0], w[1] = uint64(row.Time), row.Commit
	w[2] = uint64(row.Received)<<kindBits | uint64(row.Kind)
	cells, values := w[headWords:headWords+qualityWords(r.columns)], w[headWords+qualityWords(r.columns):]
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
	r.pages, r.firsts, r.rows = nil, nil, 0
	for i := range old.rows {
		r.copy(&old, i)
	}
}

// copy adds row i of another run, which has no more columns than this one.
func (r *Run) copy(from *Run, i int) {
	row := from.row(i)
	w, _ := r.add(from.Time(i))
	nq, oq := qualityWords(r.columns), qualityWords(from.columns)
	copy(w, row[:headWords+oq]) // cells behind the last of a word are absent
	for k := oq; k < nq; k++ {
		w[headWords+k] = ^uint64(0)
	}
	copy(w[headWords+nq:], row[headWords+oq:])
}

// Join returns the rows of two runs as one.
func Join(a, b *Run) *Run {
	out := NewRun(max(a.columns, b.columns))
	out.Humans, out.MaxCommit = a.Humans || b.Humans, max(a.MaxCommit, b.MaxCommit)
	i, k := 0, 0
	for i < a.rows || k < b.rows {
		if i == a.rows || k < b.rows && b.before(k, a, i) {
			out.copy(b, k)
			k++
		} else {
			out.copy(a, i)
			i++
		}
		n := out.rows
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
		page, at := place(from)
		end := min(to, pageStart(page+1))
		w := r.pages[page][at*r.stride:]
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
	if col >= r.columns {
		dst.reach(len(dst.Values) + to - from)
		return dst
	}
	dst.Values, dst.Qualities = slices.Grow(dst.Values, to-from), slices.Grow(dst.Qualities, to-from)
	quality, shift := headWords+col/cellsPerWord, col%cellsPerWord*cellBits
	value := headWords + qualityWords(r.columns) + col
	for from < to {
		page, at := place(from)
		end := min(to, pageStart(page+1))
		w := r.pages[page][at*r.stride:]
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
	t.Reset(r.columns)
	t.Times, t.Commits, t.Received, t.Kinds = r.Shared(t.Times, t.Commits, t.Received, t.Kinds, from, to)
	t.Repeats, t.Humans, t.MaxCommit = r.Repeats, r.Humans, r.MaxCommit
	for c := range t.Cols {
		t.Cols[c] = r.Column(t.Cols[c], c, from, to)
	}
}
