package collector

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"quantrac"
	"quantrac/collector/decode"
)

// intake is what a batch is made of: the readings of one or more messages of
// one device, and the dead letters that go with them. It is made under
// session.work.
type intake struct {
	s       *session
	now     quantrac.Millis
	batch   quantrac.Batch
	letters []DeadLetter
	strings int
	held    int    // rows in quarantine
	ahead   []bool // of each row of batch: too far ahead for the memory of quality control
	receipt quantrac.Receipt
}

// take makes messages durable and acknowledges them in order. The error says
// that nothing is durable that was not before; the messages have been given it.
func (s *session) take(ms []Message) error {
	in := s.newIntake()
	outcomes := make([]error, len(ms))
	for i := range ms {
		outcomes[i] = in.message(&ms[i])
	}
	err := in.commit()
	if quantrac.KindOf(err) == quantrac.Invalid {
		// The store says that sending it again is no use. Whose fault it is
		// shows when each message stands alone.
		if len(ms) > 1 {
			return s.takeEach(ms)
		}
		in = s.newIntake()
		outcomes[0] = in.refuse(&ms[0], quantrac.Invalid, "the store refuses it: %v", err)
		err = in.commit()
	}
	if err != nil {
		s.c.metrics.withheld.Add(float64(len(ms)))
		s.c.o.Logger.Warn("collector: not durable, to be sent again", "device", s.device, "messages", len(ms), "error", err)
		acknowledge(ms, err)
		return err
	}
	for i := range ms {
		if outcomes[i] == nil {
			s.c.metrics.stored.Inc()
		} else {
			s.c.metrics.refused.Inc()
		}
		ms[i].Ack(outcomes[i])
	}
	return nil
}

func (s *session) takeEach(ms []Message) error {
	for i := range ms {
		if err := s.take(ms[i : i+1]); err != nil {
			acknowledge(ms[i+1:], err)
			return err
		}
	}
	return nil
}

func (s *session) newIntake() *intake {
	return &intake{s: s, now: s.c.clock.Now(), batch: quantrac.Batch{Kind: quantrac.Readings}}
}

// message takes in one message and returns what its Ack will be given once all
// is durable.
func (in *intake) message(m *Message) error {
	b, ok := in.s.c.registry.Binding(m.Device)
	switch {
	case !ok:
		return in.refuse(m, quantrac.Denied, "device %q is not registered", m.Device)
	case b.Disabled:
		return in.refuse(m, quantrac.Denied, "device %q is disabled", m.Device)
	}
	rest, ok := strings.CutPrefix(m.Topic, "v1/"+m.Device+"/")
	if !ok {
		return in.refuse(m, quantrac.Denied, "device %q may not publish to %q; its topics begin with v1/%s/", m.Device, m.Topic, m.Device)
	}
	if g := m.Beginning; g != nil {
		return in.refuse(m, quantrac.Invalid, "a payload of %d bytes; at most %d are taken in one message, with its topic: send it in parts", g.Of, g.Most)
	}
	received, key := in.s.stamp(m)
	out, err := in.decode(rest, m.Payload, received)
	switch {
	case err == errNobodyReads:
		return in.refuse(m, quantrac.Invalid, "nothing reads topic %q; a device publishes to v1/%s/obs (JSON) or v1/%s/line (line protocol)", m.Topic, m.Device, m.Device)
	case err != nil:
		return in.refuse(m, quantrac.Invalid, "%v", err)
	}
	in.strings += out.Strings
	for i := range out.Rows {
		if out.Rows[i].Stamped {
			in.s.stamps.put(key, received)
			break
		}
	}
	got := in.rows(b, &out, m.Topic, m.Received)
	if len(got.faults) == 0 {
		return nil
	}
	l := DeadLetter{Kind: LetterPartial, Device: m.Device, Source: m.Topic, Received: m.Received, Payload: m.Payload}
	l.list(got.faults, got.more)
	if got.good+len(got.held) == 0 {
		l.Kind, err = LetterRefused, quantrac.Errorf(quantrac.Invalid, "%s", l.Reason)
	}
	in.letters = append(in.letters, l)
	return err
}

var errNobodyReads = errors.New("nobody reads it")

// decode reads the payload of a topic that ends so.
func (in *intake) decode(topic string, payload []byte, received quantrac.Millis) (decode.Result, error) {
	switch topic {
	case "obs":
		return decode.JSON(payload, received, in.s.c.o.Limits)
	case "line":
		var out decode.Result
		err := in.s.c.lines(&out, payload, decode.Nanoseconds, received)
		return out, err
	}
	return decode.Result{}, errNobodyReads
}

// refuse writes the dead letter of a message that is not taken in at all.
func (in *intake) refuse(m *Message, kind quantrac.ErrorKind, format string, args ...any) error {
	err := quantrac.Errorf(kind, format, args...)
	l := DeadLetter{
		Kind: LetterRefused, Device: m.Device, Source: m.Topic, Received: m.Received,
		Reason: err.Error(), Payload: m.Payload,
	}
	if m.Beginning != nil {
		l.Problems = []string{l.Reason, fmt.Sprintf("payload cut here from %d to %d bytes", m.Beginning.Of, len(m.Payload))}
	}
	in.letters = append(in.letters, l)
	return err
}

// commit judges the batch, makes it and the letters durable, and only then
// remembers what quality control learned. The batch comes first: if the letters
// fail after it, the same message sent again changes nothing in the store.
func (in *intake) commit() error {
	c := in.s.c
	j := in.judge()
	ctx := context.Background() // who sent it may be gone; the answer still counts
	if len(in.batch.Rows) > 0 {
		began := time.Now()
		r, err := c.store.Append(ctx, &in.batch)
		if err != nil {
			return fmt.Errorf("store %d rows of device %q: %w", len(in.batch.Rows), in.s.device, err)
		}
		in.receipt = r
		c.metrics.commit.Observe(time.Since(began).Seconds())
		c.metrics.batch.Observe(float64(len(in.batch.Rows)))
	}
	if len(in.letters) > 0 {
		if err := c.dead.Put(ctx, in.letters...); err != nil {
			// Not Invalid, whatever the cause: the message must come again.
			return quantrac.WithKind(quantrac.Unavailable, fmt.Errorf("keep dead letters of device %q: %w", in.s.device, err))
		}
	}
	j.remember()
	in.count()
	return nil
}
