package tsdb

import (
	"sync"
	"sync/atomic"

	"quantrac"
	"quantrac/tsdb/internal/commits"
	"quantrac/tsdb/internal/rows"
)

// head is the rows that are not in blocks. One goroutine at a time adds to it.
type head struct {
	mu      sync.RWMutex
	pieces  []*headPiece // by number; nil where no group has rows here
	touched []uint32     // numbers of the groups that have

	bytes atomic.Int64
	rows  atomic.Int64

	any         bool  // there are rows; with what follows, of the applying goroutine
	first, last int64 // their times

	// Of a head that is being flushed: what it holds reaches commit cursor,
	// and these commits are not in a file yet.
	cursor  uint64
	commits []quantrac.Commit
	changes []*commits.Change
}

type headPiece [1 << pieceBits]*headGroup

// headGroup is the rows of one group in a head, in runs of their own order in
// time: live rows make one run, late ones others. The group's mu guards it.
type headGroup struct {
	first rows.Run // it has no rows before the group is given one
	late  *lateRuns
	lone  [rows.LoneWords]uint64 // the first row of a lone series: most have one here
}

// lateRuns are runs beside the first, longer ones first, roughly.
type lateRuns struct{ list []*rows.Run }

// count returns how many runs there are.
func (hg *headGroup) count() int {
	switch {
	case hg.first.Len() == 0:
		return 0
	case hg.late == nil:
		return 1
	}
	return 1 + len(hg.late.list)
}

func (hg *headGroup) run(i int) *rows.Run {
	if i == 0 {
		return &hg.first
	}
	return hg.late.list[i-1]
}

// group returns the rows of a group, nil for none.
func (h *head) group(id uint32) *headGroup {
	h.mu.RLock()
	defer h.mu.RUnlock()
	k := int(id >> pieceBits)
	if k >= len(h.pieces) || h.pieces[k] == nil {
		return nil
	}
	return h.pieces[k][id&(1<<pieceBits-1)]
}

// emptyGroup is about what a group takes in a head beside its rows, in bytes.
const emptyGroup = 136

// make returns the rows of a group, none at first.
func (h *head) make(id uint32) *headGroup {
	if g := h.group(id); g != nil {
		return g
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	k := int(id >> pieceBits)
	for k >= len(h.pieces) {
		h.pieces = append(h.pieces, nil)
	}
	if h.pieces[k] == nil {
		h.pieces[k] = &headPiece{}
		h.bytes.Add(8 << pieceBits)
	}
	g := &headGroup{}
	h.pieces[k][id&(1<<pieceBits-1)] = g
	h.touched = append(h.touched, id)
	h.bytes.Add(emptyGroup)
	return g
}

// reach notes that there is a row of a time.
func (h *head) reach(t int64) {
	if !h.any {
		h.any, h.first, h.last = true, t, t
	}
	h.first, h.last = min(h.first, t), max(h.last, t)
}

// add adds a row of a group of so many columns and returns the growth in bytes.
// The group's mu is held.
func (hg *headGroup) add(r *rows.Row, columns int) int {
	if hg.first.Len() == 0 {
		hg.first = rows.NewRun(columns)
		hg.first.Lend(&hg.lone)
		return hg.first.Append(r)
	}
	for i := range hg.count() {
		if run := hg.run(i); run.Last() <= r.Time {
			return run.Append(r)
		}
	}
	run := rows.NewRun(columns)
	size := run.Append(r)
	if hg.late == nil {
		hg.late = &lateRuns{}
	}
	l := append(hg.late.list, &run)
	// Keep few runs: join the last two while they are of a size, so that each
	// row is copied a number of times that grows with the logarithm only.
	for n := len(l); n > 1; n = len(l) {
		a, b := l[n-2], l[n-1]
		if a.Len() > 2*b.Len() && n < 7 {
			break
		}
		joined := rows.Join(a, b)
		l = append(l[:n-2:n-2], &joined)
	}
	hg.late.list = l
	return size
}

// tables is memory for the rows of a group as a table.
type tables struct {
	parts  []*rows.Table // used again
	merger rows.Merger
}

// part returns the i-th of the tables that are to be joined, as it was left.
func (ts *tables) part(i int) *rows.Table {
	if i == len(ts.parts) {
		ts.parts = append(ts.parts, &rows.Table{})
	}
	return ts.parts[i]
}

// table returns the rows between two times, both inclusive; it is gone when ts is
// used again.
func (hg *headGroup) table(ts *tables, from, to int64) *rows.Table {
	n := 0
	for r := range hg.count() {
		run := hg.run(r)
		if i, k := run.Find(from), run.Find(to+1); i < k {
			run.Table(ts.part(n), i, k)
			n++
		}
	}
	return ts.merger.Merge(ts.parts[:n])
}
