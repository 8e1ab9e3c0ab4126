package block

import (
	"encoding/binary"
	"fmt"
	"io"
	"sync/atomic"

	"quantrac"
	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/files"
	"quantrac/tsdb/internal/rows"
)

// Reader reads an open block. Its methods may be called from any goroutine.
type Reader struct {
	f     *files.File
	path  string
	index *directory
	start int64 // of the index
	pack  atomic.Pointer[packTable]
}

// Open opens a block file and gives each of its groups to each, in the order of
// the file, with labels that the receiver may keep; the group is used again for
// the next. A nil each is not given any.
func Open(set *files.Set, path string, each func(position int, labels quantrac.Labels, g *Group) error) (*Reader, error) {
	f, err := set.Open(path)
	if err != nil {
		return nil, quantrac.WithKind(quantrac.Unavailable, err)
	}
	r := &Reader{f: f, path: path}
	if err = r.readIndex(); err == nil {
		err = r.groups(each)
	}
	if err != nil {
		_ = f.Close() // it was only read
		return nil, err
	}
	return r, nil
}

func (r *Reader) groups(each func(int, quantrac.Labels, *Group) error) error {
	defer r.index.forget()
	if each == nil {
		return nil
	}
	var failed error // of the receiver
	err := r.index.each(func(position int, labels quantrac.Labels, g *Group) error {
		failed = each(position, labels, g)
		return failed
	})
	if err != nil && failed == nil {
		err = r.corrupt(r.start, err)
	}
	return err
}

// Groups returns how many groups the block holds.
func (r *Reader) Groups() int { return r.index.groups }

// Group reads what the block holds of the group at a position of the file into
// g, whose slices are used again.
func (r *Reader) Group(position int, g *Group) error {
	if err := r.index.read(g, position); err != nil {
		return r.corrupt(r.start, err)
	}
	return nil
}

// Covering appends to dst the chunks that may have rows of a time, of the group at
// a position of the file, and says how many columns they have.
func (r *Reader) Covering(dst []Chunk, position int, t int64) (chunks []Chunk, columns int, err error) {
	chunks, columns, err = r.index.covering(dst, position, t)
	if err != nil {
		err = r.corrupt(r.start, err)
	}
	return chunks, columns, err
}

func (r *Reader) corrupt(offset int64, err error) error {
	return quantrac.Errorf(quantrac.Corrupt, "block %s, offset %d: %w", r.path, offset, err)
}

func (r *Reader) readAt(buf []byte, offset int64) error {
	n, err := r.f.ReadAt(buf, offset)
	if n == len(buf) {
		return nil
	}
	if err == io.EOF || err == nil {
		return r.corrupt(offset, fmt.Errorf("file ends after %d of %d bytes", n, len(buf)))
	}
	return quantrac.Errorf(quantrac.Unavailable, "block %s, offset %d: %w", r.path, offset, err)
}

func (r *Reader) readIndex() error {
	size := r.f.Size()
	if size < headerSize+footerSize {
		return r.corrupt(0, fmt.Errorf("%d bytes are no block", size))
	}
	var header [headerSize]byte
	if err := r.readAt(header[:], 0); err != nil {
		return err
	}
	var footer [footerSize]byte
	at := size - footerSize
	if err := r.readAt(footer[:], at); err != nil {
		return err
	}
	if string(header[:len(magic)]) != magic || string(footer[24:]) != magic {
		return r.corrupt(at, fmt.Errorf("no block: header %q, footer %q", header[:len(magic)], footer[24:]))
	}
	version := footer[20]
	if version < 1 || version > Version || header[len(magic)] != version {
		return r.corrupt(0, fmt.Errorf("format version %d, this program reads up to %d", version, Version))
	}
	offset, length := binary.LittleEndian.Uint64(footer[:]), binary.LittleEndian.Uint64(footer[8:])
	if offset < headerSize || length > uint64(size) || offset+length != uint64(at) {
		return r.corrupt(at, fmt.Errorf("index of %d bytes at %d in a file of %d", length, offset, size))
	}
	index := make([]byte, length)
	if err := r.readAt(index, int64(offset)); err != nil {
		return err
	}
	if checksum(index) != binary.LittleEndian.Uint32(footer[16:]) {
		return r.corrupt(int64(offset), errSum)
	}
	var err error
	if r.index, err = readIndex(index, version, int64(offset)); err != nil {
		return r.corrupt(int64(offset), err)
	}
	if r.index.clock != nil {
		r.index.clock.read = r.readTicks
	}
	r.index.info.Bytes, r.index.info.Small = size, footer[21] == footerSmall
	r.start = int64(offset)
	return nil
}

// Info sums up the block.
func (r *Reader) Info() Info { return r.index.info }

// Path returns the file's path.
func (r *Reader) Path() string { return r.path }

// Close closes the file.
func (r *Reader) Close() error { return r.f.Close() }

// Read reads a chunk of a group of so many columns; d and buf are for reuse,
// and d points into the returned buffer.
func (r *Reader) Read(d *Data, c *Chunk, columns int, buf []byte) ([]byte, error) {
	d.where = func(err error) error { return r.corrupt(c.Offset, err) }
	d.pack = nil
	if c.Of > 0 {
		p, err := r.packed(c, columns)
		if err != nil {
			return buf, err
		}
		if err := d.part(p, c); err != nil {
			return buf, d.where(err)
		}
		return buf, nil
	}
	if cap(buf) < int(c.Size) {
		buf = make([]byte, c.Size)
	}
	buf = buf[:c.Size]
	if err := r.readAt(buf, c.Offset); err != nil {
		return buf, err
	}
	if d.hand.Clock != r.index.clock {
		d.hand = hand{Clock: r.index.clock}
	}
	if err := d.parse(buf, c, columns); err != nil {
		return buf, r.corrupt(c.Offset, err)
	}
	return buf, nil
}

// glanceSize is how much of a chunk MayHave reads: the times of a station that
// speaks at an interval take less.
const glanceSize = 768

// MayHave says whether a chunk of a group of so many columns may have a row of a
// time. It reads the beginning of the chunk only, without checking it: damage
// can make it wrong, so that a no is good for what does no harm then. buf is for
// reuse.
func (r *Reader) MayHave(c *Chunk, columns int, t int64, buf []byte) (bool, []byte, error) {
	if c.Of > 0 {
		return true, buf, nil
	}
	n := min(int(c.Size), glanceSize)
	if cap(buf) < n {
		buf = make([]byte, glanceSize)
	}
	buf = buf[:n]
	if err := r.readAt(buf, c.Offset); err != nil {
		return true, buf, err
	}
	times, ok := glance(buf, columns)
	if !ok {
		return true, buf, nil
	}
	_, found, err := codec.FindTime(times, int(c.Rows), t)
	return found || err != nil, buf, nil
}

// glance finds the section of times in the beginning of a chunk, if it lies
// there whole.
func glance(data []byte, columns int) ([]byte, bool) {
	if len(data) < 4 {
		return nil, false
	}
	data = data[4:]
	size := uint64(0) // of the times, the third number
	for i := range 2 + sharedSections + 2*columns {
		v, n := binary.Uvarint(data)
		if n <= 0 {
			return nil, false
		}
		if i == 2 {
			size = v
		}
		data = data[n:]
	}
	return data[:min(size, uint64(len(data)))], size <= uint64(len(data))
}

// Table decodes a chunk whole into t, in the place of what that held; cols[i] is
// the column of t that takes the chunk's column i. Missing cells get the value nan.
func (d *Data) Table(t *rows.Table, cols []int, nan float64) error {
	columns := 0
	for _, c := range cols {
		columns = max(columns, c+1)
	}
	t.Reset(columns)
	var err error
	if t.Times, err = d.Times(t.Times); err != nil {
		return err
	}
	if t.Commits, err = d.Commits(t.Commits, t.Times, nil); err != nil {
		return err
	}
	if t.Received, err = d.Received(t.Received, t.Times); err != nil {
		return err
	}
	if t.Kinds, err = d.Kinds(t.Kinds); err != nil {
		return err
	}
	for i, c := range cols {
		if t.Cols[c], err = d.Column(t.Cols[c], i, nan); err != nil {
			return err
		}
	}
	for i := range t.Times {
		if i > 0 && (t.Times[i] < t.Times[i-1] || t.Times[i] == t.Times[i-1] && t.Commits[i] < t.Commits[i-1]) {
			return d.wrap("times", fmt.Errorf("row %d lies before the one before it", i))
		}
		t.Repeats = t.Repeats || i > 0 && t.Times[i] == t.Times[i-1]
		t.Humans = t.Humans || t.Kinds[i] == rows.Human
		t.MaxCommit = max(t.MaxCommit, t.Commits[i])
	}
	return nil
}
