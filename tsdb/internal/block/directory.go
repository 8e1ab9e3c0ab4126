package block

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"sort"
	"strings"
	"sync/atomic"

	"quantrac"
)

// directory is the index of an open block. The entries of the groups stay the
// bytes they are: ten years of a network, or a million series, are many of
// them, and a query looks at few.
type directory struct {
	info    Info
	version uint8
	symbols texts // until the labels of all groups have been read; see forget
	names   map[uint64]string
	entries []byte
	at      []entryAt // of entries; one more for the end
	groups  int
	days    map[string]*propertyDays
	daysEnd int64  // where the pages of days end
	clock   *Clock // nil for none

	last atomic.Pointer[packEntry] // the pack that was read last
}

// entryAt says where an entry is, the position of its first group in the file,
// and where its first chunk begins.
type entryAt struct {
	entry, group uint32
	chunk        int64
}

// maxIndex bounds the entries of an index: they are found by 32 bits.
const maxIndex = 1 << 31

func readIndex(data []byte, version uint8, indexOffset int64) (*directory, error) {
	r := &indexReader{data: data, size: len(data)}
	d := &directory{version: version, names: map[uint64]string{}, days: map[string]*propertyDays{}}
	r.info(&d.info)
	d.symbols = r.symbols()
	if err := d.scan(r); err != nil {
		return nil, err
	}
	end := d.end()
	if version > 1 && r.err == nil {
		end = r.days(d, end)
	}
	d.daysEnd = end
	if version > 3 && r.err == nil {
		end = r.clock(d, end)
	}
	if r.err == nil && len(r.data) > 0 {
		r.fail(fmt.Errorf("%d bytes after the last entry", len(r.data)))
	}
	if r.err == nil && end != indexOffset {
		r.fail(fmt.Errorf("what is indexed ends at %d, the index begins at %d", end, indexOffset))
	}
	return d, r.err
}

func (r *indexReader) info(info *Info) {
	info.Partition = r.varint()
	info.Rows = int64(r.uvarint())
	info.Cells = int64(r.uvarint())
	info.First, info.Last = r.varint(), r.varint()
	info.MinCommit, info.MaxCommit = r.uvarint(), r.uvarint()
}

// scan finds and checks the entries, and the names of their properties.
func (d *directory) scan(r *indexReader) error {
	least := 12 // bytes of a group
	if d.version > 2 {
		least = 2
	}
	n := r.count(least)
	all, before := r.data, r.size-len(r.data)
	if len(all) > maxIndex {
		r.fail(fmt.Errorf("%d bytes of entries", len(all)))
	}
	offset := int64(headerSize)
	var g Group
	var p packEntry
	for d.groups < n && r.err == nil {
		d.at = append(d.at, entryAt{uint32(len(all) - len(r.data)), uint32(d.groups), offset})
		if r.isPack(d) {
			r.pack(&p, d, offset)
			r.bytes(r.count(1)) // labels
			offset += int64(p.chunk.Size)
			d.groups += len(p.skip)
			continue
		}
		if r.group(&g, d, offset, nil); r.err == nil {
			last := &g.Chunks[len(g.Chunks)-1]
			offset = last.Offset + int64(last.Size)
		}
		d.groups++
	}
	if r.err == nil && d.groups > n {
		r.fail(fmt.Errorf("%d groups, %d were announced", d.groups, n))
	}
	if r.err != nil {
		return r.err
	}
	d.entries = all[:r.size-before-len(r.data)]
	d.at = append(d.at, entryAt{uint32(len(d.entries)), uint32(n), offset}) // the end
	return nil
}

// isPack reads the kind of an entry, which earlier versions have not.
func (r *indexReader) isPack(d *directory) bool {
	if d.version < 3 {
		return false
	}
	kind := r.bytes(1)
	if r.err != nil {
		return false
	}
	if kind[0] > entryPack {
		r.fail(fmt.Errorf("an entry of kind %d", kind[0]))
	}
	return kind[0] == entryPack
}

// end returns where the last chunk ends.
func (d *directory) end() int64 { return d.at[len(d.at)-1].chunk }

// forget lets go of what only labels need.
func (d *directory) forget() {
	d.symbols = texts{}
	var left []byte
	var p packEntry
	for i := range len(d.at) - 1 {
		at := &d.at[i]
		entry := d.entries[at.entry:d.at[i+1].entry]
		r := indexReader{data: entry, size: len(entry)}
		if r.isPack(d) {
			r.pack(&p, d, 0)
			entry = entry[:len(entry)-len(r.data)]
		}
		at.entry = uint32(len(left))
		left = append(left, entry...)
	}
	d.at[len(d.at)-1].entry = uint32(len(left))
	d.entries = slices.Clip(left)
}

// name returns a property's name by its symbol, one copy of it.
func (d *directory) name(r *indexReader) string {
	n := r.uvarint()
	if s, ok := d.names[n]; ok {
		return s
	}
	if n >= uint64(d.symbols.count()) {
		r.fail(fmt.Errorf("symbol %d of %d", n, d.symbols.count()))
		return ""
	}
	d.names[n] = strings.Clone(d.symbols.at(n))
	return d.names[n]
}

// group reads an entry whose first chunk is at offset into g, whose slices are
// used again; of the labels only those that pass is nil for are skipped.
func (r *indexReader) group(g *Group, d *directory, offset int64, labels *quantrac.Labels) {
	for range r.count(2) {
		name, value := r.uvarint(), r.uvarint()
		switch {
		case labels == nil || r.err != nil:
		case max(name, value) >= uint64(d.symbols.count()):
			r.fail(fmt.Errorf("label %d of %d symbols", max(name, value), d.symbols.count()))
		default:
			*labels = append(*labels, quantrac.Label{Name: d.symbols.at(name), Value: d.symbols.at(value)})
		}
	}
	g.Properties = g.Properties[:0]
	for range r.count(1) {
		g.Properties = append(g.Properties, d.name(r))
	}
	own := r.spans(g)
	r.chunks(g, &d.info, offset)
	if r.err != nil {
		return
	}
	first, last := g.Chunks[0].First, g.Chunks[len(g.Chunks)-1].Last
	for i := range g.Properties {
		if own {
			g.First[i], g.Last[i] = first+g.First[i], last-g.Last[i]
		} else {
			g.First[i], g.Last[i] = first, last
		}
	}
}

// spans reads how the first and last times of properties differ from the
// group's, if they do.
func (r *indexReader) spans(g *Group) (own bool) {
	g.First = append(g.First[:0], make([]int64, len(g.Properties))...)
	g.Last = append(g.Last[:0], make([]int64, len(g.Properties))...)
	b := r.bytes(1)
	if r.err != nil {
		return false
	}
	switch b[0] {
	case spansShared:
		return false
	case spansOwn:
		for i := range g.Properties {
			g.First[i], g.Last[i] = int64(r.uvarint()), int64(r.uvarint())
		}
		return true
	}
	r.fail(fmt.Errorf("spans %d are unknown", b[0]))
	return false
}

func (r *indexReader) chunks(g *Group, info *Info, offset int64) {
	n := r.count(7)
	if n == 0 && r.err == nil {
		r.fail(errors.New("group without chunks"))
	}
	g.Chunks = g.Chunks[:0]
	for range n {
		size, rows := r.uvarint(), r.uvarint()
		if size > 1<<30 || rows > maxWholeRows || rows == 0 {
			r.fail(fmt.Errorf("chunk of %d bytes and %d rows", size, rows))
			return
		}
		c := Chunk{Offset: offset, Size: uint32(size), Rows: uint32(rows)}
		offset += int64(size)
		if b := r.bytes(1); r.err == nil {
			c.Flags = b[0]
		}
		c.First = info.First + int64(r.uvarint())
		c.Last = c.First + int64(r.uvarint())
		c.MinCommit = info.MinCommit + r.uvarint()
		c.MaxCommit = c.MinCommit + r.uvarint()
		g.Chunks = append(g.Chunks, c)
	}
	if !slices.IsSortedFunc(g.Chunks, func(a, b Chunk) int { return cmp.Compare(a.First, b.First) }) {
		r.fail(errors.New("chunks are not in the order of time"))
	}
}

// each reads all entries and gives each group to f, with its labels.
func (d *directory) each(f func(position int, labels quantrac.Labels, g *Group) error) error {
	var g Group
	var p packEntry
	for i := range len(d.at) - 1 {
		r := d.reader(i)
		first := int(d.at[i].group)
		if !r.isPack(d) {
			labels := quantrac.Labels{}
			r.group(&g, d, d.at[i].chunk, &labels)
			if err := cmp.Or(r.err, labels.Validate()); err != nil {
				return err
			}
			if err := f(first, labels, &g); err != nil {
				return err
			}
			continue
		}
		r.pack(&p, d, d.at[i].chunk)
		ls := packLabels{indexReader: indexReader{data: r.bytes(r.count(1))}}
		ls.size = len(ls.data)
		if r.err != nil {
			return r.err
		}
		for k := range p.skip {
			labels := ls.next(d)
			if err := cmp.Or(r.err, ls.err, labels.Validate()); err != nil {
				return err
			}
			p.group(&g, k)
			if err := f(first+k, labels, &g); err != nil {
				return err
			}
		}
	}
	return nil
}

// reader returns a reader of entry i.
func (d *directory) reader(i int) indexReader {
	end := d.at[i+1].entry
	return indexReader{data: d.entries[d.at[i].entry:end], size: int(end)}
}

// entryOf returns the number of the entry with the group at a position.
func (d *directory) entryOf(position int) int {
	if len(d.at) == d.groups+1 {
		return position // there are no packs
	}
	return sort.Search(len(d.at), func(i int) bool { return int(d.at[i].group) > position }) - 1
}

// read reads what there is of the group at a position of the file.
func (d *directory) read(g *Group, position int) error {
	i := d.entryOf(position)
	if p := d.last.Load(); p != nil && p.number == i {
		p.group(g, position-int(d.at[i].group))
		return nil
	}
	r := d.reader(i)
	if !r.isPack(d) {
		r.group(g, d, d.at[i].chunk, nil)
		return r.err
	}
	p := &packEntry{}
	r.pack(p, d, d.at[i].chunk)
	if r.err != nil {
		return r.err
	}
	p.number = i
	d.last.Store(p)
	p.group(g, position-int(d.at[i].group))
	return nil
}

// covering appends to dst the chunks of the group at a position that may have
// rows of a time, and says how many columns they have. It skips the rest of the
// entry, which opening the block has checked.
func (d *directory) covering(dst []Chunk, position int, t int64) (chunks []Chunk, columns int, err error) {
	i := d.entryOf(position)
	r := d.reader(i)
	if r.isPack(d) {
		return d.coveringPacked(dst, position, t)
	}
	r.skip(2 * r.uvarint())
	properties := r.uvarint()
	r.skip(properties)
	if b := r.bytes(1); r.err == nil && b[0] == spansOwn {
		r.skip(2 * properties)
	}
	offset := d.at[i].chunk
	for range r.count(7) {
		size, rows := r.uvarint(), r.uvarint()
		flags := r.bytes(1)
		first := d.info.First + int64(r.uvarint())
		last := first + int64(r.uvarint())
		if r.err != nil || first > t {
			break // they are in the order of time
		}
		if last < t {
			r.skip(2)
		} else {
			c := Chunk{Offset: offset, Size: uint32(size), Rows: uint32(rows), Flags: flags[0], First: first, Last: last}
			c.MinCommit = d.info.MinCommit + r.uvarint()
			c.MaxCommit = c.MinCommit + r.uvarint()
			dst = append(dst, c)
		}
		offset += int64(size)
	}
	return dst, int(properties), r.err
}

// coveringPacked is covering for a group of a pack.
func (d *directory) coveringPacked(dst []Chunk, position int, t int64) (chunks []Chunk, columns int, err error) {
	var g Group
	if err := d.read(&g, position); err != nil {
		return dst, 0, err
	}
	if c := g.Chunks[0]; c.First <= t && c.Last >= t {
		dst = append(dst, c)
	}
	return dst, len(g.Properties), nil
}
