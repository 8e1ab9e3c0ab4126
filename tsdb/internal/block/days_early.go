package block

import "encoding/binary"

// Pages of days before version 5: a section for each column, empty where there
// is nothing to tell. All of a day is told by its least value: by how much it is
// above it, the sum above count times it.

func (p *DaysPage) splitEarly(data []byte) error {
	var sizes [dayColumns]uint64
	for i := range sizes {
		v, width := binary.Uvarint(data)
		if width <= 0 {
			return errDays
		}
		sizes[i], data = v, data[width:]
	}
	for i, size := range sizes {
		if size > uint64(len(data)) {
			return errDays
		}
		p.sections[i], data = data[:size], data[size:]
	}
	if len(data) > 0 {
		return errDays
	}
	return nil
}

// statEarly is stat of such a page.
func (p *DaysPage) statEarly(dst []int64, s *DaySeries, stat DayStat, from *statColumns) []int64 {
	least := from[colMin]
	above := from[[dayStats]int{DayMax: colMax, DayLast: colLastValue, DaySum: colSum}[stat]]
	i := s.full
	for _, c := range p.Counts(s) {
		if c < 2 {
			continue
		}
		switch stat {
		case DayMin:
			dst = append(dst, least[i])
		case DaySum:
			dst = append(dst, (c-1)*least[i]+above[i])
		default:
			dst = append(dst, least[i]+above[i])
		}
		i++
	}
	return dst
}
