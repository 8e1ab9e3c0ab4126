package block

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sort"
	"sync"
	"sync/atomic"

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
			if g.last >= d.groups {
				r.fail(fmt.Errorf("days of group %d of %d", g.last, d.groups))
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

// ReadDays reads a page of days.
func (r *Reader) ReadDays(property string, page int) (*DaysPage, error) {
	p := &r.index.days[property].pages[page]
	buf := make([]byte, p.size)
	if err := r.readAt(buf, p.offset); err != nil {
		return nil, err
	}
	days, err := openDays(buf, r.Groups())
	if err != nil {
		return nil, r.corrupt(p.offset, fmt.Errorf("days of %s: %w", property, err))
	}
	days.where = func(err error) error { return r.corrupt(p.offset, fmt.Errorf("days of %s: %w", property, err)) }
	return days, nil
}

// DaysPage is the days of up to 64 series. What they come to is decoded when it
// is asked for, each stat apart from the rest. Its methods may
// be called from any goroutine.
type DaysPage struct {
	series   []DaySeries
	sections [dayColumns][]byte
	counts   []int64
	known    int // days that are summed up
	full     int // of those, days with values
	where    func(error) error

	values  [dayStats]atomic.Pointer[[]float64] // one a day, when first asked for
	mu      sync.Mutex
	decoded [dayColumns][]int64 // columns after the counts that were asked for as they are
}

// DaySeries says where the days of a series are in its page.
type DaySeries struct {
	Position int   // of the group in the file
	Number   int   // of the series in the page, from 0 on
	First    int64 // end of the first day, ms

	places           int
	day, known, full int // how many there are of each in the page before it
	days             int
}

// The columns of a page, in their order.
const (
	colPosition = iota
	colFirst
	colLength
	colPlaces
	colCount
	colMin
	colSpan
	colFirstValue
	colLastValue
	colSum
	colSuspect
	colFailed
	colMissing
	dayColumns
)

// DayStat says what of the days is wanted.
type DayStat uint8

// The stats of days.
const (
	DayMin DayStat = iota
	DayMax
	DayFirst
	DayLast
	DaySum
	dayStats
)

var errDays = errors.New("columns do not fit one another")

// openDays finds the columns of a page and decodes those that say how many
// there are of everything.
func openDays(data []byte, groups int) (*DaysPage, error) {
	if len(data) < 5 || binary.LittleEndian.Uint32(data) != checksum(data[4:]) {
		return nil, errSum
	}
	data = data[4:]
	n, width := binary.Uvarint(data)
	if width <= 0 || n == 0 || n > maxDaySeries {
		return nil, fmt.Errorf("%d series in a page", n)
	}
	p := &DaysPage{where: func(err error) error { return err }}
	if err := p.split(data[width:]); err != nil {
		return nil, err
	}
	var shared [colCount][]int64
	for c := range shared {
		var err error
		if shared[c], err = codec.ReadInts(nil, p.sections[c], int(n)); err != nil {
			return nil, err
		}
	}
	total := 0
	for _, l := range shared[colLength] {
		if l < 1 || l > maxDays {
			return nil, errDays
		}
		total += int(l)
	}
	var err error
	if p.counts, err = codec.ReadInts(nil, p.sections[colCount], total); err != nil {
		return nil, err
	}
	return p, p.place(&shared, groups)
}

// maxDays bounds the days of a series: those that a partition touches.
const maxDays = 64

func (p *DaysPage) split(data []byte) error {
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

// place finds where the days of each series begin.
func (p *DaysPage) place(shared *[colCount][]int64, groups int) error {
	day := 0
	for i, position := range shared[colPosition] {
		first, places := shared[colFirst][i], shared[colPlaces][i]
		if position < 0 || position >= int64(groups) || i > 0 && position <= shared[colPosition][i-1] ||
			places < 0 || places > decimal.MaxExp || first > math.MaxInt32 || first < math.MinInt32 {
			return errDays
		}
		s := DaySeries{
			Position: int(position), Number: i, First: first*dayLen - zoneOffset, places: int(places),
			day: day, known: p.known, full: p.full, days: int(shared[colLength][i]),
		}
		for _, c := range p.counts[day : day+s.days] {
			if c < 0 || c > 1<<32 {
				return errDays
			}
			p.known += min(int(c), 1)
			p.full += min(max(int(c)-1, 0), 1)
		}
		day += s.days
		p.series = append(p.series, s)
	}
	return nil
}

// Find returns the days of the group at a position of the file, if they are in
// the page.
func (p *DaysPage) Find(position int) (DaySeries, bool) {
	i := sort.Search(len(p.series), func(i int) bool { return p.series[i].Position >= position })
	if i == len(p.series) || p.series[i].Position != position {
		return DaySeries{}, false
	}
	return p.series[i], true
}

// Counts returns for each day of a series, without a gap, its values plus one,
// or 0 where the day is not known. It belongs to the page.
func (p *DaysPage) Counts(s DaySeries) []int64 { return p.counts[s.day : s.day+s.days] }

// Covers says whether the page is the one that may have the days of the group at a
// position of the file.
func (p *DaysPage) Covers(position int) bool {
	return p.series[0].Position <= position && position <= p.series[len(p.series)-1].Position
}

// Series returns how many series have days in the page.
func (p *DaysPage) Series() int { return len(p.series) }

// Values returns a stat of each day of a series, whatever it likes where the day
// is not known or has no values. It belongs to the page.
func (p *DaysPage) Values(s DaySeries, stat DayStat) ([]float64, error) {
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
	least, err := p.read(colMin)
	if err != nil {
		return nil, err
	}
	more := least
	if stat != DayMin {
		column := [...]int{DayMax: colSpan, DayFirst: colFirstValue, DayLast: colLastValue, DaySum: colSum}
		if more, err = p.read(column[stat]); err != nil {
			return nil, err
		}
	}
	all := make([]float64, len(p.counts))
	for i := range p.series {
		p.fill(all, &p.series[i], stat, least, more)
	}
	p.values[stat].Store(&all)
	return &all, nil
}

// fill works out a stat of the days of one series.
func (p *DaysPage) fill(all []float64, s *DaySeries, stat DayStat, least, more []int64) {
	at := s.full
	for k, c := range p.Counts(*s) {
		if c < 2 {
			continue
		}
		m := least[at]
		switch stat {
		case DayMin:
		case DaySum:
			m = more[at] + (c-1)*least[at]
		default:
			m += more[at]
		}
		all[s.day+k] = decimal.Value(m, s.places)
		at++
	}
}

// Qualities returns for a day of a series that is known how many of its cells
// are suspect, failed and missing; the first are among its values.
func (p *DaysPage) Qualities(s DaySeries, day int) (suspect, failed, missing int64, err error) {
	at := s.known
	for _, c := range p.Counts(s)[:day] {
		at += min(int(c), 1)
	}
	var out [3]int64
	for i := range out {
		column, err := p.column(colSuspect + i)
		if err != nil {
			return 0, 0, 0, err
		}
		out[i] = column[at]
	}
	return out[0], out[1], out[2], nil
}

// column decodes a column behind the counts, once.
func (p *DaysPage) column(c int) ([]int64, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var err error
	if p.decoded[c] == nil {
		p.decoded[c], err = p.read(c)
	}
	return p.decoded[c], err
}

// read decodes a column behind the counts.
func (p *DaysPage) read(c int) ([]int64, error) {
	n := p.full
	if c >= colSuspect {
		n = p.known
	}
	if n == 0 && len(p.sections[c]) == 0 {
		return nil, nil
	}
	out, err := codec.ReadInts(nil, p.sections[c], n)
	if err != nil {
		return nil, p.where(err)
	}
	return out, nil
}

// Bytes returns how much memory the page takes at most, when all stats have been
// asked for.
func (p *DaysPage) Bytes() int {
	n := 512 + 88*len(p.series) + 8*(1+int(dayStats))*len(p.counts)
	for _, s := range p.sections {
		n += len(s)
	}
	return n
}
