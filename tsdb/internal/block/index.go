package block

import (
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

// entry is a group on its way into the index.
type entry struct {
	labels quantrac.Labels
	Group
}

func appendIndex(dst []byte, info *Info, groups []entry, days *dayWriter) []byte {
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
	return days.appendIndex(dst, numbers)
}

func symbolTable(groups []entry) (map[string]uint64, []string) {
	numbers := map[string]uint64{}
	for i := range groups {
		for _, l := range groups[i].labels {
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

func appendGroup(dst []byte, info *Info, g *entry, numbers map[string]uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(g.labels)))
	for _, l := range g.labels {
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
