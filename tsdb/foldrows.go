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
	for k := range w.Count {
		end := w.end(k)
		ss = skip(ss, end-int64(w.Width))
		n, value := 0, 0.0
		for len(ss) > 0 {
			s := &ss[0]
			taken, m := s.take(end, op)
			if taken > 0 {
				if v := float64(m) / decimal.Pow10(s.places); n == 0 || op == FoldMax && v > value || op == FoldMin && v < value {
					value = v
				}
				n += taken
			}
			if len(s.after) > 0 {
				break
			}
			ss = ss[1:]
		}
		out.Counts[k], out.Values[k] = uint32(n), value
		samples += n
	}
	return samples
}

// skip drops the rows that do not lie after a time.
func skip(ss []stretch, t int64) []stretch {
	for len(ss) > 0 {
		s := &ss[0]
		n := s.before(t)
		if s.after, s.whole = s.after[n:], s.whole[n:]; len(s.after) > 0 {
			break
		}
		ss = ss[1:]
	}
	return ss
}

// before returns how many of the rows do not lie after a time.
func (s *stretch) before(t int64) int {
	d := t - s.first
	if d < 0 {
		return 0
	}
	last := uint32(min(d, math.MaxUint32))
	n := 0
	for n < len(s.after) && s.after[n] <= last {
		n++
	}
	return n
}

// take takes off the rows that do not lie after a time, and returns how many they
// are and their extreme.
func (s *stretch) take(t int64, op FoldOp) (n int, m int32) {
	if n = s.before(t); n == 0 {
		return 0, 0
	}
	m = s.whole[0]
	if op == FoldMax {
		for _, v := range s.whole[1:n] {
			m = max(m, v)
		}
	} else {
		for _, v := range s.whole[1:n] {
			m = min(m, v)
		}
	}
	s.after, s.whole = s.after[n:], s.whole[n:]
	return n, m
}
