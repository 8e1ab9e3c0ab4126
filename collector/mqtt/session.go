package mqtt

import (
	"slices"
	"sync"
	"time"

	"quantrac/collector/mqtt/packet"
)

// message is a message on its way to subscribers. It is not changed once made.
type message struct {
	topic   string
	payload []byte
	qos     byte
	retain  bool
	props   packet.Props
	expires time.Time // zero: never
}

// sessionKey names a session. It holds who the client has shown to be, so that
// nobody takes over another's session by using its client identifier.
type sessionKey struct {
	who string
	id  string
}

// session is what outlives a connection of a client: its subscriptions, and the
// messages it has not yet acknowledged or been sent.
type session struct {
	key    sessionKey
	access access
	subs   map[string]packet.Filter // protected by Broker.mu

	mu      sync.Mutex
	conn    *conn         // nil while the client is away
	expiry  time.Duration // how long it is kept then, 0: not at all
	gone    time.Time     // since when it is away
	will    *message      // to be published at willAt, for a client that is away
	willAt  time.Time
	pending []outgoing // not sent yet
	bytes   int        // of the payloads of pending
	flight  []outgoing // sent with QoS 1 and not acknowledged, in the order of sending
	lastID  uint16     // newest packet identifier; our own count, apart from the client's
}

// outgoing is a message for one subscriber.
type outgoing struct {
	*message
	qos    byte
	retain bool
	id     uint16
	again  bool // of a resumed session: to be sent again
}

// enqueue appends a message for the subscriber. It never waits: over the bounds
// a message of QoS 0 is dropped, and one of QoS 1 takes the place of the oldest.
// It returns how many were dropped.
func (s *session) enqueue(o outgoing, b *Broker) (dropped int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn == nil && (o.qos == 0 || s.expiry == 0) {
		return 0
	}
	for len(s.pending) > 0 && (len(s.pending) >= b.o.QueueMessages || s.bytes+len(o.payload) > b.o.QueueBytes) {
		if o.qos == 0 {
			return dropped + 1
		}
		s.bytes -= len(s.pending[0].payload)
		s.pending = slices.Delete(s.pending, 0, 1)
		dropped++
	}
	s.pending = append(s.pending, o)
	s.bytes += len(o.payload)
	if s.conn != nil {
		s.conn.poke()
	}
	return dropped
}

// writeChunk is how much is gathered for one write.
const writeChunk = 64 << 10

// next appends to dst what is to be sent to the client now: first what a resumed
// session has to send again, then what is pending, as far as the client's
// receive maximum goes.
func (s *session) next(dst []byte, c *conn, now time.Time) []byte {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return dst
	}
	for i := range s.flight[:min(len(s.flight), c.sendMax)] {
		if o := &s.flight[i]; o.again && len(dst) < writeChunk {
			o.again = false
			dst = c.appendPublish(dst, o, true, now)
		}
	}
	sent := 0
	for sent < len(s.pending) && len(dst) < writeChunk {
		o := s.pending[sent]
		if o.qos > 0 && len(s.flight) >= c.sendMax {
			break
		}
		sent++
		s.bytes -= len(o.payload)
		if !o.expires.IsZero() && now.After(o.expires) || c.tooLarge(&o) {
			c.b.metrics.dropped.Inc()
			continue
		}
		if o.qos > 0 {
			o.id = s.newID()
			s.flight = append(s.flight, o)
		}
		dst = c.appendPublish(dst, &o, false, now)
	}
	s.pending = slices.Delete(s.pending, 0, sent)
	return dst
}

// newID returns a packet identifier that is not in flight towards the client.
func (s *session) newID() uint16 {
	for {
		s.lastID++
		if s.lastID != 0 && !slices.ContainsFunc(s.flight, func(o outgoing) bool { return o.id == s.lastID }) {
			return s.lastID
		}
	}
}

// acked ends the flight of a message; an identifier that is not in flight is an
// acknowledgement that came twice.
func (s *session) acked(id uint16) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if i := slices.IndexFunc(s.flight, func(o outgoing) bool { return o.id == id }); i >= 0 {
		s.flight = slices.Delete(s.flight, i, i+1)
	}
	if s.conn != nil {
		s.conn.poke()
	}
}

// attach makes c the client's connection. Messages in flight will be sent again.
func (s *session) attach(c *conn, expiry time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.conn, s.expiry, s.will = c, expiry, nil
	for i := range s.flight {
		s.flight[i].again = true
	}
}

// detach marks the client as away, unless another connection has taken over. It
// returns the will to publish now, and whether the session ends.
func (s *session) detach(c *conn, now time.Time) (will *message, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != c {
		return nil, false
	}
	s.conn, s.gone = nil, now
	will, delay := c.takeWill()
	if will != nil && delay > 0 && s.expiry > 0 {
		s.will, s.willAt, will = will, now.Add(delay), nil
	}
	return will, s.expiry == 0
}

// due returns the will that has waited long enough, and whether the session has
// expired; then its will is due in any case.
func (s *session) due(now time.Time) (will *message, expired bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.conn != nil {
		return nil, false
	}
	expired = now.Sub(s.gone) >= s.expiry
	if s.will != nil && (expired || !now.Before(s.willAt)) {
		will, s.will = s.will, nil
	}
	return will, expired
}

// away says since when the client has been away.
func (s *session) away() (since time.Time, away bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.gone, s.conn == nil
}
