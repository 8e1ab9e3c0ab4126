package rows

import (
	"math"
	"sync/atomic"
)

// Log keeps the rows of lone series, of one column each, as they come: of a
// million series that speak in turn, runs of their own would be most of the
// memory. A series knows the place of its last row, and each row that of the one
// before it. Pages have no pointers, which the garbage collector would follow.
//
// The zero value is empty. One goroutine at a time appends; what it has been told
// the place of can be read meanwhile.
type Log struct {
	pages atomic.Pointer[[]*logPage]
	rows  uint32
}

type logPage [1 << logPageBits]logRow

// logRow is a row, in words: time, commit, received time and kind as in a Run, the
// value, and quality, rows up to this one, and the place of the one before.
type logRow [5]uint64

const (
	logPageBits = 9

	// maxLogged is how many rows of a series stand in a log: more are found too
	// slowly.
	maxLogged = 8

	logLenBits    = 8 // after the quality
	logLenShift   = 8
	logPlaceShift = logLenShift + logLenBits

	// LogRowBytes is what a row takes in a log.
	LogRowBytes = 8 * len(logRow{})
)

// Append adds a row to those of a series, whose last one is at a place, 0 for
// none, and returns the place of the new one. It is false where the row does not
// belong here: it lies before the last, or the series has many.
func (l *Log) Append(last uint32, r *Row) (place uint32, ok bool) {
	n := uint64(1)
	if last != 0 {
		before := l.at(last)
		n += before.len()
		if n > maxLogged || r.Time < int64(before[0]) {
			return 0, false
		}
	}
	var pages []*logPage
	if p := l.pages.Load(); p != nil {
		pages = *p
	}
	if int(l.rows>>logPageBits) == len(pages) {
		pages = append(pages, &logPage{})
		l.pages.Store(&pages)
	}
	quality, value := Absent, uint64(0)
	for i := range r.Cols {
		if q := r.Quality[i]; q != Absent {
			quality, value = q, math.Float64bits(r.Values[i])
		}
	}
	pages[l.rows>>logPageBits][l.rows&(1<<logPageBits-1)] = logRow{
		uint64(r.Time), r.Commit, uint64(r.Received)<<kindBits | uint64(r.Kind), value,
		uint64(quality) | n<<logLenShift | uint64(last)<<logPlaceShift,
	}
	l.rows++
	return l.rows, true
}

func (l *Log) at(place uint32) *logRow {
	return &(*l.pages.Load())[(place-1)>>logPageBits][(place-1)&(1<<logPageBits-1)]
}

// len returns how many rows of the series there are up to this one.
func (w *logRow) len() uint64 { return w[4] >> logLenShift & (1<<logLenBits - 1) }

// before returns the place of the row before.
func (w *logRow) before() uint32 { return uint32(w[4] >> logPlaceShift) }

// Run returns the rows of a series, whose last one is at a place, as a run that
// lies in words, as far as there is room, which it returns for another one. Rows that are added to
// the run are in mem.
func (l *Log) Run(last uint32, words []uint64, mem *Memory) (Run, []uint64) {
	r := NewRun(1, mem)
	w := l.at(last)
	n, stride := int(w.len()), int(r.stride)
	if cap(words) < n*stride {
		words = make([]uint64, n*stride)
	}
	words = words[:n*stride]
	r.begin, r.rows, r.last = words[:len(words):len(words)], uint32(n), int64(w[0])
	for i := n - 1; i >= 0; i-- {
		w = l.at(last)
		row := r.row(i)
		copy(row, w[:headWords])
		row[headWords] = ^uint64(cellMask) | w[4]&cellMask
		row[headWords+1] = w[3]
		r.MaxCommit = max(r.MaxCommit, w[1])
		r.Humans = r.Humans || r.Kind(i) == Human
		r.Repeats = r.Repeats || i+1 < n && r.Time(i) == r.Time(i+1)
		last = w.before()
	}
	return r, words
}
