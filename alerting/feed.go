package alerting

import (
	"cmp"
	"slices"
	"sync"

	"quantrac"
)

// ringSize is how many of the newest revisions are kept in memory (up to twice
// as many) for who follows; who is further behind reads the tables.
const ringSize = 1024

// feed holds the newest revisions in the order of commits, and the open
// episodes.
type feed struct {
	mu      sync.Mutex
	floor   uint64 // everything after this commit is in ring
	ring    []quantrac.Warning
	current map[string]quantrac.Warning
	changed chan struct{} // closed and replaced when something is said
}

func (f *feed) init(applied uint64, open []*saying) {
	f.floor, f.current, f.changed = applied, map[string]quantrac.Warning{}, make(chan struct{})
	for _, s := range open {
		f.current[s.Warning.ID] = s.Warning
	}
}

// publish tells revisions that are durable.
func (a *Alerting) publish(part []*saying) {
	f := &a.feed
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range part {
		f.add(s.Warning)
		if i := slices.Index(states[:], s.Warning.State); i >= 0 {
			a.stats.said[i].Add(1)
		}
	}
	if n := len(f.ring) - ringSize; n >= ringSize { // seldom, so that it costs little
		f.floor = f.ring[n-1].Commit
		f.ring = append(f.ring[:0:0], f.ring[n:]...)
	}
	close(f.changed)
	f.changed = make(chan struct{})
}

// add takes a revision in; the lock is held, or nobody else is there yet.
func (f *feed) add(w quantrac.Warning) {
	f.ring = append(f.ring, w)
	if f.current[w.ID] = w; w.Ended() {
		delete(f.current, w.ID)
	}
}

// poke wakes who follows, without news of a warning.
func (f *feed) poke() {
	f.mu.Lock()
	defer f.mu.Unlock()
	close(f.changed)
	f.changed = make(chan struct{})
}

// after returns up to limit revisions after a commit from memory, or the
// commit up to which the tables must be asked.
func (f *feed) after(commit uint64, limit int) (ws []quantrac.Warning, floor uint64, ok bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if commit < f.floor {
		return nil, f.floor, false
	}
	i, _ := slices.BinarySearchFunc(f.ring, commit+1, func(w quantrac.Warning, c uint64) int { return cmp.Compare(w.Commit, c) })
	return slices.Clone(f.ring[i:min(len(f.ring), i+limit)]), 0, true
}

// newest returns the revisions in memory that pass, in the order of commits.
func (f *feed) newest(pass func(*quantrac.Warning) bool) []quantrac.Warning {
	f.mu.Lock()
	defer f.mu.Unlock()
	var out []quantrac.Warning
	for i := range f.ring {
		if pass(&f.ring[i]) {
			out = append(out, f.ring[i])
		}
	}
	return out
}

func (f *feed) wait() <-chan struct{} {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.changed
}

// open returns the newest revision of each open episode, in the order of
// commits.
func (f *feed) open() []quantrac.Warning {
	f.mu.Lock()
	defer f.mu.Unlock()
	out := make([]quantrac.Warning, 0, len(f.current))
	for _, w := range f.current {
		out = append(out, w)
	}
	slices.SortFunc(out, func(a, b quantrac.Warning) int { return cmp.Compare(a.Commit, b.Commit) })
	return out
}
