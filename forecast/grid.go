package forecast

import (
	"context"
	"fmt"
	"math"
	"time"

	"quantrac"
)

// column is a source on the grid.
type column struct {
	values   []float64
	readings int
	suspect  int
	newest   quantrac.Millis // valid time of the newest reading; 0 where none
}

// readColumn puts the readings of a source, as they were known, on the grid of
// rows from first to last: a row holds what lies in the step that ends with it,
// the newest reading (one that is not suspect where there is one), or the sum.
func (f *Forecaster) readColumn(ctx context.Context, src *Source, step time.Duration, first, last quantrac.Millis, known Known) (*column, error) {
	ms := quantrac.Millis(step.Milliseconds())
	n := 0
	if last >= first {
		n = int((last-first)/ms) + 1
	}
	c := &column{values: make([]float64, n)}
	for i := range c.values {
		c.values[i] = math.NaN()
	}
	if n == 0 {
		return c, nil
	}
	times, values, qualities, err := f.store.Read(ctx, src.labels(), first-ms+1, last, quantrac.Commit{Number: known.Commit, Time: known.Time})
	if err != nil {
		return nil, fmt.Errorf("reading %v: %w", src, err)
	}
	good := make([]bool, n) // the row holds a reading that is not suspect
	for i, t := range times {
		row := int((t - first + ms - 1) / ms)
		if row < 0 || row >= n || !qualities[i].Usable() || math.IsNaN(values[i]) {
			continue
		}
		c.readings++
		c.newest = max(c.newest, t)
		suspect := qualities[i] == quantrac.Suspect
		if suspect {
			c.suspect++
		}
		switch {
		case src.Sum:
			if math.IsNaN(c.values[row]) {
				c.values[row] = 0
			}
			c.values[row] += values[i]
		case !suspect || !good[row]:
			c.values[row] = values[i]
			good[row] = good[row] || !suspect
		}
	}
	return c, nil
}

// join describes an input from what its columns say: training rows, then the
// rows since.
func join(src Source, parts ...*column) Input {
	in := Input{Source: src}
	for _, c := range parts {
		in.Readings += c.readings
		in.Suspect += c.suspect
		in.Newest = max(in.Newest, c.newest)
		for _, v := range c.values {
			if math.IsNaN(v) {
				in.Gaps++
				in.GapsTail++
			} else {
				in.GapsTail = 0
			}
		}
	}
	in.StaleTail = !src.Sum && in.GapsTail > maxHold
	return in
}

// maxHold is how many steps the regression carries a level forward.
const maxHold = 2
