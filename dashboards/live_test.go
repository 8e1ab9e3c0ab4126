package dashboards

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"quantrac"
)

// stream is a live stream as a browser reads it.
type stream struct {
	t     *testing.T
	lines *bufio.Scanner
	id    string
	close context.CancelFunc
}

type updateBody struct {
	Now      int64
	Version  string
	Full     bool
	Trouble  *trouble
	Warnings *[]quantrac.Warning
	Stations []stationView
}

func follow(t *testing.T, url, lastID string) *stream {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	r, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/api/page/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	if lastID != "" {
		r.Header.Set("Last-Event-ID", lastID)
	}
	res, err := http.DefaultClient.Do(r)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cancel(); _ = res.Body.Close() })
	if res.StatusCode != 200 || !strings.HasPrefix(res.Header.Get("Content-Type"), "text/event-stream") {
		t.Fatalf("live: %d %s", res.StatusCode, res.Header)
	}
	sc := bufio.NewScanner(res.Body)
	sc.Buffer(nil, 1<<22)
	return &stream{t: t, lines: sc, close: cancel}
}

// next returns the next update; beats are passed over.
func (s *stream) next() updateBody {
	s.t.Helper()
	event := ""
	for s.lines.Scan() {
		line := s.lines.Text()
		switch {
		case strings.HasPrefix(line, "id: "):
			s.id = line[4:]
		case strings.HasPrefix(line, "event: "):
			event = line[7:]
		case strings.HasPrefix(line, "data: ") && event == "update":
			var u updateBody
			if err := json.Unmarshal([]byte(line[6:]), &u); err != nil {
				s.t.Fatalf("%v in %s", err, line)
			}
			return u
		}
	}
	s.t.Fatalf("the stream ended: %v", s.lines.Err())
	return updateBody{}
}

func runPage(t *testing.T, n *network, o Options, who quantrac.Principal) (*Page, string) {
	t.Helper()
	o.Flush = time.Millisecond
	p := newPage(t, n, o)
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	wait(t, "the first look", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.view != nil
	})
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if who.Role != "" {
			r = r.WithContext(quantrac.WithPrincipal(r.Context(), who))
		}
		p.ServeHTTP(w, r)
	}))
	t.Cleanup(func() {
		cancel()
		if err := <-done; !errors.Is(err, context.Canceled) {
			t.Errorf("Run: %v", err)
		}
		_ = p.Close()
		srv.Close()
	})
	return p, srv.URL
}

func (n *network) rise(id string, v float64) {
	n.store.put(quantrac.NewLabels(quantrac.LabelMetric, "water_level_meters", quantrac.LabelStation, id), n.clock.Now(), v, quantrac.Good)
	n.feed <- Change{Stations: []string{id}}
}

func TestLive(t *testing.T) {
	n := newNetwork()
	_, url := runPage(t, n, Options{}, quantrac.Principal{})
	s := follow(t, url, "")
	if u := s.next(); !u.Full || len(u.Stations) != 31 || u.Warnings == nil || len(*u.Warnings) != 1 {
		t.Fatalf("first: %+v, want everything", u)
	}
	n.clock.Advance(8 * time.Minute)
	n.rise("tram-chim", 9.99)
	u := s.next()
	if u.Full || u.Warnings != nil || len(u.Stations) != 1 || u.Stations[0].ID != "tram-chim" || *u.Stations[0].Readings[0].Value != 9.99 || u.Stations[0].Level != 3 {
		t.Fatalf("a reading: %+v, want that station only", u)
	}
	if u.Now != int64(n.clock.Now()) {
		t.Errorf("centre's time %d, want %d", u.Now, n.clock.Now())
	}
	n.warnings.set()
	n.feed <- Change{Warnings: true}
	if u := s.next(); u.Warnings == nil || len(*u.Warnings) != 0 {
		t.Fatalf("warnings gone: %+v", u)
	}
}

func TestLive_resumes(t *testing.T) {
	n := newNetwork()
	p, url := runPage(t, n, Options{}, quantrac.Principal{})
	s := follow(t, url, "")
	s.next()
	id := s.id
	s.close()
	wait(t, "the stream to be let go", func() bool { return p.Stats().LiveClients == 0 })
	n.clock.Advance(8 * time.Minute)
	n.rise("tan-quoi", 3.33)
	wait(t, "the change", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.version(p.view.seq) != id
	})
	s = follow(t, url, id)
	if u := s.next(); u.Full || len(u.Stations) != 1 || u.Stations[0].ID != "tan-quoi" {
		t.Fatalf("resumed: full %t with %d stations, want what was missed", u.Full, len(u.Stations))
	}
	for _, other := range []string{"elsewhere-7", "garbage", p.instance + "-999999", p.instance + "-x"} {
		if u := follow(t, url, other).next(); !u.Full {
			t.Errorf("after %q: want everything", other)
		}
	}
}

func TestLive_registryChange(t *testing.T) {
	n := newNetwork()
	_, url := runPage(t, n, Options{}, quantrac.Principal{})
	s := follow(t, url, "")
	s.next()
	n.registry.mu.Lock()
	n.registry.stations = n.registry.stations[1:]
	n.registry.mu.Unlock()
	n.feed <- Change{Registry: true}
	if u := s.next(); !u.Full || len(u.Stations) != 30 {
		t.Errorf("a station removed: full %t with %d stations", u.Full, len(u.Stations))
	}
}

func TestLive_onlyOwnStations(t *testing.T) {
	n := newNetwork()
	_, url := runPage(t, n, Options{}, hydrologist("tram-chim"))
	s := follow(t, url, "")
	if u := s.next(); len(u.Stations) != 1 || len(*u.Warnings) != 0 {
		t.Fatalf("got %d stations and %d warnings of others", len(u.Stations)-1, len(*u.Warnings))
	}
	n.clock.Advance(8 * time.Minute)
	n.rise("tan-quoi", 5)
	if u := s.next(); len(u.Stations) != 0 {
		t.Errorf("told of %s", u.Stations[0].ID)
	}
	n.rise("tram-chim", 5)
	if u := s.next(); len(u.Stations) != 1 || u.Stations[0].ID != "tram-chim" {
		t.Errorf("got %+v", u.Stations)
	}
}

func TestLive_tooMany(t *testing.T) {
	n := newNetwork()
	p, url := runPage(t, n, Options{MaxClients: 1}, quantrac.Principal{})
	follow(t, url, "").next()
	res, err := http.Get(url + "/api/page/live")
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" || p.Stats().LiveRefused != 1 {
		t.Errorf("second stream: %d, %+v", res.StatusCode, p.Stats())
	}
}

func TestLive_sessionEnds(t *testing.T) {
	n := newNetwork()
	p, url := runPage(t, n, Options{Session: 50 * time.Millisecond}, quantrac.Principal{})
	s := follow(t, url, "")
	s.next()
	for s.lines.Scan() { //nolint:revive // read to the end
	}
	wait(t, "the stream to end", func() bool { return p.Stats().LiveClients == 0 })
}

// A browser that takes nothing costs nothing: updates are merged while it is
// away, and Close does not wait for it.
func TestLive_slowReader(t *testing.T) {
	n := newNetwork()
	p, url := runPage(t, n, Options{}, quantrac.Principal{})
	conn, err := net.Dial("tcp", strings.TrimPrefix(url, "http://"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	fmt.Fprintf(conn, "GET /api/page/live HTTP/1.1\r\nHost: x\r\n\r\n")
	wait(t, "the slow reader", func() bool { return p.Stats().LiveClients == 1 })
	quick := follow(t, url, "")
	quick.next()
	for i := range 200 {
		n.clock.Advance(time.Minute)
		n.rise("tan-quoi", float64(i))
		for quick.next().Version != p.version(p.seqNow()) {
			continue
		}
	}
	if got := p.Stats().LiveClients; got != 2 {
		t.Logf("the slow reader has been let go already (%d left)", got)
	}
}

func (p *Page) seqNow() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.view.seq
}

// A feed that breaks is taken up again, and what was missed is found.
func TestFeedBreaks(t *testing.T) {
	n := newNetwork()
	d := n.deps()
	broken := make(chan struct{})
	d.Feed = feedFunc(func(ctx context.Context, yield func(Change, error) bool) {
		select {
		case <-broken:
			<-ctx.Done()
		default:
			close(broken)
			yield(Change{}, errors.New("the journal is being turned"))
		}
	})
	p, err := New(d, Options{Clock: n.clock, Flush: time.Millisecond, Look: time.Hour, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- p.Run(ctx) }()
	<-broken
	n.clock.Advance(8 * time.Minute)
	n.store.put(quantrac.NewLabels(quantrac.LabelMetric, "water_level_meters", quantrac.LabelStation, "tan-quoi"), n.clock.Now(), 7, quantrac.Good)
	wait(t, "the missed reading", func() bool {
		p.mu.Lock()
		defer p.mu.Unlock()
		return p.view != nil && *p.view.cells[0].view.Readings[0].Value == 7
	})
	if err := errors.Join(p.Close(), p.Close()); err != nil {
		t.Error(err)
	}
	cancel()
	<-done
}
