package block

import (
	"encoding/binary"
	"fmt"
	"math"
	"math/bits"

	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/decimal"
)

// dayLayout is what a page of days does not say itself.
type dayLayout struct {
	early     bool  // it is of a block before version 5
	groups    int   // of the file
	group     int   // the first of the page
	partition int64 // where the block's begins
}

func (r *Reader) dayLayout(group int) dayLayout {
	return dayLayout{early: r.index.version < 5, groups: r.Groups(), group: group, partition: r.index.info.Partition}
}

// openDays finds the columns of a page and decodes those that say how many
// there are of everything.
func openDays(data []byte, of dayLayout) (*DaysPage, error) {
	if len(data) < 5 || binary.LittleEndian.Uint32(data) != checksum(data[4:]) {
		return nil, errSum
	}
	data = data[4:]
	n, width := binary.Uvarint(data)
	if width <= 0 || n == 0 || n > maxDaySeries {
		return nil, fmt.Errorf("%d series in a page", n)
	}
	p := &DaysPage{early: of.early, where: func(err error) error { return err }}
	split := p.split
	if of.early {
		split = p.splitEarly
	}
	if err := split(data[width:]); err != nil {
		return nil, err
	}
	var heads [colCount][]int64
	for c := range heads {
		var err error
		if heads[c], err = p.section(c, int(n)); err != nil {
			return nil, err
		}
	}
	of.resolve(&heads)
	total := 0
	for _, l := range heads[colLength] {
		if l < 1 || l > maxDays {
			return nil, errDays
		}
		total += int(l)
	}
	var err error
	if p.counts, err = p.section(colCount, total); err != nil {
		return nil, err
	}
	return p, p.place(&heads, of.groups)
}

// maxDays bounds the days of a series: those that a partition touches.
const maxDays = 64

// split finds the sections.
func (p *DaysPage) split(data []byte) error {
	which, width := binary.Uvarint(data)
	if width <= 0 || which >= 1<<dayColumns {
		return errDays
	}
	data = data[width:]
	var sizes [dayColumns]uint64
	last := bits.Len64(which) - 1
	for i := range last {
		if which>>i&1 == 0 {
			continue
		}
		if sizes[i], width = binary.Uvarint(data); width <= 0 || sizes[i] == 0 {
			return errDays
		}
		data = data[width:]
	}
	for i := range last {
		if sizes[i] > uint64(len(data)) {
			return errDays
		}
		p.sections[i], data = data[:sizes[i]], data[sizes[i]:]
	}
	if (last < 0) != (len(data) == 0) {
		return errDays
	}
	if last >= 0 {
		p.sections[last] = data
	}
	return nil
}

// section decodes a column of n numbers.
func (p *DaysPage) section(c, n int) ([]int64, error) {
	if len(p.sections[c]) == 0 && (n == 0 || !p.early) {
		return make([]int64, n), nil
	}
	return codec.ReadInts(nil, p.sections[c], n)
}

// resolve turns the columns by series into positions, days since 1970 and
// numbers of days.
func (l dayLayout) resolve(heads *[colCount][]int64) {
	if l.early {
		return // they are that
	}
	next, begin := int64(l.group), (DayEnd(l.partition)+zoneOffset)/dayLen
	for i := range heads[colPosition] {
		heads[colPosition][i] += next
		next = heads[colPosition][i] + 1
		heads[colFirst][i] += begin
		heads[colLength][i] = usualDays - heads[colLength][i]
	}
}

// place finds where the days of each series begin.
func (p *DaysPage) place(heads *[colCount][]int64, groups int) error {
	day := int32(0)
	for i, position := range heads[colPosition] {
		first, places := heads[colFirst][i], heads[colPlaces][i]
		if position < 0 || position >= int64(groups) || i > 0 && position <= heads[colPosition][i-1] ||
			places < 0 || places > decimal.MaxExp || first > math.MaxInt32 || first < math.MinInt32 {
			return errDays
		}
		s := DaySeries{
			Position: int(position), Number: i, First: first*dayLen - zoneOffset, places: uint8(places),
			day: day, known: int32(p.known), full: int32(p.full), days: int32(heads[colLength][i]),
		}
		for _, c := range p.counts[day : day+s.days] {
			if c < 0 || c > 1<<32 {
				return errDays
			}
			p.known += min(int(c), 1)
			p.full += min(max(int(c)-1, 0), 1)
		}
		s.every = int32(p.full)-s.full == s.days
		day += s.days
		p.series = append(p.series, s)
	}
	return nil
}
