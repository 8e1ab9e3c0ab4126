package tsdb

import (
	"context"
	"errors"
	"math"
	"time"

	"quantrac"
	"quantrac/tsdb/internal/block"
	"quantrac/tsdb/internal/rows"
)

// Values are kept as long as Options.Retention says for their property, and go
// with their partition: once all of it is older, the columns are left out when
// its blocks are written anew. A series none of whose values are left is no
// longer listed, and a group of such series leaves memory.

// Expire drops what has been kept for its time. Run does so once a day. Readers
// and writers do not wait for it; a query under way still sees what it began
// with. After an error what had not been dropped is still there.
func (db *DB) Expire(ctx context.Context) error {
	if db.o.Retention == nil {
		return nil
	}
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	db.compacting.Lock()
	defer db.compacting.Unlock()
	v := db.view()
	defer v.release()
	touched := map[uint32]bool{}
	var err error
	for blocks := v.state.blocks; len(blocks) > 0 && err == nil; {
		part := v.state.blocksOf(blocks[0].info.Partition)
		blocks = blocks[len(part):]
		err = db.expirePartition(ctx, part, touched)
	}
	// Also of what has gone before an error, which nobody would come back to.
	return errors.Join(err, db.forgetExpired(ctx, touched))
}

// expirePartition writes the blocks of a partition anew without the columns
// whose time is over, and notes their groups.
func (db *DB) expirePartition(ctx context.Context, part []*blockFile, touched map[uint32]bool) error {
	e := expiry{db: db, age: db.o.Clock.Now().Sub(quantrac.Millis(part[0].info.Partition + partitionLen))}
	left := false
	var of []uint32
	for _, b := range part {
		kept, gone, err := e.scan(b)
		if err != nil {
			return err
		}
		left = left || kept
		of = append(of, gone...)
	}
	if len(of) == 0 {
		return nil
	}
	var err error
	if left {
		err = db.mergeBlocks(ctx, part, merging{small: true, filter: e.drop})
	} else {
		err = db.install(&output{db: db}, part, nil)
	}
	if err := db.merged(err); err != nil {
		return err
	}
	for _, id := range of {
		touched[id] = true
	}
	return nil
}

// expiry says what is over of a partition that ended an age ago.
type expiry struct {
	db  *DB
	age time.Duration
}

func (e *expiry) over(g *group, property string) bool {
	keep := e.db.o.Retention(g.labels(), property)
	return keep > 0 && e.age > keep
}

// scan returns the groups of a block that have columns that are over, and
// whether anything is not.
func (e *expiry) scan(b *blockFile) (kept bool, gone []uint32, err error) {
	var bg block.Group
	for i, id := range b.ids {
		if err := b.r.Group(int(b.place[i]), &bg); err != nil {
			return false, nil, err
		}
		over := 0
		for _, p := range bg.Properties {
			if e.over(e.db.groups.at(id), p) {
				over++
			}
		}
		kept = kept || over < len(bg.Properties)
		if over > 0 {
			gone = append(gone, id)
		}
	}
	return kept, gone, nil
}

// drop takes the columns that are over out of a group's rows.
func (e *expiry) drop(g *group, properties []string, t *rows.Table) *rows.Table {
	gone := make([]bool, len(t.Cols))
	any := false
	for c := range t.Cols {
		gone[c] = e.over(g, properties[c])
		any = any || gone[c]
	}
	if !any {
		return t
	}
	return t.Without(gone)
}

// forgetExpired brings up to date what memory says of groups that have lost
// values. It holds up the applying of commits for a few groups at a time.
func (db *DB) forgetExpired(ctx context.Context, touched map[uint32]bool) error {
	var gone []uint32
	var some []uint32
	for id := range touched {
		if some = append(some, id); len(some) < 256 {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := db.forgetGroups(some, &gone); err != nil {
			return err
		}
		some = some[:0]
	}
	if err := db.forgetGroups(some, &gone); err != nil {
		return err
	}
	db.order.remove(&db.groups, gone)
	db.byLabels.remove(&db.groups, gone)
	db.letGoOf(gone)
	return nil
}

// forgetGroups appends to gone those of the groups that have no rows left.
func (db *DB) forgetGroups(ids []uint32, gone *[]uint32) error {
	db.apply.Lock()
	defer db.apply.Unlock()
	if db.apply.closed {
		return nil
	}
	db.apply.recent.epoch.Add(1)
	for _, id := range ids {
		g := db.groups.at(id)
		left, err := db.spans(g)
		if err != nil {
			return err
		}
		if !left {
			*gone = append(*gone, id)
			db.removeGroup(g)
		}
	}
	return nil
}

// spans finds anew from where to where the series of a group reach, and whether
// there are any rows. The caller holds apply.
func (db *DB) spans(g *group) (any bool, err error) {
	s := db.apply.state
	g.mu.Lock()
	defer g.mu.Unlock()
	for i := range int(g.count) {
		x := g.at(i)
		x.first, x.last = math.MaxInt64, math.MinInt64
		x.set(lastUnknown, lastValue{}, 0)
	}
	g.forgetFolds()
	var bg block.Group
	for _, b := range s.blocks {
		_, ok, err := b.entry(g.id, &bg)
		if err != nil {
			return false, err
		}
		for i := 0; ok && i < len(bg.Properties); i++ {
			x := g.at(g.find(bg.Properties[i]))
			x.extend(bg.First[i])
			x.extend(bg.Last[i])
		}
		any = any || ok
	}
	for _, h := range s.heads {
		hg := h.group(g.id, &db.apply.w.lone)
		for n := range hg.count() {
			run := hg.run(n)
			for i := range int(g.count) {
				x := g.at(i)
				x.extend(run.Time(0))
				x.extend(run.Last())
			}
			any = true
		}
	}
	return any, nil
}

// removeGroup takes a group without rows out of memory. Its number is not given
// again: a query under way may hold it. The caller holds apply.
func (db *DB) removeGroup(g *group) {
	db.index.Remove(g.id, g.key, g.properties())
	delete(db.apply.w.humans, g)
	db.stats.series.Add(-int64(g.count))
	db.stats.removed.Add(1)
}

// letGoOf lets the memory of removed groups go.
func (db *DB) letGoOf(ids []uint32) {
	if len(ids) == 0 {
		return
	}
	db.apply.Lock()
	defer db.apply.Unlock()
	db.groups.remove(ids)
}
