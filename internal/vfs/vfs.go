// Package vfs is the seam between everything that writes files and the file
// system under it: a small interface, and three implementations.
//
//   - OS is the machine's file system: fsync of files and of directories, free
//     space, advisory locks.
//   - Mem is a file system in memory that can crash: it keeps apart what was
//     written and what was synced, for the bytes of every file and for every
//     directory entry, and Crash returns the file system a machine would find
//     after the power came back.
//   - Faulty wraps another one and lets a test fail, cut short or damage any
//     operation.
//
// What a caller may rely on is what POSIX promises and no more: bytes are
// durable after File.Sync has returned nil, the name of a file after SyncDir of
// its directory has; after a Sync that failed, nothing written since the last
// good one may be trusted, not even once a later Sync succeeds. MkdirAll alone
// is durable by itself.
//
// Any package may import it. Outside of it and of cmd nobody calls package os
// for files.
package vfs

import (
	"errors"
	"io"
	"io/fs"
	"path/filepath"
	"sort"
	"syscall"
)

// ErrLocked is what Lock returns (wrapped) while somebody else holds the lock.
var ErrLocked = errors.New("locked by another process")

// FS is a file system. Names are paths with the separator of the machine
// ('/' in Mem). Errors are *fs.PathError (or *os.LinkError) naming the path;
// errors.Is works with fs.ErrNotExist, fs.ErrExist and ErrLocked, and
// IsNoSpace tells a full disk.
type FS interface {
	// Open opens a file for reading.
	Open(name string) (File, error)
	// Create opens a file for reading and writing, made new or emptied.
	Create(name string) (File, error)
	// OpenFile opens a file with the flags of package os (O_RDONLY, O_RDWR,
	// O_WRONLY, O_CREATE, O_EXCL, O_TRUNC, O_APPEND).
	OpenFile(name string, flag int, perm fs.FileMode) (File, error)
	// Remove removes a file or an empty directory.
	Remove(name string) error
	// Rename moves a file or directory within the file system, in place of
	// what has the new name.
	Rename(oldname, newname string) error
	// Link gives a file a second name, which must be free.
	Link(oldname, newname string) error
	// MkdirAll makes a directory and its missing parents. What it made is
	// durable when it returns.
	MkdirAll(dir string, perm fs.FileMode) error
	// ReadDir returns the names in a directory, sorted.
	ReadDir(dir string) ([]string, error)
	// Stat describes a file or directory.
	Stat(name string) (fs.FileInfo, error)
	// SyncDir makes the names in a directory durable: what was created,
	// renamed, linked or removed there before the call.
	SyncDir(dir string) error
	// FreeBytes returns how much can still be written below dir, in bytes, as
	// far as this user may.
	FreeBytes(dir string) (uint64, error)
	// Lock takes an exclusive lock named by a file, which it makes if needed
	// and never removes. It does not wait: while the lock is held elsewhere
	// the error is ErrLocked. The lock ends with Close or with the process.
	Lock(name string) (io.Closer, error)
}

// File is an open file. ReadAt and WriteAt may be called from several
// goroutines; Read and Write share one position.
type File interface {
	io.Reader
	io.ReaderAt
	io.Writer
	io.WriterAt
	io.Closer
	// Name returns the name the file was opened by.
	Name() string
	// Sync makes the file's bytes and length durable.
	Sync() error
	// Truncate cuts or extends the file (with zeros) to size bytes.
	Truncate(size int64) error
	// Stat describes the file.
	Stat() (fs.FileInfo, error)
	// Size returns the file's length in bytes.
	Size() (int64, error)
}

// IsNoSpace says whether an operation failed for want of disk space or quota.
func IsNoSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
}

// ReadFile returns the content of a file.
func ReadFile(fsys FS, name string) ([]byte, error) {
	f, err := fsys.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return nil, err
	}
	buf := make([]byte, size)
	n, err := f.ReadAt(buf, 0)
	if err == io.EOF {
		err = nil
	}
	return buf[:n], err
}

// WriteFile replaces a file's content as a whole: after a crash at any moment
// the file holds the old content or the new, and the new is durable once
// WriteFile has returned nil. It passes through name + ".tmp".
func WriteFile(fsys FS, name string, data []byte, perm fs.FileMode) error {
	tmp := name + ".tmp"
	if err := writeSynced(fsys, tmp, data, perm); err != nil {
		_ = fsys.Remove(tmp) // a leftover is overwritten by the next try
		return err
	}
	if err := fsys.Rename(tmp, name); err != nil {
		_ = fsys.Remove(tmp)
		return err
	}
	return fsys.SyncDir(filepath.Dir(name))
}

func writeSynced(fsys FS, name string, data []byte, perm fs.FileMode) error {
	f, err := fsys.OpenFile(name, oWronly|oCreate|oTrunc, perm)
	if err != nil {
		return err
	}
	_, err = f.Write(data)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// RemoveAll removes a directory with everything below it, or a file. What does
// not exist is no error.
func RemoveAll(fsys FS, name string) error {
	info, err := fsys.Stat(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.IsDir() {
		names, err := fsys.ReadDir(name)
		if err != nil {
			return err
		}
		for _, n := range names {
			if err := RemoveAll(fsys, filepath.Join(name, n)); err != nil {
				return err
			}
		}
	}
	if err := fsys.Remove(name); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

func sortedNames[V any](m map[string]V) []string {
	names := make([]string, 0, len(m))
	for n := range m {
		names = append(names, n)
	}
	sort.Strings(names)
	return names
}
