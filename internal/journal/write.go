package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"

	"quantrac"
	"quantrac/internal/vfs"
)

// writer is the writing end of the journal; mu is held by the leader whose
// group is being written.
type writer struct {
	mu        sync.Mutex
	j         *Journal
	callbacks []func(Entry)
	broken    error // for good

	f        vfs.File // segment being written; nil after a failure, until the next roll
	off      int64    // end of what is durable in it
	limit    int64    // where the segment ends, its first group excepted
	sequence uint64   // of the newest segment file ever begun

	reserve  reserve
	spending bool // the segment being written is what the reserve became

	full    bool // for lack of space; logged when it changes
	failing bool // for other reasons; likewise
}

// commit writes and syncs a group, hands it to callbacks and readers, and
// settles its calls.
func (w *writer) commit(g *group) {
	j := w.j
	if w.broken != nil {
		g.fail(w.broken)
		return
	}
	free, known := w.free()
	keep := uint64(j.o.MinFreeBytes)
	if w.spending { // what is left of the reserve is for warnings, until it can be made anew
		keep = max(keep, uint64(j.o.ReserveBytes))
	}
	low := known && free < keep
	if w.spending && known && !low {
		w.abandon()
		w.spending = false
	}
	if low && !g.refuse(w.errLow(free, keep)) {
		w.refused(g, true)
		return
	}
	now := max(j.o.Clock.Now(), j.pub.last.Time)
	last := g.number(j.pub.last, now)
	err := w.write(g.buf)
	if vfs.IsNoSpace(err) {
		low = true
		full := quantrac.Errorf(quantrac.Unavailable, "journal %s: disk full, nothing of this was stored: %w", j.dir, err)
		if !g.refuse(full) {
			w.refused(g, true)
			return
		}
		last = g.number(j.pub.last, now)
		if err = w.useReserve(); err == nil {
			err = w.write(g.buf)
		}
	}
	if err != nil {
		g.fail(quantrac.Errorf(quantrac.Unavailable, "journal %s: nothing of this was stored: %w", j.dir, err))
		w.refused(g, low)
		return
	}
	w.publish(g, last)
	w.refused(g, low)
	if known && !low && free >= uint64(j.o.MinFreeBytes)+uint64(j.o.ReserveBytes) {
		w.reserve.restore(w, now)
	}
}

func (w *writer) errLow(free, keep uint64) error {
	return quantrac.Errorf(quantrac.Unavailable, "journal %s: disk full: %d MiB are free, the last %d MiB are kept for warnings; nothing of this was stored",
		w.j.dir, free>>20, keep>>20)
}

// free returns the free disk space where it matters and can be known.
func (w *writer) free() (uint64, bool) {
	if w.j.o.MinFreeBytes == 0 && w.j.o.ReserveBytes == 0 {
		return 0, false
	}
	free, err := w.j.fs.FreeBytes(w.j.dir)
	return free, err == nil
}

// refused counts what was refused and logs when that begins and ends.
func (w *writer) refused(g *group, full bool) {
	n := 0
	var err error
	for i := range g.calls {
		if g.calls[i].err != nil {
			n, err = n+1, g.calls[i].err
		}
	}
	if n > 0 || full != w.full {
		w.j.pub.Lock()
		w.j.pub.stats.Refused += uint64(n)
		w.j.pub.stats.Full = full
		w.j.pub.Unlock()
	}
	switch {
	case full && !w.full:
		w.j.o.Logger.Error("journal: disk full, only warnings and audit are taken", "dir", w.j.dir)
	case !full && w.full:
		w.j.o.Logger.Info("journal: disk space is back, everything is taken again", "dir", w.j.dir)
	case n > 0 && !full && !w.failing:
		w.j.o.Logger.Error("journal: append failed, and will be tried anew with the next one", "dir", w.j.dir, "error", err)
	case n == 0 && w.failing:
		w.j.o.Logger.Info("journal: appends succeed again", "dir", w.j.dir)
	}
	w.full, w.failing = full, n > 0 && !full
}

// publish shows a durable group to callbacks and readers.
func (w *writer) publish(g *group, last quantrac.Commit) {
	if len(w.callbacks) > 0 {
		for at := 0; at < len(g.buf); {
			fr := parseFrame(g.buf[at:])
			for _, fn := range w.callbacks {
				fn(fr.entry)
			}
			at += fr.size
		}
	}
	p := &w.j.pub
	p.Lock()
	defer p.Unlock()
	p.stats.Groups++
	p.stats.Bytes += uint64(len(g.buf))
	p.stats.Records += last.Number - p.last.Number
	p.ring.put(g.buf, last.Number+1)
	p.last = last
	p.segments[len(p.segments)-1].end = w.off
	p.wakeAll()
}

// write puts a group at the end of the journal and syncs it.
func (w *writer) write(buf []byte) error {
	if w.f == nil || w.off > headerSize && w.off+int64(len(buf)) > w.limit {
		if err := w.roll(); err != nil {
			return err
		}
	}
	n, err := w.f.WriteAt(buf, w.off)
	if err == nil && n < len(buf) {
		err = io.ErrShortWrite
	}
	if err != nil {
		// What got out of the group is cut off and the cut made durable, lest
		// remains of it get mixed with the next group in a crash.
		if cut := w.cut(); cut != nil {
			w.abandon()
			err = errors.Join(err, cut)
		}
		return err
	}
	if err := w.f.Sync(); err != nil {
		// The kernel may have thrown the pages away and call them clean: this
		// file is not written again.
		w.countSyncError()
		w.abandon()
		return fmt.Errorf("sync of %s failed: %w", w.path(), err)
	}
	w.off += int64(len(buf))
	return nil
}

func (w *writer) cut() error {
	if err := w.f.Truncate(w.off); err != nil {
		return err
	}
	if err := w.f.Sync(); err != nil {
		w.countSyncError()
		return err
	}
	return nil
}

func (w *writer) countSyncError() {
	w.j.pub.Lock()
	w.j.pub.stats.SyncErrors++
	w.j.pub.Unlock()
}

func (w *writer) path() string { return w.j.segmentPath(w.sequence) }

// abandon leaves the segment being written; the next write begins another one,
// whose header says from which commit it goes on.
func (w *writer) abandon() {
	if w.f != nil {
		if err := w.f.Close(); err != nil {
			w.j.o.Logger.Warn("journal: closing a segment", "path", w.f.Name(), "error", err)
		}
		w.f = nil
	}
}

// roll begins a new segment. The one before is not written to again even if
// this fails: what is left of the new one may say that it goes on from here.
func (w *writer) roll() error {
	w.abandon()
	w.sequence++ // also when it fails: a name is never used twice
	path := w.path()
	f, err := w.j.fs.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_EXCL, 0o640)
	if err != nil {
		return err
	}
	if err := w.begin(f); err != nil {
		// Best effort: without a good header the file counts for nothing, and
		// with one it is empty.
		_ = f.Close()
		_ = w.j.fs.Remove(path)
		return err
	}
	w.enter(f, w.j.o.SegmentBytes)
	w.spending = false
	return nil
}

// begin writes the header of a segment and makes file and name durable.
func (w *writer) begin(f vfs.File) error {
	h := header{
		epoch:    w.j.pub.epoch,
		sequence: w.sequence,
		first:    w.j.pub.last.Number + 1,
		previous: w.j.pub.last.Time,
		created:  w.j.o.Clock.Now(),
	}
	if _, err := f.WriteAt(h.encode(), 0); err != nil {
		return err
	}
	if err := f.Sync(); err != nil {
		w.countSyncError()
		return fmt.Errorf("sync of %s failed: %w", f.Name(), err)
	}
	return w.j.fs.SyncDir(w.j.dir)
}

// enter makes f, begun, the segment being written.
func (w *writer) enter(f vfs.File, limit int64) {
	w.f, w.off, w.limit = f, headerSize, limit
	p := &w.j.pub
	p.Lock()
	defer p.Unlock()
	p.segments = append(p.segments, segment{sequence: w.sequence, first: p.last.Number + 1, path: w.path(), end: headerSize})
}

// seal marks the clean end of the journal, so that damage to its last records
// cannot be taken for a torn write.
func (w *writer) seal() error {
	if w.f == nil {
		return nil
	}
	b := appendFrame(nil, &Record{}, bitSeal)
	finishFrame(b, 0, w.j.pub.last)
	if _, err := w.f.WriteAt(b, w.off); err != nil {
		if vfs.IsNoSpace(err) {
			return nil // it can be done without
		}
		return fmt.Errorf("journal: sealing: %w", err)
	}
	if err := w.f.Truncate(w.off + int64(len(b))); err != nil { // what a reserve leaves
		return fmt.Errorf("journal: sealing: %w", err)
	}
	if err := w.f.Sync(); err != nil {
		return fmt.Errorf("journal: sealing: %w", err)
	}
	return nil
}

// close closes the segment's file.
func (w *writer) close() error {
	if w.f == nil {
		return nil
	}
	err := w.f.Close()
	w.f = nil
	return err
}
