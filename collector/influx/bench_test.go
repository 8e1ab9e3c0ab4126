package influx

import (
	"bufio"
	"bytes"
	"compress/gzip"
	"context"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"strconv"
	"syscall"
	"testing"
	"time"

	"quantrac"
	"quantrac/collector"
)

const (
	benchStations = 2000
	benchLines    = 5000 // of one request
	benchFields   = 5    // of one line
)

var benchProperties = []string{"water_level_m", "temperature_c", "ph", "salinity_g_l", "battery_v", "rainfall_mm", "insect_count"}

// bodies makes the bodies of consecutive requests of a network whose stations
// send a line of five values each every ten minutes, as peers are measured
// with it; value writes a value. A fiftieth of the lines is missing.
func bodies(n int, value func(b []byte, rnd *rand.Rand) []byte) [][]byte {
	rnd := rand.New(rand.NewPCG(2026, 11))
	var out [][]byte
	var body []byte
	station, stamp, lines := 0, int64(1_792_540_800_000_000_000), 0
	for len(out) < n {
		if rnd.IntN(50) > 0 {
			body = fmt.Appendf(body, "station,district=d%02d,family=%s,station=st-%05d ", station%12, []string{"gauge", "water", "field"}[station%3], station)
			for k := range benchFields {
				body = value(append(append(body, benchProperties[(station+k)%len(benchProperties)]...), '='), rnd)
				body = append(body, ',')
			}
			body = fmt.Appendf(body[:len(body)-1], " %d\n", stamp+int64(rnd.IntN(100)/99*rnd.IntN(3))*1e9)
			lines++
		}
		if station++; station == benchStations {
			station, stamp = 0, stamp+600e9
		}
		if lines == benchLines {
			out, body, lines = append(out, body), nil, 0
		}
	}
	return out
}

// short values are those of instruments; long ones have the digits of averages.
func short(b []byte, rnd *rand.Rand) []byte {
	return strconv.AppendFloat(b, rnd.Float64()*30, 'f', rnd.IntN(4), 64)
}

func long(b []byte, rnd *rand.Rand) []byte {
	return strconv.AppendFloat(b, rnd.Float64()*30, 'g', -1, 64)
}

// noStore takes every batch at once.
type noStore struct{ cells int }

func (s *noStore) Append(_ context.Context, b *quantrac.Batch) (quantrac.Receipt, error) {
	for i := range b.Rows {
		s.cells += len(b.Rows[i].Cells)
	}
	return quantrac.Receipt{Commit: quantrac.Commit{Number: 1}}, nil
}

// noAnswer is a ResponseWriter that keeps the status only.
type noAnswer struct {
	header http.Header
	status int
}

func (w *noAnswer) Header() http.Header             { return w.header }
func (w *noAnswer) Write(b []byte) (int, error)     { return len(b), nil }
func (w *noAnswer) WriteHeader(status int)          { w.status = status }
func (w *noAnswer) SetReadDeadline(time.Time) error { return nil }

// everybody is the registry of the whole network, all values with limits.
type everybody map[string]*quantrac.Binding

func (everybody) Binding(string) (*quantrac.Binding, bool) { return nil, false }
func (e everybody) StationBinding(station string) (*quantrac.Binding, bool) {
	b, ok := e[station]
	return b, ok
}

func registered() everybody {
	out := everybody{}
	for i := range benchStations {
		b := &quantrac.Binding{Station: fmt.Sprintf("st-%05d", i), Properties: map[string]quantrac.Property{}}
		for _, name := range benchProperties {
			b.Properties["station_"+name] = quantrac.Property{Max: 100, SuspectMax: 90, FaultValues: []float64{-9999, 7999}}
		}
		out[b.Station] = b
	}
	return out
}

func benchHandler(b *testing.B, reg collector.Registry) (*Handler, *noStore) {
	s := &noStore{}
	c := collector.New(s, reg, nobody{}, quantrac.NewManualClock(1_792_540_800_000), collector.Options{})
	b.Cleanup(func() { c.Close() })
	return New(c, Options{}), s
}

// report gives the figures of an observation and a line. Of the two times the
// processor's is the one that other work on the machine disturbs less.
func report(b *testing.B, s *noStore, bodies [][]byte, run func()) {
	size := 0
	for _, body := range bodies {
		size += len(body)
	}
	var before, after runtime.MemStats
	var cpu [2]syscall.Rusage
	runtime.ReadMemStats(&before)
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &cpu[0])
	run()
	_ = syscall.Getrusage(syscall.RUSAGE_SELF, &cpu[1])
	runtime.ReadMemStats(&after)
	used := func(u *syscall.Rusage) int64 { return u.Utime.Nano() + u.Stime.Nano() }
	n := float64(s.cells)
	if s.cells != b.N*benchLines*benchFields {
		b.Fatalf("%d values stored of %d requests", s.cells, b.N)
	}
	b.ReportMetric(float64(b.Elapsed())/n, "ns/obs")
	b.ReportMetric(float64(used(&cpu[1])-used(&cpu[0]))/n, "cpu-ns/obs")
	b.ReportMetric(float64(after.Mallocs-before.Mallocs)/float64(b.N), "allocs/request")
	b.ReportMetric(float64(after.TotalAlloc-before.TotalAlloc)/n*benchFields, "alloc-B/line")
	b.ReportMetric(float64(size)/float64(len(bodies)*benchLines), "B/line")
}

// BenchmarkWrite measures a request of 5,000 lines of five values each, from
// its body in memory to the store, which does nothing.
func BenchmarkWrite(b *testing.B) {
	run := func(name, encoding string, bodies [][]byte, reg collector.Registry) {
		b.Run(name, func(b *testing.B) {
			h, s := benchHandler(b, reg)
			post := httptest.NewRequest("POST", "/write?db=d", nil)
			if encoding != "" {
				post.Header.Set("Content-Encoding", encoding)
			}
			w := &noAnswer{header: http.Header{}}
			report(b, s, bodies, func() {
				for i := range b.N {
					r := *post
					body := bodies[i%len(bodies)]
					r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
					h.ServeHTTP(w, &r)
					if w.status != http.StatusNoContent {
						b.Fatal(w.status)
					}
				}
			})
		})
	}
	run("short", "", bodies(16, short), nobody{})
	run("judged", "", bodies(16, short), registered())
	run("long", "", bodies(16, long), nobody{})
	var packed [][]byte
	for _, body := range bodies(16, short) {
		var buf bytes.Buffer
		z := gzip.NewWriter(&buf)
		z.Write(body)
		z.Close()
		packed = append(packed, buf.Bytes())
	}
	run("gzip", "gzip", packed, nobody{})
}

// BenchmarkWriteSocket measures the same requests through a server and its
// socket, the kernel's part and a client that only copies included.
func BenchmarkWriteSocket(b *testing.B) {
	h, s := benchHandler(b, nobody{})
	srv := httptest.NewServer(h)
	defer srv.Close()
	var requests [][]byte
	for _, body := range bodies(16, short) {
		head := fmt.Appendf(nil, "POST /write?db=d HTTP/1.1\r\nHost: x\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Length: %d\r\n\r\n", len(body))
		requests = append(requests, append(head, body...))
	}
	conn, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		b.Fatal(err)
	}
	defer conn.Close()
	answers := bufio.NewReader(conn)
	_ = conn.SetDeadline(time.Now().Add(time.Hour))
	report(b, s, requests, func() {
		for i := range b.N {
			if _, err := conn.Write(requests[i%len(requests)]); err != nil {
				b.Fatal(err)
			}
			resp, err := http.ReadResponse(answers, nil)
			if err != nil || resp.StatusCode != http.StatusNoContent {
				b.Fatal(resp, err)
			}
		}
	})
}
