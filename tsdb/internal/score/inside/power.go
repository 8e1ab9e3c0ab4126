package inside

import (
	"context"
	"errors"
	"fmt"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
	"quantrac/tsdb/internal/score/load"
)

// Losses are what power failures cost.
type Losses struct {
	Failures int
	Acked    int // values acknowledged in all
	Lost     int // of those, not there afterwards or not as they were
}

// Power writes a network's readings and lets the power fail again and again:
// everything that was not synced is gone, or got out in part. After each failure
// the store is opened on what is left, and every value that was acknowledged is
// looked for.
func Power(ctx context.Context, n load.Network, everyBatches, lines int) (out Losses, err error) {
	p := &plant{clock: quantrac.NewManualClock(quantrac.FloorMillis(n.Until)), mem: vfs.NewMem(), acked: map[string]map[quantrac.Millis]float64{}}
	if p.e, err = open(p.mem, p.clock); err != nil {
		return out, err
	}
	// After a failure p.e is another engine.
	defer func() { err = errors.Join(err, p.e.Close()) }()
	i := 0
	for batch := range n.Batches(lines) {
		if err := p.write(ctx, batch); err != nil {
			return out, err
		}
		out.Acked += batch.Values
		if i++; i%everyBatches != 0 {
			continue
		}
		out.Failures++
		if err := p.fail(uint64(out.Failures)); err != nil {
			return out, fmt.Errorf("power failure %d: %w", out.Failures, err)
		}
		lost, err := p.lost(ctx)
		if err != nil {
			return out, err
		}
		out.Lost += lost
	}
	return out, nil
}

// plant is a store whose power fails, and what it has acknowledged.
type plant struct {
	e     *engine
	mem   *vfs.Mem
	clock *quantrac.ManualClock
	acked map[string]map[quantrac.Millis]float64 // by key of the series
	n     int
}

// write appends a batch and remembers it; every third time the store is flushed
// and every tenth merged.
func (p *plant) write(ctx context.Context, batch load.Batch) error {
	var b quantrac.Batch
	for l, err := range load.Parse(batch.Lines) {
		if err != nil {
			return err
		}
		b.Rows = append(b.Rows, row(&l))
	}
	if _, err := p.e.Append(ctx, &b); err != nil {
		return err
	}
	for _, r := range b.Rows {
		p.remember(r)
	}
	var err error
	if p.n++; p.n%3 == 0 {
		err = p.e.Flush(ctx)
	}
	if p.n%10 == 0 {
		err = errors.Join(err, p.e.Compact(ctx))
	}
	return err
}

func (p *plant) remember(r quantrac.Row) {
	for _, c := range r.Cells {
		key := r.Group.With(quantrac.LabelMetric, c.Property).Key()
		if p.acked[key] == nil {
			p.acked[key] = map[quantrac.Millis]float64{}
		}
		p.acked[key][r.Time] = c.Value
	}
}

// fail takes the power away and opens what is left.
func (p *plant) fail(seed uint64) error {
	old := p.e
	p.mem = p.mem.Crash(seed)
	e, err := open(p.mem, p.clock)
	if err != nil {
		return err
	}
	p.e = e
	return old.Close() // of the world before; it changes nothing of this one
}

// lost counts the acknowledged values that are not there.
func (p *plant) lost(ctx context.Context) (int, error) {
	lost := 0
	for _, want := range p.acked {
		lost += len(want)
	}
	q := tsdb.Query{Matchers: []*quantrac.Matcher{quantrac.Equals("absent", "")}, From: quantrac.MinMillis, To: quantrac.MaxMillis}
	for s, err := range p.e.Select(ctx, q) {
		if err != nil {
			return 0, err
		}
		want := p.acked[s.Labels.Key()]
		for i, at := range s.Times {
			if v, ok := want[at]; ok && quantrac.SameValue(v, s.Values[i]) {
				lost--
			}
		}
	}
	return lost, nil
}
