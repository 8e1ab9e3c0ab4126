package tsdb

import (
	"cmp"
	"context"
	"slices"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb/internal/block"
	"quantrac/tsdb/internal/commits"
	"quantrac/tsdb/internal/rows"
)

// Compact merges the blocks of each partition into one, and the files of
// commits. Readers and writers do not wait for it; after an error the files are
// as before.
func (db *DB) Compact(ctx context.Context) error {
	return db.compact(ctx, func(blocks []*blockFile) []*blockFile { return blocks }, 2)
}

// compactSome merges what has gathered since the last time and is small beside
// the rest.
func (db *DB) compactSome(ctx context.Context) error {
	return db.compact(ctx, smallOnes, 8)
}

// compact merges of every partition the blocks that choose picks, if they are
// more than one, and the files of commits if they are at least minFiles.
func (db *DB) compact(ctx context.Context, choose func([]*blockFile) []*blockFile, minFiles int) error {
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
		if part = choose(part); len(part) > 1 {
			if err := db.merged(db.mergeBlocks(ctx, part)); err != nil {
				return err
			}
		}
	}
	if files := db.log.Files(); len(files) >= minFiles {
		return db.merged(db.mergeCommits())
	}
	return nil
}

func (db *DB) merged(err error) error {
	db.stats.ended(&db.stats.compactions, err)
	return err
}

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
	if n < 4 {
		return nil
	}
	return bySize[:n]
}

// mergeBlocks writes one block of several of a partition and installs it.
func (db *DB) mergeBlocks(ctx context.Context, old []*blockFile) error {
	out := &output{db: db}
	err := out.block(old[0].info.Partition, func(w *block.Writer) error {
		for _, g := range db.groupsOf(old) {
			if err := ctx.Err(); err != nil {
				return err
			}
			t, err := mergeGroup(old, g.id)
			if err != nil {
				return err
			}
			if err := w.Group(g.labels, g.properties(), t); err != nil {
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
	return db.install(out, old, nil)
}

// groupsOf returns the groups of blocks, sorted by labels.
func (db *DB) groupsOf(blocks []*blockFile) []*group {
	all := *db.groups.Load()
	seen := map[uint32]bool{}
	var out []*group
	for _, b := range blocks {
		for i := range b.groups {
			if id := b.groups[i].id; !seen[id] {
				seen[id] = true
				out = append(out, all[id])
			}
		}
	}
	slices.SortFunc(out, func(a, b *group) int { return a.labels.Compare(b.labels) })
	return out
}

func mergeGroup(blocks []*blockFile, id uint32) (*rows.Table, error) {
	var sc scratch
	var tables []*rows.Table
	for _, b := range blocks {
		bg := b.group(id)
		if bg == nil {
			continue
		}
		for i := range bg.chunks {
			t, err := b.table(bg, i, &sc)
			if err != nil {
				return nil, err
			}
			tables = append(tables, t)
		}
	}
	return rows.Merge(tables, minTime, maxTime), nil
}

// mergeCommits makes one file of all files of commits.
func (db *DB) mergeCommits() error {
	old := db.log.Files()
	out := &output{db: db}
	err := out.file(func(f vfs.File) error { return db.log.Merge(f, 0, len(old)) })
	if err == nil {
		err = out.sync()
	}
	if err != nil {
		out.discard()
		return err
	}
	return db.installCommits(out, old)
}

func (db *DB) installCommits(out *output, old []*commits.File) error {
	db.files.Lock()
	defer db.files.Unlock()
	m := db.files.manifest
	gone := m.Commits[:len(old)]
	m.Commits = append([]string{out.names[0]}, m.Commits[len(old):]...)
	if err := db.writeManifest(m); err != nil {
		out.names = nil
		out.discard()
		return err
	}
	db.log.Replace(0, len(old), out.commits)
	for i, f := range old { // nobody reads them any more
		if err := f.Close(); err != nil {
			db.o.Logger.Warn("tsdb: closing a file of commits", "path", f.Path(), "error", err)
		}
		db.removeFile(gone[i])
	}
	return nil
}

// reopenBlock opens a block that has just been written: its groups are known.
func (db *DB) reopenBlock(name string) (*blockFile, error) {
	r, groups, err := block.Open(db.fs, db.path(name))
	if err != nil {
		return nil, err
	}
	b := &blockFile{r: r, name: name, info: r.Info()}
	for i := range groups {
		bg := &groups[i]
		t := blockGroup{chunks: bg.Chunks, first: bg.First, last: bg.Last}
		if err := db.known(bg, &t); err != nil {
			_ = r.Close() // it was only read
			return nil, err
		}
		b.groups = append(b.groups, t)
	}
	b.sort()
	return b, nil
}

// known translates a group and its properties, all of which are in the index.
func (db *DB) known(bg *block.Group, out *blockGroup) error {
	id, ok := db.index.Lookup(bg.Labels.AppendKey(nil))
	if !ok {
		return quantrac.Errorf(quantrac.Corrupt, "a new block holds a group %v that nobody wrote", bg.Labels)
	}
	out.id = id
	names := (*db.groups.Load())[id].properties()
	for _, p := range bg.Properties {
		col := slices.Index(names, p)
		if col < 0 {
			return quantrac.Errorf(quantrac.Corrupt, "a new block holds a property %q of %v that nobody wrote", p, bg.Labels)
		}
		out.cols = append(out.cols, col)
	}
	return nil
}
