package tsdb

import (
	"cmp"
	"slices"

	"quantrac/tsdb/internal/block"
	"quantrac/tsdb/internal/rows"
)

// view is a reader's hold on one state, and the commit up to which it reads.
type view struct {
	db    *DB
	state *state
	rows.View
	epoch   uint64 // of recent
	nothing bool   // as of before the first commit
	pages   lastPages
}

// view takes hold of the present state.
func (db *DB) view() *view {
	db.apply.RLock()
	defer db.apply.RUnlock()
	return db.viewLocked()
}

// viewLocked is view for who holds apply.
func (db *DB) viewLocked() *view {
	s := db.apply.state
	s.refs.Add(1)
	return &view{
		db: db, state: s, View: rows.View{AsOf: db.apply.applied, Revoked: db.log.Revoked},
		epoch: db.apply.recent.epoch.Load(), nothing: db.apply.applied == 0,
	}
}

func (v *view) release() { v.db.release(v.state) }

// restrict makes the view read as of earlier, as a query wants.
func (v *view) restrict(q *Query) error {
	v.DeviceOnly = q.DeviceOnly
	if q.AsOfCommit != 0 {
		v.AsOf = min(v.AsOf, q.AsOfCommit)
	}
	if q.AsOf != 0 {
		n, err := v.db.log.AsOf(q.AsOf)
		if err != nil {
			return err
		}
		v.AsOf = min(v.AsOf, n)
		v.nothing = v.nothing || n == 0
	}
	return nil
}

// scratch is memory for reading, used again and again.
type scratch struct {
	buf     []byte
	data    block.Data
	pieces  []piece
	times   []int64
	commits []uint64
	recv    []int64
	kinds   []uint8
	col     rows.Column
	cells   []rows.Cell
	series  Series
	older   Series
	group   blockGroup
	groups  []blockPart // what blocks have of the series that pieces has looked for
	loose   []blockGroup
	days    []day
	lasts   []int64 // of the pieces up to each the last time
	near    int     // see around
	held    []piece
	folded  [1]Folded
	civil   Folded // see extremeByDays
	stretch Folded

	stretches []stretch
}

// piece is where some cells of a series are: a chunk of a block, or a run of a
// head.
type piece struct {
	first, last int64 // times of rows
	maxCommit   uint64
	simple      bool // its column is an answer as it stands
	rows        int

	block   *blockFile // nil for a run
	chunk   block.Chunk
	columns int // of the chunk
	column  int // of them

	run rows.Run // as it was
	col int      // of the run
}

// blockPart is a block and what it has of a group.
type blockPart struct {
	block *blockFile
	blockGroup
}

// pieces finds where the cells of a series between two times are, in the order
// of their first times.
func (v *view) pieces(sc *scratch, g *group, col int, from, to int64) ([]piece, error) {
	sc.pieces, sc.groups = sc.pieces[:0], sc.groups[:0]
	for _, b := range v.state.blocks {
		if b.info.Last < from || b.info.First > to {
			continue
		}
		n := len(sc.groups)
		if n == len(sc.loose) {
			sc.loose = append(sc.loose, blockGroup{}) // what lies there already is copied, with its slices
		}
		bg, ok, err := v.part(b, g, &sc.loose[n])
		if err != nil {
			return nil, err
		}
		if !ok {
			continue
		}
		sc.groups = append(sc.groups, blockPart{b, bg})
		sc.pieces = sc.groups[n].pieces(sc.pieces, col, from, to)
	}
	sc.pieces = v.runs(sc.pieces, g, col, from, to)
	slices.SortFunc(sc.pieces, func(a, b piece) int { return cmp.Compare(a.first, b.first) })
	return sc.pieces, nil
}

// pieces appends the chunks that have cells of a column between two times.
func (bg *blockPart) pieces(ps []piece, col int, from, to int64) []piece {
	k := slices.Index(bg.cols, col)
	if k < 0 || bg.Last[k] < from || bg.First[k] > to {
		return ps
	}
	for i := range bg.Chunks {
		if c := &bg.Chunks[i]; c.Last >= from && c.First <= to {
			ps = append(ps, piece{
				first: c.First, last: c.Last, maxCommit: c.MaxCommit, simple: c.Flags&block.Simple != 0, rows: int(c.Rows),
				block: bg.block, chunk: *c, columns: len(bg.cols), column: k,
			})
		}
	}
	return ps
}

// runs adds what the heads have of a series.
func (v *view) runs(ps []piece, g *group, col int, from, to int64) []piece {
	for _, h := range v.state.heads {
		var mem loneRows // for each: it is kept
		g.mu.Lock()
		hg := h.group(g.id, &mem)
		for i := range hg.count() {
			run := hg.run(i)
			if run.Time(0) > to || run.Last() < from || col >= run.Columns() {
				continue
			}
			ps = append(ps, piece{
				first: run.Time(0), last: run.Last(), maxCommit: run.MaxCommit, simple: !run.Repeats && !run.Humans, rows: run.Len(),
				run: *run, col: col,
			})
		}
		g.mu.Unlock()
	}
	return ps
}

// within returns about how many rows of the piece lie between two times.
func (p *piece) within(from, to int64) int {
	all, part := p.last-p.first+1, min(p.last, to)-max(p.first, from)+1
	if part >= all {
		return p.rows
	}
	return min(p.rows, 2+int(float64(p.rows)*float64(part)/float64(all)))
}

// cluster returns how many of the pieces from the first on have rows between
// one another's.
func cluster(ps []piece) int {
	last := ps[0].last
	n := 1
	for n < len(ps) && ps[n].first <= last {
		last = max(last, ps[n].last)
		n++
	}
	return n
}
