package tsdb

import (
	"fmt"
	"path/filepath"

	"quantrac"
	"quantrac/internal/vfs"
)

// Snapshot makes dir a copy of the store's files as they are now, by linking
// them: they never change. dir must be on the same file system and not be there.
// With a journal that reaches back to Stats().Flushed it opens as this store
// would. Readers and writers do not wait for it; flushing and merging do for a
// moment.
func (db *DB) Snapshot(dir string) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	if err := db.snapshot(dir); err != nil {
		return quantrac.Errorf(quantrac.Unavailable, "tsdb %s: snapshot to %s: %w", db.dir, dir, err)
	}
	return nil
}

func (db *DB) snapshot(dir string) error {
	if _, err := db.fs.Stat(filepath.Join(dir, manifestName)); err == nil {
		return fmt.Errorf("there is a store already")
	}
	if err := db.fs.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	db.files.Lock() // the manifest and the files that it names stay as they are
	defer db.files.Unlock()
	v := db.view()
	defer v.release()
	m := db.files.manifest
	for _, name := range append(append([]string(nil), m.Blocks...), m.Commits...) {
		if err := db.fs.Link(db.path(name), filepath.Join(dir, name)); err != nil {
			return err
		}
	}
	data, err := m.encode()
	if err != nil {
		return err
	}
	return vfs.WriteFile(db.fs, filepath.Join(dir, manifestName), data, 0o640)
}
