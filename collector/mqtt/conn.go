package mqtt

import (
	"bufio"
	"context"
	"errors"
	"log/slog"
	"net"
	"os"
	"strings"
	"sync"
	"time"

	"quantrac/collector/mqtt/packet"
	"quantrac/internal/turnstile"
)

// conn is one connection of a client: a goroutine that reads, one that writes.
// Nobody but the writer writes to the network, so that a client that does not
// read holds up nobody but itself.
type conn struct {
	b      *Broker
	nc     net.Conn
	br     *bufio.Reader
	ctx    context.Context // ends with the connection
	cancel context.CancelCauseFunc

	// Set by the CONNECT, before the writer starts.
	version   byte
	keepAlive time.Duration // 0: none
	access    access
	who       string // in logs
	session   *session
	sendMax   int // messages in flight to the client
	maxPacket int // that the client takes, 0: any
	reasons   bool

	wake  chan struct{} // there is something to write
	rate  rate          // of the reader
	topic string        // the reader's last, not to be copied again

	mu        sync.Mutex
	out       []byte        // answers to write
	answers   []*answer     // of messages, in the order in which they came
	inFlight  int           // messages with the collector
	inBytes   int           // bytes of their payloads
	room      chan struct{} // closed, and replaced, when one of them is done
	failed    bool          // a message was not durable: nothing is taken any more
	will      *message
	willDelay time.Duration
}

var (
	errShuttingDown = &packet.Error{Reason: packet.ServerShuttingDown, Text: "the broker is shutting down"}
	errTakenOver    = &packet.Error{Reason: packet.SessionTakenOver, Text: "another connection has taken over the session"}
	errBusy         = &packet.Error{Reason: packet.ServerBusy, Text: "a message could not be made durable"}
	errGoodbye      = errors.New("client said goodbye")
)

func newConn(b *Broker, nc net.Conn) *conn {
	c := &conn{
		b: b, nc: nc, br: bufio.NewReaderSize(nc, 4096),
		wake: make(chan struct{}, 1), room: make(chan struct{}),
		rate: newRate(b.o.MessagesPerSec),
	}
	c.ctx, c.cancel = context.WithCancelCause(b.ctx)
	return c
}

// run serves the connection from its CONNECT to its end.
func (c *conn) run() {
	defer c.nc.Close()
	// The end of the connection, for whatever reason, wakes a read or a write that
	// waits. Whoever sets a deadline looks at the context after it.
	stop := context.AfterFunc(c.ctx, func() {
		c.nc.SetReadDeadline(time.Unix(1, 0))
		c.nc.SetWriteDeadline(time.Now().Add(farewellTime))
	})
	defer stop()
	if err := c.connect(); err != nil {
		c.b.metrics.refusedConns.Inc()
		c.b.seldom(&c.b.refusals, slog.LevelInfo, "mqtt: connection refused", "client", c.nc.RemoteAddr(), "error", err)
		return
	}
	defer turnstile.Serving(c.nc)()
	c.b.metrics.connections.Inc()
	defer c.b.metrics.connections.Dec()
	c.b.o.Logger.Debug("mqtt: connected", "client", c.who)
	var writer sync.WaitGroup
	writer.Go(c.write)
	c.end(c.read())
	writer.Wait()
	c.b.disconnected(c)
	cause := context.Cause(c.ctx)
	if !brokeOff(cause) {
		c.b.o.Logger.Debug("mqtt: disconnected", "client", c.who, "cause", cause)
		return
	}
	c.b.metrics.brokenOff.Inc() // a client that sends the same again never gets further
	c.b.seldom(&c.b.breaks, slog.LevelWarn, "mqtt: disconnected", "client", c.who, "cause", cause)
}

// brokeOff says whether a connection was ended for what the client sent.
func brokeOff(cause error) bool {
	var e *packet.Error
	if !errors.As(cause, &e) {
		return false
	}
	switch e.Reason {
	case packet.ServerShuttingDown, packet.ServerBusy, packet.SessionTakenOver, packet.KeepAliveTimeout:
		return false
	}
	return true
}

// end ends the connection for a reason; the first one counts.
func (c *conn) end(cause error) { c.cancel(cause) }

// farewellTime is how long the end of a connection waits for a client to take
// what is left to say.
const farewellTime = time.Second

// poke wakes the writer.
func (c *conn) poke() {
	select {
	case c.wake <- struct{}{}:
	default:
	}
}

// maxAnswers bounds the answers that wait for a client that does not read.
const maxAnswers = 1 << 20

// send queues the bytes of an answer.
func (c *conn) send(add func(dst []byte) []byte) {
	c.mu.Lock()
	c.out = add(c.out)
	full := len(c.out) > maxAnswers
	c.mu.Unlock()
	if full {
		c.end(&packet.Error{Reason: packet.QuotaExceeded, Text: "the client does not read its answers"})
	}
	c.poke()
}

// write writes what is to be written until the connection ends, and then what
// is left, with the reason for clients of MQTT 5.
func (c *conn) write() {
	var buf []byte
	for {
		select {
		case <-c.wake:
		case <-c.ctx.Done():
			c.farewell()
			return
		}
		for {
			buf = c.takeOut(buf[:0])
			buf = c.session.next(buf, c, time.Now())
			if len(buf) == 0 {
				break
			}
			c.nc.SetWriteDeadline(time.Now().Add(c.b.o.WriteTimeout))
			if c.ctx.Err() != nil {
				c.nc.SetWriteDeadline(time.Now().Add(farewellTime))
			}
			if _, err := c.nc.Write(buf); err != nil {
				c.end(err)
				return
			}
		}
	}
}

func (c *conn) takeOut(dst []byte) []byte {
	c.mu.Lock()
	defer c.mu.Unlock()
	dst = append(dst, c.out...)
	c.out = c.out[:0]
	return dst
}

// farewell writes the last answers and the reason of the end, as far as that
// goes without waiting for the client.
func (c *conn) farewell() {
	buf := c.takeOut(nil)
	var e *packet.Error
	if errors.As(context.Cause(c.ctx), &e) && c.version == packet.V5 {
		d := packet.Disconnect{Reason: e.Reason, Props: c.reason(e.Text)}
		buf = d.Append(buf, c.version)
	}
	if len(buf) > 0 {
		c.nc.SetWriteDeadline(time.Now().Add(farewellTime))
		_, _ = c.nc.Write(buf) // the client may be gone; the connection ends either way
	}
}

// reason is a reason string, for a client that wants to hear it.
func (c *conn) reason(text string) packet.Props {
	const most = 200
	if !c.reasons || text == "" || c.maxPacket > 0 && c.maxPacket < 2*most {
		return nil
	}
	if len(text) > most {
		text = strings.ToValidUTF8(text[:most], "") // a character cut in two goes
	}
	return packet.Props{{ID: packet.ReasonString, Text: text}}
}

// read handles packets until the connection ends; it returns why.
func (c *conn) read() error {
	for {
		err := c.listen()
		if err == nil {
			err = c.next()
		}
		if err == nil {
			continue
		}
		if c.ctx.Err() != nil {
			return context.Cause(c.ctx)
		}
		if errors.Is(err, os.ErrDeadlineExceeded) {
			return &packet.Error{Reason: packet.KeepAliveTimeout, Text: "nothing heard for one and a half times the keep alive"}
		}
		return err
	}
}

// listen gives the client its time to send something. What its silence is judged
// by begins when we listen: while the reader waits for room it is not the client
// who is silent.
func (c *conn) listen() error {
	if c.keepAlive > 0 {
		c.nc.SetReadDeadline(time.Now().Add(c.keepAlive + c.keepAlive/2))
	}
	if c.ctx.Err() != nil {
		return context.Cause(c.ctx)
	}
	return nil
}

// next reads a packet and handles it.
func (c *conn) next() error {
	raw, size, err := packet.ReadHeader(c.br)
	if err != nil {
		return err
	}
	if size > c.b.o.MaxPacketBytes {
		return c.large(raw, size)
	}
	if err := raw.ReadBody(c.br, size); err != nil {
		return err
	}
	return c.handle(raw)
}

// handle takes one packet.
func (c *conn) handle(raw packet.Raw) error {
	switch raw.Type() {
	case packet.PUBLISH:
		p, err := packet.DecodePublish(raw, c.version, c.topic)
		if err != nil {
			return err
		}
		return c.publish(&p, nil)
	case packet.PUBACK:
		p, err := packet.DecodeAck(raw, c.version)
		if err == nil {
			c.session.acked(p.ID)
		}
		return err
	case packet.PUBREL:
		p, err := packet.DecodeAck(raw, c.version)
		if err == nil {
			c.send(func(dst []byte) []byte {
				return (&packet.Ack{Type: packet.PUBCOMP, ID: p.ID}).Append(dst, c.version)
			})
		}
		return err
	case packet.SUBSCRIBE:
		p, err := packet.DecodeSubscribe(raw.Body, c.version)
		if err != nil {
			return err
		}
		return c.b.subscribe(c, &p)
	case packet.UNSUBSCRIBE:
		p, err := packet.DecodeUnsubscribe(raw.Body, c.version)
		if err == nil {
			c.b.unsubscribe(c, &p)
		}
		return err
	case packet.PINGREQ:
		c.send(func(dst []byte) []byte { return packet.AppendPing(dst, packet.PINGRESP) })
		return nil
	case packet.DISCONNECT:
		return c.disconnect(raw)
	}
	return &packet.Error{Reason: packet.ProtocolError, Text: "unexpected packet"}
}

// disconnect takes a DISCONNECT: the client goes in good order, and its will is
// dropped unless it asks for it.
func (c *conn) disconnect(raw packet.Raw) error {
	p, err := packet.DecodeDisconnect(raw.Body, c.version)
	if err != nil {
		return err
	}
	if p.Reason != packet.DisconnectWithWill {
		c.takeWill()
	}
	if seconds, ok := p.Props.Num(packet.SessionExpiry); ok {
		if err := c.b.shorten(c.session, c, seconds); err != nil {
			return err
		}
	}
	return errGoodbye
}

// takeWill returns the will, once.
func (c *conn) takeWill() (*message, time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	w := c.will
	c.will = nil
	return w, c.willDelay
}

// tooLarge says whether the client would not take the message.
func (c *conn) tooLarge(o *outgoing) bool {
	return c.maxPacket > 0 && len(o.topic)+len(o.payload)+64 > c.maxPacket
}

// appendPublish writes a message for the client.
func (c *conn) appendPublish(dst []byte, o *outgoing, dup bool, now time.Time) []byte {
	p := packet.Publish{Topic: o.topic, Payload: o.payload, QoS: o.qos, ID: o.id, Dup: dup && o.qos > 0, Retain: o.retain}
	if c.version == packet.V5 {
		p.Props = o.props
		if !o.expires.IsZero() {
			left := max(1, int64(o.expires.Sub(now)/time.Second))
			p.Props = append(packet.Props{{ID: packet.MessageExpiry, Num: uint32(left)}}, o.props...)
		}
	}
	c.b.metrics.sent.Inc()
	return p.Append(dst, c.version)
}
