package journal

import (
	"context"
	"errors"
	"io"
	"io/fs"
	"iter"

	"quantrac"
	"quantrac/internal/vfs"
)

// Tail iterates over the entries after commit number after, in order, and
// waits for more until ctx ends or the journal closes, which it reports as the
// last, with any other error: Corrupt for damage, NotFound where the entries
// wanted have been dropped, Conflict for an after that lies beyond the newest
// commit. An entry's Data are valid until the step returns; where kinds are named,
// entries of all others come without. A reader that keeps up reads from memory,
// one that falls behind from the files; writers never wait for it.
func (j *Journal) Tail(ctx context.Context, after uint64, of ...quantrac.RecordKind) iter.Seq2[Entry, error] {
	return func(yield func(Entry, error) bool) {
		c := cursor{j: j, next: after + 1, wanted: of}
		defer c.close()
		for {
			wake, err := c.available(ctx)
			if err != nil {
				yield(Entry{}, err)
				return
			}
			if wake != nil {
				select {
				case <-wake:
				case <-ctx.Done():
				}
				continue
			}
			if err := c.read(ctx, func(e Entry) error {
				if !yield(e, nil) {
					return errStop
				}
				return nil
			}); err != nil {
				if err != errStop {
					yield(Entry{}, err)
				}
				return
			}
		}
	}
}

// errStop says that whoever reads wants no more.
var errStop = errors.New("stop")

// Replay calls fn with the entries after commit number after, in order, up to
// the newest one there was at the call. It stops at the first error, fn's
// included, and returns it. Errors are those of Tail.
func (j *Journal) Replay(ctx context.Context, after uint64, fn func(Entry) error) error {
	last := j.Last().Number
	c := cursor{j: j, next: after + 1}
	defer c.close()
	if after > last {
		_, err := c.available(ctx)
		return err
	}
	for c.next <= last {
		if _, err := c.available(ctx); err != nil {
			return err
		}
		if err := c.read(ctx, func(e Entry) error {
			if e.Number > last {
				return errStop
			}
			return fn(e)
		}); err == errStop {
			return nil
		} else if err != nil {
			return err
		}
	}
	return nil
}

// cursor is a reader's place in the journal.
type cursor struct {
	j    *Journal
	next uint64 // number of the commit to be read next

	wanted kinds

	buf  []byte // frames copied from the ring
	hint uint64 // position of next in the ring

	f       vfs.File // segment being read, nil where none is
	segment segment
	frames  frameReader
}

// ringRead is about how much is copied from the ring at once, in bytes.
const ringRead = 128 << 10

// available returns nil when there is something to read at the cursor, else a
// channel that is closed when there may be.
func (c *cursor) available(ctx context.Context) (<-chan struct{}, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	p := &c.j.pub
	p.Lock()
	defer p.Unlock()
	switch {
	case p.closed:
		return nil, c.j.errClosed()
	case c.next > p.last.Number+1:
		return nil, quantrac.Errorf(quantrac.Conflict,
			"journal %s ends at commit %d, but its reader has already seen commit %d: one of the two is not of this data folder or was restored from an older copy",
			c.j.dir, p.last.Number, c.next-1)
	case c.next <= p.last.Number:
		return nil, nil
	}
	if p.wake == nil {
		p.wake = make(chan struct{})
	}
	return p.wake, nil
}

// read calls fn with some of the entries from the cursor on.
func (c *cursor) read(ctx context.Context, fn func(Entry) error) error {
	p := &c.j.pub
	p.Lock()
	buf, hint, ok := p.ring.read(c.buf[:0], c.next, c.hint, ringRead, c.wanted)
	last := p.last.Number
	p.Unlock()
	c.buf, c.hint = buf, hint
	if !ok {
		return c.readFiles(ctx, last, fn)
	}
	c.close()
	for at := 0; at < len(buf); {
		fr := parseHead(buf[at:])
		size := frameSize
		if c.wanted.has(fr.entry.Kind) {
			size = fr.size
			fr.entry.Data = buf[at+frameSize : at+size : at+size]
		}
		at += size
		if err := c.step(ctx, fr.entry, fn); err != nil {
			return err
		}
	}
	return nil
}

// step hands one entry on.
func (c *cursor) step(ctx context.Context, e Entry, fn func(Entry) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if c.j.closing.Load() {
		return c.j.errClosed()
	}
	if e.Number != c.next {
		return quantrac.Errorf(quantrac.Corrupt, "journal %s: commit %d follows where %d was expected", c.j.dir, e.Number, c.next)
	}
	c.next++
	e.Commit = c.j.Correct(e.Commit)
	return fn(e)
}

// readFiles reads the rest of one segment, up to commit number last.
func (c *cursor) readFiles(ctx context.Context, last uint64, fn func(Entry) error) error {
	end, err := c.openSegment()
	if err != nil {
		return err
	}
	last = min(last, end)
	for c.next <= last {
		at := c.frames.off
		fr, err := c.frames.next()
		if err == io.EOF || err == nil && fr.bits&bitSeal != 0 {
			return corrupt(c.segment.path, at, "the segment ends before commit %d; it should hold all up to %d", c.next, last)
		}
		if err != nil {
			return err
		}
		switch n := fr.entry.Number; {
		case n < c.next && n >= c.segment.first:
			continue // on the way to the place wanted
		case n != c.next:
			return corrupt(c.segment.path, at, "commit %d where %d was expected", n, c.next)
		}
		if !c.wanted.has(fr.entry.Kind) {
			fr.entry.Data = nil
		}
		if err := c.step(ctx, fr.entry, fn); err != nil {
			return err
		}
	}
	return nil
}

// openSegment makes sure that the segment of the next commit is open, at a
// place before it, and returns the number of the last commit it holds now.
func (c *cursor) openSegment() (end uint64, err error) {
	seg, end, err := c.j.findSegment(c.next)
	if err != nil {
		return 0, err
	}
	if c.f == nil || c.segment.sequence != seg.sequence {
		c.close()
		f, err := c.j.fs.Open(seg.path)
		if errors.Is(err, fs.ErrNotExist) {
			return 0, c.j.errDropped(c.next)
		}
		if err != nil {
			return 0, quantrac.WithKind(quantrac.Unavailable, err)
		}
		c.f, c.segment = f, seg
		c.frames = frameReader{f: f, path: seg.path, off: headerSize, buf: c.frames.buf[:0]}
	}
	// Not beyond: what is not durable yet may still change.
	c.frames.end = seg.end
	if seg.end == 0 {
		if c.frames.end, err = c.f.Size(); err != nil {
			return 0, quantrac.WithKind(quantrac.Unavailable, err)
		}
	}
	return end, nil
}

func (c *cursor) close() {
	if c.f != nil {
		_ = c.f.Close() // it was only read
		c.f = nil
	}
}

// findSegment returns the segment of a commit and the last commit it holds now.
func (j *Journal) findSegment(number uint64) (seg segment, end uint64, err error) {
	p := &j.pub
	p.Lock()
	defer p.Unlock()
	if number < p.segments[0].first {
		return segment{}, 0, j.errDroppedBefore(number, p.segments[0].first)
	}
	i := len(p.segments) - 1
	for p.segments[i].first > number {
		i--
	}
	end = p.last.Number
	if i < len(p.segments)-1 {
		end = p.segments[i+1].first - 1
	}
	return p.segments[i], end, nil
}

func (j *Journal) errDropped(number uint64) error { return j.errDroppedBefore(number, j.First()) }

func (j *Journal) errDroppedBefore(number, first uint64) error {
	return quantrac.Errorf(quantrac.NotFound, "journal %s: commit %d is no longer there, the oldest is %d", j.dir, number, first)
}
