package collector

import (
	"context"
	"slices"

	"quantrac"
	"quantrac/collector/decode"
)

// Writing is line protocol of a request whose sender waits for the answer.
type Writing struct {
	// Device is the device that the sender has shown to be, "" where it is none:
	// then tags become labels as they are, quality stays not evaluated, and the
	// principal in the context limits the stations.
	Device    string
	Lines     []byte
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
	now := c.clock.Now()
	out, err := decode.Lines(w.Lines, w.Precision, now, c.o.Limits)
	if err != nil {
		return Written{}, err
	}
	b := quantrac.Batch{Kind: quantrac.Readings}
	who := quantrac.PrincipalFrom(ctx)
	var got bound
	got.faults, got.more = out.Faults, out.MoreFaults
	for i := range out.Rows {
		r := &out.Rows[i]
		if st := r.Tags.Station(); who.Stations != nil && !slices.Contains(who.Stations, st) {
			got.fault(r.Index, "", "station %q is not among those that %q may write", st, who.Name)
			continue
		}
		b.Rows = append(b.Rows, quantrac.Row{Group: r.Tags, Time: r.Time, Received: now, Cells: r.Cells})
	}
	done := written(&out, &got, len(b.Rows))
	if done.Rejected = w.Whole && done.Bad > 0; done.Rejected || len(b.Rows) == 0 {
		return done, nil
	}
	// The sender may hang up; what it was about to be told stays true.
	done.Receipt, err = c.store.Append(context.WithoutCancel(ctx), &b)
	if err != nil {
		return Written{}, err
	}
	in := intake{s: &session{c: c}, batch: b, strings: out.Strings, receipt: done.Receipt}
	in.count()
	return done, nil
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
	out, err := decode.Lines(w.Lines, w.Precision, in.now, c.o.Limits)
	if err != nil {
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
