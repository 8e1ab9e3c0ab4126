package tsdb

import (
	"context"
	"math"
	"slices"

	"quantrac"
	"quantrac/tsdb/internal/decimal"
)

// foldRows folds a series row by row. It returns how many samples there are, and
// folds nothing where there are none in any window.
func (v *view) foldRows(ctx context.Context, sc *scratch, out *Folded, t target, q *Query, w Windows, op FoldOp) (samples int, err error) {
	if v.nothing || q.From > q.To {
		return 0, nil
	}
	ps, err := v.pieces(sc, t.g, t.col, int64(q.From), int64(q.To))
	if err != nil {
		return 0, err
	}
	if w.By == nil && (op == FoldMin || op == FoldMax) && w.Step >= w.Width && v.atHand(sc, ps, q) {
		return w.extremesOf(out, sc.stretches, op), nil
	}
	sc.series.reuse(nil)
	if err := v.seen(ctx, sc, &sc.series, ps, q, 0); err != nil {
		return 0, err
	}
	if !w.Fold(out, &sc.series, op) {
		return 0, nil
	}
	return len(sc.series.Times), nil
}

// stretch is rows of a column that is kept decoded, all of them to be seen: by how
// many milliseconds each is after first, and its value in whole numbers over
// 10^places.
type stretch struct {
	first  int64
	after  []uint32
	whole  []int32
	places int
}

// atHand gathers the stretches of pieces between the times of a query, and says
// whether that is all there is to be seen.
func (v *view) atHand(sc *scratch, ps []piece, q *Query) bool {
	sc.stretches = sc.stretches[:0]
	for i := range ps {
		p := &ps[i]
		if !p.simple || p.maxCommit > v.AsOf || i > 0 && p.first <= ps[i-1].last {
			return false
		}
		chunk := v.db.decoded.get(p)
		if chunk == nil {
			return false
		}
		at, end := chunk.span(int64(q.From), int64(q.To))
		all := true
		chunk.each(p.column, at, end, func(col *keptColumn, at, end, row int) bool {
			if all = col.plain(q.Qualities); all {
				sc.stretches = append(sc.stretches, stretch{chunk.first, chunk.after[row : row+end-at], col.whole[at:end], col.places})
			}
			return all
		})
		if !all {
			return false
		}
	}
	return true
}

// plain says whether the cells of a part, which may be nil, are all there, all to
// be seen, and whole numbers.
func (k *keptColumn) plain(qs quantrac.QualitySet) bool {
	return k != nil && k.whole != nil && k.qualities == nil && shows(qs, k.quality) && quality(k.quality) != quantrac.Missing
}

// extremesOf folds stretches over windows that do not overlap, and returns how
// many samples lie in one.
func (w Windows) extremesOf(out *Folded, ss []stretch, op FoldOp) (samples int) {
	out.Counts = slices.Grow(out.Counts[:0], w.Count)[:w.Count]
	out.Values = slices.Grow(out.Values[:0], w.Count)[:w.Count]
	at := walk{ss: ss}
	for k := range w.Count {
		end := w.end(k)
		if k == 0 || w.Step > w.Width {
			at.skip(end - int64(w.Width))
		}
		n, value := 0, 0.0
		for len(at.ss) > 0 {
			s := &at.ss[0]
			if taken, m := at.take(end, op); taken > 0 {
				if v := float64(m) / decimal.Pow10(s.places); n == 0 || op == FoldMax && v > value || op == FoldMin && v < value {
					value = v
				}
				n += taken
			}
			if !at.done() {
				break
			}
		}
		out.Counts[k], out.Values[k] = uint32(n), value
		samples += n
	}
	return samples
}

// walk goes through the rows of stretches: row is the next of the first.
type walk struct {
	ss  []stretch
	row int
}

// done leaves the first stretch if it has no more rows, and says whether.
func (w *walk) done() bool {
	if w.row < len(w.ss[0].after) {
		return false
	}
	w.ss, w.row = w.ss[1:], 0
	return true
}

// skip passes the rows that do not lie after a time.
func (w *walk) skip(t int64) {
	for len(w.ss) > 0 {
		s := &w.ss[0]
		if d := t - s.first; d >= 0 {
			last := uint32(min(d, math.MaxUint32))
			for w.row < len(s.after) && s.after[w.row] <= last {
				w.row++
			}
		}
		if !w.done() {
			return
		}
	}
}

// take passes the rows of the first stretch that do not lie after a time, and
// returns how many they are and their extreme.
func (w *walk) take(t int64, op FoldOp) (n int, m int32) {
	s := &w.ss[0]
	d := t - s.first
	if d < 0 {
		return 0, 0
	}
	last := uint32(min(d, math.MaxUint32))
	after := s.after[w.row:]
	whole := s.whole[w.row:][:len(after)]
	if len(after) == 0 || after[0] > last {
		return 0, 0
	}
	m = whole[0]
	if op == FoldMax {
		for n = 1; n < len(after) && after[n] <= last; n++ {
			m = max(m, whole[n])
		}
	} else {
		for n = 1; n < len(after) && after[n] <= last; n++ {
			m = min(m, whole[n])
		}
	}
	w.row += n
	return n, m
}
