package commits

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"quantrac"
	"quantrac/tsdb/internal/codec"
)

// Write writes commits, at least one, and changes to w as a file, with their
// times as they are.
func Write(w io.Writer, all []quantrac.Commit, changes []*Change) error {
	e := newFileWriter(w, nil)
	for len(all) > 0 {
		n := min(pageLen, len(all))
		if err := e.page(all[:n]); err != nil {
			return err
		}
		all = all[n:]
	}
	return e.finish(changes)
}

type fileWriter struct {
	w      *bufio.Writer
	offset int64
	pages  []page
	ints   []int64
	buf    []byte
	small  *codec.Small // of pages that are kept: as small as can be, and in seconds
}

func newFileWriter(w io.Writer, small *codec.Small) *fileWriter {
	return &fileWriter{w: bufio.NewWriterSize(w, 64<<10), small: small}
}

func (e *fileWriter) write(b []byte) error {
	n, err := e.w.Write(b)
	e.offset += int64(n)
	return err
}

func (e *fileWriter) whole(dst []byte) []byte {
	if e.small == nil {
		return codec.AppendInts(dst, e.ints)
	}
	return e.small.AppendInts(dst, e.ints, nil)
}

// UpToSecond is a time, or the second that ends after it: what a time is once
// files of commits have been merged. For every whole second the commits up to it
// are the same as before.
func UpToSecond(t quantrac.Millis) quantrac.Millis {
	rest := t % inSeconds
	if rest > 0 {
		rest -= inSeconds
	}
	return t - rest
}

// page writes commits: checksum, unit of the times, size of the numbers,
// numbers, times.
func (e *fileWriter) page(cs []quantrac.Commit) error {
	if e.offset == 0 {
		header := make([]byte, headerSize)
		copy(header, magic)
		header[len(magic)] = Version
		if err := e.write(header); err != nil {
			return err
		}
	}
	unit := quantrac.Millis(inMillis)
	first, last := cs[0], cs[len(cs)-1]
	if e.small != nil {
		unit = inSeconds
		first.Time, last.Time = UpToSecond(first.Time), UpToSecond(last.Time)
	}
	e.ints = e.ints[:0]
	for i, c := range cs {
		e.ints = append(e.ints, int64(c.Number)-int64(i))
	}
	numbers := e.whole(nil)
	e.ints = e.ints[:0]
	for _, c := range cs {
		if e.small != nil {
			c.Time = UpToSecond(c.Time)
		}
		e.ints = append(e.ints, int64(c.Time/unit))
	}
	e.buf = binary.AppendUvarint(append(e.buf[:0], 0, 0, 0, 0), uint64(unit))
	e.buf = binary.AppendUvarint(e.buf, uint64(len(numbers)))
	e.buf = e.whole(append(e.buf, numbers...))
	binary.LittleEndian.PutUint32(e.buf, checksum(e.buf[4:]))
	e.pages = append(e.pages, page{offset: e.offset, size: uint32(len(e.buf)), count: uint32(len(cs)), first: first, last: last})
	return e.write(e.buf)
}

// finish writes the directory, in which the changes stand too, and the footer.
func (e *fileWriter) finish(changes []*Change) error {
	if len(e.pages) == 0 {
		return errors.New("a file of no commits")
	}
	dir := binary.AppendUvarint(nil, uint64(len(e.pages)))
	var before quantrac.Commit
	for _, p := range e.pages {
		dir = binary.AppendUvarint(dir, uint64(p.size))
		dir = binary.AppendUvarint(dir, uint64(p.count))
		for _, c := range []quantrac.Commit{p.first, p.last} {
			dir = binary.AppendUvarint(dir, c.Number-before.Number)
			dir = binary.AppendVarint(dir, int64(c.Time-before.Time))
			before = c
		}
	}
	dir = binary.AppendUvarint(dir, uint64(len(changes)))
	last := &Change{}
	for _, c := range changes {
		dir = appendChange(dir, c, last)
		last = c
	}
	at := e.offset
	if err := e.write(dir); err != nil {
		return err
	}
	footer := make([]byte, footerSize)
	binary.LittleEndian.PutUint64(footer, uint64(at))
	binary.LittleEndian.PutUint64(footer[8:], uint64(len(dir)))
	binary.LittleEndian.PutUint32(footer[16:], checksum(dir))
	footer[20] = Version
	if e.small != nil {
		footer[21] = footerMerged
	}
	copy(footer[24:], magic)
	if err := e.write(footer); err != nil {
		return err
	}
	return e.w.Flush()
}

// appendChange appends a change by what it has in common with the one before.
func appendChange(dst []byte, c, before *Change) []byte {
	flags := byte(0)
	if c.Revocation {
		flags = flagRevocation
	}
	if c.Author == before.Author {
		flags |= flagAuthor
	}
	if c.Reason == before.Reason {
		flags |= flagReason
	}
	dst = append(binary.AppendUvarint(dst, c.Commit-before.Commit), flags)
	text := func(s, before string) {
		n := shared(s, before)
		dst = binary.AppendUvarint(dst, uint64(n))
		dst = append(binary.AppendUvarint(dst, uint64(len(s)-n)), s[n:]...)
	}
	if flags&flagAuthor == 0 {
		text(c.Author, before.Author)
	}
	if flags&flagReason == 0 {
		text(c.Reason, before.Reason)
	}
	text(c.Correction, before.Correction)
	return dst
}

// shared returns how many bytes two strings begin with alike.
func shared(a, b string) int {
	n := 0
	for n < len(a) && n < len(b) && a[n] == b[n] {
		n++
	}
	return n
}

// Merge writes the commits of the files of a log from position from to before
// to, and their changes, to w as one file, with their times UpToSecond.
func (l *Log) Merge(w io.Writer, from, to int) error {
	files := l.Files()[from:to]
	e := newFileWriter(w, &codec.Small{})
	var pending []quantrac.Commit
	for _, f := range files {
		for k := range f.pages {
			cs, err := f.read(&f.pages[k])
			if err != nil {
				return err
			}
			pending = append(pending, cs...)
			for len(pending) >= pageLen {
				if err := e.page(pending[:pageLen]); err != nil {
					return err
				}
				pending = append(pending[:0], pending[pageLen:]...)
			}
		}
	}
	if len(pending) > 0 {
		if err := e.page(pending); err != nil {
			return err
		}
	}
	l.mu.RLock()
	changes := l.changesBetween(files[0].first.Number, files[len(files)-1].last.Number)
	l.mu.RUnlock()
	return e.finish(changes)
}
