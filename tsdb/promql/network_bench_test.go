package promql

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// The queries by which engines are compared, over HTTP and on the load they
// were first measured on: 2,000 stations with five series each, every ten
// minutes for 30 days, some readings missing, some seconds late in their stamp,
// some arriving late. One machine does both sides.

const (
	networkStations = 2000
	networkDays     = 30
	networkEnd      = testNow
)

var networkMetrics = []string{"water_level_meters", "water_temperature_celsius", "water_ph", "salinity_grams_per_liter", "battery_volts"}

// plausible is a value of a metric at a station and slot of ten minutes.
func plausible(rnd *rand.Rand, metric, station, slot int) float64 {
	h := float64(slot) / 6
	phase := float64(station)
	switch metric {
	case 0:
		tide := 0.8*math.Cos(2*math.Pi*h/12.4206+phase) + 0.3*math.Cos(2*math.Pi*h/23.9345+phase)
		return math.Round(1000*(2+tide+rnd.NormFloat64()*0.002)) / 1000
	case 1:
		return math.Round(10*(28+2*math.Sin(2*math.Pi*h/24+phase)+rnd.NormFloat64()*0.05)) / 10
	case 2:
		return math.Round(100*(7+0.3*math.Sin(h/40+phase)+rnd.NormFloat64()*0.008)) / 100
	case 3:
		return math.Round(100*(2+math.Cos(2*math.Pi*h/12.4206+phase)+rnd.NormFloat64()*0.01)) / 100
	}
	return math.Round(100*(12.4+0.6*math.Max(0, math.Sin(2*math.Pi*h/24))+rnd.NormFloat64()*0.012)) / 100
}

// fillNetwork appends the load to a store that runs, so that it comes into the
// shape of one that has run for long: what is over is sealed, the rest is not.
func fillNetwork(b *testing.B, db *tsdb.DB, stations, days int) {
	rnd := rand.New(rand.NewPCG(2026, 11))
	ctx, stop := context.WithCancel(context.Background())
	var running sync.WaitGroup
	running.Go(func() { _ = db.Run(ctx) }) // the context's error
	start := networkEnd - quantrac.Millis(days)*day
	batch := &quantrac.Batch{}
	appendRows := func(most int) {
		if len(batch.Rows) <= most {
			return
		}
		_, err := db.Append(ctx, batch)
		for quantrac.KindOf(err) == quantrac.Busy {
			time.Sleep(10 * time.Millisecond)
			_, err = db.Append(ctx, batch)
		}
		if err != nil {
			b.Fatal(err)
		}
		batch = &quantrac.Batch{}
	}
	late := make([][]quantrac.Row, stations)
	for slot := range days * 144 {
		for i := range stations {
			if rnd.IntN(100) < 2 {
				continue
			}
			row := quantrac.Row{
				Group: quantrac.NewLabels("station", fmt.Sprintf("st-%05d", i), "district", fmt.Sprintf("d%02d", i%12), "family", "gauge"),
				Time:  start + quantrac.Millis(slot+1)*10*minute,
			}
			if rnd.IntN(100) == 0 {
				row.Time += quantrac.Millis(1000 + rnd.IntN(2000))
			}
			for k, m := range networkMetrics {
				row.Cells = append(row.Cells, quantrac.Cell{Property: m, Value: plausible(rnd, k, i, slot), Quality: quantrac.Good})
			}
			if rnd.IntN(1000) < 35 && slot < days*144-10 {
				late[i] = append(late[i], row)
				continue
			}
			batch.Rows = append(batch.Rows, row)
			if len(late[i]) > 0 && rnd.IntN(60) == 0 {
				batch.Rows, late[i] = append(batch.Rows, late[i]...), nil
			}
		}
		appendRows(5000)
	}
	for _, rows := range late {
		batch.Rows = append(batch.Rows, rows...)
	}
	appendRows(0)
	if err := db.Flush(ctx); err != nil {
		b.Fatal(err)
	}
	stop()
	running.Wait()
}

// openNetwork returns a filled store. QUANTRAC_BENCH_DIR keeps it for the next
// run, because filling takes a minute.
func openNetwork(b *testing.B, stations, days int) *tsdb.DB {
	dir, keep := os.Getenv("QUANTRAC_BENCH_DIR"), true
	if dir == "" {
		dir, keep = b.TempDir(), false
	}
	dir = filepath.Join(dir, fmt.Sprintf("%d-%d", stations, days))
	_, err := os.Stat(filepath.Join(dir, "filled"))
	filled := err == nil
	clock := quantrac.NewManualClock(networkEnd + minute)
	j, err := journal.Open(vfs.OS(), filepath.Join(dir, "journal"), journal.Options{Clock: clock})
	if err != nil {
		b.Fatal(err)
	}
	db, err := tsdb.Open(vfs.OS(), filepath.Join(dir, "tsdb"), j, tsdb.Options{Clock: clock})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() {
		if err := errors.Join(db.Close(), j.Close()); err != nil {
			b.Error(err)
		}
	})
	if !filled {
		fillNetwork(b, db, stations, days)
		if keep {
			if err := os.WriteFile(filepath.Join(dir, "filled"), nil, 0o600); err != nil {
				b.Fatal(err)
			}
		}
	}
	if _, err := db.Latest(context.Background(), nil); err != nil { // as Run does
		b.Fatal(err)
	}
	return db
}

// networkQueries are the requests that the peers were asked, and some beside them.
func networkQueries() [][2]string {
	at := func(t quantrac.Millis) string { return fmt.Sprintf("%d.%03d", t/1000, t%1000) }
	span := func(query string, back, step quantrac.Millis) string {
		return fmt.Sprintf("query_range?query=%s&start=%s&end=%s&step=%d", query, at(networkEnd-back), at(networkEnd), step/1000)
	}
	instant := func(query string) string { return fmt.Sprintf("query?query=%s&time=%s", query, at(networkEnd+minute)) }
	const m = "water_level_meters"
	return [][2]string{
		{"q1", span(m+`{station="st-00007"}`, 30*day, 10*minute)},
		{"q2", span("max by (district) (max_over_time("+m+"[1h]))", 7*day, hour)},
		{"q3", instant("last_over_time(" + m + "[1h])")},
		{"q3-plain", instant(m)},
		{"q3-max", instant("max by (district) (" + m + ")")},
		{"q4", span("deriv("+m+"[1h])", day, 10*minute)},
		{"q4b", span("rate("+m+"[1h])", day, 10*minute)},
		{"q4c", span("avg(deriv("+m+"[1h]))", day, 10*minute)},
		{"q4-plain", span(m, day, 10*minute)},
		{"q5", "label/district/values"},
		{"q5-station", "label/station/values"},
		{"q6", instant("max by (district) (max_over_time(" + m + "[30d]))")},
	}
}

func BenchmarkNetwork(b *testing.B) {
	compareOver(b, openNetwork(b, networkStations, networkDays), networkQueries())
}

// BenchmarkDecade asks for ten years of daily maxima, days as people count them.
func BenchmarkDecade(b *testing.B) {
	const years = 10
	midnight, _ := networkEnd.Day()
	compareOver(b, openNetwork(b, 10, years*365), [][2]string{{"maxima", fmt.Sprintf("query_range?query=max_over_time(water_level_meters[1d])&start=%d&end=%d&step=86400",
		(midnight-(years*365-1)*day)/second, midnight/second)}})
}

// compareOver measures queries over HTTP, by native paths and by the engine.
func compareOver(b *testing.B, db *tsdb.DB, queries [][2]string) {
	reg := newTestRegistry()
	for _, m := range networkMetrics {
		reg.intervals[m] = 10 * time.Minute
	}
	for _, path := range []string{"native", "engine"} {
		api := New(db, reg, Options{Clock: quantrac.NewManualClock(networkEnd + minute), NoNative: path == "engine"})
		srv := httptest.NewServer(api.Handler())
		b.Cleanup(srv.Close)
		for _, q := range queries {
			b.Run(q[0]+"/"+path, func(b *testing.B) {
				b.ReportAllocs()
				var bytes int64
				before := processorTime()
				for b.Loop() {
					bytes = fetch(b, srv.URL+"/api/v1/"+strings.ReplaceAll(q[1], " ", "%20"))
				}
				// That of both sides, which other work on the machine hardly changes.
				b.ReportMetric(float64((processorTime()-before).Microseconds())/1000/float64(b.N), "cpu-ms/op")
				b.ReportMetric(float64(bytes), "answer-bytes")
			})
		}
	}
}

// processorTime is what the process has used.
func processorTime() time.Duration {
	var u syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &u); err != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// fetch reads an answer that is not compressed.
func fetch(b *testing.B, url string) int64 {
	req, err := http.NewRequest("GET", url, nil)
	if err != nil {
		b.Fatal(err)
	}
	req.Header.Set("Accept-Encoding", "identity")
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		b.Fatal(err)
	}
	n, err := io.Copy(io.Discard, res.Body)
	if err = errors.Join(err, res.Body.Close()); err != nil || res.StatusCode != 200 {
		b.Fatal(res.Status, err)
	}
	return n
}
