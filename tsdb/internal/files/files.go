// Package files keeps a few of many files open: a store of decades has more
// files than a process may hold open at a time, and most of them are seldom
// read.
//
// A Set opens a file when it is read and closes the one that has not been read
// for longest when there are too many. A file that is being read is not closed;
// when all are, the next reader waits for one of them, which takes one read of
// the disk. Files never change while they are in a Set, and keep their names:
// who removes one closes it first.
//
// Pure mechanism: packages below tsdb import it.
package files

import (
	"container/list"
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"

	"quantrac/internal/vfs"
)

// Set is files of which few are open. Its methods, and those of its files, may
// be called from any goroutine.
type Set struct {
	fs   vfs.FS
	most int

	mu   sync.Mutex
	open list.List // of *File, the one read last in front
	free sync.Cond // a file is not in use any more
}

// New returns a set that holds at most so many files open at a time, one at
// least.
func New(fsys vfs.FS, most int) *Set {
	s := &Set{fs: fsys, most: max(most, 1)}
	s.free.L = &s.mu
	return s
}

// File is a file of a Set.
type File struct {
	set  *Set
	path string
	size int64

	// Guarded by set.mu.
	f      vfs.File      // nil while it is not open
	at     *list.Element // in set.open
	users  int           // reads under way
	closed bool
}

// Open takes a file into the set, which is opened to see that it is there.
func (s *Set) Open(path string) (*File, error) {
	f := &File{set: s, path: path}
	h, err := f.take()
	if err != nil {
		return nil, err
	}
	f.size, err = h.Size()
	f.give()
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

// Size returns the file's length in bytes.
func (f *File) Size() int64 { return f.size }

// ReadAt implements io.ReaderAt.
func (f *File) ReadAt(p []byte, off int64) (int, error) {
	h, err := f.take()
	if err != nil {
		return 0, err
	}
	defer f.give()
	return h.ReadAt(p, off)
}

// take returns the open file, which stays open until give.
func (f *File) take() (vfs.File, error) {
	s := f.set
	s.mu.Lock()
	defer s.mu.Unlock()
	for {
		switch {
		case f.closed:
			return nil, &fs.PathError{Op: "read", Path: f.path, Err: fs.ErrClosed}
		case f.f != nil:
			f.users++
			s.open.MoveToFront(f.at)
			return f.f, nil
		case s.open.Len() >= s.most && !s.closeOldest():
			s.free.Wait()
		default:
			if err := s.reopen(f); err != nil {
				return nil, err
			}
		}
	}
}

// reopen opens a file. Where the process has too many open, it makes do with
// fewer of its own. The lock is held.
func (s *Set) reopen(f *File) error {
	h, err := s.fs.Open(f.path)
	for tooMany(err) && s.closeOldest() {
		h, err = s.fs.Open(f.path)
	}
	if err != nil {
		return err
	}
	f.f, f.at = h, s.open.PushFront(f)
	return nil
}

func tooMany(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE)
}

// closeOldest closes the file that has not been read for longest; false where
// all are being read. The lock is held.
func (s *Set) closeOldest() bool {
	for e := s.open.Back(); e != nil; e = e.Prev() {
		if f := e.Value.(*File); f.users == 0 {
			_ = f.shut() // it was only read
			return true
		}
	}
	return false
}

// shut closes the file if it is open. The lock is held.
func (f *File) shut() error {
	if f.f == nil {
		return nil
	}
	err := f.f.Close()
	f.set.open.Remove(f.at)
	f.f, f.at = nil, nil
	return err
}

func (f *File) give() {
	f.set.mu.Lock()
	defer f.set.mu.Unlock()
	f.users--
	f.set.free.Broadcast()
}

// Close takes the file out of the set, once what reads it has ended. It is read
// no more.
func (f *File) Close() error {
	f.set.mu.Lock()
	defer f.set.mu.Unlock()
	if f.closed {
		return fmt.Errorf("close %s: %w", f.path, fs.ErrClosed)
	}
	f.closed = true
	for f.users > 0 {
		f.set.free.Wait()
	}
	return f.shut()
}
