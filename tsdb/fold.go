package tsdb

import (
	"context"
	"iter"
	"math"
	"slices"

	"quantrac"
)

// Windows are stretches of time of equal width at equal distances, open at
// their beginning as PromQL's are: window k is
// (First+k*Step-Width, First+k*Step], for k from 0 on below Count.
type Windows struct {
	First, Step, Width quantrac.Millis
	Count              int

	// By, where not nil, folds a series in the place of an op: it gets the
	// samples that lie in any of the windows, fills the columns of out, and says
	// whether there is something to yield. It is called from several goroutines
	// at a time, and keeps nothing of what it gets.
	By func(out *Folded, s *Series) bool
}

// FoldOp says what becomes of the samples in a window. The numbers come out as
// those of PromQL's functions of the same names, to the last bit: among values
// some of which are NaN the least and the greatest are of the others, sums are
// compensated (Neumaier), averages are found without overflow, and Prometheus'
// stale markers, should a series hold some as values, are no samples.
type FoldOp uint8

// The ops.
const (
	FoldMin FoldOp = iota
	FoldMax
	FoldSum
	FoldCount
	FoldAvg
	FoldFirst
	FoldLast
)

// Folded is a series folded over windows: parallel columns, one element a
// window. Where Counts is 0 there was no sample and Values says nothing.
type Folded struct {
	Labels quantrac.Labels
	// Series tells the series of a DB apart, as long as that is open; 0 of other
	// stores.
	Series uint64
	Counts []uint32
	Values []float64
	// Full says that all windows have samples; false says nothing.
	Full bool
	// Widest, Last and Shown are for Windows.By: how many samples there are in the
	// window that holds the most, and in the last one, and how many Counts are not 0.
	Widest, Last, Shown int

	deque []int // positions of values, for wide windows
}

// span returns the times from the first that a window holds to the last.
func (w Windows) span() (from, to quantrac.Millis) {
	return w.First - w.Width + 1, w.First + quantrac.Millis(w.Count-1)*w.Step
}

// room makes the columns of a series as long as there are windows.
func (f *Folded) room(t target, windows int) {
	f.Labels, f.Series, f.Full = t.labels(), t.number(), false
	f.Counts = slices.Grow(f.Counts[:0], windows)[:windows]
	f.Values = slices.Grow(f.Values[:0], windows)[:windows]
}

func (w Windows) check() error {
	if w.Width <= 0 || w.Count < 0 || w.Count > 1 && w.Step <= 0 {
		return quantrac.Errorf(quantrac.Invalid, "no windows of %d ms every %d ms, %d times", w.Width, w.Step, w.Count)
	}
	return nil
}

// Fold yields the series that pass and have samples in any of the windows,
// sorted by labels and folded. q says what is read as for Select, but for its
// times, which are those of the windows, and for MaxSamples, because only what
// is yielded is held in memory. What is yielded is valid until the next is.
//
// What a series comes to in windows side by side is kept (see foldcache.go).
// Windows of whole days are answered from what blocks sum up (see days.go).
// Sums and averages then come from the exact sum of the decimals, rounded once a
// day, and may differ from a sum of the rounded values by the rounding of those:
// by at most their number · 2^-53 · the largest of their magnitudes. Counts may
// leave out samples that cannot change a least or greatest value.
//
// Errors are those of Select, and Invalid for windows that make no sense.
func (db *DB) Fold(ctx context.Context, q Query, w Windows, op FoldOp) iter.Seq2[*Folded, error] {
	return func(yield func(*Folded, error) bool) {
		if err := w.check(); err != nil {
			yield(nil, err)
			return
		}
		q.From, q.To = w.span()
		q.MaxSamples = 0
		if w.By == nil && w.daily(&q, op) && !w.keeps(&q) {
			if err := db.foldDailies(ctx, &q, w, op, func(f *Folded) bool { return yield(f, nil) }); err != nil {
				yield(nil, err)
			}
			return
		}
		err := readAhead(ctx, db, &q, &db.folding, func(ctx context.Context, v *view, sc *scratch, t target, out *Folded) (int, error) {
			out.Series = t.number()
			if w.By == nil && w.keeps(&q) {
				return v.foldKept(ctx, sc, out, t, &q, w, op)
			}
			if w.By == nil && w.byDays(&q, op) {
				if n, ok, err := v.extremeByDays(ctx, sc, out, t, &q, w, op); ok || err != nil {
					return n, err
				}
				if n, ok, err := v.foldDays(ctx, sc, out, t, &q, w, op); ok || err != nil {
					return n, err
				}
			}
			n, err := v.foldRows(ctx, sc, out, t, &q, w, op)
			out.Labels = t.labels()
			return n, err
		}, func(f *Folded) bool { return yield(f, nil) })
		if err != nil {
			yield(nil, err)
		}
	}
}

// Selector is what FoldSelect reads from.
type Selector interface {
	Select(ctx context.Context, q Query) iter.Seq2[*Series, error]
}

// FoldSelect answers Fold by Select, for stores that are not a DB.
func FoldSelect(ctx context.Context, from Selector, q Query, w Windows, op FoldOp) iter.Seq2[*Folded, error] {
	return func(yield func(*Folded, error) bool) {
		if err := w.check(); err != nil {
			yield(nil, err)
			return
		}
		b := bounds{Query: &Query{MaxSeries: q.MaxSeries}}
		q.From, q.To = w.span()
		q.MaxSeries, q.MaxSamples, q.Reuse = 0, 0, true
		var out Folded
		for s, err := range from.Select(ctx, q) {
			if err == nil && !w.Fold(&out, s, op) {
				continue
			}
			if err == nil {
				err = b.add(0)
			}
			if err != nil {
				yield(nil, err)
				return
			}
			if !yield(&out, nil) {
				return
			}
		}
	}
}

// Fold folds one series into out, whose memory is used again, and says whether
// any window has a sample.
func (w Windows) Fold(out *Folded, s *Series, op FoldOp) bool {
	out.Labels = s.Labels
	out.Counts = slices.Grow(out.Counts[:0], w.Count)[:w.Count]
	out.Values = slices.Grow(out.Values[:0], w.Count)[:w.Count]
	if w.By != nil {
		return w.By(out, s)
	}
	times, values := dropStale(s.Times, s.Values)
	if (op == FoldMin || op == FoldMax) && w.Count > manyWindows && w.Width > manyWindows*w.Step {
		return w.extremes(out, times, values, op)
	}
	reduce := reducer(op)
	lo, hi, any := 0, 0, false
	for k := range w.Count {
		lo, hi = w.advance(k, times, lo, hi)
		out.Counts[k] = uint32(hi - lo)
		if lo < hi {
			out.Values[k], any = reduce(values[lo:hi]), true
		}
	}
	return any
}

// advance returns the positions of the samples in window k, given those of the
// window before it.
func (w Windows) advance(k int, times []quantrac.Millis, lo, hi int) (int, int) {
	end := w.First + quantrac.Millis(k)*w.Step
	for hi < len(times) && times[hi] <= end {
		hi++
	}
	for lo < hi && times[lo] <= end-w.Width {
		lo++
	}
	return lo, hi
}

// staleBits are those of the NaN that Prometheus marks the end of a series by.
const staleBits = 0x7ff0000000000002

// dropStale leaves markers out; almost always there are none and the columns
// come back as they are.
func dropStale(times []quantrac.Millis, values []float64) ([]quantrac.Millis, []float64) {
	stale := func(v float64) bool { return math.Float64bits(v) == staleBits }
	n := slices.IndexFunc(values, stale)
	if n < 0 {
		return times, values
	}
	times, values = slices.Clone(times), slices.Clone(values)
	for i := n; i < len(values); i++ {
		if !stale(values[i]) {
			times[n], values[n] = times[i], values[i]
			n++
		}
	}
	return times[:n], values[:n]
}
