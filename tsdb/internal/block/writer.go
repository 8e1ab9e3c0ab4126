package block

import (
	"bufio"
	"encoding/binary"
	"fmt"
	"io"
	"slices"

	"quantrac"
	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/rows"
)

// Writer writes one block. Use NewWriter, Group for every group in the order of
// the labels, Finish; whoever made the file syncs and closes it.
type Writer struct {
	// Small, set before the first Group, makes chunks as small as they can be,
	// at several times the time: for blocks that are kept.
	Small bool
	// Clock, if set before the first Group, is what the commits of rows are told
	// by in a block that is written small.
	Clock *Clock

	// NoDays, set before the first Group, leaves out what the days come to: for
	// blocks that will soon be merged with others.
	NoDays bool

	// Groups, set before the first Group, is about how many there will be; 0
	// where nobody knows. It saves memory.
	Groups int

	w       *bufio.Writer
	info    Info
	symbols symbols
	entries []entry
	groups  int
	offset  int64
	enc     encoder
	pack    packer
	days    dayWriter
	buf     []byte

	cols  []int // of the group at hand, which has these
	names []string
}

// NewWriter begins a block of the partition that starts at the time.
func NewWriter(w io.Writer, partition int64) (*Writer, error) {
	b := &Writer{w: bufio.NewWriterSize(w, 256<<10), info: Info{Partition: partition}, symbols: newSymbols(), offset: headerSize}
	b.days.partition = partition
	header := make([]byte, headerSize)
	copy(header, magic)
	header[len(magic)] = Version
	_, err := b.w.Write(header)
	return b, err
}

// Group writes the rows of one group; properties are the names of t's columns.
// A table without rows is left out. Nothing is kept but the texts.
func (b *Writer) Group(labels quantrac.Labels, properties []string, t *rows.Table) error {
	if t.Len() == 0 {
		return nil
	}
	if b.Small && b.enc.small == nil {
		b.enc.small = &codec.Small{}
		b.days.small = b.enc.small
		b.enc.hand = hand{Clock: b.Clock}
	}
	b.cols, b.names = b.cols[:0], b.names[:0]
	for c := range t.Cols {
		if _, _, ok := span(t, c); ok {
			b.cols, b.names = append(b.cols, c), append(b.names, properties[c])
		}
	}
	if b.groups == 0 {
		b.symbols.grow(b.Groups)
	}
	packed := b.pack.takes(t, b.cols)
	if !packed || b.pack.full(t.Len(), b.names) {
		if err := b.endPack(); err != nil {
			return err
		}
	}
	b.symbols.labels(labels)
	b.groups++
	if packed {
		b.pack.add(b.names, t, b.cols)
		return nil
	}
	if !b.NoDays {
		b.days.group(b.groups-1, properties, t, b.cols)
	}
	return b.alone(t, b.cols, b.names)
}

// alone writes a group that has chunks of its own.
func (b *Writer) alone(t *rows.Table, cols []int, names []string) error {
	g := &Group{Properties: slices.Clone(names)}
	for _, c := range cols {
		first, last, _ := span(t, c)
		g.First, g.Last = append(g.First, first), append(g.Last, last)
	}
	for from := 0; from < t.Len(); {
		to := chunkEnd(t.Times, from, b.Small)
		size, cells, err := b.chunk(t, from, to, cols, names)
		if err != nil {
			return err
		}
		c := describe(t, from, to)
		c.Offset, c.Size = b.offset-int64(size), uint32(size)
		b.info.add(&c, cells)
		g.Chunks = append(g.Chunks, c)
		from = to
	}
	b.addEntry(entry{groups: 1, alone: g}, names)
	return nil
}

// endPack writes the groups that have been gathered.
func (b *Writer) endPack() error {
	p := &b.pack
	if len(p.rows) == 0 {
		return nil
	}
	cols := make([]int, len(p.properties))
	for i := range cols {
		cols[i] = i
	}
	if len(p.rows) == 1 {
		err := b.alone(&p.table, cols, p.properties)
		p.rows = p.rows[:0]
		return err
	}
	size, cells, err := b.chunk(&p.table, 0, p.table.Len(), cols, nil)
	if err != nil {
		return err
	}
	from := 0
	for _, n := range p.rows {
		c := describe(&p.table, from, from+int(n))
		b.info.add(&c, 0)
		from += int(n)
	}
	b.info.Cells += int64(cells)
	b.addEntry(entry{groups: len(p.rows), pack: p.appendMeta(nil, size)}, p.properties)
	p.rows = p.rows[:0]
	return nil
}

// chunk writes a chunk and returns its bytes and how many cells it has.
func (b *Writer) chunk(t *rows.Table, from, to int, cols []int, names []string) (size, cells int, err error) {
	b.buf, cells = b.enc.chunk(b.buf[:0], t, from, to, cols, names)
	_, err = b.w.Write(b.buf)
	b.offset += int64(len(b.buf))
	return len(b.buf), cells, err
}

func (b *Writer) addEntry(e entry, names []string) {
	for _, name := range names {
		e.properties = append(e.properties, b.symbols.number(name))
	}
	b.entries = append(b.entries, e)
}

// chunkEnd returns where the chunk ends that begins at row from: where the rows
// fill several, between two days and about in the middle, so that what is read
// of a chunk is seldom more than was wanted; else at its limit.
func chunkEnd(times []int64, from int, small bool) int {
	left := len(times) - from
	if left <= maxChunkRows || small && len(times) <= maxWholeRows && times[len(times)-1]-times[0] >= int64(len(times))*wholeApart {
		return len(times)
	}
	want := left / ((left + maxChunkRows - 1) / maxChunkRows)
	at := from + want
	for _, end := range []int64{DayEnd(times[at]) - dayLen, DayEnd(times[at])} {
		if k, _ := slices.BinarySearch(times, end+1); k > from+want/2 && k-from <= maxChunkRows {
			at = k
			break
		}
	}
	return at
}

// span returns the times of the first and last cell of a column.
func span(t *rows.Table, c int) (first, last int64, ok bool) {
	q := t.Cols[c].Qualities
	i, j := 0, len(q)-1
	for i < len(q) && q[i] == rows.Absent {
		i++
	}
	if i == len(q) {
		return 0, 0, false
	}
	for q[j] == rows.Absent {
		j--
	}
	return t.Times[i], t.Times[j], true
}

func describe(t *rows.Table, from, to int) Chunk {
	c := Chunk{
		Rows: uint32(to - from), First: t.Times[from], Last: t.Times[to-1], Flags: Simple,
		MinCommit: t.Commits[from], MaxCommit: t.Commits[from],
	}
	for i := from; i < to; i++ {
		c.MinCommit, c.MaxCommit = min(c.MinCommit, t.Commits[i]), max(c.MaxCommit, t.Commits[i])
		if t.Kinds[i] == rows.Human {
			c.Flags = c.Flags&^Simple | Humans
		}
		if i > 0 && t.Times[i] == t.Times[i-1] || i+1 < t.Len() && t.Times[i+1] == t.Times[i] {
			c.Flags &^= Simple // also where the other one is in the next chunk
		}
	}
	return c
}

// Finish writes index and footer and returns what the block holds.
func (b *Writer) Finish() (Info, error) {
	if err := b.endPack(); err != nil {
		return b.info, err
	}
	if b.groups == 0 {
		return b.info, fmt.Errorf("a block without rows")
	}
	for _, page := range b.days.finish() {
		if _, err := b.w.Write(page); err != nil {
			return b.info, err
		}
		b.offset += int64(len(page))
	}
	if b.Clock != nil && b.Clock.used {
		pages := b.Clock.appendPages(nil, b.offset, b.enc.small)
		if _, err := b.w.Write(pages); err != nil {
			return b.info, err
		}
		b.offset += int64(len(pages))
	}
	index := b.index()
	if len(index) > maxIndex {
		return b.info, fmt.Errorf("an index of %d bytes", len(index))
	}
	if _, err := b.w.Write(index); err != nil {
		return b.info, err
	}
	footer := make([]byte, footerSize)
	binary.LittleEndian.PutUint64(footer, uint64(b.offset))
	binary.LittleEndian.PutUint64(footer[8:], uint64(len(index)))
	binary.LittleEndian.PutUint32(footer[16:], checksum(index))
	footer[20] = Version
	if b.Small {
		footer[21] = footerSmall
	}
	copy(footer[24:], magic)
	if _, err := b.w.Write(footer); err != nil {
		return b.info, err
	}
	b.info.Small = b.Small
	b.info.Bytes = b.offset + int64(len(index)) + footerSize
	return b.info, b.w.Flush()
}
