package tsdb_test

import (
	"errors"
	"testing"

	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
	"quantrac/tsdb/tsdbtest"
)

// subject is a store on a file system in memory, with its journal.
type subject struct {
	mem     *vfs.Mem
	wrap    func(vfs.FS) vfs.FS // between the store and its files, nil for nothing
	seed    uint64              // of crashes
	options tsdb.Options
	open    *engine
}

// engine is a store that closes its journal with itself.
type engine struct {
	*tsdb.DB
	j *journal.Journal
}

func (e *engine) Close() error { return errors.Join(e.DB.Close(), e.j.Close()) }

func newSubject() *subject { return &subject{mem: vfs.NewMem(), seed: 1} }

func (s *subject) Open(o tsdbtest.Options) (tsdbtest.Engine, error) {
	var fsys vfs.FS = s.mem
	if s.wrap != nil {
		fsys = s.wrap(fsys)
	}
	j, err := journal.Open(fsys, "journal", journal.Options{Clock: o.Clock, SegmentBytes: 4 << 10, ReserveBytes: -1, MinFreeBytes: -1, RingBytes: 4 << 10})
	if err != nil {
		return nil, err
	}
	opt := s.options
	opt.Clock, opt.Reserved = o.Clock, o.Reserved
	db, err := tsdb.Open(fsys, "tsdb", j, opt)
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	s.open = &engine{db, j}
	return s.open, nil
}

func (s *subject) Crash() {
	s.mem = s.mem.Crash(s.seed)
	s.seed++
}

func TestScripts(t *testing.T) {
	tsdbtest.RunScripts(t, func(*testing.T) tsdbtest.Subject { return newSubject() })
}
