package tsdb

import (
	"slices"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb/internal/block"
	"quantrac/tsdb/internal/commits"
)

// output is files that have been written and are in no manifest yet.
type output struct {
	db      *DB
	blocks  []*blockFile
	commits *commits.File
	names   []string
}

// discard removes the files.
func (o *output) discard() {
	for _, b := range o.blocks {
		_ = b.r.Close() // it was only read
	}
	if o.commits != nil {
		_ = o.commits.Close()
	}
	for _, n := range o.names {
		o.db.removeFile(n)
	}
}

// block writes a block file of a partition and opens it; each writes its groups
// and says in ids which ones those are.
func (o *output) block(partition int64, each func(w *block.Writer, ids *[]uint32) error) error {
	name := o.db.newFile(blockSuffix)
	o.names = append(o.names, name)
	var ids []uint32
	err := o.db.create(name, func(f vfs.File) error {
		w, err := block.NewWriter(f, partition)
		if err == nil {
			err = each(w, &ids)
		}
		if err == nil {
			_, err = w.Finish()
		}
		return err
	})
	if err != nil {
		return o.db.writing(name, err)
	}
	b, err := o.db.reopenBlock(name, ids)
	if err == nil {
		o.blocks = append(o.blocks, b)
	}
	return err
}

// file writes a file of commits and opens it.
func (o *output) file(write func(f vfs.File) error) error {
	name := o.db.newFile(commitsSuffix)
	o.names = append(o.names, name)
	if err := o.db.create(name, write); err != nil {
		return o.db.writing(name, err)
	}
	var err error
	o.commits, err = commits.Open(o.db.handles, o.db.path(name), o.db.j.Correct)
	return err
}

// writing says that writing a file failed: for want of space or by a fault of
// the disk, which may pass, unless the error has a kind of its own.
func (db *DB) writing(name string, err error) error {
	kind := quantrac.KindOf(err)
	if kind == quantrac.KindNone {
		kind = quantrac.Unavailable
	}
	return quantrac.Errorf(kind, "tsdb: writing %s: %w", db.path(name), err)
}

// sync makes the names of the files durable.
func (o *output) sync() error {
	if err := o.db.fs.SyncDir(o.db.dir); err != nil {
		return quantrac.Errorf(quantrac.Unavailable, "tsdb: syncing %s: %w", o.db.dir, err)
	}
	return nil
}

// install makes the files part of the store, in the place of the blocks old and
// of the head h (nil where it is none).
func (db *DB) install(out *output, old []*blockFile, h *head) error {
	db.files.Lock()
	defer db.files.Unlock()
	m := db.files.manifest
	m.Blocks = slices.DeleteFunc(slices.Clone(m.Blocks), func(n string) bool {
		return slices.ContainsFunc(old, func(b *blockFile) bool { return b.name == n })
	})
	for _, b := range out.blocks {
		m.Blocks = append(m.Blocks, b.name)
	}
	if h != nil {
		m.Flushed = max(m.Flushed, h.cursor)
		if out.commits != nil {
			m.Commits = append(slices.Clone(m.Commits), out.names[len(out.names)-1])
		}
	}
	if err := db.writeManifest(m); err != nil {
		// The files stay: the disk may hold the manifest that names them.
		out.names = nil
		out.discard()
		return err
	}
	db.apply.Lock()
	defer db.apply.Unlock()
	s := db.apply.state
	next := &state{heads: s.heads}
	if h != nil {
		next.heads = slices.Clone(s.heads[1:]) // not the head that is done with: it is large
		if out.commits != nil {
			db.log.Settle(out.commits, len(h.commits), len(h.changes))
		}
	}
	for _, b := range s.blocks {
		if slices.Contains(old, b) {
			b.obsolete.Store(true)
		} else {
			next.blocks = append(next.blocks, b)
		}
	}
	next.blocks = append(next.blocks, out.blocks...)
	sortBlocks(next.blocks)
	db.replaceState(next)
	return nil
}
