package collector

import (
	"context"
	"slices"

	"quantrac"
	"quantrac/collector/decode"
)

// lines decodes line protocol with what was learned of earlier payloads.
func (c *Collector) lines(out *decode.Result, payload []byte, p decode.Precision, received quantrac.Millis) error {
	m := c.memos.Get().(*decode.Memo)
	err := m.Lines(out, payload, p, received, c.o.Limits)
	c.memos.Put(m)
	return err
}

// Writing is line protocol of a request whose sender waits for the answer.
type Writing struct {
	// Device is the device that the sender has shown to be, "" where it is none:
	// then tags become labels as they are, quality stays not evaluated, and the
	// principal in the context limits the stations.
	Device    string
	Lines     []byte // not looked at any more when Write has returned
	Precision decode.Precision
	// Whole stores all lines or, where one is bad, none.
	Whole bool
}

// Written is what became of a Writing.
type Written struct {
	Good     int            // lines that are durable, at least in part
	Bad      int            // lines that are not, or not wholly; text fields do not count
	Faults   []decode.Fault // what was wrong with them, a line at a time as far as listed
	Strings  int            // text fields skipped
	Receipt  quantrac.Receipt
	Rejected bool // nothing was stored, because Whole was asked for and lines are bad
}

// Write stores line protocol as one commit and returns once it is durable. Bad
// lines are told in the answer and not kept as dead letters: the sender hears of
// them. Only rows that go to quarantine are; they count as bad. Errors: Invalid
// for a body that exceeds the limits, Denied for a device that may not send,
// the store's.
func (c *Collector) Write(ctx context.Context, w Writing) (Written, error) {
	if w.Device != "" {
		return c.writeDevice(w)
	}
	if err := c.begin(); err != nil {
		return Written{}, err
	}
	defer c.workers.Done()
	m := c.scratches.Get().(*scratch)
	done, err := m.open(ctx, c, w)
	c.keep(m)
	return done, err
}

// scratch is the memory of one request of an open client.
type scratch struct {
	out   decode.Result
	rows  []quantrac.Row
	cells int // of rows
}

// scratchBytes is how much memory of one request is kept for another.
const scratchBytes = 4 << 20

// keep keeps the memory for another request, unless this one was so large that
// others hardly need as much.
func (c *Collector) keep(m *scratch) {
	if m.out.Memory() <= scratchBytes {
		c.scratches.Put(m)
	}
}

// open stores the series of a client that is no device, as they come.
func (m *scratch) open(ctx context.Context, c *Collector, w Writing) (Written, error) {
	now := c.clock.Now()
	if err := c.lines(&m.out, w.Lines, w.Precision, now); err != nil {
		return Written{}, err
	}
	got := bound{faults: m.out.Faults, more: m.out.MoreFaults}
	b := quantrac.Batch{Kind: quantrac.Readings, Rows: m.permitted(quantrac.PrincipalFrom(ctx), &got, now)}
	done := written(&m.out, &got, len(b.Rows))
	if done.Rejected = w.Whole && done.Bad > 0; done.Rejected || len(b.Rows) == 0 {
		return done, nil
	}
	// The sender may hang up; what it was about to be told stays true.
	var err error
	done.Receipt, err = c.store.Append(context.WithoutCancel(ctx), &b)
	if err != nil {
		return Written{}, err
	}
	c.metrics.durable(len(b.Rows), [...]int{quantrac.NotEvaluated: m.cells, quantrac.Missing: 0}, &done.Receipt)
	c.metrics.strings.Add(float64(done.Strings))
	return done, nil
}

// permitted makes rows of the lines whose stations the principal may write.
func (m *scratch) permitted(who quantrac.Principal, got *bound, received quantrac.Millis) []quantrac.Row {
	only := make(map[string]bool, len(who.Stations))
	for _, st := range who.Stations {
		only[st] = true
	}
	m.rows, m.cells = m.rows[:0], 0
	for i := range m.out.Rows {
		r := &m.out.Rows[i]
		if who.Stations != nil && !only[r.Tags.Station()] {
			got.fault(r.Index, "", "station %q is not among those that %q may write", r.Tags.Station(), who.Name)
			continue
		}
		m.rows = append(m.rows, quantrac.Row{Group: r.Tags, Time: r.Time, Received: received, Cells: r.Cells})
		m.cells += len(r.Cells)
	}
	return m.rows
}

// written counts lines. Every line is a row, a bad line, or text only.
func written(out *decode.Result, got *bound, good int) Written {
	bad := out.Faulty + len(out.Rows) - good + got.part
	faults := got.faults
	if len(got.held) > 0 {
		faults = append(slices.Clip(faults), got.held...)
		slices.SortStableFunc(faults, func(a, b decode.Fault) int { return a.Row - b.Row })
	}
	return Written{Good: good, Bad: bad, Faults: faults, Strings: out.Strings}
}

func (c *Collector) writeDevice(w Writing) (Written, error) {
	b, ok := c.registry.Binding(w.Device)
	if !ok || b.Disabled {
		return Written{}, quantrac.Errorf(quantrac.Denied, "device %q is not registered, or disabled", w.Device)
	}
	if err := c.begin(); err != nil {
		return Written{}, err
	}
	defer c.workers.Done()
	s, err := c.acquire(w.Device)
	if err != nil {
		return Written{}, err
	}
	defer c.release(s)
	s.work.Lock()
	defer s.work.Unlock()
	in := s.newIntake()
	var out decode.Result
	if err := c.lines(&out, w.Lines, w.Precision, in.now); err != nil {
		return Written{}, err
	}
	in.strings = out.Strings
	got := in.rows(b, &out, "influx", in.now)
	done := written(&out, &got, got.good)
	if done.Rejected = w.Whole && done.Bad > 0; done.Rejected {
		return done, nil
	}
	if err := in.commit(); err != nil {
		return Written{}, err
	}
	done.Receipt = in.receipt
	return done, nil
}
