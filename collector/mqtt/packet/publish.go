package packet

import (
	"encoding/binary"
	"strings"
)

// Publish is a PUBLISH packet.
type Publish struct {
	Topic   string
	Payload []byte // part of the packet's body
	QoS     byte   // 0, 1 or 2
	ID      uint16 // of QoS 1 and 2; each direction counts for itself
	Dup     bool
	Retain  bool
	Props   Props
}

// DecodePublish reads a PUBLISH packet. Last, where it is the topic of the
// packet, is used instead of a copy.
func DecodePublish(r Raw, version byte, last string) (Publish, error) {
	p := Publish{QoS: r.First >> 1 & 3, Dup: r.First&8 != 0, Retain: r.First&1 != 0}
	if p.QoS == 3 {
		return p, errorf(Malformed, "PUBLISH with QoS 3")
	}
	if p.QoS == 0 && p.Dup {
		return p, errorf(Malformed, "PUBLISH of QoS 0 marked as sent before")
	}
	c := cursor{b: r.Body}
	topic := cursor{b: c.b}
	if raw := topic.binary("topic"); topic.err == nil && len(raw) > 0 && string(raw) == last {
		p.Topic, c = last, topic
	} else {
		p.Topic = c.text("topic")
	}
	if p.QoS > 0 {
		if p.ID = c.uint16("packet identifier"); p.ID == 0 && c.err == nil {
			return p, errorf(ProtocolError, "PUBLISH of QoS %d with packet identifier 0", p.QoS)
		}
	}
	if version == V5 {
		p.Props = c.props(PUBLISH)
	}
	p.Payload = c.rest()
	if c.err == nil && strings.ContainsAny(p.Topic, "+#") {
		return p, errorf(TopicInvalid, "PUBLISH to %.100q, which has a wildcard", p.Topic)
	}
	return p, c.err
}

// Append writes the packet.
func (p *Publish) Append(dst []byte, version byte) []byte {
	first := byte(PUBLISH)<<4 | p.QoS<<1
	if p.Dup {
		first |= 8
	}
	if p.Retain {
		first |= 1
	}
	size := 2 + len(p.Topic) + len(p.Payload)
	if p.QoS > 0 {
		size += 2
	}
	var props []byte
	if version == V5 {
		props = p.Props.append(nil)
		size += len(props)
	}
	dst = appendVarint(append(dst, first), size)
	dst = appendText(dst, p.Topic)
	if p.QoS > 0 {
		dst = binary.BigEndian.AppendUint16(dst, p.ID)
	}
	dst = append(dst, props...)
	return append(dst, p.Payload...)
}

// Ack is a PUBACK, PUBREC, PUBREL or PUBCOMP packet.
type Ack struct {
	Type   Type
	ID     uint16
	Reason Reason
	Props  Props
}

// DecodeAck reads one of the four.
func DecodeAck(r Raw, version byte) (Ack, error) {
	c := cursor{b: r.Body}
	p := Ack{Type: r.Type(), ID: c.uint16("packet identifier")}
	if version == V5 && len(c.b) > 0 {
		p.Reason = Reason(c.byte("reason"))
		if len(c.b) > 0 {
			p.Props = c.props(p.Type)
		}
	}
	return p, c.end()
}

// Append writes the packet.
func (p *Ack) Append(dst []byte, version byte) []byte {
	first := byte(p.Type) << 4
	if p.Type == PUBREL {
		first |= 2
	}
	if version < V5 || p.Reason == Success && len(p.Props) == 0 {
		return append(dst, first, 2, byte(p.ID>>8), byte(p.ID))
	}
	b := []byte{byte(p.ID >> 8), byte(p.ID), byte(p.Reason)}
	return frame(dst, first, p.Props.append(b))
}
