package tsdb

import (
	"math"
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
	before  *head        // the one before it, while that is being flushed

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
	runs     []*rows.Table // longer ones first, roughly
	expected int           // rows, from experience
}

// newHead returns a head that expects rows as the one before it had, nil for
// none.
func newHead(before *head) *head { return &head{before: before} }

// expected returns how many rows a group may come to have.
func (h *head) expected(id uint32) int {
	if h.before == nil {
		return 0
	}
	if hg := h.before.group(id); hg != nil {
		return min(hg.runs[0].Len(), 4096)
	}
	return 0
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
	g := &headGroup{expected: h.expected(id)}
	h.groups[id] = g
	h.touched = append(h.touched, id)
	h.bytes.Add(512)
	return g
}

// forget lets go of the head before, which has been flushed. The caller holds
// apply.
func (h *head) forget() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.before = nil
}

// add adds a row and returns the growth in bytes. The group's mu is held.
func (hg *headGroup) add(r *rows.Row) int {
	for _, run := range hg.runs {
		if run.Last() <= r.Time {
			return run.Append(r)
		}
	}
	run := &rows.Table{}
	if len(hg.runs) == 0 && hg.expected > 0 {
		run.Grow(hg.expected)
	}
	size := run.Append(r)
	hg.runs = append(hg.runs, run)
	// Keep few runs: join the last two while they are of a size, so that each
	// row is copied a number of times that grows with the logarithm only.
	for n := len(hg.runs); n > 2; n = len(hg.runs) {
		a, b := hg.runs[n-2], hg.runs[n-1]
		if a.Len() > 2*b.Len() && n < 8 {
			break
		}
		hg.runs = append(hg.runs[:n-2:n-2], rows.Merge([]*rows.Table{a, b}, math.MinInt64, math.MaxInt64))
	}
	return size
}
