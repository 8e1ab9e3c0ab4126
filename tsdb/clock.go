package tsdb

import (
	"context"
	"math"

	"quantrac"
	"quantrac/tsdb/internal/block"
)

// clockOf makes a clock for a block of what blocks hold: by the times of commits
// where commits have few rows each, else by the rows. Without one the block is
// larger and says the same: damage is no reason not to write it, and where rows
// are damaged the merge that follows says so.
func (db *DB) clockOf(ctx context.Context, blocks []*blockFile) *block.Clock {
	first, last, rows := uint64(math.MaxUint64), uint64(0), int64(0)
	for _, b := range blocks {
		first, last, rows = min(first, b.info.MinCommit), max(last, b.info.MaxCommit), rows+b.info.Rows
	}
	// What comes months later is little, and would have the clock tell of all the
	// months.
	end := quantrac.Millis(blocks[0].info.Partition + partitionLen + 2*sealAfter)
	if n, err := db.log.AsOf(end); err == nil && n > first {
		last = min(last, n)
	}
	c, err := block.NewClock(rows, func(show func(quantrac.Commit)) error { return db.log.Each(first, last, show) })
	if err == nil && c == nil {
		r := rowReader{ctx: ctx, blocks: blocks}
		c, err = block.NewRowClock(r.each)
	}
	if err != nil {
		db.o.Logger.Error("tsdb: a block is written without a clock", "first_commit", first, "last_commit", last, "error", err)
		return nil
	}
	return c
}

// rowReader reads times and commits of all rows of blocks.
type rowReader struct {
	ctx     context.Context
	blocks  []*blockFile
	data    block.Data
	group   block.Group
	buf     []byte
	times   []int64
	commits []uint64
}

// each shows the rows chunk by chunk.
func (r *rowReader) each(show func(times []int64, commits []uint64)) error {
	for _, b := range r.blocks {
		for i := range b.r.Groups() {
			if err := r.ctx.Err(); err != nil {
				return err
			}
			if err := b.r.Group(i, &r.group); err != nil {
				return err
			}
			for k := range r.group.Chunks {
				if err := r.read(b.r, &r.group.Chunks[k]); err != nil {
					return err
				}
				show(r.times, r.commits)
			}
		}
	}
	return nil
}

func (r *rowReader) read(from *block.Reader, c *block.Chunk) (err error) {
	if r.buf, err = from.Read(&r.data, c, len(r.group.Properties), r.buf); err != nil {
		return err
	}
	if r.times, err = r.data.Times(r.times[:0]); err != nil {
		return err
	}
	r.commits, err = r.data.Commits(r.commits[:0], r.times, nil)
	return err
}
