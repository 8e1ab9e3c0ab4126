package block

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"testing"

	"quantrac"
	"quantrac/tsdb/internal/rows"
)

// plainTable is rows of a station every ten minutes or so, with gaps, and now
// and then a cell that is missing, failed or no decimal, or a row of a person.
func plainTable(rnd *rand.Rand, n, cols int) *rows.Table {
	t := &rows.Table{}
	at := int64(1_790_000_000_000) + int64(rnd.IntN(1000))*600_000
	for i := range n {
		at += 600_000 * int64(1+rnd.IntN(12)/11*rnd.IntN(300)/7)
		r := &rows.Row{Time: at, Commit: uint64(i + 1), Received: at + 900}
		for c := range cols {
			q, v := uint8(1), math.Round(rnd.NormFloat64()*1000)/1000
			switch rnd.IntN(60) {
			case 0:
				q = uint8(quantrac.Fail)
			case 1:
				q, v = missing, math.NaN()
			case 2:
				q = uint8(quantrac.Suspect)
			case 3:
				q = rows.Absent
			}
			if rnd.IntN(500) == 0 {
				v = math.Pi
			}
			r.Cols, r.Values, r.Quality = append(r.Cols, c), append(r.Values, v), append(r.Quality, q)
		}
		switch rnd.IntN(600) {
		case 0:
			r.Kind = rows.Human
		case 1:
			r.Kind = rows.Forecast
		case 2:
			t.Append(r)
			r = &rows.Row{Time: at, Commit: r.Commit + 1, Cols: r.Cols, Values: r.Values, Quality: r.Quality}
		}
		t.Append(r)
	}
	return t
}

// Day is a day as a test compares it.
type Day struct {
	Known                    bool
	Count                    int64
	Min, Max, Last, Sum      float64
	Suspect, Failed, Missing int64
}

// naiveDay sums up one day of a column, row by row.
func naiveDay(t *rows.Table, c int, end int64) Day {
	d := Day{Known: true}
	for i, at := range t.Times {
		if at <= end-86_400_000 || at > end {
			continue
		}
		if t.Kinds[i] != rows.Reading || i > 0 && t.Times[i-1] == at || i+1 < t.Len() && t.Times[i+1] == at {
			return Day{}
		}
		q, v := t.Quality(i, c), 0.0
		if q != rows.Absent {
			v = t.Value(i, c)
		}
		switch q {
		case rows.Absent:
			continue
		case missing:
			d.Missing++
			continue
		case uint8(quantrac.Fail):
			d.Failed++
			continue
		case uint8(quantrac.Suspect):
			d.Suspect++
		}
		if v == math.Pi || v == 0 && math.Signbit(v) { // no decimals
			return Day{}
		}
		if d.Count == 0 {
			d.Min, d.Max = v, v
		}
		d.Min, d.Max, d.Last = min(d.Min, v), max(d.Max, v), v
		d.Sum += v
		d.Count++
	}
	return d
}

func sameDay(a, b Day) bool {
	if math.Abs(a.Sum-b.Sum) > 1e-9 {
		return false
	}
	a.Sum, b.Sum = 0, 0
	return a == b
}

// What days say is what their rows say, and few days say nothing.
func TestDays(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var all []sample
	props := []string{"level", "ph", "rain"}
	for i := range 150 { // more than a page
		n := 300 + rnd.IntN(1200)
		if i%10 == 0 {
			n = 20 // not worth it
		}
		all = append(all, sample{
			labels: quantrac.NewLabels("station", fmt.Sprintf("st-%03d", i)),
			props:  props, table: plainTable(rnd, n, 1+i%3),
		})
	}
	r, groups, err := open(t, write(t, all))
	if err != nil {
		t.Fatal(err)
	}
	known, unknown := 0, 0
	for position, g := range groups {
		for c, name := range g.Properties {
			first, days, ok, err := daysOf(r, name, position)
			if err != nil {
				t.Fatal(err)
			}
			if !ok {
				tb := all[position].table
				days := int((DayEnd(tb.Last())-DayEnd(tb.Times[0]))/dayLen) + 1
				if n := tb.Len(); n > 500 && n > 60*days {
					t.Errorf("group %d of %d rows in %d days has no days of %s", position, n, days, name)
				}
				continue
			}
			for k, d := range days {
				end := first + int64(k)*dayLen
				want := naiveDay(all[position].table, c, end)
				if !d.Known {
					unknown++
					if want.Known {
						t.Errorf("group %d %s day %d is unknown, want %+v", position, name, end, want)
					}
					continue
				}
				known++
				if !sameDay(d, want) {
					t.Fatalf("group %d %s day %d: %+v, want %+v", position, name, end, d, want)
				}
			}
			if (first+zoneOffset)%dayLen != 0 {
				t.Errorf("a day ends at %d", first)
			}
		}
	}
	if known < 1000 || unknown < 10 {
		t.Errorf("%d days are known and %d not: too few to say anything", known, unknown)
	}
}

// Days of a block of version 4 are read as they were, and verified.
func TestEarlyDays(t *testing.T) {
	data, err := os.ReadFile("testdata/days-4.block")
	if err != nil {
		t.Fatal(err)
	}
	r, groups, err := open(t, data)
	if err != nil {
		t.Fatal(err)
	}
	if err := r.Verify(nil); err != nil {
		t.Error(err)
	}
	known := 0
	for position := range groups {
		var g Group
		if err := r.Group(position, &g); err != nil {
			t.Fatal(err)
		}
		table, err := r.Table(&g)
		if err != nil {
			t.Fatal(err)
		}
		for c, name := range g.Properties {
			first, days, ok, err := daysOf(r, name, position)
			if err != nil || !ok {
				t.Fatalf("days of %s: %v, %v", name, ok, err)
			}
			for k, d := range days {
				if !d.Known {
					continue
				}
				known++
				if want := naiveDay(table, c, first+int64(k)*dayLen); !sameDay(d, want) {
					t.Errorf("group %d %s day %d: %+v, want %+v", position, name, k, d, want)
				}
			}
		}
	}
	if known < 30 {
		t.Errorf("%d days are known", known)
	}
}

func daysOf(r *Reader, name string, position int) (first int64, days []Day, ok bool, err error) {
	page, ok := r.DayPage(name, position)
	if !ok {
		return 0, nil, false, nil
	}
	p, err := r.ReadDays(name, page)
	if err != nil {
		return 0, nil, false, err
	}
	s := p.Find(position)
	if s == nil {
		return 0, nil, false, nil
	}
	days, err = p.days(s)
	return s.First, days, true, err
}

// days decodes everything of a series.
func (p *DaysPage) days(s *DaySeries) ([]Day, error) {
	var out []Day
	for k, c := range p.Counts(s) {
		d := Day{Known: c > 0, Count: max(c-1, 0)}
		if d.Known {
			var err error
			if d.Suspect, d.Failed, d.Missing, err = p.Qualities(s, k); err != nil {
				return nil, err
			}
		}
		out = append(out, d)
	}
	for stat, of := range map[DayStat]func(*Day) *float64{
		DayMin: func(d *Day) *float64 { return &d.Min }, DayMax: func(d *Day) *float64 { return &d.Max },
		DayLast: func(d *Day) *float64 { return &d.Last }, DaySum: func(d *Day) *float64 { return &d.Sum },
	} {
		vs, err := p.Values(s, stat)
		if err != nil {
			return nil, err
		}
		for k := range out {
			if out[k].Count > 0 {
				*of(&out[k]) = vs[k]
			}
		}
	}
	return out, nil
}

// Chunks end between days where they can.
func TestChunksEndWithDays(t *testing.T) {
	tb := &rows.Table{}
	for i := range 4320 { // thirty days from midnight at +07:00
		tb.Append(&rows.Row{Time: 1_789_837_200_000 + int64(i)*600_000, Commit: 1, Cols: []int{0}, Values: []float64{1}, Quality: []uint8{0}})
	}
	_, groups, err := open(t, write(t, []sample{{quantrac.NewLabels("station", "a"), []string{"level"}, tb}}))
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range groups[0].Chunks {
		if i+1 < len(groups[0].Chunks) && DayEnd(c.Last) != c.Last {
			t.Errorf("chunk %d ends at %d, within a day", i, c.Last)
		}
	}
	if n := len(groups[0].Chunks); n != 3 {
		t.Errorf("%d chunks, want 3", n)
	}
}

func FuzzDays(f *testing.F) {
	rnd := rand.New(rand.NewPCG(5, 6))
	var w dayWriter
	w.group(0, []string{"level"}, plainTable(rnd, 400, 1), []int{0})
	for _, page := range w.finish() {
		f.Add(page[4:])
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		data := append([]byte{0, 0, 0, 0}, body...)
		sum := checksum(body)
		data[0], data[1], data[2], data[3] = byte(sum), byte(sum>>8), byte(sum>>16), byte(sum>>24)
		for _, early := range []bool{false, true} {
			p, err := openDays(data, dayLayout{early: early, groups: 1000, group: 3, partition: 1_788_000_000_000})
			if err != nil {
				continue
			}
			for i := range p.series {
				s := &p.series[i]
				days, err := p.days(s)
				if err == nil && (len(days) == 0 || len(days) > maxDays || s.Position > 1000) {
					t.Fatalf("%+v", s)
				}
			}
		}
	})
}

// A block as it was written verifies, and its parts make up the whole.
func TestVerify(t *testing.T) {
	rnd := rand.New(rand.NewPCG(3, 4))
	var all []sample
	for i := range 80 {
		all = append(all, sample{
			labels: quantrac.NewLabels("station", fmt.Sprintf("st-%03d", i)),
			props:  []string{"level", "ph", "rain"}, table: plainTable(rnd, 300+rnd.IntN(1200), 1+i%3),
		})
	}
	data := write(t, all)
	r, _, err := open(t, data)
	if err != nil {
		t.Fatal(err)
	}
	read := int64(0)
	if err := r.Verify(func(n int64) error { read += n; return nil }); err != nil {
		t.Fatal(err)
	}
	var s Sizes
	if err := r.Sizes(&s); err != nil {
		t.Fatal(err)
	}
	sum := s.Times + s.Commits + s.Received + s.Kinds + s.Qualities + s.Values + s.Headers + s.Days + s.Index
	if sum != int64(len(data)) || read+s.Days+s.Index != sum {
		t.Errorf("the parts are %d bytes, chunks %d, the block %d: %+v", sum, read, len(data), s)
	}
	cells := int64(0)
	for _, p := range s.Property {
		cells += p.Cells
	}
	if in := r.Info(); cells != in.Cells || in.Cells == 0 {
		t.Errorf("%d cells, want %d", cells, in.Cells)
	}
}

// What says something else than the rows is found, although every checksum is
// right.
func TestVerifyFindsWrongDays(t *testing.T) {
	table := plainTable(rand.New(rand.NewPCG(3, 4)), 400, 1)
	for name, wrong := range map[string]func(*scaledDays){
		"count": func(s *scaledDays) { s.days[2].count++ },
		"min":   func(s *scaledDays) { s.days[2].min-- },
		"max":   func(s *scaledDays) { s.days[2].max++ },
		"sum":   func(s *scaledDays) { s.days[2].sum++ },
		"last":  func(s *scaledDays) { s.days[2].last++ },
		"known": func(s *scaledDays) { s.days[2].known = !s.days[2].known },
		"fail":  func(s *scaledDays) { s.days[2].failed++ },
		"place": func(s *scaledDays) { s.first += dayLen },
	} {
		t.Run(name, func(t *testing.T) {
			var b bytes.Buffer
			w, err := NewWriter(&b, 1_788_000_000_000)
			if err != nil {
				t.Fatal(err)
			}
			if err := w.Group(quantrac.NewLabels("station", "a"), []string{"level"}, table); err != nil {
				t.Fatal(err)
			}
			first := DayEnd(table.Times[0])
			w.days.plainDays(table, first, int((DayEnd(table.Times[table.Len()-1])-first)/dayLen)+1)
			s, _ := w.days.sum(table, 0, first, len(w.days.plain))
			wrong(&s)
			page := &w.days.properties[0].page
			*page = pageWriter{}
			page.add(0, 1_788_000_000_000, s)
			if _, err := w.Finish(); err != nil {
				t.Fatal(err)
			}
			r, _, err := open(t, b.Bytes())
			if err != nil {
				t.Fatal(err)
			}
			if err := r.Verify(nil); quantrac.KindOf(err) != quantrac.Corrupt {
				t.Errorf("error %v, want one of kind Corrupt", err)
			}
		})
	}
}
