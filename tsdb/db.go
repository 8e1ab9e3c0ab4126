package tsdb

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"path/filepath"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb/internal/commits"
	"quantrac/tsdb/internal/files"
	"quantrac/tsdb/internal/index"
	"quantrac/tsdb/internal/rows"
)

// Options of a DB. The zero value works.
type Options struct {
	Clock quantrac.Clock // SystemClock
	// Reserved says whether a label name is a registry key, which is joined at
	// read time and never part of a series' identity. It must not change its
	// mind; nil reserves nothing.
	Reserved func(name string) bool
	// FlushBytes is how large the head may grow, in bytes of memory, before
	// Run flushes it; 64 MiB. At one and a half times that Append waits for
	// the flush under way, at four times it refuses (Busy).
	FlushBytes int64
	// MaxSeries bounds the series that are known, each of which takes memory:
	// Append refuses (Busy) what would make more. 0: no bound.
	MaxSeries int
	// FlushInterval is how long rows stay in the head at most, for the sake of
	// restarts and of the journal's length; 6 hours. Negative: no limit.
	FlushInterval time.Duration
	// DayBytes bounds what is kept in memory of the sums by days; 64 MiB.
	DayBytes int
	// ColumnBytes bounds what is kept in memory of decoded columns; 64 MiB.
	ColumnBytes int
	// FoldBytes bounds what is kept in memory of series folded over windows;
	// 64 MiB.
	FoldBytes int
	// Retention says how long the values of a property are kept in series with
	// these labels (the metric name is the property); 0 for ever. Nil keeps all.
	Retention func(labels quantrac.Labels, property string) time.Duration
	// ScrubInterval is how often every file is read whole and checked; 7 days.
	// Negative: never.
	ScrubInterval time.Duration
	Logger        *slog.Logger // none
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = quantrac.SystemClock{}
	}
	if o.FlushBytes <= 0 {
		o.FlushBytes = 64 << 20
	}
	if o.FlushInterval == 0 {
		o.FlushInterval = 6 * time.Hour
	}
	if o.DayBytes <= 0 {
		o.DayBytes = 64 << 20
	}
	if o.ScrubInterval == 0 {
		o.ScrubInterval = 7 * 24 * time.Hour
	}
	if o.ColumnBytes <= 0 {
		o.ColumnBytes = 64 << 20
	}
	if o.FoldBytes <= 0 {
		o.FoldBytes = 64 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// openFiles is how many of its files a store holds open at a time: there are
// some for every thirty days of whatever it holds, and a process may hold some
// hundreds, most of them for connections.
const openFiles = 64

// DB is an open store. Its methods may be called from any goroutine.
type DB struct {
	fs   vfs.FS
	dir  string
	j    *journal.Journal
	hold *journal.Hold
	o    Options

	handles *files.Set // of block files and files of commits

	days    dayCache
	folds   foldCache
	decoded *columnCache
	index   *index.Index
	log     *commits.Log
	order   order
	choices choices
	entries atomic.Int64 // of groups in blocks that are kept

	groups   groupTable
	byLabels groupOrder
	metrics  map[string]*metric // by name; of the applying goroutine

	// apply is held for writing while a commit is applied or the state
	// changes, for reading while a reader takes its view of both.
	apply struct {
		sync.RWMutex
		applied uint64 // number of the last commit in the state
		missed  uint64 // number of a commit that came before its turn, while opening
		state   *state
		closed  bool
		w       applier // scratch of the applying goroutine
		recent  recent
	}

	// files is held while the set of files changes: by what writes the manifest.
	files struct {
		sync.Mutex
		manifest manifest
	}
	flushing   sync.Mutex // held by Flush
	gate       flushGate
	compacting sync.Mutex // held by Compact
	forecasts  sync.Mutex // held while a forecast is appended

	receipts receipts
	idle     chan *appender
	scratch  sync.Pool // of *scratch
	// Memory of readAhead, for Select and for Fold.
	selecting, folding, foldingDays sync.Pool

	reads atomic.Uint64 // how often something was read, see lookUpLast

	wake chan struct{}

	calls struct { // under way, for Close
		sync.Mutex
		closed bool
		wg     sync.WaitGroup
	}
	stats counters
	spare rows.Spare // memory for the rows of heads
}

// state is what there is to read. It does not change; the next one takes its
// place. The last head takes new commits; its rows carry their commit numbers,
// by which a reader leaves out what came later.
type state struct {
	heads  []*head      // oldest first; all but the last are being flushed
	blocks []*blockFile // by partition, then by sequence
	refs   atomic.Int64 // readers, and one while it is the current state
}

// release gives a state back; the blocks that only it has are closed, and
// removed where a merge has taken their place, and the memory of heads that only it
// has is used again.
func (db *DB) release(s *state) {
	if s.refs.Add(-1) > 0 {
		return
	}
	for _, b := range s.blocks {
		b.release(db)
	}
	for _, h := range s.heads {
		h.release()
	}
}

// Open opens the store in dir, which is made if needed, and replays what the
// journal has beyond it. Register and open before others append to the journal.
//
// Errors: Corrupt for damaged files (path and offset are named) and for those
// of a later format; Conflict where the journal is older than the store;
// NotFound where the journal no longer has what the store has not.
func Open(fsys vfs.FS, dir string, j *journal.Journal, o Options) (*DB, error) {
	db := &DB{fs: fsys, dir: dir, j: j, o: o.withDefaults(), handles: files.New(fsys, openFiles), wake: make(chan struct{}, 1)}
	db.index = index.New(func(id uint32) string { return db.groups.at(id).key })
	db.metrics = map[string]*metric{}
	db.idle = make(chan *appender, 2*runtime.GOMAXPROCS(0))
	db.scratch.New = func() any { return &scratch{} }
	db.receipts.m = map[uint64]counts{}
	db.apply.w.humans = map[*group]bool{}
	db.decoded = newColumnCache(db.o.ColumnBytes)
	db.days.most, db.folds.most = db.o.DayBytes, db.o.FoldBytes
	if err := db.open(); err != nil {
		return nil, errors.Join(err, db.abandon())
	}
	return db, nil
}

func (db *DB) open() error {
	if err := db.fs.MkdirAll(db.dir, 0o750); err != nil {
		return fmt.Errorf("tsdb: %w", err)
	}
	if err := db.openManifest(); err != nil {
		return err
	}
	if err := db.openFiles(); err != nil {
		return err
	}
	db.removeOrphans()
	flushed := db.files.manifest.Flushed
	db.apply.applied = flushed
	if last := db.j.Last().Number; last < flushed {
		return quantrac.Errorf(quantrac.Conflict, "tsdb %s holds commits up to %d, but the journal ends at %d: one of the two was restored from an older copy or is not of this data folder", db.dir, flushed, last)
	}
	db.hold = db.j.Hold("tsdb", flushed)
	db.j.OnCommit(db.onCommit)
	return db.replay()
}

// replay applies what the journal has beyond the blocks. Commits that others
// make meanwhile are met again until none is missed.
func (db *DB) replay() error {
	for {
		err := db.j.Replay(context.Background(), db.appliedNumber(), func(e journal.Entry) error {
			if err := db.applyEntry(e, true); err != nil {
				return err
			}
			if db.headBytes() > db.o.FlushBytes {
				if err := db.Flush(context.Background()); err != nil {
					// It can all be read from memory, and Run tries again.
					db.o.Logger.Error("tsdb: flush while opening failed", "dir", db.dir, "error", err)
				}
			}
			return nil
		})
		if err != nil {
			return fmt.Errorf("tsdb %s: replaying the journal: %w", db.dir, err)
		}
		db.apply.Lock()
		done := db.apply.missed <= db.apply.applied
		db.apply.Unlock()
		if done {
			return nil
		}
	}
}

func (db *DB) appliedNumber() uint64 {
	db.apply.RLock()
	defer db.apply.RUnlock()
	return db.apply.applied
}

// enter begins a call; leave ends it.
func (db *DB) enter() error {
	db.calls.Lock()
	defer db.calls.Unlock()
	if db.calls.closed {
		return quantrac.Errorf(quantrac.Unavailable, "tsdb %s is closed", db.dir)
	}
	db.calls.wg.Add(1)
	return nil
}

func (db *DB) leave() { db.calls.wg.Done() }

// Close waits for calls under way and closes the files. What is in the head is
// in the journal too, and comes back when the store is opened. It may be called
// more than once.
func (db *DB) Close() error {
	db.calls.Lock()
	again := db.calls.closed
	db.calls.closed = true
	db.calls.Unlock()
	db.calls.wg.Wait()
	if again {
		return nil
	}
	return db.abandon()
}

// abandon closes the files and ends the applying of commits.
func (db *DB) abandon() error {
	db.apply.Lock()
	defer db.apply.Unlock()
	if db.apply.closed {
		return nil
	}
	db.apply.closed = true
	var errs []error
	if s := db.apply.state; s != nil {
		for _, b := range s.blocks {
			errs = append(errs, b.r.Close())
		}
	}
	if db.log != nil {
		for _, f := range db.log.Files() {
			errs = append(errs, f.Close())
		}
	}
	return errors.Join(errs...)
}

func (db *DB) path(name string) string { return filepath.Join(db.dir, name) }

// removeFile removes a file that nothing refers to. A failure is only logged:
// the next Open tries again.
func (db *DB) removeFile(name string) {
	if err := db.fs.Remove(db.path(name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		db.o.Logger.Warn("tsdb: an old file could not be removed", "path", db.path(name), "error", err)
	}
}
