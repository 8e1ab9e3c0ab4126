package vfs

import (
	"errors"
	"io"
	"io/fs"
	"syscall"
)

// memFile is a handle on a file of a Mem.
type memFile struct {
	m                  *Mem
	n                  *node
	name               string
	pos                int64
	readable, writable bool
	appending          bool
	closed             bool
}

func (f *memFile) check(op string, allowed bool) error {
	switch {
	case f.closed:
		return pathErr(op, f.name, fs.ErrClosed)
	case f.n.dir && op != "stat" && op != "sync":
		return pathErr(op, f.name, syscall.EISDIR)
	case !allowed:
		return pathErr(op, f.name, syscall.EBADF)
	}
	return nil
}

// Name implements File.
func (f *memFile) Name() string { return f.name }

// Read implements File.
func (f *memFile) Read(p []byte) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	n, err := f.readAt(p, f.pos)
	f.pos += int64(n)
	if n > 0 && err == io.EOF {
		err = nil
	}
	return n, err
}

// ReadAt implements File.
func (f *memFile) ReadAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	return f.readAt(p, off)
}

func (f *memFile) readAt(p []byte, off int64) (int, error) {
	if err := f.check("read", f.readable); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathErr("read", f.name, errors.New("negative offset"))
	}
	if len(p) == 0 {
		return 0, nil
	}
	if off >= int64(len(f.n.data)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.data[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// Write implements File.
func (f *memFile) Write(p []byte) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.appending {
		f.pos = int64(len(f.n.data))
	}
	n, err := f.writeAt(p, f.pos)
	f.pos += int64(n)
	return n, err
}

// WriteAt implements File.
func (f *memFile) WriteAt(p []byte, off int64) (int, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.appending {
		return 0, pathErr("write", f.name, errors.New("WriteAt on a file opened for appending"))
	}
	return f.writeAt(p, off)
}

// writeAt writes what fits into the capacity and reports the rest as no space.
func (f *memFile) writeAt(p []byte, off int64) (int, error) {
	if err := f.check("write", f.writable); err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, pathErr("write", f.name, errors.New("negative offset"))
	}
	n := len(p)
	if grow := off + int64(n) - int64(len(f.n.data)); grow > f.m.free() {
		n = int(max(0, int64(n)-(grow-f.m.free())))
	}
	if n > 0 {
		f.m.apply(f.n, change{off: off, data: append([]byte{}, p[:n]...)})
	}
	if n < len(p) {
		return n, pathErr("write", f.name, syscall.ENOSPC)
	}
	return n, nil
}

// apply makes a change visible and remembers it as not yet durable.
func (m *Mem) apply(n *node, c change) {
	before := len(n.data)
	n.data = c.apply(n.data)
	m.used += int64(len(n.data) - before)
	n.changes = append(n.changes, c)
}

func (m *Mem) truncate(n *node, size int64) { m.apply(n, change{off: size}) }

// apply returns the content after the change.
func (c change) apply(data []byte) []byte {
	if c.data == nil {
		return resize(data, int(c.off))
	}
	if end := int(c.off) + len(c.data); end > len(data) {
		data = resize(data, end)
	}
	copy(data[c.off:], c.data)
	return data
}

func resize(data []byte, size int) []byte {
	if size <= len(data) {
		return data[:size]
	}
	if size <= cap(data) {
		old := len(data)
		data = data[:size]
		clear(data[old:])
		return data
	}
	out := make([]byte, size, size+size/4)
	copy(out, data)
	return out
}

// Close implements File.
func (f *memFile) Close() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if f.closed {
		return pathErr("close", f.name, fs.ErrClosed)
	}
	f.closed = true
	f.n.opens--
	f.m.opens--
	if !f.n.dir {
		f.m.release(f.n)
	}
	return nil
}

// Sync implements File.
func (f *memFile) Sync() error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("sync", true); err != nil {
		return err
	}
	f.n.sync()
	return nil
}

// losePages forgets what was written since the last good sync as a kernel does
// whose write-back failed: readers still see it in the cache, no later sync
// writes it.
func (f *memFile) losePages() {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	f.n.changes = nil
}

// Truncate implements File.
func (f *memFile) Truncate(size int64) error {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("truncate", f.writable); err != nil {
		return err
	}
	if size < 0 {
		return pathErr("truncate", f.name, syscall.EINVAL)
	}
	if size-int64(len(f.n.data)) > f.m.free() {
		return pathErr("truncate", f.name, syscall.ENOSPC)
	}
	f.m.truncate(f.n, size)
	return nil
}

// Stat implements File.
func (f *memFile) Stat() (fs.FileInfo, error) {
	f.m.mu.Lock()
	defer f.m.mu.Unlock()
	if err := f.check("stat", true); err != nil {
		return nil, err
	}
	return f.n.info(f.name), nil
}

// Size implements File.
func (f *memFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
