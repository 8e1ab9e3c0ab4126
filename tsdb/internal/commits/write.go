package commits

import (
	"bufio"
	"encoding/binary"
	"errors"
	"io"

	"quantrac"
	"quantrac/tsdb/internal/codec"
)

// Write writes commits, at least one, and changes to w as a file.
func Write(w io.Writer, all []quantrac.Commit, changes []*Change) error {
	e := newFileWriter(w)
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
}

func newFileWriter(w io.Writer) *fileWriter {
	return &fileWriter{w: bufio.NewWriterSize(w, 64<<10)}
}

func (e *fileWriter) write(b []byte) error {
	n, err := e.w.Write(b)
	e.offset += int64(n)
	return err
}

// page writes commits: checksum, size of the numbers, numbers, times.
func (e *fileWriter) page(cs []quantrac.Commit) error {
	if e.offset == 0 {
		header := make([]byte, headerSize)
		copy(header, magic)
		header[len(magic)] = Version
		if err := e.write(header); err != nil {
			return err
		}
	}
	e.ints = e.ints[:0]
	for _, c := range cs {
		e.ints = append(e.ints, int64(c.Number))
	}
	numbers := codec.AppendInts(nil, e.ints)
	e.ints = e.ints[:0]
	for _, c := range cs {
		e.ints = append(e.ints, int64(c.Time))
	}
	e.buf = append(e.buf[:0], 0, 0, 0, 0)
	e.buf = binary.AppendUvarint(e.buf, uint64(len(numbers)))
	e.buf = codec.AppendInts(append(e.buf, numbers...), e.ints)
	binary.LittleEndian.PutUint32(e.buf, checksum(e.buf[4:]))
	e.pages = append(e.pages, page{offset: e.offset, size: len(e.buf), count: len(cs), first: cs[0], last: cs[len(cs)-1]})
	return e.write(e.buf)
}

// finish writes the directory, in which the changes stand too, and the footer.
func (e *fileWriter) finish(changes []*Change) error {
	if len(e.pages) == 0 {
		return errors.New("a file of no commits")
	}
	dir := binary.AppendUvarint(nil, uint64(len(e.pages)))
	for _, p := range e.pages {
		dir = binary.AppendUvarint(dir, uint64(p.size))
		dir = binary.AppendUvarint(dir, uint64(p.count))
		for _, c := range []quantrac.Commit{p.first, p.last} {
			dir = binary.AppendUvarint(dir, c.Number)
			dir = binary.AppendVarint(dir, int64(c.Time))
		}
	}
	dir = binary.AppendUvarint(dir, uint64(len(changes)))
	for _, c := range changes {
		flag := byte(0)
		if c.Revocation {
			flag = 1
		}
		dir = append(binary.AppendUvarint(dir, c.Commit), flag)
		for _, s := range []string{c.Author, c.Reason, c.Correction} {
			dir = append(binary.AppendUvarint(dir, uint64(len(s))), s...)
		}
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
	copy(footer[24:], magic)
	if err := e.write(footer); err != nil {
		return err
	}
	return e.w.Flush()
}

// Merge writes the commits of the files of a log from position from to before
// to, and their changes, to w as one file.
func (l *Log) Merge(w io.Writer, from, to int) error {
	files := l.Files()[from:to]
	e := newFileWriter(w)
	var pending []quantrac.Commit
	for _, f := range files {
		for i := range f.pages {
			cs, err := f.read(&f.pages[i])
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
