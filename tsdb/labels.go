package tsdb

import (
	"cmp"
	"context"
	"slices"

	"quantrac"
)

// Series returns the label sets of the series that pass and whose revisions,
// from the first to the last, reach into the time range; sorted. No rows are
// read: a deleted series is listed as well.
func (db *DB) Series(ctx context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis) ([]quantrac.Labels, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	ts := db.targets(ctx, ms)
	db.apply.RLock() // all of one state
	defer db.apply.RUnlock()
	out := make([]quantrac.Labels, 0, len(ts))
	for _, t := range ts {
		t.g.mu.Lock()
		in := t.s.reaches(from, to)
		t.g.mu.Unlock()
		if in {
			out = append(out, t.labels())
		}
	}
	return out, nil
}

// reaches says whether the series' revisions reach into a time range.
func (s *series) reaches(from, to quantrac.Millis) bool {
	return s.first <= int64(to) && s.last >= int64(from)
}

// LabelNames returns the label names of the series that Series would return,
// sorted.
func (db *DB) LabelNames(ctx context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis) (out []string, err error) {
	err = db.matched(ctx, ms, func(ids []uint32) {
		out = db.index.Names(db.reaching(ids, metricMatchers(ms), from, to))
	})
	return out, err
}

// LabelValues returns the values of a label among the series that Series would
// return, sorted, the first limit of them (0 for all).
func (db *DB) LabelValues(ctx context.Context, name string, ms []*quantrac.Matcher, from, to quantrac.Millis, limit int) (out []string, err error) {
	err = db.matched(ctx, ms, func(ids []uint32) {
		if name == quantrac.LabelMetric {
			out = db.metricsOf(ids, metricMatchers(ms), from, to)
			out = out[:min(len(out), cmp.Or(limit, len(out)))]
		} else {
			out = db.index.Values(name, db.reaching(ids, metricMatchers(ms), from, to), limit)
		}
	})
	return out, err
}

// matched calls read, all of one state, with the groups of series that may pass.
func (db *DB) matched(ctx context.Context, ms []*quantrac.Matcher, read func(ids []uint32)) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	ids := db.index.Match(ms, quantrac.PrincipalFrom(ctx).Stations) // commits do not wait for it
	db.apply.RLock()
	defer db.apply.RUnlock()
	read(ids)
	return nil
}

// reaching returns those of the groups that have a series whose metric passes
// and that reaches into a time range. It changes ids.
func (db *DB) reaching(ids []uint32, metric []*quantrac.Matcher, from, to quantrac.Millis) []uint32 {
	pass := passer(metric)
	return slices.DeleteFunc(ids, func(id uint32) bool {
		return !db.groups.at(id).reaches(from, to, pass)
	})
}

// reaches says whether the group has a series that passes and reaches into a time
// range.
func (g *group) reaches(from, to quantrac.Millis, pass func(*metric) bool) bool {
	g.mu.Lock()
	for i := range int(g.count) {
		if s := g.at(i); s.reaches(from, to) && pass(s.metric) {
			g.mu.Unlock()
			return true
		}
	}
	g.mu.Unlock()
	return false
}

// metricsOf returns the metrics of such series, sorted. It looks at groups until
// every metric that they can have is found.
func (db *DB) metricsOf(ids []uint32, metric []*quantrac.Matcher, from, to quantrac.Millis) []string {
	missing := map[string]bool{}
	for _, m := range db.index.Values(quantrac.LabelMetric, ids, 0) {
		if passes(m, metric) {
			missing[m] = true
		}
	}
	out := make([]string, 0, len(missing))
	for _, id := range ids {
		if len(missing) == 0 {
			break
		}
		db.groups.at(id).each(func(_ int, s *series) bool {
			if s.reaches(from, to) && missing[s.metric.name] {
				delete(missing, s.metric.name)
				out = append(out, s.metric.name)
			}
			return true
		})
	}
	slices.Sort(out)
	return out
}

// metricMatchers returns those of the matchers that are about the metric name.
func metricMatchers(ms []*quantrac.Matcher) []*quantrac.Matcher {
	var metric []*quantrac.Matcher
	for _, m := range ms {
		if m.Name == quantrac.LabelMetric {
			metric = append(metric, m)
		}
	}
	return metric
}

// passer returns whether metrics pass matchers. It remembers: series are many, their
// metrics few.
func passer(matchers []*quantrac.Matcher) func(*metric) bool {
	if len(matchers) == 0 {
		return func(*metric) bool { return true }
	}
	known := map[*metric]bool{}
	var last *metric
	var passed bool
	return func(m *metric) bool {
		if m == last {
			return passed
		}
		ok, met := known[m]
		if !met {
			ok = passes(m.name, matchers)
			known[m] = ok
		}
		last, passed = m, ok
		return ok
	}
}

func passes(property string, metric []*quantrac.Matcher) bool {
	for _, m := range metric {
		if !m.Matches(property) {
			return false
		}
	}
	return true
}
