package block

import (
	"fmt"
	"math"

	"quantrac"
	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/rows"
)

// packEntry is the entry of a pack, read.
type packEntry struct {
	number     int // of the entry
	properties []string
	chunk      Chunk // of all rows
	parts      [packParts][]int64
	skip       []uint32 // rows before those of each group
}

// pack reads the entry of a pack whose chunk begins at offset, behind its kind,
// into p, whose memory is used again.
func (r *indexReader) pack(p *packEntry, d *directory, offset int64) {
	p.chunk, p.properties, p.skip = Chunk{Offset: offset}, p.properties[:0], p.skip[:0]
	groups := r.uvarint()
	if groups < 2 || groups > maxPackedGroups {
		r.fail(fmt.Errorf("a pack of %d groups", groups))
		return
	}
	for range r.count(1) {
		p.properties = append(p.properties, d.name(r))
	}
	size := r.uvarint()
	if size > 1<<30 {
		r.fail(fmt.Errorf("a pack of %d bytes", size))
	}
	p.chunk.Size = uint32(size)
	for i := range p.parts {
		var err error
		section := r.bytes(r.count(1))
		if r.err != nil {
			return
		}
		if p.parts[i], err = codec.ReadInts(p.parts[i][:0], section, int(groups)); err != nil {
			r.fail(fmt.Errorf("a pack's part %d: %w", i, err))
			return
		}
	}
	p.check(r)
}

// check adds up the rows.
func (p *packEntry) check(r *indexReader) {
	total := int64(0)
	for i, n := range p.parts[packRows] {
		if n < 1 || n > maxChunkRows || p.parts[packLast][i] < 0 || p.parts[packLeast][i] < 0 || p.parts[packMost][i] < 0 {
			r.fail(fmt.Errorf("group %d of a pack has %d rows, times over %d ms and commits from %d over %d", i, n, p.parts[packLast][i], p.parts[packLeast][i], p.parts[packMost][i]))
			return
		}
		p.skip = append(p.skip, uint32(total))
		total += n
	}
	if total > maxChunkRows {
		r.fail(fmt.Errorf("a pack of %d rows", total))
	}
	p.chunk.Rows, p.chunk.Of = uint32(total), uint32(total)
}

// group puts what the entry says of one of its groups into g.
func (p *packEntry) group(g *Group, i int) {
	c := Chunk{
		Offset: p.chunk.Offset, Size: p.chunk.Size, Of: p.chunk.Of, Skip: p.skip[i], Flags: Simple,
		Rows: uint32(p.parts[packRows][i]), First: p.parts[packFirst][i], MinCommit: uint64(p.parts[packLeast][i]),
	}
	c.Last = c.First + p.parts[packLast][i]
	c.MaxCommit = c.MinCommit + uint64(p.parts[packMost][i])
	g.Properties, g.First, g.Last = append(g.Properties[:0], p.properties...), g.First[:0], g.Last[:0]
	for range p.properties {
		g.First, g.Last = append(g.First, c.First), append(g.Last, c.Last)
	}
	g.Chunks = append(g.Chunks[:0], c)
}

// packLabels reads the labels of a pack's groups one after the other.
type packLabels struct {
	indexReader
	before []ranked
}

func (r *packLabels) next(d *directory) quantrac.Labels {
	shared, more := r.uvarint(), r.uvarint()
	if shared > uint64(len(r.before)) || shared+more > quantrac.MaxLabels {
		r.fail(fmt.Errorf("a group of a pack shares %d labels with one of %d and has %d more", shared, len(r.before), more))
		return nil
	}
	labels := append(make([]ranked, 0, shared+more), r.before[:shared]...)
	for i := int(shared); i < int(shared+more); i++ {
		l := ranked{name: r.uvarint()}
		value := r.varint()
		if i < len(r.before) {
			value += int64(r.before[i].value)
		}
		if n := uint64(d.symbols.count()); l.name >= n || value < 0 || uint64(value) >= n {
			r.fail(fmt.Errorf("label %d, %d of %d symbols", l.name, value, n))
			return nil
		}
		l.value = uint64(value)
		labels = append(labels, l)
	}
	r.before = labels
	out := make(quantrac.Labels, len(labels))
	for i, l := range labels {
		out[i] = quantrac.Label{Name: d.symbols.at(l.name), Value: d.symbols.at(l.value)}
	}
	return out
}

// packTable is the rows of a pack, read and checked; nobody changes them.
type packTable struct {
	offset int64
	rows.Table
}

// packed returns the rows of a pack, of so many columns. The last one read is
// kept: who reads the series of a store in order meets its groups in turn.
func (r *Reader) packed(c *Chunk, columns int) (*packTable, error) {
	if p := r.pack.Load(); p != nil && p.offset == c.Offset && len(p.Cols) == columns && p.Len() == int(c.Of) {
		return p, nil
	}
	var d Data
	if err := r.readWhole(&d, c, columns); err != nil {
		return nil, err
	}
	p := &packTable{offset: c.Offset}
	p.Cols = make([]rows.Column, columns)
	var err error
	if p.Times, err = d.Times(nil); err != nil {
		return nil, err
	}
	if p.Commits, err = d.Commits(nil, p.Times, nil); err != nil {
		return nil, err
	}
	if p.Received, err = d.Received(nil, p.Times); err != nil {
		return nil, err
	}
	if p.Kinds, err = d.Kinds(nil); err != nil {
		return nil, err
	}
	for i := range p.Cols {
		if p.Cols[i], err = d.Column(rows.Column{}, i, math.NaN()); err != nil {
			return nil, err
		}
	}
	r.pack.Store(p)
	return p, nil
}

// readWhole reads the chunk of a pack as one of all its rows.
func (r *Reader) readWhole(d *Data, c *Chunk, columns int) error {
	whole := *c
	if c.Of > 0 {
		whole.Rows, whole.Of, whole.Skip = c.Of, 0, 0
	}
	_, err := r.Read(d, &whole, columns, nil)
	return err
}

// part makes d the rows of one group of a pack.
func (d *Data) part(p *packTable, c *Chunk) error {
	if int(c.Skip)+int(c.Rows) > p.Len() {
		return fmt.Errorf("rows %d to %d of a pack of %d", c.Skip, c.Skip+c.Rows, p.Len())
	}
	d.pack, d.from, d.rows = p, int(c.Skip), int(c.Rows)
	return nil
}

// packColumn appends the cells of column i of a part of a pack.
func (d *Data) packColumn(col rows.Column, i int, nan float64) rows.Column {
	of := &d.pack.Cols[i]
	for k := d.from; k < d.from+d.rows; k++ {
		v, q := of.Values[k], of.Qualities[k]
		if q >= missing {
			v = nan
		}
		col.Values, col.Qualities = append(col.Values, v), append(col.Qualities, q)
	}
	return col
}
