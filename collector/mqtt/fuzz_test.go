package mqtt

import (
	"context"
	"io"
	"net"
	"testing"
	"time"

	"quantrac/collector"
	"quantrac/collector/mqtt/packet"
)

// agreeable acknowledges everything at once.
type agreeable struct{}

func (agreeable) Take(_ context.Context, m collector.Message) error {
	m.Ack(nil)
	return nil
}

// FuzzConnection sends any bytes, alone and behind a valid CONNECT of a device
// and of a subscriber. The broker must neither panic nor hang, and a subscriber
// must still get its warnings afterwards.
func FuzzConnection(f *testing.F) {
	pub := packet.Publish{Topic: "v1/d1/obs", QoS: 1, ID: 7, Payload: []byte("{}")}
	status := packet.Publish{Topic: "v1/d1/status", QoS: 1, ID: 8, Retain: true, Payload: []byte("on")}
	sub := packet.Subscribe{ID: 9, Filters: []packet.Filter{{Filter: "v1/warnings/#", QoS: 1}, {Filter: "v1/d1/cmd", QoS: 2}}}
	unsub := packet.Unsubscribe{ID: 10, Filters: []string{"v1/d1/cmd"}}
	for _, v := range []byte{packet.V311, packet.V5} {
		var b []byte
		b = sub.Append(b, v)
		b = pub.Append(b, v)
		b = status.Append(b, v)
		b = packet.AppendPing(b, packet.PINGREQ)
		b = unsub.Append(b, v)
		b = (&packet.Disconnect{}).Append(b, v)
		for who := range uint8(3) {
			f.Add(b, who, v)
		}
	}
	f.Fuzz(func(t *testing.T, bytes []byte, who, version uint8) {
		b := New(agreeable{}, keys{}, Options{ConnectTimeout: time.Second, MaxPacketBytes: 1 << 16})
		defer b.Close()
		watch := staff("watcher")
		watch.Version = packet.V311
		watcher := talk(t, b, append(watch.Append(nil), sub.Append(nil, packet.V311)...))
		_ = talk(t, b, append(connectBytes(who%3, packet.V311+version%2), bytes...))
		_ = b.PublishWarning(t.Context(), "87", "e1", []byte("flood"), true)
		watcher.SetReadDeadline(time.Now().Add(limit))
		got := make([]byte, 0, 256)
		for len(got) < 4+6+2+len("v1/warnings/87/e1")+2+5+2 {
			chunk := make([]byte, 256)
			n, err := watcher.Read(chunk)
			if err != nil {
				t.Fatalf("the subscriber has lost its connection: %v after % x", err, got)
			}
			got = append(got, chunk[:n]...)
		}
	})
}

// connectBytes is the CONNECT of nobody, a device or a subscriber.
func connectBytes(who, version uint8) []byte {
	if who == 0 {
		return nil
	}
	c := device("d1")
	if who == 2 {
		c = staff("fuzz")
	}
	c.Version = version
	return c.Append(nil)
}

// talk opens a connection to the broker without a network and sends bytes; it
// reads nothing but what it must so that the broker can go on.
func talk(t *testing.T, b *Broker, bytes []byte) net.Conn {
	client, server := net.Pipe()
	b.accept(server)
	t.Cleanup(func() { client.Close() })
	pr, pw := net.Pipe()
	go func() {
		_, _ = io.Copy(pw, client)
		pw.Close()
	}()
	client.SetWriteDeadline(time.Now().Add(limit))
	go func() {
		_, _ = client.Write(bytes) // the broker may have had enough before the end
	}()
	return pr
}
