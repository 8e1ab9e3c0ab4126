package tsdb

import (
	"context"
	"slices"
	"sync/atomic"

	"quantrac"
)

// Who keeps an answer wants to know whether it would still be the same. The store
// remembers of the rows that came last which group they are of and at which time
// they lie, which tells it apart for most answers.

// Mark is a moment of the store: what it knew then.
type Mark struct {
	commit uint64
	epoch  uint64 // see recent
}

// recent is the rows that came last; apply guards it.
type recent struct {
	rows [1 << 13]arrival // a ring
	n    uint64           // rows that ever came
	// epoch counts what changes answers without rows, or by rows that are not
	// told one by one. It may be read without apply.
	epoch atomic.Uint64
}

type arrival struct {
	commit uint64
	time   int64
	group  uint32
}

func (r *recent) add(commit uint64, time int64, group uint32) {
	r.rows[r.n%uint64(len(r.rows))] = arrival{commit, time, group}
	r.n++
}

// Mark returns the present moment: a read that begins after it knows all of it.
func (db *DB) Mark() Mark {
	db.apply.RLock()
	defer db.apply.RUnlock()
	return db.markLocked()
}

// markLocked is Mark for who holds apply.
func (db *DB) markLocked() Mark { return Mark{db.apply.applied, db.apply.recent.epoch.Load()} }

// Unchanged says whether reads of what passes between two times, both inclusive,
// show now what they showed at a moment. It may say no where they would: of old
// moments, or after many rows.
func (db *DB) Unchanged(ctx context.Context, since Mark, ms []*quantrac.Matcher, from, to quantrac.Millis) bool {
	groups, ok := db.groupsSince(since, int64(from), int64(to))
	if !ok {
		return false
	}
	// Matching takes what it takes; commits do not wait for it.
	var labels quantrac.Labels
	for _, id := range groups {
		labels = db.groups.at(id).appendLabels(labels[:0])
		if visible(ctx, labels, ms) {
			return false
		}
	}
	return db.apply.recent.epoch.Load() == since.epoch // else groups may have gone meanwhile
}

// visible says whether series of a group with these labels may pass, and be seen by
// the principal.
func visible(ctx context.Context, labels quantrac.Labels, ms []*quantrac.Matcher) bool {
	stations := quantrac.PrincipalFrom(ctx).Stations
	return passesGroup(labels, ms) && (stations == nil || slices.Contains(stations, labels.Station()))
}

// groupsSince returns the groups of what arrivedSince returns, sorted.
func (db *DB) groupsSince(since Mark, from, to int64) (groups []uint32, ok bool) {
	db.apply.RLock()
	defer db.apply.RUnlock()
	rows, ok := db.arrivedSince(since, from, to)
	for _, a := range rows {
		// Rows come group by group.
		if len(groups) == 0 || groups[len(groups)-1] != a.group {
			groups = append(groups, a.group)
		}
	}
	slices.Sort(groups)
	return slices.Compact(groups), ok
}

// arrivedSince returns the rows that have come since a moment and lie between two
// times; ok is false where that is not known, or other changes have come. The caller
// holds apply.
func (db *DB) arrivedSince(since Mark, from, to int64) (rows []arrival, ok bool) {
	r := &db.apply.recent
	if r.epoch.Load() != since.epoch || db.apply.closed {
		return nil, false
	}
	for i := r.n; i > 0; i-- {
		a := &r.rows[(i-1)%uint64(len(r.rows))]
		if a.commit <= since.commit {
			break
		}
		if r.n-i+1 == uint64(len(r.rows)) {
			return nil, false // there may be more behind it
		}
		if a.time >= from && a.time <= to {
			rows = append(rows, *a)
		}
	}
	return rows, true
}

// passesGroup says whether series of a group with these labels may pass.
func passesGroup(labels quantrac.Labels, ms []*quantrac.Matcher) bool {
	for _, m := range ms {
		if m.Name != quantrac.LabelMetric && !m.Matches(labels.Get(m.Name)) {
			return false
		}
	}
	return true
}
