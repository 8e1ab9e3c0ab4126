package tsdb

import (
	"context"
	"math"
	"slices"

	"quantrac/internal/vfs"
	"quantrac/tsdb/internal/block"
	"quantrac/tsdb/internal/commits"
)

// Flush moves what had been applied when it was called into block files, and
// lets the journal drop it. Readers and writers do not wait for it. After an
// error, of a full disk for one, everything is still read from memory and the
// next Flush tries again.
func (db *DB) Flush(ctx context.Context) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	return db.flush(ctx)
}

func (db *DB) flush(ctx context.Context) error {
	db.flushing.Lock()
	defer db.flushing.Unlock()
	for {
		h, last := db.sealHead()
		if h == nil {
			return db.advance(last)
		}
		err := db.flushHead(ctx, h)
		db.stats.ended(&db.stats.flushes, err)
		if err != nil {
			db.stats.flushErrors.Add(1)
			return err
		}
	}
}

// sealHead returns the head to be flushed next: one left over from a flush that
// failed, or the present one with a new one in its place. Without anything to
// flush it returns nil and the last commit applied.
func (db *DB) sealHead() (*head, uint64) {
	db.apply.Lock()
	defer db.apply.Unlock()
	s := db.apply.state
	h := s.heads[0]
	if len(s.heads) > 1 {
		return h, 0
	}
	h.commits, h.changes = db.log.Pending()
	if h.rows.Load() == 0 && len(h.commits) == 0 {
		return nil, db.apply.applied
	}
	h.cursor = db.apply.applied
	db.replaceState(&state{heads: []*head{h, {}}, blocks: s.blocks})
	return h, 0
}

// replaceState makes next the current state. The caller holds apply.
func (db *DB) replaceState(next *state) {
	next.refs.Store(1)
	for _, b := range next.blocks {
		b.refs.Add(1)
	}
	old := db.apply.state
	db.apply.state = next
	db.release(old)
}

// flushHead writes a sealed head to files and puts them in its place.
func (db *DB) flushHead(ctx context.Context, h *head) error {
	out := &output{db: db}
	if err := db.writeHead(ctx, out, h); err != nil {
		out.discard()
		return err
	}
	if err := db.install(out, nil, h); err != nil {
		return err
	}
	db.hold.Advance(h.cursor)
	return nil
}

// advance says that the files reach a commit, where what lies between did not
// concern the store.
func (db *DB) advance(commit uint64) error {
	db.files.Lock()
	defer db.files.Unlock()
	m := db.files.manifest
	if commit <= m.Flushed {
		return nil
	}
	m.Flushed = commit
	if err := db.writeManifest(m); err != nil {
		return err
	}
	db.hold.Advance(commit)
	return nil
}

// writeHead writes the blocks of a head, one for each partition it reaches
// into, and its commits.
func (db *DB) writeHead(ctx context.Context, out *output, h *head) error {
	parts := map[int64][]headPart{}
	h.mu.RLock()
	touched := h.touched // nobody adds to a sealed head
	h.mu.RUnlock()
	for _, id := range touched {
		hg := h.group(id)
		for first := range hg.partitions() {
			parts[first] = append(parts[first], headPart{db.groups.at(id), hg})
		}
	}
	firsts := make([]int64, 0, len(parts))
	for first := range parts {
		firsts = append(firsts, first)
	}
	slices.Sort(firsts)
	for _, first := range firsts {
		list := parts[first]
		slices.SortFunc(list, func(a, b headPart) int { return compareKeys(a.g.key, b.g.key) })
		err := out.block(first, func(w *block.Writer, ids *[]uint32) error {
			var buf tables
			for _, p := range list {
				if err := ctx.Err(); err != nil {
					return err
				}
				t := p.hg.table(&buf, first, first+partitionLen-1)
				if t.Len() > 0 {
					*ids = append(*ids, p.g.id)
				}
				if err := w.Group(p.g.labels(), p.g.properties(), t); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	if len(h.commits) > 0 {
		if err := out.file(func(f vfs.File) error { return commits.Write(f, h.commits, h.changes) }); err != nil {
			return err
		}
	}
	return out.sync()
}

type headPart struct {
	g  *group
	hg *headGroup
}

// partitions returns the first times of the partitions that the runs reach into.
func (hg *headGroup) partitions() map[int64]struct{} {
	out := map[int64]struct{}{}
	for n := range hg.count() {
		run := hg.run(n)
		for i := 0; i < run.Len(); {
			first, last := partitionOf(run.Time(i))
			out[first] = struct{}{}
			i = run.Find(last + 1)
		}
	}
	return out
}

// headBytes returns how much memory the rows of all heads take, an estimate.
func (db *DB) headBytes() int64 {
	db.apply.RLock()
	defer db.apply.RUnlock()
	n := int64(0)
	for _, h := range db.apply.state.heads {
		n += h.bytes.Load()
	}
	return n
}

// allTime is the range of every row.
const (
	minTime = int64(math.MinInt64)
	maxTime = int64(math.MaxInt64)
)
