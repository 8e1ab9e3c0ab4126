package e2e

import (
	"context"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// ledger is what the service has acknowledged: value by device and stamp.
type ledger struct {
	mu    sync.Mutex
	acked map[string]map[int64]float64
	n     int
}

func (l *ledger) add(station string, at int64, v float64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.acked[station] == nil {
		l.acked[station] = map[int64]float64{}
	}
	l.acked[station][at] = v
	l.n++
}

// receiver is a webhook subscriber that remembers what came, in order.
type receiver struct {
	srv  *httptest.Server
	mu   sync.Mutex
	last map[string]int         // episode → highest revision so far
	got  map[string]map[int]int // episode → revision → times
	bad  []string
}

func newReceiver(t testing.TB) *receiver {
	r := &receiver{last: map[string]int{}, got: map[string]map[int]int{}}
	r.srv = httptest.NewServer(http.HandlerFunc(r.serve))
	t.Cleanup(r.srv.Close)
	return r
}

func (r *receiver) serve(w http.ResponseWriter, req *http.Request) {
	body, err := io.ReadAll(req.Body)
	var warning struct {
		ID       string
		Revision int
	}
	if err == nil {
		err = json.Unmarshal(body, &struct {
			Data any `json:"data"`
		}{&warning})
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	if err != nil || warning.ID == "" || req.Header.Get("webhook-id") == "" || req.Header.Get("webhook-signature") == "" {
		r.bad = append(r.bad, fmt.Sprintf("unreadable delivery: %v %q", err, body))
		w.WriteHeader(http.StatusBadRequest)
		return
	}
	if warning.Revision < r.last[warning.ID] {
		r.bad = append(r.bad, fmt.Sprintf("%s went back from revision %d to %d", warning.ID, r.last[warning.ID], warning.Revision))
	}
	r.last[warning.ID] = max(r.last[warning.ID], warning.Revision)
	if r.got[warning.ID] == nil {
		r.got[warning.ID] = map[int]int{}
	}
	r.got[warning.ID][warning.Revision]++
	w.WriteHeader(http.StatusNoContent)
}

// TestKill kills the service at random moments while 200 devices publish and
// HTTP clients write. Whatever was acknowledged must be there afterwards, every
// warning must have reached its receiver, and none may have gone back.
func TestKill(t *testing.T) {
	rounds := 4
	if v := os.Getenv("QUANTRAC_E2E_KILLS"); v != "" {
		var err error
		if rounds, err = strconv.Atoi(v); err != nil {
			t.Fatal(err)
		}
	} else if testing.Short() {
		t.Skip("kills the service for some twenty seconds")
	}
	const devices, writers, gauges = 200, 4, 10
	dir := t.TempDir()
	httpPort, mqttPort := freePort(t), freePort(t)
	s := launch(t, dir, httpPort, mqttPort, "--dev")
	s.waitReady()
	recv := newReceiver(t)
	importStations(s, gaugeCSV(gauges))
	subscribe(s, recv.srv.URL)

	l := &ledger{acked: map[string]map[int64]float64{}}
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	base := time.Now().Add(-55 * time.Minute).UnixMilli()
	var wg sync.WaitGroup
	for i := range devices {
		wg.Add(1)
		go func() {
			defer wg.Done()
			publishAll(ctx, s.mqtt, stationID(i), base, l)
		}()
	}
	for i := range writers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			writeAll(ctx, s.http, fmt.Sprintf("http_%d", i), base, l)
		}()
	}
	rng := rand.New(rand.NewPCG(1, 2))
	for round := range rounds {
		time.Sleep(time.Duration(300+rng.IntN(1500)) * time.Millisecond)
		s.kill()
		// Some kills hit the recovery itself.
		if round%5 == 4 {
			again := launch(t, dir, httpPort, mqttPort, "--dev")
			time.Sleep(time.Duration(rng.IntN(200)) * time.Millisecond)
			again.kill()
		}
		s = launch(t, dir, httpPort, mqttPort, "--dev")
		s.waitReady()
	}
	time.Sleep(time.Second)
	cancel()
	wg.Wait()
	checkLedger(t, s, l)
	checkWarnings(t, s, recv)
}

// stationID names device i: the first ones are registered gauges.
func stationID(i int) string { return fmt.Sprintf("kill_%03d", i) }

// wave is the level a gauge shows at its k-th reading: it crosses all three
// levels up and down again and again.
func wave(i, k int) float64 {
	phase := (k + 3*i) % 40
	if phase > 20 {
		phase = 40 - phase
	}
	return float64(phase) * 0.2 // 0 to 4 m
}

// publishAll publishes one reading after the other, each until acknowledged.
func publishAll(ctx context.Context, broker, station string, base int64, l *ledger) {
	// When the client connects again it calls done what it then sends again: what was
	// under way meanwhile may be acknowledged or not.
	var attempts atomic.Int64
	o := deviceOptions(broker, station)
	o.SetConnectionAttemptHandler(func(_ *url.URL, config *tls.Config) *tls.Config {
		attempts.Add(1)
		return config
	})
	c := mqtt.NewClient(o)
	defer c.Disconnect(0)
	if t := c.Connect(); !done(ctx, t) {
		return
	}
	i, _ := strconv.Atoi(station[len("kill_"):])
	for k := 0; k < 3000 && ctx.Err() == nil; k++ {
		at, v := base+int64(k)*1000, wave(i, k)
		payload := fmt.Sprintf(`{"time": %d, "values": {"water_level_meters": %g}}`, at, v)
		before := attempts.Load()
		if done(ctx, c.Publish("v1/"+station+"/obs", 1, false, payload)) && attempts.Load() == before {
			l.add(station, at, v)
		}
		time.Sleep(40 * time.Millisecond)
	}
}

// done waits for an acknowledgement, a minute at the most after the end.
func done(ctx context.Context, t mqtt.Token) bool {
	select {
	case <-t.Done():
		return t.Error() == nil
	case <-ctx.Done():
		return false
	}
}

// writeAll writes batches over HTTP and notes those answered with 204. A batch
// without an answer is sent again, as Telegraf does.
func writeAll(ctx context.Context, base, station string, from int64, l *ledger) {
	for k := 0; ctx.Err() == nil; {
		const lines = 20
		var b strings.Builder
		for j := range lines {
			fmt.Fprintf(&b, "water,station=%s level_meters=%d %d\n", station, k+j, from+int64(k+j))
		}
		status, _, err := call(ctx, "POST", base+"/write?db=quantrac&precision=ms", "text/plain; charset=utf-8", strings.NewReader(b.String()))
		if err != nil || status != http.StatusNoContent {
			time.Sleep(20 * time.Millisecond)
			continue
		}
		for j := range lines {
			l.add(station, from+int64(k+j), float64(k+j))
		}
		k += lines
		time.Sleep(5 * time.Millisecond)
	}
}

// checkLedger reads every series back and compares.
func checkLedger(t *testing.T, s *service, l *ledger) {
	t.Helper()
	lost, wrong := 0, 0
	missing := map[string]int{}
	for station, want := range l.acked {
		res, err := s.query("/api/v1/query", fmt.Sprintf(`water_level_meters{station=%q}[2h]`, station))
		if err != nil {
			t.Fatal(err)
		}
		have := map[int64]string{}
		for _, r := range res {
			for _, v := range r.Values {
				have[int64(v[0].(float64)*1000+0.5)] = v[1].(string)
			}
		}
		for at, v := range want {
			switch text, ok := have[at]; {
			case !ok:
				lost++
				missing[station]++
			case text != strconv.FormatFloat(v, 'f', -1, 64):
				if f, err := strconv.ParseFloat(text, 64); err != nil || f != v {
					wrong++
				}
			}
		}
	}
	t.Logf("%d acknowledged observations of %d sources: %d lost, %d wrong", l.n, len(l.acked), lost, wrong)
	if lost > 0 || wrong > 0 || l.n == 0 {
		t.Errorf("%d of %d acknowledged observations lost, %d wrong; lost by station: %v", lost, l.n, wrong, missing)
	}
}

// checkWarnings waits until the outbox is empty and compares what the service
// says it has warned of with what the receiver got.
func checkWarnings(t *testing.T, s *service, recv *receiver) {
	t.Helper()
	said := warningHistory(s)
	eventually(t, "every warning delivered", func() error {
		recv.mu.Lock()
		defer recv.mu.Unlock()
		for _, w := range said {
			if recv.got[w.ID][w.Revision] == 0 {
				return fmt.Errorf("%s revision %d has not arrived", w.ID, w.Revision)
			}
		}
		return nil
	})
	recv.mu.Lock()
	defer recv.mu.Unlock()
	for _, b := range recv.bad {
		t.Error(b)
	}
	repeats := 0
	for _, revs := range recv.got {
		for _, n := range revs {
			repeats += n - 1
		}
	}
	t.Logf("%d warning revisions said, all delivered; %d deliveries repeated", len(said), repeats)
	if len(said) < 10 {
		t.Errorf("only %d revisions: the gauges crossed their levels many times", len(said))
	}
	// No revision was invented: each episode's run from 1 without a hole.
	high := map[string]int{}
	count := map[string]int{}
	for _, w := range said {
		high[w.ID] = max(high[w.ID], w.Revision)
		count[w.ID]++
	}
	for id, n := range high {
		if count[id] != n {
			t.Errorf("episode %s has %d revisions numbered up to %d", id, count[id], n)
		}
	}
}
