package tsdb

import (
	"cmp"
	"container/list"
	"context"
	"math"
	"slices"
	"sync"

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

// dayCache keeps pages of days, those used last, within a bound of bytes.
type dayCache struct {
	mu    sync.Mutex
	most  int
	bytes int
	pages map[dayKey]*list.Element
	used  list.List // of *dayEntry, the latest in front
}

type dayKey struct {
	block    *blockFile
	property string
	page     int
}

type dayEntry struct {
	key  dayKey
	page *block.DaysPage
}

// get returns a page, from its file where it is not kept.
func (c *dayCache) get(k dayKey) (*block.DaysPage, error) {
	if p := c.kept(k); p != nil {
		return p, nil
	}
	p, err := k.block.r.ReadDays(k.property, k.page)
	if err != nil {
		return nil, err
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if e := c.pages[k]; e != nil { // somebody else was quicker
		return e.Value.(*dayEntry).page, nil
	}
	if c.pages == nil {
		c.pages = map[dayKey]*list.Element{}
	}
	c.pages[k] = c.used.PushFront(&dayEntry{k, p})
	c.bytes += p.Bytes()
	for c.bytes > c.most && c.used.Len() > 1 {
		c.remove(c.used.Back())
	}
	return p, nil
}

func (c *dayCache) kept(k dayKey) *block.DaysPage {
	c.mu.Lock()
	defer c.mu.Unlock()
	e := c.pages[k]
	if e == nil {
		return nil
	}
	c.used.MoveToFront(e)
	return e.Value.(*dayEntry).page
}

func (c *dayCache) remove(e *list.Element) {
	d := c.used.Remove(e).(*dayEntry)
	c.bytes -= d.page.Bytes()
	delete(c.pages, d.key)
}

// drop lets go of the pages of a block.
func (c *dayCache) drop(b *blockFile) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for k, e := range c.pages {
		if k.block == b {
			c.remove(e)
		}
	}
}

// day is what one day of a series comes to: (end - 1 day, end].
type day struct {
	end   int64
	count int64
	value float64 // of the op; of an average the sum
}

// byDays says whether windows may be folded from days: as wide as one, and all
// cutting the days at the same places.
func (w Windows) byDays(q *Query) bool {
	return int64(w.Width) >= dayLen && (w.Count == 1 || int64(w.Step)%dayLen == 0) &&
		(q.Qualities == 0 || q.Qualities == quantrac.DefaultQualities)
}

// foldDays folds a series by days and says how many samples that was; ok is
// false, and nothing folded, where too few days are known for that to pay.
func (v *view) foldDays(ctx context.Context, sc *scratch, out *Folded, t target, q *Query, w Windows, op FoldOp) (samples int, ok bool, err error) {
	ps, err := v.pieces(sc, t.g, t.col, int64(q.From), int64(q.To))
	if err != nil || v.nothing {
		return 0, false, err
	}
	if err := v.knownDays(sc, t, q, op); err != nil || len(sc.days) == 0 {
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
	f := dayFolder{view: v, ctx: ctx, sc: sc, target: t, query: *q, op: op}
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
// up, in order.
func (v *view) knownDays(sc *scratch, t target, q *Query, op FoldOp) error {
	sc.days = sc.days[:0]
	for _, b := range v.state.blocks {
		if b.info.Last < int64(q.From) || b.info.First > int64(q.To) {
			continue
		}
		if ok, err := b.group(t.g, &sc.group); !ok || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		if err := v.daysIn(sc, b, t, op); err != nil {
			return err
		}
	}
	slices.SortFunc(sc.days, func(a, b day) int { return cmp.Compare(a.end, b.end) })
	return nil
}

// daysIn adds the days of the group at hand in one block.
func (v *view) daysIn(sc *scratch, b *blockFile, t target, op FoldOp) error {
	for i := range sc.group.Chunks {
		if sc.group.Chunks[i].MaxCommit > v.AsOf {
			return nil
		}
	}
	number, ok := b.r.DayPage(t.s.property, sc.group.position)
	if !ok {
		return nil
	}
	page, err := v.db.days.get(dayKey{b, t.s.property, number})
	if err != nil {
		return err
	}
	s, ok := page.Find(sc.group.position)
	if !ok {
		return nil
	}
	if sc.stats, err = statsOf(page, s, op, sc.stats[:0]); err != nil {
		return err
	}
	at := 0
	for k, c := range page.Counts(s) {
		d := day{end: s.First + int64(k)*dayLen, count: c - 1}
		if c > 1 && op != FoldCount {
			d.value = sc.stats[at]
			at++
		}
		if c > 0 && !sc.others(b, d.end) {
			sc.days = append(sc.days, d)
		}
	}
	return nil
}

func statsOf(p *block.DaysPage, s block.DaySeries, op FoldOp, dst []float64) ([]float64, error) {
	switch op {
	case FoldCount:
		return dst, nil
	case FoldMin:
		return p.Values(dst, s, block.DayMin)
	case FoldMax:
		return p.Values(dst, s, block.DayMax)
	case FoldFirst:
		return p.Values(dst, s, block.DayFirst)
	case FoldLast:
		return p.Values(dst, s, block.DayLast)
	}
	return p.Values(dst, s, block.DaySum)
}

// others says whether anything but a block may have rows in the day that ends
// at end.
func (sc *scratch) others(b *blockFile, end int64) bool {
	for i := range sc.pieces {
		p := &sc.pieces[i]
		if p.block == b || p.first > end || p.last <= end-dayLen {
			continue
		}
		if p.block != nil || p.run.Find(end-dayLen+1) < p.run.Find(end+1) {
			return true
		}
	}
	return false
}

// dayFolder folds the windows of one series.
type dayFolder struct {
	*view
	ctx    context.Context
	sc     *scratch
	target target
	query  Query
	op     FoldOp
}

// window folds the samples after from up to to. Where it took days the number
// of samples may leave out some that cannot change the value.
func (f *dayFolder) window(from, to int64) (n int64, value float64, err error) {
	days := f.sc.days
	lo, _ := slices.BinarySearchFunc(days, from+dayLen, func(d day, t int64) int { return cmp.Compare(d.end, t) })
	hi, _ := slices.BinarySearchFunc(days, to+1, func(d day, t int64) int { return cmp.Compare(d.end, t) })
	days = days[lo:max(lo, hi)]
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
	if from >= to || !f.any(from, to) || f.beaten(a, from, to) {
		return nil
	}
	f.query.From, f.query.To = quantrac.Millis(from+1), quantrac.Millis(to)
	s := &f.sc.series
	s.reuse(nil)
	if err := f.series(f.ctx, f.sc, s, f.target, &f.query, 0); err != nil {
		return err
	}
	_, values := dropStale(s.Times, s.Values)
	a.samples(values)
	return nil
}

// any says whether there may be rows after from up to to.
func (f *dayFolder) any(from, to int64) bool {
	return slices.ContainsFunc(f.sc.held, func(p piece) bool { return p.first <= to && p.last > from })
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

// accumulator joins days and stretches of samples, in order.
type accumulator struct {
	op    FoldOp
	mixed bool // there are days, and not just one stretch of samples
	best  *day
	n     int64
	value float64
	sum   float64 // with c, of sums and averages
	c     float64
	parts int
}

func (a *accumulator) day(d day) {
	if d.count > 0 {
		a.part(d.count, d.value)
	}
}

// samples adds values; alone in a window they are reduced as everywhere else.
func (a *accumulator) samples(values []float64) {
	if len(values) == 0 {
		return
	}
	if !a.mixed {
		a.n, a.value = int64(len(values)), reducer(a.op)(values)
		return
	}
	op := a.op
	if op == FoldAvg {
		op = FoldSum
	}
	a.part(int64(len(values)), reducer(op)(values))
}

// result returns how many samples there were and what they come to.
func (a *accumulator) result() (int64, float64) {
	if a.n == 0 || !a.mixed {
		return a.n, a.value
	}
	sum := a.sum
	if a.c == a.c {
		sum += a.c
	}
	switch a.op {
	case FoldCount:
		return a.n, float64(a.n)
	case FoldSum:
		return a.n, sum
	case FoldAvg:
		return a.n, sum / float64(a.n)
	}
	return a.n, a.value
}

func (a *accumulator) part(n int64, v float64) {
	a.parts++
	a.n += n
	switch a.op {
	case FoldSum, FoldAvg:
		a.sum, a.c = plus(v, a.sum, a.c)
	case FoldFirst:
		if a.parts == 1 {
			a.value = v
		}
	case FoldLast:
		a.value = v
	case FoldMin:
		if a.parts == 1 || v < a.value || a.value != a.value {
			a.value = v
		}
	case FoldMax:
		if a.parts == 1 || v > a.value || a.value != a.value {
			a.value = v
		}
	}
}
