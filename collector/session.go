package collector

import (
	"context"
	"hash/maphash"
	"sync"

	"quantrac"
	"quantrac/collector/qc"
)

// session is the queue of one device and what is remembered of its series.
type session struct {
	c      *Collector
	device string
	users  int // protected by Collector.mu

	mu      sync.Mutex // protects the queue; taken before Collector.mu where both are
	queue   []Message
	bytes   int
	running bool          // a worker is at it
	space   chan struct{} // closed, and replaced, when the queue has been drained

	work   sync.Mutex // held while a batch is made and appended; protects what follows
	recent map[seriesKey]*qc.Recent
	stamps stamps
}

// seriesKey names a series of the session's device.
type seriesKey struct {
	property string
	group    string // Labels.Key of what the payload adds to the binding's group
}

func newSession(c *Collector, device string) *session {
	return &session{c: c, device: device, space: make(chan struct{}), recent: map[seriesKey]*qc.Recent{}}
}

// put appends a message to the queue, waiting while it is full, and sees that a
// worker runs.
func (s *session) put(ctx context.Context, m Message) error {
	size := len(m.Payload)
	for {
		s.mu.Lock()
		space := s.space
		if s.fits(size) {
			if space = s.c.memory.take(size, len(s.queue) == 0); space == nil {
				break
			}
		}
		s.mu.Unlock()
		select {
		case <-space:
		case <-ctx.Done():
			return ctx.Err()
		case <-s.c.closing:
			return errClosing
		}
	}
	defer s.mu.Unlock()
	if !s.running {
		if err := s.c.start(s); err != nil {
			s.c.memory.give(size)
			return err
		}
		s.running = true
	}
	s.queue = append(s.queue, m)
	s.bytes += size
	return nil
}

func (s *session) fits(size int) bool {
	return len(s.queue) == 0 || len(s.queue) < s.c.o.QueueMessages && s.bytes+size <= s.c.o.QueueBytes
}

// run works until the queue is empty.
func (s *session) run() {
	defer s.c.release(s)
	s.c.active.Add(1)
	defer s.c.active.Add(-1)
	for {
		ms := s.drain()
		if ms == nil {
			return
		}
		s.workOn(ms)
		s.c.memory.give(payloads(ms))
	}
}

// workOn makes messages durable, unless the collector is closing.
func (s *session) workOn(ms []Message) {
	select {
	case <-s.c.closing:
		acknowledge(ms, errClosing)
		return
	default:
	}
	s.work.Lock()
	err := s.take(ms)
	s.work.Unlock()
	if err != nil {
		s.refuse(err)
	}
}

func payloads(ms []Message) int {
	n := 0
	for i := range ms {
		n += len(ms[i].Payload)
	}
	return n
}

// drain takes from the queue what fits one batch, nil at the end of the work.
func (s *session) drain() []Message {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		s.running = false
		s.queue = nil // its memory goes until it is needed again
		return nil
	}
	n, bytes, most := 0, 0, s.c.quantum()
	for n < len(s.queue) && n < most && (n == 0 || bytes+len(s.queue[n].Payload) <= s.c.o.DrainBytes) {
		bytes += len(s.queue[n].Payload)
		n++
	}
	ms := s.queue[:n:n]
	s.queue = s.queue[n:]
	s.bytes -= bytes
	s.wake()
	return ms
}

func (s *session) wake() {
	close(s.space)
	s.space = make(chan struct{})
}

// refuse gives back what waits behind a batch that could not be made durable:
// it will come again, in its order, on the device's next connection.
func (s *session) refuse(err error) {
	s.mu.Lock()
	ms := s.queue
	s.queue, s.bytes = nil, 0
	s.wake()
	s.mu.Unlock()
	s.c.metrics.withheld.Add(float64(len(ms)))
	acknowledge(ms, err)
	s.c.memory.give(payloads(ms))
}

func acknowledge(ms []Message, err error) {
	for i := range ms {
		ms[i].Ack(err)
	}
}

// stamps remembers when payloads without a time were received, so that a
// redelivery gets the stamp of the first delivery. It holds the last of them.
type stamps struct {
	at   map[uint64]quantrac.Millis
	ring [stampsKept]uint64
	next int
}

// stampsKept covers what a device can have in flight and resend.
const stampsKept = 256

func (st *stamps) put(key uint64, t quantrac.Millis) {
	if st.at == nil {
		st.at = map[uint64]quantrac.Millis{}
	}
	if _, ok := st.at[key]; !ok {
		if len(st.at) == stampsKept {
			delete(st.at, st.ring[st.next])
		}
		st.ring[st.next] = key
		st.next = (st.next + 1) % stampsKept
	}
	st.at[key] = t
}

// stamp returns the time of receipt to use for a message, and the key under
// which to remember it.
func (s *session) stamp(m *Message) (quantrac.Millis, uint64) {
	var h maphash.Hash
	h.SetSeed(s.c.seed)
	h.WriteString(m.Topic)
	h.WriteByte(0)
	h.Write(m.Payload)
	key := h.Sum64()
	if m.Dup {
		if t, ok := s.stamps.at[key]; ok {
			return t, key
		}
	}
	return m.Received, key
}
