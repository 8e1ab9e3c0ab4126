package block

import (
	"cmp"
	"errors"
	"fmt"
	"slices"

	"quantrac"
)

// directory is the index of an open block. The entries of the groups stay the
// bytes they are: ten years of a network, or a million series, are many of
// them, and a query looks at few.
type directory struct {
	info    Info
	symbols []string // until Labels has been read of all groups; see forget
	names   map[uint64]string
	entries []byte
	at      []entryAt // by position of the group in the file
	days    map[string]*propertyDays
}

// entryAt says where a group's entry is and where its first chunk begins.
type entryAt struct {
	entry uint32
	chunk int64
}

// maxIndex bounds the entries of an index: they are found by 32 bits.
const maxIndex = 1 << 31

func readIndex(data []byte, version uint8, indexOffset int64) (*directory, error) {
	r := &indexReader{data: data, size: len(data)}
	d := &directory{names: map[uint64]string{}, days: map[string]*propertyDays{}}
	r.info(&d.info)
	d.symbols = r.symbols()
	if err := d.scan(r); err != nil {
		return nil, err
	}
	end := d.end()
	if version > 1 && r.err == nil {
		end = r.days(d, end)
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

func (r *indexReader) symbols() []string {
	symbols := make([]string, r.count(2))
	prev := ""
	for i := range symbols {
		shared := r.uvarint()
		rest := r.bytes(r.count(1))
		if shared > uint64(len(prev)) {
			r.fail(fmt.Errorf("symbol %d shares %d bytes with one of %d", i, shared, len(prev)))
			break
		}
		symbols[i] = prev[:shared] + string(rest)
		prev = symbols[i]
		if len(prev) > quantrac.MaxLabelValueBytes {
			r.fail(fmt.Errorf("symbol %d has %d bytes", i, len(prev)))
			break
		}
	}
	return symbols
}

// scan finds and checks the entries, and the names of their properties.
func (d *directory) scan(r *indexReader) error {
	n := r.count(12)
	all, before := r.data, r.size-len(r.data)
	if len(all) > maxIndex {
		r.fail(fmt.Errorf("%d bytes of entries", len(all)))
	}
	d.at = make([]entryAt, 0, n+1)
	offset := int64(headerSize)
	var g Group
	for range n {
		d.at = append(d.at, entryAt{uint32(len(all) - len(r.data)), offset})
		r.group(&g, d, offset, nil)
		if r.err != nil {
			return r.err
		}
		last := &g.Chunks[len(g.Chunks)-1]
		offset = last.Offset + int64(last.Size)
	}
	if r.err != nil {
		return r.err
	}
	d.entries = all[:r.size-before-len(r.data)]
	d.at = append(d.at, entryAt{uint32(len(d.entries)), offset}) // the end
	return nil
}

// end returns where the last chunk ends.
func (d *directory) end() int64 { return d.at[len(d.at)-1].chunk }

// forget lets go of what only labels need.
func (d *directory) forget() { d.symbols = nil }

// name returns a property's name by its symbol, one copy of it.
func (d *directory) name(r *indexReader) string {
	n := r.uvarint()
	if s, ok := d.names[n]; ok {
		return s
	}
	if n >= uint64(len(d.symbols)) {
		r.fail(fmt.Errorf("symbol %d of %d", n, len(d.symbols)))
		return ""
	}
	d.names[n] = d.symbols[n]
	return d.symbols[n]
}

// group reads an entry whose first chunk is at offset into g, whose slices are
// used again; of the labels only those that pass is nil for are skipped.
func (r *indexReader) group(g *Group, d *directory, offset int64, labels *quantrac.Labels) {
	for range r.count(2) {
		name, value := r.uvarint(), r.uvarint()
		switch {
		case labels == nil || r.err != nil:
		case name >= uint64(len(d.symbols)) || value >= uint64(len(d.symbols)):
			r.fail(fmt.Errorf("label %d of %d symbols", max(name, value), len(d.symbols)))
		default:
			*labels = append(*labels, quantrac.Label{Name: d.symbols[name], Value: d.symbols[value]})
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
		if size > 1<<30 || rows > maxChunkRows || rows == 0 {
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

// read reads the entry at a position of the file.
func (d *directory) read(g *Group, position int, labels *quantrac.Labels) error {
	at := d.at[position]
	end := d.at[position+1].entry
	r := indexReader{data: d.entries[at.entry:end], size: int(end)}
	r.group(g, d, at.chunk, labels)
	return r.err
}

// covering appends to dst the chunks of the group at a position that may have
// rows of a time, and says how many columns they have. It skips the rest of the
// entry, which opening the block has checked.
func (d *directory) covering(dst []Chunk, position int, t int64) (chunks []Chunk, columns int, err error) {
	at := d.at[position]
	end := d.at[position+1].entry
	r := indexReader{data: d.entries[at.entry:end], size: int(end)}
	r.skip(2 * r.uvarint())
	properties := r.uvarint()
	r.skip(properties)
	if b := r.bytes(1); r.err == nil && b[0] == spansOwn {
		r.skip(2 * properties)
	}
	offset := at.chunk
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
