package mqtt

import (
	"context"
	"log/slog"
	"net"
	"sync"
	"time"

	"quantrac"
	"quantrac/internal/seldom"
)

// Options of a Broker. The zero value works.
type Options struct {
	MaxConnections   int           // at a time; 10,000
	MaxPacketBytes   int           // of one packet from a client; 1 MiB
	MaxSkippedBytes  int           // of a packet larger than that which is read past, lest it come again; 256 MiB, all that MQTT can send
	MaxSubscriptions int           // of one client; 32
	InFlight         int           // messages of one client that await their acknowledgement before its reader waits; 256
	InFlightBytes    int           // bytes of their payloads; 2 MiB. One message always fits
	MessagesPerSec   int           // of one client on average, above which its reader waits; 2,000. Negative: no limit
	QueueMessages    int           // messages that wait for one subscriber; of QoS 1 the oldest give way; 1,000
	QueueBytes       int           // bytes of their payloads; 4 MiB
	SessionExpiry    time.Duration // how long the session of a client that is away is kept at most; 7 days
	MaxSessions      int           // of clients that are away; 20,000
	ConnectTimeout   time.Duration // from the connection to the end of its CONNECT; 10 s
	WriteTimeout     time.Duration // for a client to take what is written; 20 s
	RetryMin         time.Duration // how long a device is held before its connection is dropped because a message could not be made durable; 250 ms, doubling
	RetryMax         time.Duration // up to this; 30 s
	Logger           *slog.Logger  // none

	logTime time.Duration // of linesAMinute; a minute
}

func (o Options) withDefaults() Options {
	def(&o.MaxConnections, 10_000)
	def(&o.MaxPacketBytes, 1<<20)
	def(&o.MaxSkippedBytes, 256<<20)
	def(&o.MaxSubscriptions, 32)
	def(&o.InFlight, 256)
	def(&o.InFlightBytes, 2<<20)
	def(&o.QueueMessages, 1000)
	def(&o.QueueBytes, 4<<20)
	def(&o.SessionExpiry, 7*24*time.Hour)
	def(&o.MaxSessions, 20_000)
	def(&o.ConnectTimeout, 10*time.Second)
	def(&o.WriteTimeout, 20*time.Second)
	def(&o.RetryMin, 250*time.Millisecond)
	def(&o.RetryMax, 30*time.Second)
	if o.MessagesPerSec == 0 {
		o.MessagesPerSec = 2000
	}
	o.InFlight = min(o.InFlight, 65535)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

func def[T int | time.Duration](v *T, d T) {
	if *v <= 0 {
		*v = d
	}
}

// Broker is an MQTT broker for the stations of one service. Its methods may be
// called from any goroutine.
//
// Locks, in the order in which they are taken: Broker.mu, session.mu, conn.mu.
type Broker struct {
	intake  Intake
	auth    Auth
	o       Options
	metrics *metrics

	ctx    context.Context // ends with Close
	cancel context.CancelCauseFunc
	work   sync.WaitGroup // connections, and what Run starts

	refusals, breaks seldom.Limit // of what the log says of clients that come again and again

	mu        sync.RWMutex
	closed    bool
	listeners []net.Listener
	conns     map[*conn]struct{}
	sessions  map[sessionKey]*session
	routes    routes
	retained  map[string]*message
	retry     map[string]time.Duration // of devices whose last message was not durable
}

// New returns a broker that is ready to run.
func New(intake Intake, auth Auth, o Options) *Broker {
	b := &Broker{
		intake: intake, auth: auth, o: o.withDefaults(), metrics: newMetrics(),
		conns: map[*conn]struct{}{}, sessions: map[sessionKey]*session{},
		refusals: seldom.Limit{Lines: linesAMinute, Time: o.logTime}, breaks: seldom.Limit{Lines: linesAMinute, Time: o.logTime},
		routes: newRoutes(), retained: map[string]*message{}, retry: map[string]time.Duration{},
	}
	b.ctx, b.cancel = context.WithCancelCause(context.Background())
	return b
}

// Run serves clients on the listeners until ctx ends or the broker is closed. It
// closes the listeners. It returns the error of a listener that failed.
func (b *Broker) Run(ctx context.Context, ls ...net.Listener) error {
	b.mu.Lock()
	b.listeners = append(b.listeners, ls...)
	closed := b.closed
	if !closed {
		b.work.Add(1)
	}
	b.mu.Unlock()
	if closed {
		closeAll(ls)
		return quantrac.Errorf(quantrac.Unavailable, "MQTT broker is closed")
	}
	failed := make(chan error, len(ls))
	var serving sync.WaitGroup
	for _, l := range ls {
		serving.Go(func() { failed <- b.serve(l) })
	}
	tick := time.NewTicker(time.Second)
	var err error
	for open := true; open; {
		select {
		case <-ctx.Done():
			open = false
		case <-b.ctx.Done():
			open = false
		case err = <-failed:
			open = err == nil
		case now := <-tick.C:
			b.sweep(now)
			b.tellRest(now)
		}
	}
	tick.Stop()
	closeAll(ls)
	serving.Wait()
	b.work.Done()
	b.Close()
	return err
}

func closeAll(ls []net.Listener) {
	for _, l := range ls {
		l.Close()
	}
}

// serve accepts connections until the listener is closed.
func (b *Broker) serve(l net.Listener) error {
	wait := time.Duration(0)
	for {
		nc, err := l.Accept()
		if err == nil {
			wait = 0
			b.accept(nc)
			continue
		}
		if b.ctx.Err() != nil {
			return nil
		}
		if t, ok := err.(interface{ Temporary() bool }); !ok || !t.Temporary() {
			return err
		}
		// Out of file descriptors, say: others will be closed.
		wait = min(max(5*time.Millisecond, 2*wait), time.Second)
		b.o.Logger.Warn("mqtt: accept", "error", err, "retry", wait)
		select {
		case <-time.After(wait):
		case <-b.ctx.Done():
			return nil
		}
	}
}

// accept starts a connection, unless there are too many.
func (b *Broker) accept(nc net.Conn) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.closed || len(b.conns) >= b.o.MaxConnections {
		b.metrics.refusedConns.Inc()
		nc.Close()
		return
	}
	c := newConn(b, nc)
	b.conns[c] = struct{}{}
	b.work.Go(func() {
		c.run()
		b.mu.Lock()
		delete(b.conns, c)
		b.mu.Unlock()
	})
}

// Close drops every connection, tells clients of MQTT 5 why, and waits until
// nothing runs any more. It may be called more than once.
func (b *Broker) Close() error {
	b.mu.Lock()
	b.closed = true
	ls := b.listeners
	b.mu.Unlock()
	b.cancel(errShuttingDown) // the connections with it
	closeAll(ls)
	b.work.Wait()
	return nil
}

// sweep ends what has had its time: sessions of clients that are away, and
// publishes the wills that had to wait.
func (b *Broker) sweep(now time.Time) {
	b.mu.Lock()
	var wills []*message
	for key, s := range b.sessions {
		w, expired := s.due(now)
		if w != nil {
			wills = append(wills, w)
		}
		if expired {
			b.forget(key, s)
		}
	}
	b.mu.Unlock()
	for _, w := range wills {
		b.publish(w, nil)
	}
}

// forget takes a session away. Broker.mu is held.
func (b *Broker) forget(key sessionKey, s *session) {
	delete(b.sessions, key)
	b.routes.drop(s)
}

// holdFor returns how long to hold a device whose message was not durable, each
// time twice as long; kept ends that.
func (b *Broker) holdFor(device string) time.Duration {
	b.mu.Lock()
	defer b.mu.Unlock()
	d := b.retry[device]
	b.retry[device] = min(max(b.o.RetryMin, 2*d), b.o.RetryMax)
	return b.retry[device]
}

func (b *Broker) kept(device string) {
	b.mu.RLock()
	_, ok := b.retry[device]
	b.mu.RUnlock()
	if ok {
		b.mu.Lock()
		delete(b.retry, device)
		b.mu.Unlock()
	}
}
