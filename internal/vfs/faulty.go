package vfs

import (
	"errors"
	"io"
	"io/fs"
)

// Faulty returns fsys with a hook before every operation: what the hook returns
// decides whether and how the operation fails (see Fault); nil lets it pass.
// The hook is called from whatever goroutine operates.
func Faulty(fsys FS, hook func(Op) error) FS { return &faultyFS{fsys, hook} }

type faultyFS struct {
	fs   FS
	hook func(Op) error
}

// do asks the hook and performs the operation as it says.
func (f *faultyFS) do(op Op, act func() error) error {
	err := f.hook(op)
	if err == nil {
		return act()
	}
	var fault *Fault
	if !errors.As(err, &fault) {
		return wrapOp(op, err)
	}
	if fault.Done || fault.Err == nil {
		if err := act(); err != nil {
			return err
		}
	}
	return wrapOp(op, fault.Err)
}

func wrapOp(op Op, err error) error {
	if err == nil {
		return nil
	}
	return pathErr(op.Kind.String(), op.Name, err)
}

func (f *faultyFS) Open(name string) (File, error) { return f.OpenFile(name, 0, 0) }

func (f *faultyFS) Create(name string) (File, error) {
	return f.OpenFile(name, oRdwr|oCreate|oTrunc, 0o640)
}

func (f *faultyFS) OpenFile(name string, flag int, perm fs.FileMode) (File, error) {
	kind := OpOpen
	if flag&oCreate != 0 {
		kind = OpCreate
	}
	var file File
	err := f.do(Op{Kind: kind, Name: name}, func() (err error) {
		file, err = f.fs.OpenFile(name, flag, perm)
		return err
	})
	if err != nil {
		if file != nil {
			err = errors.Join(err, file.Close())
		}
		return nil, err
	}
	return &faultyFile{file, f}, nil
}

func (f *faultyFS) Remove(name string) error {
	return f.do(Op{Kind: OpRemove, Name: name}, func() error { return f.fs.Remove(name) })
}

func (f *faultyFS) Rename(oldname, newname string) error {
	return f.do(Op{Kind: OpRename, Name: oldname}, func() error { return f.fs.Rename(oldname, newname) })
}

func (f *faultyFS) Link(oldname, newname string) error {
	return f.do(Op{Kind: OpLink, Name: oldname}, func() error { return f.fs.Link(oldname, newname) })
}

func (f *faultyFS) MkdirAll(dir string, perm fs.FileMode) error {
	return f.do(Op{Kind: OpMkdir, Name: dir}, func() error { return f.fs.MkdirAll(dir, perm) })
}

func (f *faultyFS) ReadDir(dir string) (names []string, err error) {
	err = f.do(Op{Kind: OpReadDir, Name: dir}, func() (err error) {
		names, err = f.fs.ReadDir(dir)
		return err
	})
	return names, err
}

func (f *faultyFS) Stat(name string) (info fs.FileInfo, err error) {
	err = f.do(Op{Kind: OpStat, Name: name}, func() (err error) {
		info, err = f.fs.Stat(name)
		return err
	})
	return info, err
}

func (f *faultyFS) SyncDir(dir string) error {
	return f.do(Op{Kind: OpSyncDir, Name: dir}, func() error { return f.fs.SyncDir(dir) })
}

func (f *faultyFS) FreeBytes(dir string) (free uint64, err error) {
	err = f.do(Op{Kind: OpFree, Name: dir}, func() (err error) {
		free, err = f.fs.FreeBytes(dir)
		return err
	})
	return free, err
}

func (f *faultyFS) Lock(name string) (lock io.Closer, err error) {
	err = f.do(Op{Kind: OpLock, Name: name}, func() (err error) {
		lock, err = f.fs.Lock(name)
		return err
	})
	if err != nil && lock != nil {
		err = errors.Join(err, lock.Close())
		lock = nil
	}
	return lock, err
}

type faultyFile struct {
	f  File
	fs *faultyFS
}

func (f *faultyFile) Name() string { return f.f.Name() }

// transfer performs a read or write as the hook says.
func (f *faultyFile) transfer(op Op, p []byte, move func(p []byte) (int, error)) (int, error) {
	err := f.fs.hook(op)
	if err == nil {
		return move(p)
	}
	var fault *Fault
	if !errors.As(err, &fault) {
		return 0, wrapOp(op, err)
	}
	if !fault.Done && fault.Err != nil {
		p = p[:min(len(p), fault.Bytes)]
	}
	n, err := 0, error(nil)
	if len(p) > 0 {
		n, err = move(p)
	}
	if op.Kind == OpRead && fault.FlipBit > 0 && n > 0 {
		bit := (fault.FlipBit - 1) % (8 * n)
		p[bit/8] ^= 1 << (bit % 8)
	}
	if err == nil {
		err = wrapOp(op, fault.Err)
	}
	return n, err
}

func (f *faultyFile) Read(p []byte) (int, error) {
	return f.transfer(Op{OpRead, f.Name(), -1, len(p)}, p, f.f.Read)
}

func (f *faultyFile) ReadAt(p []byte, off int64) (int, error) {
	return f.transfer(Op{OpRead, f.Name(), off, len(p)}, p, func(p []byte) (int, error) { return f.f.ReadAt(p, off) })
}

func (f *faultyFile) Write(p []byte) (int, error) {
	return f.transfer(Op{OpWrite, f.Name(), -1, len(p)}, p, f.f.Write)
}

func (f *faultyFile) WriteAt(p []byte, off int64) (int, error) {
	return f.transfer(Op{OpWrite, f.Name(), off, len(p)}, p, func(p []byte) (int, error) { return f.f.WriteAt(p, off) })
}

// Close closes the file underneath in any case, so that tests leak no handles.
func (f *faultyFile) Close() error {
	err := f.fs.hook(Op{Kind: OpClose, Name: f.Name()})
	cerr := f.f.Close()
	if err != nil {
		return wrapOp(Op{Kind: OpClose, Name: f.Name()}, err)
	}
	return cerr
}

func (f *faultyFile) Sync() error {
	op := Op{Kind: OpSync, Name: f.Name()}
	err := f.fs.hook(op)
	var fault *Fault
	switch {
	case err == nil:
		return f.f.Sync()
	case !errors.As(err, &fault):
		return wrapOp(op, err)
	case fault.LosePages:
		f.losePages()
	case fault.Done:
		if err := f.f.Sync(); err != nil {
			return err
		}
	}
	return wrapOp(op, fault.Err)
}

// losePages drops the pages of the file underneath where it can.
func (f *faultyFile) losePages() {
	if l, ok := f.f.(interface{ losePages() }); ok {
		l.losePages()
	}
}

func (f *faultyFile) Truncate(size int64) error {
	return f.fs.do(Op{Kind: OpTruncate, Name: f.Name(), Off: size}, func() error { return f.f.Truncate(size) })
}

func (f *faultyFile) Stat() (info fs.FileInfo, err error) {
	err = f.fs.do(Op{Kind: OpStat, Name: f.Name()}, func() (err error) {
		info, err = f.f.Stat()
		return err
	})
	return info, err
}

func (f *faultyFile) Size() (size int64, err error) {
	err = f.fs.do(Op{Kind: OpStat, Name: f.Name()}, func() (err error) {
		size, err = f.f.Size()
		return err
	})
	return size, err
}
