package collector

import (
	"context"
	"fmt"

	"quantrac"
	"quantrac/collector/qc"
)

// Imported is what became of rows that were kept elsewhere.
type Imported struct {
	Rows    int // durable
	Values  int // in them
	Receipt quantrac.Receipt
	Refused []Refusal // rows that were not stored, in their order
}

// Refusal is a row that was not stored.
type Refusal struct {
	Row    int // position among those given
	Reason string
}

// Import stores readings that somebody brings from elsewhere, as one commit, and
// returns once they are durable. The principal in the context limits the
// stations. A quality that the rows bring is kept; a value that was never
// evaluated is judged by the limits of its property, where one is registered.
// Dates are believed as far as they can be, those of clocks that were never set
// too: whoever brings history has looked at it. What is refused is told and kept
// nowhere. With whole, nothing is stored where anything is refused. Rows and
// their cells serve again afterwards. Nobody is warned of what was measured then
// (quantrac.Batch.History). Errors are the store's.
func (c *Collector) Import(ctx context.Context, rows []quantrac.Row, whole bool) (Imported, error) {
	if err := c.begin(); err != nil {
		return Imported{}, err
	}
	defer c.workers.Done()
	m := c.scratches.Get().(*scratch)
	defer c.keep(m)
	a := admission{c: c, m: m, who: quantrac.PrincipalFrom(ctx), now: c.clock.Now()}
	a.limitStations()
	var done Imported
	good := make([]quantrac.Row, 0, len(rows))
	for i := range rows {
		row := rows[i]
		if i == 0 || !sameLabels(row.Group, rows[i-1].Group) {
			a.resolve(row.Group)
		}
		row.Group = a.group
		why := a.barred
		if why == "" {
			why = a.undated(&row)
		}
		if why != "" {
			done.Refused = append(done.Refused, Refusal{i, why})
			continue
		}
		a.judgeUnjudged(&row)
		good = append(good, row)
		done.Values += len(row.Cells)
	}
	if len(good) == 0 || whole && len(done.Refused) > 0 {
		done.Values = 0
		return done, nil
	}
	var err error
	// The sender may hang up; what it was about to be told stays true.
	done.Receipt, err = c.store.Append(context.WithoutCancel(ctx), &quantrac.Batch{Kind: quantrac.Readings, History: true, Rows: good})
	if err != nil {
		return Imported{}, err
	}
	done.Rows = len(good)
	c.metrics.durable(done.Rows, a.values, &done.Receipt)
	c.metrics.flagged(&a.flags)
	return done, nil
}

// undated says why a row's times cannot be stored, "" where they can.
func (a *admission) undated(row *quantrac.Row) string {
	installed := quantrac.Millis(0)
	if a.at != nil {
		installed = a.at.Installed
	}
	v := quantrac.CheckTime(row.Time, a.now, installed)
	if v.Quarantine() && v != quantrac.TimeBootClock {
		return v.String()
	}
	if r := row.Received; r != 0 && (r < quantrac.EarliestReading || r > a.now.Add(quantrac.MaxKeptAhead)) {
		return fmt.Sprintf("received time %s lies before 1900 or more than a year ahead", r)
	}
	return ""
}

// judgeUnjudged gives a quality to the values that have none.
func (a *admission) judgeUnjudged(row *quantrac.Row) {
	var properties []*quantrac.Property
	if a.at != nil {
		properties = a.limits(row.Cells).properties
	}
	for i := range row.Cells {
		c := &row.Cells[i]
		if c.Quality == quantrac.NotEvaluated && properties != nil && properties[i] != nil {
			v := qc.Ranges(properties[i], c.Value)
			c.Quality = v.Quality
			v.Flagged.Count(&a.flags)
		}
		a.values[min(c.Quality, quantrac.Missing)]++
	}
}
