package block

import (
	"errors"
	"fmt"
	"math"
	"slices"

	"quantrac"
	"quantrac/tsdb/internal/rows"
)

// Verify reads the whole block and compares what is said twice: every chunk's
// checksum, its rows with their entry in the index, the spans of properties, the
// counts of the block, and the days with the rows they sum up. each, if not nil,
// is called after every group with the bytes it took; an error of it ends the
// reading. The first thing that does not agree is an error of kind Corrupt.
func (r *Reader) Verify(each func(bytes int64) error) error {
	r.pack.Store(nil) // what was read before may not be what is there now
	var g Group
	var total Info
	var buf []byte
	for i := range r.Groups() {
		if err := r.Group(i, &g); err != nil {
			return err
		}
		t, err := r.table(&g, &buf)
		if err != nil {
			return err
		}
		if err := r.verifyGroup(i, &g, t); err != nil {
			return r.corrupt(g.Chunks[0].Offset, fmt.Errorf("group %d: %w", i, err))
		}
		size := int64(0)
		for k := range g.Chunks {
			total.add(&g.Chunks[k], 0)
			if g.Chunks[k].Skip == 0 { // else it was counted with another group
				size += int64(g.Chunks[k].Size)
			}
		}
		total.Cells += int64(cellsOf(t))
		if each != nil {
			if err := each(size); err != nil {
				return err
			}
		}
	}
	if err := r.verifyClock(); err != nil {
		return err
	}
	total.Partition, total.Bytes, total.Small = r.index.info.Partition, r.index.info.Bytes, r.index.info.Small
	if total != r.index.info {
		return r.corrupt(r.start, fmt.Errorf("the index says %+v, the chunks %+v", r.index.info, total))
	}
	return nil
}

// Table reads all rows of a group, its properties as columns.
func (r *Reader) Table(g *Group) (*rows.Table, error) {
	var buf []byte
	return r.table(g, &buf)
}

func (r *Reader) table(g *Group, buf *[]byte) (*rows.Table, error) {
	cols := make([]int, len(g.Properties))
	for i := range cols {
		cols[i] = i
	}
	out := &rows.Table{Cols: make([]rows.Column, len(cols))}
	t := &rows.Table{}
	for i := range g.Chunks {
		var d Data
		var err error
		if *buf, err = r.Read(&d, &g.Chunks[i], len(cols), *buf); err != nil {
			return nil, err
		}
		if err := d.Table(t, cols, math.NaN()); err != nil {
			return nil, err
		}
		out.Times = append(out.Times, t.Times...)
		out.Commits = append(out.Commits, t.Commits...)
		out.Received = append(out.Received, t.Received...)
		out.Kinds = append(out.Kinds, t.Kinds...)
		for c := range cols {
			out.Cols[c].Values = append(out.Cols[c].Values, t.Cols[c].Values...)
			out.Cols[c].Qualities = append(out.Cols[c].Qualities, t.Cols[c].Qualities...)
		}
	}
	return out, nil
}

func cellsOf(t *rows.Table) int {
	n := 0
	for _, c := range t.Cols {
		for _, q := range c.Qualities {
			if q != rows.Absent {
				n++
			}
		}
	}
	return n
}

func (r *Reader) verifyGroup(position int, g *Group, t *rows.Table) error {
	from := 0
	for i := range g.Chunks {
		c := &g.Chunks[i]
		to := from + int(c.Rows)
		want := describe(t, from, to)
		want.Offset, want.Size, want.Of, want.Skip = c.Offset, c.Size, c.Of, c.Skip
		if want != *c {
			return fmt.Errorf("chunk %d: the index says %+v, its rows %+v", i, *c, want)
		}
		if from > 0 && t.Times[from] < t.Times[from-1] {
			return fmt.Errorf("chunk %d begins before the one before it ends", i)
		}
		from = to
	}
	for i, name := range g.Properties {
		first, last, ok := span(t, i)
		if !ok || first != g.First[i] || last != g.Last[i] {
			return fmt.Errorf("%s: the index says cells from %d to %d, there are some (%v) from %d to %d", name, g.First[i], g.Last[i], ok, first, last)
		}
		if err := r.verifyDays(position, name, t, i); err != nil {
			return fmt.Errorf("days of %s: %w", name, err)
		}
	}
	return nil
}

// verifyDays compares the days of a series with what its rows come to.
func (r *Reader) verifyDays(position int, name string, t *rows.Table, c int) error {
	number, ok := r.DayPage(name, position)
	if !ok {
		return nil
	}
	page, err := r.ReadDays(name, number)
	if err != nil {
		return err
	}
	s := page.Find(position)
	if s == nil {
		return nil
	}
	var w dayWriter
	first := DayEnd(t.Times[0])
	n := int((DayEnd(t.Times[t.Len()-1])-first)/dayLen) + 1
	w.plainDays(t, first, n)
	want, _ := w.sum(t, c, first, n)
	if want.first != s.First || len(want.days) != int(s.days) || want.places != int(s.places) {
		return errors.New("their number or place is not that of the rows")
	}
	for k := range want.days {
		if err := page.verify(s, k, &want.days[k]); err != nil {
			return fmt.Errorf("day ending %s: %w", quantrac.Millis(s.First+int64(k)*dayLen), err)
		}
	}
	return page.verifyStats(s, want.days)
}

// verify compares day k of a series.
func (p *DaysPage) verify(s *DaySeries, k int, want *scaledDay) error {
	count := p.Counts(s)[k]
	if !want.known {
		if count != 0 {
			return errors.New("it is summed up, but has to be read row by row")
		}
		return nil
	}
	if count != want.count+1 {
		return fmt.Errorf("%d values, its rows have %d", count-1, want.count)
	}
	suspect, failed, missing, err := p.Qualities(s, k)
	if err != nil {
		return err
	}
	got, have := []int64{suspect, failed, missing}, []int64{want.suspect, want.failed, want.missing}
	if !slices.Equal(got, have) {
		return fmt.Errorf("%d of its cells are suspect, failed or missing, of its rows %d", got, have)
	}
	return nil
}

// verifyStats compares what the days of a series come to.
func (p *DaysPage) verifyStats(s *DaySeries, want []scaledDay) error {
	for stat := DayMin; stat < dayStats; stat++ {
		from, err := p.columnsOf(stat)
		if err != nil {
			return err
		}
		got := p.stat(nil, s, stat, from)
		var have []int64
		for i := range want {
			if d := &want[i]; d.known && d.count > 0 {
				have = append(have, [...]int64{d.min, d.max, d.last, d.sum}[stat])
			}
		}
		if !slices.Equal(got, have) {
			return fmt.Errorf("stat %d is said to be %v, of its rows it is %v", stat, got, have)
		}
	}
	return nil
}

// Sizes is what the parts of blocks take, in bytes.
type Sizes struct {
	Times, Commits, Received, Kinds, Qualities, Values int64
	Headers                                            int64 // of chunks, with their checksums
	Clock                                              int64 // by which commits are told
	Days, Index                                        int64 // with header and footer
	Property                                           map[string]*PropertySizes
}

// PropertySizes is what the series of a property take.
type PropertySizes struct {
	Series, Cells     int64
	Qualities, Values int64
}

// Sizes adds what the parts of the block take.
func (r *Reader) Sizes(s *Sizes) error {
	if s.Property == nil {
		s.Property = map[string]*PropertySizes{}
	}
	var g Group
	for i := range r.Groups() {
		if err := r.Group(i, &g); err != nil {
			return err
		}
		for k := range g.Chunks {
			if g.Chunks[k].Skip > 0 {
				continue // it was weighed with another group
			}
			var d Data
			if err := r.readWhole(&d, &g.Chunks[k], len(g.Properties)); err != nil {
				return err
			}
			if err := s.chunk(&d, &g, int64(g.Chunks[k].Size)); err != nil {
				return err
			}
		}
		for _, name := range g.Properties {
			s.Property[name].Series++
		}
	}
	s.Days += r.index.daysEnd - r.index.end()
	s.Clock += r.start - r.index.daysEnd
	s.Index += r.index.info.Bytes - r.start + headerSize
	return nil
}

func (s *Sizes) chunk(d *Data, g *Group, size int64) error {
	of := func(i int) int64 { n := int64(len(d.sections[i])); size -= n; return n }
	s.Times += of(0)
	s.Commits += of(1)
	s.Received += of(2)
	s.Kinds += of(3)
	for i, name := range g.Properties {
		p := s.Property[name]
		if p == nil {
			p = &PropertySizes{}
			s.Property[name] = p
		}
		col, err := d.Column(rows.Column{}, i, math.NaN())
		if err != nil {
			return err
		}
		for _, q := range col.Qualities {
			if q != rows.Absent {
				p.Cells++
			}
		}
		q, v := of(sharedSections+2*i), of(sharedSections+2*i+1)
		p.Qualities, p.Values = p.Qualities+q, p.Values+v
		s.Qualities, s.Values = s.Qualities+q, s.Values+v
	}
	s.Headers += size
	return nil
}
