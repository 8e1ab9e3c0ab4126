package tsdb

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"time"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb/internal/block"
	"quantrac/tsdb/internal/commits"
	"quantrac/tsdb/internal/rows"
)

// Compact merges the blocks of each partition into one, as small as it can be,
// and the files of commits. Readers and writers do not wait for it; after an
// error the files are as before.
func (db *DB) Compact(ctx context.Context) error {
	return db.compact(ctx, func(part []*blockFile) ([]*blockFile, bool) {
		if len(part) == 1 && part[0].info.Small {
			return nil, false
		}
		return part, true
	}, func(files []*commits.File) (from int) {
		if len(files) == 1 && files[0].Merged() {
			return 1
		}
		return 0
	})
}

// compactSome merges what has gathered since the last time and is small beside
// the rest, and seals what is over.
func (db *DB) compactSome(ctx context.Context) error {
	now := db.o.Clock.Now()
	return db.compact(ctx, func(part []*blockFile) ([]*blockFile, bool) {
		over := int64(now) - (part[0].info.Partition + partitionLen)
		if over > sealAfter && now-newest(part) >= sealQuiet && worthSealing(part) {
			return part, true
		}
		if part = smallOnes(part); len(part) < 2 {
			return nil, false
		}
		return part, false
	}, newestFiles)
}

// newestFiles picks files of commits worth merging by themselves: from the newest
// back, as long as the next is not larger than twice all after it.
func newestFiles(all []*commits.File) (from int) {
	from = len(all)
	for sum := int64(0); from > 0; from-- {
		size := all[from-1].Size()
		if from < len(all) && size > 2*sum {
			break
		}
		sum += size
	}
	if len(all)-from < 8 {
		return len(all)
	}
	return from
}

// sealAfter is how long after its end a partition is sealed: written as small as
// it can be, at several times the cost, because little will still come for it.
const sealAfter = dayLen * 3

// sealQuiet is for how long nothing must have come for a partition: who loads the
// data of years, or sends what a long outage has kept, is not done with the first
// block.
const sealQuiet = quantrac.Millis(15 * time.Minute / time.Millisecond)

// newest returns when the newest rows of blocks came to lie in one.
func newest(blocks []*blockFile) quantrac.Millis {
	since := quantrac.MinMillis
	for _, b := range blocks {
		since = max(since, b.since)
	}
	return since
}

// worthSealing says whether a partition that is over has not been sealed, or so
// much has come since that it pays to write it anew.
func worthSealing(part []*blockFile) bool {
	sealed, more := int64(0), int64(0)
	for _, b := range part {
		if b.info.Small {
			sealed += b.info.Bytes
		} else {
			more += b.info.Bytes
		}
	}
	return more > sealed/20
}

// compact merges of every partition the blocks that choose picks, none for
// nothing to be done, small where it says so, and the files of commits from the
// one that logs picks.
func (db *DB) compact(ctx context.Context, choose func([]*blockFile) ([]*blockFile, bool), logs func([]*commits.File) (from int)) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	db.compacting.Lock()
	defer db.compacting.Unlock()
	v := db.view()
	defer v.release()
	for blocks := v.state.blocks; len(blocks) > 0; {
		part := v.state.blocksOf(blocks[0].info.Partition)
		blocks = blocks[len(part):]
		if part, small := choose(part); len(part) > 0 {
			if err := db.merged(db.mergeBlocks(ctx, part, merging{small: small})); err != nil {
				return err
			}
		}
	}
	files := db.log.Files()
	if from := logs(files); from < len(files) {
		return db.merged(db.mergeCommits(files, from))
	}
	return nil
}

func (db *DB) merged(err error) error {
	db.stats.ended(&db.stats.compactions, err)
	return err
}

// fanIn is how many blocks are merged at the least: the more, the seldomer a value
// is rewritten, and the more blocks a reader meets.
const fanIn = 8

// smallOnes picks the blocks of a partition worth merging by themselves: from
// the smallest up, as long as the next is not larger than twice all before it.
// So a value is rewritten a number of times that grows with the logarithm only.
func smallOnes(part []*blockFile) []*blockFile {
	bySize := slices.Clone(part)
	slices.SortFunc(bySize, func(a, b *blockFile) int { return cmp.Compare(a.info.Bytes, b.info.Bytes) })
	n, sum := 0, int64(0)
	for _, b := range bySize {
		if n > 0 && b.info.Bytes > 2*sum {
			break
		}
		n, sum = n+1, sum+b.info.Bytes
	}
	if n < fanIn {
		return nil
	}
	return bySize[:n]
}

// merging says how blocks are merged.
type merging struct {
	small  bool
	filter func(*group, []string, *rows.Table) *rows.Table // may take rows out, nil for all
}

// mergeBlocks writes one block of those of a partition and installs it.
func (db *DB) mergeBlocks(ctx context.Context, old []*blockFile, how merging) error {
	out := &output{db: db}
	var sc scratch
	var buf tables
	var present *presence
	if !how.small {
		n := int64(0)
		for _, b := range old {
			n += b.info.Rows
		}
		present = newPresence(n)
	}
	err := out.block(old[0].info.Partition, func(w *block.Writer, ids *[]uint32) error {
		if w.Small = how.small; w.Small {
			w.Clock = db.clockOf(ctx, old)
		}
		var names groupNames
		groups := db.groupsOf(old)
		w.Groups = len(groups)
		*ids = make([]uint32, 0, len(groups))
		for _, id := range groups {
			g := db.groups.at(id)
			if err := ctx.Err(); err != nil {
				return err
			}
			t, err := mergeGroup(old, g, &sc, &buf)
			if err != nil {
				return err
			}
			labels, properties := names.of(g)
			if how.filter != nil {
				t = how.filter(g, properties, t)
			}
			if t.Len() > 0 {
				*ids = append(*ids, g.id)
				present.add(g.id, t.Times)
				w.Clock.Settle(t)
			}
			if err := w.Group(labels, properties, t); err != nil {
				return err
			}
		}
		return nil
	})
	if err == nil {
		err = out.sync()
	}
	if err != nil {
		out.discard()
		return err
	}
	for _, b := range out.blocks { // nothing new has come
		b.since, b.rows = newest(old), present
	}
	return db.install(out, old, nil)
}

// groupsOf returns the numbers of the groups of blocks, sorted by labels.
func (db *DB) groupsOf(blocks []*blockFile) []uint32 {
	total := 0
	for _, b := range blocks {
		total += len(b.ids)
	}
	ids := make([]uint32, 0, total)
	for _, b := range blocks {
		ids = append(ids, b.ids...)
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	db.byLabels.sort(&db.groups, ids)
	return ids
}

// mergeGroup joins what blocks have of a group; the table is gone when ts is used
// again.
func mergeGroup(blocks []*blockFile, g *group, sc *scratch, ts *tables) (*rows.Table, error) {
	n := 0
	for _, b := range blocks {
		ok, err := b.group(g, &sc.group)
		if err != nil {
			return nil, err
		}
		for i := 0; ok && i < len(sc.group.Chunks); i++ {
			if err := b.table(ts.part(n), &sc.group, i, sc); err != nil {
				return nil, err
			}
			n++
		}
	}
	return ts.merger.Merge(ts.parts[:n]), nil
}

// mergeCommits makes one file of the files of commits from a position on.
func (db *DB) mergeCommits(old []*commits.File, from int) error {
	out := &output{db: db}
	err := out.file(func(f vfs.File) error { return db.log.Merge(f, from, len(old)) })
	if err == nil {
		err = out.sync()
	}
	if err != nil {
		out.discard()
		return err
	}
	return db.installCommits(out, old, from)
}

func (db *DB) installCommits(out *output, old []*commits.File, from int) error {
	db.files.Lock()
	defer db.files.Unlock()
	m := db.files.manifest
	gone := m.Commits[from:len(old)]
	m.Commits = slices.Concat(m.Commits[:from], out.names, m.Commits[len(old):])
	if err := db.writeManifest(m); err != nil {
		out.names = nil
		out.discard()
		return err
	}
	db.log.Replace(from, len(old), out.commits)
	for i, f := range old[from:] { // nobody reads them any more
		if err := f.Close(); err != nil {
			db.o.Logger.Warn("tsdb: closing a file of commits", "path", f.Path(), "error", err)
		}
		db.removeFile(gone[i])
	}
	return nil
}

// reopenBlock opens a block that has just been written, of groups with these
// ids in the order of the file.
func (db *DB) reopenBlock(name string, ids []uint32) (*blockFile, error) {
	r, err := block.Open(db.handles, db.path(name), nil)
	if err != nil {
		return nil, err
	}
	if r.Groups() != len(ids) {
		err := quantrac.Errorf(quantrac.Corrupt, "%s, a new block, holds %d groups, and %d were written", db.path(name), r.Groups(), len(ids))
		return nil, errors.Join(err, r.Close())
	}
	b := &blockFile{name: name, r: r, info: r.Info(), ids: ids, since: db.o.Clock.Now()}
	b.sort()
	v := db.view()
	defer v.release()
	b.share(v.state.blocks)
	return b, nil
}
