package alerting

import (
	"context"
	"iter"
	"slices"

	"quantrac"
)

// Visible says whether a principal may see a warning when it asks for an
// audience: staff warnings only staff, warnings of stations that are not its
// own nobody.
func Visible(p quantrac.Principal, audience quantrac.Audience, w *quantrac.Warning) bool {
	if w.Audience != quantrac.AudiencePublic && (audience != quantrac.AudienceStaff || !p.Staff()) {
		return false
	}
	return p.Stations == nil || slices.Contains(p.Stations, w.Station)
}

// Current returns the open episodes, each by its newest revision, in the order
// these were said: public ones, and for AudienceStaff the technical ones too
// where the principal in the context is staff.
func (a *Alerting) Current(ctx context.Context, audience quantrac.Audience) []quantrac.Warning {
	p := quantrac.PrincipalFrom(ctx)
	return slices.DeleteFunc(a.feed.open(), func(w quantrac.Warning) bool { return !Visible(p, audience, &w) })
}

// Standing returns the open episodes whose newest revisions were said after a
// commit and up to another, by these, of any audience: for the channels.
func (a *Alerting) Standing(after, upTo uint64) []quantrac.Warning {
	return slices.DeleteFunc(a.feed.open(), func(w quantrac.Warning) bool { return w.Commit <= after || w.Commit > upTo })
}

// Get returns the newest revision of an episode.
func (a *Alerting) Get(ctx context.Context, id string) (quantrac.Warning, error) {
	all, err := a.Episode(ctx, id)
	if err != nil {
		return quantrac.Warning{}, err
	}
	return all[len(all)-1], nil
}

// Episode returns all revisions of an episode, rising; NotFound where there is
// none that the principal may see.
func (a *Alerting) Episode(ctx context.Context, id string) ([]quantrac.Warning, error) {
	ws, err := a.EpisodeSince(ctx, id, 0)
	if err != nil {
		return nil, err
	}
	p := quantrac.PrincipalFrom(ctx)
	ws = slices.DeleteFunc(ws, func(w quantrac.Warning) bool { return !Visible(p, quantrac.AudienceStaff, &w) })
	if len(ws) == 0 {
		return nil, quantrac.Errorf(quantrac.NotFound, "there is no warning %q", id)
	}
	return ws, nil
}

// EpisodeSince returns the revisions of an episode from a commit on, of any
// audience: for the channels.
func (a *Alerting) EpisodeSince(ctx context.Context, id string, from uint64) ([]quantrac.Warning, error) {
	fresh := a.feed.newest(func(w *quantrac.Warning) bool { return w.ID == id && w.Commit >= from })
	ws, err := a.warnings(ctx, "SELECT body FROM revisions WHERE id = ? AND commit_number >= ? ORDER BY commit_number", id, int64(from))
	return merge(ws, fresh), err
}

// merge adds to revisions from the tables, in the order of commits, those in
// memory that the tables do not have yet: they follow with a delay, on a full
// disk a long one.
func merge(stored, fresh []quantrac.Warning) []quantrac.Warning {
	last := uint64(0)
	if n := len(stored); n > 0 {
		last = stored[n-1].Commit
	}
	for _, w := range fresh {
		if w.Commit > last {
			stored = append(stored, w)
		}
	}
	return stored
}

// Selection narrows History. Zero values select everything.
type Selection struct {
	Station  string
	From, To quantrac.Millis // of the time sent; To 0 is open
	Audience quantrac.Audience
	Before   uint64 // only revisions of a lower commit: the next page
	Limit    int    // 100, at most 1000
}

// History returns revisions, the newest first.
func (a *Alerting) History(ctx context.Context, sel Selection) ([]quantrac.Warning, error) {
	if sel.Limit <= 0 {
		sel.Limit = 100
	}
	sel.Limit = min(sel.Limit, 1000)
	if sel.To == 0 {
		sel.To = quantrac.MaxMillis
	}
	if sel.Before == 0 {
		sel.Before = 1 << 62
	}
	p := quantrac.PrincipalFrom(ctx)
	fresh := a.feed.newest(func(w *quantrac.Warning) bool {
		return w.Commit < sel.Before && w.Sent >= sel.From && w.Sent <= sel.To && (sel.Station == "" || w.Station == sel.Station)
	})
	slices.Reverse(fresh)
	out := []quantrac.Warning{}
	for before, first := sel.Before, true; ; first = false {
		// What may not be seen is left out here and not in SQL: one rule, in
		// one place.
		ws, err := a.warnings(ctx, `SELECT body FROM revisions WHERE commit_number < ? AND sent_ms >= ? AND sent_ms <= ? AND (? = '' OR station = ?)
			ORDER BY commit_number DESC LIMIT 500`, int64(before), int64(sel.From), int64(sel.To), sel.Station, sel.Station)
		if err != nil {
			return nil, err
		}
		page := ws
		if first {
			page = slices.DeleteFunc(fresh, func(w quantrac.Warning) bool { return len(ws) > 0 && w.Commit <= ws[0].Commit })
			page = append(page, ws...)
		}
		for i := range page {
			if Visible(p, sel.Audience, &page[i]) {
				out = append(out, page[i])
			}
			if len(out) == sel.Limit {
				return out, nil
			}
		}
		if len(ws) < 500 {
			return out, nil
		}
		before = ws[len(ws)-1].Commit
	}
}

// Recent returns the public revisions sent since a time and all of the open
// public episodes, in the order they were said: what a feed shows.
func (a *Alerting) Recent(ctx context.Context, since quantrac.Millis) ([]quantrac.Warning, error) {
	open := map[string]bool{}
	for _, w := range a.feed.open() {
		open[w.ID] = true
	}
	fresh := a.feed.newest(func(w *quantrac.Warning) bool { return w.Sent >= since || open[w.ID] })
	ws, err := a.warnings(ctx, `SELECT body FROM revisions WHERE audience = 'public'
		AND (sent_ms >= ? OR id IN (SELECT id FROM episodes WHERE ended = 0)) ORDER BY commit_number`, int64(since))
	if err != nil {
		return nil, err
	}
	p := quantrac.PrincipalFrom(ctx)
	return slices.DeleteFunc(merge(ws, fresh), func(w quantrac.Warning) bool { return !Visible(p, quantrac.AudiencePublic, &w) }), nil
}

// Position returns the commit of the newest revision told; Follow after it
// yields what is said from now on.
func (a *Alerting) Position() uint64 {
	a.feed.mu.Lock()
	defer a.feed.mu.Unlock()
	if n := len(a.feed.ring); n > 0 {
		return a.feed.ring[n-1].Commit
	}
	return a.feed.floor
}

// Changed returns a channel that is closed when something is said after the
// call, or a subscription changes.
func (a *Alerting) Changed() <-chan struct{} { return a.feed.wait() }

// Revisions returns up to limit revisions after a commit, of all audiences, in
// the order of commits: for the channels, which filter by themselves.
func (a *Alerting) Revisions(ctx context.Context, after uint64, limit int) ([]quantrac.Warning, error) {
	ws, floor, ok := a.feed.after(after, limit)
	if ok {
		return ws, nil
	}
	if err := a.tables.Wait(ctx, floor); err != nil {
		return nil, err
	}
	ws, err := a.warnings(ctx, "SELECT body FROM revisions WHERE commit_number > ? ORDER BY commit_number LIMIT ?", int64(after), limit)
	if err == nil && len(ws) == 0 {
		ws, _, _ = a.feed.after(floor, limit) // newer than the tables, or nothing
	}
	return ws, err
}

// Follow iterates over the revisions after a commit that the principal in ctx
// may see, in the order of commits, and waits for more until ctx ends or the
// room is closed, which it reports as the last. Nothing is skipped, however
// slowly the caller takes them, and nothing piles up in memory.
func (a *Alerting) Follow(ctx context.Context, after uint64, audience quantrac.Audience) iter.Seq2[quantrac.Warning, error] {
	p := quantrac.PrincipalFrom(ctx)
	return func(yield func(quantrac.Warning, error) bool) {
		for {
			changed := a.Changed()
			ws, err := a.Revisions(ctx, after, 64)
			if err != nil {
				yield(quantrac.Warning{}, err)
				return
			}
			for i := range ws {
				after = ws[i].Commit
				if Visible(p, audience, &ws[i]) && !yield(ws[i], nil) {
					return
				}
			}
			if len(ws) > 0 {
				continue
			}
			select {
			case <-changed:
			case <-ctx.Done():
				yield(quantrac.Warning{}, ctx.Err())
				return
			case <-a.closed:
				yield(quantrac.Warning{}, quantrac.Errorf(quantrac.Unavailable, "alerting is closed"))
				return
			}
		}
	}
}
