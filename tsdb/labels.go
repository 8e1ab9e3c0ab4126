package tsdb

import (
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
		t.g.mu.RLock()
		in := t.s.first <= int64(to) && t.s.last >= int64(from)
		t.g.mu.RUnlock()
		if in {
			out = append(out, t.s.labels)
		}
	}
	return out, nil
}

// LabelNames returns the label names of the series that Series would return,
// sorted.
func (db *DB) LabelNames(ctx context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis) ([]string, error) {
	all, err := db.Series(ctx, ms, from, to)
	seen := map[string]struct{}{}
	for _, ls := range all {
		for _, l := range ls {
			seen[l.Name] = struct{}{}
		}
	}
	return sortedKeys(seen, 0), err
}

// LabelValues returns the values of a label among the series that Series would
// return, sorted, the first limit of them (0 for all).
func (db *DB) LabelValues(ctx context.Context, name string, ms []*quantrac.Matcher, from, to quantrac.Millis, limit int) ([]string, error) {
	all, err := db.Series(ctx, ms, from, to)
	seen := map[string]struct{}{}
	for _, ls := range all {
		if v := ls.Get(name); v != "" {
			seen[v] = struct{}{}
		}
	}
	return sortedKeys(seen, limit), err
}

func sortedKeys(set map[string]struct{}, limit int) []string {
	out := make([]string, 0, len(set))
	for s := range set {
		out = append(out, s)
	}
	slices.Sort(out)
	if limit > 0 && len(out) > limit {
		out = out[:limit]
	}
	return out
}
