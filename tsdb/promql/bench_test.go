package promql

import (
	"context"
	"fmt"
	"io"
	"iter"
	"math"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"quantrac"
	"quantrac/tsdb"
)

// columnStore holds finished answers: what is measured over it is our part and
// the engine's, without a store's.
type columnStore struct {
	spyStore
	series []*tsdb.Series
	lasts  []tsdb.Last
}

func (s *columnStore) Select(_ context.Context, q tsdb.Query) iter.Seq2[*tsdb.Series, error] {
	return func(yield func(*tsdb.Series, error) bool) {
		for _, c := range s.series {
			if quantrac.MatchAll(c.Labels, q.Matchers) && !yield(c, nil) {
				return
			}
		}
	}
}

func (s *columnStore) Fold(ctx context.Context, q tsdb.Query, w tsdb.Windows, op tsdb.FoldOp) iter.Seq2[*tsdb.Folded, error] {
	return tsdb.FoldSelect(ctx, s, q, w, op)
}

func (s *columnStore) Latest(_ context.Context, ms []*quantrac.Matcher) ([]tsdb.Last, error) {
	var out []tsdb.Last
	for _, l := range s.lasts {
		if quantrac.MatchAll(l.Labels, ms) {
			out = append(out, l)
		}
	}
	return out, nil
}

// newColumnStore makes water levels at so many stations, every ten minutes up
// to testNow.
func newColumnStore(stations, points int) (*columnStore, *testRegistry) {
	reg := newTestRegistry()
	s := &columnStore{}
	for i := range stations {
		id := fmt.Sprintf("s%04d", i)
		reg.stations[id] = []entry{{quantrac.MinMillis, quantrac.NewLabels("commune", fmt.Sprint("Xã ", i%80), "river", "Tiền", "station_name", "Trạm "+id)}}
		c := &tsdb.Series{Labels: quantrac.NewLabels("__name__", "water_level_meters", "station", id)}
		for k := range points {
			c.Times = append(c.Times, testNow-quantrac.Millis(points-1-k)*10*minute)
			c.Values = append(c.Values, math.Round(1000*math.Sin(float64(k)/60))/1000)
			c.Qualities = append(c.Qualities, quantrac.Good)
		}
		s.series = append(s.series, c)
		s.labels = append(s.labels, c.Labels)
		s.lasts = append(s.lasts, tsdb.Last{Labels: c.Labels, Time: testNow - 5*minute, Value: float64(i) / 100})
	}
	return s, reg
}

// nowhere takes an answer and counts its bytes.
type nowhere struct {
	header http.Header
	bytes  int64
	status int
}

func (w *nowhere) Header() http.Header         { return w.header }
func (w *nowhere) Write(b []byte) (int, error) { w.bytes += int64(len(b)); return len(b), nil }
func (w *nowhere) WriteHeader(status int)      { w.status = status }

// benchmark asks the handler for the same again and again.
func benchmark(b *testing.B, h http.Handler, target string) {
	b.Helper()
	b.ReportAllocs()
	var bytes int64
	for b.Loop() {
		w := &nowhere{header: http.Header{}, status: 200}
		h.ServeHTTP(w, httptest.NewRequest("GET", "/api/v1/"+target, io.LimitReader(nil, 0)))
		if w.status != 200 {
			b.Fatal(w.status)
		}
		bytes = w.bytes
	}
	b.ReportMetric(float64(bytes), "answer-bytes")
}

const (
	// q1: one series over 30 days, a point for every sample.
	q1 = "query_range?query=water_level_meters{station=%%22s0000%%22}&start=%d&end=%d&step=600"
	// q3: the latest of all.
	q3 = "query?query=water_level_meters&time=%d"
)

func q1At(now quantrac.Millis) string { return fmt.Sprintf(q1, (now-30*day)/second, now/second) }
func q3At(now quantrac.Millis) string { return fmt.Sprintf(q3, now/second) }

func BenchmarkQ1Handler(b *testing.B) {
	store, reg := newColumnStore(1, 30*144)
	benchmark(b, New(store, reg, Options{Clock: quantrac.NewManualClock(testNow)}).Handler(), q1At(testNow))
}

func BenchmarkQ3Handler(b *testing.B) {
	store, reg := newColumnStore(2000, 1)
	benchmark(b, New(store, reg, Options{Clock: quantrac.NewManualClock(testNow)}).Handler(), q3At(testNow))
}

// openFilled returns an engine with as many stations and points, flushed to
// blocks but for the last day.
func openFilled(b *testing.B, stations, points int) (Store, *testRegistry) {
	b.Helper()
	from, reg := newColumnStore(stations, points)
	e := openDB(b, quantrac.NewManualClock(testNow))
	for at := 0; at < points; at += 144 {
		if at+144 >= points {
			if err := e.Flush(b.Context()); err != nil {
				b.Fatal(err)
			}
		}
		batch := &quantrac.Batch{}
		for _, s := range from.series {
			for k := at; k < min(at+144, points); k++ {
				batch.Rows = append(batch.Rows, quantrac.Row{
					Group: s.Labels.Without(quantrac.LabelMetric), Time: s.Times[k],
					Cells: []quantrac.Cell{{Property: s.Labels.Metric(), Value: s.Values[k], Quality: quantrac.Good}},
				})
			}
		}
		appendBatch(b, e, batch)
	}
	return e, reg
}

func BenchmarkQ1(b *testing.B) {
	store, reg := openFilled(b, 50, 30*144)
	benchmark(b, New(store, reg, Options{Clock: quantrac.NewManualClock(testNow)}).Handler(), q1At(testNow))
}

func BenchmarkQ3(b *testing.B) {
	store, reg := openFilled(b, 2000, 10)
	benchmark(b, New(store, reg, Options{Clock: quantrac.NewManualClock(testNow)}).Handler(), q3At(testNow))
}

// BenchmarkLongSteps draws a year of ten-minute levels at 50 stations by days.
func BenchmarkLongSteps(b *testing.B) {
	store, reg := newColumnStore(50, 365*144)
	api := New(store, reg, Options{Clock: quantrac.NewManualClock(testNow)})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := api.Range(context.Background(), "water_level_meters", testNow-365*day, testNow, 24*time.Hour); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRateManySeries(b *testing.B) {
	store, reg := newColumnStore(500, 7*144)
	api := New(store, reg, Options{Clock: quantrac.NewManualClock(testNow)})
	b.ReportAllocs()
	for b.Loop() {
		if _, err := api.Range(context.Background(), "max by (commune) (rate(water_level_meters[1h]))", testNow-7*day, testNow, time.Hour); err != nil {
			b.Fatal(err)
		}
	}
}
