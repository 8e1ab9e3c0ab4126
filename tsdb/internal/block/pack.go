package block

import (
	"encoding/binary"
	"slices"

	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/rows"
)

// Groups of few rows share a chunk: of a million series with a value each, what
// stands before a value would be many times what it takes. The rows of neighbours
// in the file, as long as they have the same properties, lie one group after the
// other in the chunk; the entry of the pack in the index says in columns what the
// entries of the groups would.

const (
	maxPackedRows   = 32   // of a group that is packed
	maxPackedGroups = 256  // of a pack
	maxPackedCells  = 1024 // of a pack: who reads one group decodes them all
)

// Kinds of entries.
const (
	entryAlone = 0
	entryPack  = 1
)

// packer gathers neighbours.
type packer struct {
	properties []string
	table      rows.Table // the rows of all, by property
	rows       []int64    // of each group
	parts      [packParts][]int64
	section    []byte
}

// takes says whether the rows of a group can be packed, its properties being
// those of columns cols.
func (p *packer) takes(t *rows.Table, cols []int) bool {
	if t.Len() > maxPackedRows || describe(t, 0, t.Len()).Flags != Simple {
		return false
	}
	for _, c := range cols {
		if first, last, _ := span(t, c); first != t.Times[0] || last != t.Last() {
			return false
		}
	}
	return true
}

// full says whether there is no place for so many more rows of these properties.
func (p *packer) full(n int, properties []string) bool {
	return len(p.rows) > 0 && (len(p.rows) == maxPackedGroups || (p.table.Len()+n)*max(len(properties), 1) > maxPackedCells || !slices.Equal(p.properties, properties))
}

// add takes in the rows of a group.
func (p *packer) add(properties []string, t *rows.Table, cols []int) {
	if len(p.rows) == 0 {
		p.properties = append(p.properties[:0], properties...)
		p.table.Reset(len(cols))
	}
	at := p.table.Len()
	p.table.Times = append(p.table.Times, t.Times...)
	p.table.Commits = append(p.table.Commits, t.Commits...)
	p.table.Received = append(p.table.Received, t.Received...)
	p.table.Kinds = append(p.table.Kinds, t.Kinds...)
	for i, c := range cols {
		from, to := &t.Cols[c], &p.table.Cols[i]
		to.Values = append(to.Values, from.Values...)
		to.Qualities = append(to.Qualities, from.Qualities...)
		for len(to.Values) < at+t.Len() {
			to.Values, to.Qualities = append(to.Values, 0), append(to.Qualities, rows.Absent)
		}
	}
	p.rows = append(p.rows, int64(t.Len()))
}

// sections of an entry of a pack, each whole numbers, one for each group.
const (
	packRows  = iota
	packFirst // times
	packLast  // less the first
	packLeast // commits
	packMost  // less the least
	packParts
)

// appendMeta writes what the entry of a pack says of its chunk and its groups.
func (p *packer) appendMeta(dst []byte, size int) []byte {
	dst = binary.AppendUvarint(dst, uint64(size))
	for i := range p.parts {
		p.parts[i] = p.parts[i][:0]
	}
	from := 0
	for _, n := range p.rows {
		c := describe(&p.table, from, from+int(n))
		for i, v := range []int64{n, c.First, c.Last - c.First, int64(c.MinCommit), int64(c.MaxCommit - c.MinCommit)} {
			p.parts[i] = append(p.parts[i], v)
		}
		from += int(n)
	}
	for _, ints := range p.parts {
		p.section = codec.AppendInts(p.section[:0], ints)
		dst = binary.AppendUvarint(dst, uint64(len(p.section)))
		dst = append(dst, p.section...)
	}
	return dst
}

// appendPackLabels writes the labels of the groups of a pack, each by what it has
// beyond the group before.
func appendPackLabels(dst []byte, groups int, codes *codeReader) []byte {
	body, before := codes.body[:0], codes.before[:0]
	for range groups {
		labels, shared := codes.next()
		shared = min(shared, len(before)) // none of a group that is not in the pack
		body = binary.AppendUvarint(body, uint64(shared))
		body = binary.AppendUvarint(body, uint64(len(labels)-shared))
		for i := shared; i < len(labels); i++ {
			value := int64(labels[i].value)
			if i < len(before) {
				value -= int64(before[i].value)
			}
			body = binary.AppendUvarint(body, labels[i].name)
			body = binary.AppendVarint(body, value)
		}
		before = append(before[:shared], labels[shared:]...)
	}
	codes.body, codes.before = body, before
	dst = binary.AppendUvarint(dst, uint64(len(body)))
	return append(dst, body...)
}
