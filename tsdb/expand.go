package tsdb

import (
	"context"

	"quantrac"
)

// Some changes are said in general and stored in particular: a deletion by
// matchers, the part of a forecast that a new run does not repeat. They are
// expanded before they are journalled, so that every follower of the journal
// sees the very values that are withdrawn.

// Delete withdraws values (see Deletion): they get human revisions to Missing,
// as one commit. Nothing is removed, and what a device sends again stays
// deleted. Where there is nothing to delete, there is no commit and the receipt
// is empty. Errors are those of Select and Append.
func (db *DB) Delete(ctx context.Context, d Deletion) (quantrac.Receipt, error) {
	b := &quantrac.Batch{Kind: quantrac.Corrections, Author: d.Author, Reason: d.Reason, Correction: d.Correction}
	if len(d.Matchers) == 0 || d.Author == "" || d.Reason == "" {
		return quantrac.Receipt{}, quantrac.Errorf(quantrac.Invalid, "a deletion wants matchers, author and reason")
	}
	if err := db.enter(); err != nil {
		return quantrac.Receipt{}, err
	}
	defer db.leave()
	var err error
	if b.Rows, err = db.visibleRows(ctx, d); err != nil || len(b.Rows) == 0 {
		return quantrac.Receipt{}, err
	}
	if err := db.roomForMore(ctx); err != nil {
		return quantrac.Receipt{}, err
	}
	return db.commit(ctx, b, nil)
}

// visibleRows returns a row to Missing for every value that a deletion meets.
func (db *DB) visibleRows(ctx context.Context, d Deletion) ([]quantrac.Row, error) {
	v := db.view()
	defer v.release()
	q := &Query{From: d.From, To: d.To, Qualities: quantrac.AllQualities &^ (1 << quantrac.Missing)}
	var out []quantrac.Row
	err := v.run(ctx, q, db.targets(ctx, d.Matchers), func(t target, s *Series) bool {
		out = appendMissing(out, t, s.Times)
		return true
	})
	return out, err
}

func appendMissing(rows []quantrac.Row, t target, times []quantrac.Millis) []quantrac.Row {
	cells := []quantrac.Cell{{Property: t.s.metric.name, Value: canonicalNaN, Quality: quantrac.Missing}}
	labels := t.g.labels()
	for _, at := range times {
		rows = append(rows, quantrac.Row{Group: labels, Time: at, Cells: cells})
	}
	return rows
}

// appendForecast writes a model's run together with the withdrawal of what
// earlier runs said after its issue time, for its groups, and it does not say
// again.
func (db *DB) appendForecast(ctx context.Context, b *quantrac.Batch) (quantrac.Receipt, error) {
	db.forecasts.Lock() // until it is applied: the next run has to see this one
	defer db.forecasts.Unlock()
	groups := map[*group]map[cellOf]struct{}{} // what the run says of each group
	for i := range b.Rows {
		r := &b.Rows[i]
		ls := identity(b.Kind, r.Group, db.o.Reserved)
		id, ok := db.index.Lookup(ls.AppendKey(nil))
		if !ok {
			continue // nothing was said of it before
		}
		g := db.groups.at(id)
		if groups[g] == nil {
			groups[g] = map[cellOf]struct{}{}
		}
		for _, c := range r.Cells {
			groups[g][cellOf{c.Property, r.Time}] = struct{}{}
		}
	}
	var withdrawn []quantrac.Row
	for g, said := range groups {
		var err error
		if withdrawn, err = db.unsaid(ctx, withdrawn, g, said, b.Issue); err != nil {
			return quantrac.Receipt{}, err
		}
	}
	return db.commit(ctx, b, withdrawn)
}

type cellOf struct {
	property string
	time     quantrac.Millis
}

// unsaid appends a row to Missing for every device value of a group after the
// issue time that a run does not say again.
func (db *DB) unsaid(ctx context.Context, out []quantrac.Row, g *group, said map[cellOf]struct{}, issue quantrac.Millis) ([]quantrac.Row, error) {
	var ts []target
	for col, s := range g.all() {
		ts = append(ts, target{g: g, col: col, s: s})
	}
	v := db.view()
	defer v.release()
	v.DeviceOnly = true
	q := &Query{From: issue + 1, To: quantrac.MaxMillis, Qualities: quantrac.AllQualities &^ (1 << quantrac.Missing)}
	err := v.run(ctx, q, ts, func(t target, s *Series) bool {
		times := s.Times[:0]
		for _, at := range s.Times {
			if _, ok := said[cellOf{t.s.metric.name, at}]; !ok {
				times = append(times, at)
			}
		}
		out = appendMissing(out, t, times)
		return true
	})
	return out, err
}
