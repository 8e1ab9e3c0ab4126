package tsdb

import "quantrac"

// A series takes memory as long as there are rows of it. Who sends ever new ones,
// by mistake mostly, must not take the memory of all: from Options.MaxSeries on, a
// batch with a new series is refused before it is journalled. What is journalled is
// always applied.

// checkSeries refuses a batch, planned by a, that would make more series than there
// may be. Batches that are on their way at once may go beyond by what they have.
func (db *DB) checkSeries(a *appender, b *quantrac.Batch) error {
	most, cells := db.o.MaxSeries, 0
	if most == 0 {
		return nil
	}
	for i := range b.Rows {
		cells += len(b.Rows[i].Cells)
	}
	have := int(db.stats.series.Load())
	if have+cells <= most {
		return nil
	}
	fresh := map[newSeries]struct{}{}
	var g *group
	for i := range b.Rows {
		at := a.rows[i].group
		if i == 0 || at != a.rows[i-1].group {
			g = db.groupAt(a.enc.groups.keyAt(at))
		}
		for _, c := range b.Rows[i].Cells {
			if g == nil || !g.has(c.Property) {
				fresh[newSeries{at, c.Property}] = struct{}{}
			}
		}
		if n := len(fresh); n > 0 && have+n > most {
			return quantrac.Errorf(quantrac.Busy, "tsdb %s: row %d, %v, is of a new series, and of the %d that there may be there are %d; nothing of the batch is taken until there is room for its new series", db.dir, i, b.Rows[i].Group, most, have)
		}
	}
	return nil
}

// newSeries is one by its place in a batch.
type newSeries struct {
	group    int
	property string
}

// groupAt returns the group with a key, nil where there is none.
func (db *DB) groupAt(key []byte) *group {
	id, ok := db.index.Lookup(key)
	if !ok {
		return nil
	}
	return db.groups.at(id)
}

// has says whether the group has a series of a property.
func (g *group) has(property string) bool {
	_, _, ok := g.metricNamed(property)
	return ok
}
