package block

import (
	"errors"
	"fmt"
	"math"
	"sort"
	"sync"
	"sync/atomic"
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
	days, err := openDays(buf, r.dayLayout(p.first))
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
	early    bool // of a block before version 5
	known    int  // days that are summed up
	full     int  // of those, days with values
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

	places           uint8
	every            bool  // of the days have values
	day, known, full int32 // how many there are of each in the page before it
	days             int32
}

// Every says whether all days of the series have values.
func (s *DaySeries) Every() bool { return s.every }

// DayStat says what of the days is wanted.
type DayStat uint8

// The stats of days.
const (
	DayMin DayStat = iota
	DayMax
	DayLast
	DaySum
	dayStats
)

var errDays = errors.New("columns do not fit one another")

// Find returns the days of the group at a position of the file, which are the page's,
// nil where it has none.
func (p *DaysPage) Find(position int) *DaySeries {
	// Most often all groups have days, and then it is known where.
	if i := position - p.series[0].Position; i >= 0 && i < len(p.series) && p.series[i].Position == position {
		return &p.series[i]
	}
	i := sort.Search(len(p.series), func(i int) bool { return p.series[i].Position >= position })
	if i == len(p.series) || p.series[i].Position != position {
		return nil
	}
	return &p.series[i]
}

// Counts returns for each day of a series, without a gap, its values plus one,
// or 0 where the day is not known. It belongs to the page.
func (p *DaysPage) Counts(s *DaySeries) []int64 { return p.counts[s.day : s.day+s.days] }

// Covers says whether the page is the one that may have the days of the group at a
// position of the file.
func (p *DaysPage) Covers(position int) bool {
	return p.series[0].Position <= position && position <= p.series[len(p.series)-1].Position
}

// Series returns how many series have days in the page.
func (p *DaysPage) Series() int { return len(p.series) }

// Qualities returns for a day of a series that is known how many of its cells
// are suspect, failed and missing; the first are among its values.
func (p *DaysPage) Qualities(s *DaySeries, day int) (suspect, failed, missing int64, err error) {
	at := int(s.known)
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
	out, err := p.section(c, n)
	if err != nil {
		return nil, p.where(err)
	}
	return out, nil
}

// Bytes returns how much memory the page takes at most, when all stats have been
// asked for.
func (p *DaysPage) Bytes() int {
	n := 512 + 48*len(p.series) + 8*(1+int(dayStats))*len(p.counts)
	for _, s := range p.sections {
		n += len(s)
	}
	return n
}
