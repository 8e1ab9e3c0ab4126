package tsdb

import (
	"context"
	"maps"
	"slices"

	"quantrac"
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
	// What comes meanwhile waits for the next flush: else a store that always
	// takes something would never be done, and write it in crumbs.
	wanted := db.appliedNumber()
	for {
		h, last := db.sealHead()
		if h == nil {
			return db.advance(last)
		}
		end := db.gate.begin()
		err := db.flushHead(ctx, h)
		end(err)
		db.stats.ended(&db.stats.flushes, err)
		if err != nil {
			db.stats.flushErrors.Add(1)
			return err
		}
		if h.cursor >= wanted {
			return nil
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
	db.replaceState(&state{heads: []*head{h, db.newHead()}, blocks: s.blocks})
	return h, 0
}

// replaceState makes next the current state. The caller holds apply.
func (db *DB) replaceState(next *state) {
	next.refs.Store(1)
	for _, b := range next.blocks {
		b.refs.Add(1)
	}
	for _, h := range next.heads {
		h.states.Add(1)
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
	parts := db.partsOf(h)
	for _, first := range slices.Sorted(maps.Keys(parts)) {
		present := h.present // of the rows of all partitions: more than needed does no harm
		if present == nil {
			present = newPresence(h.rows.Load())
		}
		err := out.block(first, func(w *block.Writer, ids *[]uint32) error {
			var buf tables
			var lone loneRows
			var names groupNames
			w.Groups, w.NoDays = len(parts[first]), true
			*ids = make([]uint32, 0, w.Groups)
			for _, id := range parts[first] {
				if err := ctx.Err(); err != nil {
					return err
				}
				t := h.group(id, &lone).table(&buf, first, first+partitionLen-1)
				if t.Len() > 0 {
					*ids = append(*ids, id)
				}
				if h.present == nil {
					present.add(id, t.Times)
				}
				labels, properties := names.of(db.groups.at(id))
				if err := w.Group(labels, properties, t); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
		out.blocks[len(out.blocks)-1].rows = present
	}
	if len(h.commits) > 0 {
		if err := out.file(func(f vfs.File) error { return commits.Write(f, h.commits, h.changes) }); err != nil {
			return err
		}
	}
	return out.sync()
}

// groupNames is memory for the labels and properties of a group.
type groupNames struct {
	labels     quantrac.Labels
	properties []string
}

// of returns labels and properties of a group, until it is called again.
func (n *groupNames) of(g *group) (quantrac.Labels, []string) {
	n.labels, n.properties = g.appendLabels(n.labels[:0]), n.properties[:0]
	g.each(func(_ int, s *series) bool {
		n.properties = append(n.properties, s.metric.name)
		return true
	})
	return n.labels, n.properties
}

// partsOf returns the groups that have rows in a sealed head, sorted by their
// labels, for each partition.
func (db *DB) partsOf(h *head) map[int64][]uint32 {
	ids := h.touched // in whose order they were is of no use any more
	db.byLabels.sort(&db.groups, ids)
	parts := map[int64][]uint32{}
	if first, last := partitionOf(h.first); h.last <= last {
		if len(ids) > 0 {
			parts[first] = ids // as it nearly always is
		}
		return parts
	}
	var firsts []int64
	var lone loneRows
	for _, id := range ids {
		firsts = h.group(id, &lone).partitions(firsts[:0])
		for _, first := range firsts {
			parts[first] = append(parts[first], id)
		}
	}
	return parts
}

// partitions appends the first times of the partitions that the runs reach into.
func (hg *headGroup) partitions(firsts []int64) []int64 {
	for n := range hg.count() {
		run := hg.run(n)
		for i := 0; i < run.Len(); {
			first, last := partitionOf(run.Time(i))
			if !slices.Contains(firsts, first) {
				firsts = append(firsts, first)
			}
			i = run.Find(last + 1)
		}
	}
	return firsts
}
