package mqtt

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	paho "github.com/eclipse/paho.mqtt.golang"

	"quantrac"
	"quantrac/collector"
)

// ClientOptions say which external broker to work behind. URL is wanted.
type ClientOptions struct {
	URL            string // tcp://host:1883, ssl://host:8883, ws://…
	ClientID       string // names the session that the broker keeps; "quantrac"
	Username       string
	Password       string
	TLS            *tls.Config
	Share          string        // group of a shared subscription, for several collectors; "" for none
	MaxUnacked     int           // messages taken and not yet acknowledged; 10,000. Above, the connection is dropped
	KeepAlive      time.Duration // 30 s
	ConnectTimeout time.Duration // 10 s
	RetryMin       time.Duration // before connecting again; 1 s, doubling
	RetryMax       time.Duration // up to this; 30 s
	Logger         *slog.Logger  // none
	// Connected is called in a goroutine of its own whenever there is a connection,
	// with a context that ends with it: what is retained may have been lost.
	Connected func(ctx context.Context)
}

func (o ClientOptions) withDefaults() ClientOptions {
	if o.ClientID == "" {
		o.ClientID = "quantrac"
	}
	def(&o.MaxUnacked, 10_000)
	def(&o.KeepAlive, 30*time.Second)
	def(&o.ConnectTimeout, 10*time.Second)
	def(&o.RetryMin, time.Second)
	def(&o.RetryMax, 30*time.Second)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Client takes the messages of devices from an external broker. The broker
// answers the devices; what the Client owes is to acknowledge to the broker only
// what is durable. A message that is not comes again on the next connection,
// which the Client then makes. That a device publishes below its own name only
// is for the broker's access list to see to.
//
// The broker must keep the Client's session and limit how many messages it sends
// unacknowledged below MaxUnacked (Mosquitto: max_inflight_messages).
type Client struct {
	intake Intake
	o      ClientOptions

	mu   sync.Mutex
	link *link // the present connection, nil while there is none
}

// NewClient returns a client that is ready to run.
func NewClient(intake Intake, o ClientOptions) *Client {
	return &Client{intake: intake, o: o.withDefaults()}
}

// Run works until ctx ends, connecting again whenever the connection is lost. It
// returns an error only for options that can never work.
func (c *Client) Run(ctx context.Context) error {
	if c.o.URL == "" {
		return quantrac.Errorf(quantrac.Invalid, "MQTT client: no broker is named")
	}
	wait := c.o.RetryMin
	for {
		worked, err := c.once(ctx)
		if ctx.Err() != nil {
			return nil
		}
		if worked {
			wait = c.o.RetryMin
		}
		c.o.Logger.Warn("mqtt: no connection to the broker", "broker", c.o.URL, "error", err, "retry", wait)
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return nil
		}
		wait = min(2*wait, c.o.RetryMax)
	}
}

// link is one connection. Each has a client of the library of its own: that
// keeps what it had received in a store and would hand it out again on its next
// connection, unmarked, beside the broker's redelivery.
type link struct {
	c      *Client
	paho   paho.Client
	ctx    context.Context
	cancel context.CancelCauseFunc
	work   sync.WaitGroup
	acks   sync.WaitGroup // acknowledgements that the library has not yet put in line

	mu      sync.Mutex
	waiting map[string][]collector.Message // by device; an entry means that a goroutine hands them over
	unacked int
	worked  bool // something was acknowledged
	closed  bool // no work is begun any more
}

// once connects, works until the connection is lost, and says whether any
// message was made durable.
func (c *Client) once(ctx context.Context) (worked bool, err error) {
	l := &link{c: c, waiting: map[string][]collector.Message{}}
	l.ctx, l.cancel = context.WithCancelCause(ctx)
	l.paho = paho.NewClient(l.options())
	defer l.close()
	if err := wait(ctx, l.paho.Connect(), c.o.ConnectTimeout); err != nil {
		return false, fmt.Errorf("connect: %w", err)
	}
	if err := l.subscribe(ctx); err != nil {
		return false, err
	}
	c.setLink(l)
	defer c.setLink(nil)
	c.o.Logger.Info("mqtt: connected to the broker", "broker", c.o.URL)
	if c.o.Connected != nil {
		l.work.Go(func() { c.o.Connected(l.ctx) })
	}
	<-l.ctx.Done()
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.worked, context.Cause(l.ctx)
}

// farewell is how long the end of a connection waits for what is still to be
// sent: the acknowledgements, and then the word of the end.
const farewell = 250 * time.Millisecond

// close ends the connection in good order; the broker keeps the session. What was
// made durable is acknowledged before, or it would all come again on the next.
func (l *link) close() {
	l.cancel(nil)
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	acked := make(chan struct{})
	go func() {
		defer close(acked)
		l.acks.Wait()
	}()
	select {
	case <-acked:
	case <-time.After(farewell): // the broker takes nothing any more
	}
	l.paho.Disconnect(uint(farewell.Milliseconds()))
	<-acked
	l.work.Wait()
}

func (c *Client) setLink(l *link) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.link = l
}

// Up says whether there is a connection to the broker.
func (c *Client) Up() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.link != nil
}

func (l *link) options() *paho.ClientOptions {
	o := &l.c.o
	p := paho.NewClientOptions().AddBroker(o.URL).SetClientID(o.ClientID).
		SetUsername(o.Username).SetPassword(o.Password).
		SetCleanSession(false).SetAutoAckDisabled(true).SetOrderMatters(true).
		SetAutoReconnect(false).SetConnectRetry(false).
		SetKeepAlive(o.KeepAlive).SetPingTimeout(o.KeepAlive / 2).SetConnectTimeout(o.ConnectTimeout).
		SetWriteTimeout(o.ConnectTimeout)
	if o.TLS != nil {
		p.SetTLSConfig(o.TLS)
	}
	// Set before Connect: messages of a kept session come before any SUBSCRIBE,
	// and one without a handler would never be acknowledged.
	p.SetDefaultPublishHandler(func(_ paho.Client, m paho.Message) { l.receive(m) })
	p.SetConnectionLostHandler(func(_ paho.Client, err error) { l.cancel(fmt.Errorf("connection lost: %w", err)) })
	return p
}

// subscribe asks for what devices send.
func (l *link) subscribe(ctx context.Context) error {
	filters := map[string]byte{}
	for _, leaf := range []string{"obs", "line"} {
		f := topicRoot + "+/" + leaf
		if l.c.o.Share != "" {
			f = "$share/" + l.c.o.Share + "/" + f
		}
		filters[f] = 1
	}
	t := l.paho.SubscribeMultiple(filters, nil)
	if err := wait(ctx, t, l.c.o.ConnectTimeout); err != nil {
		return fmt.Errorf("subscribe: %w", err)
	}
	for f, granted := range t.(*paho.SubscribeToken).Result() {
		if granted != 1 {
			return fmt.Errorf("subscribe: the broker grants %s with 0x%02x, want QoS 1", f, granted)
		}
	}
	return nil
}

// wait waits for a token of the library.
func wait(ctx context.Context, t paho.Token, most time.Duration) error {
	timeout := time.NewTimer(most)
	defer timeout.Stop()
	select {
	case <-t.Done():
		return t.Error()
	case <-ctx.Done():
		return ctx.Err()
	case <-timeout.C:
		return errors.New("no answer from the broker")
	}
}

// receive takes a message from the library, whose reader it must not hold up:
// it would miss the answers to its pings. It is put behind those of its device.
func (l *link) receive(m paho.Message) {
	device := ""
	if rest, ok := strings.CutPrefix(m.Topic(), topicRoot); ok {
		device, _, _ = strings.Cut(rest, "/")
	}
	msg := collector.Message{Device: device, Topic: m.Topic(), Payload: m.Payload(), Dup: m.Duplicate()}
	msg.Ack = func(err error) { l.outcome(m, err) }
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return
	}
	if l.unacked++; l.unacked > l.c.o.MaxUnacked {
		l.cancel(fmt.Errorf("more than %d unacknowledged messages; limit those in flight at the broker", l.c.o.MaxUnacked))
		return
	}
	queue, running := l.waiting[device]
	l.waiting[device] = append(queue, msg)
	if !running {
		l.work.Go(func() { l.handOver(device) })
	}
}

// handOver gives a device's messages to the collector until there are none. Each
// device has its own, so that one that is slow holds up no other.
func (l *link) handOver(device string) {
	for {
		l.mu.Lock()
		queue := l.waiting[device]
		if len(queue) == 0 || l.ctx.Err() != nil {
			delete(l.waiting, device)
			l.mu.Unlock()
			return
		}
		l.waiting[device] = queue[1:]
		l.mu.Unlock()
		if err := l.c.intake.Take(l.ctx, queue[0]); err != nil {
			l.cancel(err)
		}
	}
}

// outcome acknowledges to the broker, or has the message come again. The library
// may wait for its network while it takes an acknowledgement, which the
// collector must not.
func (l *link) outcome(m paho.Message, err error) {
	if !collector.DealtWith(err) {
		l.cancel(fmt.Errorf("a message of %s is not durable: %w", m.Topic(), err))
		return
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unacked--
	l.worked = true
	if !l.closed {
		l.acks.Go(m.Ack)
	}
}

// PublishWarning implements Publisher.
func (c *Client) PublishWarning(ctx context.Context, area, episode string, payload []byte, retain bool) error {
	if err := checkWarning(area, episode); err != nil {
		return err
	}
	return c.publish(ctx, WarningTopic(area, episode), retain, payload)
}

// SendCommand implements Publisher. An external broker does not tell whether the
// device is there.
func (c *Client) SendCommand(ctx context.Context, device string, payload []byte) error {
	if !validName(device) {
		return quantrac.Errorf(quantrac.Invalid, "device %q cannot be a level of a topic", device)
	}
	return c.publish(ctx, CommandTopic(device), false, payload)
}

func (c *Client) publish(ctx context.Context, topic string, retain bool, payload []byte) error {
	c.mu.Lock()
	l := c.link
	c.mu.Unlock()
	if l == nil {
		return quantrac.Errorf(quantrac.Unavailable, "publish %s: no connection to the broker %s", topic, c.o.URL)
	}
	if err := wait(ctx, l.paho.Publish(topic, 1, retain, payload), c.o.ConnectTimeout); err != nil {
		return quantrac.WithKind(quantrac.Unavailable, fmt.Errorf("publish %s: %w", topic, err))
	}
	return nil
}
