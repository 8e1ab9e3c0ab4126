package collector

import (
	"context"
	"fmt"
	"math"
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
	received, key := in.s.stamp(m)
	var out decode.Result
	var err error
	switch rest {
	case "obs":
		out, err = decode.JSON(m.Payload, received, in.s.c.o.Limits)
	case "line":
		out, err = decode.Lines(m.Payload, decode.Nanoseconds, received, in.s.c.o.Limits)
	default:
		return in.refuse(m, quantrac.Invalid, "nothing reads topic %q; a device publishes to v1/%s/obs (JSON) or v1/%s/line (line protocol)", m.Topic, m.Device, m.Device)
	}
	if err != nil {
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

// refuse writes the dead letter of a message that is not taken in at all.
func (in *intake) refuse(m *Message, kind quantrac.ErrorKind, format string, args ...any) error {
	err := quantrac.Errorf(kind, format, args...)
	in.letters = append(in.letters, DeadLetter{
		Kind: LetterRefused, Device: m.Device, Source: m.Topic, Received: m.Received,
		Reason: err.Error(), Payload: m.Payload,
	})
	return err
}

// bound is what became of decoded rows of a device.
type bound struct {
	good   int            // rows that went into the batch
	part   int            // of those, rows that lost a value
	held   []decode.Fault // rows that went into quarantine, one fault each
	faults []decode.Fault // what was left out
	more   int            // faults beyond maxProblems
}

// maxProblems is how many problems a dead letter lists.
const maxProblems = 100

func (b *bound) fault(row int, field, format string, args ...any) {
	if len(b.faults) >= maxProblems {
		b.more++
		return
	}
	b.faults = append(b.faults, decode.Fault{Row: row, Field: field, Reason: fmt.Sprintf(format, args...)})
}

// rows binds decoded rows to the device's series and enters the good ones into
// the batch and those of impossible times into a dead letter.
func (in *intake) rows(b *quantrac.Binding, out *decode.Result, source string, received quantrac.Millis) bound {
	got := bound{faults: out.Faults, more: out.MoreFaults}
	letter := DeadLetter{Kind: LetterQuarantine, Device: in.s.device, Source: source, Received: received}
	for i := range out.Rows {
		r := &out.Rows[i]
		group, why := bind(b, r.Tags)
		if why != "" {
			got.fault(r.Index, "", "%s", why)
			continue
		}
		given := len(r.Cells)
		row := quantrac.Row{Group: group, Time: r.Time, Received: received, Cells: got.known(b, r)}
		if len(row.Cells) == 0 {
			continue
		}
		v := quantrac.CheckTime(r.Time, in.now, b.Installed)
		if v == quantrac.TimeBeforeStart || v == quantrac.TimeBootClock {
			letter.Reason = v.String()
			letter.Rows = append(letter.Rows, offered(row))
			got.held = append(got.held, decode.Fault{Row: r.Index, Field: "time", Reason: v.String() + ": kept in quarantine"})
			continue
		}
		in.batch.Rows = append(in.batch.Rows, row)
		in.ahead = append(in.ahead, v == quantrac.TimeAhead)
		got.good++
		if len(row.Cells) < given {
			got.part++
		}
	}
	if len(letter.Rows) > 0 {
		offer(letter.Rows, received)
		in.held += len(letter.Rows)
		in.letters = append(in.letters, letter)
	}
	return got
}

// known returns the cells whose property is registered for the device, all of an
// open one; the others become faults.
func (b *bound) known(to *quantrac.Binding, r *decode.Row) []quantrac.Cell {
	cells := r.Cells[:0]
	for _, c := range r.Cells {
		if _, ok := to.Properties[c.Property]; ok || to.Open {
			cells = append(cells, c)
			continue
		}
		b.fault(r.Index, c.Property, "no such property is registered for device %q", to.Device)
	}
	return cells
}

// bind returns the group of a row: the binding's labels and the tags that the
// payload adds. A tag may repeat what the binding says, not contradict it.
func bind(b *quantrac.Binding, tags quantrac.Labels) (quantrac.Labels, string) {
	if len(tags) == 0 {
		return b.Group, ""
	}
	group := b.Group
	for _, t := range tags {
		switch bound := b.Group.Get(t.Name); {
		case bound == "":
			group = group.With(t.Name, t.Value)
		case bound != t.Value:
			return nil, fmt.Sprintf("tag %s=%q contradicts the registry, which binds device %q to %s=%q", t.Name, t.Value, b.Device, t.Name, bound)
		}
	}
	if len(group) >= quantrac.MaxLabels {
		return nil, fmt.Sprintf("%d labels with those of the registry, at most %d are kept", len(group), quantrac.MaxLabels-1)
	}
	return group, ""
}

func offered(r quantrac.Row) OfferedRow {
	o := OfferedRow{Time: r.Time, Group: r.Group}
	for _, c := range r.Cells {
		oc := OfferedCell{Property: c.Property}
		if !math.IsNaN(c.Value) {
			v := c.Value
			oc.Value = &v
		}
		o.Cells = append(o.Cells, oc)
	}
	return o
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
