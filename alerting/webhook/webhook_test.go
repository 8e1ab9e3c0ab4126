package webhook_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	standardwebhooks "github.com/standard-webhooks/standard-webhooks/libraries/go"

	"quantrac"
	"quantrac/alerting"
	"quantrac/alerting/alertingtest"
	"quantrac/alerting/outbox"
	"quantrac/alerting/webhook"
)

var local = webhook.Options{AllowPrivate: true, AllowHTTP: true}

func secret(b byte) string {
	return "whsec_" + map[byte]string{'a': "YWFhYWFhYWFhYWFhYWFhYWFhYWFhYWFh", 'b': "YmJiYmJiYmJiYmJiYmJiYmJiYmJiYmJi"}[b]
}

func warning() *quantrac.Warning {
	return &quantrac.Warning{ID: "tq-1", Revision: 3, Epoch: 2, State: quantrac.WarningUpdated, Rule: quantrac.RuleLevel, Sent: 1_727_744_400_000,
		Headline: quantrac.Text{Vi: "Trạm Tân Quới: mực nước vượt <ngưỡng>", En: "…"}}
}

func TestSigned(t *testing.T) {
	var headers http.Header
	var body []byte
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		headers = r.Header.Clone()
		body, _ = io.ReadAll(r.Body)
		w.WriteHeader(http.StatusAccepted)
	}))
	defer srv.Close()
	s := webhook.New(local)
	defer s.Close()
	now := quantrac.SystemClock{}.Now()
	sub := alerting.Subscription{URL: srv.URL, Secrets: []alerting.Secret{{Key: secret('a')}, {Key: secret('b'), Until: now.Add(time.Hour)}}}
	if err := s.Send(context.Background(), sub, warning()); err != nil {
		t.Fatal(err)
	}
	for _, k := range []byte{'a', 'b'} {
		wh, err := standardwebhooks.NewWebhook(secret(k))
		if err != nil {
			t.Fatal(err)
		}
		if err := wh.Verify(body, headers); err != nil {
			t.Errorf("secret %c: %v", k, err)
		}
		if err := wh.Verify(append(body, ' '), headers); err == nil {
			t.Error("a changed body passes")
		}
	}
	if got := headers.Get("webhook-id"); got != "tq-1.3.2" {
		t.Errorf("webhook-id %q", got)
	}
	if n := len(strings.Fields(headers.Get("webhook-signature"))); n != 2 {
		t.Errorf("%d signatures", n)
	}
	var msg struct {
		Type      string
		Timestamp time.Time
		Data      quantrac.Warning
	}
	if err := json.Unmarshal(body, &msg); err != nil || msg.Type != "warning.update" || msg.Data.Headline.Vi != warning().Headline.Vi || msg.Timestamp.UnixMilli() != 1_727_744_400_000 {
		t.Errorf("%v: %s", err, body)
	}
	sub.Secrets[1].Until = now - 1
	if err := s.Send(context.Background(), sub, warning()); err != nil {
		t.Fatal(err)
	}
	if n := len(strings.Fields(headers.Get("webhook-signature"))); n != 1 {
		t.Errorf("after the overlap: %d signatures", n)
	}
}

func TestAnswers(t *testing.T) {
	status, header := 200, http.Header{}
	hits := 0
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		hits++
		for k, v := range header {
			w.Header()[k] = v
		}
		w.WriteHeader(status)
		_, _ = io.WriteString(w, "an answer")
	}))
	defer srv.Close()
	s := webhook.New(local)
	f := func(code int, h http.Header, want string) {
		t.Helper()
		status, header, hits = code, h, 0
		err := s.Send(context.Background(), alerting.Subscription{URL: srv.URL + "/token?secret=x", Secrets: []alerting.Secret{{Key: secret('a')}}}, warning())
		got := "delivered"
		var fail *alerting.Failure
		switch {
		case errors.As(err, &fail):
			got = fmt.Sprintf("failed gone=%t refused=%t after=%s", fail.Gone, fail.Refused, fail.RetryAfter.Round(time.Minute))
		case err != nil:
			got = err.Error()
		}
		if got != want || hits != 1 {
			t.Errorf("%d: %s in %d requests, want %s", code, got, hits, want)
		}
		if err != nil && (strings.Contains(err.Error(), "token") || strings.Contains(err.Error(), "secret=")) {
			t.Errorf("%d: the error tells the address: %v", code, err)
		}
	}
	f(200, nil, "delivered")
	f(204, nil, "delivered")
	f(301, http.Header{"Location": {srv.URL + "/elsewhere"}}, "failed gone=false refused=false after=0s")
	f(307, http.Header{"Location": {"http://169.254.169.254/"}}, "failed gone=false refused=false after=0s")
	f(400, nil, "failed gone=false refused=true after=0s")
	f(401, nil, "failed gone=false refused=false after=0s")
	f(404, nil, "failed gone=false refused=false after=0s")
	f(410, nil, "failed gone=true refused=false after=0s")
	f(422, nil, "failed gone=false refused=true after=0s")
	f(429, http.Header{"Retry-After": {"600"}}, "failed gone=false refused=false after=10m0s")
	f(503, http.Header{"Retry-After": {time.Now().Add(time.Hour).UTC().Format(http.TimeFormat)}}, "failed gone=false refused=false after=1h0m0s")
	f(503, http.Header{"Retry-After": {"soon"}}, "failed gone=false refused=false after=0s")
	f(500, nil, "failed gone=false refused=false after=0s")
}

func TestAddressesThatMayNotBeReached(t *testing.T) {
	s := webhook.New(webhook.Options{})
	for _, u := range []string{
		"https://127.0.0.1/", "https://[::1]:8443/", "https://10.1.2.3/", "https://172.16.0.1/", "https://192.168.1.1/", "https://169.254.169.254/latest/meta-data",
		"https://[fd00::1]/", "https://[fe80::1]/", "https://[::ffff:127.0.0.1]/", "https://[64:ff9b::7f00:1]/", "https://0.0.0.0/", "https://[::]/",
		"https://100.64.1.1/", "https://224.0.0.1/", "https://255.255.255.255/", "https://198.18.0.1/", "https://[2002:7f00:1::]/", "https://[ff02::1]/",
	} {
		if err := s.Check(u); quantrac.KindOf(err) != quantrac.Denied {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"http://example.org/", "ftp://example.org/", "https://", "https://user:pass@example.org/", "/relative", "https://exa mple/", "", "javascript:alert(1)"} {
		if err := s.Check(u); quantrac.KindOf(err) != quantrac.Invalid {
			t.Errorf("%s: %v", u, err)
		}
	}
	for _, u := range []string{"https://example.org/hook", "https://8.8.8.8/", "https://[2606:4700::1]/x"} {
		if err := s.Check(u); err != nil {
			t.Errorf("%s: %v", u, err)
		}
	}
	// A name that leads inside is refused when connecting, before a byte is sent.
	hit := false
	srv := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { hit = true }))
	defer srv.Close()
	_, port, _ := net.SplitHostPort(srv.Listener.Addr().String())
	err := s.Send(context.Background(), alerting.Subscription{URL: "https://localhost:" + port, Secrets: []alerting.Secret{{Key: secret('a')}}}, warning())
	if quantrac.KindOf(err) != quantrac.Denied || hit {
		t.Errorf("localhost: %v, reached: %t", err, hit)
	}
}

// TestGarbage answers with what is no answer; each is an error, in bounded
// time and memory.
func TestGarbage(t *testing.T) {
	o := local
	o.Timeout = 300 * time.Millisecond
	s := webhook.New(o)
	for name, talk := range map[string]func(net.Conn){
		"closes":   func(net.Conn) {},
		"silent":   func(c net.Conn) { _, _ = io.Copy(io.Discard, c) },
		"not HTTP": func(c net.Conn) { _, _ = io.WriteString(c, "SSH-2.0-OpenSSH\r\n\r\n") },
		"binary":   func(c net.Conn) { _, _ = c.Write([]byte{0, 1, 2, 0xff, '\n', '\n'}) },
		"endless header": func(c net.Conn) {
			endless(c, "HTTP/1.1 200 OK\r\n", "X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n")
		},
		"status of 1 byte": func(c net.Conn) { _, _ = io.WriteString(c, "HTTP/1.1 2\r\n\r\n") },
		"stops in header": func(c net.Conn) {
			_, _ = io.WriteString(c, "HTTP/1.1 200 OK\r\nContent-")
			_, _ = io.Copy(io.Discard, c)
		},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		var wg sync.WaitGroup
		wg.Go(func() {
			for {
				c, err := l.Accept()
				if err != nil {
					return
				}
				wg.Go(func() { defer c.Close(); talk(c) })
			}
		})
		if err := s.Send(context.Background(), alerting.Subscription{URL: "http://" + l.Addr().String(), Secrets: []alerting.Secret{{Key: secret('a')}}}, warning()); err == nil {
			t.Errorf("%s: taken for a delivery", name)
		}
		s.Close()
		_ = l.Close()
		wg.Wait()
	}
	// An endless body after a good status is a delivery; it is not read on.
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		for r.Context().Err() == nil {
			if _, err := w.Write(make([]byte, 64<<10)); err != nil {
				return
			}
		}
	}))
	defer srv.Close()
	s = webhook.New(local) // with time enough
	defer s.Close()
	if err := s.Send(context.Background(), alerting.Subscription{URL: srv.URL, Secrets: []alerting.Secret{{Key: secret('a')}}}, warning()); err != nil {
		t.Errorf("endless body: %v", err)
	}
	if err := s.Send(context.Background(), alerting.Subscription{URL: srv.URL, Secrets: []alerting.Secret{{Key: "whsec_%%%"}}}, warning()); err == nil {
		t.Error("a broken secret signs")
	}
}

func endless(c net.Conn, first, more string) {
	_, err := io.WriteString(c, first)
	for err == nil {
		_, err = io.WriteString(c, more)
	}
}

// receiver takes webhooks, fails now and then, and checks what it gets.
type receiver struct {
	*httptest.Server
	mu     sync.Mutex
	rng    *rand.Rand
	wh     *standardwebhooks.Webhook
	errs   []string
	last   map[string]int
	got    map[string]bool
	rate   int // of a hundred fail
	arrive chan string
}

func newReceiver(rate int) *receiver {
	r := &receiver{rng: rand.New(rand.NewPCG(1, 2)), last: map[string]int{}, got: map[string]bool{}, rate: rate, arrive: make(chan string, 1000)}
	r.Server = httptest.NewServer(r)
	return r
}

func (r *receiver) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	body, _ := io.ReadAll(req.Body)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.wh == nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	if r.rng.IntN(100) < r.rate {
		w.WriteHeader(http.StatusBadGateway)
		return
	}
	var msg struct{ Data quantrac.Warning }
	if err := errors.Join(r.wh.Verify(body, req.Header), json.Unmarshal(body, &msg)); err != nil {
		r.errs = append(r.errs, err.Error())
	}
	if d := &msg.Data; d.Revision < r.last[d.ID] {
		r.errs = append(r.errs, fmt.Sprintf("%s went back from %d to %d", d.ID, r.last[d.ID], d.Revision))
	} else {
		r.last[d.ID] = d.Revision
	}
	r.got[webhook.ID(&msg.Data)] = true
	if r.rng.IntN(100) < r.rate { // taken, and yet an error
		w.WriteHeader(http.StatusGatewayTimeout)
	}
	select {
	case r.arrive <- msg.Data.ID:
	default:
	}
}

func admin() context.Context {
	return quantrac.WithPrincipal(context.Background(), quantrac.Principal{Name: "an", Role: quantrac.RoleAdmin})
}

// drive runs an outbox over a room until the returned stop.
func drive(room *alertingtest.Room) func() {
	b := outbox.New(room.Alerting, map[string]outbox.Sender{"webhook": webhook.New(local)}, outbox.Options{First: time.Millisecond, Most: 20 * time.Millisecond})
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { _ = b.Run(ctx) })
	return func() { cancel(); wg.Wait() }
}

// TestRoomToReceiver goes the whole way, through restarts, to two receivers
// that fail: each gets every revision, signed, in order.
func TestRoomToReceiver(t *testing.T) {
	room := alertingtest.Open(t, "", alerting.Options{}, "a", "b")
	rcvs := []*receiver{newReceiver(0), newReceiver(30)}
	for _, r := range rcvs {
		defer r.Close()
		sub, err := room.Subscribe(admin(), alerting.Subscription{Channel: "webhook", URL: r.URL})
		if err != nil {
			t.Fatal(err)
		}
		r.mu.Lock()
		r.wh, _ = standardwebhooks.NewWebhook(sub.Secrets[0].Key)
		r.mu.Unlock()
	}
	stop := drive(room)
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range 60 {
		room.Read([]string{"a", "b"}[i%2], rng.Float64()*4)
		if i%20 == 19 {
			stop()
			room.Reopen()
			stop = drive(room)
		}
	}
	want, err := room.History(context.Background(), alerting.Selection{Limit: 1000})
	if err != nil || len(want) < 30 {
		t.Fatalf("%d revisions, %v", len(want), err)
	}
	for i, r := range rcvs {
		for limit := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			r.mu.Lock()
			n := len(r.got)
			r.mu.Unlock()
			if n == len(want) {
				break
			}
			if time.Now().After(limit) {
				t.Fatalf("receiver %d got %d of %d", i, n, len(want))
			}
		}
		r.mu.Lock()
		for j := range want {
			if !r.got[webhook.ID(&want[j])] {
				t.Errorf("receiver %d never got %s", i, webhook.ID(&want[j]))
			}
		}
		if len(r.errs) > 0 {
			t.Errorf("receiver %d: %q", i, r.errs)
		}
		r.mu.Unlock()
	}
	for _, sub := range room.Subscriptions() { // the answer reaches us after the receiver has counted
		for limit := time.Now().Add(time.Minute); ; time.Sleep(5 * time.Millisecond) {
			ds, err := room.Deliveries(context.Background(), sub.ID, 1000)
			if err == nil && len(ds) == len(want) {
				break
			}
			if err != nil || time.Now().After(limit) {
				t.Fatalf("%d deliveries on record, want %d: %v", len(ds), len(want), err)
			}
		}
	}
	stop()
}

// BenchmarkReadingToReceiver is the time from the append of a reading to the
// arrival of the warning it brings about at a webhook receiver on this
// machine, through journal (two syncs), rules, outbox and a signed POST.
func BenchmarkReadingToReceiver(b *testing.B) {
	room := alertingtest.Open(b, b.TempDir(), alerting.Options{}, "a")
	r := newReceiver(0)
	defer r.Close()
	sub, err := room.Subscribe(admin(), alerting.Subscription{Channel: "webhook", URL: r.URL})
	if err != nil {
		b.Fatal(err)
	}
	r.mu.Lock()
	r.wh, _ = standardwebhooks.NewWebhook(sub.Secrets[0].Key)
	r.mu.Unlock()
	stop := drive(room)
	defer stop()
	var took []time.Duration
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		begin := time.Now()
		room.Send("a", []float64{1.5, 0.5}[i%2])
		<-r.arrive
		took = append(took, time.Since(begin))
	}
	sort.Slice(took, func(i, j int) bool { return took[i] < took[j] })
	at := func(q float64) float64 { return float64(took[int(q*float64(len(took)-1))].Microseconds()) / 1000 }
	b.ReportMetric(at(0.5), "p50-ms")
	b.ReportMetric(at(0.99), "p99-ms")
	if len(r.errs) > 0 || !slices.IsSorted(took) {
		b.Fatal(r.errs)
	}
}

// A new subscriber is told what stands, marked and under the key it always had,
// and then what is said anew.
func TestNewSubscriberHearsWhatStands(t *testing.T) {
	type message struct {
		id       string
		Standing bool
		Data     quantrac.Warning
	}
	got := make(chan message, 10)
	srv := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		m := message{id: r.Header.Get("webhook-id")}
		if err := json.NewDecoder(r.Body).Decode(&m); err != nil {
			t.Error(err)
		}
		got <- m
	}))
	defer srv.Close()
	room := alertingtest.Open(t, "", alerting.Options{}, "a", "b", "c")
	s := webhook.New(local)
	defer s.Close()
	b := outbox.New(room.Alerting, map[string]outbox.Sender{"webhook": s}, outbox.Options{})
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	go func() { _ = b.Run(ctx) }()
	room.Read("a", 1.5)
	room.Read("a", 2.5)
	room.Read("b", 1.5)
	room.Read("c", 1.5)
	room.Read("c", 0.5) // over
	if _, err := room.Subscribe(ctx, alerting.Subscription{Channel: "webhook", URL: srv.URL}); err != nil {
		t.Fatal(err)
	}
	want := func(station string, revision int, standing bool) {
		t.Helper()
		select {
		case m := <-got:
			if m.Data.Station != station || m.Data.Revision != revision || m.Standing != standing || m.id != webhook.ID(&m.Data) {
				t.Errorf("%s: %+v, want station %s, revision %d, standing %v", m.id, m, station, revision, standing)
			}
		case <-time.After(time.Minute):
			t.Fatalf("nothing of station %s", station)
		}
	}
	want("a", 2, true)
	want("b", 1, true)
	room.Read("b", 2.5)
	want("b", 2, false)
}
