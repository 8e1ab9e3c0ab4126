package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"

	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/decimal"
)

// propertyDays is where the days of a property's series are, by position.
type propertyDays struct{ pages []dayPage }

// days reads where the pages of days are, the first of them at offset, and
// returns the offset after the last.
func (r *indexReader) days(d *directory, offset int64) int64 {
	for range r.count(3) {
		name := d.name(r)
		p := &propertyDays{}
		next := 0
		for range r.count(3) {
			size, skip, more := r.uvarint(), r.uvarint(), r.uvarint()
			if size > 1<<30 || skip > math.MaxInt32 || more > math.MaxInt32 {
				r.fail(fmt.Errorf("days of %d groups after %d in %d bytes", more+1, skip, size))
				return offset
			}
			g := dayPage{offset: offset, size: uint32(size), first: next + int(skip)}
			g.last = g.first + int(more)
			if g.last >= len(d.at)-1 {
				r.fail(fmt.Errorf("days of group %d of %d", g.last, len(d.at)-1))
				return offset
			}
			p.pages = append(p.pages, g)
			offset += int64(size)
			next = g.last + 1
		}
		d.days[name] = p
	}
	return offset
}

// DayPage returns the number of the page that may have the days of a property
// of the group at a position, and whether there is one.
func (r *Reader) DayPage(property string, position int) (page int, ok bool) {
	p := r.index.days[property]
	if p == nil {
		return 0, false
	}
	page = sort.Search(len(p.pages), func(i int) bool { return p.pages[i].last >= position })
	return page, page < len(p.pages) && p.pages[page].first <= position
}

// ReadDays reads a page of days; buf is for reuse.
func (r *Reader) ReadDays(property string, page int, buf []byte) ([]SeriesDays, []byte, error) {
	p := &r.index.days[property].pages[page]
	if cap(buf) < int(p.size) {
		buf = make([]byte, p.size)
	}
	buf = buf[:p.size]
	if err := r.readAt(buf, p.offset); err != nil {
		return nil, buf, err
	}
	days, err := decodeDays(buf, r.Groups())
	if err != nil {
		return nil, buf, r.corrupt(p.offset, fmt.Errorf("days of %s: %w", property, err))
	}
	return days, buf, nil
}

var errDays = errors.New("columns do not fit one another")

func decodeDays(data []byte, groups int) ([]SeriesDays, error) {
	if len(data) < 5 || binary.LittleEndian.Uint32(data) != checksum(data[4:]) {
		return nil, errSum
	}
	data = data[4:]
	n, width := binary.Uvarint(data)
	if width <= 0 || n == 0 || n > maxDaySeries {
		return nil, fmt.Errorf("%d series in a page", n)
	}
	var w pageWriter
	if err := w.decode(data[width:], int(n)); err != nil {
		return nil, err
	}
	return w.series(groups)
}

// decode reads the columns of a page of n series.
func (w *pageWriter) decode(data []byte, n int) error {
	columns := w.columns()
	sizes := make([]uint64, len(columns))
	for i := range sizes {
		v, width := binary.Uvarint(data)
		if width <= 0 {
			return errDays
		}
		sizes[i], data = v, data[width:]
	}
	const bySeries = 4
	count := n
	for i, c := range columns {
		if sizes[i] > uint64(len(data)) {
			return errDays
		}
		switch { // how many there are follows from the columns before
		case i < bySeries:
		case i == bySeries:
			count = sumOf(w.lengths)
		case c == &w.min:
			count = countAbove(w.counts, 1)
		case c == &w.suspect:
			count = countAbove(w.counts, 0)
		}
		if count < 0 || count > maxDaySeries*maxDays {
			return errDays
		}
		if count > 0 || sizes[i] > 0 {
			var err error
			if *c, err = codec.ReadInts((*c)[:0], data[:sizes[i]], count); err != nil {
				return err
			}
		}
		data = data[sizes[i]:]
	}
	if len(data) > 0 {
		return errDays
	}
	return nil
}

// maxDays bounds the days of a series: those that a partition touches.
const maxDays = 64

func sumOf(lengths []int64) int {
	n := 0
	for _, l := range lengths {
		if l < 1 || l > maxDays {
			return -1
		}
		n += int(l)
	}
	return n
}

func countAbove(counts []int64, least int64) int {
	n := 0
	for _, c := range counts {
		if c < 0 || c > 1<<32 {
			return -1
		}
		if c > least {
			n++
		}
	}
	return n
}

// series makes days of the columns.
func (w *pageWriter) series(groups int) ([]SeriesDays, error) {
	out := make([]SeriesDays, len(w.positions))
	all := make([]Day, len(w.counts))
	day, known, full := 0, 0, 0
	for i := range out {
		if w.positions[i] < 0 || w.positions[i] >= int64(groups) || w.places[i] < 0 || w.places[i] > decimal.MaxExp ||
			i > 0 && w.positions[i] <= w.positions[i-1] || w.firsts[i] > math.MaxInt32 || w.firsts[i] < math.MinInt32 {
			return nil, errDays
		}
		s := &out[i]
		s.Position, s.First = int(w.positions[i]), w.firsts[i]*dayLen-zoneOffset
		s.Days = all[:w.lengths[i]:w.lengths[i]]
		all = all[w.lengths[i]:]
		places := int(w.places[i])
		for k := range s.Days {
			d := &s.Days[k]
			c := w.counts[day]
			day++
			if c == 0 {
				continue
			}
			d.State, d.Count = DayKnown, uint32(c-1)
			d.Suspect, d.Failed, d.Missing = uint32(w.suspect[known]), uint32(w.failed[known]), uint32(w.missing[known])
			known++
			if c > 1 {
				w.fill(d, full, places)
				full++
			}
		}
	}
	return out, nil
}

// fill puts day number i of those with values into d.
func (w *pageWriter) fill(d *Day, i, places int) {
	least := w.min[i]
	d.Min = decimal.Value(least, places)
	d.Max = decimal.Value(least+w.span[i], places)
	d.First = decimal.Value(least+w.first[i], places)
	d.Last = decimal.Value(least+w.last[i], places)
	d.Sum = decimal.Value(w.sum[i]+int64(d.Count)*least, places)
}
