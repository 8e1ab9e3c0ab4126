package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// BenchmarkLatency publishes 1,000 messages a second from 100 gauges to the
// real binary and measures when the PUBACK comes and when a warning that a
// reading raised reaches its webhook receiver. One reading in twenty raises a
// level. An operation is one second of that load.
//
// Each message has its time, kept whatever became of those before it, and it is
// measured from that time on: a service that falls behind cannot slow the load
// down, nor hide what waits behind a slow message. The rate reached says whether
// the load was what it should be.
func BenchmarkLatency(b *testing.B) {
	const gauges, perSecond = 100, 1000
	s := start(b, b.TempDir(), "--dev")
	var csv strings.Builder
	csv.WriteString(gaugeHeader)
	for i := range gauges {
		csv.WriteString(gaugeRow(stationID(i), [3]float64{1, 2, 3}, 0, 0, time.Second))
	}
	importStations(s, csv.String())
	l := &latencies{b: b, raised: map[string]time.Time{}}
	srv := httptest.NewServer(l)
	defer srv.Close()
	subscribe(s, srv.URL)
	clients := make([]mqtt.Client, gauges)
	for i := range clients {
		clients[i] = s.device(stationID(i))
	}
	valid := time.Now().Add(-30 * time.Minute).UnixMilli()

	var all sync.WaitGroup
	b.ResetTimer()
	began := time.Now().Add(100 * time.Millisecond) // for everybody to be there
	for i := range gauges {
		all.Go(func() {
			for round := range b.N * perSecond / gauges {
				due := began.Add(time.Duration(round*gauges+i) * time.Second / perSecond)
				time.Sleep(time.Until(due))
				l.publish(clients[i], gaugeReading{stationID(i), valid + int64(round)*100, (round+i)%20 == 10}, due)
			}
		})
	}
	all.Wait()
	l.acknowledged.Wait()
	b.StopTimer()
	eventually(b, "every warning received", l.complete)
	l.report(began)
}

// latencies gathers how long things take.
type latencies struct {
	b            *testing.B
	acknowledged sync.WaitGroup // ends with the last PUBACK

	mu             sync.Mutex
	raised         map[string]time.Time // of readings that raise a level and of which no warning has come, when they were due
	acks, warnings []time.Duration
	last           time.Time // of the publishing
}

type gaugeReading struct {
	station string
	valid   int64
	raises  bool
}

// publish sends a reading that is due at a time, now or a little ago.
func (l *latencies) publish(c mqtt.Client, r gaugeReading, due time.Time) {
	v := 0.5
	if r.raises {
		v = 1.5
		l.mu.Lock()
		l.raised[fmt.Sprintf("%s@%d", r.station, r.valid)] = due
		l.mu.Unlock()
	}
	tok := c.Publish("v1/"+r.station+"/obs", 1, false, fmt.Sprintf(`{"time": %d, "values": {"water_level_meters": %g}}`, r.valid, v))
	sent := time.Now()
	l.acknowledged.Go(func() {
		<-tok.Done()
		took := time.Since(due)
		l.mu.Lock()
		defer l.mu.Unlock()
		l.acks = append(l.acks, took)
		if l.last.Before(sent) {
			l.last = sent
		}
		if tok.Error() != nil {
			l.b.Errorf("publish: %v", tok.Error())
		}
	})
}

// ServeHTTP receives warnings.
func (l *latencies) ServeHTTP(_ http.ResponseWriter, r *http.Request) {
	now := time.Now()
	var m struct{ Data warning }
	err := json.NewDecoder(r.Body).Decode(&m)
	l.mu.Lock()
	defer l.mu.Unlock()
	if err != nil {
		l.b.Errorf("unreadable delivery: %v", err)
	}
	key := fmt.Sprintf("%s@%d", m.Data.Station, m.Data.ValidTime)
	if due, ok := l.raised[key]; ok && m.Data.State == "issue" {
		l.warnings = append(l.warnings, now.Sub(due))
		delete(l.raised, key)
	}
}

func (l *latencies) complete() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if n := len(l.raised); n > 0 {
		return fmt.Errorf("%d warnings are missing", n)
	}
	return nil
}

func (l *latencies) report(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	report(l.b, l.acks, "ack")
	report(l.b, l.warnings, "warning")
	l.b.ReportMetric(float64(len(l.acks))/l.last.Sub(began).Seconds(), "msg/s")
}

func report(b *testing.B, ds []time.Duration, what string) {
	if len(ds) == 0 {
		b.Errorf("no %s measured", what)
		return
	}
	slices.Sort(ds)
	for _, p := range []int{50, 99} {
		b.ReportMetric(float64(ds[(len(ds)-1)*p/100].Microseconds())/1000, fmt.Sprintf("%s-p%d-ms", what, p))
	}
}
