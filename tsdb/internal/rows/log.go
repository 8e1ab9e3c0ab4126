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
	pages atomic.Pointer[[]logPage]
	rows  uint32 // places given, with those that were left out
}

// logPage is rows, and the commit that theirs are told from.
type logPage struct {
	rows   *[1 << logPageBits]logRow
	commit uint64
}

// logRow is a row in words: the value; the time and the commit; the place of the row
// before, rows up to this one, received time, kind and quality. What does not fit is
// not kept in a log.
type logRow [3]uint64

const (
	logPageBits = 9

	// maxLogged is how many rows of a series stand in a log: more are found too
	// slowly.
	maxLogged = 1 << logLenBits

	logCommitBits  = 20 // commits of a page
	logQualityBits = 3
	logLenBits     = 3 // less one
	// logReceivedBits hold a day and a half: zigzag(received − time) + 1, 0 where it is
	// not known.
	logReceivedBits = 28
	logPlaceBits    = 64 - logReceivedBits - logLenBits - kindBits - logQualityBits // 2^28 rows
	logPlaceShift   = 64 - logPlaceBits

	// LogRowBytes is what a row takes in a log.
	LogRowBytes = 8 * len(logRow{})
)

// Append adds a row to those of a series, whose last one is at a place, 0 for
// none, and returns the place of the new one. It is false where the row does not
// belong here: it lies before the last, the series has many, or the row was received
// more than a day after its time, or is of another age.
func (l *Log) Append(last uint32, r *Row) (place uint32, ok bool) {
	n := uint64(0)
	if last != 0 {
		before, _ := l.at(last)
		n += before.len()
		if n == maxLogged || r.Time < before.time() {
			return 0, false
		}
	}
	received := uint64(0)
	if d := r.Received - r.Time; r.Received != 0 {
		received = uint64(d<<1^d>>63) + 1
	}
	if r.Time != r.Time<<logCommitBits>>logCommitBits || received >= 1<<logReceivedBits || l.rows >= 1<<logPlaceBits-2<<logPageBits {
		return 0, false
	}
	page := l.page(r.Commit)
	quality, value := Absent, uint64(0)
	for i := range r.Cols {
		if q := r.Quality[i]; q != Absent {
			quality, value = q, math.Float64bits(r.Values[i])
		}
	}
	page.rows[l.rows&(1<<logPageBits-1)] = logRow{
		value,
		uint64(r.Time)<<logCommitBits | (r.Commit - page.commit),
		((((uint64(last)<<logReceivedBits|received)<<logLenBits|n)<<kindBits)|uint64(r.Kind))<<logQualityBits | uint64(quality),
	}
	l.rows++
	return l.rows, true
}

// page returns the page that takes the next row, of a commit.
func (l *Log) page(commit uint64) *logPage {
	var pages []logPage
	if p := l.pages.Load(); p != nil {
		pages = *p
	}
	if n := len(pages); n > 0 && commit-pages[n-1].commit >= 1<<logCommitBits {
		l.rows = uint32(n) << logPageBits // there were more commits than a page tells apart
	}
	if int(l.rows>>logPageBits) == len(pages) {
		pages = append(pages, logPage{&[1 << logPageBits]logRow{}, commit})
		l.pages.Store(&pages)
	}
	return &pages[l.rows>>logPageBits]
}

// at returns the row at a place, and its commit.
func (l *Log) at(place uint32) (*logRow, uint64) {
	p := &(*l.pages.Load())[(place-1)>>logPageBits]
	w := &p.rows[(place-1)&(1<<logPageBits-1)]
	return w, p.commit + w[1]&(1<<logCommitBits-1)
}

func (w *logRow) time() int64 { return int64(w[1]) >> logCommitBits }

// len returns how many rows of the series there are up to this one.
func (w *logRow) len() uint64 {
	return w[2]>>(logQualityBits+kindBits)&(1<<logLenBits-1) + 1
}

func (w *logRow) quality() uint64 { return w[2] & (1<<logQualityBits - 1) }

func (w *logRow) kind() uint64 { return w[2] >> logQualityBits & (1<<kindBits - 1) }

// received returns the received time, 0 where it is not known.
func (w *logRow) received() int64 {
	r := w[2] >> (logQualityBits + kindBits + logLenBits) & (1<<logReceivedBits - 1)
	if r == 0 {
		return 0
	}
	r--
	return w.time() + (int64(r>>1) ^ -int64(r&1))
}

// before returns the place of the row before.
func (w *logRow) before() uint32 { return uint32(w[2] >> logPlaceShift) }

// Run returns the rows of a series, whose last one is at a place, as a run that
// lies in words, as far as there is room, which it returns for another one. Rows that are added to
// the run are in mem.
func (l *Log) Run(last uint32, words []uint64, mem *Memory) (Run, []uint64) {
	r := NewRun(1, mem)
	w, _ := l.at(last)
	n, stride := int(w.len()), int(r.stride)
	if cap(words) < n*stride {
		words = make([]uint64, n*stride)
	}
	words = words[:n*stride]
	r.begin, r.rows, r.last = words[:len(words):len(words)], uint32(n), w.time()
	for i := n - 1; i >= 0; i-- {
		w, commit := l.at(last)
		row := r.row(i)
		row[0], row[1], row[2] = uint64(w.time()), commit, uint64(w.received())<<kindBits|w.kind()
		row[headWords] = ^uint64(cellMask) | w.quality()
		row[headWords+1] = w[0]
		r.MaxCommit = max(r.MaxCommit, commit)
		r.Humans = r.Humans || r.Kind(i) == Human
		r.Repeats = r.Repeats || i+1 < n && r.Time(i) == r.Time(i+1)
		last = w.before()
	}
	return r, words
}
