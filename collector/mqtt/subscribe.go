package mqtt

import (
	"strings"

	"quantrac/collector/mqtt/packet"
)

// subscribe takes a SUBSCRIBE: each filter is granted or refused for itself, and
// what is retained on the topics of new ones is sent behind the answer.
func (b *Broker) subscribe(c *conn, p *packet.Subscribe) error {
	if _, ok := p.Props.Num(packet.SubscriptionID); ok {
		return &packet.Error{Reason: packet.SubIDNotSupported, Text: "subscription identifiers are not offered"}
	}
	ack := packet.Suback{Type: packet.SUBACK, ID: p.ID}
	var again []outgoing
	b.mu.Lock()
	defer b.mu.Unlock()
	s := c.session
	for _, f := range p.Filters {
		f.QoS = min(f.QoS, 1)
		_, known := s.subs[f.Filter]
		reason := b.judge(c, f.Filter, known)
		if reason == packet.Success {
			s.subs[f.Filter] = f
			b.routes.add(s, f)
			again = append(again, b.retainedFor(f, known)...)
			reason = packet.Reason(f.QoS)
		}
		ack.Reasons = append(ack.Reasons, reason)
	}
	c.send(func(dst []byte) []byte { return ack.Append(dst, c.version) })
	for _, o := range again {
		s.enqueue(o, b)
	}
	return nil
}

// judge says whether a client may have a subscription.
func (b *Broker) judge(c *conn, filter string, known bool) packet.Reason {
	switch {
	case strings.HasPrefix(filter, "$share/"):
		return packet.SharedNotSupported
	case !validFilter(filter):
		return packet.FilterInvalid
	case !c.access.mayRead(filter):
		return packet.NotAuthorized
	case !known && len(c.session.subs) >= b.o.MaxSubscriptions:
		return packet.QuotaExceeded
	}
	return packet.Success
}

// retainedFor returns the retained messages for a subscription. Broker.mu is held.
func (b *Broker) retainedFor(f packet.Filter, known bool) []outgoing {
	if f.RetainHandling == 2 || f.RetainHandling == 1 && known {
		return nil
	}
	var out []outgoing
	for topic, m := range b.retained {
		if covers(f.Filter, topic) {
			out = append(out, outgoing{message: m, qos: min(m.qos, f.QoS), retain: true})
		}
	}
	return out
}

// unsubscribe takes an UNSUBSCRIBE.
func (b *Broker) unsubscribe(c *conn, p *packet.Unsubscribe) {
	ack := packet.Suback{Type: packet.UNSUBACK, ID: p.ID}
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, f := range p.Filters {
		reason := packet.NoSubscription
		if _, ok := c.session.subs[f]; ok {
			reason = packet.Success
			delete(c.session.subs, f)
			b.routes.remove(c.session, f)
		}
		ack.Reasons = append(ack.Reasons, reason)
	}
	c.send(func(dst []byte) []byte { return ack.Append(dst, c.version) })
}
