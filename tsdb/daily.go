package tsdb

import (
	"context"
	"math"
	"slices"
	"sync"
	"sync/atomic"

	"quantrac"
	"quantrac/tsdb/internal/ahead"
	"quantrac/tsdb/internal/block"
)

// Windows that are the days which blocks sum up, one each, are what is asked for
// over years. Where one block of a partition alone has rows of a series its days
// are copied out as they stand: no piece is looked for, and no day looked at by
// itself. Other stretches are folded as any windows are.

// daily says whether each window is one of the days that blocks sum up.
func (w Windows) daily(q *Query, op FoldOp) bool {
	return w.byDays(q, op) && int64(w.Width) == dayLen && int64(w.Step) == dayLen && (int64(w.First)+zoneOffset)%dayLen == 0
}

// lastPages are the pages of days that were used last, by the block's place in
// the state: series that follow one another lie in one page.
type lastPages struct {
	once sync.Once
	of   []atomic.Pointer[dayPage]
}

// dayPage returns the page that may have days of a property of the group at a
// position of the i-th block, nil for none.
func (v *view) dayPage(i int, property string, position int) (*dayPage, error) {
	v.pages.once.Do(func() { v.pages.of = make([]atomic.Pointer[dayPage], len(v.state.blocks)) })
	last := &v.pages.of[i]
	if p := last.Load(); p != nil && p.Covers(position) && p.key.property == property {
		return p, nil
	}
	b := v.state.blocks[i]
	number, ok := b.r.DayPage(property, position)
	if !ok {
		return nil, nil
	}
	p, err := v.db.days.get(dayKey{b, property, number})
	if err == nil {
		last.Store(p)
	}
	return p, err
}

// dailyTogether is how many series are folded together at most: those that follow one
// another lie side by side in what blocks sum up, and memory is slow to be reached.
const dailyTogether = 8

// dailyBatch is series that are folded together.
type dailyBatch struct {
	folded  [dailyTogether]Folded
	samples [dailyTogether]int
}

// foldDailies folds all series of a query over windows that are daily.
func (db *DB) foldDailies(ctx context.Context, q *Query, w Windows, op FoldOp, show func(*Folded) bool) error {
	return db.reading(q, func(v *view) error {
		ts := db.targets(ctx, q.Matchers)
		limits := bounds{Query: q}
		together := min(1+len(ts)/16, dailyTogether) // of few, several goroutines have some each
		task := ahead.Task[dailyBatch]{
			N: (len(ts) + together - 1) / together, Pool: &db.foldingDays,
			Build: func(ctx context.Context, into *dailyBatch, i int) (weight int, err error) {
				sc := db.scratch.Get().(*scratch)
				defer db.scratch.Put(sc)
				part := ts[i*together : min((i+1)*together, len(ts))]
				clear(into.samples[:])
				err = v.foldDaily(ctx, sc, into.folded[:], into.samples[:], part, q, w, op)
				for _, n := range into.samples {
					weight += n
				}
				return weight, err
			},
			Show: func(made *dailyBatch, _ int) (bool, error) {
				for i, n := range made.samples {
					if n == 0 {
						continue
					}
					if err := limits.add(n); err != nil || !show(&made.folded[i]) {
						return false, err
					}
				}
				return true, nil
			},
		}
		return task.Run(ctx)
	})
}

// foldDaily folds series, dailyTogether of them at most, over windows that are daily,
// and says how many samples of each that was.
func (v *view) foldDaily(ctx context.Context, sc *scratch, out []Folded, samples []int, ts []target, q *Query, w Windows, op FoldOp) (err error) {
	var folders [dailyTogether]dailyFolder
	for i, t := range ts {
		f := &out[i]
		f.room(t, w.Count)
		clear(f.Counts)
		folders[i] = newDailyFolder(v, sc, f, t, w, op)
	}
	if v.nothing {
		return nil
	}
	for i, b := range v.state.blocks {
		if b.info.Last < int64(q.From) || b.info.First > int64(q.To) {
			continue
		}
		for k := range ts {
			if err := folders[k].block(i); err != nil {
				return err
			}
		}
	}
	for k := range ts {
		if samples[k], err = folders[k].end(ctx, q); err != nil {
			return err
		}
	}
	return nil
}

// end folds row by row what no block has summed up, and says how many samples there
// are.
func (d *dailyFolder) end(ctx context.Context, q *Query) (samples int, err error) {
	out, sc, w := d.out, d.sc, d.w
	sc.pieces = d.runs(sc.pieces[:0], d.t.g, d.t.col, int64(q.From), int64(q.To))
	for i := range sc.pieces {
		d.unknown(d.span(sc.pieces[i].first, sc.pieces[i].last))
	}
	counts := out.Counts[:w.Count]
	if out.Full = d.every == len(counts) && !d.gaps; out.Full {
		d.db.stats.daysFolded.Add(uint64(len(counts)))
		return len(counts), nil
	}
	all, taken := uint64(0), 0
	for _, n := range counts {
		all += uint64(n)
		taken += int(min(n, 1))
	}
	if all < keptUnknown && d.op != FoldCount && d.op != FoldAvg { // most often: none is unknown
		d.db.stats.daysFolded.Add(uint64(taken))
		return int(all), nil
	}
	taken = 0
	for k := 0; k < len(counts); k++ {
		switch n := counts[k]; {
		case n == keptUnknown:
			end := k + 1
			for end < len(counts) && counts[end] == keptUnknown {
				end++
			}
			if err := d.foldStretch(ctx, sc, out, d.t, q, w, d.op, k, end); err != nil {
				return 0, err
			}
			for ; k < end; k++ {
				samples += int(counts[k])
			}
			k-- // the next is the loop's
		case n > 0:
			taken++
			samples += int(n)
			if d.op == FoldCount || d.op == FoldAvg {
				d.finish(k)
			}
		}
	}
	d.db.stats.daysFolded.Add(uint64(taken))
	return samples, nil
}

// extremeByDays folds one window, which may begin and end within a day, to its
// extreme out of days, and says how many samples it took; ok is false where days are
// not known. Of a day that the window cuts, rows are read only if it might hold the
// extreme and the series has some in the part that is cut off.
func (v *view) extremeByDays(ctx context.Context, sc *scratch, out *Folded, t target, q *Query, w Windows, op FoldOp) (samples int, ok bool, err error) {
	if op != FoldMax && op != FoldMin || w.Count != 1 || int64(w.Width) < 2*dayLen || v.nothing {
		return 0, false, nil
	}
	to := w.end(0)
	from := to - int64(w.Width)
	first, last := block.DayEnd(from+1), block.DayEnd(to)
	f := &sc.civil
	days := Windows{First: quantrac.Millis(first), Step: quantrac.Millis(dayLen), Width: quantrac.Millis(dayLen), Count: int((last-first)/dayLen) + 1}
	f.Counts = slices.Grow(f.Counts[:0], days.Count)[:days.Count]
	f.Values = slices.Grow(f.Values[:0], days.Count)[:days.Count]
	clear(f.Counts)
	d := newDailyFolder(v, sc, f, t, days, op)
	for i, b := range v.state.blocks {
		if b.info.Last <= first-dayLen || b.info.First > last {
			continue
		}
		if err := d.block(i); err != nil {
			return 0, false, err
		}
	}
	if sc.pieces = v.runs(sc.pieces[:0], t.g, t.col, first-dayLen+1, last); len(sc.pieces) > 0 {
		return 0, false, nil
	}
	var best day
	for k, n := range f.Counts {
		if n == keptUnknown {
			return 0, false, nil
		}
		end := first + int64(k)*dayLen
		if n > 0 && !d.cut(end, from, to) {
			best.join(day{count: int64(n), value: f.Values[k]}, op)
		}
	}
	edges := [2]int{0, days.Count - 1} // days may be one window wide, but are two at least
	for _, k := range edges {
		end := first + int64(k)*dayLen
		if f.Counts[k] == 0 || !d.cut(end, from, to) {
			continue
		}
		if best.count > 0 && (op == FoldMax && f.Values[k] <= best.value || op == FoldMin && f.Values[k] >= best.value) {
			continue
		}
		part := Windows{First: quantrac.Millis(min(end, to)), Width: quantrac.Millis(min(end, to) - max(end-dayLen, from)), Count: 1}
		some := *q
		some.From, some.To = part.span()
		edge := &sc.stretch
		n, err := v.foldRows(ctx, sc, edge, t, &some, part, op)
		if err != nil {
			return 0, false, err
		}
		if n > 0 {
			best.join(day{count: int64(edge.Counts[0]), value: edge.Values[0]}, op)
		}
	}
	v.db.stats.daysFolded.Add(uint64(days.Count))
	if best.count == 0 {
		return 0, true, nil
	}
	out.room(t, 1)
	out.Counts[0], out.Values[0] = uint32(min(best.count, math.MaxUint32-1)), best.value
	return int(best.count), true, nil
}

// dailyFolder takes the days of one series from one block after the other. Windows
// that are keptUnknown have to be folded otherwise; those that no block has spoken
// of have no samples.
type dailyFolder struct {
	*view
	sc  *scratch
	out *Folded
	t   target
	w   Windows
	op  FoldOp

	first, last int64 // times of all rows that blocks have of the series
	every       int   // windows taken from days that all have values, of which one will do
	gaps        bool  // some windows have been unknown
}

func newDailyFolder(v *view, sc *scratch, out *Folded, t target, w Windows, op FoldOp) dailyFolder {
	return dailyFolder{view: v, sc: sc, out: out, t: t, w: w, op: op, first: math.MaxInt64, last: math.MinInt64}
}

// cut says whether the part of a day that lies outside from and to may have rows.
func (d *dailyFolder) cut(end, from, to int64) bool {
	return end-dayLen < from && d.first <= from || end > to && d.last > to
}

// span returns the windows, from lo to before hi, that times from first to last
// lie in.
func (d *dailyFolder) span(first, last int64) (lo, hi int) {
	lo = int((block.DayEnd(first) - int64(d.w.First)) / dayLen)
	hi = int((block.DayEnd(last)-int64(d.w.First))/dayLen) + 1
	return min(max(lo, 0), d.w.Count), min(max(hi, 0), d.w.Count)
}

func (d *dailyFolder) unknown(lo, hi int) {
	if lo >= hi {
		return
	}
	d.gaps = true
	counts := d.out.Counts[lo:hi]
	for k := range counts {
		counts[k] = keptUnknown
	}
}

// block takes what the i-th block has.
func (d *dailyFolder) block(i int) error {
	b := d.state.blocks[i]
	position, ok := b.position(d.t.g.id)
	if !ok {
		return nil
	}
	property := d.t.s.metric.name
	page, err := d.dayPage(i, property, position)
	if err != nil {
		return err
	}
	var s *block.DaySeries
	var held *dayHeld
	if page != nil {
		s = page.Find(position)
	}
	if s != nil {
		held, err = page.heldOf(s, &d.sc.group.Group)
	} else {
		held, err = b.heldOf(position, property, &d.sc.group.Group)
	}
	if err != nil || held.first > held.last {
		return err
	}
	d.first, d.last = min(d.first, held.first), max(d.last, held.last)
	lo, hi := d.span(held.first, held.last)
	if lo == hi {
		return nil
	}
	if s == nil || held.maxCommit > d.AsOf || !d.alone(i) {
		d.unknown(lo, hi)
		return nil
	}
	return d.days(page, s, lo, hi)
}

// alone says whether no other block of the i-th's partition has the group.
func (d *dailyFolder) alone(i int) bool {
	bs := d.state.blocks
	partition := bs[i].info.Partition
	from, to := i, i+1
	for from > 0 && bs[from-1].info.Partition == partition {
		from--
	}
	for to < len(bs) && bs[to].info.Partition == partition {
		to++
	}
	for k := from; k < to; k++ {
		if _, ok := bs[k].position(d.t.g.id); ok && k != i {
			return false
		}
	}
	return true
}

// days takes the days of the series in a page, which has values in the windows from
// first to before last. Days ahead of those have no values here: the page may begin with
// a midnight at which the group has a row without the series, and the day which that
// closes is another partition's.
func (d *dailyFolder) days(page *dayPage, s *block.DaySeries, first, last int) error {
	// A value at midnight closes a day that the partition before has begun.
	before := day{count: int64(d.out.Counts[first]), value: d.out.Values[first]}
	values, err := valuesOf(page, s, d.op)
	if err != nil {
		return err
	}
	counts := page.Counts(s)
	at := int((s.First - int64(d.w.First)) / dayLen) // the window of the first day
	from, to := max(first-at, 0), min(len(counts), d.w.Count-at)
	if from >= to {
		d.unknown(first, last)
		return nil
	}
	into := d.out.Counts[at+from : at+to]
	if s.Every() && (d.op == FoldMin || d.op == FoldMax) {
		d.unknown(first, min(at+from, last))
		d.unknown(max(at+to, first), last)
		for k := range into { // how many there were does not matter to an extreme
			into[k] = 1
		}
		if d.every += len(into); before.count > 0 && at+from == first {
			d.every-- // it was counted with the partition before
		}
	} else {
		d.unknown(first, last)
		for k, c := range counts[from:to] {
			if c > 0 && c <= keptUnknown {
				into[k] = uint32(c - 1)
			}
		}
	}
	if values != nil {
		copy(d.out.Values[at+from:at+to], values[from:to])
	}
	if before.count > 0 && at+from == first {
		d.join(first, before)
	}
	return nil
}

// join adds the part of a day that the partition before has to what there is.
func (d *dailyFolder) join(k int, before day) {
	counts, values := d.out.Counts, d.out.Values
	if before.count == keptUnknown || counts[k] == keptUnknown {
		counts[k] = keptUnknown
		return
	}
	before.join(day{count: int64(counts[k]), value: values[k]}, d.op)
	counts[k], values[k] = uint32(min(before.count, math.MaxUint32-1)), before.value
}

// finish makes of a day's sum what the op says.
func (d *dailyFolder) finish(k int) {
	switch n := float64(d.out.Counts[k]); d.op {
	case FoldCount:
		d.out.Values[k] = n
	case FoldAvg:
		d.out.Values[k] /= n
	}
}
