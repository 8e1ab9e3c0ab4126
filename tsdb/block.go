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

// blockFile is an open block.
type blockFile struct {
	r     *block.Reader
	name  string
	info  block.Info
	ids   []uint32     // of its groups in this process, rising
	place []uint32     // position in the file of each of ids
	refs  atomic.Int64 // states
	rows  *presence    // nil where that is not known
	// entries are those of its groups that have been read, by position, as far as
	// they are kept.
	entries atomic.Pointer[[]atomic.Pointer[blockGroup]]
	// since is when its newest rows came to lie in a block.
	since quantrac.Millis
	// obsolete blocks are removed from the disk once nobody reads them.
	obsolete atomic.Bool
}

// blockGroup is what a block holds of a group; it is memory for reuse, unless it is
// kept.
type blockGroup struct {
	block.Group
	position int   // in the file
	cols     []int // of the group, for each column of the chunks
}

func sortBlocks(bs []*blockFile) {
	slices.SortFunc(bs, func(a, b *blockFile) int {
		if c := cmp.Compare(a.info.Partition, b.info.Partition); c != 0 {
			return c
		}
		return cmp.Compare(a.name, b.name)
	})
}

// sort brings the groups, which were given in the order of the file, into that
// of their ids.
func (b *blockFile) sort() {
	if b.spread() {
		return
	}
	both := make([]uint64, len(b.ids)) // quicker to sort than places by ids
	for i, id := range b.ids {
		both[i] = uint64(id)<<32 | uint64(i)
	}
	slices.Sort(both)
	b.place = make([]uint32, len(b.ids))
	for i, x := range both {
		b.ids[i], b.place[i] = uint32(x>>32), uint32(x)
	}
}

// spread is sort of groups that are many of all there are, or false: each is put where
// its number says.
func (b *blockFile) spread() bool {
	if len(b.ids) == 0 || int(slices.Max(b.ids)) >= 4*len(b.ids) {
		return false
	}
	at := make([]uint32, slices.Max(b.ids)+1) // one more than the place; 0 for none
	for i, id := range b.ids {
		if at[id] != 0 {
			return false
		}
		at[id] = uint32(i) + 1
	}
	ids, place := b.ids[:0], make([]uint32, 0, len(b.ids))
	for id, p := range at {
		if p != 0 {
			ids, place = append(ids, uint32(id)), append(place, p-1)
		}
	}
	b.place = place
	return true
}

// share has the block use the lists of one that has the same groups, as blocks have
// that are flushed one after the other: of a million groups they take 8 MB.
func (b *blockFile) share(blocks []*blockFile) {
	for _, o := range blocks {
		if slices.Equal(o.ids, b.ids) && slices.Equal(o.place, b.place) {
			b.ids, b.place = o.ids, o.place
			return
		}
	}
}

// position says where in the file a group is, false where the block has none.
func (b *blockFile) position(id uint32) (int, bool) {
	i := int(id) // of a block that has all groups
	if i >= len(b.ids) || b.ids[i] != id {
		var ok bool
		if i, ok = slices.BinarySearch(b.ids, id); !ok {
			return 0, false
		}
	}
	return int(b.place[i]), true
}

// entry reads the entry of a group, false where the block has none.
func (b *blockFile) entry(id uint32, bg *block.Group) (position int, ok bool, err error) {
	if position, ok = b.position(id); !ok {
		return 0, false, nil
	}
	err = b.r.Group(position, bg)
	return position, err == nil, err
}

// group reads what the block holds of a group into bg, false where that is
// nothing.
func (b *blockFile) group(g *group, bg *blockGroup) (bool, error) {
	var ok bool
	var err error
	if bg.position, ok, err = b.entry(g.id, &bg.Group); !ok {
		return false, err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	bg.cols = bg.cols[:0]
	for _, p := range bg.Properties {
		bg.cols = append(bg.cols, g.find(p))
	}
	return true, nil
}

// Entries of groups are kept as they are read, until there are too many: then all
// are let go.
const (
	maxEntries      = 1 << 15 // some hundred bytes each
	maxEntriesBlock = 1 << 17 // groups of a block whose entries are kept
)

// part finds what the block holds of a group, false where that is nothing. It is
// memory of loose, unless it is kept, and not to be changed.
func (v *view) part(b *blockFile, g *group, loose *blockGroup) (blockGroup, bool, error) {
	position, ok := b.position(g.id)
	if !ok {
		return blockGroup{}, false, nil
	}
	kept := b.entries.Load()
	if kept != nil {
		if bg := (*kept)[position].Load(); bg != nil {
			return *bg, true, nil
		}
	}
	ok, err := b.group(g, loose)
	if !ok || loose.Chunks[0].Of > 0 || len(b.ids) > maxEntriesBlock {
		return *loose, ok, err
	}
	if v.db.entries.Add(1) > maxEntries {
		for _, b := range v.state.blocks {
			b.entries.Store(nil)
		}
		v.db.entries.Store(0)
	}
	if kept == nil {
		fresh := make([]atomic.Pointer[blockGroup], len(b.ids))
		if kept = &fresh; !b.entries.CompareAndSwap(nil, kept) {
			kept = b.entries.Load()
		}
	}
	bg := loose.clone()
	if kept != nil {
		(*kept)[position].Store(bg)
	}
	return *bg, true, nil
}

// clone copies what is read of a group, less what names say that cols say too.
func (bg *blockGroup) clone() *blockGroup {
	out := &blockGroup{position: bg.position, cols: slices.Clone(bg.cols)}
	out.First, out.Last, out.Chunks = slices.Clone(bg.First), slices.Clone(bg.Last), slices.Clone(bg.Chunks)
	return out
}

// release ends a state's use of the block.
func (b *blockFile) release(db *DB) {
	if b.refs.Add(-1) > 0 {
		return
	}
	db.days.drop(b)
	db.decoded.drop(b)
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

// table reads a chunk of a group whole into t, in the group's columns.
func (b *blockFile) table(t *rows.Table, g *blockGroup, chunk int, sc *scratch) error {
	var err error
	if sc.buf, err = b.r.Read(&sc.data, &g.Chunks[chunk], len(g.cols), sc.buf); err != nil {
		return err
	}
	return sc.data.Table(t, g.cols, canonicalNaN)
}

// learn takes from a group of a block, while the store is opened, what is known
// of it and its series without reading rows, and returns its id.
func (db *DB) learn(labels quantrac.Labels, bg *block.Group) uint32 {
	w := &db.apply.w
	w.key = labels.AppendKey(w.key[:0])
	g := db.groupOf(w.key)
	for i := range bg.Chunks {
		c := &bg.Chunks[i]
		if c.Flags&block.Humans != 0 {
			g.rare().humans = true
		}
	}
	if g.humans() {
		db.apply.w.humans[g] = true
	}
	for k, c := range db.columnsOf(g, bg.Properties) {
		s := g.at(c)
		s.extend(bg.First[k])
		s.extend(bg.Last[k])
		s.state = lastUnknown
	}
	for i := range bg.Chunks {
		g.reach(bg.Chunks[i].Last)
	}
	return g.id
}

// quality of a cell as the root package names it.
func quality(q uint8) quantrac.Quality { return quantrac.Quality(q) }
