package inside

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb/internal/score/load"
)

// Bytes are what a load takes on disk.
type Bytes struct {
	Values int
	Plain  Weight // values and times alone, many rows to a commit
	Rich   Weight // every row a commit of its own, with all that belongs to it
}

// OnTop is what comes on top of values and times, per value.
func (b Bytes) OnTop() float64 { return b.each(b.Rich.Total - b.Plain.Total) }

// Part is a share of what comes on top.
type Part struct {
	Name string
	Each float64 // bytes per value
}

// Parts divides what comes on top: revisions are rows more, and so values and
// times.
func (b Bytes) Parts() []Part {
	p, r := &b.Plain.Parts, &b.Rich.Parts
	return []Part{
		{"times of commits", b.each(b.Rich.Log - b.Plain.Log)},
		{"commits of rows", b.each(r.Commits + r.Clock - p.Commits - p.Clock)},
		{"received", b.each(r.Received - p.Received)},
		{"qualities", b.each(r.Qualities - p.Qualities)},
		{"layers", b.each(r.Kinds - p.Kinds)},
		{"revisions", b.each(r.Values + r.Times - p.Values - p.Times)},
	}
}

func (b Bytes) each(n int64) float64 { return float64(n) / float64(b.Values) }

// Messages weighs a network's readings twice: once plain, and once as a service
// gets them. Then every message of a station is a commit. A gateway receives it
// some seconds after its time, or when it comes if that is late, and writes that
// down in whole seconds; the centre commits it some hundred milliseconds later.
// Readings are good but for spells; people correct an hour here and there; and
// some messages are sent again, a few of them with another value.
func Messages(ctx context.Context, n load.Network) (out Bytes, err error) {
	if out.Plain, out.Values, err = plain(ctx, n); err != nil {
		return out, err
	}
	out.Rich, err = rich(ctx, n)
	return out, err
}

func plain(ctx context.Context, n load.Network) (w Weight, values int, err error) {
	clock := quantrac.NewManualClock(quantrac.FloorMillis(n.Until))
	e, err := open(vfs.NewMem(), clock)
	if err != nil {
		return w, 0, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	for batch := range n.Batches(5000) {
		b := quantrac.Batch{Kind: quantrac.Readings}
		for l, err := range load.Parse(batch.Lines) {
			if err != nil {
				return w, 0, err
			}
			b.Rows = append(b.Rows, row(&l))
		}
		values += batch.Values
		if _, err := e.Append(ctx, &b); err != nil {
			return w, 0, err
		}
	}
	w, err = e.merge(ctx)
	return w, values, err
}

func rich(ctx context.Context, n load.Network) (w Weight, err error) {
	clock := quantrac.NewManualClock(quantrac.FloorMillis(n.Start()))
	e, err := open(vfs.NewMem(), clock)
	if err != nil {
		return w, err
	}
	defer func() { err = errors.Join(err, e.Close()) }()
	if err := fill(ctx, e, clock, n); err != nil {
		return w, err
	}
	return e.merge(ctx)
}

// fill sends a network's readings message by message.
func fill(ctx context.Context, e *engine, clock *quantrac.ManualClock, n load.Network) error {
	c := &centre{engine: e, clock: clock, rnd: rand.New(rand.NewPCG(n.Seed, 8)), spells: map[string]int{}}
	for batch := range n.Batches(n.Stations) {
		for l, err := range load.Parse(batch.Lines) {
			if err == nil {
				err = c.arrive(ctx, row(&l))
			}
			if err != nil {
				return err
			}
		}
	}
	return c.commit(ctx)
}

// centre is where messages come in.
type centre struct {
	*engine
	clock  *quantrac.ManualClock
	rnd    *rand.Rand
	step   quantrac.Millis // the newest time so far
	came   []message       // in it
	spells map[string]int  // messages of bad quality that a station has still to send
	fixes  int
}

// message is a row and when the centre commits it.
type message struct {
	quantrac.Row
	at quantrac.Millis
}

// way is how long a station's messages take to its gateway at least: 1 to 11 s.
func way(station string) quantrac.Millis {
	h := fnv.New32a()
	_, _ = h.Write([]byte(station)) // it takes all
	return 1000 + quantrac.Millis(h.Sum32()%10_000)
}

// arrive takes a row in. Rows come in the order of arrival, so that one older
// than the newest is late and is received with it.
func (c *centre) arrive(ctx context.Context, r quantrac.Row) error {
	if r.Time > c.step+60_000 { // beyond jitter: the network's next time
		if err := c.commit(ctx); err != nil {
			return err
		}
		c.step = r.Time
	}
	at := max(r.Time, c.step) + way(r.Group.Station()) + quantrac.Millis(c.rnd.IntN(300)) // the air
	if c.rnd.IntN(4) == 0 {
		at += 1000 // at the second try
	}
	r.Received = at / 1000 * 1000
	c.judge(&r)
	c.came = append(c.came, message{r, at + 50 + quantrac.Millis(c.rnd.IntN(200))}) // the line, and what waits to be synced
	return nil
}

// judge gives a row its quality: spells of an hour are suspect, and now and then
// one reading fails.
func (c *centre) judge(r *quantrac.Row) {
	q, st := quantrac.Good, r.Group.Station()
	switch {
	case c.spells[st] > 0:
		c.spells[st]--
		q = quantrac.Suspect
	case c.rnd.IntN(1000) == 0:
		c.spells[st] = 6
	case c.rnd.IntN(1000) == 0:
		q = quantrac.Fail
	}
	for i := range r.Cells {
		r.Cells[i].Quality = q
	}
}

// commit appends what has come in since the last step, each row by itself in the
// order in which they came, and what was sent again or corrected.
func (c *centre) commit(ctx context.Context) error {
	slices.SortStableFunc(c.came, func(a, b message) int { return cmp.Compare(a.at, b.at) })
	for i := range c.came {
		r := &c.came[i].Row
		c.clock.Set(c.came[i].at)
		batches := []quantrac.Batch{{Rows: []quantrac.Row{*r}}}
		switch c.rnd.IntN(1000) {
		case 0, 1:
			batches = append(batches, c.revised(r))
		case 2:
			batches = append(batches, c.corrected(r))
		case 3, 4, 5, 6, 7, 8, 9, 10, 11, 12:
			batches = append(batches, batches[0])
		}
		for i := range batches {
			if _, err := c.Append(ctx, &batches[i]); err != nil {
				return err
			}
		}
	}
	c.came = c.came[:0]
	return nil
}

// revised is the row sent again with another value.
func (c *centre) revised(r *quantrac.Row) quantrac.Batch {
	again := *r
	again.Cells = slices.Clone(r.Cells)
	again.Cells[0].Value += 0.01
	return quantrac.Batch{Rows: []quantrac.Row{again}}
}

// corrected is a person's correction of the value.
func (c *centre) corrected(r *quantrac.Row) quantrac.Batch {
	c.fixes++
	fixed := quantrac.Row{Group: r.Group, Time: r.Time, Cells: []quantrac.Cell{{
		Property: r.Cells[0].Property, Value: r.Cells[0].Value + 0.05, Quality: quantrac.Good,
	}}}
	return quantrac.Batch{
		Kind: quantrac.Corrections, Author: "lan", Reason: "staff gauge read", Correction: fmt.Sprintf("fix-%d", c.fixes),
		Rows: []quantrac.Row{fixed},
	}
}
