package tsdb

import (
	"context"
	"iter"
	"slices"

	"quantrac"
	"quantrac/tsdb/internal/rows"
)

// target is a series that passes the matchers of a call.
type target struct {
	g    *group
	col  int
	s    *series
	made *quantrac.Labels // its labels, nil where they have to be made
}

// labels returns the labels of the series. They are made when they are asked for:
// of a million series few are looked at.
func (t target) labels() quantrac.Labels {
	if t.made != nil {
		return *t.made
	}
	out := make(quantrac.Labels, 0, t.g.labelCount()+1)
	for c := (labelCursor{rest: t.g.key, metric: t.s.metric.name}); c.next(); {
		out = append(out, c.at)
	}
	return out
}

// number tells series apart; none has 0.
func (t target) number() uint64 { return uint64(t.g.id)<<32 | uint64(t.col) + 1 }

// targets returns the series that pass and that the principal of the context
// may see, sorted by their labels. Nobody changes them: they may be kept.
func (db *DB) targets(ctx context.Context, ms []*quantrac.Matcher) []target {
	stations := quantrac.PrincipalFrom(ctx).Stations
	key, short := choiceKey(ms, stations)
	// Who has seen a row of a series finds it: the series came into the order first.
	generation := db.order.generation.Load()
	if short {
		if ts, ok := db.choices.get(key, generation); ok {
			return ts
		}
	}
	ts := db.choose(ms, stations)
	if short && db.order.generation.Load() == generation {
		db.choices.put(key, ts, generation)
	}
	return ts
}

// choose is targets of what is not kept.
func (db *DB) choose(ms []*quantrac.Matcher, stations []string) []target {
	passed := passer(metricMatchers(ms))
	ids := db.index.Match(ms, stations)
	return db.order.pick(&db.groups, func(pass func(*series)) {
		for _, id := range ids {
			db.groups.at(id).each(func(_ int, s *series) bool {
				if passed(s.metric) {
					pass(s)
				}
				return true
			})
		}
	})
}

// Select yields the series that pass, sorted by labels, each with the values
// that are seen between From and To; a series without any is left out. All are
// of one state of the store, whatever is written meanwhile. After an error,
// which comes alone, nothing follows.
//
// Errors: Invalid where MaxSeries or MaxSamples is exceeded, Corrupt for
// damaged blocks, Unavailable for unreadable ones, the context's.
func (db *DB) Select(ctx context.Context, q Query) iter.Seq2[*Series, error] {
	return func(yield func(*Series, error) bool) {
		show := func(s *Series) bool { return yield(s, nil) }
		var err error
		if q.Reuse {
			err = readAhead(ctx, db, &q, &db.selecting, func(ctx context.Context, v *view, sc *scratch, t target, out *Series) (int, error) {
				out.reuse(t.labels())
				err := v.series(ctx, sc, out, t, &q, q.MaxSamples)
				return len(out.Times), err
			}, show)
		} else {
			err = db.reading(&q, func(v *view) error {
				return v.run(ctx, &q, db.targets(ctx, q.Matchers), func(_ target, s *Series) bool { return show(s) })
			})
		}
		if err != nil {
			yield(nil, err)
		}
	}
}

// reading runs a read on a view as the query wants it.
func (db *DB) reading(q *Query, read func(v *view) error) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	db.reads.Add(1)
	v := db.view()
	defer v.release()
	if err := v.restrict(q); err != nil {
		return err
	}
	return read(v)
}

// bounds are those of a query, and what counts against them.
type bounds struct {
	*Query
	series, samples int
}

func (b *bounds) add(samples int) error {
	b.series++
	b.samples += samples
	if b.MaxSeries > 0 && b.series > b.MaxSeries {
		return quantrac.Errorf(quantrac.Invalid, "the query reads more than %d series; narrow its matchers", b.MaxSeries)
	}
	if b.MaxSamples > 0 && b.samples > b.MaxSamples {
		return quantrac.Errorf(quantrac.Invalid, "the query reads more than %d samples; narrow its time range or its matchers", b.MaxSamples)
	}
	return nil
}

// run reads one series after the other until yield has enough.
func (v *view) run(ctx context.Context, q *Query, ts []target, yield func(target, *Series) bool) error {
	sc := v.db.scratch.Get().(*scratch)
	defer v.db.scratch.Put(sc)
	b := bounds{Query: q}
	for _, t := range ts {
		if err := ctx.Err(); err != nil {
			return err
		}
		out := &Series{Labels: t.labels()}
		most := 0
		if q.MaxSamples > 0 {
			most = max(q.MaxSamples-b.samples, 1) // one more is an error already
		}
		if err := v.series(ctx, sc, out, t, q, most); err != nil {
			return err
		}
		if len(out.Times) == 0 {
			continue
		}
		if err := b.add(len(out.Times)); err != nil {
			return err
		}
		if !yield(t, out) {
			return nil
		}
	}
	return nil
}

// Revisions returns every revision of a series' value at a time, in the order
// of their commits, whose times may be rounded up to a second as Query.AsOf
// says; NotFound for a series that is not known, or that the principal may not
// see.
func (db *DB) Revisions(ctx context.Context, labels quantrac.Labels, t quantrac.Millis) ([]quantrac.Revision, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	target, ok := db.target(ctx, labels)
	if !ok {
		return nil, quantrac.Errorf(quantrac.NotFound, "no series %v", labels)
	}
	v := db.view()
	defer v.release()
	sc := db.scratch.Get().(*scratch)
	defer db.scratch.Put(sc)
	ps, err := v.pieces(sc, target.g, target.col, int64(t), int64(t))
	if err != nil {
		return nil, err
	}
	cells, err := v.cells(sc, ps, int64(t), int64(t), wantReceived)
	if err != nil {
		return nil, err
	}
	var out Versions
	err = v.every(&out, dropLater(cells, v.AsOf))
	return out.Revisions, err
}

// dropLater leaves out what a view as of a commit does not know, and the
// redelivered.
func dropLater(cells []rows.Cell, asOf uint64) []rows.Cell {
	return rows.Drop(slices.DeleteFunc(cells, func(c rows.Cell) bool { return c.Commit > asOf }))
}

// target finds one series by its labels.
func (db *DB) target(ctx context.Context, labels quantrac.Labels) (target, bool) {
	if p := quantrac.PrincipalFrom(ctx); p.Stations != nil && (labels.Station() == "" || !slices.Contains(p.Stations, labels.Station())) {
		return target{}, false
	}
	id, ok := db.index.Lookup(labels.Without(quantrac.LabelMetric).AppendKey(nil))
	if !ok {
		return target{}, false
	}
	g := db.groups.at(id)
	col, s, ok := g.metricNamed(labels.Metric())
	return target{g: g, col: col, s: s}, ok
}
