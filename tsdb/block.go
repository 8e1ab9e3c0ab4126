package tsdb

import (
	"cmp"
	"slices"
	"sync/atomic"
	"time"

	"quantrac"
	"quantrac/tsdb/internal/block"
	"quantrac/tsdb/internal/rows"
)

// partition lengths: thirty days from midnight at +07:00, so that a civil day
// never lies in two.
const (
	partitionLen = int64(30 * 24 * time.Hour / time.Millisecond)
	zoneOffset   = int64(7 * time.Hour / time.Millisecond)
)

// partitionOf returns the first and the last millisecond of the partition that
// holds a time.
func partitionOf(t int64) (first, last int64) {
	d := (t + zoneOffset) % partitionLen
	if d < 0 {
		d += partitionLen
	}
	return t - d, t - d + partitionLen - 1
}

// blockFile is an open block, its groups and columns in the numbers of this
// process.
type blockFile struct {
	r      *block.Reader
	name   string
	info   block.Info
	groups []blockGroup // by id
	refs   atomic.Int64 // states
	// obsolete blocks are removed from the disk once nobody reads them.
	obsolete atomic.Bool
}

type blockGroup struct {
	id     uint32
	cols   []int // of the group, for each column of the chunks
	chunks []block.Chunk
	first  []int64 // times of the first and last cell of each column of the chunks
	last   []int64
}

func sortBlocks(bs []*blockFile) {
	slices.SortFunc(bs, func(a, b *blockFile) int {
		if c := cmp.Compare(a.info.Partition, b.info.Partition); c != 0 {
			return c
		}
		return cmp.Compare(a.name, b.name)
	})
}

func (b *blockFile) sort() {
	slices.SortFunc(b.groups, func(x, y blockGroup) int { return cmp.Compare(x.id, y.id) })
}

// group returns what the block holds of a group, nil for nothing.
func (b *blockFile) group(id uint32) *blockGroup {
	i, ok := slices.BinarySearchFunc(b.groups, id, func(g blockGroup, id uint32) int { return cmp.Compare(g.id, id) })
	if !ok {
		return nil
	}
	return &b.groups[i]
}

// release ends a state's use of the block.
func (b *blockFile) release(db *DB) {
	if b.refs.Add(-1) > 0 {
		return
	}
	if err := b.r.Close(); err != nil {
		db.o.Logger.Warn("tsdb: closing a block", "path", b.r.Path(), "error", err)
	}
	if b.obsolete.Load() {
		db.removeFile(b.name)
	}
}

// blocksOf returns the blocks of the partition that begins at first.
func (s *state) blocksOf(first int64) []*blockFile {
	from, _ := slices.BinarySearchFunc(s.blocks, first, func(b *blockFile, t int64) int { return cmp.Compare(b.info.Partition, t) })
	to := from
	for to < len(s.blocks) && s.blocks[to].info.Partition == first {
		to++
	}
	return s.blocks[from:to]
}

// table reads a chunk of a group whole, in the group's columns.
func (b *blockFile) table(g *blockGroup, chunk int, sc *scratch) (*rows.Table, error) {
	var err error
	if sc.buf, err = b.r.Read(&sc.data, &g.chunks[chunk], len(g.cols), sc.buf); err != nil {
		return nil, err
	}
	return sc.data.Table(g.cols, canonicalNaN)
}

// blockGroup translates a group of a block file.
func (db *DB) blockGroup(bg *block.Group) blockGroup {
	g := db.groupOf(bg.Labels.AppendKey(nil), bg.Labels)
	out := blockGroup{id: g.id, chunks: bg.Chunks, first: bg.First, last: bg.Last}
	out.cols = db.columnsOf(g, bg.Properties)
	return out
}

// learn takes from a block, while the store is opened, what is known of its
// groups and series without reading rows.
func (db *DB) learn(b *blockFile) {
	groups := *db.groups.Load()
	for i := range b.groups {
		bg := &b.groups[i]
		g := groups[bg.id]
		for _, c := range bg.chunks {
			g.newest = max(g.newest, c.Last)
			g.humans = g.humans || c.Flags&block.Humans != 0
		}
		if g.humans {
			db.apply.w.humans[g] = true
		}
		for k, c := range bg.cols {
			s := g.series[c]
			s.extend(bg.first[k])
			s.extend(bg.last[k])
			s.state = lastUnknown
		}
	}
}

// quality of a cell as the root package names it.
func quality(q uint8) quantrac.Quality { return quantrac.Quality(q) }
