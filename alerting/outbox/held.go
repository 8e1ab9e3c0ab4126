package outbox

import (
	"context"
	"slices"

	"quantrac"
	"quantrac/alerting"
)

func (w *worker) isHeld(id string) bool {
	return slices.ContainsFunc(w.p.Held, func(h alerting.Held) bool { return h.ID == id })
}

// tooOld says whether a revision has been tried for long enough: it is old, and
// the receiver has failed for as long. (Old alone would not do: a recording
// drives the service's clock, but not ours.)
func (w *worker) tooOld(v *quantrac.Warning, since quantrac.Millis) bool {
	return w.b.o.Clock.Now().Sub(max(v.Sent, since)) > w.b.o.GiveUp
}

// retry tries the revisions of a held episode, in order, up to where the
// subscription is.
func (w *worker) retry(ctx context.Context, s alerting.Subscription, h alerting.Held) error {
	all, err := w.b.src.EpisodeSince(ctx, h.ID, h.From)
	if err != nil {
		return err
	}
	for i := range all {
		v := &all[i]
		if v.Commit > w.p.Commit {
			break
		}
		outcome := alerting.Delivered
		if err := w.b.send(ctx, s, v, h.Standing && v.Commit == h.From); err != nil {
			if !failure(err).Refused {
				return err
			}
			if p := w.held[h.ID]; p == nil || !w.tooOld(v, p.since) {
				w.hold(h.ID, err)
				return nil
			}
			outcome = alerting.GivenUp
			w.b.note(w.id, func(st *Status) { st.Failures++; st.LastError = err.Error() })
		}
		w.setHeld(h.ID, v.Commit+1)
		w.done(ctx, v, outcome, "")
	}
	w.release(h.ID)
	w.save(ctx)
	return nil
}

func (w *worker) setHeld(id string, from uint64) {
	for i := range w.p.Held {
		if w.p.Held[i].ID == id {
			w.p.Held[i].From, w.p.Held[i].Standing = from, false
		}
	}
}

func (w *worker) release(id string) {
	w.p.Held = slices.DeleteFunc(w.p.Held, func(h alerting.Held) bool { return h.ID == id })
	delete(w.held, id)
}

// hold notes that an episode was refused.
func (w *worker) hold(id string, err error) {
	p := w.held[id]
	if p == nil {
		p = &pause{since: w.b.o.Clock.Now()}
		w.held[id] = p
	}
	p.attempts++
	p.next = w.b.o.Clock.Now().Add(w.backoff(p.attempts, failure(err).RetryAfter))
	w.b.note(w.id, func(st *Status) { st.Failures++; st.LastError = err.Error() })
	w.b.o.Logger.Warn("outbox: revision refused; its episode waits", "subscription", w.id, "episode", id, "error", err)
}
