package tsdb

import (
	"cmp"
	"context"
	"math"
	"slices"

	"quantrac"
	"quantrac/tsdb/internal/block"
)

// Blocks sum the days of their series up. Windows of whole days are folded from
// those, and only what lies at their edges, or is revised, late or not merged
// yet, is read row by row. What a day says is right for a view where the view
// knows all commits of the rows behind it and nothing else has rows in that day:
// a late reading, a correction or a deletion lies in a head or another block
// until it is merged, and then the day has been summed up anew.

const dayLen = partitionLen / 30

// day is what one day of a series comes to: (end - 1 day, end].
type day struct {
	end   int64
	count int64
	value float64 // of the op; of an average the sum

	block *blockFile // whose rows it sums up
}

// byDays says whether windows may be folded from days: as wide as one, and all
// cutting the days at the same places. First values are not among what blocks sum up:
// they are asked for too seldom to be worth their bytes.
func (w Windows) byDays(q *Query, op FoldOp) bool {
	return op != FoldFirst && int64(w.Width) >= dayLen && (w.Count == 1 || int64(w.Step)%dayLen == 0) &&
		(q.Qualities == 0 || q.Qualities == quantrac.DefaultQualities)
}

// foldDays folds a series by days and says how many samples that was; ok is
// false, and nothing folded, where too few days are known for that to pay.
func (v *view) foldDays(ctx context.Context, sc *scratch, out *Folded, t target, q *Query, w Windows, op FoldOp) (samples int, ok bool, err error) {
	ps, err := v.pieces(sc, t.g, t.col, int64(q.From), int64(q.To))
	if err != nil || v.nothing {
		return 0, false, err
	}
	if err := v.knownDays(sc, t, op); err != nil || len(sc.days) == 0 {
		return 0, false, err
	}
	rows, known := 0, int64(0)
	for i := range ps {
		rows += ps[i].within(int64(q.From), int64(q.To))
	}
	for i := range sc.days {
		known += sc.days[i].count
	}
	if known < int64(rows)/2 {
		return 0, false, nil
	}
	f := dayFolder{view: v, ctx: ctx, sc: sc, query: *q, op: op}
	sc.held = append(sc.held[:0], ps...)
	v.db.stats.daysFolded.Add(uint64(len(sc.days)))
	out.Labels = t.labels()
	out.Counts = slices.Grow(out.Counts[:0], w.Count)[:w.Count]
	out.Values = slices.Grow(out.Values[:0], w.Count)[:w.Count]
	for k := range w.Count {
		end := int64(w.First) + int64(k)*int64(w.Step)
		n, value, err := f.window(end-int64(w.Width), end)
		if err != nil {
			return 0, false, err
		}
		out.Counts[k], out.Values[k] = uint32(min(n, math.MaxUint32)), value
		samples += int(n)
	}
	return samples, true, nil
}

// knownDays gathers the days of a series that can be taken as blocks sum them
// up, in order. Its pieces have been looked for.
func (v *view) knownDays(sc *scratch, t target, op FoldOp) error {
	sc.days, sc.near, sc.lasts = sc.days[:0], 0, sc.lasts[:0]
	last := int64(math.MinInt64)
	for i := range sc.pieces {
		last = max(last, sc.pieces[i].last)
		sc.lasts = append(sc.lasts, last)
	}
	for i := range sc.groups {
		if err := v.daysIn(sc, &sc.groups[i], t, op); err != nil {
			return err
		}
	}
	sc.joinDays(op)
	return nil
}

// joinDays makes one of the parts of a day that lie in two partitions: a value at
// midnight closes the day before, and begins a partition.
func (sc *scratch) joinDays(op FoldOp) {
	slices.SortFunc(sc.days, func(a, b day) int {
		return cmp.Or(cmp.Compare(a.end, b.end), cmp.Compare(a.block.info.Partition, b.block.info.Partition))
	})
	out := sc.days[:0]
	for rest := sc.days; len(rest) > 0; {
		n := 1
		for n < len(rest) && rest[n].end == rest[0].end {
			n++
		}
		if parts := rest[:n]; sc.whole(parts) {
			d := parts[0]
			for _, part := range parts[1:] {
				d.join(part, op)
			}
			out = append(out, d)
		}
		rest = rest[n:]
	}
	sc.days = out
}

// whole says whether parts of a day are all that blocks have of it.
func (sc *scratch) whole(parts []day) bool {
	end := parts[0].end
	lo, hi := sc.around(end)
	for i := lo; i < hi; i++ {
		p := &sc.pieces[i]
		if p.block == nil || p.last <= end-dayLen {
			continue
		}
		if !slices.ContainsFunc(parts, func(d day) bool { return d.block == p.block }) {
			return false
		}
	}
	return true
}

// join adds a later part of the same day.
func (d *day) join(part day, op FoldOp) {
	switch {
	case part.count == 0:
		return
	case d.count == 0:
		d.value = part.value
	case op == FoldMin:
		d.value = min(d.value, part.value)
	case op == FoldMax:
		d.value = max(d.value, part.value)
	case op == FoldSum || op == FoldAvg:
		d.value += part.value
	case op == FoldLast:
		d.value = part.value
	}
	d.count += part.count
}

// daysIn adds the days of a series in one block.
func (v *view) daysIn(sc *scratch, part *blockPart, t target, op FoldOp) error {
	for i := range part.Chunks {
		if part.Chunks[i].MaxCommit > v.AsOf {
			return nil
		}
	}
	b := part.block
	number, ok := b.r.DayPage(t.s.metric.name, part.position)
	if !ok {
		return nil
	}
	page, err := v.db.days.get(dayKey{b, t.s.metric.name, number})
	if err != nil {
		return err
	}
	s := page.Find(part.position)
	if s == nil {
		return nil
	}
	values, err := valuesOf(page, s, op)
	if err != nil {
		return err
	}
	for k, c := range page.Counts(s) {
		d := day{end: s.First + int64(k)*dayLen, count: c - 1, block: b}
		if c > 1 && op != FoldCount {
			d.value = values[k]
		}
		if c > 0 && !sc.others(b, d.end) {
			sc.days = append(sc.days, d)
		}
	}
	return nil
}

// valuesOf returns what an op wants of the days of a series, nothing for a count.
func valuesOf(p *dayPage, s *block.DaySeries, op FoldOp) ([]float64, error) {
	switch op {
	case FoldCount:
		return nil, nil
	case FoldMin:
		return p.Values(s, block.DayMin)
	case FoldMax:
		return p.Values(s, block.DayMax)
	case FoldLast:
		return p.Values(s, block.DayLast)
	}
	return p.Values(s, block.DaySum)
}

// others says whether a head, or another block of the same partition, may have
// rows in the day that ends at end: newer or older revisions of its own.
func (sc *scratch) others(b *blockFile, end int64) bool {
	lo, hi := sc.around(end)
	for i := lo; i < hi; i++ {
		p := &sc.pieces[i]
		if p.block == b || p.last <= end-dayLen || p.block != nil && p.block.info.Partition != b.info.Partition {
			continue
		}
		if p.block != nil || p.run.Find(end-dayLen+1) < p.run.Find(end+1) {
			return true
		}
	}
	return false
}

// around returns the pieces, from lo to before hi, among which are all that have
// rows in the day that ends at end. Who asks for one day after the other does not
// look far.
func (sc *scratch) around(end int64) (lo, hi int) {
	for hi = sc.near; hi < len(sc.pieces) && sc.pieces[hi].first <= end; hi++ {
	}
	for hi > 0 && sc.pieces[hi-1].first > end {
		hi--
	}
	sc.near = hi
	for lo = hi; lo > 0 && sc.lasts[lo-1] > end-dayLen; {
		lo--
	}
	return lo, hi
}

// dayFolder folds the windows of one series.
type dayFolder struct {
	*view
	ctx   context.Context
	sc    *scratch
	query Query
	op    FoldOp
	next  int // the first day that may lie in the next window
}

// window folds the samples after from up to to. Where it took days the number
// of samples may leave out some that cannot change the value.
func (f *dayFolder) window(from, to int64) (n int64, value float64, err error) {
	days := f.days(from, to)
	a := accumulator{op: f.op, best: best(days, f.op), mixed: len(days) > 0}
	at := from
	for _, d := range days {
		if err := f.rows(&a, at, d.end-dayLen); err != nil {
			return 0, 0, err
		}
		a.day(d)
		at = d.end
	}
	if err := f.rows(&a, at, to); err != nil {
		return 0, 0, err
	}
	n, value = a.result()
	return n, value, nil
}

// days returns those that lie whole after from up to to; windows are asked for in
// order.
func (f *dayFolder) days(from, to int64) []day {
	all := f.sc.days
	for f.next < len(all) && all[f.next].end < from+dayLen {
		f.next++
	}
	end := f.next
	for end < len(all) && all[end].end <= to {
		end++
	}
	return all[f.next:end]
}

// best returns the extreme of some days, where an extreme is wanted.
func best(days []day, op FoldOp) *day {
	var out *day
	for i := range days {
		d := &days[i]
		if d.count > 0 && (out == nil || op == FoldMax && d.value > out.value || op == FoldMin && d.value < out.value) {
			out = d
		}
	}
	if op != FoldMax && op != FoldMin {
		return nil
	}
	return out
}

// rows adds what lies after from up to to, read row by row, unless it is known
// that there is nothing, or nothing that matters.
func (f *dayFolder) rows(a *accumulator, from, to int64) error {
	if from >= to {
		return nil
	}
	ps := f.pieces(from, to)
	if len(ps) == 0 || f.beaten(a, from, to) {
		return nil
	}
	if f.glance(a, ps, from, to) {
		return nil
	}
	f.query.From, f.query.To = quantrac.Millis(from+1), quantrac.Millis(to)
	s := &f.sc.series
	s.reuse(nil)
	if err := f.seen(f.ctx, f.sc, s, ps, &f.query, 0); err != nil {
		return err
	}
	_, values := dropStale(s.Times, s.Values)
	a.samples(values)
	return nil
}

// glance is rows for the extreme of one piece that is kept decoded, if that is all
// there is; ok says so.
func (f *dayFolder) glance(a *accumulator, ps []piece, from, to int64) (ok bool) {
	p := &ps[0]
	if f.op != FoldMax && f.op != FoldMin || !a.mixed || len(ps) > 1 || p.block == nil || !p.simple || p.maxCommit > f.AsOf {
		return false
	}
	chunk := f.db.decoded.get(p)
	if chunk == nil {
		return false
	}
	v, n, ok := chunk.extreme(p.column, from+1, to, f.query.Qualities, f.op)
	if ok && n > 0 {
		a.part(int64(n), v)
	}
	return ok
}

// pieces returns those that may have rows after from up to to.
func (f *dayFolder) pieces(from, to int64) []piece {
	out := f.sc.pieces[:0] // held has them all
	for i := range f.sc.held {
		if p := &f.sc.held[i]; p.first <= to && p.last > from {
			out = append(out, *p)
		}
	}
	return out
}

// beaten says that the part of a day that a window cuts off cannot hold its
// extreme, because the whole day does not.
func (f *dayFolder) beaten(a *accumulator, from, to int64) bool {
	if a.best == nil {
		return false
	}
	days := f.sc.days
	i, _ := slices.BinarySearchFunc(days, to, func(d day, t int64) int { return cmp.Compare(d.end, t) })
	if i == len(days) || days[i].end-dayLen > from {
		return false
	}
	d := &days[i]
	return d.count == 0 || f.op == FoldMax && d.value < a.best.value || f.op == FoldMin && d.value > a.best.value
}
