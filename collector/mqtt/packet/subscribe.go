package packet

import "encoding/binary"

// Filter is one subscription that is asked for.
type Filter struct {
	Filter string
	QoS    byte // the highest wanted
	// Of MQTT 5.
	NoLocal           bool // not what the client itself publishes
	RetainAsPublished bool
	RetainHandling    byte // retained messages: 0 send, 1 only where the subscription is new, 2 do not
}

// Subscribe is a SUBSCRIBE packet.
type Subscribe struct {
	ID      uint16
	Filters []Filter
	Props   Props
}

// maxFilters bounds the filters of one packet.
const maxFilters = 128

// DecodeSubscribe reads a SUBSCRIBE packet.
func DecodeSubscribe(body []byte, version byte) (Subscribe, error) {
	c := cursor{b: body}
	p := Subscribe{ID: c.uint16("packet identifier")}
	if version == V5 {
		p.Props = c.props(SUBSCRIBE)
	}
	for len(c.b) > 0 && c.err == nil {
		f := Filter{Filter: c.text("topic filter")}
		o := c.byte("subscription options")
		f.QoS, f.NoLocal, f.RetainAsPublished, f.RetainHandling = o&3, o&4 != 0, o&8 != 0, o>>4&3
		if c.err == nil && (f.QoS == 3 || f.RetainHandling == 3 || o>>6 != 0 || version < V5 && o > 2) {
			return p, errorf(Malformed, "subscription options %08b", o)
		}
		if p.Filters = append(p.Filters, f); len(p.Filters) > maxFilters {
			return p, errorf(QuotaExceeded, "more than %d filters in one packet", maxFilters)
		}
	}
	return p, checkList(&c, p.ID, len(p.Filters))
}

// checkList checks what SUBSCRIBE and UNSUBSCRIBE have in common.
func checkList(c *cursor, id uint16, filters int) error {
	switch {
	case c.err != nil:
		return c.err
	case id == 0:
		return errorf(ProtocolError, "packet identifier 0")
	case filters == 0:
		return errorf(ProtocolError, "no topic filter")
	}
	return nil
}

// Append writes the packet.
func (p *Subscribe) Append(dst []byte, version byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, p.ID)
	if version == V5 {
		b = p.Props.append(b)
	}
	for _, f := range p.Filters {
		o := f.QoS
		if version == V5 {
			o |= f.RetainHandling << 4
			if f.NoLocal {
				o |= 4
			}
			if f.RetainAsPublished {
				o |= 8
			}
		}
		b = append(appendText(b, f.Filter), o)
	}
	return frame(dst, byte(SUBSCRIBE)<<4|2, b)
}

// Unsubscribe is an UNSUBSCRIBE packet.
type Unsubscribe struct {
	ID      uint16
	Filters []string
	Props   Props
}

// DecodeUnsubscribe reads an UNSUBSCRIBE packet.
func DecodeUnsubscribe(body []byte, version byte) (Unsubscribe, error) {
	c := cursor{b: body}
	p := Unsubscribe{ID: c.uint16("packet identifier")}
	if version == V5 {
		p.Props = c.props(UNSUBSCRIBE)
	}
	for len(c.b) > 0 && c.err == nil {
		if p.Filters = append(p.Filters, c.text("topic filter")); len(p.Filters) > maxFilters {
			return p, errorf(QuotaExceeded, "more than %d filters in one packet", maxFilters)
		}
	}
	return p, checkList(&c, p.ID, len(p.Filters))
}

// Append writes the packet.
func (p *Unsubscribe) Append(dst []byte, version byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, p.ID)
	if version == V5 {
		b = p.Props.append(b)
	}
	for _, f := range p.Filters {
		b = appendText(b, f)
	}
	return frame(dst, byte(UNSUBSCRIBE)<<4|2, b)
}

// Suback answers a SUBSCRIBE or an UNSUBSCRIBE with one reason a filter.
type Suback struct {
	Type    Type // SUBACK or UNSUBACK
	ID      uint16
	Reasons []Reason
	Props   Props
}

// DecodeSuback reads a SUBACK or UNSUBACK packet.
func DecodeSuback(r Raw, version byte) (Suback, error) {
	c := cursor{b: r.Body}
	p := Suback{Type: r.Type(), ID: c.uint16("packet identifier")}
	if version == V5 {
		p.Props = c.props(p.Type)
	}
	for _, b := range c.rest() {
		p.Reasons = append(p.Reasons, Reason(b))
	}
	if c.err == nil && p.Type == UNSUBACK && version < V5 && len(p.Reasons) > 0 {
		return p, errorf(Malformed, "UNSUBACK with reasons before MQTT 5")
	}
	return p, c.err
}

// Append writes the packet. To clients before MQTT 5 every refusal is 0x80, and
// an UNSUBACK carries no reasons.
func (p *Suback) Append(dst []byte, version byte) []byte {
	b := binary.BigEndian.AppendUint16(nil, p.ID)
	if version == V5 {
		b = p.Props.append(b)
	}
	for _, r := range p.Reasons {
		switch {
		case version == V5:
			b = append(b, byte(r))
		case p.Type == UNSUBACK:
		case r >= Unspecified:
			b = append(b, byte(Unspecified))
		default:
			b = append(b, byte(r))
		}
	}
	return frame(dst, byte(p.Type)<<4, b)
}
