package block

import (
	"encoding/binary"
	"errors"
	"fmt"
)

// The index: what Info says, the symbols (label names, label values,
// properties, each once, sorted, each behind what it shares with the one
// before), and entries of the groups in the order of their chunks: of a group by
// itself, or of a pack.

// spans says in a group's entry whether each property's first and last time
// stand there, or are all those of the group.
const (
	spansShared = 0
	spansOwn    = 1
)

// entry is a group, or a pack of them, on its way into the index.
type entry struct {
	groups     int
	properties []uint32 // by number of the symbol
	alone      *Group   // nil of a pack
	pack       []byte   // what a pack says of its chunk and groups
}

// index returns the bytes of the index.
func (b *Writer) index() []byte {
	info := &b.info
	dst := make([]byte, 0, 64+12*b.groups)
	dst = binary.AppendVarint(dst, info.Partition)
	dst = binary.AppendUvarint(dst, uint64(info.Rows))
	dst = binary.AppendUvarint(dst, uint64(info.Cells))
	dst = binary.AppendVarint(dst, info.First)
	dst = binary.AppendVarint(dst, info.Last)
	dst = binary.AppendUvarint(dst, info.MinCommit)
	dst = binary.AppendUvarint(dst, info.MaxCommit)
	days := map[string]uint32{}
	for _, p := range b.days.properties {
		days[p.name] = b.symbols.number(p.name)
	}
	dst, rank := b.symbols.table(dst)
	codes := &codeReader{codes: b.symbols.codes, rank: rank}
	dst = binary.AppendUvarint(dst, uint64(b.groups))
	for i := range b.entries {
		dst = appendEntry(dst, info, &b.entries[i], codes)
	}
	dst = b.days.appendIndex(dst, func(name string) uint64 { return uint64(rank[days[name]]) })
	return b.Clock.appendIndex(dst)
}

func appendEntry(dst []byte, info *Info, e *entry, codes *codeReader) []byte {
	if e.alone == nil {
		dst = append(dst, entryPack)
		dst = binary.AppendUvarint(dst, uint64(e.groups))
		dst = appendProperties(dst, e, codes)
		dst = append(dst, e.pack...)
		return appendPackLabels(dst, e.groups, codes)
	}
	dst = append(dst, entryAlone)
	labels, _ := codes.next()
	dst = binary.AppendUvarint(dst, uint64(len(labels)))
	for _, l := range labels {
		dst = binary.AppendUvarint(dst, l.name)
		dst = binary.AppendUvarint(dst, l.value)
	}
	dst = appendProperties(dst, e, codes)
	return appendChunks(dst, info, e.alone)
}

func appendProperties(dst []byte, e *entry, codes *codeReader) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(e.properties)))
	for _, p := range e.properties {
		dst = binary.AppendUvarint(dst, uint64(codes.rank[p]))
	}
	return dst
}

// appendChunks writes spans and chunks of a group.
func appendChunks(dst []byte, info *Info, g *Group) []byte {
	first, last := g.Chunks[0].First, g.Chunks[len(g.Chunks)-1].Last
	own := false
	for i := range g.Properties {
		own = own || g.First[i] != first || g.Last[i] != last
	}
	if own {
		dst = append(dst, spansOwn)
		for i := range g.Properties {
			dst = binary.AppendUvarint(dst, uint64(g.First[i]-first))
			dst = binary.AppendUvarint(dst, uint64(last-g.Last[i]))
		}
	} else {
		dst = append(dst, spansShared)
	}
	dst = binary.AppendUvarint(dst, uint64(len(g.Chunks)))
	for i := range g.Chunks {
		c := &g.Chunks[i]
		dst = binary.AppendUvarint(dst, uint64(c.Size))
		dst = binary.AppendUvarint(dst, uint64(c.Rows))
		dst = append(dst, c.Flags)
		dst = binary.AppendUvarint(dst, uint64(c.First-info.First))
		dst = binary.AppendUvarint(dst, uint64(c.Last-c.First))
		dst = binary.AppendUvarint(dst, c.MinCommit-info.MinCommit)
		dst = binary.AppendUvarint(dst, c.MaxCommit-c.MinCommit)
	}
	return dst
}

// indexReader walks an index.
type indexReader struct {
	data []byte
	size int
	err  error
}

func (r *indexReader) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("index, byte %d: %w", r.size-len(r.data), err)
	}
	r.data = nil
}

func (r *indexReader) uvarint() uint64 {
	v, n := binary.Uvarint(r.data)
	if n <= 0 {
		r.fail(errors.New("number is cut short"))
		return 0
	}
	r.data = r.data[n:]
	return v
}

// skip goes past so many numbers.
func (r *indexReader) skip(n uint64) {
	for i, b := range r.data {
		if n == 0 {
			r.data = r.data[i:]
			return
		}
		if b < 0x80 {
			n--
		}
	}
	if r.data = r.data[len(r.data):]; n > 0 {
		r.fail(errors.New("numbers are cut short"))
	}
}

func (r *indexReader) varint() int64 {
	u := r.uvarint()
	return int64(u>>1) ^ -int64(u&1)
}

// count reads how many things follow that take at least size bytes each.
func (r *indexReader) count(size int) int {
	n := r.uvarint()
	if n > uint64(len(r.data)/size) {
		r.fail(fmt.Errorf("%d things announced in %d bytes", n, len(r.data)))
		return 0
	}
	return int(n)
}

func (r *indexReader) bytes(n int) []byte {
	if n > len(r.data) {
		r.fail(errors.New("bytes are cut short"))
		return nil
	}
	b := r.data[:n]
	r.data = r.data[n:]
	return b
}
