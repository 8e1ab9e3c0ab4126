package mqtt

import (
	"context"
	"slices"
	"time"

	"quantrac"
	"quantrac/collector"
	"quantrac/collector/mqtt/packet"
)

// answer is the acknowledgement of one message from the client. Answers go out
// in the order in which the messages came.
type answer struct {
	id     uint16
	qos    byte
	done   bool
	reason packet.Reason
	text   string
}

// publish takes a message of the client; one that has not been read whole is
// described by beginning.
func (c *conn) publish(p *packet.Publish, beginning *collector.Beginning) error {
	switch {
	case p.Topic == "":
		return &packet.Error{Reason: packet.TopicAliasInvalid, Text: "PUBLISH without a topic; topic aliases are not offered"}
	case p.QoS == 2 && c.version == packet.V5:
		return &packet.Error{Reason: packet.QoSNotSupported, Text: "QoS 2 is not offered"}
	}
	if _, ok := p.Props.Num(packet.TopicAlias); ok {
		return &packet.Error{Reason: packet.TopicAliasInvalid, Text: "topic aliases are not offered"}
	}
	c.b.metrics.received.Inc()
	c.topic = p.Topic
	if err := c.rate.wait(c.ctx); err != nil {
		return err
	}
	a := c.expect(p)
	switch device := c.access.device; {
	case device == "":
		c.answer(a, packet.NotAuthorized, "a subscriber does not publish")
		return nil
	case p.Topic == StatusTopic(device) && beginning == nil:
		c.b.publish(&message{topic: p.Topic, payload: p.Payload, qos: min(p.QoS, 1), retain: p.Retain, props: p.Props.Forwarded()}, c.session)
		c.answer(a, packet.Success, "")
		return nil
	}
	return c.handOver(p, beginning, a)
}

// handOver gives a message to the collector, once there is room for it.
func (c *conn) handOver(p *packet.Publish, beginning *collector.Beginning, a *answer) error {
	if err := c.enter(len(p.Payload)); err != nil {
		return err
	}
	m := collector.Message{Device: c.access.device, Topic: p.Topic, Payload: p.Payload, Beginning: beginning, Dup: p.Dup}
	m.Ack = func(err error) { c.outcome(p, a, err) }
	if err := c.b.intake.Take(c.ctx, m); err != nil {
		c.leave(len(p.Payload))
		return err
	}
	return nil
}

// enter waits until the client has room in flight for a message of n bytes. A
// connection that has failed takes no more.
func (c *conn) enter(n int) error {
	for {
		c.mu.Lock()
		fits := c.inFlight == 0 || c.inFlight < c.b.o.InFlight && c.inBytes+n <= c.b.o.InFlightBytes
		if fits && !c.failed {
			c.inFlight++
			c.inBytes += n
			c.mu.Unlock()
			return nil
		}
		room := c.room
		c.mu.Unlock()
		select {
		case <-room:
		case <-c.ctx.Done():
			return context.Cause(c.ctx)
		}
	}
}

func (c *conn) leave(n int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.inFlight--
	c.inBytes -= n
	close(c.room)
	c.room = make(chan struct{})
}

// outcome is told by the collector what became of a message.
func (c *conn) outcome(p *packet.Publish, a *answer, err error) {
	defer c.leave(len(p.Payload))
	switch {
	case err == nil:
		c.b.kept(c.access.device)
		c.answer(a, packet.Success, "")
		c.b.publish(&message{topic: p.Topic, payload: p.Payload, qos: min(p.QoS, 1), props: p.Props.Forwarded(), expires: expires(p.Props)}, c.session)
	case quantrac.KindOf(err) == quantrac.Denied:
		c.answer(a, packet.NotAuthorized, err.Error())
	case collector.DealtWith(err):
		c.answer(a, packet.PayloadInvalid, err.Error())
	case a == nil:
		c.b.metrics.lost.Inc() // QoS 0: at most once
	default:
		c.fail()
	}
}

// fail lets the connection go because a message of it is not durable. There is
// no negative acknowledgement before MQTT 5, and in MQTT 5 one means "never
// again": only a new connection makes the client send again. It is held for a
// while first, so that clients do not come back in a storm.
func (c *conn) fail() {
	c.mu.Lock()
	first := !c.failed
	c.failed = true
	c.mu.Unlock()
	if !first {
		return
	}
	hold := c.b.holdFor(c.access.device)
	c.b.metrics.withheld.Inc()
	c.b.o.Logger.Warn("mqtt: a message is not durable; the connection will be dropped", "client", c.who, "in", hold)
	t := time.AfterFunc(hold, func() { c.end(errBusy) })
	context.AfterFunc(c.ctx, func() { t.Stop() })
}

// expires is when a message of MQTT 5 loses its worth to subscribers.
func expires(ps packet.Props) time.Time {
	if n, ok := ps.Num(packet.MessageExpiry); ok {
		return time.Now().Add(time.Duration(n) * time.Second)
	}
	return time.Time{}
}

// expect takes a place for the answer to a message; nil for QoS 0.
func (c *conn) expect(p *packet.Publish) *answer {
	if p.QoS == 0 {
		return nil
	}
	a := &answer{id: p.ID, qos: p.QoS}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.answers = append(c.answers, a)
	return a
}

// answer fills in an answer, and sends it with those before and after it that
// have been waiting for each other.
func (c *conn) answer(a *answer, reason packet.Reason, text string) {
	if a == nil {
		return
	}
	c.mu.Lock()
	a.done, a.reason, a.text = true, reason, text
	n := 0
	for ; n < len(c.answers) && c.answers[n].done; n++ {
		a := c.answers[n]
		ack := packet.Ack{Type: packet.PUBACK, ID: a.id, Reason: a.reason}
		if a.qos == 2 {
			ack.Type = packet.PUBREC
		}
		if a.reason != packet.Success {
			ack.Props = c.reason(a.text)
		}
		c.out = ack.Append(c.out, c.version)
	}
	c.answers = slices.Delete(c.answers, 0, n)
	c.mu.Unlock()
	if n > 0 {
		c.poke()
	}
}

// publish gives a message to the subscribers, and keeps it where it is retained.
// It never waits. It returns how many subscribers it was for.
func (b *Broker) publish(m *message, from *session) int {
	targets := b.route(m, from)
	for s, t := range targets {
		if !s.access.mayRead(m.topic) {
			continue
		}
		n := s.enqueue(outgoing{message: m, qos: min(m.qos, t.qos), retain: m.retain && t.retain}, b)
		b.metrics.dropped.Add(float64(n))
	}
	return len(targets)
}

// route finds the subscribers of a message. One that is retained is kept in the
// same step, so that who subscribes meanwhile gets it one way or the other.
func (b *Broker) route(m *message, from *session) map[*session]target {
	if !m.retain {
		b.mu.RLock()
		defer b.mu.RUnlock()
		return b.routes.match(m.topic, from)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(m.payload) > 0 {
		b.retained[m.topic] = m
	} else {
		delete(b.retained, m.topic)
	}
	return b.routes.match(m.topic, from)
}

// PublishWarning implements Publisher.
func (b *Broker) PublishWarning(_ context.Context, area, episode string, payload []byte, retain bool) error {
	if err := checkWarning(area, episode); err != nil {
		return err
	}
	b.publish(&message{topic: WarningTopic(area, episode), payload: payload, qos: 1, retain: retain}, nil)
	return nil
}

// SendCommand implements Publisher.
func (b *Broker) SendCommand(_ context.Context, device string, payload []byte) error {
	if !validName(device) {
		return quantrac.Errorf(quantrac.Invalid, "device %q cannot be a level of a topic", device)
	}
	if b.publish(&message{topic: CommandTopic(device), payload: payload, qos: 1}, nil) == 0 {
		return quantrac.Errorf(quantrac.NotFound, "device %q is not connected, nor has it left a session that reads %s", device, CommandTopic(device))
	}
	return nil
}
