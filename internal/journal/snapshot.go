package journal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"

	"quantrac/internal/vfs"
)

// Snapshot makes dir, which must not be there, a copy of the journal as it is
// durable now: it opens as this one would after a crash. Segments that are not
// written any more are linked, not copied, so that it takes little time and
// space; dir must be on the same file system. Writers do not wait for it.
func (j *Journal) Snapshot(dir string) error {
	if err := j.snapshot(dir); err != nil {
		return fmt.Errorf("journal %s: snapshot to %s: %w", j.dir, dir, err)
	}
	return nil
}

func (j *Journal) snapshot(dir string) error {
	if _, err := j.fs.Stat(dir); !errors.Is(err, fs.ErrNotExist) {
		return errors.Join(err, fs.ErrExist)
	}
	if err := j.fs.MkdirAll(dir, 0o750); err != nil {
		return err
	}
	j.holds.mu.Lock() // while it is held no segment is dropped
	defer j.holds.mu.Unlock()
	j.pub.Lock()
	segments := slices.Clone(j.pub.segments)
	j.pub.Unlock()
	for i, s := range segments {
		dst := filepath.Join(dir, filepath.Base(s.path))
		var err error
		if i < len(segments)-1 {
			err = j.fs.Link(s.path, dst)
		} else {
			err = j.copySegment(dst, s)
		}
		if err != nil {
			return err
		}
	}
	if len(j.marks) > 0 {
		if err := vfs.WriteFile(j.fs, filepath.Join(dir, filepath.Base(j.clockPath())), encodeMarks(j.marks), 0o640); err != nil {
			return err
		}
	}
	return vfs.WriteFile(j.fs, filepath.Join(dir, filepath.Base(j.holds.path())), j.holds.encode(), 0o640)
}

// copySegment copies what is durable of the segment being written.
func (j *Journal) copySegment(dst string, s segment) error {
	src, err := j.fs.Open(s.path)
	if err != nil {
		return err
	}
	defer src.Close()
	n := s.end
	if n == 0 {
		if n, err = src.Size(); err != nil {
			return err
		}
	}
	f, err := j.fs.OpenFile(dst, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	_, err = io.Copy(f, io.NewSectionReader(src, 0, n))
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}
