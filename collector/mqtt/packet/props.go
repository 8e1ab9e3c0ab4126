package packet

import (
	"encoding/binary"
	"slices"
)

// PropID names an MQTT 5 property.
type PropID byte

// The properties.
const (
	PayloadFormat     PropID = 0x01
	MessageExpiry     PropID = 0x02 // seconds
	ContentType       PropID = 0x03
	ResponseTopic     PropID = 0x08
	CorrelationData   PropID = 0x09
	SubscriptionID    PropID = 0x0B
	SessionExpiry     PropID = 0x11 // seconds
	AssignedClientID  PropID = 0x12
	ServerKeepAlive   PropID = 0x13 // seconds
	AuthMethod        PropID = 0x15
	AuthData          PropID = 0x16
	RequestProblem    PropID = 0x17
	WillDelay         PropID = 0x18 // seconds
	RequestResponse   PropID = 0x19
	ResponseInfo      PropID = 0x1A
	ServerReference   PropID = 0x1C
	ReasonString      PropID = 0x1F
	ReceiveMaximum    PropID = 0x21
	TopicAliasMaximum PropID = 0x22
	TopicAlias        PropID = 0x23
	MaximumQoS        PropID = 0x24
	RetainAvailable   PropID = 0x25
	UserProperty      PropID = 0x26
	MaximumPacketSize PropID = 0x27
	WildcardAvailable PropID = 0x28
	SubIDAvailable    PropID = 0x29
	SharedAvailable   PropID = 0x2A
)

// form is how a property's value is written.
type form byte

const (
	asByte form = iota + 1
	asUint16
	asUint32
	asVarint
	asText
	asBinary
	asPair
)

// will stands for the properties of a will in the table below.
const will Type = 0

func in(types ...Type) uint16 {
	var set uint16
	for _, t := range types {
		set |= 1 << t
	}
	return set
}

// properties is table 2-4 of the standard: the form of each property and the
// packets it may stand in.
var properties = map[PropID]struct {
	form form
	in   uint16
}{
	PayloadFormat:     {asByte, in(PUBLISH, will)},
	MessageExpiry:     {asUint32, in(PUBLISH, will)},
	ContentType:       {asText, in(PUBLISH, will)},
	ResponseTopic:     {asText, in(PUBLISH, will)},
	CorrelationData:   {asBinary, in(PUBLISH, will)},
	SubscriptionID:    {asVarint, in(PUBLISH, SUBSCRIBE)},
	SessionExpiry:     {asUint32, in(CONNECT, CONNACK, DISCONNECT)},
	AssignedClientID:  {asText, in(CONNACK)},
	ServerKeepAlive:   {asUint16, in(CONNACK)},
	AuthMethod:        {asText, in(CONNECT, CONNACK, AUTH)},
	AuthData:          {asBinary, in(CONNECT, CONNACK, AUTH)},
	RequestProblem:    {asByte, in(CONNECT)},
	WillDelay:         {asUint32, in(will)},
	RequestResponse:   {asByte, in(CONNECT)},
	ResponseInfo:      {asText, in(CONNACK)},
	ServerReference:   {asText, in(CONNACK, DISCONNECT)},
	ReasonString:      {asText, in(CONNACK, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBACK, UNSUBACK, DISCONNECT, AUTH)},
	ReceiveMaximum:    {asUint16, in(CONNECT, CONNACK)},
	TopicAliasMaximum: {asUint16, in(CONNECT, CONNACK)},
	TopicAlias:        {asUint16, in(PUBLISH)},
	MaximumQoS:        {asByte, in(CONNACK)},
	RetainAvailable:   {asByte, in(CONNACK)},
	UserProperty: {asPair, in(CONNECT, CONNACK, PUBLISH, will, PUBACK, PUBREC, PUBREL, PUBCOMP,
		SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, DISCONNECT, AUTH)},
	MaximumPacketSize: {asUint32, in(CONNECT, CONNACK)},
	WildcardAvailable: {asByte, in(CONNACK)},
	SubIDAvailable:    {asByte, in(CONNACK)},
	SharedAvailable:   {asByte, in(CONNACK)},
}

// Prop is one property: a number, or text (of a user property its name too).
type Prop struct {
	ID   PropID
	Num  uint32
	Name string
	Text string
}

// Props are the properties of a packet in their order. Only user properties,
// and subscription identifiers of a PUBLISH, may occur more than once.
type Props []Prop

// maxProps bounds the properties of one packet; the standard leaves user
// properties unbounded.
const maxProps = 64

// Num returns a numeric property and whether it is there.
func (ps Props) Num(id PropID) (uint32, bool) {
	for i := range ps {
		if ps[i].ID == id {
			return ps[i].Num, true
		}
	}
	return 0, false
}

// Text returns a text property, "" where it is not there.
func (ps Props) Text(id PropID) string {
	for i := range ps {
		if ps[i].ID == id {
			return ps[i].Text
		}
	}
	return ""
}

// Forwarded returns the properties of a PUBLISH that the standard has a broker
// pass on unaltered to subscribers.
func (ps Props) Forwarded() Props {
	var out Props
	for _, p := range ps {
		switch p.ID {
		case PayloadFormat, ContentType, ResponseTopic, CorrelationData, UserProperty:
			out = append(out, p)
		}
	}
	return out
}

// props reads the properties of a packet of type t.
func (c *cursor) props(t Type) Props {
	n := int(c.varint("property length"))
	if c.err == nil && n > len(c.b) {
		c.fail("properties")
	}
	if c.err != nil || n == 0 {
		return nil
	}
	pc := cursor{b: c.b[:n]}
	c.b = c.b[n:]
	var ps Props
	for len(pc.b) > 0 && pc.err == nil {
		p := pc.prop(t)
		if pc.err == nil && p.ID != UserProperty && !(p.ID == SubscriptionID && t == PUBLISH) &&
			slices.ContainsFunc(ps, func(q Prop) bool { return q.ID == p.ID }) {
			pc.err = errorf(ProtocolError, "property 0x%02x given twice", byte(p.ID))
		}
		if ps = append(ps, p); len(ps) > maxProps {
			pc.err = errorf(QuotaExceeded, "more than %d properties", maxProps)
		}
	}
	if c.err == nil {
		c.err = pc.err
	}
	return ps
}

func (c *cursor) prop(t Type) Prop {
	p := Prop{ID: PropID(c.byte("property"))}
	known, ok := properties[p.ID]
	if !ok || known.in&(1<<t) == 0 {
		if c.err == nil {
			c.err = errorf(Malformed, "property 0x%02x does not belong into packet type %d", byte(p.ID), t)
		}
		return p
	}
	switch known.form {
	case asByte:
		p.Num = uint32(c.byte("property"))
		if p.Num > 1 && c.err == nil {
			c.err = errorf(ProtocolError, "property 0x%02x is %d, want 0 or 1", byte(p.ID), p.Num)
		}
	case asUint16:
		p.Num = uint32(c.uint16("property"))
	case asUint32:
		p.Num = c.uint32("property")
	case asVarint:
		p.Num = c.varint("property")
	case asText:
		p.Text = c.text("property")
	case asBinary:
		p.Text = string(c.binary("property"))
	case asPair:
		p.Name = c.text("user property")
		p.Text = c.text("user property")
	}
	if c.err == nil && p.Num == 0 && (p.ID == ReceiveMaximum || p.ID == MaximumPacketSize || p.ID == SubscriptionID) {
		c.err = errorf(ProtocolError, "property 0x%02x is 0", byte(p.ID))
	}
	return p
}

// append writes properties with their length in front.
func (ps Props) append(dst []byte) []byte {
	if len(ps) == 0 {
		return append(dst, 0)
	}
	var b []byte
	for _, p := range ps {
		b = append(b, byte(p.ID))
		switch properties[p.ID].form {
		case asByte:
			b = append(b, byte(p.Num))
		case asUint16:
			b = binary.BigEndian.AppendUint16(b, uint16(p.Num))
		case asUint32:
			b = binary.BigEndian.AppendUint32(b, p.Num)
		case asVarint:
			b = appendVarint(b, int(p.Num))
		case asText, asBinary:
			b = appendText(b, p.Text)
		case asPair:
			b = appendText(appendText(b, p.Name), p.Text)
		}
	}
	dst = appendVarint(dst, len(b))
	return append(dst, b...)
}
