package score

import (
	"fmt"
	"io"
	"math"
	"text/tabwriter"

	"quantrac/tsdb/internal/score/load"
	"quantrac/tsdb/internal/score/store"
)

// cost is what one store needs for so many series and values.
type cost struct {
	cpu     float64 // CPU-s per million values, to the last acknowledgement
	settled float64 // until merged
	memory  float64 // bytes per series, at the peak
	disk    float64 // bytes per value
	latest  float64 // ms, the latest of all stations
	err     error
}

// Growth prints how cost grows: ten thousand series to the most, by a million
// values to the most, in steps of ten times.
func (b *Bench) Growth(w io.Writer, mostSeries, mostValues int) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "series\tvalues\tstore\tCPU-s/M\tCPU-s/M merged\tB of memory a series\tB/value\tlatest of all, ms")
	for series := 10_000; series <= mostSeries; series *= 10 {
		for values := max(series, 1_000_000); values <= mostValues; values *= 10 {
			if err := b.grow(t, series, values); err != nil {
				return err
			}
		}
	}
	return t.Flush()
}

func (b *Bench) grow(w io.Writer, series, values int) error {
	n := load.Province(series/5, int(math.Ceil(float64(values)/float64(series))))
	f, err := b.file(n)
	if err != nil {
		return err
	}
	defer f.Close()
	for _, k := range b.among(store.Victoria) {
		c := b.cost(k, n, f)
		if c.memory > 0 { // it took the load
			fmt.Fprintf(w, "%d\t%d\t%s\t%s\t%s\t%s\t%s\t%s\n",
				n.Series(), f.Values, k.Name, number(c.cpu), number(c.settled), number(c.memory), number(c.disk), number(c.latest))
		}
		if c.err != nil { // what was measured before is worth having
			fmt.Fprintf(w, "%d\t%d\t%s\t%v\n", n.Series(), f.Values, k.Name, c.err)
		}
	}
	return b.ctx.Err()
}

// cost runs one store on one load.
func (b *Bench) cost(k *store.Kind, n load.Network, f *load.File) (c cost) {
	s, err := k.Start(b.ctx, b.Temp)
	if err != nil {
		return cost{err: err}
	}
	defer func() {
		if err := s.Remove(); c.err == nil {
			c.err = err
		}
	}()
	r, err := b.feed(s, f, 4)
	if err != nil {
		return cost{err: err}
	}
	c.cpu, c.memory = r.cpu(), float64(r.after.PeakRSS)/float64(n.Series())
	c.err = b.settleCost(s, n, r, &c)
	return c
}

// settleCost merges, weighs and asks for the latest of all.
func (b *Bench) settleCost(s *store.Server, n load.Network, r fed, c *cost) error {
	if err := s.Settle(); err != nil {
		return err
	}
	u, err := s.Usage()
	if err != nil {
		return err
	}
	c.settled = perMillion(u.CPU-r.before.CPU, r.values)
	sz, err := s.Sizes()
	if err != nil {
		return err
	}
	c.disk = float64(sz.Total()) / float64(r.values)
	if err := s.Resume(); err != nil {
		return err
	}
	q := questions(n)[latestOfAll].Question
	q.Uncached = true
	t, err := b.ask(s, q, b.Scale.Queries)
	c.latest = ms(t.p50)
	return err
}
