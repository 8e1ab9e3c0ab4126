package mqtt

import (
	"io"
	"math"

	"quantrac/collector"
	"quantrac/collector/mqtt/packet"
)

const (
	// largeKept is how much of the payload of a message that is too large is
	// handed on, for people to see what it was.
	largeKept = 16 << 10
	// largeHead is the longest that may stand before the payload: topic and
	// packet identifier, and properties that are not.
	largeHead = 2 + math.MaxUint16 + 2 + 4<<10
	// skipStep is how much of the rest a client sends within its keep alive.
	skipStep = 256 << 10
)

// large takes a packet that is larger than we take in. A message of a device is
// read past, kept as a dead letter by the collector and acknowledged like any
// other that is no use: to break the connection off would only make the device
// send it again, for ever.
func (c *conn) large(raw packet.Raw, size int) error {
	if raw.Type() != packet.PUBLISH || c.access.device == "" || size > c.b.o.MaxSkippedBytes {
		return packet.ErrTooLarge(size, c.b.o.MaxPacketBytes)
	}
	head := min(size, largeHead+largeKept)
	if err := raw.ReadBody(c.br, head); err != nil {
		return err
	}
	p, err := packet.DecodePublish(raw, c.version, c.topic)
	if err != nil {
		return err
	}
	if err := c.skip(size - head); err != nil {
		return err
	}
	b := collector.Beginning{Of: len(p.Payload) + size - head, Most: c.b.o.MaxPacketBytes}
	p.Payload = p.Payload[:min(len(p.Payload), largeKept)]
	return c.publish(&p, &b)
}

// skip reads past so many bytes, as long as they keep coming.
func (c *conn) skip(n int) error {
	for n > 0 {
		if err := c.listen(); err != nil {
			return err
		}
		step := min(n, skipStep)
		if _, err := io.CopyN(io.Discard, c.br, int64(step)); err != nil {
			return err
		}
		n -= step
	}
	return nil
}
