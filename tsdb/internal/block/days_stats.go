package block

import "quantrac/tsdb/internal/decimal"

// Values returns a stat of each day of a series, whatever it likes where the day
// is not known or has no values. It belongs to the page.
func (p *DaysPage) Values(s *DaySeries, stat DayStat) ([]float64, error) {
	all := p.values[stat].Load()
	if all == nil {
		var err error
		if all, err = p.decode(stat); err != nil {
			return nil, err
		}
	}
	return (*all)[s.day : s.day+s.days], nil
}

// decode decodes a stat of all days of the page, unless that is done.
func (p *DaysPage) decode(stat DayStat) (*[]float64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if all := p.values[stat].Load(); all != nil {
		return all, nil
	}
	from, err := p.columnsOf(stat)
	if err != nil {
		return nil, err
	}
	all := make([]float64, len(p.counts))
	var buf [maxDays]int64
	for i := range p.series {
		s := &p.series[i]
		ints, days := p.stat(buf[:0], s, stat, from), all[s.day:]
		for k, c := range p.Counts(s) {
			if c > 1 {
				days[k], ints = decimal.Value(ints[0], int(s.places)), ints[1:]
			}
		}
	}
	p.values[stat].Store(&all)
	return &all, nil
}

// statColumns are the columns that a stat is told by.
type statColumns [dayColumns][]int64

// columnsOf reads what tells a stat.
func (p *DaysPage) columnsOf(stat DayStat) (from *statColumns, err error) {
	list := [dayStats][]int{
		DayMin: {colMin}, DayMax: {colMax}, DayLast: {colLastValue}, DaySum: {colMin, colMax, colSum},
	}
	if p.early {
		list = [dayStats][]int{
			DayMin: {colMin}, DayMax: {colMin, colMax}, DayLast: {colMin, colLastValue}, DaySum: {colMin, colSum},
		}
	}
	from = &statColumns{}
	for _, c := range list[stat] {
		if from[c], err = p.read(c); err != nil {
			return nil, err
		}
	}
	return from, nil
}

// stat appends a stat of the days of a series with values, in scaled whole
// numbers.
func (p *DaysPage) stat(dst []int64, s *DaySeries, stat DayStat, from *statColumns) []int64 {
	if p.early {
		return p.statEarly(dst, s, stat, from)
	}
	least, most, last, sum := from[colMin], from[colMax], from[colLastValue], from[colSum]
	i := s.full
	for _, c := range p.Counts(s) {
		if c < 2 {
			continue
		}
		switch stat {
		case DayMin:
			dst = append(dst, least[i])
		case DayMax:
			dst = append(dst, most[i])
		case DayLast:
			dst = append(dst, last[i])
		case DaySum:
			dst = append(dst, evenSum(c-1, least[i], most[i])+sum[i])
		}
		i++
	}
	return dst
}
