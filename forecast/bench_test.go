package forecast_test

import (
	"context"
	"math"
	"runtime"
	"testing"

	"quantrac"
	"quantrac/forecast"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
	"quantrac/internal/vfs"
)

// tides is a store of two tidal gauges as long as anybody asks, so that the
// benchmarks measure the forecast and not the engine.
type tides struct{}

func (tides) Read(_ context.Context, series quantrac.Labels, from, to quantrac.Millis, _ quantrac.Commit) ([]quantrac.Millis, []float64, []quantrac.Quality, error) {
	shift := 0.0
	if series.Station() == "down" {
		shift = 1.3
	}
	var ts []quantrac.Millis
	var vs []float64
	for t := (from + hour - 1) / hour * hour; t <= to; t += hour {
		h := float64(t/hour) - shift
		ts = append(ts, t)
		vs = append(vs, 1.5+0.8*math.Sin(h*2*math.Pi/12.42)+0.4*math.Sin(h*2*math.Pi/25.82)+0.3*math.Sin(h/400)+0.02*math.Sin(h*h))
	}
	return ts, vs, make([]quantrac.Quality, len(ts)), nil
}

func (tides) Append(context.Context, *quantrac.Batch) (quantrac.Receipt, error) {
	return quantrac.Receipt{}, nil
}

// BenchmarkRefit is what a gauge costs once a day: 400 days of hours of itself
// and the gauge upstream, up to two days ahead. BenchmarkRunOnce is a run with
// the trained model at hand, archive included.
func BenchmarkRefit(b *testing.B)   { benchmark(b, 24*hour) }
func BenchmarkRunOnce(b *testing.B) { benchmark(b, 0) }

func benchmark(b *testing.B, apart quantrac.Millis) {
	mem := vfs.NewMem()
	clock := quantrac.NewManualClock(begin / (24 * hour) * 24 * hour)
	j, err := journal.Open(mem, "journal", journal.Options{Clock: clock, MinFreeBytes: -1, ReserveBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	reg := newRegistry()
	cs := forecast.Defaults(reg, 0)
	f, err := forecast.Open(projection.Memory, j, tides{}, reg, forecast.Options{Clock: clock, Models: cs[1:2]})
	if err != nil {
		b.Fatal(err)
	}
	defer f.Close()
	which := f.Models()[0].Name
	if _, err := f.Issue(background, which); err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	var last *forecast.Run
	for b.Loop() {
		clock.Set(clock.Now() + apart)
		if last, err = f.Issue(background, which); err != nil {
			b.Fatal(err)
		}
	}
	b.StopTimer()
	if last.Fallback != "" || len(last.Leads) != 18 {
		b.Fatalf("fallback %q, %d leads", last.Fallback, len(last.Leads))
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	b.ReportMetric(float64(m.HeapInuse)/1e6/float64(f.Stats().Trainings), "MB/model")
}
