package score

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"quantrac/tsdb/internal/score/load"
	"quantrac/tsdb/internal/score/proc"
	"quantrac/tsdb/internal/score/store"
)

// Figures of what is taken in. conns is how many connections there were.
func figCPU(load string, conns int) string {
	return fmt.Sprintf("%s: CPU to the last acknowledgement, %d connections", load, conns)
}

func figSettledCPU(load string) string { return load + ": CPU until flushed and merged" }
func figPeak(load string) string       { return load + ": peak memory during the load" }
func figBytes(load string) string      { return load + ": bytes on disk, merged" }

// fed is what a store took for a load.
type fed struct {
	wall    time.Duration
	before  proc.Usage
	after   proc.Usage
	values  int
	retried int
}

// cpu is seconds of processor time per million values.
func (f fed) cpu() float64 { return perMillion(f.after.CPU-f.before.CPU, f.values) }

func perMillion(d time.Duration, values int) float64 { return d.Seconds() * 1e6 / float64(values) }

// feed sends a whole load over several connections.
func (b *Bench) feed(s *store.Server, f *load.File, conns int) (out fed, err error) {
	if out.before, err = s.Usage(); err != nil {
		return out, err
	}
	start := time.Now()
	if out.retried, err = send(b.ctx, s, f, conns, func(int) {}); err != nil {
		return out, err
	}
	out.wall, out.values = time.Since(start), f.Values
	out.after, err = s.Usage()
	b.say("%s took %d values over %d connections in %.1f s: %.2f M/s, %.3f CPU-s per million, %d MB, busy %d times",
		s.Name, out.values, conns, out.wall.Seconds(), float64(out.values)/1e6/out.wall.Seconds(), out.cpu(), out.after.PeakRSS>>20, out.retried)
	return out, err
}

// send posts the batches of a load in order, over so many connections, and tells
// each that is acknowledged. It ends at the first error.
func send(ctx context.Context, s *store.Server, f *load.File, conns int, acked func(batch int)) (retried int, err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	var next atomic.Int64
	var wg sync.WaitGroup
	errs, busy := make([]error, conns), make([]int, conns)
	for c := range conns {
		wg.Go(func() {
			w := s.Writer()
			defer w.Close()
			defer func() { busy[c] = w.Retried }()
			if errs[c] = sendFrom(ctx, w, f, &next, acked); errs[c] != nil {
				cancel()
			}
		})
	}
	wg.Wait()
	for _, n := range busy {
		retried += n
	}
	return retried, errors.Join(errs...)
}

func sendFrom(ctx context.Context, w *store.Writer, f *load.File, next *atomic.Int64, acked func(int)) (err error) {
	var buf []byte
	for {
		i := int(next.Add(1)) - 1
		if i >= f.Batches() {
			return nil
		}
		if buf, _, err = f.Batch(i, buf); err != nil {
			return err
		}
		if err := w.Write(ctx, buf); err != nil {
			return err
		}
		acked(i)
	}
}

// note takes down the figures of a load.
func (b *Bench) note(s *store.Server, name string, conns int, r fed) {
	b.Figures.Set(figCPU(name, conns), "CPU-s/M", s.Name, r.cpu())
	b.Figures.Set(fmt.Sprintf("%s: wall time, %d connections", name, conns), "s/M", s.Name, perMillion(r.wall, r.values))
	if conns > 1 {
		b.Figures.Set(figPeak(name), "MB", s.Name, float64(r.after.PeakRSS)/1e6)
	}
}

// settle has the store merge, and weighs it.
func (b *Bench) settle(s *store.Server, name string, r fed) error {
	start := time.Now()
	if err := s.Settle(); err != nil {
		return err
	}
	u, err := s.Usage()
	if err != nil {
		return err
	}
	b.Figures.Set(figSettledCPU(name), "CPU-s/M", s.Name, perMillion(u.CPU-r.before.CPU, r.values))
	sz, err := s.Sizes()
	if err != nil {
		return err
	}
	b.weigh(s.Name, name, sz, r.values)
	b.say("%s merged in %.1f s: %.3f bytes a value", s.Name, time.Since(start).Seconds(), float64(sz.Total())/float64(r.values))
	return nil
}

func (b *Bench) weigh(who, name string, sz store.Sizes, values int) {
	b.Figures.Set(figBytes(name), "B/value", who, float64(sz.Total())/float64(values))
	for _, p := range sz.Parts {
		b.Figures.Set(figBytes(name)+", "+p.Name, "B/value", who, float64(p.Bytes)/float64(values))
	}
}

// take runs a store on a load: fed over four connections, merged and weighed,
// then used by do.
func (b *Bench) take(k *store.Kind, name string, f *load.File, do func(s *store.Server) error) {
	b.with(k, name, func(s *store.Server) error {
		r, err := b.feed(s, f, 4)
		if err != nil {
			return err
		}
		b.note(s, name, 4, r)
		if err := b.settle(s, name, r); err != nil || do == nil {
			return err
		}
		if err := s.Resume(); err != nil {
			return err
		}
		return do(s)
	})
}
