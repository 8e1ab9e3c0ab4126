package projection

import (
	"errors"
	"io/fs"
	"os"

	"quantrac/internal/vfs"
)

// private is who may read the files beside their owner: the group, as with the
// journal's. They hold what the journal holds, hashes of passwords among it.
const private = 0o640

// keepPrivate makes the file before SQLite would, for everybody to read, and
// narrows what an earlier version has made. SQLite makes the files beside it
// with the same mode.
func (p *DB) keepPrivate() error {
	if p.path == Memory {
		return nil
	}
	f, err := vfs.OS().OpenFile(p.path, os.O_RDWR|os.O_CREATE|os.O_EXCL, private)
	switch {
	case err == nil:
		err = f.Close()
	case errors.Is(err, fs.ErrExist):
		err = nil
	}
	for _, name := range []string{p.path, p.path + "-wal", p.path + "-shm"} {
		if nerr := vfs.Narrow(name, private); nerr != nil { // not ours to change, or a file system without modes
			p.o.Logger.Warn("projection: others on this machine may read the file", "path", name, "error", nerr)
		}
	}
	return err
}
