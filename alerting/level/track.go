package level

import (
	"math"
	"sort"

	"quantrac"
)

// MaxWindow is how many readings of an open episode can still be corrected
// with effect on it: 42 days of a gauge read every 15 minutes. Older ones are
// settled.
const MaxWindow = 4096

// maxIdle bounds the unusable readings kept, in case they are corrected, after
// the last usable one while no episode is open.
const maxIdle = 16

// Reading is one reading or correction of a series, as it arrived.
type Reading struct {
	Time       quantrac.Millis // valid time, above 0
	Value      float64
	Quality    quantrac.Quality
	Layer      quantrac.Layer
	Correction string // id, of a human reading
	Commit     quantrac.Commit
}

// Change is what a transition does to the episode.
type Change uint8

// The changes.
const (
	None   Change = iota
	Issue         // a level is reached; an episode begins
	Update        // the level rises or falls to another
	Clear         // the water has been under for the hold; the episode ends
	Cancel        // the episode should not have been, or its thresholds were withdrawn
)

// String returns the change's name.
func (c Change) String() string {
	names := [...]string{"none", "issue", "update", "clear", "cancel"}
	if int(c) < len(names) {
		return names[c]
	}
	return "unknown change"
}

// Transition is what one input brought about; its zero value is nothing.
type Transition struct {
	Change    Change
	From, To  int              // levels
	Time      quantrac.Millis  // of the newest usable reading; 0 if none is left
	Value     float64          // of that reading
	Quality   quantrac.Quality // of that reading
	Corrected bool             // brought by a change of what was said before, not by a newer reading
	Withdrawn bool             // no threshold is in force any more
}

// Entry is one time of the window with all that was said about it, in the
// order of commits.
type Entry struct {
	Time quantrac.Millis
	Revs []quantrac.Revision
}

// Track is the state of one series under one rule. Its zero value has seen
// nothing. Fields are exported to be stored; only the methods may change them.
type Track struct {
	Base   Core    // before the first entry of the window
	Window []Entry // by rising time
	Core   Core    // after its last
	Told   int     // level told last; above 0 while an episode is open
}

func usable(v float64, q quantrac.Quality) bool {
	return q.Usable() && !math.IsNaN(v) && !math.IsInf(v, 0)
}

// seen returns the reading that is visible at the entry and usable.
func (e *Entry) seen() (v float64, q quantrac.Quality, ok bool) {
	r := quantrac.Visible(e.Revs, 0, false)
	if r == nil || !usable(r.Value, r.Quality) {
		return 0, 0, false
	}
	return r.Value, r.Quality, true
}

// Take takes a reading or a correction.
func (k *Track) Take(r *Rule, rd Reading) Transition {
	if rd.Time <= 0 {
		return Transition{}
	}
	i := sort.Search(len(k.Window), func(i int) bool { return k.Window[i].Time >= rd.Time })
	rev := quantrac.Revision{Value: rd.Value, Quality: rd.Quality, Layer: rd.Layer, Commit: rd.Commit, Correction: rd.Correction}
	if i < len(k.Window) && k.Window[i].Time == rd.Time {
		e := &k.Window[i]
		if rd.Layer == quantrac.LayerDevice && redelivered(e.Revs, rd.Value) {
			return Transition{}
		}
		e.Revs = append(e.Revs, rev)
		return k.refold(r, false)
	}
	if rd.Time <= k.Core.Last {
		return Transition{} // late, and nothing that the state rests on
	}
	k.Window = append(k.Window, Entry{})
	copy(k.Window[i+1:], k.Window[i:])
	k.Window[i] = Entry{rd.Time, []quantrac.Revision{rev}}
	if usable(rd.Value, rd.Quality) {
		// Whatever lies after it in the window is unusable.
		k.Core = r.Step(k.Core, rd.Time, rd.Value, rd.Quality)
	}
	return k.tell(r, true, false)
}

// Revoke withdraws the human revisions of a correction.
func (k *Track) Revoke(r *Rule, correction string, commit uint64) Transition {
	found := false
	for i := range k.Window {
		for j := range k.Window[i].Revs {
			rev := &k.Window[i].Revs[j]
			if rev.Layer == quantrac.LayerHuman && rev.Correction == correction && rev.Revoked == 0 && correction != "" {
				rev.Revoked, found = commit, true
			}
		}
	}
	if !found {
		return Transition{}
	}
	return k.refold(r, false)
}

// Refit judges an open episode anew under a changed rule. Without one it does
// nothing.
func (k *Track) Refit(r *Rule) Transition {
	if k.Told == 0 {
		return Transition{}
	}
	return k.refold(r, true)
}

// Resume makes a track that continues from a state, when what led to it is
// gone: an open episode of level told.
func Resume(c Core, told int) Track { return Track{Base: c, Core: c, Told: told} }

func redelivered(revs []quantrac.Revision, v float64) bool {
	for i := range revs {
		if revs[i].Layer == quantrac.LayerDevice && quantrac.SameValue(revs[i].Value, v) {
			return true
		}
	}
	return false
}

// refold folds the window again from its base and tells what differs.
func (k *Track) refold(r *Rule, rule bool) Transition {
	c, reached := k.Base, k.Base.Level > 0
	if rule && len(k.Window) == 0 && c.Last != 0 {
		// All that is left is the state itself; judge its reading again.
		c = r.Step(c, c.Last, c.Value, c.Quality)
	}
	for i := range k.Window {
		if v, q, ok := k.Window[i].seen(); ok {
			c = r.Step(c, k.Window[i].Time, v, q)
			reached = reached || c.Level > 0
		}
	}
	k.Core = c
	return k.tell(r, reached, true)
}

// tell compares the level with what was told, and trims the window.
func (k *Track) tell(r *Rule, reached, corrected bool) Transition {
	c := &k.Core
	tr := Transition{From: k.Told, To: c.Level, Time: c.Last, Value: c.Value, Quality: c.Quality, Corrected: corrected}
	switch {
	case c.Level == k.Told:
		tr = Transition{}
	case k.Told == 0:
		tr.Change = Issue
	case c.Level > 0:
		tr.Change = Update
	default:
		tr.Change = Clear
		if _, any := r.at(c.Last); !any && c.Last != 0 {
			tr.Change, tr.Withdrawn = Cancel, true
		} else if !reached {
			tr.Change = Cancel
		}
	}
	k.Told = c.Level
	k.trim(r)
	return tr
}

// trim settles what can no longer matter: all before the last usable reading
// while no episode is open, else all beyond MaxWindow.
func (k *Track) trim(r *Rule) {
	n := len(k.Window) - MaxWindow
	if k.Told == 0 {
		last := len(k.Window) - 1
		for last >= 0 && !k.usable(last) {
			last--
		}
		if len(k.Window)-1-last > maxIdle {
			k.Window = append(k.Window[:last+1], k.Window[last+2:]...)
		}
		n = last
	}
	if n <= 0 {
		return
	}
	for i := range k.Window[:n] {
		if v, q, ok := k.Window[i].seen(); ok {
			k.Base = r.Step(k.Base, k.Window[i].Time, v, q)
		}
	}
	rest := copy(k.Window, k.Window[n:])
	clear(k.Window[rest:])
	k.Window = k.Window[:rest]
	if k.Told == 0 && cap(k.Window) > 4*maxIdle {
		k.Window = append([]Entry(nil), k.Window...) // the memory of an episode goes with it
	}
}

func (k *Track) usable(i int) bool {
	_, _, ok := k.Window[i].seen()
	return ok
}
