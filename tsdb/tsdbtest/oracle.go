package tsdbtest

import (
	"context"
	"math"
	"slices"

	"quantrac"
	"quantrac/tsdb"
)

// Oracle is the store as simple as it can be: every revision of every series
// and time in maps, looked through from one end to the other by each read. It
// keeps what it holds over Open and Crash, being its own Subject. It is not
// for concurrent use.
type Oracle struct {
	o       Options
	commits []quantrac.Commit // commits[i] has number i+1
	series  map[string]*oracleSeries
}

type oracleSeries struct {
	labels quantrac.Labels
	revs   map[quantrac.Millis][]quantrac.Revision // in the order of commits
}

// NewOracle returns an empty oracle, to be opened.
func NewOracle() *Oracle { return &Oracle{series: map[string]*oracleSeries{}} }

// Open implements Subject. Like a journal it refuses a clock that stands
// before the last commit.
func (o *Oracle) Open(opt Options) (Engine, error) {
	if n := len(o.commits); n > 0 && opt.Clock.Now() < o.commits[n-1].Time {
		return nil, quantrac.Errorf(quantrac.Unavailable, "the clock stands before the last commit")
	}
	o.o = opt
	return o, nil
}

// Crash implements Subject: everything acknowledged is durable.
func (o *Oracle) Crash() {}

// Flush implements Engine.
func (o *Oracle) Flush(context.Context) error { return nil }

// Compact implements Engine.
func (o *Oracle) Compact(context.Context) error { return nil }

// Close implements Engine.
func (o *Oracle) Close() error { return nil }

// now is the centre's time, which never goes back behind a commit.
func (o *Oracle) now() quantrac.Millis {
	now := o.o.Clock.Now()
	if n := len(o.commits); n > 0 {
		now = max(now, o.commits[n-1].Time)
	}
	return now
}

func (o *Oracle) commit() quantrac.Commit {
	c := quantrac.Commit{Number: uint64(len(o.commits) + 1), Time: o.now()}
	o.commits = append(o.commits, c)
	return c
}

// point is a cell on its way into a series.
type point struct {
	labels   quantrac.Labels
	t        quantrac.Millis
	received quantrac.Millis
	cell     quantrac.Cell
}

// Append implements Engine.
func (o *Oracle) Append(_ context.Context, b *quantrac.Batch) (quantrac.Receipt, error) {
	var rc quantrac.Receipt
	if err := tsdb.Validate(b); err != nil {
		return rc, err
	}
	if b.Kind == quantrac.Revocation {
		return o.revoke(b)
	}
	var points []point
	groups := map[string]bool{}
	ahead := map[int]bool{}
	for _, r := range b.Rows {
		group := o.identity(b.Kind, r.Group)
		if err := group.Validate(); err != nil {
			return rc, quantrac.WithKind(quantrac.Invalid, err)
		}
		groups[group.Key()] = true
		for _, c := range r.Cells {
			if c.Quality == quantrac.Missing {
				c.Value = math.NaN()
			}
			p := point{group.With(quantrac.LabelMetric, c.Property), r.Time, r.Received, c}
			isAhead := b.Kind == quantrac.Readings && r.Time > o.now().Add(quantrac.MaxAhead)
			if isAhead && c.Quality != quantrac.Missing {
				p.cell.Quality = quantrac.Fail
			}
			at := slices.IndexFunc(points, func(q point) bool { return q.t == p.t && q.labels.Equal(p.labels) })
			if at >= 0 {
				rc.Collisions++
				points[at] = p
			} else {
				at = len(points)
				points = append(points, p)
			}
			ahead[at] = isAhead
		}
	}
	for _, a := range ahead {
		if a {
			rc.Ahead++
		}
	}
	rc.Commit = o.commit()
	for _, p := range points {
		if o.put(b, p, rc.Commit) {
			rc.Stored++
		} else {
			rc.Redelivered++
		}
	}
	if b.Kind == quantrac.Forecasts {
		o.void(groups, b.Issue, rc.Commit)
	}
	return rc, nil
}

// put adds a revision unless the point is a redelivery.
func (o *Oracle) put(b *quantrac.Batch, p point, c quantrac.Commit) bool {
	key := p.labels.Key()
	s := o.series[key]
	if s == nil {
		s = &oracleSeries{labels: p.labels, revs: map[quantrac.Millis][]quantrac.Revision{}}
		o.series[key] = s
	}
	if b.Kind == quantrac.Readings {
		for _, r := range s.revs[p.t] {
			if r.Layer == quantrac.LayerDevice && quantrac.SameValue(r.Value, p.cell.Value) {
				return false
			}
		}
	}
	s.revs[p.t] = append(s.revs[p.t], quantrac.Revision{
		Value: p.cell.Value, Quality: p.cell.Quality, Layer: b.Layer(), Commit: c, Received: p.received,
		Author: b.Author, Reason: b.Reason, Correction: b.Correction,
	})
	return true
}

// void withdraws what an earlier run said after the issue time and the run of
// commit c does not say again.
func (o *Oracle) void(groups map[string]bool, issue quantrac.Millis, c quantrac.Commit) {
	for _, s := range o.series {
		if !groups[s.labels.Without(quantrac.LabelMetric).Key()] {
			continue
		}
		for t, revs := range s.revs {
			newest := quantrac.Visible(revs, 0, true)
			if t > issue && newest != nil && newest.Commit != c && newest.Quality != quantrac.Missing {
				s.revs[t] = append(revs, quantrac.Revision{
					Value: math.NaN(), Quality: quantrac.Missing, Layer: quantrac.LayerDevice, Commit: c,
				})
			}
		}
	}
}

func (o *Oracle) revoke(b *quantrac.Batch) (quantrac.Receipt, error) {
	var hit []*quantrac.Revision
	for _, s := range o.series {
		for _, revs := range s.revs {
			for i := range revs {
				if revs[i].Layer == quantrac.LayerHuman && revs[i].Correction == b.Correction && revs[i].Revoked == 0 {
					hit = append(hit, &revs[i])
				}
			}
		}
	}
	if len(hit) == 0 {
		return quantrac.Receipt{}, quantrac.Errorf(quantrac.NotFound, "no correction %q stands", b.Correction)
	}
	c := o.commit()
	for _, r := range hit {
		r.Revoked = c.Number
	}
	return quantrac.Receipt{Commit: c}, nil
}

// identity renames a device's tags that are registry keys, and strips those
// that others got from a join.
func (o *Oracle) identity(kind quantrac.BatchKind, ls quantrac.Labels) quantrac.Labels {
	for _, l := range ls {
		if len(l.Name) < 2 || l.Name[:2] != "__" {
			if o.o.Reserved == nil || !o.o.Reserved(l.Name) {
				continue
			}
		}
		ls = ls.Without(l.Name)
		if kind == quantrac.Readings {
			name := "exported_" + l.Name
			for ls.Get(name) != "" {
				name = "exported_" + name
			}
			ls = ls.With(name, l.Value)
		}
	}
	return ls
}

// Delete implements Engine.
func (o *Oracle) Delete(ctx context.Context, d tsdb.Deletion) (quantrac.Receipt, error) {
	b := &quantrac.Batch{Kind: quantrac.Corrections, Author: d.Author, Reason: d.Reason, Correction: d.Correction}
	if len(d.Matchers) == 0 || d.Author == "" || d.Reason == "" {
		return quantrac.Receipt{}, quantrac.Errorf(quantrac.Invalid, "a deletion wants matchers, author and reason")
	}
	for s, err := range o.Select(ctx, tsdb.Query{Matchers: d.Matchers, From: d.From, To: d.To, Qualities: quantrac.AllQualities}) {
		if err != nil {
			return quantrac.Receipt{}, err
		}
		for i, t := range s.Times {
			if s.Qualities[i] == quantrac.Missing {
				continue
			}
			b.Rows = append(b.Rows, quantrac.Row{Group: s.Labels.Without(quantrac.LabelMetric), Time: t,
				Cells: []quantrac.Cell{{Property: s.Labels.Metric(), Value: math.NaN(), Quality: quantrac.Missing}}})
		}
	}
	if len(b.Rows) == 0 {
		return quantrac.Receipt{}, nil
	}
	return o.Append(ctx, b)
}
