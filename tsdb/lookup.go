package tsdb

import (
	"quantrac/tsdb/internal/block"
	"quantrac/tsdb/internal/rows"
)

// lookup is the chunk that the applying goroutine has decoded last: a backlog
// that is sent again meets the same one over and over.
type lookup struct {
	block  *blockFile
	offset int64
	skip   uint32
	table  *rows.Table
}

// dropRedelivered marks as absent the cells of a row that equal an earlier
// device value at their series and time, and returns how many.
func (db *DB) dropRedelivered(g *group, r *rows.Row) int {
	dropped := 0
	// Values are compared with those of the journal before this commit only:
	// a batch does not hold a series and time twice.
	s := db.apply.state
	for _, h := range s.heads {
		if r.Time < h.first || r.Time > h.last || !h.present.may(g.id, r.Time) {
			continue
		}
		hg := h.group(g.id, &db.apply.w.lone) // nobody else changes them
		for i := range hg.count() {
			dropped += dropSeen(hg.run(i), r)
		}
	}
	first, _ := partitionOf(r.Time)
	for _, b := range s.blocksOf(first) {
		n, err := db.dropInBlock(b, g, r)
		if err != nil {
			// The reading is durable and must be shown; should it be a
			// redelivery after all, reading and merging leave it out.
			db.stats.readErrors.Add(1)
			db.o.Logger.Error("tsdb: looking for redelivery", "error", err)
		}
		dropped += n
	}
	return dropped
}

// dropInBlock marks as absent the cells of r that a block holds already.
func (db *DB) dropInBlock(b *blockFile, g *group, r *rows.Row) (dropped int, err error) {
	if r.Time < b.info.First || r.Time > b.info.Last || !b.rows.may(g.id, r.Time) {
		return 0, nil
	}
	position, ok := b.position(g.id)
	if !ok {
		return 0, nil
	}
	w := &db.apply.w
	var columns int
	if w.covering, columns, err = b.r.Covering(w.covering[:0], position, r.Time); err != nil {
		return 0, err
	}
	for i := range w.covering {
		t, err := db.chunkAt(b, g, &w.covering[i], columns, r.Time)
		if err != nil {
			return dropped, err
		}
		if t != nil {
			dropped += dropSeen(t, r)
		}
	}
	return dropped, nil
}

// seen is rows that may hold a reading already: of a head or of a chunk.
type seen interface {
	Len() int
	Find(t int64) int
	Time(row int) int64
	Kind(row int) uint8
	Quality(row, col int) uint8
	Value(row, col int) float64
}

// dropSeen marks as absent the cells of r that equal a device value at its time,
// and returns how many.
func dropSeen(t seen, r *rows.Row) int {
	dropped := 0
	for i := t.Find(r.Time); i < t.Len() && t.Time(i) == r.Time; i++ {
		if t.Kind(i) == rows.Human {
			continue
		}
		for k, col := range r.Cols {
			if r.Quality[k] != rows.Absent && t.Quality(i, col) != rows.Absent && rows.Same(t.Value(i, col), r.Values[k]) {
				r.Quality[k] = rows.Absent
				dropped++
			}
		}
	}
	return dropped
}

// chunkAt returns a chunk's rows if one of them has the time, else nil.
func (db *DB) chunkAt(b *blockFile, g *group, c *block.Chunk, columns int, t int64) (*rows.Table, error) {
	w := &db.apply.w
	if f := &w.found; f.block == b && f.offset == c.Offset && f.skip == c.Skip {
		return f.table, nil
	}
	// Most of what is late is new. Should a glance miss a row, its redelivery is
	// left out when the two are merged, as everywhere else.
	may, buf, err := b.r.MayHave(c, columns, t, w.sc.buf)
	w.sc.buf = buf
	if err != nil || !may {
		return nil, err
	}
	if w.sc.buf, err = b.r.Read(&w.sc.data, c, columns, w.sc.buf); err != nil {
		return nil, err
	}
	if _, ok, err := w.sc.data.FindTime(t); !ok || err != nil {
		return nil, err
	}
	bg := &w.sc.group
	if ok, err := b.group(g, bg); !ok || err != nil {
		return nil, err
	}
	table := &rows.Table{}
	if err := w.sc.data.Table(table, bg.cols, canonicalNaN); err != nil {
		return nil, err
	}
	w.found = lookup{b, c.Offset, c.Skip, table}
	return table, nil
}
