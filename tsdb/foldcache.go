package tsdb

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"

	"quantrac"
)

// Dashboards ask for the same windows of the last days over and over. What a
// series comes to in them is kept, series by series, and survives flushing and
// merging, because those change no answer. A row takes back only the window that
// holds its time, be it live, late or a correction; a revocation takes back all
// of the groups people have touched.

// foldCache bounds what is kept of all groups.
type foldCache struct {
	mu    sync.Mutex
	most  int
	bytes int
	all   []*keptFold // a clock: who was not used since the hand passed goes
	hand  int
}

// keptFold is a series folded over tumbling windows without a gap.
type keptFold struct {
	g      *group
	col    int
	op     FoldOp
	width  int64
	used   atomic.Bool
	bytes  int // as the cache counts it, guarded by the cache's mu
	first  int64
	counts []uint32 // keptUnknown: taken back; with the rest guarded by the group's mu
	values []float64
}

const keptUnknown = 1<<32 - 1

// maxKept bounds the windows kept of one series.
const maxKept = 4096

// keeps says whether windows are kept: side by side, of the present state as
// everybody sees it.
func (w Windows) keeps(q *Query) bool {
	return w.Step == w.Width && w.Width >= 60_000 && w.Count > 1 && w.Count <= maxKept &&
		q.AsOf == 0 && q.AsOfCommit == 0 && !q.DeviceOnly && !q.Anew &&
		(q.Qualities == 0 || q.Qualities == quantrac.DefaultQualities)
}

// end returns the end of window k.
func (w Windows) end(k int) int64 { return int64(w.First) + int64(k)*int64(w.Step) }

// foldKept folds a series over windows of which some may be kept.
func (v *view) foldKept(ctx context.Context, sc *scratch, out *Folded, t target, q *Query, w Windows, op FoldOp) (samples int, err error) {
	out.room(t, w.Count)
	known := v.recall(out, t, w, op)
	fresh := false
	for k := 0; k < w.Count; k++ {
		if known && out.Counts[k] != keptUnknown {
			continue
		}
		n := k + 1
		for n < w.Count && (!known || out.Counts[n] == keptUnknown) {
			n++
		}
		if err := v.foldSome(ctx, sc, out, t, q, w, op, k, n); err != nil {
			return 0, err
		}
		fresh, k = true, n
	}
	if fresh {
		v.keep(out, t, w, op)
	}
	for _, n := range out.Counts {
		samples += int(n)
	}
	return samples, nil
}

// foldSome folds the windows from k to before n.
func (v *view) foldSome(ctx context.Context, sc *scratch, out *Folded, t target, q *Query, w Windows, op FoldOp, k, n int) error {
	part := w.part(k, n)
	some := *q
	some.From, some.To = part.span()
	if !part.daily(&some, op) {
		return v.foldStretch(ctx, sc, out, t, q, w, op, k, n)
	}
	f := sc.folded[:]
	err := v.foldDaily(ctx, sc, f, make([]int, 1), []target{t}, &some, part, op)
	copy(out.Counts[k:n], f[0].Counts)
	copy(out.Values[k:n], f[0].Values)
	return err
}

// part returns the windows from k to before n.
func (w Windows) part(k, n int) Windows {
	return Windows{First: quantrac.Millis(w.end(k)), Step: w.Step, Width: w.Width, Count: n - k}
}

// foldStretch folds the windows from k to before n by days, or row by row.
func (v *view) foldStretch(ctx context.Context, sc *scratch, out *Folded, t target, q *Query, w Windows, op FoldOp, k, n int) error {
	part := w.part(k, n)
	some := *q
	some.From, some.To = part.span()
	f := &sc.stretch
	if w.byDays(q, op) { // all of the windows: one alone could be, where they are not
		if _, ok, err := v.foldDays(ctx, sc, f, t, &some, part, op); ok || err != nil {
			if err == nil {
				copy(out.Counts[k:n], f.Counts)
				copy(out.Values[k:n], f.Values)
			}
			return err
		}
	}
	any, err := v.foldRows(ctx, sc, f, t, &some, part, op)
	if any == 0 {
		clear(out.Counts[k:n])
		return err
	}
	copy(out.Counts[k:n], f.Counts)
	copy(out.Values[k:n], f.Values)
	return err
}

// recall takes what is kept of the windows, keptUnknown for the others, and says
// whether anything is.
func (v *view) recall(out *Folded, t target, w Windows, op FoldOp) bool {
	t.g.mu.Lock()
	defer t.g.mu.Unlock()
	if t.g.touched > v.AsOf {
		return false // what is kept knows more than this view
	}
	f := t.g.kept(t.col, op, w)
	if f == nil {
		return false
	}
	f.used.Store(true)
	at := int((w.end(0) - f.first) / f.width)
	for k := range w.Count {
		if i := at + k; i >= 0 && i < len(f.counts) {
			out.Counts[k], out.Values[k] = f.counts[i], f.values[i]
		} else {
			out.Counts[k] = keptUnknown
		}
	}
	return true
}

// kept finds what is kept of a column. The group's mu is held.
func (g *group) kept(col int, op FoldOp, w Windows) *keptFold {
	for _, f := range g.folds() {
		if f.col == col && f.op == op && f.width == int64(w.Width) && (w.end(0)-f.first)%f.width == 0 {
			return f
		}
	}
	return nil
}

// keep keeps the windows, unless rows have come that the view does not know, or
// gone that it still sees: who lets rows go counts that before it takes back what is
// kept of their groups.
func (v *view) keep(out *Folded, t target, w Windows, op FoldOp) {
	g := t.g
	g.mu.Lock()
	if g.touched > v.AsOf || v.db.apply.recent.epoch.Load() != v.epoch {
		g.mu.Unlock()
		return
	}
	f := g.kept(t.col, op, w)
	if f == nil {
		f = &keptFold{g: g, col: t.col, op: op, width: int64(w.Width)}
		more := g.rare()
		more.folds = append(more.folds, f)
	}
	f.put(w.end(0), out.Counts, out.Values)
	f.used.Store(true)
	size := f.size()
	g.mu.Unlock()
	v.db.folds.settle(f, size)
}

// put joins windows, the first of which ends at first, to those that are kept;
// where both do not touch, or would be too many, the new ones take their place.
func (f *keptFold) put(first int64, counts []uint32, values []float64) {
	at := int((first - f.first) / f.width)
	from, to := min(at, 0), max(at+len(counts), len(f.counts))
	if len(f.counts) == 0 || at > len(f.counts) || at+len(counts) < 0 || to-from > maxKept {
		f.first = first
		f.counts, f.values = append(f.counts[:0], counts...), append(f.values[:0], values...)
		return
	}
	if from < 0 || to > len(f.counts) {
		c, vs := make([]uint32, to-from), make([]float64, to-from)
		copy(c[-from:], f.counts)
		copy(vs[-from:], f.values)
		f.counts, f.values = c, vs
		f.first += int64(from) * f.width
	}
	copy(f.counts[at-from:], counts)
	copy(f.values[at-from:], values)
}

func (f *keptFold) size() int { return 160 + 12*cap(f.values) }

// forget takes back the window that holds a time. The group's mu is held.
func (f *keptFold) forget(t int64) {
	if len(f.counts) == 0 {
		return
	}
	begin := f.first - f.width // of the first window, which is open there
	if i := (t - begin - 1) / f.width; t > begin && i < int64(len(f.counts)) {
		f.counts[i] = keptUnknown
	}
}

// settle notes how much a kept series takes, and lets others go if that is too
// much for all.
func (c *foldCache) settle(f *keptFold, size int) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if f.bytes == 0 {
		c.all = append(c.all, f)
	}
	c.bytes += size - f.bytes
	f.bytes = size
	for c.bytes > c.most && len(c.all) > 1 {
		c.hand %= len(c.all)
		old := c.all[c.hand]
		if old.used.Swap(false) || old == f {
			c.hand++
			if old == f && len(c.all) == 1 {
				return
			}
			continue
		}
		c.all[c.hand] = c.all[len(c.all)-1]
		c.all = c.all[:len(c.all)-1]
		c.bytes -= old.bytes
		old.bytes = 0
		old.g.letGo(old)
	}
}

// letGo drops what is kept of a series.
func (g *group) letGo(f *keptFold) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.more.folds = slices.DeleteFunc(g.more.folds, func(x *keptFold) bool { return x == f })
}

// forgetFolds takes back all windows of a group. Its mu is held.
func (g *group) forgetFolds() {
	for _, f := range g.folds() {
		f.counts, f.values = f.counts[:0], f.values[:0]
	}
}
