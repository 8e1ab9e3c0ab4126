package commits

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"quantrac"
	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/files"
)

// Version of the file format.
const Version = 1

const (
	magic      = "qtrcmmts"
	headerSize = 16 // magic, version, zeros
	footerSize = 32 // directory offset, length, checksum, version, magic
	pageLen    = 1024
)

// castagnoli is the table of CRC-32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// page is up to pageLen commits, read together.
type page struct {
	offset      int64
	size        int
	count       int
	first, last quantrac.Commit    // as they count
	said        [2]quantrac.Commit // the two as the file has them
}

// File is an open file of commits.
type File struct {
	f       *files.File
	correct func(quantrac.Commit) quantrac.Commit // nil where all times are right
	path    string
	pages   []page
	first   quantrac.Commit
	last    quantrac.Commit
	count   int
	changes []*Change // only until a Log has taken them
}

// Path returns the file's path.
func (f *File) Path() string { return f.path }

// Size returns the file's length in bytes.
func (f *File) Size() int64 { return f.f.Size() }

// Count returns the number of commits.
func (f *File) Count() int { return f.count }

// Close closes the file.
func (f *File) Close() error { return f.f.Close() }

// Open opens a file of commits. Their times are those of the clock then; correct
// says, if it is not nil, what they count as: where the clock was wrong.
func Open(set *files.Set, path string, correct func(quantrac.Commit) quantrac.Commit) (*File, error) {
	h, err := set.Open(path)
	if err != nil {
		return nil, quantrac.WithKind(quantrac.Unavailable, err)
	}
	f := &File{f: h, path: path, correct: correct}
	if err := f.open(); err != nil {
		_ = h.Close() // it was only read
		return nil, err
	}
	return f, nil
}

// counted returns a commit of the file with the time that it counts as made at.
func (f *File) counted(c quantrac.Commit) quantrac.Commit {
	if f.correct == nil {
		return c
	}
	return f.correct(c)
}

func (f *File) corrupt(offset int64, err error) error {
	return quantrac.Errorf(quantrac.Corrupt, "commits %s, offset %d: %w", f.path, offset, err)
}

func (f *File) readAt(buf []byte, offset int64) error {
	n, err := f.f.ReadAt(buf, offset)
	if n == len(buf) {
		return nil
	}
	if err == io.EOF || err == nil {
		return f.corrupt(offset, fmt.Errorf("file ends after %d of %d bytes", n, len(buf)))
	}
	return quantrac.Errorf(quantrac.Unavailable, "commits %s, offset %d: %w", f.path, offset, err)
}

func (f *File) open() error {
	size := f.Size()
	at := size - footerSize
	if at < headerSize {
		return f.corrupt(0, fmt.Errorf("%d bytes are no file of commits", size))
	}
	var footer [footerSize]byte
	if err := f.readAt(footer[:], at); err != nil {
		return err
	}
	if string(footer[24:]) != magic {
		return f.corrupt(at, fmt.Errorf("no file of commits: footer %q", footer[24:]))
	}
	if footer[20] != Version {
		return f.corrupt(at, fmt.Errorf("format version %d, this program reads %d", footer[20], Version))
	}
	offset, length := binary.LittleEndian.Uint64(footer[:]), binary.LittleEndian.Uint64(footer[8:])
	if offset < headerSize || length > uint64(size) || offset+length != uint64(at) {
		return f.corrupt(at, fmt.Errorf("directory of %d bytes at %d in a file of %d", length, offset, size))
	}
	dir := make([]byte, length)
	if err := f.readAt(dir, int64(offset)); err != nil {
		return err
	}
	if checksum(dir) != binary.LittleEndian.Uint32(footer[16:]) {
		return f.corrupt(int64(offset), errSum)
	}
	if err := f.directory(dir, int64(offset)); err != nil {
		return f.corrupt(int64(offset), err)
	}
	return nil
}

var (
	errSum   = errors.New("checksum does not match")
	errShort = errors.New("directory is cut short")
)

func (f *File) directory(dir []byte, end int64) error {
	short := false
	uvarint := func() uint64 {
		v, n := binary.Uvarint(dir)
		if n <= 0 {
			short, dir = true, nil
			return 0
		}
		dir = dir[n:]
		return v
	}
	text := func() string {
		n := uvarint()
		if n > uint64(len(dir)) {
			short, dir = true, nil
			return ""
		}
		s := string(dir[:n])
		dir = dir[n:]
		return s
	}
	commit := func() quantrac.Commit {
		n, t := uvarint(), uvarint()
		return quantrac.Commit{Number: n, Time: quantrac.Millis(int64(t>>1) ^ -int64(t&1))}
	}
	offset, before := int64(headerSize), quantrac.Commit{}
	for n := uvarint(); n > 0 && !short; n-- {
		p := page{offset: offset, size: int(min(uvarint(), 1<<30)), count: int(min(uvarint(), 1<<30)), first: commit(), last: commit()}
		if p.count < 1 || p.count > pageLen || p.first.Number > p.last.Number || p.first.Time > p.last.Time ||
			len(f.pages) > 0 && (p.first.Number <= before.Number || p.first.Time < before.Time) {
			return fmt.Errorf("page of %d commits from %v to %v after %v", p.count, p.first, p.last, before)
		}
		offset, before = offset+int64(p.size), p.last
		p.said = [2]quantrac.Commit{p.first, p.last}
		p.first, p.last = f.counted(p.first), f.counted(p.last)
		f.last = p.last
		f.count += p.count
		f.pages = append(f.pages, p)
	}
	for n := uvarint(); n > 0 && !short; n-- {
		c := &Change{Commit: uvarint()}
		if len(dir) == 0 {
			return errShort
		}
		c.Revocation = dir[0] == 1
		dir = dir[1:]
		c.Author, c.Reason, c.Correction = text(), text(), text()
		f.changes = append(f.changes, c)
	}
	switch {
	case short:
		return errShort
	case len(dir) > 0 || len(f.pages) == 0 || offset != end:
		return fmt.Errorf("%d pages end at %d, the directory begins at %d and %d bytes of it are left", len(f.pages), offset, end, len(dir))
	}
	f.first = f.pages[0].first
	return nil
}

// read returns the commits of a page.
func (f *File) read(p *page) ([]quantrac.Commit, error) {
	buf := make([]byte, p.size)
	if err := f.readAt(buf, p.offset); err != nil {
		return nil, err
	}
	out, err := decodePage(buf, p)
	if err != nil {
		return nil, f.corrupt(p.offset, err)
	}
	for i := range out {
		out[i] = f.counted(out[i])
	}
	return out, nil
}

func decodePage(buf []byte, p *page) ([]quantrac.Commit, error) {
	if len(buf) < 5 || binary.LittleEndian.Uint32(buf) != checksum(buf[4:]) {
		return nil, errSum
	}
	size, n := binary.Uvarint(buf[4:])
	buf = buf[4+max(n, 0):]
	if n <= 0 || size > uint64(len(buf)) {
		return nil, errors.New("page is cut short")
	}
	numbers, err := codec.ReadInts(nil, buf[:size], p.count)
	if err != nil {
		return nil, fmt.Errorf("numbers: %w", err)
	}
	times, err := codec.ReadInts(nil, buf[size:], p.count)
	if err != nil {
		return nil, fmt.Errorf("times: %w", err)
	}
	out := make([]quantrac.Commit, p.count)
	for i := range out {
		out[i] = quantrac.Commit{Number: uint64(numbers[i]), Time: quantrac.Millis(times[i])}
	}
	if out[0] != p.said[0] || out[p.count-1] != p.said[1] {
		return nil, fmt.Errorf("page holds %v to %v, the directory says %v to %v", out[0], out[p.count-1], p.said[0], p.said[1])
	}
	return out, nil
}

// pageOf reads the first page that passes; nil where none does.
func (f *File) pageOf(passes func(*page) bool) ([]quantrac.Commit, error) {
	for i := range f.pages {
		if passes(&f.pages[i]) {
			return f.read(&f.pages[i])
		}
	}
	return nil, nil
}

// Verify reads every page; damage is an error of kind Corrupt.
func (f *File) Verify() error {
	for i := range f.pages {
		if _, err := f.read(&f.pages[i]); err != nil {
			return err
		}
	}
	return nil
}

// Span returns the first and the last commit.
func (f *File) Span() (first, last quantrac.Commit) { return f.first, f.last }
