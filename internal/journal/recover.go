package journal

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"sort"
	"strings"

	"quantrac"
	"quantrac/internal/vfs"
)

// found is a segment file as recovery sees it.
type found struct {
	segment
	header
	size int64
}

// recover finds the segments, repairs the end of the last one and settles
// where the journal goes on.
func (j *Journal) recover() error {
	files, err := j.findSegments()
	if err != nil {
		return err
	}
	j.pub.epoch = 0
	for i, s := range files {
		if i > 0 && (s.header.first < files[i-1].header.first || s.epoch < files[i-1].epoch) {
			return corrupt(s.path, 0, "the segment begins at commit %d of epoch %d, the one before it at commit %d of epoch %d",
				s.header.first, s.epoch, files[i-1].header.first, files[i-1].epoch)
		}
		j.pub.segments = append(j.pub.segments, s.segment)
		j.pub.epoch = s.epoch
	}
	if len(files) == 0 {
		return nil
	}
	last := files[len(files)-1]
	f, err := j.fs.OpenFile(last.path, os.O_RDWR, 0)
	if err != nil {
		return fmt.Errorf("journal: %w", err)
	}
	j.w.f, j.w.limit = f, j.o.SegmentBytes
	return j.recoverLast(f, last)
}

// findSegments reads the headers of all segment files, oldest first. A file
// that was begun and never got a durable header counts for nothing and is
// removed.
func (j *Journal) findSegments() ([]found, error) {
	names, err := j.fs.ReadDir(j.dir)
	if err != nil {
		return nil, fmt.Errorf("journal: %w", err)
	}
	var files []found
	removed := false
	for _, name := range names {
		path := filepath.Join(j.dir, name)
		if strings.HasSuffix(name, ".tmp") { // of a write that a crash cut short
			if err := j.fs.Remove(path); err != nil {
				return nil, fmt.Errorf("journal: %w", err)
			}
			continue
		}
		sequence, ok := segmentSequence(name)
		if !ok {
			continue
		}
		j.w.sequence = max(j.w.sequence, sequence)
		s, herr := j.readHeader(path, sequence)
		if errors.Is(herr, errNoHeader) {
			j.o.Logger.Warn("journal: removing a segment that was never used", "path", path, "reason", herr)
			if err := j.fs.Remove(path); err != nil {
				return nil, fmt.Errorf("journal: %w", err)
			}
			removed = true
			continue
		}
		if herr != nil {
			return nil, herr
		}
		files = append(files, s)
	}
	sort.Slice(files, func(a, b int) bool { return files[a].sequence() < files[b].sequence() })
	if removed || len(files) > 0 {
		// The newest file may have been begun just before a crash of the
		// process; its name must last before anything is acknowledged in it.
		if err := j.fs.SyncDir(j.dir); err != nil {
			return nil, fmt.Errorf("journal: %w", err)
		}
	}
	return files, nil
}

func (s found) sequence() uint64 { return s.segment.sequence }

// errNoHeader marks a segment file without a header and without records.
var errNoHeader = errors.New("no header")

func (j *Journal) readHeader(path string, sequence uint64) (found, error) {
	f, err := j.fs.Open(path)
	if err != nil {
		return found{}, fmt.Errorf("journal: %w", err)
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return found{}, fmt.Errorf("journal: %w", err)
	}
	var b [headerSize]byte
	n, err := f.ReadAt(b[:], 0)
	if err != nil && err != io.EOF {
		return found{}, fmt.Errorf("journal: %w", err)
	}
	h, err := decodeHeader(b[:n])
	switch {
	case errors.Is(err, errVersion):
		return found{}, quantrac.Errorf(quantrac.Invalid, "journal: %s: %w", path, err)
	case err != nil:
		// Records are only ever written behind a header that has been synced.
		s := scanner{f: f, path: path, end: size}
		next, serr := s.find(0, 1)
		if serr != nil {
			return found{}, serr
		}
		if next != nil {
			return found{}, corrupt(path, 0, "%v, and records follow at offset %d", err, next.off)
		}
		return found{}, fmt.Errorf("%w: %w", errNoHeader, err)
	case h.sequence != sequence:
		return found{}, corrupt(path, 24, "the segment is number %d by its header", h.sequence)
	}
	return found{segment: segment{sequence: sequence, first: h.first, path: path}, header: h, size: size}, nil
}

// end is what recovery learns of the last segment.
type end struct {
	last  quantrac.Commit
	good  int64 // offset behind the last whole call
	group int64 // offset of the last group that has a whole call
	clean bool  // the journal was closed
	why   error // what is wrong behind good, nil where nothing is there
}

// recoverLast reads the last segment, cuts a torn end off, and makes sure that
// what is left is on the disk.
func (j *Journal) recoverLast(f vfs.File, s found) error {
	e, err := j.scanLast(f, s)
	if err != nil {
		return err
	}
	if e.why != nil {
		j.o.Logger.Warn("journal: cutting a torn end", "path", s.path, "offset", e.good, "bytes", s.size-e.good, "last_commit", e.last.Number, "reason", e.why)
	}
	if err := j.settle(f, s, e); err != nil {
		return fmt.Errorf("journal: recovering %s: %w", s.path, err)
	}
	j.pub.last, j.w.off = e.last, e.good
	j.pub.segments[len(j.pub.segments)-1].end = e.good
	return nil
}

// settle makes the recovered end durable. What a former process wrote may be
// readable and yet not on the disk, even taken for clean by the kernel if a
// sync had failed. The header and the last group, which nothing behind them
// proves to have been synced, are therefore written again in place.
func (j *Journal) settle(f vfs.File, s found, e end) error {
	if !e.clean {
		for _, part := range [][2]int64{{0, headerSize}, {e.group, e.good}} {
			if err := rewrite(f, part[0], part[1]); err != nil {
				return err
			}
		}
	}
	if s.size > e.good {
		if err := f.Truncate(e.good); err != nil {
			return err
		}
	}
	return f.Sync()
}

// rewrite writes the bytes between two offsets again as they are.
func rewrite(f vfs.File, from, to int64) error {
	b := make([]byte, to-from)
	if _, err := f.ReadAt(b, from); err != nil && (err != io.EOF || len(b) > 0) {
		return err
	}
	_, err := f.WriteAt(b, from)
	return err
}

// scanLast reads the records of the last segment up to its end or the first
// damage, and decides whether damage is the torn end of a write that was never
// acknowledged or loss of what was.
func (j *Journal) scanLast(f vfs.File, s found) (end, error) {
	e := end{last: j.Correct(quantrac.Commit{Number: s.header.first - 1, Time: s.previous}), good: headerSize, group: headerSize}
	r := frameReader{f: f, path: s.path, off: headerSize, end: s.size}
	seen, group := e.last, int64(headerSize) // also of calls that are not whole
	for {
		at := r.off
		fr, err := r.next()
		if err == io.EOF {
			if e.good < at {
				e.why = fmt.Errorf("the last append ends after its commit %d", seen.Number)
			}
			return e, nil
		}
		if quantrac.KindOf(err) == quantrac.Corrupt {
			e.why = err
			return e, judge(f, s, at, seen.Number+1, err)
		}
		if err != nil {
			return e, err
		}
		if fr.bits&bitSeal != 0 {
			if fr.entry.Number != seen.Number || e.good < at || r.off < s.size {
				return e, corrupt(s.path, at, "the mark of a clean end after commit %d stands where commit %d was read last", fr.entry.Number, seen.Number)
			}
			e.clean = true
			return e, nil
		}
		c := j.Correct(fr.entry.Commit)
		if c.Number != seen.Number+1 || c.Time < seen.Time {
			return e, corrupt(s.path, at, "commit %d of %s follows commit %d of %s", c.Number, c.Time, seen.Number, seen.Time)
		}
		seen = c
		if fr.index == 0 {
			group = at
		}
		if fr.bits&bitMore == 0 {
			e.last, e.good, e.group = seen, r.off, group
		}
	}
}
