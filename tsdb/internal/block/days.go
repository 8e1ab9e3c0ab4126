package block

import (
	"encoding/binary"
	"slices"
	"time"

	"quantrac"
	"quantrac/tsdb/internal/codec"
	"quantrac/tsdb/internal/decimal"
	"quantrac/tsdb/internal/rows"
)

// Days are what the values of a series in each civil day at +07:00 come to, the
// values of the qualities that are read where nothing else is asked for: good,
// not evaluated, suspect. A day is left open: a value at midnight closes the day
// before, as the windows of PromQL have it. A day is not known where it has to be
// read row by row: it has revisions, forecasts, or values that are no decimals.

const (
	dayLen     = int64(24 * time.Hour / time.Millisecond)
	zoneOffset = int64(7 * time.Hour / time.Millisecond)

	// minDayRows is how many rows of a group make it worth its bytes to sum its
	// days up, and minDayValues how many values a day of a series has to have on
	// average: days of fewer take more than they save.
	minDayRows   = 256
	minDayValues = 48
	// maxDayScaled bounds scaled values so that a day's sum of them fits.
	maxDayScaled = 1 << 38
	maxDaySeries = 64 // of a page
)

// DayEnd returns the end of the day that holds a time.
func DayEnd(t int64) int64 {
	d := (t + zoneOffset) % dayLen
	if d < 0 {
		d += dayLen
	}
	if d == 0 {
		return t
	}
	return t - d + dayLen
}

// dayWriter gathers the days of a block, by property.
type dayWriter struct {
	properties []*dayProperty
	byName     map[string]*dayProperty
	partition  int64        // where the block's begins
	plain      []bool       // days of the group at hand that have neither revisions nor forecasts
	small      *codec.Small // of a Writer that is to write small
}

type dayProperty struct {
	name    string
	pages   []dayPage
	encoded [][]byte
	page    pageWriter
}

// dayPage says where the days of some series are.
type dayPage struct {
	offset      int64
	size        uint32
	first, last int // positions of groups
}

// group sums up the days of a group that is worth it.
func (w *dayWriter) group(position int, properties []string, t *rows.Table, cols []int) {
	if t.Len() < minDayRows {
		return
	}
	first := DayEnd(t.Times[0])
	n := int((DayEnd(t.Times[t.Len()-1])-first)/dayLen) + 1
	if n > min(t.Len()/minDayValues+2, maxDays) {
		return
	}
	w.plainDays(t, first, n)
	for _, c := range cols {
		s, values := w.sum(t, c, first, n)
		if values < minDayValues*n/2 || len(s.days) == 0 {
			continue
		}
		p := w.property(properties[c])
		p.page.add(position, w.partition, s)
		if p.page.series == maxDaySeries {
			p.flush(w)
		}
	}
}

func (w *dayWriter) property(name string) *dayProperty {
	if w.byName == nil {
		w.byName = map[string]*dayProperty{}
	}
	p := w.byName[name]
	if p == nil {
		p = &dayProperty{name: name}
		w.byName[name] = p
		w.properties = append(w.properties, p)
	}
	return p
}

// plainDays finds the days whose rows are an answer as they stand.
func (w *dayWriter) plainDays(t *rows.Table, first int64, n int) {
	w.plain = append(w.plain[:0], make([]bool, n)...)
	for i := range w.plain {
		w.plain[i] = true
	}
	for i, at := range t.Times {
		if t.Kinds[i] != rows.Reading || i > 0 && t.Times[i-1] == at {
			w.plain[(DayEnd(at)-first)/dayLen] = false
		}
	}
}

// scaledDay is a day in scaled whole numbers.
type scaledDay struct {
	known                    bool
	count                    int64
	min, max, last, sum      int64
	suspect, failed, missing int64
}

// scaledDays is the days of one series.
type scaledDays struct {
	places int
	first  int64 // end of the first day
	days   []scaledDay
}

// sum sums up the n days from first of a column, none where none can be, and
// returns how many values that were.
func (w *dayWriter) sum(t *rows.Table, c int, first int64, n int) (out scaledDays, values int) {
	out = scaledDays{first: first, days: make([]scaledDay, n)}
	for i := range out.days {
		if w.plain[i] {
			out.days[i].known = true
		}
	}
	out.places = places(&t.Cols[c])
	for i, q := range t.Cols[c].Qualities {
		d := &out.days[(DayEnd(t.Times[i])-first)/dayLen]
		if q == rows.Absent || !d.known {
			continue
		}
		values++
		d.add(q, t.Cols[c].Values[i], out.places)
	}
	out.trim()
	return out, values
}

// places returns the decimal places that hold every decimal of a column.
func places(c *rows.Column) int {
	places := 0
	for i, q := range c.Qualities {
		if q == rows.Absent || q == missing {
			continue
		}
		if _, ok := decimal.Scale(c.Values[i], places); ok {
			continue
		}
		if _, e, ok := decimal.Find(c.Values[i], places); ok {
			places = max(places, e)
		}
	}
	return places
}

func (d *scaledDay) add(q uint8, v float64, places int) {
	switch quantrac.Quality(q) {
	case quantrac.Missing:
		d.missing++
		return
	case quantrac.Fail:
		d.failed++
		return
	case quantrac.Suspect:
		d.suspect++
	}
	m, ok := decimal.Scale(v, places)
	if !ok || m > maxDayScaled || m < -maxDayScaled {
		d.known = false
		return
	}
	if d.count == 0 {
		d.min, d.max = m, m
	}
	d.min, d.max, d.last = min(d.min, m), max(d.max, m), m
	d.sum += m
	d.count++
}

// trim leaves out unknown days at both ends.
func (s *scaledDays) trim() {
	for len(s.days) > 0 && !s.days[0].known {
		s.days = s.days[1:]
		s.first += dayLen
	}
	for n := len(s.days); n > 0 && !s.days[n-1].known; n-- {
		s.days = s.days[:n-1]
	}
}

// finish returns the pages in the order in which they are written.
func (w *dayWriter) finish() [][]byte {
	slices.SortFunc(w.properties, func(a, b *dayProperty) int {
		if a.name < b.name {
			return -1
		}
		return 1
	})
	var out [][]byte
	for _, p := range w.properties {
		p.flush(w)
		out = append(out, p.encoded...)
	}
	return out
}

// appendIndex writes where the pages are.
func (w *dayWriter) appendIndex(dst []byte, symbol func(name string) uint64) []byte {
	dst = binary.AppendUvarint(dst, uint64(len(w.properties)))
	for _, p := range w.properties {
		dst = binary.AppendUvarint(dst, symbol(p.name))
		dst = binary.AppendUvarint(dst, uint64(len(p.pages)))
		next := 0
		for _, g := range p.pages {
			dst = binary.AppendUvarint(dst, uint64(g.size))
			dst = binary.AppendUvarint(dst, uint64(g.first-next))
			dst = binary.AppendUvarint(dst, uint64(g.last-g.first))
			next = g.last + 1
		}
	}
	return dst
}
