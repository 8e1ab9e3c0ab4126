package commits

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"sort"
	"sync/atomic"

	"quantrac"
	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/files"
)

// Version of the file format that is written; every one up to it is read.
// Version 1 had no pages in seconds, version 2 no numbers told by their runs,
// version 3 none told by the rhythm in which they come, and a directory that told
// each commit for itself.
const Version = 4

const (
	magic      = "qtrcmmts"
	headerSize = 16 // magic, version, zeros
	footerSize = 32 // directory offset, length, checksum, version, how, magic
	// footerMerged, behind the version, says that the file was written by Merge.
	footerMerged = 1
	pageLen      = 8192

	// Flags of a change, the latter two of one by the author or for the reason of the
	// one before.
	flagRevocation = 1
	flagAuthor     = 2
	flagReason     = 4

	// Units of the times of a page, in ms.
	inMillis  = 1
	inSeconds = 1000
)

// castagnoli is the table of CRC-32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// page is up to pageLen commits, read together.
type page struct {
	offset      int64
	size, count uint32
	first, last quantrac.Commit // as the file has them
}

// File is an open file of commits.
type File struct {
	f       *files.File
	version uint8
	merged  bool
	correct func(quantrac.Commit) quantrac.Commit // nil where all times are right
	path    string
	pages   []page
	first   quantrac.Commit
	last    quantrac.Commit
	count   int
	changes []*Change // only until a Log has taken them
	recent  atomic.Pointer[decoded]
}

// decoded is a page that has been read.
type decoded struct {
	page    int
	commits []quantrac.Commit
}

// Path returns the file's path.
func (f *File) Path() string { return f.path }

// Size returns the file's length in bytes.
func (f *File) Size() int64 { return f.f.Size() }

// Merged says whether Merge wrote the file.
func (f *File) Merged() bool { return f.merged }

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
	if f.version = footer[20]; f.version < 1 || f.version > Version {
		return f.corrupt(at, fmt.Errorf("format version %d, this program reads up to %d", f.version, Version))
	}
	f.merged = footer[21] == footerMerged
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

// directory reads what is where; the pages end at end.
func (f *File) directory(dir []byte, end int64) error {
	r := dirReader{data: dir, version: f.version}
	offset, before := int64(headerSize), quantrac.Commit{}
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		p := page{offset: offset, size: uint32(min(r.uvarint(), 1<<30)), count: uint32(min(r.uvarint(), 1<<30)), first: r.commit(), last: r.commit()}
		if p.count < 1 || p.count > pageLen || p.first.Number > p.last.Number || p.first.Time > p.last.Time ||
			len(f.pages) > 0 && (p.first.Number <= before.Number || p.first.Time < before.Time) {
			return fmt.Errorf("page of %d commits from %v to %v after %v", p.count, p.first, p.last, before)
		}
		offset, before = offset+int64(p.size), p.last
		f.count += int(p.count)
		f.pages = append(f.pages, p)
	}
	last := &Change{}
	for n := r.uvarint(); n > 0 && r.err == nil; n-- {
		last = r.change(last)
		f.changes = append(f.changes, last)
	}
	switch {
	case r.err != nil:
		return r.err
	case len(r.data) > 0 || len(f.pages) == 0 || offset != end:
		return fmt.Errorf("%d pages end at %d, the directory begins at %d and %d bytes of it are left", len(f.pages), offset, end, len(r.data))
	}
	f.first, f.last = f.counted(f.pages[0].first), f.counted(before)
	return nil
}

// dirReader walks a directory; after a failure every read gives zero.
type dirReader struct {
	data    []byte
	version uint8
	before  quantrac.Commit // the one read last
	err     error
}

func (r *dirReader) fail() { r.err, r.data = errShort, nil }

func (r *dirReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.fail()
		return 0
	}
	r.data = r.data[n:]
	return v
}

func (r *dirReader) commit() quantrac.Commit {
	n, t := r.uvarint(), r.uvarint()
	c := quantrac.Commit{Number: n, Time: quantrac.Millis(int64(t>>1) ^ -int64(t&1))}
	if r.version > 3 {
		c.Number, c.Time = c.Number+r.before.Number, c.Time+r.before.Time
		r.before = c
	}
	return c
}

// text reads a text that may share its beginning with another.
func (r *dirReader) text(before string) string {
	same := uint64(0)
	if r.version > 1 {
		same = r.uvarint()
	}
	n := r.uvarint()
	if n > uint64(len(r.data)) || same > uint64(len(before)) {
		r.fail()
		return ""
	}
	s := before[:same]
	if n > 0 {
		s += string(r.data[:n])
	}
	r.data = r.data[n:]
	return s
}

func (r *dirReader) change(before *Change) *Change {
	c := &Change{Commit: r.uvarint()}
	if len(r.data) == 0 {
		r.fail()
		return c
	}
	flags := r.data[0]
	r.data = r.data[1:]
	if r.version > 3 {
		c.Commit += before.Commit
	} else {
		flags &= flagRevocation
	}
	c.Revocation = flags&flagRevocation != 0
	if c.Author = before.Author; flags&flagAuthor == 0 {
		c.Author = r.text(before.Author)
	}
	if c.Reason = before.Reason; flags&flagReason == 0 {
		c.Reason = r.text(before.Reason)
	}
	c.Correction = r.text(before.Correction)
	return c
}

// read returns the commits of a page.
func (f *File) read(p *page) ([]quantrac.Commit, error) {
	buf := make([]byte, p.size)
	if err := f.readAt(buf, p.offset); err != nil {
		return nil, err
	}
	out, err := decodePage(buf, p, f.version)
	if err != nil {
		return nil, f.corrupt(p.offset, err)
	}
	for i := range out {
		out[i] = f.counted(out[i])
	}
	return out, nil
}

// cached is read of the page at a position; of every file one page is kept,
// because who asks for one commit asks for others made about then. It is not to
// be changed.
func (f *File) cached(k int) ([]quantrac.Commit, error) {
	if d := f.recent.Load(); d != nil && d.page == k {
		return d.commits, nil
	}
	cs, err := f.read(&f.pages[k])
	if err != nil {
		return nil, err
	}
	f.recent.Store(&decoded{k, cs})
	return cs, nil
}

func decodePage(buf []byte, p *page, version uint8) ([]quantrac.Commit, error) {
	if len(buf) < 5 || binary.LittleEndian.Uint32(buf) != checksum(buf[4:]) {
		return nil, errSum
	}
	buf = buf[4:]
	unit := uint64(inMillis)
	if version > 1 {
		var n int
		if unit, n = binary.Uvarint(buf); n <= 0 || unit != inMillis && unit != inSeconds {
			return nil, fmt.Errorf("times in units of %d ms, want %d or %d", unit, inMillis, inSeconds)
		}
		buf = buf[n:]
	}
	size, n := binary.Uvarint(buf)
	if n <= 0 || size > uint64(len(buf)-n) {
		return nil, errors.New("page is cut short")
	}
	buf = buf[n:]
	numbers, err := codec.ReadInts(nil, buf[:size], int(p.count))
	if err != nil {
		return nil, fmt.Errorf("numbers: %w", err)
	}
	times, err := codec.ReadInts(nil, buf[size:], int(p.count))
	if err != nil {
		return nil, fmt.Errorf("times: %w", err)
	}
	out := make([]quantrac.Commit, p.count)
	for i := range out {
		if version > 3 {
			numbers[i] += int64(i)
		}
		out[i] = quantrac.Commit{Number: uint64(numbers[i]), Time: quantrac.Millis(times[i] * int64(unit))}
	}
	if out[0] != p.first || out[p.count-1] != p.last {
		return nil, fmt.Errorf("page holds %v to %v, the directory says %v to %v", out[0], out[p.count-1], p.first, p.last)
	}
	return out, nil
}

// holding returns the position of the page that holds a commit, if one does.
func (f *File) holding(number uint64) int {
	return sort.Search(len(f.pages), func(k int) bool { return f.pages[k].last.Number >= number })
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
