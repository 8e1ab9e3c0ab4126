package block

import (
	"encoding/binary"

	"quantrac/tsdb/internal/codec"
)

// The columns of a page of days, in their order. The extremes of days are asked
// for most and stand for themselves, and the sum is told by those.
const (
	colPosition = iota // of the group, less the one after the series before
	colFirst           // day less that in which the partition begins
	colLength          // days that are fewer than usualDays
	colPlaces
	colCount // by day: 0 unknown, else values + 1
	colMin   // by day with values
	colMax
	colFirstValue // before version 6
	colLastValue
	colSum     // less evenSum
	colSuspect // by known day
	colFailed
	colMissing
	dayColumns
)

// usualDays is how many days a series has values in: at midnight, where the
// partition begins, a day ends.
const usualDays = 31

// evenSum returns about the sum of so many values between two.
func evenSum(count, least, most int64) int64 { return count * (least + most) >> 1 }

// pageWriter is the columns of a page.
type pageWriter struct {
	columns     [dayColumns][]int64
	first, last int // positions of groups
	series      int
}

func (p *pageWriter) put(column int, v int64) { p.columns[column] = append(p.columns[column], v) }

// add takes in the days of a series of a partition.
func (p *pageWriter) add(position int, partition int64, s scaledDays) {
	if p.series == 0 {
		p.first, p.last = position, position-1
	}
	p.put(colPosition, int64(position-p.last-1))
	p.last = position
	p.series++
	p.put(colFirst, (s.first-DayEnd(partition))/dayLen)
	p.put(colLength, int64(usualDays-len(s.days)))
	p.put(colPlaces, int64(s.places))
	for i := range s.days {
		d := &s.days[i]
		if !d.known {
			p.put(colCount, 0)
			continue
		}
		p.put(colCount, d.count+1)
		p.put(colSuspect, d.suspect)
		p.put(colFailed, d.failed)
		p.put(colMissing, d.missing)
		if d.count == 0 {
			continue
		}
		p.put(colMin, d.min)
		p.put(colMax, d.max)
		p.put(colLastValue, d.last)
		p.put(colSum, d.sum-evenSum(d.count, d.min, d.max))
	}
}

// flush encodes the page: a checksum, the count of series, which columns have a
// section, that is, are not all zero, the bytes of each section but the last, and
// the sections.
func (p *dayProperty) flush(by *dayWriter) {
	w := &p.page
	if w.series == 0 {
		return
	}
	which, last := uint64(0), 0
	var sizes, body []byte
	for i, c := range w.columns {
		if allZero(c) {
			continue
		}
		if which != 0 {
			sizes = binary.AppendUvarint(sizes, uint64(len(body)-last))
		}
		which, last = which|1<<i, len(body)
		if by.small != nil {
			body = by.small.AppendInts(body, c, nil)
		} else {
			body = codec.AppendInts(body, c)
		}
	}
	page := binary.AppendUvarint([]byte{0, 0, 0, 0}, uint64(w.series))
	page = binary.AppendUvarint(page, which)
	page = append(append(page, sizes...), body...)
	binary.LittleEndian.PutUint32(page, checksum(page[4:]))
	p.encoded = append(p.encoded, page)
	p.pages = append(p.pages, dayPage{size: uint32(len(page)), first: w.first, last: w.last})
	for i, c := range w.columns {
		w.columns[i] = c[:0]
	}
	w.series = 0
}

func allZero(ints []int64) bool {
	for _, v := range ints {
		if v != 0 {
			return false
		}
	}
	return true
}
