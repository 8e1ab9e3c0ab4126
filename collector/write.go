package collector

import (
	"context"
	"slices"

	"quantrac"
	"quantrac/collector/decode"
)

// lines decodes line protocol with what was learned of earlier payloads.
func (c *Collector) lines(out *decode.Result, payload []byte, p decode.Precision, received quantrac.Millis) error {
	m := c.memo()
	err := m.Lines(out, payload, p, received, c.o.Limits)
	select {
	case c.memos <- m:
	default: // there are enough
	}
	return err
}

// memo returns a memo for one payload. Idle ones stay, as what they know is worth
// more than their memory.
func (c *Collector) memo() *decode.Memo {
	select {
	case m := <-c.memos:
		return m
	default:
		return new(decode.Memo)
	}
}

// Writing is line protocol of a request whose sender waits for the answer.
type Writing struct {
	// Device is the device that the sender has shown to be, "" where it is none:
	// then tags become labels as they are, and the principal in the context
	// limits the stations. What a registered station measures is judged by its
	// limits as a device's reading is, but for the tests that need the readings
	// before it; of anything else the quality stays not evaluated.
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
	done, err := c.writeOpen(ctx, m, w)
	c.keep(m)
	return done, err
}

// written counts lines. Every line is a row, a bad line, or text only.
func written(lines []byte, out *decode.Result, got *bound, good int) Written {
	faults := slices.Concat(got.faults, got.held)
	slices.SortStableFunc(faults, func(a, b decode.Fault) int { return a.Row - b.Row })
	decode.Quote(faults, lines)
	return Written{Good: good, Bad: out.Faulty + len(out.Rows) - good + got.part, Faults: faults, Strings: out.Strings}
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
	done := written(w.Lines, &out, &got, got.good)
	if done.Rejected = w.Whole && done.Bad > 0; done.Rejected {
		return done, nil
	}
	if err := in.commit(); err != nil {
		return Written{}, err
	}
	done.Receipt = in.receipt
	return done, nil
}
