package backup

import (
	"context"
	"crypto/rand"
	"errors"
	"io/fs"
	"os"
	"path"
	"path/filepath"

	"quantrac"
	"quantrac/internal/vfs"
)

// unfinished is where a folder keeps objects that are being written. They are
// listed, so that Prune finds what was left behind.
const unfinished = "tmp"

// folder is a Store in a folder.
type folder struct {
	fs  vfs.FS
	dir string
}

// Folder keeps backups in a folder, which must be there: where a disk is not
// mounted, a folder on it is missed, and nothing is written beside it.
func Folder(fsys vfs.FS, dir string) Store { return &folder{fsys, dir} }

func (f *folder) String() string { return f.dir }

func (f *folder) path(name string) string { return filepath.Join(f.dir, filepath.FromSlash(name)) }

// there says whether the folder itself is.
func (f *folder) there() error {
	info, err := f.fs.Stat(f.dir)
	if errors.Is(err, fs.ErrNotExist) {
		return quantrac.Errorf(quantrac.Unavailable, "there is no folder %s: make it, or mount the disk that it is on", f.dir)
	}
	if err == nil && !info.IsDir() {
		return quantrac.Errorf(quantrac.Invalid, "%s is no folder", f.dir)
	}
	return told(err)
}

// told gives an error of the file system its kind.
func told(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, fs.ErrNotExist):
		return quantrac.WithKind(quantrac.NotFound, err)
	case errors.Is(err, fs.ErrPermission):
		return quantrac.WithKind(quantrac.Denied, err)
	case vfs.IsNoSpace(err):
		return quantrac.Errorf(quantrac.Unavailable, "the disk is full: %w", err)
	}
	return quantrac.WithKind(quantrac.Unavailable, err)
}

// Put implements Store.
func (f *folder) Put(ctx context.Context, name string, data []byte) error {
	if err := errors.Join(ctx.Err(), f.there()); err != nil {
		return err
	}
	dst := f.path(name)
	tmp := f.path(unfinished + "/" + path.Base(name) + "." + rand.Text())
	err := f.fs.MkdirAll(filepath.Dir(tmp), 0o700)
	if err == nil {
		err = f.fs.MkdirAll(filepath.Dir(dst), 0o700)
	}
	if err == nil {
		err = f.write(tmp, data)
	}
	if err == nil {
		err = f.fs.Rename(tmp, dst)
	}
	if err != nil {
		_ = f.fs.Remove(tmp) // else Prune does
		return told(err)
	}
	return told(f.fs.SyncDir(filepath.Dir(dst)))
}

func (f *folder) write(name string, data []byte) error {
	w, err := f.fs.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	_, err = w.Write(data)
	if err == nil {
		err = w.Sync()
	}
	return errors.Join(err, w.Close())
}

// Get implements Store.
func (f *folder) Get(ctx context.Context, name string) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	data, err := vfs.ReadFile(f.fs, f.path(name))
	if errors.Is(err, fs.ErrNotExist) {
		if gone := f.there(); gone != nil { // more than this object is missing
			return nil, gone
		}
	}
	return data, told(err)
}

// List implements Store.
func (f *folder) List(ctx context.Context, prefix string, each func(Object) error) error {
	if err := f.there(); err != nil {
		return err
	}
	return f.walk(ctx, path.Clean("/" + prefix)[1:], each)
}

// walk lists what is below a folder, "" for all.
func (f *folder) walk(ctx context.Context, dir string, each func(Object) error) error {
	names, err := f.fs.ReadDir(f.path(dir))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return told(err)
	}
	for _, n := range names {
		name := path.Join(dir, n)
		info, err := f.fs.Stat(f.path(name))
		switch {
		case ctx.Err() != nil:
			return ctx.Err()
		case errors.Is(err, fs.ErrNotExist): // gone meanwhile
			continue
		case err != nil:
			return told(err)
		case info.IsDir():
			err = f.walk(ctx, name, each)
		default:
			err = each(Object{name, info.Size(), info.ModTime()})
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Delete implements Store.
func (f *folder) Delete(ctx context.Context, name string) error {
	if err := errors.Join(ctx.Err(), f.there()); err != nil {
		return err
	}
	p := f.path(name)
	if err := f.fs.Remove(p); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return told(err)
	}
	return told(f.fs.SyncDir(filepath.Dir(p)))
}
