package e2e

import (
	"encoding/json"
	"fmt"
	"io"
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
// real binary and measures, from the call of publish on, when the PUBACK comes
// and when a warning that a reading raised reaches its webhook receiver. One
// reading in twenty raises a level. An operation is one second of that load.
func BenchmarkLatency(b *testing.B) {
	const gauges, perSecond = 100, 1000
	s := start(b, b.TempDir(), "--dev")
	var csv strings.Builder
	csv.WriteString(gaugeHeader)
	for i := range gauges {
		csv.WriteString(gaugeRow(stationID(i), [3]float64{1, 2, 3}, 0, 0, time.Second))
	}
	importStations(s, csv.String())

	var mu sync.Mutex
	sent := map[string]time.Time{} // of readings that raise a level, by station and valid time
	var acks, warnings []time.Duration
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		now := time.Now()
		body, err := io.ReadAll(r.Body)
		var m struct{ Data warning }
		if err == nil {
			err = json.Unmarshal(body, &m)
		}
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			b.Errorf("unreadable delivery: %v", err)
		}
		key := fmt.Sprintf("%s@%d", m.Data.Station, m.Data.ValidTime)
		if at, ok := sent[key]; ok && m.Data.State == "issue" {
			warnings = append(warnings, now.Sub(at))
			delete(sent, key)
		}
	}))
	defer srv.Close()
	subscribe(s, srv.URL)

	clients := make([]mqtt.Client, gauges)
	for i := range clients {
		clients[i] = s.device(stationID(i))
	}
	base := time.Now().Add(-30 * time.Minute).UnixMilli()
	var wg sync.WaitGroup
	tick := time.NewTicker(time.Second / perSecond)
	defer tick.Stop()
	b.ResetTimer()
	k := 0
	for range b.N {
		for range perSecond {
			<-tick.C
			i, round := k%gauges, k/gauges
			k++
			station, at, v := stationID(i), base+int64(round)*100, 0.5
			if (round+i)%20 == 10 {
				v = 1.5
			}
			began := time.Now()
			if v > 1 {
				mu.Lock()
				sent[fmt.Sprintf("%s@%d", station, at)] = began
				mu.Unlock()
			}
			tok := clients[i].Publish("v1/"+station+"/obs", 1, false, fmt.Sprintf(`{"time": %d, "values": {"water_level_meters": %g}}`, at, v))
			wg.Add(1)
			go func() {
				defer wg.Done()
				<-tok.Done()
				d := time.Since(began)
				mu.Lock()
				defer mu.Unlock()
				acks = append(acks, d)
				if tok.Error() != nil {
					b.Errorf("publish: %v", tok.Error())
				}
			}()
		}
	}
	wg.Wait()
	b.StopTimer()
	eventually(b, "every warning received", func() error {
		mu.Lock()
		defer mu.Unlock()
		if len(sent) > 0 {
			return fmt.Errorf("%d are missing", len(sent))
		}
		return nil
	})
	mu.Lock()
	defer mu.Unlock()
	report(b, acks, "ack")
	report(b, warnings, "warning")
	b.ReportMetric(float64(k)/b.Elapsed().Seconds(), "msg/s")
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
