package tsdb

import (
	"hash/maphash"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"quantrac"
	"quantrac/tsdb/internal/decimal"
	"quantrac/tsdb/internal/rows"
)

// What many ask for is the same few chunks of the last days, and decoding is
// most of what answering takes. The columns of chunks are kept as short whole
// numbers, those used last, within a bound of bytes. Chunks never change: there is
// nothing to take back but what belongs to a block that is gone.
//
// A part is let in when it is asked for the second time within a while: who
// reads years once does not push out what is asked for every minute.

// columnCache keeps decoded columns. Use newColumnCache.
type columnCache struct {
	mu     sync.RWMutex
	most   int
	bytes  int
	chunks map[chunkKey]*keptChunk
	ring   []*keptChunk // a clock: what was not used since the hand passed goes
	hand   int
	seed   maphash.Seed
	asked  [1 << 14][4]uint32 // marks of parts asked for once, by their hash
	turn   uint32
}

type chunkKey struct {
	block  *blockFile
	offset int64
	skip   uint32 // of a chunk that groups share
}

type partKey struct {
	chunkKey
	part int
}

// partRows is how many rows a part has: less than two days at ten minutes.
const partRows = 256

// minKeptRows is how many rows make a part of a shared chunk worth keeping.
const minKeptRows = 16

// keeps says whether decoded columns of a piece are kept.
func (p *piece) keeps() bool {
	return p.block != nil && (p.chunk.Of == 0 || p.rows >= minKeptRows)
}

// keptChunk is the times of a chunk and those parts of its columns that were
// asked for. What it holds never changes; parts come to it.
type keptChunk struct {
	key   chunkKey
	used  atomic.Bool
	bytes int // guarded by the cache's mu
	first int64
	after []uint32                     // by how many milliseconds each row is after the first
	last  uint32                       // of them
	cols  []atomic.Pointer[keptColumn] // the parts of the first column, and so on
	parts int                          // of a column
}

// keptColumn is the cells of a part of a column: whole numbers over 10^places, or
// floats where those would not do.
type keptColumn struct {
	whole     []int32
	places    int
	floats    []float64
	qualities []uint8 // nil where all are of quality
	quality   uint8
}

func newColumnCache(most int) *columnCache {
	return &columnCache{most: most, chunks: map[chunkKey]*keptChunk{}, seed: maphash.MakeSeed()}
}

// get returns what is kept of the chunk of a piece, nil for nothing.
func (c *columnCache) get(p *piece) *keptChunk {
	if !p.keeps() {
		return nil
	}
	c.mu.RLock()
	chunk := c.chunks[chunkKey{p.block, p.chunk.Offset, p.chunk.Skip}]
	c.mu.RUnlock()
	if chunk != nil {
		chunk.used.Store(true)
	}
	return chunk
}

// offer lets the cache have what has been decoded of a piece, as far as it is part
// of parts that have rows from at to before end.
func (c *columnCache) offer(p *piece, l *loaded, at, end int) {
	if p.last-p.first > math.MaxUint32 {
		return
	}
	key := chunkKey{p.block, p.chunk.Offset, p.chunk.Skip}
	chunk := c.get(p)
	for k := at / partRows; k*partRows < end; k++ {
		// What is kept need not be remembered as asked for, in the place of others.
		if (chunk == nil || chunk.part(p.column, k) == nil) && c.wants(key, k) {
			from, to := k*partRows, min((k+1)*partRows, len(l.times))
			c.put(key, p, k, l.times, keepColumn(l.col.Values[from:to], l.col.Qualities[from:to]))
		}
	}
}

func (c *columnCache) put(key chunkKey, p *piece, k int, times []int64, col *keptColumn) {
	size := col.size()
	c.mu.Lock()
	defer c.mu.Unlock()
	chunk := c.chunks[key]
	if chunk == nil {
		chunk = keepTimes(key, p, times)
		size += 64 + 4*len(chunk.after) + 8*len(chunk.cols)
		c.chunks[key] = chunk
		c.ring = append(c.ring, chunk)
	}
	if !chunk.cols[p.column*chunk.parts+k].CompareAndSwap(nil, col) {
		return // somebody else was quicker
	}
	chunk.used.Store(true)
	chunk.bytes += size
	c.bytes += size
	for c.bytes > c.most && len(c.ring) > 1 {
		c.hand %= len(c.ring)
		if old := c.ring[c.hand]; old.used.Swap(false) {
			c.hand++
		} else {
			c.ring[c.hand] = c.ring[len(c.ring)-1]
			c.ring = c.ring[:len(c.ring)-1]
			c.forget(old)
		}
	}
}

// forget lets go of a chunk. The cache's mu is held.
func (c *columnCache) forget(chunk *keptChunk) {
	c.bytes -= chunk.bytes
	delete(c.chunks, chunk.key)
}

// wants says whether a part of a chunk has been asked for before. The mark of which
// it says so is gone: the part is kept, and others need the place.
func (c *columnCache) wants(k chunkKey, part int) bool {
	h := maphash.Comparable(c.seed, partKey{k, part})
	mark := uint32(h>>32) | 1
	c.mu.Lock()
	defer c.mu.Unlock()
	marks := &c.asked[h%uint64(len(c.asked))]
	if i := slices.Index(marks[:], mark); i >= 0 {
		marks[i] = 0
		return true
	}
	i := slices.Index(marks[:], 0)
	if i < 0 {
		// Any of them, and not the oldest: where more than there is room for are
		// asked for in turn, that would always be the one that is asked for next.
		c.turn = c.turn*1664525 + 1013904223
		i = int(c.turn >> 30)
	}
	marks[i] = mark
	return false
}

// drop lets go of what belongs to a block.
func (c *columnCache) drop(b *blockFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ring = slices.DeleteFunc(c.ring, func(chunk *keptChunk) bool {
		if chunk.key.block != b {
			return false
		}
		c.forget(chunk)
		return true
	})
}

func keepTimes(k chunkKey, p *piece, times []int64) *keptChunk {
	chunk := &keptChunk{key: k, first: times[0], after: make([]uint32, len(times)), parts: (len(times) + partRows - 1) / partRows}
	chunk.cols = make([]atomic.Pointer[keptColumn], p.columns*chunk.parts)
	for i, t := range times {
		chunk.after[i] = uint32(t - times[0])
	}
	chunk.last = chunk.after[len(times)-1]
	return chunk
}

func keepColumn(values []float64, qualities []uint8) *keptColumn {
	k := &keptColumn{quality: qualities[0]}
	if slices.ContainsFunc(qualities, func(q uint8) bool { return q != k.quality }) {
		k.qualities = slices.Clone(qualities)
	}
	if !k.keepWhole(values, qualities) {
		k.floats = slices.Clone(values)
	}
	return k
}

// keepWhole takes the values as whole numbers, if all of them are decimals of as
// many places and short enough.
func (k *keptColumn) keepWhole(values []float64, qualities []uint8) bool {
	k.whole = make([]int32, len(values))
	for i := 0; i < len(values); i++ {
		if q := qualities[i]; q == rows.Absent || q == uint8(quantrac.Missing) {
			continue
		}
		m, ok := decimal.Scale(values[i], k.places)
		switch {
		case ok && m == int64(int32(m)):
			k.whole[i] = int32(m)
		case k.places == decimal.MaxExp:
			k.whole = nil
			return false
		default:
			k.places++
			i = -1 // once more from the beginning
		}
	}
	return true
}

func (k *keptColumn) size() int {
	return 112 + 4*cap(k.whole) + 8*cap(k.floats) + cap(k.qualities)
}

// find returns the first row that does not lie before a time. It looks first
// where the row would be if all were equally far apart: that is one place in
// memory, not one for every halving.
func (c *keptChunk) find(t int64) int {
	n := len(c.after)
	last := c.last
	switch d := t - c.first; {
	case d <= 0:
		return 0
	case d > int64(last):
		return n
	default:
		const near = 16
		guess := int(uint64(d) * uint64(n-1) / uint64(last))
		lo, hi := max(guess-near, 0), min(guess+near, n)
		if lo > 0 && c.after[lo-1] >= uint32(d) || hi < n && c.after[hi] < uint32(d) {
			lo, hi = 0, n
		}
		i, _ := slices.BinarySearch(c.after[lo:hi], uint32(d))
		return lo + i
	}
}

// span returns the rows from a time to another.
func (c *keptChunk) span(from, to int64) (at, end int) {
	at, end = c.find(from), len(c.after)
	if to < math.MaxInt64 {
		end = c.find(to + 1)
	}
	return at, end
}

// part returns the k-th part of a column, nil where that is not kept.
func (c *keptChunk) part(column, k int) *keptColumn { return c.cols[column*c.parts+k].Load() }

// each shows the parts of a column that have cells in the rows from at to before
// end, nil for those that are not kept, with those rows, counted in the part and in
// the chunk, as long as show returns true.
func (c *keptChunk) each(column, at, end int, show func(col *keptColumn, at, end, row int) bool) {
	for at < end {
		k := at / partRows
		from, to := k*partRows, min((k+1)*partRows, end)
		if !show(c.part(column, k), at-from, to-from, at) {
			return
		}
		at = to
	}
}

// extreme returns the greatest, or least, of the cells of a column between two
// times and how many they are; ok is false where that is not to be seen at a
// glance.
func (c *keptChunk) extreme(column int, from, to int64, qs quantrac.QualitySet, op FoldOp) (v float64, n int, ok bool) {
	at, end := c.span(from, to)
	ok = true
	c.each(column, at, end, func(col *keptColumn, at, end, _ int) bool {
		if ok = col.plain(qs); !ok {
			return false
		}
		m := extreme(col.whole[at:end], op)
		if w := float64(m) / decimal.Pow10(col.places); n == 0 || op == FoldMax && w > v || op == FoldMin && w < v {
			v = w
		}
		n += end - at
		return true
	})
	return v, n, ok
}

// appendTo appends the cells of a column between two times that are of one of the
// qualities, or says that not all of them are kept.
func (c *keptChunk) appendTo(out *Series, column int, from, to int64, qs quantrac.QualitySet) bool {
	at, end := c.span(from, to)
	all := true
	c.each(column, at, end, func(col *keptColumn, _, _, _ int) bool {
		all = col != nil
		return all
	})
	if !all {
		return false
	}
	c.each(column, at, end, func(col *keptColumn, at, end, row int) bool {
		if col.qualities == nil {
			if shows(qs, col.quality) {
				c.copy(out, col, at, end, row)
			}
			return true
		}
		for from := at; from < end; {
			n := from
			for n < end && shows(qs, col.qualities[n]) {
				n++
			}
			c.copy(out, col, from, n, row+from-at)
			from = n + 1
		}
		return true
	})
	return true
}

// copy appends the cells from at to before end of a part, which stand in the rows
// from row on.
func (c *keptChunk) copy(out *Series, col *keptColumn, at, end, row int) {
	n := len(out.Times)
	out.grow(end - at)
	out.Times, out.Values, out.Qualities = out.Times[:n+end-at], out.Values[:n+end-at], out.Qualities[:n+end-at]
	times, values, qualities := out.Times[n:], out.Values[n:], out.Qualities[n:]
	for i, d := range c.after[row : row+end-at] {
		times[i] = quantrac.Millis(c.first + int64(d))
	}
	if col.whole != nil {
		by := decimal.Pow10(col.places)
		for i, m := range col.whole[at:end] {
			values[i] = float64(m) / by
		}
	} else {
		copy(values, col.floats[at:end])
	}
	if q := quality(col.quality); col.qualities == nil {
		for i := range qualities {
			qualities[i] = q
		}
		if q != quantrac.Missing {
			return
		}
	} else {
		for i, q := range col.qualities[at:end] {
			qualities[i] = quality(q)
		}
	}
	for i, q := range qualities {
		if q == quantrac.Missing {
			values[i] = canonicalNaN
		}
	}
}
