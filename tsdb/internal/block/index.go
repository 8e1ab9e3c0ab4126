package block

import (
	"cmp"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"quantrac"
)

// The index: what Info says, the symbols (label names, label values,
// properties, each once, sorted, each behind what it shares with the one
// before), and the groups in the order of their chunks.

// spans says in a group's entry whether each property's first and last time
// stand there, or are all those of the group.
const (
	spansShared = 0
	spansOwn    = 1
)

func appendIndex(dst []byte, info *Info, groups []Group) []byte {
	dst = binary.AppendVarint(dst, info.Partition)
	dst = binary.AppendUvarint(dst, uint64(info.Rows))
	dst = binary.AppendUvarint(dst, uint64(info.Cells))
	dst = binary.AppendVarint(dst, info.First)
	dst = binary.AppendVarint(dst, info.Last)
	dst = binary.AppendUvarint(dst, info.MinCommit)
	dst = binary.AppendUvarint(dst, info.MaxCommit)

	numbers, symbols := symbolTable(groups)
	dst = binary.AppendUvarint(dst, uint64(len(symbols)))
	prev := ""
	for _, s := range symbols {
		n := 0
		for n < len(prev) && n < len(s) && prev[n] == s[n] {
			n++
		}
		dst = binary.AppendUvarint(dst, uint64(n))
		dst = appendString(dst, s[n:])
		prev = s
	}

	dst = binary.AppendUvarint(dst, uint64(len(groups)))
	for i := range groups {
		dst = appendGroup(dst, info, &groups[i], numbers)
	}
	return dst
}

func symbolTable(groups []Group) (map[string]uint64, []string) {
	numbers := map[string]uint64{}
	for i := range groups {
		for _, l := range groups[i].Labels {
			numbers[l.Name], numbers[l.Value] = 0, 0
		}
		for _, p := range groups[i].Properties {
			numbers[p] = 0
		}
	}
	symbols := make([]string, 0, len(numbers))
	for s := range numbers {
		symbols = append(symbols, s)
	}
	slices.Sort(symbols)
	for i, s := range symbols {
		numbers[s] = uint64(i)
	}
	return numbers, symbols
}

func appendGroup(dst []byte, info *Info, g *Group, numbers map[string]uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(g.Labels)))
	for _, l := range g.Labels {
		dst = binary.AppendUvarint(dst, numbers[l.Name])
		dst = binary.AppendUvarint(dst, numbers[l.Value])
	}
	dst = binary.AppendUvarint(dst, uint64(len(g.Properties)))
	for _, p := range g.Properties {
		dst = binary.AppendUvarint(dst, numbers[p])
	}
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

func readIndex(data []byte, indexOffset int64) (Info, []Group, error) {
	r := &indexReader{data: data, size: len(data)}
	var info Info
	info.Partition = r.varint()
	info.Rows = int64(r.uvarint())
	info.Cells = int64(r.uvarint())
	info.First, info.Last = r.varint(), r.varint()
	info.MinCommit, info.MaxCommit = r.uvarint(), r.uvarint()

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
	groups := make([]Group, r.count(12))
	offset := int64(headerSize)
	for i := range groups {
		if offset = r.group(&groups[i], &info, symbols, offset); r.err != nil {
			return info, nil, r.err
		}
	}
	if r.err == nil && len(r.data) > 0 {
		r.fail(fmt.Errorf("%d bytes after the last group", len(r.data)))
	}
	if r.err == nil && offset != indexOffset {
		r.fail(fmt.Errorf("chunks end at %d, the index begins at %d", offset, indexOffset))
	}
	return info, groups, r.err
}

func (r *indexReader) symbol(symbols []string) string {
	n := r.uvarint()
	if n >= uint64(len(symbols)) {
		r.fail(fmt.Errorf("symbol %d of %d", n, len(symbols)))
		return ""
	}
	return symbols[n]
}

// group reads a group whose first chunk is at offset and returns the offset
// after its last.
func (r *indexReader) group(g *Group, info *Info, symbols []string, offset int64) int64 {
	g.Labels = make(quantrac.Labels, r.count(2))
	for i := range g.Labels {
		g.Labels[i] = quantrac.Label{Name: r.symbol(symbols), Value: r.symbol(symbols)}
	}
	g.Properties = make([]string, r.count(1))
	for i := range g.Properties {
		g.Properties[i] = r.symbol(symbols)
	}
	n := len(g.Properties)
	g.First, g.Last = make([]int64, n), make([]int64, n)
	own := false
	switch b := r.bytes(1); {
	case r.err != nil:
	case b[0] == spansOwn:
		own = true
		for i := range n {
			g.First[i], g.Last[i] = int64(r.uvarint()), int64(r.uvarint())
		}
	case b[0] != spansShared:
		r.fail(fmt.Errorf("spans %d are unknown", b[0]))
	}
	g.Chunks = make([]Chunk, r.count(7))
	if len(g.Chunks) == 0 && r.err == nil {
		r.fail(errors.New("group without chunks"))
	}
	for i := range g.Chunks {
		c := &g.Chunks[i]
		size, rows := r.uvarint(), r.uvarint()
		if size > 1<<30 || rows > maxChunkRows || rows == 0 {
			r.fail(fmt.Errorf("chunk of %d bytes and %d rows", size, rows))
			return offset
		}
		c.Offset, c.Size, c.Rows = offset, uint32(size), uint32(rows)
		offset += int64(size)
		if b := r.bytes(1); r.err == nil {
			c.Flags = b[0]
		}
		c.First = info.First + int64(r.uvarint())
		c.Last = c.First + int64(r.uvarint())
		c.MinCommit = info.MinCommit + r.uvarint()
		c.MaxCommit = c.MinCommit + r.uvarint()
	}
	if r.err != nil {
		return offset
	}
	first, last := g.Chunks[0].First, g.Chunks[len(g.Chunks)-1].Last
	for i := range n {
		if own {
			g.First[i], g.Last[i] = first+g.First[i], last-g.Last[i]
		} else {
			g.First[i], g.Last[i] = first, last
		}
	}
	if err := g.Labels.Validate(); err != nil {
		r.fail(err)
	}
	if !slices.IsSortedFunc(g.Chunks, func(a, b Chunk) int { return cmp.Compare(a.First, b.First) }) {
		r.fail(errors.New("chunks are not in the order of time"))
	}
	return offset
}
