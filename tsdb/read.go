package tsdb

import (
	"context"
	"math"
	"slices"

	"quantrac"
	"quantrac/tsdb/internal/rows"
)

// loaded is the rows of a piece, for one series. Slices are shared with others.
type loaded struct {
	times   []int64
	commits []uint64
	recv    []int64
	kinds   []uint8
	col     rows.Column
}

// wanted says what is to be known of the rows of a piece beside times and cells.
type wanted uint8

const (
	wantCells    wanted = iota // nothing: a simple piece as it stands
	wantKinds                  // kinds, and commits of human rows: all of it counts
	wantCommits                // kinds and commits
	wantReceived               // received times too
)

// load reads a piece, at least what of it lies between two times.
func (v *view) load(sc *scratch, p *piece, from, to int64, want wanted) (loaded, error) {
	if p.block == nil {
		return sc.rows(p, from, to, want == wantCells), nil
	}
	var err error
	if sc.buf, err = p.block.r.Read(&sc.data, &p.chunk, p.columns, sc.buf); err != nil {
		return loaded{}, err
	}
	if sc.times, err = sc.data.Times(sc.times[:0]); err != nil {
		return loaded{}, err
	}
	sc.col.Values, sc.col.Qualities = sc.col.Values[:0], sc.col.Qualities[:0]
	if sc.col, err = sc.data.Column(sc.col, p.column, canonicalNaN); err != nil {
		return loaded{}, err
	}
	out := loaded{times: sc.times, col: sc.col}
	if want == wantCells {
		return out, nil
	}
	if sc.kinds, err = sc.data.Kinds(sc.kinds[:0]); err != nil {
		return loaded{}, err
	}
	var few []uint8
	if want == wantKinds {
		few = sc.kinds
	}
	if sc.commits, err = sc.data.Commits(sc.commits[:0], sc.times, few); err != nil {
		return loaded{}, err
	}
	out.commits, out.kinds = sc.commits, sc.kinds
	if want == wantReceived {
		if sc.recv, err = sc.data.Received(sc.recv[:0], sc.times); err != nil {
			return loaded{}, err
		}
		out.recv = sc.recv
	}
	return out, nil
}

// rows reads a run of a head.
func (sc *scratch) rows(p *piece, from, to int64, simple bool) loaded {
	at, end := p.run.Find(from), p.run.Len()
	if to < math.MaxInt64 {
		end = p.run.Find(to + 1)
	}
	sc.col = p.run.Column(rows.Column{Values: sc.col.Values[:0], Qualities: sc.col.Qualities[:0]}, p.col, at, end)
	if simple {
		sc.times = p.run.Times(sc.times[:0], at, end)
		return loaded{times: sc.times, col: sc.col}
	}
	sc.times, sc.commits, sc.recv, sc.kinds = p.run.Shared(sc.times[:0], sc.commits[:0], sc.recv[:0], sc.kinds[:0], at, end)
	return loaded{sc.times, sc.commits, sc.recv, sc.kinds, sc.col}
}

// cells gathers the cells of pieces between two times, in order, and what is
// wanted of them.
func (v *view) cells(sc *scratch, ps []piece, from, to int64, want wanted) ([]rows.Cell, error) {
	sc.cells = sc.cells[:0]
	for i := range ps {
		if p := &ps[i]; want != wantReceived && v.oldest(ps, p) {
			sc.older.reuse(nil)
			if err := v.plainBlock(sc, &sc.older, p, from, to, quantrac.AllQualities); err != nil {
				return nil, err
			}
			for k, t := range sc.older.Times {
				sc.cells = append(sc.cells, rows.Cell{Time: int64(t), Commit: p.chunk.MinCommit, Value: sc.older.Values[k], Quality: uint8(sc.older.Qualities[k])})
			}
			continue
		}
		l, err := v.load(sc, &ps[i], from, to, want)
		if err != nil {
			return nil, err
		}
		at, end := span(l.times, from, to)
		end = min(end, len(l.col.Qualities))
		for ; at < end; at++ {
			q := l.col.Qualities[at]
			if q == rows.Absent {
				continue
			}
			c := rows.Cell{Time: l.times[at], Commit: l.commits[at], Value: l.col.Values[at], Kind: l.kinds[at], Quality: q}
			if want == wantReceived {
				c.Received = l.recv[at]
			}
			sc.cells = append(sc.cells, c)
		}
	}
	rows.Sort(sc.cells)
	return sc.cells, nil
}

// oldest says whether a piece is a simple one whose commits all count and lie
// before those of the other pieces: a chunk among rows of heads. Which commits
// exactly brought its cells, and of which kind they are, does then not matter to
// what is seen.
func (v *view) oldest(ps []piece, p *piece) bool {
	if p.block == nil || !p.simple || p.maxCommit > v.AsOf {
		return false
	}
	for i := range ps {
		if o := &ps[i]; o != p && o.block != nil {
			return false
		}
	}
	return true
}

// span returns the positions of the times from from to to, inclusive.
func span(times []int64, from, to int64) (at, end int) {
	t := rows.Table{Times: times}
	if len(times) == 0 || times[0] >= from {
		at = 0
	} else {
		at = t.Find(from)
	}
	if to == math.MaxInt64 || len(times) == 0 || times[len(times)-1] <= to {
		return at, len(times)
	}
	return at, t.Find(to + 1)
}

// sameTime returns how many of the cells from the first on have its time.
func sameTime(cells []rows.Cell) int {
	n := 1
	for n < len(cells) && cells[n].Time == cells[0].Time {
		n++
	}
	return n
}

// series appends to out what the view shows of a series; where that is more
// than most (0 for no bound) it may stop early.
func (v *view) series(ctx context.Context, sc *scratch, out *Series, t target, q *Query, most int) error {
	from, to := int64(q.From), int64(q.To)
	if v.nothing || from > to {
		return nil
	}
	ps, err := v.pieces(sc, t.g, t.col, from, to)
	if err != nil {
		return err
	}
	return v.seen(ctx, sc, out, ps, q, most)
}

// seen is series of the pieces of one, in order.
func (v *view) seen(ctx context.Context, sc *scratch, out *Series, ps []piece, q *Query, most int) error {
	from, to := int64(q.From), int64(q.To)
	total := 0
	for i := range ps {
		total += ps[i].within(from, to)
	}
	out.grow(total)
	for len(ps) > 0 && (most == 0 || len(out.Times) <= most) {
		n := cluster(ps)
		err := ctx.Err()
		switch p := &ps[0]; {
		case err != nil:
		case n == 1 && p.simple && p.maxCommit <= v.AsOf:
			err = v.plain(sc, out, p, from, to, q.Qualities)
		default:
			err = v.resolve(sc, out, ps[:n], from, to, q.Qualities)
		}
		if err != nil {
			return err
		}
		ps = ps[n:]
	}
	return nil
}

// plain appends a piece as it stands.
func (v *view) plain(sc *scratch, out *Series, p *piece, from, to int64, qs quantrac.QualitySet) error {
	if p.block != nil {
		return v.plainBlock(sc, out, p, from, to, qs)
	}
	l, err := v.load(sc, p, from, to, wantCells)
	if err != nil {
		return err
	}
	at, end := span(l.times, from, to)
	out.addShown(l.times[at:end], l.col.Values[at:end], l.col.Qualities[at:end], qs)
	return nil
}

// plainBlock is plain of a chunk, which is decoded unless what is asked for of it
// is kept.
func (v *view) plainBlock(sc *scratch, out *Series, p *piece, from, to int64, qs quantrac.QualitySet) error {
	if chunk := v.db.decoded.get(p); chunk != nil && chunk.appendTo(out, p.column, from, to, qs) {
		return nil
	}
	l, err := v.load(sc, p, from, to, wantCells)
	if err != nil {
		return err
	}
	at, end := span(l.times, from, to)
	if p.keeps() && at < end {
		v.db.decoded.offer(p, &l, at, end)
	}
	out.addShown(l.times[at:end], l.col.Values[at:end], l.col.Qualities[at:end], qs)
	return nil
}

// shows says whether a cell is there and of one of the qualities.
func shows(qs quantrac.QualitySet, q uint8) bool { return q != rows.Absent && qs.Has(quality(q)) }

// resolve appends what is seen of pieces whose rows lie between one another's.
func (v *view) resolve(sc *scratch, out *Series, ps []piece, from, to int64, qs quantrac.QualitySet) error {
	want := wantCommits
	if len(ps) == 1 && ps[0].maxCommit <= v.AsOf {
		want = wantKinds // they are in order, and what is revoked is human
	}
	cells, err := v.cells(sc, ps, from, to, want)
	if err != nil {
		return err
	}
	for len(cells) > 0 {
		n := sameTime(cells)
		if k := v.Pick(cells[:n]); k >= 0 && qs.Has(quality(cells[k].Quality)) {
			out.add(cells[k].Time, cells[k].Value, cells[k].Quality)
		}
		cells = cells[n:]
	}
	return nil
}

func (s *Series) add(t int64, v float64, q uint8) {
	s.Times = append(s.Times, quantrac.Millis(t))
	s.Values = append(s.Values, v)
	s.Qualities = append(s.Qualities, quality(q))
}

// addShown appends the cells that are of one of the qualities: most often all of
// them, or long stretches.
func (s *Series) addShown(times []int64, values []float64, qualities []uint8, qs quantrac.QualitySet) {
	for at := 0; at < len(times); {
		n := at
		for n < len(times) && shows(qs, qualities[n]) {
			n++
		}
		s.addAll(times[at:n], values[at:n], qualities[at:n])
		at = n + 1
	}
}

// addAll appends stretches of columns.
func (s *Series) addAll(times []int64, values []float64, qualities []uint8) {
	from := len(s.Times)
	s.Times = slices.Grow(s.Times, len(times))[:from+len(times)]
	for i, t := range times {
		s.Times[from+i] = quantrac.Millis(t)
	}
	s.Values = append(s.Values, values...)
	s.Qualities = slices.Grow(s.Qualities, len(times))[:from+len(times)]
	for i, q := range qualities {
		s.Qualities[from+i] = quality(q)
	}
}

// grow makes room for up to n values, within reason.
func (s *Series) grow(n int) {
	n = min(n, 1<<16)
	s.Times = slices.Grow(s.Times, n)
	s.Values = slices.Grow(s.Values, n)
	s.Qualities = slices.Grow(s.Qualities, n)
}

// reuse empties the columns for another series.
func (s *Series) reuse(labels quantrac.Labels) {
	s.Labels, s.Times, s.Values, s.Qualities = labels, s.Times[:0], s.Values[:0], s.Qualities[:0]
}
