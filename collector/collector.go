package collector

import (
	"context"
	"hash/maphash"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"

	"quantrac"
	"quantrac/collector/decode"
)

// Options of a Collector. The zero value works.
type Options struct {
	QueueMessages int           // messages that wait in one device's queue; 256
	QueueBytes    int           // bytes of their payloads; 1 MiB. One message always fits
	DrainMessages int           // messages made into one batch; 256, fewer while many devices send
	DrainBytes    int           // bytes of their payloads; 1 MiB. One message always fits
	TotalBytes    int64         // bytes of the payloads of all devices that wait or are worked on; 256 MiB. One message of each device always fits
	Limits        decode.Limits // of one payload
	Logger        *slog.Logger  // none
}

func (o Options) withDefaults() Options {
	def := func(n *int, d int) {
		if *n <= 0 {
			*n = d
		}
	}
	def(&o.QueueMessages, 256)
	def(&o.QueueBytes, 1<<20)
	def(&o.DrainMessages, 256)
	def(&o.DrainBytes, 1<<20)
	if o.TotalBytes <= 0 {
		o.TotalBytes = 256 << 20
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Collector makes durable observations of messages. Its methods may be called
// from any goroutine.
type Collector struct {
	store    Store
	registry Registry
	dead     DeadLetters
	clock    quantrac.Clock
	o        Options
	metrics  *metrics
	seed     maphash.Seed

	closing   chan struct{} // closed by Close
	workers   sync.WaitGroup
	active    atomic.Int64      // sessions with a worker
	memory    budget            // of payloads
	memos     chan *decode.Memo // idle ones
	scratches sync.Pool         // of *scratch

	mu       sync.Mutex // protects what follows; the last lock to be taken
	closed   bool
	sessions map[string]*session
}

// New returns a Collector that is ready to take messages.
func New(store Store, registry Registry, dead DeadLetters, clock quantrac.Clock, o Options) *Collector {
	o = o.withDefaults()
	return &Collector{
		store: store, registry: registry, dead: dead, clock: clock,
		o: o, metrics: newMetrics(), seed: maphash.MakeSeed(), memory: newBudget(o.TotalBytes),
		closing: make(chan struct{}), sessions: map[string]*session{},
		memos: make(chan *decode.Memo, 2*runtime.GOMAXPROCS(0)), scratches: sync.Pool{New: func() any { return new(scratch) }},
	}
}

// Take hands over a message and returns once it is in its device's queue. While
// that is full it waits. An error means that the message was not taken and Ack
// will not be called: the context has ended, or the collector is closing
// (Unavailable).
func (c *Collector) Take(ctx context.Context, m Message) error {
	if m.Received == 0 {
		m.Received = c.clock.Now()
	}
	s, err := c.acquire(m.Device)
	if err != nil {
		return err
	}
	defer c.release(s)
	return s.put(ctx, m)
}

// Run waits until the context ends and then closes the collector. Workers start
// with the messages that they work on; Run need not have been called for them.
func (c *Collector) Run(ctx context.Context) error {
	select {
	case <-ctx.Done():
	case <-c.closing:
	}
	return c.Close()
}

// Close refuses what still comes and what waits in queues (their Ack gets an
// error of kind Unavailable), waits for the batches under way, and returns. It
// may be called more than once.
func (c *Collector) Close() error {
	c.mu.Lock()
	if !c.closed {
		c.closed = true
		close(c.closing)
	}
	c.mu.Unlock()
	c.workers.Wait()
	return nil
}

var errClosing = quantrac.Errorf(quantrac.Unavailable, "collector is closing")

// acquire returns the session of a device, which stays at least until release.
func (c *Collector) acquire(device string) (*session, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return nil, errClosing
	}
	s := c.sessions[device]
	if s == nil {
		s = newSession(c, device)
		c.sessions[device] = s
	}
	s.users++
	return s, nil
}

// begin counts a piece of work in the caller's goroutine, for Close to wait for;
// workers.Done ends it.
func (c *Collector) begin() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosing
	}
	c.workers.Add(1)
	return nil
}

// start runs the worker of a session, which uses it until its queue is empty.
func (c *Collector) start(s *session) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return errClosing
	}
	s.users++
	c.workers.Go(s.run)
	return nil
}

// quantum is how many messages of one device may go into a batch now. After an
// outage of the whole province every device comes with a backlog: each gets a
// small turn, so that a commit stays short and what a device has just measured
// is not behind the backlogs of all the others.
func (c *Collector) quantum() int {
	const rows, least = 4096, 8 // of all batches that one group commit takes together
	return max(min(least, c.o.DrainMessages), min(c.o.DrainMessages, rows/max(1, int(c.active.Load()))))
}

// release forgets the session of a device that the registry does not know once
// nobody uses it: names of strangers must not fill the memory. The sessions of
// registered devices stay, with what quality control remembers.
func (c *Collector) release(s *session) {
	_, known := c.registry.Binding(s.device)
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.users--; s.users == 0 && !known {
		delete(c.sessions, s.device)
	}
}
