package vfs

import (
	"io"
	"io/fs"
	"math"
	"path"
	"strings"
	"sync"
	"syscall"
)

// Mem is a file system in memory that distinguishes what was written from what
// was synced, so that Crash can show what a power failure would leave. Use
// NewMem. It is safe for concurrent use.
//
// Names are slash-separated; a relative name is taken from the root. The root
// always exists.
type Mem struct {
	mu       sync.Mutex
	root     *node
	capacity int64 // 0 for no limit
	used     int64 // bytes in files that have a name or are open
	handles  int   // how many may be open, 0 for no limit
	opens    int
	locks    map[string]bool
}

// NewMem returns an empty file system of no limited size.
func NewMem() *Mem {
	return &Mem{root: newDir(), locks: map[string]bool{}}
}

// SetCapacity limits how many bytes the files may hold together; 0 lifts the
// limit. A limit below what is there already leaves no free space.
func (m *Mem) SetCapacity(bytes int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.capacity = bytes
}

// SetHandles limits how many files may be open at a time; 0 lifts the limit.
// Beyond it opening fails as in a process that has used up its descriptors.
func (m *Mem) SetHandles(n int) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.handles = n
}

// Used returns how many bytes the files hold.
func (m *Mem) Used() int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.used
}

func (m *Mem) free() int64 {
	if m.capacity == 0 {
		return math.MaxInt64 / 2
	}
	return max(0, m.capacity-m.used)
}

func clean(name string) string { return path.Clean("/" + name) }

// lookup finds the node of a name.
func (m *Mem) lookup(name string) (*node, error) {
	n := m.root
	for _, part := range strings.Split(clean(name), "/") {
		if part == "" {
			continue
		}
		if !n.dir {
			return nil, syscall.ENOTDIR
		}
		next := n.names[part]
		if next == nil {
			return nil, fs.ErrNotExist
		}
		n = next
	}
	return n, nil
}

// parent finds the directory that holds, or would hold, a name.
func (m *Mem) parent(name string) (dir *node, base string, err error) {
	p := clean(name)
	if p == "/" {
		return nil, "", fs.ErrInvalid
	}
	dir, err = m.lookup(path.Dir(p))
	if err != nil {
		return nil, "", err
	}
	if !dir.dir {
		return nil, "", syscall.ENOTDIR
	}
	return dir, path.Base(p), nil
}

func pathErr(op, name string, err error) error {
	return &fs.PathError{Op: op, Path: name, Err: err}
}

// Open implements FS.
func (m *Mem) Open(name string) (File, error) { return m.OpenFile(name, 0, 0) }

// Create implements FS.
func (m *Mem) Create(name string) (File, error) {
	return m.OpenFile(name, oRdwr|oCreate|oTrunc, 0o640)
}

// OpenFile implements FS.
func (m *Mem) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup(name)
	switch {
	case m.handles > 0 && m.opens >= m.handles:
		return nil, pathErr("open", name, syscall.EMFILE)
	case err == nil && flag&(oCreate|oExcl) == oCreate|oExcl:
		return nil, pathErr("open", name, fs.ErrExist)
	case err == fs.ErrNotExist && flag&oCreate != 0:
		dir, base, err := m.parent(name)
		if err != nil {
			return nil, pathErr("open", name, err)
		}
		n = &node{mode: perm.Perm(), links: 1}
		dir.set(nameChange{base: n})
	case err != nil:
		return nil, pathErr("open", name, err)
	case n.dir && flag&(oWronly|oRdwr) != 0:
		return nil, pathErr("open", name, syscall.EISDIR)
	}
	writable := flag&(oWronly|oRdwr) != 0
	if flag&oTrunc != 0 && writable {
		m.truncate(n, 0)
	}
	n.opens++
	m.opens++
	return &memFile{m: m, n: n, name: name, writable: writable, readable: flag&oWronly == 0, appending: flag&oAppend != 0}, nil
}

// Remove implements FS.
func (m *Mem) Remove(name string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	dir, base, err := m.parent(name)
	if err != nil {
		return pathErr("remove", name, err)
	}
	n := dir.names[base]
	if n == nil {
		return pathErr("remove", name, fs.ErrNotExist)
	}
	if n.dir && len(n.names) > 0 {
		return pathErr("remove", name, syscall.ENOTEMPTY)
	}
	dir.set(nameChange{base: nil})
	m.unlink(n)
	return nil
}

// unlink takes a name from a node and gives its bytes back once neither a name
// nor a handle is left.
func (m *Mem) unlink(n *node) {
	if n.dir {
		return
	}
	n.links--
	m.release(n)
}

func (m *Mem) release(n *node) {
	if n.links == 0 && n.opens == 0 {
		m.used -= int64(len(n.data))
	}
}

// Rename implements FS. Within a directory it is one change, so a crash shows
// it done or not done; across two it is a change in each.
func (m *Mem) Rename(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	from, oldBase, err := m.parent(oldname)
	if err != nil {
		return pathErr("rename", oldname, err)
	}
	to, newBase, err := m.parent(newname)
	if err != nil {
		return pathErr("rename", newname, err)
	}
	n, old := from.names[oldBase], to.names[newBase]
	switch {
	case n == nil:
		return pathErr("rename", oldname, fs.ErrNotExist)
	case n == old:
		return nil
	case n.dir && strings.HasPrefix(clean(newname)+"/", clean(oldname)+"/"):
		return pathErr("rename", newname, syscall.EINVAL)
	case old != nil && old.dir && !n.dir:
		return pathErr("rename", newname, syscall.EEXIST)
	case old != nil && !old.dir && n.dir:
		return pathErr("rename", newname, syscall.ENOTDIR)
	case old != nil && old.dir && len(old.names) > 0:
		return pathErr("rename", newname, syscall.ENOTEMPTY)
	}
	if from == to {
		from.set(nameChange{oldBase: nil, newBase: n})
	} else {
		to.set(nameChange{newBase: n})
		from.set(nameChange{oldBase: nil})
	}
	if old != nil {
		m.unlink(old)
	}
	return nil
}

// Link implements FS.
func (m *Mem) Link(oldname, newname string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup(oldname)
	if err != nil {
		return pathErr("link", oldname, err)
	}
	if n.dir {
		return pathErr("link", oldname, syscall.EPERM)
	}
	to, base, err := m.parent(newname)
	if err != nil {
		return pathErr("link", newname, err)
	}
	if to.names[base] != nil {
		return pathErr("link", newname, fs.ErrExist)
	}
	to.set(nameChange{base: n})
	n.links++
	return nil
}

// MkdirAll implements FS.
func (m *Mem) MkdirAll(dir string, perm fs.FileMode) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n := m.root
	for _, part := range strings.Split(clean(dir), "/") {
		if part == "" {
			continue
		}
		next := n.names[part]
		switch {
		case next == nil:
			next = newDir()
			next.mode = fs.ModeDir | perm.Perm()
			n.set(nameChange{part: next})
			n.sync()
		case !next.dir:
			return pathErr("mkdir", dir, syscall.ENOTDIR)
		}
		n = next
	}
	return nil
}

// ReadDir implements FS.
func (m *Mem) ReadDir(dir string) ([]string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup(dir)
	if err == nil && !n.dir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return nil, pathErr("readdir", dir, err)
	}
	return sortedNames(n.names), nil
}

// Stat implements FS.
func (m *Mem) Stat(name string) (fs.FileInfo, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup(name)
	if err != nil {
		return nil, pathErr("stat", name, err)
	}
	return n.info(name), nil
}

// SyncDir implements FS.
func (m *Mem) SyncDir(dir string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	n, err := m.lookup(dir)
	if err == nil && !n.dir {
		err = syscall.ENOTDIR
	}
	if err != nil {
		return pathErr("syncdir", dir, err)
	}
	n.sync()
	return nil
}

// FreeBytes implements FS.
func (m *Mem) FreeBytes(dir string) (uint64, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.lookup(dir); err != nil {
		return 0, pathErr("statfs", dir, err)
	}
	return uint64(m.free()), nil
}

// Lock implements FS. A crash ends all locks.
func (m *Mem) Lock(name string) (io.Closer, error) {
	m.mu.Lock()
	held := m.locks[clean(name)]
	m.mu.Unlock()
	if held {
		return nil, pathErr("lock", name, ErrLocked)
	}
	f, err := m.OpenFile(name, oRdwr|oCreate, 0o640)
	if err != nil {
		return nil, err
	}
	if err := f.Close(); err != nil {
		return nil, err
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.locks[clean(name)] {
		return nil, pathErr("lock", name, ErrLocked)
	}
	m.locks[clean(name)] = true
	return &memLock{m: m, name: clean(name)}, nil
}

type memLock struct {
	m    *Mem
	name string
	once sync.Once
}

// Close ends the lock.
func (l *memLock) Close() error {
	l.once.Do(func() {
		l.m.mu.Lock()
		defer l.m.mu.Unlock()
		delete(l.m.locks, l.name)
	})
	return nil
}
