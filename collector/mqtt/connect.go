package mqtt

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"time"

	"quantrac/collector/mqtt/packet"
)

// maxConnectBytes bounds what somebody may send before we know who it is.
const maxConnectBytes = 64 << 10

// connect takes the CONNECT, answers it and takes up the session. An error means
// that the client has been refused.
func (c *conn) connect() error {
	c.nc.SetReadDeadline(time.Now().Add(c.b.o.ConnectTimeout))
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	raw, err := packet.Read(c.br, min(maxConnectBytes, c.b.o.MaxPacketBytes))
	if err != nil {
		return fmt.Errorf("waiting for CONNECT: %w", err)
	}
	if raw.Type() != packet.CONNECT {
		return errors.New("the first packet is no CONNECT")
	}
	p, err := packet.DecodeConnect(raw.Body)
	c.version = p.Version
	if err == nil {
		err = c.admit(&p)
	}
	if err != nil {
		c.refuse(err)
		return err
	}
	c.nc.SetReadDeadline(time.Time{})
	return nil
}

// refuse answers a CONNECT with the reason of an error.
func (c *conn) refuse(err error) {
	var e *packet.Error
	if !errors.As(err, &e) || e.Reason == packet.Malformed && c.version < packet.V5 {
		return
	}
	version := min(max(c.version, packet.V311), packet.V5)
	if e.Reason == packet.UnsupportedVersion {
		version = packet.V311
	}
	ack := packet.Connack{Reason: e.Reason}
	c.nc.SetWriteDeadline(time.Now().Add(time.Second))
	_, _ = c.nc.Write(ack.Append(nil, version)) // it is refused whether it hears it or not
}

// admit finds out who connects, checks what it asks for and opens its session.
func (c *conn) admit(p *packet.Connect) error {
	if p.Props.Text(packet.AuthMethod) != "" {
		return &packet.Error{Reason: packet.BadAuthMethod, Text: "extended authentication is not offered"}
	}
	var answer packet.Props
	if p.ClientID == "" {
		if !p.Clean && p.Version < packet.V5 {
			return &packet.Error{Reason: packet.ClientIDNotValid, Text: "a session that is kept wants a client identifier"}
		}
		p.ClientID = "auto-" + rand.Text()
		answer = append(answer, packet.Prop{ID: packet.AssignedClientID, Text: p.ClientID})
	}
	if len(p.ClientID) > 256 {
		return &packet.Error{Reason: packet.ClientIDNotValid, Text: "client identifier of more than 256 bytes"}
	}
	key := sessionKey{id: p.ClientID}
	if err := c.identify(p, &key); err != nil {
		return err
	}
	c.who = key.who + "/" + key.id
	if err := c.takeTerms(p); err != nil {
		return err
	}
	expiry, props := c.expiry(p)
	answer = append(answer, props...)
	if p.Version == packet.V5 {
		answer = append(answer,
			packet.Prop{ID: packet.ReceiveMaximum, Num: uint32(c.b.o.InFlight)},
			packet.Prop{ID: packet.MaximumPacketSize, Num: uint32(c.b.o.MaxPacketBytes)},
			packet.Prop{ID: packet.MaximumQoS, Num: 1},
			packet.Prop{ID: packet.SubIDAvailable, Num: 0},
			packet.Prop{ID: packet.SharedAvailable, Num: 0})
	}
	return c.b.open(c, key, p.Clean, expiry, func(present bool) {
		ack := packet.Connack{SessionPresent: present, Props: answer}
		c.send(func(dst []byte) []byte { return ack.Append(dst, c.version) })
	})
}

// identify finds out who connects: a device by its name, which is the user name
// or, without one, the client identifier; else a subscriber.
func (c *conn) identify(p *packet.Connect, key *sessionKey) error {
	name := p.Username
	if name == "" {
		name = p.ClientID
	}
	secret := string(p.Password)
	if validName(name) && c.b.auth.AuthenticateDevice(name, secret) {
		c.access = access{device: name}
		key.who = "device " + name
		return nil
	}
	if subscribers, ok := c.b.auth.(SubscriberAuth); ok {
		if who, ok := subscribers.AuthenticateSubscriber(p.Username, secret); ok {
			c.access = access{all: who.Staff() && who.Stations == nil}
			key.who = "subscriber " + who.Name
			return nil
		}
	}
	return &packet.Error{Reason: packet.BadCredentials, Text: fmt.Sprintf("%q has shown neither to be that device nor a subscriber", name)}
}

// takeTerms takes over what the client asks of the connection.
func (c *conn) takeTerms(p *packet.Connect) error {
	c.keepAlive = time.Duration(p.KeepAlive) * time.Second
	c.sendMax, c.reasons = clientWindow, p.Version == packet.V5
	if n, ok := p.Props.Num(packet.ReceiveMaximum); ok {
		c.sendMax = min(int(n), clientWindow)
	}
	if n, ok := p.Props.Num(packet.MaximumPacketSize); ok {
		c.maxPacket = int(min(n, math.MaxInt32))
	}
	if n, ok := p.Props.Num(packet.RequestProblem); ok && n == 0 {
		c.reasons = false
	}
	w := p.Will
	if w == nil {
		return nil
	}
	if c.access.device == "" || w.Topic != StatusTopic(c.access.device) {
		return &packet.Error{Reason: packet.NotAuthorized, Text: fmt.Sprintf("will on %.100q; a device's is %s", w.Topic, StatusTopic(c.access.device))}
	}
	if w.QoS > 1 && p.Version == packet.V5 {
		return &packet.Error{Reason: packet.QoSNotSupported, Text: "will of QoS 2"}
	}
	c.will = &message{topic: w.Topic, payload: w.Payload, qos: min(w.QoS, 1), retain: w.Retain, props: w.Props.Forwarded()}
	if n, ok := w.Props.Num(packet.WillDelay); ok {
		c.willDelay = time.Duration(n) * time.Second
	}
	return nil
}

// clientWindow is how many messages are in flight to a client that does not say
// how many it takes. Small loggers have little memory.
const clientWindow = 20

// expiry is how long the session is kept without a connection, and what to tell
// a client of MQTT 5 that asked for longer.
func (c *conn) expiry(p *packet.Connect) (time.Duration, packet.Props) {
	if p.Version < packet.V5 {
		if p.Clean {
			return 0, nil
		}
		return c.b.o.SessionExpiry, nil
	}
	n, _ := p.Props.Num(packet.SessionExpiry)
	want := time.Duration(n) * time.Second
	if most := c.b.o.SessionExpiry; want > most {
		return most, packet.Props{{ID: packet.SessionExpiry, Num: uint32(most / time.Second)}}
	}
	return want, nil
}

// open gives the connection its session: the one that was kept, or a new one. A
// connection that holds it is dropped, and its will published first, so that the
// status the client sends next is the last. answered is called before anything
// else is sent.
func (b *Broker) open(c *conn, key sessionKey, clean bool, expiry time.Duration, answered func(present bool)) error {
	b.mu.Lock()
	if b.closed {
		b.mu.Unlock()
		return errShuttingDown
	}
	s, present := b.sessions[key]
	var will *message
	if present {
		will = s.displace(c, clean)
	}
	if present && clean {
		b.forget(key, s)
		present = false
	}
	if !present {
		s = &session{key: key, subs: map[string]packet.Filter{}}
		b.makeRoom()
		b.sessions[key] = s
	}
	s.access = c.access
	c.session = s
	answered(present)
	s.attach(c, expiry)
	b.mu.Unlock()
	if will != nil {
		b.publish(will, nil)
	}
	c.poke()
	return nil
}

// displace ends the connection that holds the session and returns the will to
// publish. A will that is waiting for the client's return is dropped, as the
// client has returned, unless the session ends here.
func (s *session) displace(c *conn, clean bool) *message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil {
		w := s.will
		s.will = nil
		if clean {
			return w
		}
		return nil
	}
	w, delay := s.conn.takeWill()
	s.conn.end(errTakenOver)
	s.conn = nil
	if delay > 0 && !clean {
		return nil
	}
	return w
}

// makeRoom takes away the session whose client has been away for longest where
// there are too many. Broker.mu is held.
func (b *Broker) makeRoom() {
	if len(b.sessions) < b.o.MaxSessions+len(b.conns) {
		return
	}
	var oldest *session
	var since time.Time
	for _, s := range b.sessions {
		if t, away := s.away(); away && (oldest == nil || t.Before(since)) {
			oldest, since = s, t
		}
	}
	if oldest != nil {
		b.forget(oldest.key, oldest)
	}
}

// disconnected ends a connection's hold on its session.
func (b *Broker) disconnected(c *conn) {
	b.mu.Lock()
	will, ended := c.session.detach(c, time.Now())
	if ended {
		b.forget(c.session.key, c.session)
	}
	b.mu.Unlock()
	if will != nil && b.ctx.Err() == nil {
		b.publish(will, nil)
	}
}

// shorten takes the session expiry of a DISCONNECT. A session that was to end
// with its connection cannot be prolonged so.
func (b *Broker) shorten(s *session, c *conn, seconds uint32) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return nil
	}
	if s.expiry == 0 && seconds > 0 {
		return &packet.Error{Reason: packet.ProtocolError, Text: "session expiry in DISCONNECT where CONNECT had none"}
	}
	s.expiry = min(time.Duration(seconds)*time.Second, b.o.SessionExpiry)
	return nil
}
