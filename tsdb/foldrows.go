package tsdb

import (
	"context"
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
	clear(out.Counts)
	k := 0
	for i := range ss {
		if k == w.Count {
			break
		}
		n, v := out.Counts[k], out.Values[k] // what the stretch before had of the window
		at := k
		out.Counts[k] = 0
		k = w.extremesIn(out.Counts, out.Values, &ss[i], k, op)
		if n > 0 {
			out.join(at, n, v, op)
		}
	}
	for _, n := range out.Counts {
		samples += int(n)
	}
	return samples
}

// extremesIn folds a stretch into the windows from k on. It returns the first that
// the stretch after it may have rows in.
func (w Windows) extremesIn(counts []uint32, values []float64, s *stretch, k int, op FoldOp) int {
	after, whole, by := s.after, s.whole[:len(s.after)], decimal.Pow10(s.places)
	end, step, gap := w.end(k)-s.first, int64(w.Step), w.Step > w.Width
	for i, n := 0, 0; k < len(counts); k++ {
		if gap {
			for i < len(after) && int64(after[i]) <= end-int64(w.Width) {
				i++
			}
		}
		// Windows are alike: most hold as many rows as the one before.
		j := i + n
		if j <= i || j >= len(after) || int64(after[j-1]) > end || int64(after[j]) <= end {
			for j = i; j < len(after) && int64(after[j]) <= end; j++ {
			}
			n = j - i
		}
		if n > 0 {
			m := extreme(whole[i:j], op)
			counts[k], values[k] = uint32(n), float64(m)/by
			i = j
		}
		if i == len(after) {
			break
		}
		end += step
	}
	return k
}

// extreme returns the greatest, or least, of some numbers, at least one.
func extreme(whole []int32, op FoldOp) int32 {
	m := whole[0]
	if op == FoldMax {
		for _, v := range whole[1:] {
			m = max(m, v)
		}
		return m
	}
	for _, v := range whole[1:] {
		m = min(m, v)
	}
	return m
}

// join joins the extreme of some more samples to that of a window.
func (f *Folded) join(k int, n uint32, v float64, op FoldOp) {
	if f.Counts[k] == 0 || op == FoldMax && v > f.Values[k] || op == FoldMin && v < f.Values[k] {
		f.Values[k] = v
	}
	f.Counts[k] += n
}
