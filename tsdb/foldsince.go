package tsdb

import (
	"cmp"
	"context"
	"slices"
)

// maxAgain is how many rows may have come for FoldSince to be quicker than Fold.
const maxAgain = 512

// FoldSince folds again what has changed since a moment: of each series that passes
// and has got rows, the windows that hold them. It shows every run of such windows,
// those from k to before n, in no order; the rest of what is shown says nothing, and
// all is valid until the next is shown. All is of one state, that of the moment now.
//
// It says no where it is not known what has changed, where that is much, and of
// windows that may be folded by days, of which parts are not what the whole is to
// the last bit. Then nothing is shown. Its errors are those of Fold.
func (db *DB) FoldSince(ctx context.Context, since Mark, q Query, w Windows, op FoldOp, show func(f *Folded, k, n int) bool) (now Mark, ok bool, err error) {
	if err := w.check(); err != nil {
		return Mark{}, false, err
	}
	if w.By != nil || w.Count == 0 || w.byDays(&q, op) || q.AsOf != 0 || q.AsOfCommit != 0 {
		return Mark{}, false, nil
	}
	if err := db.enter(); err != nil {
		return Mark{}, false, err
	}
	defer db.leave()
	q.From, q.To = w.span()
	v, now, rows := db.viewSince(since, int64(q.From), int64(q.To))
	if v == nil {
		return Mark{}, false, nil
	}
	defer v.release()
	if err := v.restrict(&q); err != nil {
		return Mark{}, false, err
	}
	slices.SortFunc(rows, func(a, b arrival) int { return cmp.Or(cmp.Compare(a.group, b.group), cmp.Compare(a.time, b.time)) })
	f := refolder{view: v, query: &q, windows: w, op: op, passed: passer(metricMatchers(q.Matchers)), show: show}
	for len(rows) > 0 {
		n := 1
		for n < len(rows) && rows[n].group == rows[0].group {
			n++
		}
		if more, err := f.group(ctx, rows[:n]); !more || err != nil {
			return now, true, err
		}
		rows = rows[n:]
	}
	return now, true, nil
}

// viewSince takes hold of the present state, and returns which rows have come since
// a moment and lie between two times; nil where that is not known, or many.
func (db *DB) viewSince(since Mark, from, to int64) (*view, Mark, []arrival) {
	db.apply.RLock()
	defer db.apply.RUnlock()
	rows, ok := db.arrivedSince(since, from, to)
	if !ok || len(rows) > maxAgain {
		return nil, Mark{}, nil
	}
	return db.viewLocked(), db.markLocked(), rows
}

// refolder folds windows of series again.
type refolder struct {
	*view
	query   *Query
	windows Windows
	op      FoldOp
	passed  func(*metric) bool
	show    func(f *Folded, k, n int) bool
	out     Folded
}

// group folds the series of a group that pass over the windows that some rows lie
// in, which come in order of time. It says whether more is wanted.
func (f *refolder) group(ctx context.Context, rows []arrival) (more bool, err error) {
	g := f.db.groups.at(rows[0].group)
	if !visible(ctx, g.labels(), f.query.Matchers) {
		return true, nil
	}
	var ts []target
	g.each(func(col int, s *series) bool {
		if f.passed(s.metric) {
			ts = append(ts, target{g: g, col: col, s: s})
		}
		return true
	})
	sc := f.db.scratch.Get().(*scratch)
	defer f.db.scratch.Put(sc)
	w := f.windows
	for len(rows) > 0 {
		k, n := w.holding(rows[0].time)
		for rows = rows[1:]; len(rows) > 0; rows = rows[1:] {
			from, to := w.holding(rows[0].time)
			if from > n {
				break
			}
			n = max(n, to)
		}
		if k >= n {
			continue // between windows
		}
		for _, t := range ts {
			f.out.room(t, w.Count)
			if err := f.foldSome(ctx, sc, &f.out, t, f.query, w, f.op, k, n); err != nil {
				return false, err
			}
			if !f.show(&f.out, k, n) {
				return false, nil
			}
		}
	}
	return true, nil
}

// holding returns the windows that hold a time: those from k to before n.
func (w Windows) holding(t int64) (k, n int) {
	step, count := int64(w.Step), int64(w.Count)
	if w.Count == 1 {
		step = 1 << 62 // whatever it is
	}
	d := t - int64(w.First) // from the end of the first
	if d > 0 {
		k = int(min((d-1)/step+1, count))
	}
	if last := d + int64(w.Width) - 1; last >= 0 {
		n = int(min(last/step+1, count))
	}
	return k, n
}
