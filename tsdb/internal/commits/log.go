// Package commits keeps what the store must know of commits for ever, long
// after the journal has dropped them: the time of each, so that a read as of a
// time finds the commit and a revision can say when it was made; and what
// people changed, by whom, why, and what of it was revoked.
//
// New commits gather in memory; Write puts them into a file of their own, and
// Merge makes one file of several. Merged files keep times in whole seconds,
// rounded up: milliseconds that nothing predicts would be most of all that a
// message's commit takes on disk. A Log is safe for concurrent use. Only
// package tsdb imports it.
package commits

import (
	"sort"
	"sync"

	"quantrac"
)

// Change is a commit by a person.
type Change struct {
	Commit     uint64
	Author     string
	Reason     string
	Correction string // "" for one that cannot be revoked
	Revocation bool   // it withdraws Correction
	// Revoked is the number of the commit that revoked this one, 0 where none
	// has. It is not stored but follows from the revocations.
	Revoked uint64
}

// Log is the commits of a store. Use NewLog.
type Log struct {
	mu      sync.RWMutex
	files   []*File           // oldest first
	tail    []quantrac.Commit // not in a file
	recent  []*Change         // not in a file
	changes map[uint64]*Change
	// standing are the commits of each correction that nobody has revoked.
	standing map[string][]*Change
}

// NewLog returns a log of what is in files, oldest first.
func NewLog(files []*File) *Log {
	l := &Log{files: files, changes: map[uint64]*Change{}, standing: map[string][]*Change{}}
	for _, f := range files {
		for _, c := range f.changes {
			l.enter(c)
		}
		f.changes = nil
	}
	return l
}

// enter makes a change known; changes come in the order of their commits.
func (l *Log) enter(c *Change) {
	l.changes[c.Commit] = c
	if c.Revocation {
		for _, s := range l.standing[c.Correction] {
			s.Revoked = c.Commit
		}
		delete(l.standing, c.Correction)
	} else if c.Correction != "" {
		l.standing[c.Correction] = append(l.standing[c.Correction], c)
	}
}

// Add enters a commit that changed the store, later than all before it; change
// is what a person did by it, nil for others.
func (l *Log) Add(c quantrac.Commit, change *Change) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.tail = append(l.tail, c)
	if change != nil {
		l.recent = append(l.recent, change)
		l.enter(change)
	}
}

// Change returns what a person did by a commit.
func (l *Log) Change(commit uint64) (Change, bool) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if c := l.changes[commit]; c != nil {
		return *c, true
	}
	return Change{}, false
}

// Revoked returns the number of the commit that revoked another, 0 where none
// has.
func (l *Log) Revoked(commit uint64) uint64 {
	l.mu.RLock()
	defer l.mu.RUnlock()
	if c := l.changes[commit]; c != nil {
		return c.Revoked
	}
	return 0
}

// Stands says whether a correction has commits that are not revoked.
func (l *Log) Stands(correction string) bool {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return len(l.standing[correction]) > 0
}

// Time returns the time of a commit that was added, UpToSecond once its file has
// been merged; NotFound for others.
func (l *Log) Time(number uint64) (quantrac.Millis, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	at := func(cs []quantrac.Commit) (quantrac.Millis, bool) {
		i := sort.Search(len(cs), func(i int) bool { return cs[i].Number >= number })
		if i < len(cs) && cs[i].Number == number {
			return cs[i].Time, true
		}
		return 0, false
	}
	if t, ok := at(l.tail); ok {
		return t, nil
	}
	i := sort.Search(len(l.files), func(i int) bool { return l.files[i].last.Number >= number })
	if i < len(l.files) {
		f := l.files[i]
		cs, err := f.cached(f.holding(number))
		if err != nil {
			return 0, err
		}
		if t, ok := at(cs); ok {
			return t, nil
		}
	}
	return 0, quantrac.Errorf(quantrac.NotFound, "commit %d changed nothing in the store", number)
}

// AsOf returns the number of the last commit whose Time is not after t, rounded
// down to a second, 0 for none. It is the same before files are merged and after.
func (l *Log) AsOf(t quantrac.Millis) (uint64, error) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	t = -UpToSecond(-t)
	// The first commit after t, sought from the newest piece backwards.
	if len(l.tail) > 0 && l.tail[0].Time <= t {
		i := sort.Search(len(l.tail), func(i int) bool { return l.tail[i].Time > t })
		return l.tail[i-1].Number, nil
	}
	for i := len(l.files) - 1; i >= 0; i-- {
		f := l.files[i]
		if f.first.Time > t {
			continue
		}
		if f.last.Time <= t {
			return f.last.Number, nil
		}
		k := sort.Search(len(f.pages), func(k int) bool { return f.counted(f.pages[k].first).Time > t }) - 1
		cs, err := f.cached(k)
		if err != nil {
			return 0, err
		}
		n := sort.Search(len(cs), func(n int) bool { return cs[n].Time > t })
		return cs[n-1].Number, nil
	}
	return 0, nil
}

// Each gives the commits in files from one number to another, both inclusive, to
// show, in order. No file may be replaced meanwhile.
func (l *Log) Each(first, last uint64, show func(quantrac.Commit)) error {
	for _, f := range l.Files() {
		if f.first.Number > last || f.last.Number < first {
			continue
		}
		for k := f.holding(first); k < len(f.pages) && f.pages[k].first.Number <= last; k++ {
			cs, err := f.read(&f.pages[k])
			if err != nil {
				return err
			}
			for _, c := range cs {
				if c.Number >= first && c.Number <= last {
					show(c)
				}
			}
		}
	}
	return nil
}

// Pending returns the commits that are in no file, and how to say that they
// have got into one: Settle.
func (l *Log) Pending() ([]quantrac.Commit, []*Change) {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.tail[:len(l.tail):len(l.tail)], l.recent[:len(l.recent):len(l.recent)]
}

// Settle puts a file in the place of the oldest pending commits, those written
// to it.
func (l *Log) Settle(f *File, commits, changes int) {
	l.mu.Lock()
	defer l.mu.Unlock()
	f.changes = nil
	l.files = append(l.files[:len(l.files):len(l.files)], f)
	l.tail = append([]quantrac.Commit(nil), l.tail[commits:]...)
	l.recent = append([]*Change(nil), l.recent[changes:]...)
}

// Files returns the files, oldest first.
func (l *Log) Files() []*File {
	l.mu.RLock()
	defer l.mu.RUnlock()
	return l.files
}

// Replace puts a merged file in the place of the files from position from to
// before to. The old ones may still be read until no call is under way that
// began before.
func (l *Log) Replace(from, to int, merged *File) {
	l.mu.Lock()
	defer l.mu.Unlock()
	merged.changes = nil
	files := append([]*File(nil), l.files[:from]...)
	files = append(files, merged)
	l.files = append(files, l.files[to:]...)
}

// Changes returns the changes of the files from position from to before to,
// in the order of their commits.
func (l *Log) changesBetween(first, last uint64) []*Change {
	var out []*Change
	for n, c := range l.changes {
		if n >= first && n <= last {
			out = append(out, c)
		}
	}
	sort.Slice(out, func(i, j int) bool { return out[i].Commit < out[j].Commit })
	return out
}
