package vfs

import (
	"fmt"
	"sync/atomic"
)

// OpKind says what an operation does.
type OpKind uint8

// The operations a Faulty file system asks its hook about.
const (
	OpOpen     OpKind = iota + 1 // open an existing file
	OpCreate                     // open with O_CREATE
	OpRead                       // Read, ReadAt
	OpWrite                      // Write, WriteAt
	OpSync                       // File.Sync
	OpTruncate                   // File.Truncate
	OpClose                      // File.Close
	OpRemove                     //
	OpRename                     //
	OpLink                       //
	OpMkdir                      // MkdirAll
	OpReadDir                    //
	OpStat                       // FS.Stat, File.Stat, File.Size
	OpSyncDir                    //
	OpFree                       // FreeBytes
	OpLock                       //
)

var opNames = [...]string{"", "open", "create", "read", "write", "sync", "truncate", "close", "remove", "rename", "link", "mkdir", "readdir", "stat", "syncdir", "free", "lock"}

// String returns the operation's name.
func (k OpKind) String() string {
	if int(k) < len(opNames) {
		return opNames[k]
	}
	return fmt.Sprintf("OpKind(%d)", uint8(k))
}

// Op is one operation that is about to happen.
type Op struct {
	Kind OpKind
	Name string // of the file or directory; the old name of a rename or link
	Off  int64  // of ReadAt, WriteAt (-1 for Read and Write); the size of Truncate
	Len  int    // bytes to read or write
}

// Changes says whether the operation can change what is stored.
func (o Op) Changes() bool {
	switch o.Kind {
	case OpCreate, OpWrite, OpSync, OpTruncate, OpRemove, OpRename, OpLink, OpMkdir, OpSyncDir:
		return true
	}
	return false
}

// Fault is an error that a hook returns to say exactly how an operation fails.
// Any other error means that the operation is not done and returns that error.
type Fault struct {
	Err   error // what the caller gets; nil for damage that goes unnoticed
	Done  bool  // the operation takes effect all the same
	Bytes int   // of a read or write that is not Done: this many bytes get through
	// LosePages, of a sync: what was written since the last good sync is gone
	// for good though still readable (on a file of Mem), as when a kernel fails to write back.
	LosePages bool
	// FlipBit, of a read, turns over one bit of what was read, counted from
	// its start and wrapped at its end; 0 is none, 1 the first.
	FlipBit int
}

// Error implements error.
func (f *Fault) Error() string { return fmt.Sprintf("injected fault: %v", f.Err) }

// Unwrap returns Err.
func (f *Fault) Unwrap() error { return f.Err }

// Nth returns a hook that fails the k-th operation (from 1) that changes what
// is stored, once, with err.
func Nth(k int64, err error) func(Op) error {
	var n atomic.Int64
	return func(op Op) error {
		if op.Changes() && n.Add(1) == k {
			return err
		}
		return nil
	}
}

// From returns a hook that fails with err the k-th operation (from 1) that
// changes what is stored and whatever comes after it: the process as seen from
// a machine that lost its power at that operation.
func From(k int64, err error) func(Op) error {
	var n atomic.Int64
	return func(op Op) error {
		if n.Load() >= k || op.Changes() && n.Add(1) >= k {
			return err
		}
		return nil
	}
}
