package tsdb

import (
	"context"
	"math"
	"slices"
	"time"

	"quantrac"
	"quantrac/tsdb/internal/rows"
)

// Latest returns the last value (see Last) of every series that passes and has
// one, sorted by labels. It is a scan of memory; only after corrections, and
// after Open, values are looked up in blocks, once.
func (db *DB) Latest(ctx context.Context, ms []*quantrac.Matcher) ([]Last, error) {
	if err := db.enter(); err != nil {
		return nil, err
	}
	defer db.leave()
	ts := db.targets(ctx, ms)
	out := make([]Last, 0, len(ts))
	var unknown []unknownLast
	v := db.lastValues(ts, &out, &unknown)
	defer v.release()
	if len(unknown) == 0 {
		return out, nil
	}
	if err := db.resolveLast(ctx, v, unknown, &out); err != nil {
		return nil, err
	}
	slices.SortFunc(out, func(a, b Last) int { return a.Labels.Compare(b.Labels) })
	return out, nil
}

const (
	// lastAtOnce is about how many last values are looked up without a pause.
	lastAtOnce = 32
	// lastPiece is how many groups are looked through while no commit is applied.
	lastPiece = 1 << 12
	// lastAfter is how long that waits for what is asked first, lastQuiet how long for
	// nothing to be read, and lastPatience how long it does so in all.
	lastAfter    = 5 * time.Second
	lastQuiet    = time.Second
	lastPatience = time.Minute
)

// lookUpLast looks up all last values that are not known, so that the first reader
// need not. Everybody asks for something after a restart: it lets them go first, and
// leaves three quarters of a processor to who asks later.
func (db *DB) lookUpLast(ctx context.Context) error {
	patience := lastPatience - lastAfter
	if err := db.giveWay(ctx, lastAfter, &patience); err != nil {
		return err
	}
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	var out []Last
	found := false
	// By number, as blocks have told of them: in the order of their labels all of a
	// million series would have to be sorted and held, of which mostly none is unknown.
	for from, n := uint32(0), db.groups.n.Load(); from < n; {
		start := time.Now()
		unknown, next, v := db.unknownLasts(from, n)
		from = next
		out = out[:0]
		err := db.resolveLast(ctx, v, unknown, &out)
		v.release()
		if err != nil {
			return err
		}
		if len(unknown) == 0 {
			continue
		}
		found = true
		if err := db.giveWay(ctx, 3*time.Since(start), &patience); err != nil {
			return err
		}
	}
	if found { // who asks first after a restart need not sort either
		db.order.settle(&db.groups)
	}
	return nil
}

// giveWay waits for a time, and on until nothing is read for a while or the patience,
// which that takes from, has come to an end.
func (db *DB) giveWay(ctx context.Context, wait time.Duration, patience *time.Duration) error {
	for {
		reads := db.reads.Load()
		select {
		case <-time.After(wait):
		case <-ctx.Done():
			return ctx.Err()
		}
		if db.reads.Load() == reads || *patience <= 0 {
			return nil
		}
		wait = lastQuiet
		*patience -= wait
	}
}

// unknownLasts returns series of the groups from one number on, up to another, whose
// last values have to be looked up, a view of the state in which they are unknown, and
// where to go on.
func (db *DB) unknownLasts(from, to uint32) (unknown []unknownLast, next uint32, v *view) {
	db.apply.RLock()
	defer db.apply.RUnlock()
	for next = from; next < min(to, from+lastPiece) && len(unknown) < lastAtOnce; next++ {
		g := db.groups.at(next)
		g.each(func(col int, s *series) bool {
			if s.state == lastUnknown {
				unknown = append(unknown, unknownLast{target{g: g, col: col, s: s}, s.changes})
			}
			return true
		})
	}
	return unknown, next, db.viewLocked()
}

// unknownLast is a series whose last value has to be looked up.
type unknownLast struct {
	target
	changes uint16 // of the series when that was found
}

// lastValues takes the values that are known, all of one state, and a view of
// that state for the others.
func (db *DB) lastValues(ts []target, out *[]Last, unknown *[]unknownLast) *view {
	db.apply.RLock()
	defer db.apply.RUnlock()
	for _, t := range ts {
		t.g.mu.Lock()
		state, value, q, changes := t.s.state, t.s.value, t.s.quality, t.s.changes
		t.g.mu.Unlock()
		switch state {
		case lastKnown:
			*out = append(*out, value.last(t, q))
		case lastUnknown:
			*unknown = append(*unknown, unknownLast{t, changes})
		}
	}
	return db.viewLocked()
}

func (v *lastValue) last(t target, q uint8) Last {
	return Last{
		Labels: t.labels(), Time: quantrac.Millis(v.time), Value: v.value, Quality: quality(q),
		Received: quantrac.Millis(v.received), Commit: v.commit,
	}
}

// resolveLast looks up last values and remembers those that no commit has
// touched meanwhile.
func (db *DB) resolveLast(ctx context.Context, v *view, unknown []unknownLast, out *[]Last) error {
	sc := db.scratch.Get().(*scratch)
	defer db.scratch.Put(sc)
	for _, u := range unknown {
		if err := ctx.Err(); err != nil {
			return err
		}
		value, q, ok, err := v.newest(sc, u.target)
		if err != nil {
			return err
		}
		state := lastNone
		if ok {
			state = lastKnown
			*out = append(*out, value.last(u.target, q))
		}
		u.g.mu.Lock()
		if u.s.state == lastUnknown && u.s.changes == u.changes {
			u.s.set(state, value, q)
		}
		u.g.mu.Unlock()
	}
	return nil
}

// newest finds the last value of a series from the end backwards.
func (v *view) newest(sc *scratch, t target) (lastValue, uint8, bool, error) {
	ps, err := v.pieces(sc, t.g, t.col, math.MinInt64, math.MaxInt64)
	if err != nil {
		return lastValue{}, 0, false, err
	}
	// Clusters as when reading forward, the last one first.
	var ends []int
	for at := 0; at < len(ps); {
		at += cluster(ps[at:])
		ends = append(ends, at)
	}
	for i, end := range slices.Backward(ends) {
		start := 0
		if i > 0 {
			start = ends[i-1]
		}
		cells, err := v.cells(sc, ps[start:end], math.MinInt64, math.MaxInt64, wantReceived)
		if err != nil {
			return lastValue{}, 0, false, err
		}
		value, q, ok, err := v.newestOf(cells)
		if ok || err != nil {
			return value, q, ok, err
		}
	}
	return lastValue{}, 0, false, nil
}

func (v *view) newestOf(cells []rows.Cell) (lastValue, uint8, bool, error) {
	times := map[uint64]quantrac.Millis{} // of commits: a forecast has many values by one
	for end := len(cells); end > 0; {
		start := end - 1
		for start > 0 && cells[start-1].Time == cells[end-1].Time {
			start--
		}
		if k := v.Pick(cells[start:end]); k >= 0 {
			c := &cells[start+k]
			at, ok := times[c.Commit]
			if !ok {
				var err error
				if at, err = v.db.log.Time(c.Commit); err != nil {
					return lastValue{}, 0, false, err
				}
				times[c.Commit] = at
			}
			commit := quantrac.Commit{Number: c.Commit, Time: at}
			if countsAsLast(c.Quality, c.Time, commit) {
				return lastValue{time: c.Time, value: c.Value, received: c.Received, commit: commit}, c.Quality, true, nil
			}
		}
		end = start
	}
	return lastValue{}, 0, false, nil
}
