package mqtt

import (
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"math/big"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"
	"github.com/prometheus/client_golang/prometheus"

	"quantrac"
	"quantrac/collector/mqtt/packet"
	"quantrac/internal/shared"
)

// newBroker runs a broker for a test.
func newBroker(t *testing.T, o Options) (b *Broker, in *intake, addr string) {
	t.Helper()
	ls, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	in = newIntake()
	b = New(in, keys{}, o)
	ran := make(chan error, 1)
	go func() { ran <- b.Run(context.Background(), ls...) }()
	t.Cleanup(func() {
		b.Close()
		if err := <-ran; err != nil {
			t.Errorf("Run: %v", err)
		}
	})
	return b, in, ls[0].Addr().String()
}

func v5(c packet.Connect, props ...packet.Prop) packet.Connect {
	c.Version, c.Props = packet.V5, props
	return c
}

// Bytes that a stranger or a broken device may send: the connection ends, and
// the broker lives on.
func TestBadBytes(t *testing.T) {
	_, in, addr := newBroker(t, Options{})
	raw := func(c packet.Connect, b ...byte) {
		t.Helper()
		w := login(t, addr, c)
		w.send(b)
		w.ended()
	}
	// SUBSCRIBE of MQTT 5 that ends before the options of its filter: it has
	// brought down a broker.
	raw(v5(device("d1")), 0x82, 8, 0, 9, 0, 0, 3, 'c', 'm', 'd')
	raw(device("d1"), 0x82, 2, 0, 9)
	raw(device("d1"), 0x10, 2, 0, 0)
	raw(device("d1"), 0xf0, 0)
	raw(device("d1"), 0x00, 0)
	raw(device("d1"), 0x36, 5, 0, 1, 'a', 0, 1)
	raw(device("d1"), 0x30, 3, 0, 1, '#')
	raw(device("d1"), 0x30, 0xff, 0xff, 0xff, 0xff, 0xff)
	second := device("d1")
	raw(device("d1"), second.Append(nil)...)
	_, _, strangers := newBroker(t, Options{ConnectTimeout: time.Second}) // some of whom announce what never comes
	for _, first := range [][]byte{{0x30, 3, 0, 1, 'a'}, {0xc0, 0}, []byte("GET / HTTP/1.1\r\n\r\n"), {0x10, 0xff, 0xff, 0xff, 0x7f}} {
		nc, err := net.Dial("tcp", strangers)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := nc.Write(first); err != nil {
			t.Fatal(err)
		}
		nc.SetReadDeadline(time.Now().Add(limit))
		if _, err := nc.Read(make([]byte, 10)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("% x is answered: %v", first, err)
		}
		nc.Close()
	}
	w := login(t, addr, device("d1"))
	w.publish("v1/d1/obs", "still here", 1, 1)
	in.next(t).Ack(nil)
	next[packet.Ack](w)
}

func TestWhoMayConnect(t *testing.T) {
	_, _, addr := newBroker(t, Options{})
	f := func(c packet.Connect, want packet.Reason) {
		t.Helper()
		if ack := dial(t, addr, c).connack(); ack.Reason != want {
			t.Errorf("%+v: 0x%02x, want 0x%02x", c, ack.Reason, want)
		}
	}
	wrong := device("d1")
	wrong.Password = []byte("guess")
	f(wrong, 4)
	f(v5(wrong), packet.BadCredentials)
	f(packet.Connect{ClientID: "d1"}, 4)
	f(device("warnings"), 4) // it would publish warnings
	f(device("a/b"), 4)
	f(device("+"), 4)
	byID := device("d1")
	byID.HasUser, byID.HasPass, byID.Username, byID.Password = false, false, "", nil
	f(byID, 4)
	f(v5(packet.Connect{ClientID: "d1", HasPass: true, Password: []byte("secret-d1")}), 0) // by client identifier
	f(packet.Connect{Version: 9, ClientID: "d1"}, 1)
	kept := device("d1")
	kept.ClientID = ""
	f(kept, 2)
	kept.Clean = true
	f(kept, 0)
	kept.ClientID = strings.Repeat("x", 257)
	f(kept, 2)
	f(v5(device("d1"), packet.Prop{ID: packet.AuthMethod, Text: "SCRAM"}), packet.BadAuthMethod)
	f(staff("s"), 0)
	will := device("d1")
	will.Will = &packet.Will{Topic: "v1/d2/status", Payload: []byte("x")}
	f(will, 5)
	will.Will.Topic = "v1/d1/obs"
	f(v5(will), packet.NotAuthorized)
	will.Will.Topic, will.Will.QoS = "v1/d1/status", 2
	f(v5(will), packet.QoSNotSupported)
	reader := staff("r")
	reader.Username, reader.Password = "reader", []byte("secret-reader")
	w := login(t, addr, reader)
	if ack := w.subscribe(1, "v1/warnings/#", "v1/+/status", "v1/#"); fmt.Sprint(ack.Reasons) != "[1 128 128]" {
		t.Errorf("a reader of warnings is granted %v", ack.Reasons)
	}
}

func TestConnackOfMQTT5(t *testing.T) {
	_, _, addr := newBroker(t, Options{InFlight: 9, SessionExpiry: time.Hour})
	c := v5(device("d1"), packet.Prop{ID: packet.SessionExpiry, Num: 1 << 31})
	c.ClientID = ""
	w := dial(t, addr, c)
	ack := w.connack()
	got := map[packet.PropID]uint32{}
	for _, p := range ack.Props {
		got[p.ID] = p.Num
	}
	for id, want := range map[packet.PropID]uint32{packet.ReceiveMaximum: 9, packet.MaximumQoS: 1, packet.SessionExpiry: 3600,
		packet.MaximumPacketSize: 1 << 20, packet.SharedAvailable: 0, packet.SubIDAvailable: 0} {
		if n, ok := got[id]; !ok || n != want {
			t.Errorf("property 0x%02x: %d (there: %v), want %d", byte(id), n, ok, want)
		}
	}
	if ack.Props.Text(packet.AssignedClientID) == "" {
		t.Error("no client identifier is assigned")
	}
}

// A client of MQTT 5 is told what is wrong with a message that must not come
// again.
func TestReasons(t *testing.T) {
	_, in, addr := newBroker(t, Options{})
	w := login(t, addr, v5(device("d1")))
	f := func(outcome error, reason packet.Reason, text string) {
		t.Helper()
		w.publish("v1/d1/obs", "x", 1, 7)
		in.next(t).Ack(outcome)
		if got := next[packet.Ack](w); got.ID != 7 || got.Reason != reason || got.Props.Text(packet.ReasonString) != text {
			t.Errorf("%v: answered with %+v", outcome, got)
		}
	}
	f(nil, packet.Success, "")
	f(errInvalid, packet.PayloadInvalid, "no payload")
	f(errDenied, packet.NotAuthorized, "not its topic")
	f(quantrac.Errorf(quantrac.Invalid, "%s", strings.Repeat("đ", 150)), packet.PayloadInvalid, strings.Repeat("đ", 100))
	if got := w.subscribe(3, "v1/d2/cmd", "$share/g/v1/d1/cmd", "a/#/b", "v1/d1/cmd"); fmt.Sprint(got.Reasons) != "[135 158 143 1]" {
		t.Errorf("subscriptions: %v", got.Reasons)
	}
	w.send((&packet.Unsubscribe{ID: 4, Filters: []string{"v1/d1/cmd", "v1/d1/cmd"}}).Append(nil, packet.V5))
	if got := next[packet.Suback](w); fmt.Sprint(got.Reasons) != "[0 17]" {
		t.Errorf("end of subscriptions: %v", got.Reasons)
	}
	ends := func(want packet.Reason, b []byte) {
		t.Helper()
		w := login(t, addr, v5(device("d1")))
		w.send(b)
		if got := w.ended(); got != want {
			t.Errorf("% x: the connection ends with 0x%02x, want 0x%02x", b, got, want)
		}
	}
	ends(packet.QoSNotSupported, (&packet.Publish{Topic: "v1/d1/obs", QoS: 2, ID: 1}).Append(nil, packet.V5))
	ends(packet.TopicAliasInvalid, (&packet.Publish{Topic: "v1/d1/obs", Props: packet.Props{{ID: packet.TopicAlias, Num: 1}}}).Append(nil, packet.V5))
	ends(packet.TopicAliasInvalid, (&packet.Publish{}).Append(nil, packet.V5))
	ends(packet.TopicInvalid, (&packet.Publish{Topic: "v1/+/obs"}).Append(nil, packet.V5))
	ends(packet.SubIDNotSupported, (&packet.Subscribe{ID: 1, Props: packet.Props{{ID: packet.SubscriptionID, Num: 1}}, Filters: []packet.Filter{{Filter: "v1/d1/cmd"}}}).Append(nil, packet.V5))
	ends(packet.ProtocolError, (&packet.Disconnect{Reason: 0, Props: packet.Props{{ID: packet.SessionExpiry, Num: 5}}}).Append(nil, packet.V5))
	ends(packet.Malformed, []byte{0x83, 0})
}

// The answers stand in the order of the messages, also where one needs no commit.
func TestAnswersKeepTheirOrder(t *testing.T) {
	_, in, addr := newBroker(t, Options{})
	w := login(t, addr, device("d1"))
	w.publish("v1/d1/obs", "a", 1, 1)
	w.publish("v1/d1/obs", "b", 1, 2)
	w.publish("v1/d1/status", "on", 1, 3)
	a, b := in.next(t), in.next(t)
	b.Ack(nil)
	if before := w.ping(); len(before) != 0 {
		t.Fatalf("answered with %+v while the first is open", before)
	}
	a.Ack(nil)
	for id := range uint16(3) {
		if got := next[packet.Ack](w); got.ID != id+1 {
			t.Errorf("answer %d is for %d", id+1, got.ID)
		}
	}
}

// A client may have so many messages open and no more; then its reader waits,
// and its silence is not held against it.
func TestWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := newIntake()
		b := New(in, keys{}, Options{InFlight: 4})
		defer b.Close()
		c := device("d1")
		c.KeepAlive = 1
		w := pipe(t, b, c)
		w.connack()
		go func() {
			for i := range 10 {
				w.publish("v1/d1/obs", ids(i), 1, uint16(i+1))
			}
		}()
		time.Sleep(10 * time.Second) // of the bubble: many times the keep alive
		if n := len(in.messages); n != 4 {
			t.Fatalf("%d messages are open, want 4", n)
		}
		for i := range 10 {
			in.next(t).Ack(nil)
			if got := next[packet.Ack](w); got.ID != uint16(i+1) {
				t.Fatalf("answer %d is for %d", i+1, got.ID)
			}
		}
		w.ended() // now it is silent
	})
}

func TestWindowOfBytes(t *testing.T) {
	_, in, addr := newBroker(t, Options{InFlightBytes: 100})
	w := login(t, addr, device("d1"))
	for i := range 4 {
		w.publish("v1/d1/obs", strings.Repeat("x", 60), 1, uint16(i+1))
	}
	for range 4 {
		m := in.next(t)
		if n := len(in.messages); n != 0 {
			t.Fatalf("%d more messages are open", n)
		}
		m.Ack(nil)
		next[packet.Ack](w)
	}
	w.publish("v1/d1/obs", strings.Repeat("x", 1000), 1, 9) // one always fits
	in.next(t).Ack(nil)
	next[packet.Ack](w)
}

// A subscriber that does not read must not hold up anybody.
func TestSubscriberThatDoesNotRead(t *testing.T) {
	b, in, addr := newBroker(t, Options{QueueMessages: 10, WriteTimeout: time.Hour})
	stuck := login(t, addr, staff("stuck"))
	stuck.subscribe(1, "v1/#")
	w := login(t, addr, device("d1"))
	payload := strings.Repeat("x", 500_000)
	for i := range 40 { // 20 MB, more than any buffer of the network takes
		w.publish("v1/d1/obs", payload, 1, uint16(i+1))
		in.next(t).Ack(nil)
		if got := next[packet.Ack](w); got.ID != uint16(i+1) {
			t.Fatalf("answer %d is for %d", i+1, got.ID)
		}
	}
	if n := counted(t, b, "quantrac_mqtt_dropped_messages_total"); n < 5 {
		t.Errorf("%v messages dropped for the one that does not read", n)
	}
}

// counted reads one figure of the broker.
func counted(t *testing.T, c prometheus.Collector, name string) float64 {
	t.Helper()
	reg := prometheus.NewPedanticRegistry()
	reg.MustRegister(c)
	families, err := reg.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name {
			return f.Metric[0].GetCounter().GetValue() + f.Metric[0].GetGauge().GetValue()
		}
	}
	t.Fatalf("no figure %s", name)
	return 0
}

func TestQueueOfASubscriber(t *testing.T) {
	b, _, addr := newBroker(t, Options{QueueMessages: 5, QueueBytes: 1000})
	w := login(t, addr, device("d1"))
	w.subscribe(1, "v1/d1/cmd")
	w.nc.Close()
	away(t, b)
	for i := range 9 {
		if err := b.SendCommand(t.Context(), "d1", []byte(ids(i))); err != nil {
			t.Fatal(err)
		}
	}
	w = login(t, addr, device("d1"))
	for i := 4; i < 9; i++ {
		got := next[packet.Publish](w)
		if string(got.Payload) != ids(i) {
			t.Errorf("got %s, want %s: the oldest give way", got.Payload, ids(i))
		}
		w.puback(got.ID)
	}
	if err := b.SendCommand(t.Context(), "d9", nil); quantrac.KindOf(err) != quantrac.NotFound {
		t.Errorf("a command to nobody: %v", err)
	}
	if err := b.SendCommand(t.Context(), "+", nil); quantrac.KindOf(err) != quantrac.Invalid {
		t.Errorf("a command to everybody: %v", err)
	}
	if err := b.PublishWarning(t.Context(), "a/b", "e1", nil, true); quantrac.KindOf(err) != quantrac.Invalid {
		t.Errorf("a warning to a/b: %v", err)
	}
}

// away waits until a session without a connection is there.
func away(t *testing.T, b *Broker) {
	t.Helper()
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

// What was in flight comes again first, marked, in its order, and only as much
// as the client takes at a time.
func TestResume(t *testing.T) {
	b, _, addr := newBroker(t, Options{})
	c := v5(device("d1"), packet.Prop{ID: packet.ReceiveMaximum, Num: 3}, packet.Prop{ID: packet.SessionExpiry, Num: 60})
	w := login(t, addr, c)
	w.subscribe(1, "v1/d1/cmd")
	for i := range 6 {
		if err := b.SendCommand(t.Context(), "d1", []byte(ids(i))); err != nil {
			t.Fatal(err)
		}
	}
	var first []packet.Publish
	for range 3 {
		first = append(first, next[packet.Publish](w))
	}
	if more := w.ping(); len(more) != 0 {
		t.Fatalf("more than the receive maximum: %+v", more)
	}
	w.puback(first[1].ID)
	if got := next[packet.Publish](w); string(got.Payload) != "0003" {
		t.Fatalf("got %s", got.Payload)
	}
	w.nc.Close()
	w = dial(t, addr, c)
	if ack := w.connack(); !ack.SessionPresent {
		t.Fatal("no session")
	}
	want := []string{"0000+", "0002+", "0003+", "0004", "0005"}
	for i, text := range want {
		got := next[packet.Publish](w)
		mark := ""
		if got.Dup {
			mark = "+"
		}
		if string(got.Payload)+mark != text {
			t.Errorf("message %d is %s%s, want %s", i, got.Payload, mark, text)
		}
		w.puback(got.ID)
	}
}

func TestTakeover(t *testing.T) {
	_, in, addr := newBroker(t, Options{})
	watcher := login(t, addr, staff("watcher"))
	watcher.subscribe(1, "v1/+/status")
	c := v5(device("d1"))
	c.Will = &packet.Will{Topic: "v1/d1/status", Payload: []byte("offline"), QoS: 1}
	old := login(t, addr, c)
	old.publish("v1/d1/obs", "x", 1, 1)
	m := in.next(t)
	neu := login(t, addr, c)
	if got := old.ended(); got != packet.SessionTakenOver {
		t.Errorf("the old connection ends with 0x%02x", got)
	}
	// The will of the old connection comes before anything of the new one.
	if got := next[packet.Publish](watcher); string(got.Payload) != "offline" {
		t.Errorf("got %s", got.Payload)
	}
	neu.publish("v1/d1/status", "online", 1, 1)
	next[packet.Ack](neu)
	if got := next[packet.Publish](watcher); string(got.Payload) != "online" {
		t.Errorf("got %s", got.Payload)
	}
	m.Ack(nil) // of a connection that is gone: nobody is answered
	if more := neu.ping(); len(more) != 0 {
		t.Errorf("the new connection gets %+v", more)
	}
	// Another device cannot take over a session by its identifier.
	thief := device("d2")
	thief.ClientID = "d1"
	login(t, addr, thief)
	neu.ping()
}

func TestSessionsExpire(t *testing.T) {
	b, _, addr := newBroker(t, Options{SessionExpiry: time.Hour, MaxSessions: 2})
	watcher := login(t, addr, staff("watcher"))
	watcher.subscribe(1, "v1/+/status")
	c := v5(device("d1"), packet.Prop{ID: packet.SessionExpiry, Num: 600})
	c.Will = &packet.Will{Topic: "v1/d1/status", Payload: []byte("offline"), Props: packet.Props{{ID: packet.WillDelay, Num: 60}}}
	w := login(t, addr, c)
	w.subscribe(1, "v1/d1/cmd")
	w.nc.Close()
	away(t, b)
	sessions := func() int {
		b.mu.RLock()
		defer b.mu.RUnlock()
		return len(b.sessions)
	}
	b.sweep(time.Now().Add(50 * time.Second))
	if before := watcher.ping(); len(before) != 0 {
		t.Fatalf("the will is published before its delay: %+v", before)
	}
	b.sweep(time.Now().Add(70 * time.Second))
	if got := next[packet.Publish](watcher); string(got.Payload) != "offline" {
		t.Errorf("got %s", got.Payload)
	}
	if n := sessions(); n != 2 {
		t.Fatalf("%d sessions", n)
	}
	b.sweep(time.Now().Add(11 * time.Minute))
	if n := sessions(); n != 1 {
		t.Errorf("%d sessions after the expiry", n)
	}
	if err := b.SendCommand(t.Context(), "d1", nil); quantrac.KindOf(err) != quantrac.NotFound {
		t.Errorf("the subscription outlives its session: %v", err)
	}
	// Sessions that are away are bounded: who has been away longest goes.
	for i := range 6 {
		c := v5(device("d1"), packet.Prop{ID: packet.SessionExpiry, Num: 600})
		c.ClientID = ids(i)
		w := login(t, addr, c)
		w.send((&packet.Disconnect{}).Append(nil, packet.V5))
		w.ended()
	}
	eventually(t, func() bool { return sessions() <= 5 })
	// A session that is wanted for its connection only ends with it.
	w = login(t, addr, staff("short"))
	n := sessions()
	w.nc.Close()
	eventually(t, func() bool { return sessions() == n-1 })
}

func TestOptionsOfSubscriptions(t *testing.T) {
	b, in, addr := newBroker(t, Options{MaxSubscriptions: 2})
	_ = b.PublishWarning(t.Context(), "87", "e1", []byte("flood"), true)
	w := login(t, addr, v5(staff("s")))
	sub := func(f packet.Filter) packet.Suback {
		t.Helper()
		w.send((&packet.Subscribe{ID: 1, Filters: []packet.Filter{f}}).Append(nil, packet.V5))
		return next[packet.Suback](w)
	}
	sub(packet.Filter{Filter: "v1/warnings/#", QoS: 2, RetainHandling: 1})
	if got := next[packet.Publish](w); !got.Retain || got.QoS != 1 {
		t.Errorf("got %+v", got)
	} else {
		w.puback(got.ID)
	}
	if ack := sub(packet.Filter{Filter: "v1/warnings/#", QoS: 0, RetainHandling: 1, RetainAsPublished: true}); ack.Reasons[0] != 0 {
		t.Errorf("granted %v", ack.Reasons)
	}
	if got := w.ping(); len(got) != 0 {
		t.Errorf("retained again: %+v", got)
	}
	sub(packet.Filter{Filter: "v1/#", RetainHandling: 2})
	if ack := sub(packet.Filter{Filter: "v1/+/obs"}); ack.Reasons[0] != packet.QuotaExceeded {
		t.Errorf("a third subscription: %v", ack.Reasons)
	}
	// Matched by two filters, delivered once.
	_ = b.PublishWarning(t.Context(), "88", "e1", []byte("more"), true)
	if got := next[packet.Publish](w); !got.Retain || got.QoS != 0 {
		t.Errorf("got %+v", got)
	}
	if got := w.ping(); len(got) != 0 {
		t.Errorf("delivered twice: %+v", got)
	}
	// Properties travel on, and a message whose time is up does not.
	d := login(t, addr, v5(device("d1")))
	p := packet.Publish{Topic: "v1/d1/obs", Payload: []byte("x"), QoS: 1, ID: 1, Props: packet.Props{
		{ID: packet.MessageExpiry, Num: 100}, {ID: packet.ContentType, Text: "json"}, {ID: packet.UserProperty, Name: "k", Text: "v"}}}
	d.send(p.Append(nil, packet.V5))
	in.next(t).Ack(nil)
	got := next[packet.Publish](w)
	if n, ok := got.Props.Num(packet.MessageExpiry); !ok || n < 50 || n > 100 || got.Props.Text(packet.ContentType) != "json" || got.Props.Text(packet.UserProperty) != "v" {
		t.Errorf("properties %+v", got.Props)
	}
	s := &session{conn: &conn{wake: make(chan struct{}, 1), b: b, sendMax: 5}}
	s.enqueue(outgoing{message: &message{topic: "v1/x", expires: time.Now()}}, b)
	if sent := s.next(nil, s.conn, time.Now().Add(time.Second)); len(sent) != 0 {
		t.Errorf("an expired message is sent: % x", sent)
	}
}

func TestConnectionsAreLimited(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := New(newIntake(), keys{}, Options{MaxConnections: 2, ConnectTimeout: time.Second})
		defer b.Close()
		first := pipe(t, b, device("d1"))
		first.connack()
		stranger, server := net.Pipe()
		b.accept(server)
		came := time.Now()
		if _, err := stranger.Read(make([]byte, 1)); err == nil || time.Since(came) != time.Second {
			t.Errorf("a stranger who says nothing, after %v: %v", time.Since(came), err)
		}
		synctest.Wait() // until its place is free
		second := pipe(t, b, device("d2"))
		second.connack()
		third, server := net.Pipe()
		b.accept(server)
		if _, err := third.Read(make([]byte, 1)); !errors.Is(err, io.EOF) {
			t.Errorf("a third connection: %v", err)
		}
		first.ping()
		second.ping()
	})
}

// Close ends everything at once, also who has not even said who it is.
func TestClose(t *testing.T) {
	b, in, addr := newBroker(t, Options{})
	silent, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer silent.Close()
	w := login(t, addr, v5(device("d1")))
	w.publish("v1/d1/obs", "x", 1, 1)
	m := in.next(t)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	if got := w.ended(); got != packet.ServerShuttingDown {
		t.Errorf("the connection ends with 0x%02x", got)
	}
	m.Ack(nil)
	if err := b.Close(); err != nil {
		t.Error(err)
	}
	ls, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := b.Run(t.Context(), ls...); quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("Run after Close: %v", err)
	}
}

func TestListenOnBothStacks(t *testing.T) {
	ls, err := Listen("localhost:0")
	if err != nil {
		t.Fatal(err)
	}
	in := newIntake()
	b := New(in, keys{}, Options{})
	ctx, cancel := context.WithCancel(t.Context())
	ran := make(chan error)
	go func() { ran <- b.Run(ctx, ls...) }()
	ports := map[string]bool{}
	for _, l := range ls {
		_, port, _ := net.SplitHostPort(l.Addr().String())
		ports[port] = true
		w := login(t, l.Addr().String(), device("d1"))
		w.publish("v1/d1/obs", l.Addr().String(), 1, 1)
		in.next(t).Ack(nil)
		next[packet.Ack](w)
	}
	if len(ports) != 1 {
		t.Errorf("ports %v, want one", ports)
	}
	if _, err := net.InterfaceByName("lo"); err == nil && len(ls) != 2 {
		if six, err := net.Listen("tcp6", "[::1]:0"); err == nil {
			six.Close()
			t.Errorf("%d listeners on a machine with IPv4 and IPv6", len(ls))
		}
	}
	cancel()
	if err := <-ran; err != nil {
		t.Error(err)
	}
	for _, bad := range []string{"localhost", "localhost:x", "300.1.1.1:0"} {
		if ls, err := Listen(bad); err == nil {
			closeAll(ls)
			t.Errorf("Listen(%q) works", bad)
		}
	}
}

// A device whose messages cannot be made durable is held longer each time.
func TestHold(t *testing.T) {
	b := New(newIntake(), keys{}, Options{RetryMin: time.Second, RetryMax: 5 * time.Second})
	var got []time.Duration
	for range 4 {
		got = append(got, b.holdFor("d1"))
	}
	b.kept("d1")
	got = append(got, b.holdFor("d1"), b.holdFor("d2"))
	if fmt.Sprint(got) != "[1s 2s 4s 5s 1s 1s]" {
		t.Errorf("held for %v", got)
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRate(10)
		began := time.Now()
		for range 10 {
			if err := r.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(began); d != 0 {
			t.Errorf("the first second's worth took %v", d)
		}
		for range 20 {
			if err := r.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		if d := time.Since(began); d != 2*time.Second {
			t.Errorf("30 messages at 10 a second took %v, want 2 s", d)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		cancel(errGoodbye)
		if err := r.wait(ctx); !errors.Is(err, errGoodbye) {
			t.Errorf("wait: %v", err)
		}
		unlimited := newRate(-1)
		for range 1000 {
			if err := unlimited.wait(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
	})
}

// The client that people have at hand.
func TestMosquittoPub(t *testing.T) {
	path := shared.Tool(t, "mosquitto_pub")
	_, in, addr := newBroker(t, Options{})
	host, port, _ := net.SplitHostPort(addr)
	for _, version := range []string{"mqttv31", "mqttv311", "mqttv5"} {
		for _, qos := range []string{"0", "1", "2"} {
			if version == "mqttv5" && qos == "2" {
				continue // the broker says that it has none
			}
			cmd := exec.CommandContext(t.Context(), path, "-V", version, "-h", host, "-p", port, "-i", "d1", "-u", "d1", "-P", "secret-d1",
				"-q", qos, "-t", "v1/d1/obs", "-m", `{"values":{"water_level_meters":2.1}}`)
			out := make(chan error, 1)
			go func() {
				text, err := cmd.CombinedOutput()
				if err != nil {
					err = fmt.Errorf("%w: %s", err, text)
				}
				out <- err
			}()
			m := in.next(t)
			if m.Device != "d1" || m.Topic != "v1/d1/obs" || !strings.Contains(string(m.Payload), "2.1") {
				t.Errorf("%s, QoS %s: got %+v", version, qos, m)
			}
			m.Ack(nil)
			if err := <-out; err != nil {
				t.Errorf("%s, QoS %s: %v", version, qos, err)
			}
		}
	}
}

// TLS is a listener of its own kind; nothing else changes.
func TestTLS(t *testing.T) {
	cert, pool := selfSigned(t)
	ls, err := Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := ls[0].Addr().String()
	in := newIntake()
	b := New(in, keys{}, Options{})
	go func() {
		_ = b.Run(context.Background(), tls.NewListener(ls[0], &tls.Config{Certificates: []tls.Certificate{cert}}))
	}()
	t.Cleanup(func() { b.Close() })
	o := paho.NewClientOptions().AddBroker("ssl://" + addr).SetClientID("d1").SetUsername("d1").SetPassword("secret-d1").
		SetAutoReconnect(false).SetTLSConfig(&tls.Config{RootCAs: pool, ServerName: "quantrac.test"})
	c := paho.NewClient(o)
	waitFor(t, c.Connect())
	token := c.Publish("v1/d1/obs", 1, false, strings.Repeat("x", 100_000))
	m := in.next(t)
	if len(m.Payload) != 100_000 {
		t.Errorf("%d bytes came", len(m.Payload))
	}
	m.Ack(nil)
	waitFor(t, token)
	// Somebody who speaks no TLS gets nowhere, and Close does not wait for them.
	nc, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	defer nc.Close()
	if err := b.Close(); err != nil {
		t.Error(err)
	}
}

func selfSigned(t *testing.T) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"quantrac.test"}, NotAfter: time.Now().Add(time.Hour), IsCA: true, BasicConstraintsValid: true}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}
