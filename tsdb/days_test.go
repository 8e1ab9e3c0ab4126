package tsdb_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

const day = quantrac.Millis(86_400_000)

// month is random life at a few stations around the end of a partition: what
// they send every ten or thirty minutes, with gaps and failed readings, some of
// it days late, corrections, deletions, revocations, runs of a model; flushed
// and merged now and then.
type month struct {
	t     *testing.T
	rnd   *rand.Rand
	db    *engine
	clock *quantrac.ManualClock
	start quantrac.Millis
	ids   []string
	late  []quantrac.Row
	crowd int // stations more, so that several series are folded together
}

func (m *month) value() float64 {
	switch m.rnd.IntN(400) {
	case 0:
		return math.Copysign(0, -1)
	case 1:
		return math.Pi * m.rnd.Float64()
	}
	return math.Round(m.rnd.NormFloat64()*2000) / 1000
}

func (m *month) append(b *quantrac.Batch) {
	m.t.Helper()
	m.clock.Set(m.clock.Now() + 1000)
	mustAppend(m.t, m.db.DB, b)
}

// live sends one day of all stations, less what comes late.
func (m *month) live(d int) {
	stations := []string{"a", "b", "c"}
	for k := range m.crowd {
		stations = append(stations, fmt.Sprint("d", k))
	}
	for k, station := range stations {
		var rows []quantrac.Row
		step := []quantrac.Millis{600_000, 1_800_000, 600_000, 1_200_000}[min(k, 3)]
		for t := m.start + quantrac.Millis(d)*day; t < m.start+quantrac.Millis(d+1)*day; t += step {
			if m.rnd.IntN(30) == 0 || k == 2 && d%7 == 3 {
				continue
			}
			r := quantrac.Row{Group: quantrac.NewLabels("station", station), Time: t, Received: t + 700}
			for i, p := range []string{"level", "rain"} {
				if k > 2 && i == 1 && (k%3 == 0 || (d+k)%10 > 6 || m.rnd.IntN(50) == 0) {
					continue // a station need not speak of all it measures
				}
				q := quantrac.Good
				if m.rnd.IntN(50) == 0 {
					q = []quantrac.Quality{quantrac.Suspect, quantrac.Fail, quantrac.NotEvaluated}[m.rnd.IntN(3)]
				}
				r.Cells = append(r.Cells, quantrac.Cell{Property: p, Value: m.value(), Quality: q})
			}
			if m.rnd.IntN(200) == 0 {
				m.late = append(m.late, r)
			} else {
				rows = append(rows, r)
			}
		}
		if len(rows) > 0 {
			m.append(&quantrac.Batch{Rows: rows})
		}
	}
	if len(m.late) > 0 && m.rnd.IntN(3) == 0 {
		m.append(&quantrac.Batch{Rows: m.late})
		m.late = nil
	}
}

// change does something to what was sent before day d.
func (m *month) change(d int) {
	at := m.start + quantrac.Millis(m.rnd.IntN(d*144))*600_000
	row := quantrac.Row{Group: quantrac.NewLabels("station", []string{"a", "b"}[m.rnd.IntN(2)]), Time: at}
	cell := quantrac.Cell{Property: "level", Value: float64(m.rnd.IntN(20)), Quality: quantrac.Good}
	b := &quantrac.Batch{Author: "lan", Reason: "check"}
	switch m.rnd.IntN(5) {
	case 0: // a device says something else
		b = &quantrac.Batch{}
	case 1:
		b.Kind, b.Correction = quantrac.Corrections, "c"+string(rune('0'+m.rnd.IntN(10)))
		m.ids = append(m.ids, b.Correction)
	case 2:
		b.Kind = quantrac.Corrections
		cell.Value, cell.Quality = math.NaN(), quantrac.Missing
	case 3:
		if len(m.ids) == 0 {
			return
		}
		id := m.ids[m.rnd.IntN(len(m.ids))]
		m.clock.Set(m.clock.Now() + 1000)
		// It may have been revoked already.
		_, _ = m.db.Append(context.Background(), &quantrac.Batch{Kind: quantrac.Revocation, Author: "lan", Reason: "no", Correction: id})
		return
	case 4:
		b = &quantrac.Batch{Kind: quantrac.Forecasts, Model: "m", Issue: m.start + quantrac.Millis(d)*day}
		row = quantrac.Row{Group: quantrac.NewLabels("station", "a", "model", "m"), Time: b.Issue + quantrac.Millis(1+m.rnd.IntN(100))*600_000}
	}
	row.Cells = []quantrac.Cell{cell}
	b.Rows = []quantrac.Row{row}
	m.append(b)
}

// Fold says the same as folding what Select reads, for windows of every kind,
// whatever is summed up, revised, late, or not known yet; and most of what can
// be is taken from the days.
func TestFoldByDays(t *testing.T) {
	for seed := range uint64(6) {
		m := &month{t: t, rnd: rand.New(rand.NewPCG(seed, 77)), start: 1_788_000_000_000 + quantrac.Millis(seed)*5*day}
		if seed%3 == 2 {
			m.start -= (m.start + 7*3_600_000) % day // rows at midnight
			m.crowd = 30
		}
		m.clock = quantrac.NewManualClock(m.start + 400*day)
		db, j := openDB(t, vfs.NewMem(), m.clock, tsdb.Options{FlushInterval: -1})
		m.db = &engine{db, j}
		ctx := context.Background()
		for d := range 34 {
			m.live(d)
			if d > 0 && m.rnd.IntN(2) == 0 {
				m.change(d)
			}
			var err error
			switch m.rnd.IntN(6) {
			case 0, 1:
				err = db.Flush(ctx)
			case 2:
				if err = db.Flush(ctx); err == nil {
					err = db.Compact(ctx)
				}
			}
			if err != nil {
				t.Fatal(err)
			}
			if d%4 == 3 {
				m.compare(d)
			}
		}
		if db.Stats().DaysFolded < 200 {
			t.Errorf("seed %d: only %d days were taken as they are summed up", seed, db.Stats().DaysFolded)
		}
	}
}

// A row at the midnight that begins a partition closes the day of all that the station
// has said before, also of what this row does not speak of.
func TestFoldDaysWithoutValueAtMidnight(t *testing.T) {
	start := quantrac.Millis(1_788_000_000_000)
	start -= (start + 7*3_600_000) % day
	clock := quantrac.NewManualClock(start + 400*day)
	db, j := openDB(t, vfs.NewMem(), clock, tsdb.Options{FlushInterval: -1})
	m := &month{t: t, rnd: rand.New(rand.NewPCG(1, 7)), db: &engine{db, j}, clock: clock, start: start}
	const days = 40
	var rows []quantrac.Row
	for k, station := range []string{"a", "b", "c"} {
		for at := start; at < start+days*day; at += 600_000 {
			r := quantrac.Row{Group: quantrac.NewLabels("station", station), Time: at}
			r.Cells = append(r.Cells, quantrac.Cell{Property: "level", Value: m.value(), Quality: quantrac.Good})
			if d := int((at - start) / day); (d+k)%3 == 0 { // every third day, at another one each
				r.Cells = append(r.Cells, quantrac.Cell{Property: "rain", Value: m.value(), Quality: quantrac.Good})
			}
			rows = append(rows, r)
		}
	}
	for len(rows) > 0 {
		n := min(len(rows), 4000)
		m.append(&quantrac.Batch{Rows: rows[:n]})
		rows = rows[n:]
	}
	if err := errors.Join(db.Flush(context.Background()), db.Compact(context.Background())); err != nil {
		t.Fatal(err)
	}
	for _, op := range []tsdb.FoldOp{tsdb.FoldMin, tsdb.FoldMax, tsdb.FoldSum, tsdb.FoldCount, tsdb.FoldAvg, tsdb.FoldFirst, tsdb.FoldLast} {
		m.same(tsdb.Query{Anew: true}, tsdb.Windows{First: start, Step: day, Width: day, Count: days + 1}, op)
	}
	for d := quantrac.Millis(2); d < days; d++ {
		m.same(tsdb.Query{}, tsdb.Windows{First: start + d*day + 1, Width: 2 * day, Count: 1}, tsdb.FoldMax)
	}
	if db.Stats().DaysFolded < 1000 {
		t.Errorf("only %d days were taken as they are summed up", db.Stats().DaysFolded)
	}
}

// Of days that all have values Fold says so, and never where one has none.
func TestFoldFull(t *testing.T) {
	const days = 70 // some partitions, the first of which begins before
	start := quantrac.Millis(1_788_000_000_000)
	start -= (start + 7*3_600_000) % day
	clock := quantrac.NewManualClock(start + 400*day)
	db, j := openDB(t, vfs.NewMem(), clock, tsdb.Options{FlushInterval: -1})
	m := &month{t: t, db: &engine{db, j}, clock: clock}
	var b quantrac.Batch
	for at := start; at <= start+days*day; at += 600_000 {
		if len(b.Rows) > 4000 {
			m.append(&b)
			b.Rows = nil
		}
		for k, station := range []string{"all", "but the tenth", "none at midnight"} {
			if k == 1 && at > start+9*day && at <= start+10*day || k == 2 && (at-start)%day == 0 {
				continue
			}
			b.Rows = append(b.Rows, quantrac.Row{
				Group: quantrac.NewLabels("station", station), Time: at,
				Cells: []quantrac.Cell{{Property: "level", Value: float64(at%7_000) / 1000, Quality: quantrac.Good}},
			})
		}
	}
	m.append(&b)
	if err := errors.Join(db.Flush(context.Background()), db.Compact(context.Background())); err != nil {
		t.Fatal(err)
	}
	full := func(from, count int) (stations string) {
		w := tsdb.Windows{First: start + quantrac.Millis(from)*day, Step: day, Width: day, Count: count}
		m.same(tsdb.Query{Anew: true}, w, tsdb.FoldMax)
		for f, err := range db.Fold(context.Background(), tsdb.Query{Anew: true}, w, tsdb.FoldMax) {
			if err != nil {
				t.Fatal(err)
			}
			if f.Full {
				stations += f.Labels.Station() + ", "
			}
		}
		return stations
	}
	for _, c := range []struct {
		from, count int
		want        string
	}{
		{1, days, "all, none at midnight, "}, {40, days - 40, "all, but the tenth, none at midnight, "}, {10, 1, "all, none at midnight, "},
		{0, days, "all, "}, {-1, days, ""}, {20, days, ""},
	} {
		if got := full(c.from, c.count); got != c.want {
			t.Errorf("%d days from the %d. on are said to have values all: %q, want %q", c.count, c.from, got, c.want)
		}
	}
}

func (m *month) compare(d int) {
	for range 40 {
		q := tsdb.Query{DeviceOnly: m.rnd.IntN(6) == 0, Anew: m.rnd.IntN(4) == 0}
		if m.rnd.IntN(3) == 0 {
			q.AsOfCommit = 1 + m.rnd.Uint64N(m.db.Stats().Applied+2)
		}
		w := tsdb.Windows{
			First: m.start + quantrac.Millis(m.rnd.IntN(d+2))*day, Step: day * quantrac.Millis(1+m.rnd.IntN(2)),
			Width: day * quantrac.Millis(1+m.rnd.IntN(12)), Count: 1 + m.rnd.IntN(9),
		}
		w.First -= (w.First + 7*3_600_000) % day // midnight
		if m.rnd.IntN(3) == 0 {
			w.First += quantrac.Millis(m.rnd.IntN(int(day)))
			w.Width += quantrac.Millis(m.rnd.IntN(2) * m.rnd.IntN(int(day)))
		}
		if m.rnd.IntN(2) == 0 { // the same over and over: some of it is kept
			hour := quantrac.Millis(3_600_000)
			w.Width = []quantrac.Millis{hour, day, 6 * hour}[m.rnd.IntN(3)]
			w.Step, w.First, w.Count = w.Width, m.start+quantrac.Millis(3+m.rnd.IntN(4))*day, 2+m.rnd.IntN(200)
			if w.Width == day && m.rnd.IntN(4) > 0 { // the civil days, some before the first
				w.First -= (w.First+7*3_600_000)%day + quantrac.Millis(m.rnd.IntN(9))*day
			}
			q.AsOfCommit = uint64(m.rnd.IntN(20) / 19 * 7)
		}
		op := tsdb.FoldOp(m.rnd.IntN(7))
		if m.rnd.IntN(4) == 0 { // the extreme of some days, from within one to within another
			op = []tsdb.FoldOp{tsdb.FoldMin, tsdb.FoldMax}[m.rnd.IntN(2)]
			w = tsdb.Windows{Width: 2*day + quantrac.Millis(m.rnd.IntN(int(5*day))), Count: 1}
			w.First = m.start + quantrac.Millis(m.rnd.IntN((d+2)*int(day)))
			q.AsOfCommit = 0
		}
		m.same(q, w, op)
	}
}

// same says that Fold says what folding what is selected says.
func (m *month) same(q tsdb.Query, w tsdb.Windows, op tsdb.FoldOp) {
	m.t.Helper()
	ctx := context.Background()
	want := map[string]*tsdb.Folded{}
	for f, err := range tsdb.FoldSelect(ctx, m.db, q, w, op) {
		if err != nil {
			m.t.Fatal(err)
		}
		want[f.Labels.Key()] = &tsdb.Folded{Counts: append([]uint32(nil), f.Counts...), Values: append([]float64(nil), f.Values...)}
	}
	n := 0
	for f, err := range m.db.Fold(ctx, q, w, op) {
		if err != nil {
			m.t.Fatal(err)
		}
		n++
		x := want[f.Labels.Key()]
		if x == nil {
			m.t.Fatalf("op %d %+v: %v has samples, want none", op, w, f.Labels)
		}
		for k := range w.Count {
			if f.Full && x.Counts[k] == 0 {
				m.t.Fatalf("op %d %+v %+v %v: window %d is empty, and all are said to have samples", op, q, w, f.Labels, k)
			}
			if (f.Counts[k] == 0) != (x.Counts[k] == 0) || x.Counts[k] > 0 && !near(f.Values[k], x.Values[k], op, x.Counts[k]) {
				m.t.Fatalf("op %d %+v %+v %v: window %d is %v of %d, want %v of %d", op, q, w, f.Labels, k, f.Values[k], f.Counts[k], x.Values[k], x.Counts[k])
			}
		}
	}
	if n != len(want) {
		m.t.Fatalf("op %d %+v: %d series, want %d", op, w, n, len(want))
	}
}

// near allows sums and averages the rounding of their values, none of which is
// above 20.
func near(got, want float64, op tsdb.FoldOp, n uint32) bool {
	if op == tsdb.FoldSum || op == tsdb.FoldAvg {
		return math.Abs(got-want) <= float64(n)*20*0x1p-53
	}
	return math.Float64bits(got) == math.Float64bits(want)
}
