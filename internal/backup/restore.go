package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"slices"

	"golang.org/x/sync/errgroup"

	"quantrac"
	"quantrac/internal/vfs"
)

// restoring is what a folder is called besides its name until all of it is there.
const restoring = ".restoring"

// Restore brings a backup, the newest for the name "", into dir, which must not
// be there or be empty. It works in dir + ".restoring", checks what it writes,
// makes it durable, calls finish (if not nil) with that folder, and gives it
// its name last. Called again after it was cut short, it goes on with what is
// there. Errors: NotFound, Conflict where dir is in use, Corrupt where the
// backup is damaged (the text names file and piece), Unavailable.
func (t *Target) Restore(ctx context.Context, fsys vfs.FS, name, dir string, finish func(b Backup, dir string) error) (Backup, error) {
	m, err := t.find(ctx, name)
	if err != nil {
		return Backup{}, err
	}
	if err := free(fsys, dir); err != nil {
		return Backup{}, err
	}
	pack, err := newPacker()
	if err != nil {
		return Backup{}, err
	}
	b := m.describe()
	r := &restoration{t: t, fs: fsys, dir: filepath.Clean(dir) + restoring, m: m, pack: pack, track: t.track(b.Files, b.Bytes), moves: make(chan struct{}, t.o.Workers)}
	lock, err := r.begin()
	if err == nil {
		err = r.fill(ctx)
		if err == nil && finish != nil {
			err = finish(b, r.dir)
		}
		err = errors.Join(err, lock.Close())
	}
	if err == nil {
		err = r.name(dir)
	}
	if err != nil {
		return b, fmt.Errorf("restore %s to %s: %w", m.Name, dir, err)
	}
	return b, nil
}

// free says whether a folder is not there, or empty.
func free(fsys vfs.FS, dir string) error {
	names, err := fsys.ReadDir(dir)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return nil
	case err != nil:
		return told(err)
	case len(names) > 0:
		return quantrac.Errorf(quantrac.Conflict, "%s is not empty: a backup is restored to a folder that is, or is not there", dir)
	}
	return nil
}

// restoration is a backup being restored.
type restoration struct {
	t     *Target
	fs    vfs.FS
	dir   string // where it works
	m     *manifest
	pack  *packer
	track *tracker
	moves chan struct{} // has a place for each piece that may be on its way
}

// begin makes the folder to work in and keeps others out of it. The lock is
// beside it, as it is no part of the backup.
func (r *restoration) begin() (io.Closer, error) {
	if err := r.fs.MkdirAll(r.dir, 0o700); err != nil {
		return nil, told(err)
	}
	lock, err := r.fs.Lock(r.dir + ".lock")
	if errors.Is(err, vfs.ErrLocked) {
		return nil, quantrac.Errorf(quantrac.Busy, "another restore works in %s: %w", r.dir, err)
	}
	return lock, told(err)
}

// fill writes the files and makes them durable.
func (r *restoration) fill(ctx context.Context) error {
	dirs := map[string]bool{"": true}
	want := map[string]bool{}
	for _, f := range r.m.Files {
		want[f.Path] = true
		for d := path.Dir(f.Path); d != "."; d = path.Dir(d) {
			dirs[d] = true
		}
	}
	if err := r.clear("", want, dirs); err != nil {
		return told(err)
	}
	for _, d := range slices.Sorted(maps.Keys(dirs)) {
		if err := r.fs.MkdirAll(r.path(d), 0o700); err != nil {
			return told(err)
		}
	}
	if err := r.room(); err != nil {
		return err
	}
	g, work := errgroup.WithContext(ctx)
	g.SetLimit(r.t.o.Workers)
	for _, f := range r.m.Files {
		if work.Err() != nil {
			break
		}
		g.Go(func() error { return r.file(work, f) })
	}
	if err := errors.Join(g.Wait(), ctx.Err()); err != nil {
		return err
	}
	for d := range dirs {
		if err := r.fs.SyncDir(r.path(d)); err != nil {
			return told(err)
		}
	}
	return nil
}

func (r *restoration) path(name string) string { return filepath.Join(r.dir, filepath.FromSlash(name)) }

// clear removes what is not of this backup: an earlier try may have been for
// another one.
func (r *restoration) clear(dir string, files, dirs map[string]bool) error {
	names, err := r.fs.ReadDir(r.path(dir))
	if err != nil {
		return err
	}
	for _, n := range names {
		p := path.Join(dir, n)
		info, err := r.fs.Stat(r.path(p))
		switch {
		case err != nil:
		case info.IsDir() && dirs[p]:
			err = r.clear(p, files, dirs)
		case !info.IsDir() && files[p]:
		default:
			err = vfs.RemoveAll(r.fs, r.path(p))
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// room says whether what is missing has room on the disk.
func (r *restoration) room() error {
	need := int64(0)
	for _, f := range r.m.Files {
		need += f.Bytes
		if info, err := r.fs.Stat(r.path(f.Path)); err == nil {
			need -= min(info.Size(), f.Bytes)
		}
	}
	free, err := r.fs.FreeBytes(r.dir)
	if err == nil && need > 0 && uint64(need) > free {
		return quantrac.Errorf(quantrac.Unavailable, "%s wants %d bytes more, and the disk has %d: make room, or restore elsewhere", r.dir, need, free)
	}
	return told(err)
}

// file writes a file, but for the pieces that are there.
func (r *restoration) file(ctx context.Context, f file) (err error) {
	w, err := r.fs.OpenFile(r.path(f.Path), os.O_RDWR|os.O_CREATE, perm(f.Mode))
	if err != nil {
		return told(err)
	}
	defer func() { err = errors.Join(err, told(w.Close())) }()
	have, err := w.Size()
	if err != nil {
		return told(err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.t.o.Workers)
	at := int64(0)
	for i, p := range f.Pieces {
		off := at
		at += p.Bytes
		g.Go(func() error {
			if err := r.piece(ctx, w, off, have, p); err != nil {
				return fmt.Errorf("%s, piece %d at offset %d: %w", f.Path, i, off, err)
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if have > at {
		if err := w.Truncate(at); err != nil {
			return told(err)
		}
	}
	if err := w.Sync(); err != nil {
		return told(err)
	}
	r.track.add(1, 0, 0)
	return nil
}

// piece writes a piece of a file at an offset, unless it is there.
func (r *restoration) piece(ctx context.Context, w vfs.File, at, have int64, p piece) error {
	r.moves <- struct{}{}
	defer func() { <-r.moves }()
	if at+p.Bytes <= have {
		data := make([]byte, p.Bytes)
		if _, err := w.ReadAt(data, at); err == nil && nameOf(data) == p {
			r.track.add(0, p.Bytes, 0)
			return nil
		}
	}
	data, moved, err := r.t.piece(ctx, r.pack, p)
	if err != nil {
		return err
	}
	if _, err := w.WriteAt(data, at); err != nil {
		return told(err)
	}
	r.track.add(0, p.Bytes, moved)
	return nil
}

// name gives the folder its name.
func (r *restoration) name(dir string) error {
	if err := free(r.fs, dir); err != nil {
		return err
	}
	if err := r.fs.Remove(dir); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return told(fmt.Errorf("the empty folder there cannot be replaced; name one that is not there: %w", err))
	}
	if err := r.fs.Rename(r.dir, dir); err != nil {
		return told(err)
	}
	if err := r.fs.Remove(r.dir + ".lock"); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return told(err)
	}
	return told(r.fs.SyncDir(filepath.Dir(filepath.Clean(dir))))
}
