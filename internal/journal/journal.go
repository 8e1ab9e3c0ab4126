// Package journal is the one ordered, durable list of everything that happens
// in the service: readings, corrections, changes of the registry, warnings.
// Whoever wants to know something follows it.
//
// What it promises:
//
//   - Append returns nil only for what is on the disk. An error means that
//     nothing of the call is acknowledged (it may still turn up after a crash).
//   - The records of one call are consecutive, and after a crash all of them
//     are there or none.
//   - Every record has a commit number of its own, 1, 2, 3 …, without gaps, and
//     a commit time that never goes backwards, also over restarts: Open refuses
//     while the clock stands before the last commit, unless it is told that the
//     clock was wrong then.
//   - OnCommit callbacks and readers see records in the order of their numbers
//     and only once they are durable.
//   - Damage to what was acknowledged is an error of kind Corrupt that names
//     path and offset. Only the torn end that a crash leaves is cut, and logged.
//   - A full disk or a failed write or sync refuses (kind Unavailable), and the
//     journal goes on by itself when the disk is good again. Records marked
//     Priority go on longer, from a reserve.
//   - A segment file is dropped only when every hold has passed it.
//
// Use: Open, then OnCommit, Hold and Replay to build up state, then Append and
// Tail, then Close. The layout of the files is in FORMAT.md.
//
// It knows nothing of what the records mean. The rooms and cmd may import it.
package journal

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"

	"quantrac"
	"quantrac/internal/vfs"
)

// Record is what a caller appends.
type Record struct {
	Kind  quantrac.RecordKind
	Layer quantrac.Layer
	Flags uint16 // of the kind's own meaning
	Data  []byte // copied by Append
	// Priority records (warnings, cancellations, audit) may use the disk space
	// below Options.MinFreeBytes and the reserve. A call may when all of its
	// records may.
	Priority bool
}

// Entry is a durable record. Data are only valid until the callback or the
// step of the iteration that was given the entry returns.
type Entry struct {
	quantrac.Commit
	Kind  quantrac.RecordKind
	Layer quantrac.Layer
	Flags uint16
	Data  []byte
	Size  int // bytes that it takes in the journal
}

// Options of a journal. The zero value works. Of the sizes 0 means the default
// and a negative number none.
type Options struct {
	Clock quantrac.Clock // SystemClock
	// Driven says that the clock is set from outside, by a replay, and stands
	// at the beginning until then: Open does not compare it with the last
	// commit. Whoever drives it begins no earlier than Last.
	Driven bool
	// AcceptClock lets the journal be opened while the clock stands before the
	// last commit: what was committed so far counts as committed by now. For an
	// operator who has seen that the clock is right and was wrong then.
	AcceptClock bool
	// SegmentBytes is when a new segment file is begun; 64 MiB.
	SegmentBytes int64
	// MinFreeBytes is the free disk space below which records that are not
	// Priority are refused; 128 MiB.
	MinFreeBytes int64
	// ReserveBytes is the size of a file kept ready to become the next segment
	// for Priority records when the disk is truly full; 4 MiB.
	ReserveBytes int64
	// MaxRecordBytes limits the data of one Append call; 32 MiB.
	MaxRecordBytes int
	// RingBytes is how much of the newest is kept in memory for Tail; 4 MiB.
	RingBytes int
	// Epoch of the centre; 0 leaves it as it is (1 in a new journal). A higher
	// one than before is written down at once, a lower one is refused.
	Epoch  uint64
	Logger *slog.Logger // none
}

func (o Options) withDefaults() Options {
	size := func(v *int64, def int64) {
		if *v == 0 {
			*v = def
		}
		*v = max(*v, 0)
	}
	size(&o.SegmentBytes, 64<<20)
	size(&o.MinFreeBytes, 128<<20)
	size(&o.ReserveBytes, 4<<20)
	if o.MaxRecordBytes <= 0 {
		o.MaxRecordBytes = 32 << 20
	}
	if o.RingBytes == 0 {
		o.RingBytes = 4 << 20
	}
	o.RingBytes = max(o.RingBytes, 0)
	if o.Clock == nil {
		o.Clock = quantrac.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Journal is an open journal. Its methods may be called from any goroutine.
type Journal struct {
	fs   vfs.FS
	dir  string
	o    Options
	lock io.Closer
	// marks of a clock that was wrong; they do not change once the journal is open.
	marks []clockMark

	// queue is where Append calls meet.
	queue struct {
		sync.Mutex
		pending *group        // takes more calls; nil where none waits
		room    chan struct{} // closed when pending is taken; nil where nobody waits for that
		free    []*group      // for reuse
		closing bool
		leaders sync.WaitGroup
	}

	// w is the writing end: who holds its lock writes.
	w writer

	pub   published
	holds holds

	closing   atomic.Bool // set by Close
	closeOnce sync.Once
	closeErr  error
}

// published is what has been committed, for readers.
type published struct {
	sync.Mutex
	last     quantrac.Commit
	epoch    uint64
	ring     ring
	segments []segment     // oldest first, the last one is written to
	wake     chan struct{} // closed at the next commit; nil where nobody waits
	closed   bool
	stats    Stats
}

// wakeAll wakes who waits for a commit. The lock is held.
func (p *published) wakeAll() {
	if p.wake != nil {
		close(p.wake)
		p.wake = nil
	}
}

// segment is a file of the journal. It holds the commits from first up to the
// one before the next segment's first; what lies beyond was never acknowledged.
type segment struct {
	sequence uint64
	first    uint64
	path     string
	end      int64 // of what is durable in it, in bytes; 0 where not known: all
}

func (j *Journal) segmentPath(sequence uint64) string {
	return filepath.Join(j.dir, fmt.Sprintf("%010d%s", sequence, segmentSuffix))
}

const segmentSuffix = ".journal"

func segmentSequence(name string) (uint64, bool) {
	base, ok := strings.CutSuffix(name, segmentSuffix)
	if !ok {
		return 0, false
	}
	var n uint64
	if _, err := fmt.Sscanf(base, "%d", &n); err != nil || fmt.Sprintf("%010d", n) != base {
		return 0, false
	}
	return n, true
}

// errClosed is what a closed journal answers.
func (j *Journal) errClosed() error {
	return quantrac.Errorf(quantrac.Unavailable, "journal %s is closed", j.dir)
}

// Open opens the journal in dir, which is made if needed, and repairs the torn
// end that a crash may have left. It refuses with kind Unavailable while
// another process has it open (errors.Is vfs.ErrLocked) or while the clock
// stands before the last commit, with kind Conflict an epoch lower than the
// journal's, and with kind Corrupt when acknowledged records are damaged.
func Open(fsys vfs.FS, dir string, o Options) (*Journal, error) {
	j := &Journal{fs: fsys, dir: dir, o: o.withDefaults()}
	if err := fsys.MkdirAll(dir, 0o750); err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	lock, err := fsys.Lock(filepath.Join(dir, "lock"))
	if errors.Is(err, vfs.ErrLocked) {
		return nil, quantrac.Errorf(quantrac.Unavailable, "journal %s is open in another process: %w", dir, err)
	}
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	j.lock = lock
	j.w.j = j
	j.holds.j = j
	if err := j.open(); err != nil {
		return nil, errors.Join(err, j.w.close(), lock.Close())
	}
	return j, nil
}

// open does what Open does once the lock is held.
func (j *Journal) open() error {
	if err := j.loadMarks(); err != nil {
		return err
	}
	if err := j.recover(); err != nil {
		return err
	}
	if err := j.holds.load(); err != nil {
		return err
	}
	if j.o.Epoch != 0 && j.o.Epoch < j.pub.epoch {
		return quantrac.Errorf(quantrac.Conflict, "journal %s is of epoch %d; it cannot be opened for the earlier epoch %d", j.dir, j.pub.epoch, j.o.Epoch)
	}
	if err := j.checkClock(); err != nil {
		return err
	}
	fresh := len(j.pub.segments) == 0
	if fresh || j.o.Epoch > j.pub.epoch {
		j.pub.epoch = max(j.pub.epoch, j.o.Epoch, 1)
		if err := j.w.roll(); err != nil {
			return err
		}
	}
	j.pub.ring = ring{buf: make([]byte, j.o.RingBytes), first: j.pub.last.Number + 1}
	j.w.openReserve()
	return nil
}

// OnCommit registers a function that is called with every record from now on,
// in the order of the commit numbers, when it is durable and before its Append
// returns. Register before the first Append. The function must be quick, must
// not call Append, and keeps no part of the entry's Data.
func (j *Journal) OnCommit(fn func(Entry)) {
	j.w.mu.Lock()
	defer j.w.mu.Unlock()
	j.w.callbacks = append(j.w.callbacks, fn)
}

// Last returns the newest commit; its number is 0 in an empty journal.
func (j *Journal) Last() quantrac.Commit {
	j.pub.Lock()
	defer j.pub.Unlock()
	return j.pub.last
}

// First returns the number of the oldest commit that is still here; in an
// empty journal, that of the next one.
func (j *Journal) First() uint64 {
	j.pub.Lock()
	defer j.pub.Unlock()
	return j.pub.segments[0].first
}

// Epoch returns the epoch of the centre: raised when a standby is promoted.
func (j *Journal) Epoch() uint64 {
	j.pub.Lock()
	defer j.pub.Unlock()
	return j.pub.epoch
}

// Close waits for the appends under way, seals and closes the journal. Appends
// and readers get an error of kind Unavailable from then on. It may be called
// more than once and returns the same error each time.
func (j *Journal) Close() error {
	j.closeOnce.Do(func() {
		j.closing.Store(true)
		j.queue.Lock()
		j.queue.closing = true
		j.queue.Unlock()
		j.queue.leaders.Wait()

		j.w.mu.Lock()
		defer j.w.mu.Unlock()
		err := j.w.seal()
		j.pub.Lock()
		j.pub.closed = true
		j.pub.wakeAll()
		j.pub.Unlock()
		j.closeErr = errors.Join(err, j.w.close(), j.lock.Close())
	})
	return j.closeErr
}
