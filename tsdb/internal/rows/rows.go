// Package rows holds the rows of one group: as a Run in the head, row by row as
// they come, and as a Table, column by column, between a block's bytes and its
// readers. Both are sorted by time and, within one time, by commit: a revision of
// a value is simply a later row of the same time. A Merger joins tables, Pick
// says which of the cells of one series and time a reader sees.
//
// Pure data, no I/O and no locks; the engine's packages import it.
package rows

import "math"

// Kinds of rows, by the batch that brought them. The numbers are written to
// disk.
const (
	Reading  uint8 = 0 // of a device: a redelivered value is dropped
	Human    uint8 = 1 // a correction or deletion
	Forecast uint8 = 2 // of a model's run: the newest wins, nothing is dropped
)

// Absent is the quality of a cell that its row does not have. All others are
// those of package quantrac.
const Absent uint8 = 7

// Table is rows as columns. Appending never changes what is there: slices copied
// under a lock can be read without it.
type Table struct {
	Times    []int64  // milliseconds, never falling
	Commits  []uint64 // rising within one time
	Received []int64  // 0 where unknown
	Kinds    []uint8
	Cols     []Column // by the group's column number

	Repeats   bool // a time occurs more than once
	Humans    bool // there are rows of kind Human
	MaxCommit uint64
}

// Column is the cells of one property. Rows beyond its end are absent.
type Column struct {
	Values    []float64
	Qualities []uint8
}

// Len returns the number of rows.
func (t *Table) Len() int { return len(t.Times) }

// Last returns the time of the last row.
func (t *Table) Last() int64 { return t.Times[len(t.Times)-1] }

// Row is a row on its way into a table: cell i is of column Cols[i].
type Row struct {
	Time     int64
	Commit   uint64
	Received int64
	Kind     uint8
	Cols     []int
	Values   []float64
	Quality  []uint8 // Absent leaves a cell out
}

// Append adds a row that does not lie before the last one. It returns the
// growth in bytes, an estimate.
func (t *Table) Append(r *Row) int {
	n := len(t.Times)
	if n > 0 && t.Times[n-1] == r.Time {
		t.Repeats = true
	}
	t.Humans = t.Humans || r.Kind == Human
	t.MaxCommit = max(t.MaxCommit, r.Commit)
	size := 25
	for i, c := range r.Cols {
		if r.Quality[i] == Absent {
			continue
		}
		if c >= len(t.Cols) {
			// A new array: readers may hold the old one.
			t.Cols = append(make([]Column, 0, c+1), t.Cols...)[:c+1]
		}
		size += 9 * t.Cols[c].put(n, r.Values[i], r.Quality[i])
	}
	t.Times = append(t.Times, r.Time)
	t.Commits = append(t.Commits, r.Commit)
	t.Received = append(t.Received, r.Received)
	t.Kinds = append(t.Kinds, r.Kind)
	return size
}

// put sets the cell of row n, the last one, and returns how many cells longer
// the column is.
func (c *Column) put(n int, v float64, q uint8) int {
	before := len(c.Values)
	if before > n { // twice in one row: the later wins
		c.Values[n], c.Qualities[n] = v, q
		return 0
	}
	c.reach(n)
	c.Values = append(c.Values, v)
	c.Qualities = append(c.Qualities, q)
	return len(c.Values) - before
}

// reach makes a column at least n cells long; what is new is absent.
func (c *Column) reach(n int) {
	for len(c.Values) < n {
		c.Values = append(c.Values, 0)
		c.Qualities = append(c.Qualities, Absent)
	}
}

// Quality returns the quality of a cell, Absent where there is none.
func (t *Table) Quality(row, col int) uint8 {
	if col >= len(t.Cols) || row >= len(t.Cols[col].Qualities) {
		return Absent
	}
	return t.Cols[col].Qualities[row]
}

// Time returns the time of a row.
func (t *Table) Time(row int) int64 { return t.Times[row] }

// Kind returns the kind of a row.
func (t *Table) Kind(row int) uint8 { return t.Kinds[row] }

// Value returns the value of a cell that is there.
func (t *Table) Value(row, col int) float64 { return t.Cols[col].Values[row] }

// Find returns the first row that does not lie before time.
func (t *Table) Find(time int64) int {
	lo, hi := 0, len(t.Times)
	for lo < hi {
		mid := int(uint(lo+hi) >> 1)
		if t.Times[mid] < time {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo
}

// Without returns a table less some columns, and less the rows that have no
// cell in any other.
func (t *Table) Without(columns []bool) *Table {
	out := &Table{}
	var r Row
	for i := range t.Times {
		r.Time, r.Commit, r.Received, r.Kind = t.Times[i], t.Commits[i], t.Received[i], t.Kinds[i]
		r.Cols, r.Values, r.Quality = r.Cols[:0], r.Values[:0], r.Quality[:0]
		for c := range t.Cols {
			if q := t.Quality(i, c); q != Absent && !columns[c] {
				r.Cols, r.Values, r.Quality = append(r.Cols, c), append(r.Values, t.Value(i, c)), append(r.Quality, q)
			}
		}
		if len(r.Cols) > 0 {
			out.Append(&r)
		}
	}
	return out
}

// Same says whether two values are equal bit for bit.
func Same(a, b float64) bool { return math.Float64bits(a) == math.Float64bits(b) }
