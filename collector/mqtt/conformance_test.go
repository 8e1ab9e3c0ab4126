package mqtt

import (
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"quantrac/collector"
	"quantrac/collector/mqtt/packet"
	"quantrac/internal/shared"
)

// side is one implementation of the way in, running for a test.
type side struct {
	t        *testing.T
	addr     string // where devices connect
	in       *intake
	external bool // devices are answered by a broker that is not ours

	publisher Publisher
	start     func()     // starts the way in
	stop      func()     // stops it, and waits
	log       syncBuffer // of an external broker
}

// embedded is the Broker.
func embedded(t *testing.T) *side {
	s := &side{t: t, in: newIntake()}
	ls, err := Listen("localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = ls[0].Addr().String()
	s.start = func() {
		b := New(s.in, keys{}, Options{RetryMin: time.Millisecond})
		if ls == nil {
			ls = listenAgain(t, s.addr)
		}
		mine := ls
		s.run(func(ctx context.Context) error { return b.Run(ctx, mine...) })
		s.publisher, ls = b, nil
	}
	s.start()
	return s
}

// listenAgain listens on an address that has just been let go.
func listenAgain(t *testing.T, addr string) []net.Listener {
	t.Helper()
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		l, err := net.Listen("tcp", addr)
		if err == nil {
			return []net.Listener{l}
		}
		if time.Now().After(end) {
			t.Fatal(err)
		}
	}
}

// run runs the way in until stop or the end of the test.
func (s *side) run(f func(ctx context.Context) error) {
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := f(ctx); err != nil {
			s.t.Errorf("the way in ended: %v", err)
		}
	}()
	s.stop = func() { cancel(); <-ended }
	s.t.Cleanup(s.stop)
}

// mosquitto is the Client behind a Mosquitto with the configuration that we
// ship.
func mosquitto(t *testing.T) *side {
	binary := shared.Tool(t, "mosquitto", "/usr/sbin/mosquitto")
	s := &side{t: t, in: newIntake(), external: true}
	dir := t.TempDir()
	port := freePort(t)
	s.addr = "127.0.0.1:" + port
	writeConfig(t, dir, port)
	cmd := exec.Command(binary, "-v", "-c", filepath.Join(dir, "mosquitto.conf"))
	cmd.Stdout, cmd.Stderr = &s.log, &s.log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		if t.Failed() {
			t.Logf("mosquitto said:\n%s", s.log.String())
		}
	})
	for end := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		nc, err := net.Dial("tcp", s.addr)
		if err == nil {
			nc.Close()
			break
		}
		if time.Now().After(end) {
			t.Fatalf("mosquitto does not listen: %v\n%s", err, s.log.String())
		}
	}
	s.start = func() {
		c := NewClient(s.in, ClientOptions{URL: "tcp://" + s.addr, Username: "quantrac", Password: "secret-quantrac", RetryMin: 10 * time.Millisecond})
		s.run(c.Run)
		s.publisher = c
		for end := time.Now().Add(limit); ; time.Sleep(5 * time.Millisecond) {
			c.mu.Lock()
			up := c.link != nil
			c.mu.Unlock()
			if up {
				return
			}
			if time.Now().After(end) {
				t.Fatal("the client does not connect to mosquitto")
			}
		}
	}
	s.start()
	return s
}

func freePort(t *testing.T) string {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	return port
}

// writeConfig puts the shipped configuration to work in a folder.
func writeConfig(t *testing.T, dir, port string) {
	t.Helper()
	conf, err := os.ReadFile("../../docs/mosquitto/mosquitto.conf")
	if err != nil {
		t.Fatal(err)
	}
	acl, err := os.ReadFile("../../docs/mosquitto/quantrac.acl")
	if err != nil {
		t.Fatal(err)
	}
	text := string(conf)
	for old, with := range map[string]string{
		"listener 1883 127.0.0.1":        "listener " + port + " 127.0.0.1",
		"/etc/mosquitto/quantrac.passwd": filepath.Join(dir, "passwd"),
		"/etc/mosquitto/quantrac.acl":    filepath.Join(dir, "acl"),
		"/var/lib/mosquitto/":            dir + "/",
	} {
		if !strings.Contains(text, old) {
			t.Fatalf("docs/mosquitto/mosquitto.conf has no %q any more", old)
		}
		text = strings.ReplaceAll(text, old, with)
	}
	if os.Getuid() == 0 {
		text += "user root\n" // or it gives up the folder of the test
	}
	passwd := ""
	for _, name := range []string{"quantrac", "staff", "d1", "d2"} {
		passwd += name + ":secret-" + name + "\n"
	}
	for name, content := range map[string]string{"mosquitto.conf": text, "acl": string(acl), "passwd": passwd} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := exec.Command("mosquitto_passwd", "-U", filepath.Join(dir, "passwd")).CombinedOutput(); err != nil {
		t.Fatalf("mosquitto_passwd: %v\n%s", err, out)
	}
}

// TestConformance holds both ways in to one contract.
func TestConformance(t *testing.T) {
	for name, start := range map[string]func(*testing.T) *side{"embedded": embedded, "mosquitto": mosquitto} {
		for _, c := range []struct {
			name string
			f    func(*testing.T, *side)
		}{
			{"a message reaches the collector", conformDelivery},
			{"nothing is acknowledged before it is durable", conformDurable},
			{"what was not durable comes again", conformRedelivery},
			{"what was not acknowledged comes again after a restart", conformRestart},
			{"packet identifiers of both directions are apart", conformIdentifiers},
			{"keep alive under back pressure", conformKeepAlive},
			{"subscribers see nothing that is not durable", conformFanOut},
			{"a device has its own topics only", conformTopics},
			{"status and last will", conformStatus},
			{"warnings and commands", conformOutward},
			{"a packet that is too large", conformTooLarge},
			{"QoS 2 and 0", conformQoS},
		} {
			t.Run(name+"/"+c.name, func(t *testing.T) {
				t.Parallel()
				c.f(t, start(t))
			})
		}
	}
}

// logger is a device with a real client library that keeps its session and
// connects again by itself.
func (s *side) logger(name string) paho.Client {
	s.t.Helper()
	o := paho.NewClientOptions().AddBroker("tcp://" + s.addr).SetClientID(name).SetUsername(name).SetPassword("secret-" + name).
		SetCleanSession(false).SetAutoReconnect(true).SetMaxReconnectInterval(50 * time.Millisecond).SetConnectRetry(true).
		SetConnectRetryInterval(20 * time.Millisecond).SetKeepAlive(time.Minute).SetPingTimeout(limit)
	c := paho.NewClient(o)
	if t := c.Connect(); !t.WaitTimeout(limit) || t.Error() != nil {
		s.t.Fatalf("%s does not connect: %v", name, t.Error())
	}
	s.t.Cleanup(func() { c.Disconnect(0) })
	return c
}

func waitFor(t *testing.T, token paho.Token) {
	t.Helper()
	if !token.WaitTimeout(limit) || token.Error() != nil {
		t.Fatalf("not acknowledged: %v", token.Error())
	}
}

func conformDelivery(t *testing.T, s *side) {
	d := s.logger("d1")
	token := d.Publish("v1/d1/obs", 1, false, `{"values":{"x":1}}`)
	m := s.in.next(t)
	if m.Device != "d1" || m.Topic != "v1/d1/obs" || string(m.Payload) != `{"values":{"x":1}}` || m.Dup {
		t.Errorf("got %+v", m)
	}
	m.Ack(nil)
	waitFor(t, token)
	token = d.Publish("v1/d1/line", 1, false, "m v=1")
	m = s.in.next(t)
	if m.Topic != "v1/d1/line" {
		t.Errorf("got %+v", m)
	}
	m.Ack(nil)
	waitFor(t, token)
}

// The embedded broker must not answer the device; behind an external one the
// message must still be the broker's, which shows when the collector goes.
func conformDurable(t *testing.T, s *side) {
	w := login(t, s.addr, device("d1"))
	w.publish("v1/d1/obs", "1", 1, 77)
	m := s.in.next(t)
	if s.external {
		if got := next[packet.Ack](w); got.ID != 77 {
			t.Errorf("acknowledged %d", got.ID)
		}
		s.stop()
		s.start()
		m = s.in.next(t)
		if string(m.Payload) != "1" || !m.Dup {
			t.Errorf("after a restart of the collector: %+v", m)
		}
		m.Ack(nil)
		return
	}
	if before := w.ping(); len(before) != 0 {
		t.Fatalf("answered with %+v before it was durable", before)
	}
	m.Ack(nil)
	if got := next[packet.Ack](w); got.ID != 77 {
		t.Errorf("acknowledged %d", got.ID)
	}
}

func conformRedelivery(t *testing.T, s *side) {
	d := s.logger("d1")
	for i := range 5 {
		d.Publish("v1/d1/obs", 1, false, fmt.Sprint(i))
	}
	var first []collector.Message
	for i := range 5 {
		m := s.in.next(t)
		if string(m.Payload) != fmt.Sprint(i) {
			t.Fatalf("message %d is %s", i, m.Payload)
		}
		first = append(first, m)
	}
	for _, m := range first {
		m.Ack(errNotDurable)
	}
	again := map[string]bool{}
	for len(again) < 5 {
		m := s.in.next(t)
		if !m.Dup {
			t.Errorf("%s comes again unmarked", m.Payload)
		}
		again[string(m.Payload)] = true
		m.Ack(nil)
	}
}

func eventually(t *testing.T, f func() bool) {
	t.Helper()
	for end := time.Now().Add(limit); !f(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("it does not come about")
		}
	}
}

func conformRestart(t *testing.T, s *side) {
	d := s.logger("d1")
	var acknowledged []paho.Token
	for range 20 {
		acknowledged = append(acknowledged, d.Publish("v1/d1/obs", 1, false, "acknowledged"))
	}
	second := d.Publish("v1/d1/obs", 1, false, "not yet")
	var taken []collector.Message
	for range 21 {
		taken = append(taken, s.in.next(t))
	}
	for _, m := range taken[:20] {
		m.Ack(nil)
	}
	if !s.external {
		for _, token := range acknowledged {
			waitFor(t, token)
		}
	}
	s.stop()
	if s.external {
		// It takes a packet at a time, and drops those still unread when the same
		// client connects again.
		eventually(t, func() bool { return s.log.lines("Client quantrac disconnected.") > 0 })
	}
	s.start()
	m := s.in.next(t)
	if string(m.Payload) != "not yet" || !m.Dup {
		t.Errorf("after the restart: %s, marked %v", m.Payload, m.Dup)
	}
	m.Ack(nil)
	waitFor(t, second)
	if n := len(s.in.messages); n != 0 {
		t.Errorf("%d more messages came again", n)
	}
}

// Both ends count packet identifiers for themselves: a message of the device
// must not end, answer or displace one to it that has the same number.
func conformIdentifiers(t *testing.T, s *side) {
	w := login(t, s.addr, device("d1"))
	if ack := w.subscribe(9, "v1/d1/cmd"); ack.ID != 9 || ack.Reasons[0] != 1 {
		t.Fatalf("subscription granted with %+v", ack)
	}
	if err := s.publisher.SendCommand(t.Context(), "d1", []byte("open")); err != nil {
		t.Fatal(err)
	}
	command := next[packet.Publish](w)
	if string(command.Payload) != "open" || command.QoS != 1 {
		t.Fatalf("got %+v", command)
	}
	// Not acknowledged, its number is used by the device for a message, for a
	// subscription and for the end of one.
	w.publish("v1/d1/obs", "1", 1, command.ID)
	s.in.next(t).Ack(nil)
	if got := next[packet.Ack](w); got.Type != packet.PUBACK || got.ID != command.ID {
		t.Fatalf("answered with %+v", got)
	}
	if got := w.subscribe(command.ID, "v1/warnings/#"); got.ID != command.ID || got.Reasons[0] != 1 {
		t.Errorf("subscription with the number of a message in flight: %+v", got)
	}
	w.send((&packet.Unsubscribe{ID: command.ID, Filters: []string{"v1/warnings/#"}}).Append(nil, w.version))
	if got := next[packet.Suback](w); got.ID != command.ID {
		t.Errorf("end of a subscription: %+v", got)
	}
	w.nc.Close()
	w = login(t, s.addr, device("d1"))
	again := next[packet.Publish](w)
	if string(again.Payload) != "open" || again.ID != command.ID || !again.Dup {
		t.Fatalf("after connecting again: %+v", again)
	}
	w.puback(again.ID)
	// The other way round: an answer of the device to us is none to itself.
	w.publish("v1/d1/obs", "2", 1, 5)
	m := s.in.next(t)
	w.puback(5)
	w.ping()
	m.Ack(nil)
}

// While the collector stands still, a connection must live on: pings are
// answered, and in the end everything is acknowledged.
func conformKeepAlive(t *testing.T, s *side) {
	d := login(t, s.addr, device("d1"))
	const n = 100
	for i := range n {
		d.publish("v1/d1/obs", ids(i), 1, uint16(i+1))
	}
	first := s.in.next(t)
	acked := len(d.ping())
	if acked > 0 && !s.external {
		t.Errorf("%d messages are acknowledged while the first is open", acked)
	}
	first.Ack(nil)
	for range n - 1 {
		s.in.next(t).Ack(nil)
	}
	for id := acked + 1; id <= n; id++ {
		if got := next[packet.Ack](d); got.ID != uint16(id) {
			t.Fatalf("answer %d is for %d", id, got.ID)
		}
	}
}

func conformFanOut(t *testing.T, s *side) {
	w := login(t, s.addr, staff("watcher"))
	w.subscribe(1, "v1/warnings/#")
	w.subscribe(2, "v1/#")
	d := login(t, s.addr, device("d1"))
	d.publish("v1/d1/obs", "reading", 1, 1)
	m := s.in.next(t)
	// A warning that is published now arrives; the reading must not be before it.
	if err := s.publisher.PublishWarning(t.Context(), "87", "e1", []byte("flood"), true); err != nil {
		t.Fatal(err)
	}
	if s.external { // it has answered by itself
		next[packet.Ack](d)
		d.subscribe(2, "v1/warnings/#")
		if got := next[packet.Publish](d); got.Topic != "v1/warnings/87/e1" {
			t.Errorf("got %+v", got)
		}
		if before := w.ping(); containsTopic(before, "v1/d1/obs") {
			t.Errorf("a reading is seen before it is durable: %+v", before)
		}
		m.Ack(nil)
		return
	}
	if got := next[packet.Publish](w); got.Topic != "v1/warnings/87/e1" {
		t.Fatalf("got %+v before the reading was durable", got)
	}
	m.Ack(nil)
	if got := next[packet.Publish](w); got.Topic != "v1/d1/obs" || string(got.Payload) != "reading" || got.QoS != 1 || got.Retain {
		t.Errorf("got %+v", got)
	}
	// What fails, and what is refused, is never seen.
	d.publish("v1/d1/obs", "bad", 1, 2)
	s.in.next(t).Ack(errInvalid)
	d.publish("v1/d1/obs", "lost", 1, 3)
	s.in.next(t).Ack(errNotDurable)
	if err := s.publisher.PublishWarning(t.Context(), "88", "e1", []byte("x"), true); err != nil {
		t.Fatal(err)
	}
	if got := next[packet.Publish](w); got.Topic != "v1/warnings/88/e1" {
		t.Errorf("got %+v, which was not made durable", got)
	}
}

func containsTopic(ps []any, topic string) bool {
	for _, p := range ps {
		if m, ok := p.(packet.Publish); ok && m.Topic == topic {
			return true
		}
	}
	return false
}

func conformTopics(t *testing.T, s *side) {
	w := login(t, s.addr, device("d1"))
	other := login(t, s.addr, device("d2"))
	other.subscribe(1, "v1/d2/cmd")
	w.subscribe(1, "v1/d2/cmd", "v1/+/cmd", "v1/#", "#", "+/+/+", "v1/d1/cmd/#", "v1/d2/#", "$SYS/#", "v1/d2/status")
	w.subscribe(2, "v1/warnings/#")
	if err := s.publisher.SendCommand(t.Context(), "d2", []byte("for d2")); err != nil {
		t.Fatal(err)
	}
	if got := next[packet.Publish](other); string(got.Payload) != "for d2" {
		t.Fatalf("got %+v", got)
	}
	other.publish("v1/d2/status", "on", 1, 1)
	if got := next[packet.Ack](other); got.ID != 1 {
		t.Fatalf("answered with %+v", got)
	}
	if err := s.publisher.PublishWarning(t.Context(), "87", "e1", []byte("flood"), true); err != nil {
		t.Fatal(err)
	}
	got := next[packet.Publish](w)
	if got.Topic != "v1/warnings/87/e1" {
		t.Fatalf("d1 reads %s", got.Topic)
	}
	w.puback(got.ID)
	for _, p := range w.ping() {
		if m, ok := p.(packet.Publish); ok && m.Topic != "v1/warnings/87/e1" {
			t.Errorf("d1 reads %s", m.Topic)
		}
	}
	// Publishing in another's name, warnings, or commands: nothing of it reaches
	// the collector as another's, or a subscriber. A broker may answer or drop the
	// connection; MQTT 3.1.1 knows no refusal.
	for _, topic := range []string{"v1/d2/obs", "v1/d2/status", "v1/warnings/99", "v1/d2/cmd", "v1/d1/cmd"} {
		c := device("d1")
		c.ClientID, c.Clean = "forger", true
		forger := login(t, s.addr, c)
		forger.publish(topic, "forged", 1, 2)
		if !s.external {
			m := s.in.next(t)
			if m.Device != "d1" || m.Topic != topic {
				t.Errorf("%s is handed on as %s of %s", topic, m.Topic, m.Device)
			}
			m.Ack(errDenied)
		}
		if p, err := forger.read(); err == nil {
			if ack, ok := p.(packet.Ack); !ok || ack.ID != 2 {
				t.Errorf("%s is answered with %+v", topic, p)
			}
		}
	}
	w.publish("v1/d1/obs", "own", 1, 3)
	if m := s.in.next(t); string(m.Payload) != "own" {
		t.Errorf("the broker lets through %s", m.Topic)
	} else {
		m.Ack(nil)
	}
	for _, p := range append(w.ping(), other.ping()...) {
		if m, ok := p.(packet.Publish); ok && string(m.Payload) == "forged" {
			t.Errorf("%s is published by a device", m.Topic)
		}
	}
}

func conformStatus(t *testing.T, s *side) {
	watcher := login(t, s.addr, staff("watcher"))
	if ack := watcher.subscribe(1, "v1/+/status"); ack.Reasons[0] != 1 {
		t.Fatalf("subscription: %+v", ack)
	}
	c := device("d1")
	c.Will = &packet.Will{Topic: "v1/d1/status", Payload: []byte("offline"), QoS: 1, Retain: true}
	w := login(t, s.addr, c)
	online := packet.Publish{Topic: "v1/d1/status", Payload: []byte("online"), QoS: 1, ID: 1, Retain: true}
	w.send(online.Append(nil, w.version))
	if got := next[packet.Ack](w); got.ID != 1 {
		t.Fatalf("answered with %+v", got)
	}
	see := func(w *wire, payload string, retain bool) {
		t.Helper()
		got := next[packet.Publish](w)
		if got.Topic != "v1/d1/status" || string(got.Payload) != payload || got.Retain != retain {
			t.Fatalf("got %+v, want %s, retained %v", got, payload, retain)
		}
		if got.QoS == 1 {
			w.puback(got.ID)
		}
	}
	see(watcher, "online", false)
	w.nc.Close() // without a goodbye
	see(watcher, "offline", false)
	late := login(t, s.addr, staff("late"))
	late.subscribe(1, "v1/d1/status")
	see(late, "offline", true)
	// With a goodbye the will is not published.
	w = login(t, s.addr, c)
	w.send(online.Append(nil, w.version))
	next[packet.Ack](w)
	see(watcher, "online", false)
	w.send((&packet.Disconnect{}).Append(nil, w.version))
	w.ended()
	for _, p := range watcher.ping() {
		t.Errorf("after a goodbye: %+v", p)
	}
}

func conformOutward(t *testing.T, s *side) {
	ctx := t.Context()
	if err := s.publisher.PublishWarning(ctx, "87", "e1", []byte("flood 1"), true); err != nil {
		t.Fatal(err)
	}
	w := login(t, s.addr, device("d1"))
	w.subscribe(1, "v1/warnings/#", "v1/d1/cmd")
	got := next[packet.Publish](w)
	if got.Topic != "v1/warnings/87/e1" || string(got.Payload) != "flood 1" || !got.Retain || got.QoS != 1 {
		t.Errorf("a retained warning: %+v", got)
	}
	w.puback(got.ID)
	w.ping()
	w.nc.Close()
	// While the device is away, its session keeps what comes, in its order.
	if !s.external {
		b := s.publisher.(*Broker)
		eventually(t, func() bool {
			b.mu.RLock()
			defer b.mu.RUnlock()
			for _, s := range b.sessions {
				if _, away := s.away(); away {
					return true
				}
			}
			return false
		})
	}
	for i := range 30 {
		if err := s.publisher.SendCommand(ctx, "d1", []byte(ids(i))); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.publisher.PublishWarning(ctx, "87", "e1", nil, true); err != nil {
		t.Fatal(err)
	}
	w = dial(t, s.addr, device("d1"))
	if ack := w.connack(); !ack.SessionPresent {
		t.Fatalf("the session is gone: %+v", ack)
	}
	for i := range 30 {
		got := next[packet.Publish](w)
		if string(got.Payload) != ids(i) {
			t.Fatalf("command %d is %+v", i, got)
		}
		w.puback(got.ID)
	}
	if got := next[packet.Publish](w); got.Topic != "v1/warnings/87/e1" || len(got.Payload) != 0 {
		t.Errorf("the end of a warning: %+v", got)
	}
	late := login(t, s.addr, device("d2"))
	late.subscribe(1, "v1/warnings/#")
	for _, p := range late.ping() {
		t.Errorf("retained after its end: %+v", p)
	}
}

func conformTooLarge(t *testing.T, s *side) {
	w := login(t, s.addr, device("d1"))
	other := login(t, s.addr, device("d2"))
	p := packet.Publish{Topic: "v1/d1/obs", Payload: make([]byte, 2<<20), QoS: 1, ID: 1}
	w.nc.SetWriteDeadline(time.Now().Add(limit))
	if s.external {
		_, _ = w.nc.Write(p.Append(nil, w.version)) // it may be cut off at the header
		w.ended()
	} else {
		w.send(p.Append(nil, w.version))
		m := s.in.next(t)
		if m.Device != "d1" || m.Beginning == nil || m.Beginning.Of != 2<<20 {
			t.Errorf("got %s of %d bytes, beginning %+v", m.Topic, len(m.Payload), m.Beginning)
		}
		m.Ack(errInvalid)
		if got := next[packet.Ack](w); got.ID != 1 {
			t.Errorf("answered with %+v", got)
		}
	}
	other.publish("v1/d2/obs", "still here", 1, 1)
	m := s.in.next(t)
	if m.Device != "d2" {
		t.Errorf("got %s of %d bytes", m.Topic, len(m.Payload))
	}
	m.Ack(nil)
	if got := next[packet.Ack](other); got.ID != 1 {
		t.Errorf("answered with %+v", got)
	}
}

func conformQoS(t *testing.T, s *side) {
	w := login(t, s.addr, device("d1"))
	w.publish("v1/d1/obs", "zero", 0, 0)
	m := s.in.next(t)
	if string(m.Payload) != "zero" {
		t.Errorf("got %s", m.Payload)
	}
	m.Ack(nil)
	if before := w.ping(); len(before) != 0 {
		t.Errorf("answered with %+v", before)
	}
	w.publish("v1/d1/obs", "two", 2, 8)
	if s.external { // a message of QoS 2 is the collector's once the handshake is over
		if got := next[packet.Ack](w); got.Type != packet.PUBREC || got.ID != 8 {
			t.Fatalf("answered with %+v", got)
		}
		w.send((&packet.Ack{Type: packet.PUBREL, ID: 8}).Append(nil, w.version))
		s.in.next(t).Ack(nil)
	} else {
		s.in.next(t).Ack(nil)
		if got := next[packet.Ack](w); got.Type != packet.PUBREC || got.ID != 8 {
			t.Fatalf("answered with %+v", got)
		}
		w.send((&packet.Ack{Type: packet.PUBREL, ID: 8}).Append(nil, w.version))
	}
	if got := next[packet.Ack](w); got.Type != packet.PUBCOMP || got.ID != 8 {
		t.Errorf("answered with %+v", got)
	}
}
