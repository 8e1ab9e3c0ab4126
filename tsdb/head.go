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
	log     rows.Log     // the first rows of lone series
	mem     *rows.Memory // of the runs of others
	states  atomic.Int64 // that have the head

	bytes atomic.Int64
	rows  atomic.Int64

	any         bool      // there are rows; with what follows, of the applying goroutine
	first, last int64     // their times
	filtered    bool      // present has been made, or cannot be
	present     *presence // of its rows once there are many, else nil

	// Of a head that is being flushed: what it holds reaches commit cursor,
	// and these commits are not in a file yet.
	cursor  uint64
	commits []quantrac.Commit
	changes []*commits.Change
}

// newHead returns an empty head that no state has yet.
func (db *DB) newHead() *head { return &head{mem: db.spare.Memory()} }

// release lets a state go of the head; what only it had is used for the next one.
func (h *head) release() {
	if h.states.Add(-1) == 0 {
		h.mem.Free()
	}
}

// pieceBits is by how many bits of their numbers groups lie together in a head and in
// the order of their labels.
const pieceBits = 8

// headPiece is groups with numbers in a row.
type headPiece struct {
	// lone is for each group whose rows all stand in the log the place of the last
	// of them, 0 for none. The group's mu guards it.
	lone   [1 << pieceBits]uint32
	groups *[1 << pieceBits]*headGroup // the others; nil for none
}

// headGroup is the rows of one group in a head, in runs of their own order in
// time: live rows make one run, late ones others. The group's mu guards it.
type headGroup struct {
	first rows.Run // it has no rows before the group is given one
	late  *lateRuns
}

// lateRuns are runs beside the first, longer ones first, roughly.
type lateRuns struct{ list []*rows.Run }

// count returns how many runs there are.
func (hg *headGroup) count() int {
	switch {
	case hg == nil || hg.first.Len() == 0:
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

// loneRows is memory for the rows of a group that stand in the log.
type loneRows struct {
	group headGroup
	words []uint64
}

// group returns the rows of a group, nil for none. Those that stand in the log are
// given as a copy, which is gone when mem is used again. The group's mu is held,
// unless nothing is added to the head any more.
func (h *head) group(id uint32, mem *loneRows) *headGroup {
	p := h.piece(id)
	if p == nil {
		return nil
	}
	k := id & (1<<pieceBits - 1)
	if last := p.lone[k]; last != 0 {
		mem.group.first, mem.words = h.log.Run(last, mem.words, nil)
		return &mem.group
	}
	return h.runs(p, k)
}

// piece returns the piece of a group, nil for none.
func (h *head) piece(id uint32) *headPiece {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if k := int(id >> pieceBits); k < len(h.pieces) {
		return h.pieces[k]
	}
	return nil
}

// runs returns the rows of group k of a piece that do not stand in the log.
func (h *head) runs(p *headPiece, k uint32) *headGroup {
	h.mu.RLock()
	defer h.mu.RUnlock()
	if p.groups == nil {
		return nil
	}
	return p.groups[k]
}

// known returns the runs of a group, nil for none or where they stand in the log, to
// the applying goroutine: nobody else changes where they are.
func (h *head) known(id uint32) *headGroup {
	k := int(id >> pieceBits)
	if k >= len(h.pieces) || h.pieces[k] == nil || h.pieces[k].groups == nil {
		return nil
	}
	return h.pieces[k].groups[id&(1<<pieceBits-1)]
}

// What a group and a piece of them take in a head beside the rows, in bytes.
const (
	emptyGroup = 96
	emptyPiece = 5 << pieceBits
)

// add adds a row of a group of so many columns and returns the growth in bytes.
// The group's mu is held.
func (h *head) add(id uint32, r *rows.Row, columns int) int {
	if hg := h.known(id); hg != nil {
		return hg.add(r, columns, h.mem)
	}
	size := 0
	p, k := h.piece(id), id&(1<<pieceBits-1)
	if p == nil {
		p = &headPiece{}
		h.keep(id, p)
		size += emptyPiece
	}
	last := p.lone[k]
	if last == 0 {
		h.touch(id)
		size += 4
	}
	if columns == 1 {
		if place, ok := h.log.Append(last, r); ok {
			p.lone[k] = place
			return size + rows.LogRowBytes
		}
	}
	hg := &headGroup{first: rows.NewRun(columns, h.mem)}
	if last != 0 {
		hg.first, _ = h.log.Run(last, nil, h.mem)
		size += hg.first.Len() * rows.LogRowBytes
		p.lone[k] = 0
	}
	h.give(p, k, hg)
	return size + emptyGroup + hg.add(r, columns, h.mem)
}

// keep puts a new piece of a group in its place.
func (h *head) keep(id uint32, p *headPiece) {
	h.mu.Lock()
	defer h.mu.Unlock()
	k := int(id >> pieceBits)
	for k >= len(h.pieces) {
		h.pieces = append(h.pieces, nil)
	}
	h.pieces[k] = p
}

// touch notes that a group has rows here.
func (h *head) touch(id uint32) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.touched = append(h.touched, id)
}

// give makes hg the rows of group k of a piece.
func (h *head) give(p *headPiece, k uint32, hg *headGroup) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if p.groups == nil {
		p.groups = &[1 << pieceBits]*headGroup{}
		h.bytes.Add(8 << pieceBits)
	}
	p.groups[k] = hg
}

// reach notes that there is a row of a time.
func (h *head) reach(t int64) {
	if !h.any {
		h.any, h.first, h.last = true, t, t
	}
	h.first, h.last = min(h.first, t), max(h.last, t)
}

// filter makes the filter of the head's rows once there are so many that looking for
// one in them takes longer: an eighth of what is flushed.
func (h *head) filter(flushBytes int64) {
	bytes, rows := h.bytes.Load(), h.rows.Load()
	if h.filtered || bytes == 0 || bytes < flushBytes/8 {
		return
	}
	h.filtered = true
	if h.present = newPresence(rows * (flushBytes + flushBytes/4) / bytes); h.present == nil {
		return // too many rows
	}
	var times []int64
	var lone loneRows
	for _, id := range h.touched {
		hg := h.group(id, &lone)
		for i := range hg.count() {
			run := hg.run(i)
			times = run.Times(times[:0], 0, run.Len())
			h.present.add(id, times)
		}
	}
}

// add adds a row of a group of so many columns and returns the growth in bytes.
// The group's mu is held.
func (hg *headGroup) add(r *rows.Row, columns int, mem *rows.Memory) int {
	if hg.first.Len() == 0 {
		return hg.first.Append(r)
	}
	for i := range hg.count() {
		if run := hg.run(i); run.Last() <= r.Time {
			return run.Append(r)
		}
	}
	run := rows.NewRun(columns, mem)
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
