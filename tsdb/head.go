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
	groups  []*headGroup // by number; nil where a group has no rows here
	touched []uint32     // numbers of the groups that have

	bytes atomic.Int64
	rows  atomic.Int64

	// Of a head that is being flushed: what it holds reaches commit cursor,
	// and these commits are not in a file yet.
	cursor  uint64
	commits []quantrac.Commit
	changes []*commits.Change
}

// headGroup is the rows of one group in a head, in runs of their own order in
// time: live rows make one run, late ones others. The group's mu guards it.
type headGroup struct {
	runs []*rows.Run // longer ones first, roughly
}

// group returns the rows of a group, nil for none.
func (h *head) group(id uint32) *headGroup {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if int(id) >= len(h.groups) {
		return nil
	}
	return h.groups[id]
}

// make returns the rows of a group, none at first.
func (h *head) make(id uint32) *headGroup {
	if g := h.group(id); g != nil {
		return g
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for int(id) >= len(h.groups) {
		h.groups = append(h.groups, make([]*headGroup, len(h.groups)+64)...)
	}
	g := &headGroup{}
	h.groups[id] = g
	h.touched = append(h.touched, id)
	h.bytes.Add(512)
	return g
}

// add adds a row of a group of so many columns and returns the growth in bytes.
// The group's mu is held.
func (hg *headGroup) add(r *rows.Row, columns int) int {
	for _, run := range hg.runs {
		if run.Last() <= r.Time {
			return run.Append(r)
		}
	}
	run := rows.NewRun(columns)
	size := run.Append(r)
	hg.runs = append(hg.runs, run)
	// Keep few runs: join the last two while they are of a size, so that each
	// row is copied a number of times that grows with the logarithm only.
	for n := len(hg.runs); n > 2; n = len(hg.runs) {
		a, b := hg.runs[n-2], hg.runs[n-1]
		if a.Len() > 2*b.Len() && n < 8 {
			break
		}
		hg.runs = append(hg.runs[:n-2:n-2], rows.Join(a, b))
	}
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
	for _, run := range hg.runs {
		if i, k := run.Find(from), run.Find(to+1); i < k {
			run.Table(ts.part(n), i, k)
			n++
		}
	}
	return ts.merger.Merge(ts.parts[:n])
}
