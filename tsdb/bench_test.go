package tsdb_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// fleet is a network like the one the peers were measured with: stations with
// five properties each, a row every ten minutes, 2 % missing, 1 % with jitter
// of one to three seconds, and some late by an hour to five days.
type fleet struct {
	rnd      *rand.Rand
	stations []benchStation
	start    quantrac.Millis
	received bool // rows say when the station had them, 0.8 to 1.7 s later
}

type benchStation struct {
	group     quantrac.Labels
	props     []string
	state     [5]float64
	phase     float64
	amplitude float64
	pending   []quantrac.Row // late
}

var benchProperties = []string{
	"water_level_meters", "water_temperature_celsius", "water_ph", "salinity_grams_per_liter",
	"battery_volts", "rainfall_millimeters", "insect_catch",
}

func newFleet(stations int) *fleet {
	f := &fleet{rnd: rand.New(rand.NewPCG(2026, 11)), start: 1_792_540_800_000}
	for i := range stations {
		s := benchStation{
			group: quantrac.NewLabels("station", fmt.Sprintf("st-%05d", i), "district", fmt.Sprintf("d%02d", i%12), "family", []string{"gauge", "water", "field"}[i%3]),
			phase: f.rnd.Float64() * 2 * math.Pi, amplitude: 0.5 + f.rnd.Float64(),
		}
		for k := range 5 {
			s.props = append(s.props, benchProperties[(i+k)%len(benchProperties)])
		}
		f.stations = append(f.stations, s)
	}
	return f
}

func decimals(v float64, n float64) float64 { return math.Round(v*n) / n }

// value returns what a property of a station reads at an hour.
func (f *fleet) value(s *benchStation, k int, h float64) float64 {
	x := &s.state[k]
	switch s.props[k] {
	case "water_level_meters": // M2, S2, K1, O1, a random-walk surge, 2 mm of noise
		*x += f.rnd.NormFloat64() * 0.003
		v := 2 + *x
		for _, c := range [4][2]float64{{12.4206, 0.6}, {12, 0.25}, {23.9345, 0.4}, {25.8193, 0.3}} {
			v += s.amplitude * c[1] * math.Cos(2*math.Pi*h/c[0]+s.phase)
		}
		return decimals(v+f.rnd.NormFloat64()*0.002, 1000)
	case "water_temperature_celsius":
		*x += f.rnd.NormFloat64() * 0.02
		return decimals(28+*x+2*math.Sin(2*math.Pi*h/24+s.phase), 10)
	case "water_ph":
		*x += f.rnd.NormFloat64() * 0.003
		return decimals(7+*x+f.rnd.NormFloat64()*0.008, 100)
	case "salinity_grams_per_liter":
		*x += f.rnd.NormFloat64() * 0.01
		return decimals(math.Abs(2+*x+math.Cos(2*math.Pi*h/12.4206)), 100)
	case "battery_volts":
		return decimals(12.4+0.6*math.Max(0, math.Sin(2*math.Pi*h/24))+f.rnd.NormFloat64()*0.012, 100)
	case "rainfall_millimeters":
		if f.rnd.IntN(100) < 2 {
			*x = float64(f.rnd.IntN(12))
		}
		*x = math.Max(0, *x-1)
		return decimals(0.2*math.Floor(*x), 10)
	}
	return float64(f.rnd.IntN(4) * f.rnd.IntN(3))
}

// rows calls fn with batches of n rows, in the order they would arrive in so
// many days.
func (f *fleet) rows(days float64, n int, fn func([]quantrac.Row)) {
	const step = 600_000
	batch := make([]quantrac.Row, 0, n)
	emit := func(r quantrac.Row) {
		if batch = append(batch, r); len(batch) == n {
			fn(batch)
			batch = make([]quantrac.Row, 0, n)
		}
	}
	for slot := range int(days * 144) {
		for i := range f.stations {
			s := &f.stations[i]
			if f.rnd.IntN(100) < 2 {
				continue
			}
			t := f.start + quantrac.Millis(slot*step)
			if f.rnd.IntN(100) == 0 {
				t += quantrac.Millis(1000 + f.rnd.IntN(2000))
			}
			r := quantrac.Row{Group: s.group, Time: t}
			if f.received {
				r.Received = t + quantrac.Millis(800+f.rnd.IntN(900))
			}
			for k, p := range s.props {
				r.Cells = append(r.Cells, quantrac.Cell{Property: p, Value: f.value(s, k, float64(slot)/6), Quality: quantrac.Good})
			}
			if f.rnd.IntN(1000) < 35 {
				s.pending = append(s.pending, r)
				continue
			}
			emit(r)
			if len(s.pending) > 0 && f.rnd.IntN(60) == 0 {
				for _, r := range s.pending {
					emit(r)
				}
				s.pending = nil
			}
		}
	}
	if len(batch) > 0 {
		fn(batch)
	}
}

func openBench(b *testing.B, o tsdb.Options) (*tsdb.DB, *journal.Journal) {
	b.Helper()
	dir := b.TempDir()
	clock := quantrac.NewManualClock(1_800_000_000_000)
	j, err := journal.Open(vfs.OS(), filepath.Join(dir, "journal"), journal.Options{Clock: clock})
	if err != nil {
		b.Fatal(err)
	}
	o.Clock = clock
	db, err := tsdb.Open(vfs.OS(), filepath.Join(dir, "tsdb"), j, o)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := db.Close(); err != nil {
			b.Error(err)
		}
		if err := j.Close(); err != nil {
			b.Error(err)
		}
	})
	return db, j
}

// cpu returns the processor time the process has used.
func cpu() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// BenchmarkAppend measures what an observation costs on its way into the
// store: checked, encoded, journalled on the machine's file system with a sync
// per batch of 5,000 rows, applied, and flushed to blocks.
func BenchmarkAppend(b *testing.B) {
	var batches []*quantrac.Batch
	obs := 0
	newFleet(2000).rows(1.8, 5000, func(rows []quantrac.Row) {
		batches = append(batches, &quantrac.Batch{Rows: rows})
		obs += 5 * len(rows)
	})
	b.ReportAllocs()
	var used time.Duration
	var journalBytes uint64
	for b.Loop() {
		b.StopTimer()
		db, j := openBench(b, tsdb.Options{})
		b.StartTimer()
		start := cpu()
		for _, batch := range batches {
			if _, err := db.Append(context.Background(), batch); err != nil {
				b.Fatal(err)
			}
		}
		if err := db.Flush(context.Background()); err != nil {
			b.Fatal(err)
		}
		used += cpu() - start
		journalBytes += j.Stats().Bytes
	}
	n := float64(obs) * float64(b.N)
	b.ReportMetric(n/used.Seconds(), "obs/cpu-s")
	b.ReportMetric(used.Seconds()/n*1e6, "cpu-s/Mobs")
	b.ReportMetric(n/b.Elapsed().Seconds(), "obs/s")
	b.ReportMetric(float64(journalBytes)/n, "journal-B/obs")
}

// BenchmarkAppendMessage measures what a station's message of one row costs when
// many send at a time: each is a commit of its own, written and synced together.
func BenchmarkAppendMessage(b *testing.B) {
	db, j := openBench(b, tsdb.Options{FlushBytes: 1 << 30})
	b.ReportAllocs()
	b.SetParallelism(64)
	var station atomic.Int64
	start := cpu()
	b.RunParallel(func(pb *testing.PB) {
		group := quantrac.NewLabels("station", fmt.Sprintf("st-%05d", station.Add(1)))
		for t := quantrac.Millis(1_792_540_800_000); pb.Next(); t += 600_000 {
			row := quantrac.Row{Group: group, Time: t, Received: t + 900}
			for k, p := range benchProperties[:5] {
				row.Cells = append(row.Cells, quantrac.Cell{Property: p, Value: float64(k) / 10})
			}
			if _, err := db.Append(context.Background(), &quantrac.Batch{Rows: []quantrac.Row{row}}); err != nil {
				b.Error(err)
				return
			}
		}
	})
	b.ReportMetric((cpu()-start).Seconds()/float64(b.N)*1e6, "cpu-µs/msg")
	b.ReportMetric(float64(j.Stats().Bytes)/float64(b.N), "journal-B/msg")
}

// loaded returns a store with days of a fleet, flushed and merged.
func loaded(b *testing.B, f *fleet, days float64) (*tsdb.DB, int) {
	b.Helper()
	db, _ := openBench(b, tsdb.Options{})
	obs := 0
	f.rows(days, 5000, func(rows []quantrac.Row) {
		if _, err := db.Append(context.Background(), &quantrac.Batch{Rows: rows}); err != nil {
			b.Fatal(err)
		}
		obs += 5 * len(rows)
		if s := db.Stats(); s.HeadBytes > 64<<20 {
			if err := db.Flush(context.Background()); err != nil {
				b.Fatal(err)
			}
		}
	})
	if err := db.Flush(context.Background()); err != nil {
		b.Fatal(err)
	}
	if err := db.Compact(context.Background()); err != nil {
		b.Fatal(err)
	}
	return db, obs
}

// BenchmarkStore loads 30 days of 400 stations and measures bytes on disk and
// reads.
func BenchmarkStore(b *testing.B) {
	db, obs := loaded(b, newFleet(400), 30)
	ctx := context.Background()
	q := tsdb.Query{From: quantrac.MinMillis, To: quantrac.MaxMillis, Matchers: []*quantrac.Matcher{
		quantrac.Equals(quantrac.LabelMetric, "water_level_meters"), quantrac.Equals(quantrac.LabelStation, "st-00007"),
	}}
	b.Run("bytes", func(b *testing.B) {
		for b.Loop() {
		}
		b.ReportMetric(float64(db.Stats().DiskBytes)/float64(obs), "B/obs")
		b.ReportMetric(0, "ns/op")
	})
	b.Run("bytes-received", func(b *testing.B) {
		f := newFleet(50)
		f.received = true
		db, obs := loaded(b, f, 30)
		for b.Loop() {
		}
		b.ReportMetric(float64(db.Stats().DiskBytes)/float64(obs), "B/obs")
		b.ReportMetric(0, "ns/op")
	})
	selectOne := func(b *testing.B, q tsdb.Query) {
		b.ReportAllocs()
		n := 0
		for b.Loop() {
			n = 0
			for s, err := range db.Select(ctx, q) {
				if err != nil {
					b.Fatal(err)
				}
				n += len(s.Times)
			}
		}
		b.ReportMetric(float64(n), "samples")
	}
	b.Run("select-30d", func(b *testing.B) { selectOne(b, q) })
	b.Run("select-1d", func(b *testing.B) {
		q := q
		q.From = 1_792_540_800_000 + 20*86_400_000
		q.To = q.From + 86_400_000
		selectOne(b, q)
	})
	b.Run("select-30d-asof", func(b *testing.B) {
		q := q
		q.AsOfCommit = db.Stats().Applied - 1
		selectOne(b, q)
	})
	b.Run("select-all-1d", func(b *testing.B) {
		q := q
		q.Matchers = q.Matchers[:1]
		q.From = 1_792_540_800_000 + 20*86_400_000
		q.To = q.From + 86_400_000
		selectOne(b, q)
	})
}

// BenchmarkOpen measures a start after an unclean end: everything is in the
// journal and nothing in blocks.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	clock := quantrac.NewManualClock(1_800_000_000_000)
	start := func() (*tsdb.DB, *journal.Journal) {
		j, err := journal.Open(vfs.OS(), filepath.Join(dir, "journal"), journal.Options{Clock: clock})
		if err != nil {
			b.Fatal(err)
		}
		db, err := tsdb.Open(vfs.OS(), filepath.Join(dir, "tsdb"), j, tsdb.Options{Clock: clock, FlushBytes: 1 << 30})
		if err != nil {
			b.Fatal(err)
		}
		return db, j
	}
	db, j := start()
	obs := 0
	newFleet(2000).rows(0.5, 5000, func(rows []quantrac.Row) {
		if _, err := db.Append(context.Background(), &quantrac.Batch{Rows: rows}); err != nil {
			b.Fatal(err)
		}
		obs += 5 * len(rows)
	})
	end := func() {
		if err := errors.Join(db.Close(), j.Close()); err != nil {
			b.Fatal(err)
		}
	}
	end()
	b.ReportAllocs()
	for b.Loop() {
		db, j = start()
		b.StopTimer()
		end()
		b.StartTimer()
	}
	b.ReportMetric(float64(obs)*float64(b.N)/b.Elapsed().Seconds(), "obs/s")
}

// BenchmarkLatest measures the latest value of all of 2,000 stations × 5.
func BenchmarkLatest(b *testing.B) {
	db, _ := openBench(b, tsdb.Options{})
	ctx := context.Background()
	newFleet(2000).rows(0.05, 5000, func(rows []quantrac.Row) {
		if _, err := db.Append(ctx, &quantrac.Batch{Rows: rows}); err != nil {
			b.Fatal(err)
		}
	})
	for _, tt := range []struct {
		name string
		ms   []*quantrac.Matcher
	}{
		{"all", nil},
		{"one-metric", []*quantrac.Matcher{quantrac.Equals(quantrac.LabelMetric, "water_level_meters")}},
	} {
		b.Run(tt.name, func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				all, err := db.Latest(ctx, tt.ms)
				if err != nil {
					b.Fatal(err)
				}
				n = len(all)
			}
			b.ReportMetric(float64(n), "series")
		})
	}
}

// BenchmarkLabelValues measures the stations, and the metrics, of 2,000
// stations × 5, for all time and for a while.
func BenchmarkLabelValues(b *testing.B) {
	db, _ := openBench(b, tsdb.Options{})
	ctx := context.Background()
	newFleet(2000).rows(0.02, 5000, func(rows []quantrac.Row) {
		if _, err := db.Append(ctx, &quantrac.Batch{Rows: rows}); err != nil {
			b.Fatal(err)
		}
	})
	for _, name := range []string{quantrac.LabelStation, quantrac.LabelMetric} {
		for _, from := range []quantrac.Millis{quantrac.MinMillis, 1_792_540_800_000} {
			b.Run(fmt.Sprintf("%s-%d", name, from), func(b *testing.B) {
				b.ReportAllocs()
				n := 0
				for b.Loop() {
					all, err := db.LabelValues(ctx, name, nil, from, quantrac.MaxMillis, 0)
					if err != nil {
						b.Fatal(err)
					}
					n = len(all)
				}
				b.ReportMetric(float64(n), "values")
			})
		}
	}
}
