package tsdb

import (
	"context"
	"iter"

	"quantrac"
	"quantrac/tsdb/internal/rows"
)

// Export says what Versions reads.
type Export struct {
	// Query is what Select would read; MaxSeries, MaxSamples and Reuse mean
	// nothing here.
	Query
	// Every asks for every revision and not for what a reader sees: of any
	// quality, with DeviceOnly those of devices.
	Every bool
	// Want says whether a series that passes is wanted; nil wants all.
	Want func(quantrac.Labels) bool
}

// Versions is a stretch of one series: parallel columns, times rising, with
// Every repeated where a value has several revisions. What is yielded is valid
// until the next is.
type Versions struct {
	Labels     quantrac.Labels
	Index, Of  int // which series it is among those that pass, from 0; how many do
	Times      []quantrac.Millis
	Revisions  []quantrac.Revision // but for their Commit.Time, Author, Reason and Revoked, unless Every
	lastNumber uint64              // of the commit looked up last
	lastTime   quantrac.Millis
}

// versionsAtOnce is how many revisions a stretch has at most.
const versionsAtOnce = 8192

// Versions yields series as Select does, of one state of the store, but a
// stretch at a time, so that a series of any length takes little memory, and
// with where each value comes from. It is for reading all there is: who reads
// for an answer wants Select. Errors are those of Select.
func (db *DB) Versions(ctx context.Context, e Export) iter.Seq2[*Versions, error] {
	return func(yield func(*Versions, error) bool) {
		err := db.reading(&e.Query, func(v *view) error {
			sc := db.scratch.Get().(*scratch)
			defer db.scratch.Put(sc)
			ts := db.targets(ctx, e.Matchers)
			out := &Versions{Of: len(ts)}
			for i, t := range ts {
				out.Index, out.Labels = i, t.labels()
				if e.Want != nil && !e.Want(out.Labels) {
					continue
				}
				more, err := v.versions(ctx, sc, out, t, &e, func() bool { return yield(out, nil) })
				if err != nil || !more {
					return err
				}
			}
			return nil
		})
		if err != nil {
			yield(nil, err)
		}
	}
}

// versions yields a series, partition by partition; false when nobody wants more.
func (v *view) versions(ctx context.Context, sc *scratch, out *Versions, t target, e *Export, yield func() bool) (more bool, err error) {
	t.g.mu.Lock()
	from, to := max(int64(e.From), t.s.first), min(int64(e.To), t.s.last)
	t.g.mu.Unlock()
	for from <= to && !v.nothing {
		if err := ctx.Err(); err != nil {
			return false, err
		}
		_, last := partitionOf(from)
		last = min(last, to)
		ps, err := v.pieces(sc, t.g, t.col, from, last)
		if err != nil {
			return false, err
		}
		cells, err := v.cells(sc, ps, from, last, wantReceived)
		if err != nil {
			return false, err
		}
		more, err := v.stretches(out, cells, e, yield)
		if err != nil || !more {
			return false, err
		}
		from = last + 1
	}
	return true, nil
}

// stretches yields sorted cells of a series.
func (v *view) stretches(out *Versions, cells []rows.Cell, e *Export, yield func() bool) (more bool, err error) {
	out.Times, out.Revisions = out.Times[:0], out.Revisions[:0]
	for len(cells) > 0 {
		n := sameTime(cells)
		one := cells[:n]
		cells = cells[n:]
		if e.Every {
			err = v.every(out, dropLater(one, v.AsOf))
		} else if k := v.Pick(one); k >= 0 && e.Qualities.Has(quality(one[k].Quality)) {
			out.add(&one[k])
		}
		if err != nil {
			return false, err
		}
		if len(out.Times) >= versionsAtOnce || len(cells) == 0 && len(out.Times) > 0 {
			if !yield() {
				return false, nil
			}
			out.Times, out.Revisions = out.Times[:0], out.Revisions[:0]
		}
	}
	return true, nil
}

func (out *Versions) add(c *rows.Cell) {
	r := quantrac.Revision{
		Value: c.Value, Quality: quality(c.Quality), Received: quantrac.Millis(c.Received), Commit: quantrac.Commit{Number: c.Commit},
	}
	if c.Kind == rows.Human {
		r.Layer = quantrac.LayerHuman
	}
	out.Times, out.Revisions = append(out.Times, quantrac.Millis(c.Time)), append(out.Revisions, r)
}

// every adds the revisions of one time.
func (v *view) every(out *Versions, cells []rows.Cell) error {
	for i := range cells {
		c := &cells[i]
		if v.DeviceOnly && c.Kind == rows.Human {
			continue
		}
		out.add(c)
		if err := v.explain(&out.Revisions[len(out.Revisions)-1], out); err != nil {
			return err
		}
	}
	return nil
}

// explain says when a revision was made and, where a person made it, by whom and
// why.
func (v *view) explain(r *quantrac.Revision, out *Versions) (err error) {
	if n := r.Commit.Number; n != out.lastNumber || n == 0 {
		if out.lastTime, err = v.db.log.Time(n); err != nil {
			return err
		}
		out.lastNumber = n
	}
	r.Commit.Time = out.lastTime
	if r.Layer != quantrac.LayerHuman {
		return nil
	}
	ch, _ := v.db.log.Change(r.Commit.Number)
	r.Author, r.Reason, r.Correction = ch.Author, ch.Reason, ch.Correction
	if ch.Revoked <= v.AsOf {
		r.Revoked = ch.Revoked
	}
	return nil
}
