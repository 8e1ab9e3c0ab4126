package e2e

import (
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"
)

// moody is a webhook receiver whose mood changes: without one it takes what
// comes. What it has read it keeps, whatever it answers.
type moody struct {
	mu    sync.Mutex
	mood  func(w http.ResponseWriter, r *http.Request) (answered bool)
	asked int // deliveries begun
	got   []warning
}

// ServeHTTP takes a delivery.
func (m *moody) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	var body struct{ Data warning }
	err := json.NewDecoder(r.Body).Decode(&body)
	m.mu.Lock()
	m.asked++
	if err == nil {
		m.got = append(m.got, body.Data)
	}
	mood := m.mood
	m.mu.Unlock()
	if mood == nil || !mood(w, r) {
		w.WriteHeader(http.StatusNoContent)
	}
}

func (m *moody) turn(mood func(http.ResponseWriter, *http.Request) bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.mood = mood
}

// answers is the mood of always the same answer.
func answers(status int) func(http.ResponseWriter, *http.Request) bool {
	return func(w http.ResponseWriter, _ *http.Request) bool {
		w.WriteHeader(status)
		return true
	}
}

// dawdles is the mood of no answer for as long as anybody waits for one.
func dawdles(_ http.ResponseWriter, r *http.Request) bool {
	<-r.Context().Done()
	return true
}

func (m *moody) count() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.asked
}

// asks waits for deliveries beyond the first so many.
func (m *moody) asks(t *testing.T, beyond int) {
	t.Helper()
	eventually(t, "a delivery", func() error {
		if n := m.count(); n <= beyond {
			return fmt.Errorf("%d have come", n)
		}
		return nil
	})
}

// opens lets the receiver listen on an address.
func (m *moody) opens(t *testing.T, address string) {
	t.Helper()
	l, err := net.Listen("tcp", address)
	if err != nil {
		t.Fatal(err)
	}
	srv := &httptest.Server{Listener: l, Config: &http.Server{Handler: m}}
	srv.Start()
	t.Cleanup(srv.Close)
}

// hasAll waits until every revision that the service has said has come, and
// wants none to have come after a later one of its episode.
func (m *moody) hasAll(t *testing.T, s *service) {
	t.Helper()
	said := warningHistory(s)
	type key struct {
		id       string
		revision int
	}
	eventually(t, "every revision", func() error {
		m.mu.Lock()
		defer m.mu.Unlock()
		have := map[key]bool{}
		for _, w := range m.got {
			have[key{w.ID, w.Revision}] = true
		}
		for _, w := range said {
			if !have[key{w.ID, w.Revision}] {
				return fmt.Errorf("revision %d of %s is missing; %d of %d have come", w.Revision, w.ID, len(have), len(said))
			}
		}
		return nil
	})
	m.mu.Lock()
	defer m.mu.Unlock()
	last := map[string]int{}
	for _, w := range m.got {
		if w.Revision < last[w.ID] {
			t.Errorf("revision %d of %s came after %d", w.Revision, w.ID, last[w.ID])
		}
		last[w.ID] = w.Revision
	}
}

// outage is a service that is killed again and again while it has warnings to
// deliver.
type outage struct {
	t                  *testing.T
	dir                string
	httpPort, mqttPort int
	s                  *service
	at                 time.Time // of the newest reading
	said               int       // revisions that are to be there
}

var outageGauges = []string{"north", "middle", "south"}

func newOutage(t *testing.T) *outage {
	o := &outage{t: t, dir: t.TempDir(), httpPort: freePort(t), mqttPort: freePort(t), at: time.Now().Add(-50 * time.Minute)}
	o.run()
	rows := gaugeHeader
	for _, g := range outageGauges {
		rows += gaugeRow(g, [3]float64{1, 2, 3}, 0.1, 0, time.Minute)
	}
	importStations(o.s, rows)
	return o
}

func (o *outage) run() {
	o.s = launch(o.t, o.dir, o.httpPort, o.mqttPort, "--dev")
	o.s.waitReady()
}

func (o *outage) kill() {
	o.s.kill()
	o.run()
}

// flood lets every gauge rise over two levels and fall again: an episode of
// three revisions each.
func (o *outage) flood() {
	o.t.Helper()
	for _, level := range []float64{0.5, 1.5, 2.5, 0.5} {
		o.at = o.at.Add(time.Minute)
		var b strings.Builder
		for _, g := range outageGauges {
			fmt.Fprintf(&b, "water,station=%s level_meters=%g %d\n", g, level, o.at.UnixMilli())
		}
		if got := o.s.nobody().write(b.String()); got.status != http.StatusNoContent {
			o.t.Fatalf("write: %d %s", got.status, got.body)
		}
	}
	o.said += 3 * len(outageGauges)
	eventually(o.t, "warnings", func() error {
		if n := len(warningHistory(o.s)); n != o.said {
			return fmt.Errorf("%d revisions are said, want %d", n, o.said)
		}
		return nil
	})
}

// subscription is how a webhook subscription fares.
type subscription struct {
	ID, Channel, URL, Reason string
	Disabled                 bool
	Status                   struct {
		Failures  int
		LastError string `json:"last_error"`
	}
}

// subscriptionTo waits until the subscription to an address is as wanted.
func (o *outage) subscriptionTo(url, what string, want func(subscription) bool) subscription {
	o.t.Helper()
	var found subscription
	eventually(o.t, what, func() error {
		var list struct{ Subscriptions []subscription }
		o.s.nobody().want(http.StatusOK, "GET", "/api/alerting/subscriptions", "").json(o.t, &list)
		for _, found = range list.Subscriptions {
			if found.URL == url && want(found) {
				return nil
			}
		}
		return fmt.Errorf("the subscriptions are %+v", list)
	})
	return found
}

// failing wants the last delivery to have failed for a reason.
func (o *outage) failing(url, reason string) {
	o.t.Helper()
	o.subscriptionTo(url, "failure by "+reason, func(s subscription) bool {
		return !s.Disabled && strings.Contains(s.Status.LastError, reason)
	})
}

// TestReceiverOutage: a receiver is down, then does not answer, then answers
// 500, then works, while the service is killed in the middle of each. It gets
// every revision at least once, and none of an episode after a later one.
func TestReceiverOutage(t *testing.T) {
	t.Parallel()
	address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
	target := "http://" + address + "/hook"
	o, m := newOutage(t), &moody{}
	subscribe(o.s, target)

	o.flood()
	o.failing(target, "refused")
	o.kill()
	o.failing(target, "refused")

	m.turn(dawdles)
	m.opens(t, address)
	m.asks(t, 0)
	o.flood()
	n := m.count()
	o.kill() // while it waits for an answer
	m.asks(t, n)
	o.failing(target, "Client.Timeout") // after its 15 s

	m.turn(answers(http.StatusInternalServerError))
	o.failing(target, "500")
	o.flood()
	o.kill()
	o.failing(target, "500")

	// It works, and breaks off once more behind the fourth delivery.
	taken := 0
	m.turn(func(_ http.ResponseWriter, r *http.Request) bool {
		m.mu.Lock()
		defer m.mu.Unlock()
		if taken++; taken == 5 {
			m.mood = dawdles
		}
		return false
	})
	n = m.count()
	o.kill() // its pause ends with it
	m.asks(t, n+5)
	o.kill()
	o.flood()
	m.turn(nil)
	o.kill()
	m.hasAll(t, o.s)
	if st := o.subscriptionTo(target, "an answer", func(subscription) bool { return true }); st.Disabled {
		t.Errorf("the subscription was given up: %+v", st)
	}
}

// TestReceiverGone: a receiver that answers 410 gets nothing more, also after a
// restart, until somebody enables its subscription; then it gets all of it.
func TestReceiverGone(t *testing.T) {
	t.Parallel()
	o, m, other := newOutage(t), &moody{}, &moody{}
	var targets []string
	for _, r := range []*moody{m, other} {
		address := fmt.Sprintf("127.0.0.1:%d", freePort(t))
		r.opens(t, address)
		targets = append(targets, "http://"+address)
		subscribe(o.s, targets[len(targets)-1])
	}
	m.turn(answers(http.StatusGone))
	o.flood()
	gone := func(s subscription) bool { return s.Disabled && strings.Contains(s.Reason, "410") }
	o.subscriptionTo(targets[0], "the end of the subscription", gone)
	asked := m.count()
	if asked != 1 {
		t.Errorf("it was asked %d times", asked)
	}
	o.flood()
	other.hasAll(t, o.s)
	o.kill()
	id := o.subscriptionTo(targets[0], "the end of the subscription", gone).ID
	o.flood()
	other.hasAll(t, o.s)
	if n := m.count(); n != asked {
		t.Errorf("after its 410 it was asked %d times more", n-asked)
	}
	m.turn(nil)
	o.s.must("POST", "/api/alerting/subscriptions/"+id+"/enable", "", "", http.StatusNoContent)
	m.hasAll(t, o.s)
}
