package mqtt

import (
	"bytes"
	"testing"

	"quantrac/collector/mqtt/packet"
)

// A message that is larger than is taken is read past, whatever its topic, and
// answered in its turn; those before and behind it are as ever.
func TestLargeMessages(t *testing.T) {
	_, in, addr := newBroker(t, Options{MaxPacketBytes: 1000, MaxSkippedBytes: 3 << 20})
	reader := login(t, addr, staff("s"))
	reader.subscribe(1, "v1/#")
	large := func(w *wire, topic string, size int, id uint16) {
		t.Helper()
		p := packet.Publish{Topic: topic, Payload: bytes.Repeat([]byte("x"), size), QoS: 1, ID: id, Retain: true}
		w.send(p.Append(nil, w.version))
	}
	for _, c := range []packet.Connect{device("d1"), v5(device("d1"))} {
		w := login(t, addr, c)
		w.publish("v1/d1/obs", "before", 1, 1)
		large(w, "v1/d1/obs", 3<<20-100, 2)
		large(w, "v1/d1/status", 2000, 3)
		w.publish("v1/d1/obs", "behind", 1, 4)
		for i, want := range []struct {
			size, of int
		}{{6, 0}, {largeKept, 3<<20 - 100}, {2000, 2000}, {6, 0}} {
			m := in.next(t)
			of := 0
			if m.Beginning != nil {
				of = m.Beginning.Of
			}
			if of != want.of || of > 0 && (m.Beginning.Most != 1000 || !bytes.Equal(m.Payload, bytes.Repeat([]byte("x"), min(of, largeKept)))) || len(m.Payload) > largeKept {
				t.Errorf("message %d: %.20q… of %d bytes, beginning %+v", i, m.Payload, len(m.Payload), m.Beginning)
			}
			if of > 0 {
				m.Ack(errInvalid)
			} else {
				m.Ack(nil)
			}
		}
		for id := uint16(1); id <= 4; id++ {
			reason := packet.Success
			if c.Version == packet.V5 && (id == 2 || id == 3) {
				reason = packet.PayloadInvalid
			}
			if got := next[packet.Ack](w); got.ID != id || got.Reason != reason {
				t.Errorf("answered with %+v, want %d 0x%02x", got, id, reason)
			}
		}
		for _, want := range []string{"before", "behind"} {
			if got := next[packet.Publish](reader); string(got.Payload) != want {
				t.Errorf("a subscriber sees %.20q of %d bytes, want %q", got.Payload, len(got.Payload), want)
			}
		}
	}

	// Beyond the bound, from who does not publish, and of other kinds.
	w := login(t, addr, device("d1"))
	w.send([]byte{0x32, 0x81, 0x80, 0xc0, 0x01}) // a PUBLISH of 3 MiB and a byte
	w.ended()
	w = login(t, addr, staff("other"))
	large(w, "v1/d1/obs", 2000, 1)
	w.ended()
	w = login(t, addr, device("d2"))
	w.send([]byte{0x82, 0xd0, 0x0f}) // a SUBSCRIBE of 2000 bytes
	w.ended()
}
