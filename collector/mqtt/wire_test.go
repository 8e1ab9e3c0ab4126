package mqtt

import (
	"bufio"
	"fmt"
	"net"
	"testing"
	"time"

	"quantrac/collector/mqtt/packet"
)

// limit is how long a test waits for what must come. It is generous: reaching it
// is a failure.
const limit = 20 * time.Second

// wire is a client that speaks packet by packet.
type wire struct {
	t       *testing.T
	nc      net.Conn
	br      *bufio.Reader
	version byte
}

// dial opens a connection and sends a CONNECT.
func dial(t *testing.T, addr string, c packet.Connect) *wire {
	t.Helper()
	nc, err := net.DialTimeout("tcp", addr, limit)
	if err != nil {
		t.Fatal(err)
	}
	return connect(t, nc, c)
}

// pipe is dial without a network, for tests whose time is made up: what one side
// writes waits until the other reads it.
func pipe(t *testing.T, b *Broker, c packet.Connect) *wire {
	t.Helper()
	nc, server := net.Pipe()
	b.accept(server)
	return connect(t, nc, c)
}

func connect(t *testing.T, nc net.Conn, c packet.Connect) *wire {
	t.Helper()
	t.Cleanup(func() { nc.Close() })
	if c.Version == 0 {
		c.Version = packet.V311
	}
	w := &wire{t: t, nc: nc, br: bufio.NewReader(nc), version: c.Version}
	w.send(c.Append(nil))
	return w
}

// device is the CONNECT of a device with its credentials.
func device(name string) packet.Connect {
	return packet.Connect{ClientID: name, KeepAlive: 60, HasUser: true, Username: name, HasPass: true, Password: []byte("secret-" + name)}
}

func staff(id string) packet.Connect {
	return packet.Connect{ClientID: id, Clean: true, KeepAlive: 60, HasUser: true, Username: "staff", HasPass: true, Password: []byte("secret-staff")}
}

// login connects and wants to be let in.
func login(t *testing.T, addr string, c packet.Connect) *wire {
	t.Helper()
	w := dial(t, addr, c)
	if ack := w.connack(); ack.Reason != packet.Success {
		t.Fatalf("%s is refused with 0x%02x", c.ClientID, ack.Reason)
	}
	return w
}

func (w *wire) send(b []byte) {
	w.t.Helper()
	w.nc.SetWriteDeadline(time.Now().Add(limit))
	if _, err := w.nc.Write(b); err != nil {
		w.t.Fatalf("write: %v", err)
	}
}

// read returns the next packet, an error at the end of the connection.
func (w *wire) read() (any, error) {
	w.t.Helper()
	w.nc.SetReadDeadline(time.Now().Add(limit))
	raw, err := packet.Read(w.br, 1<<24)
	if err != nil {
		return nil, err
	}
	switch raw.Type() {
	case packet.CONNACK:
		return result(packet.DecodeConnack(raw.Body, w.version))
	case packet.PUBLISH:
		return result(packet.DecodePublish(raw, w.version, ""))
	case packet.PUBACK, packet.PUBREC, packet.PUBREL, packet.PUBCOMP:
		return result(packet.DecodeAck(raw, w.version))
	case packet.SUBACK, packet.UNSUBACK:
		return result(packet.DecodeSuback(raw, w.version))
	case packet.DISCONNECT:
		return result(packet.DecodeDisconnect(raw.Body, w.version))
	}
	return raw.Type(), nil
}

func result[T any](p T, err error) (any, error) { return p, err }

// next wants a packet of one type.
func next[T any](w *wire) T {
	w.t.Helper()
	p, err := w.read()
	if err != nil {
		w.t.Fatalf("waiting for a packet: %v", err)
	}
	got, ok := p.(T)
	if !ok {
		w.t.Fatalf("got %T %+v, want %T", p, p, got)
	}
	return got
}

func (w *wire) connack() packet.Connack { w.t.Helper(); return next[packet.Connack](w) }

func (w *wire) publish(topic, payload string, qos byte, id uint16) {
	w.t.Helper()
	p := packet.Publish{Topic: topic, Payload: []byte(payload), QoS: qos, ID: id}
	w.send(p.Append(nil, w.version))
}

func (w *wire) subscribe(id uint16, filters ...string) packet.Suback {
	w.t.Helper()
	s := packet.Subscribe{ID: id}
	for _, f := range filters {
		s.Filters = append(s.Filters, packet.Filter{Filter: f, QoS: 1})
	}
	w.send(s.Append(nil, w.version))
	return next[packet.Suback](w)
}

func (w *wire) puback(id uint16) {
	w.t.Helper()
	w.send((&packet.Ack{Type: packet.PUBACK, ID: id}).Append(nil, w.version))
}

// ping is a barrier: whatever the broker had for us before, apart from what
// others cause, has come when the answer comes. It returns what came.
func (w *wire) ping() []any {
	w.t.Helper()
	w.send(packet.AppendPing(nil, packet.PINGREQ))
	var before []any
	for {
		p, err := w.read()
		if err != nil {
			w.t.Fatalf("waiting for the answer to a ping: %v", err)
		}
		if p == packet.PINGRESP {
			return before
		}
		before = append(before, p)
	}
}

// ended wants the connection to end, whatever comes before; it returns the
// reason that a client of MQTT 5 is told.
func (w *wire) ended() packet.Reason {
	w.t.Helper()
	var reason packet.Reason
	for {
		p, err := w.read()
		if err != nil {
			if ne, ok := err.(net.Error); ok && ne.Timeout() {
				w.t.Fatal("the connection does not end")
			}
			return reason
		}
		if d, ok := p.(packet.Disconnect); ok {
			reason = d.Reason
		}
	}
}

func ids(n int) string { return fmt.Sprintf("%04d", n) }
