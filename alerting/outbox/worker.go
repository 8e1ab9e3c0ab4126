package outbox

import (
	"context"
	"errors"
	"math/rand/v2"
	"reflect"
	"slices"
	"time"

	"quantrac"
	"quantrac/alerting"
)

// page is how many revisions are read at a time.
const page = 16

// worker serves one subscription.
type worker struct {
	b        *Outbox
	id       string
	rng      *rand.Rand
	p        alerting.Progress
	attempts int             // failed in a row
	since    quantrac.Millis // when the first of them failed
	next     quantrac.Millis // not before
	held     map[string]*pause
}

// pause is how long an episode that was refused waits.
type pause struct {
	attempts int
	since    quantrac.Millis
	next     quantrac.Millis
}

// run serves the subscription until it is disabled, gone, or ctx ends.
func (w *worker) run(ctx context.Context) {
	w.p, w.held = w.b.src.Progress(w.id), map[string]*pause{}
	for ctx.Err() == nil {
		changed := w.b.src.Changed() // before looking, so that nothing is missed
		s, err := w.b.src.Subscription(w.id)
		if err != nil {
			w.b.forget(w.id)
		}
		if err != nil || s.Disabled {
			return
		}
		now := w.b.o.Clock.Now()
		if now < w.next {
			w.wait(ctx, changed, w.next, s)
			continue
		}
		moved, err := w.round(ctx, s)
		if err != nil {
			w.failed(err)
			continue
		}
		if !moved {
			w.wait(ctx, changed, w.due(), s)
		}
	}
}

// wait returns when something may be done: at a time (0: none), at a change.
// A change of the subscription itself ends a pause.
func (w *worker) wait(ctx context.Context, changed <-chan struct{}, at quantrac.Millis, s alerting.Subscription) {
	var reached <-chan struct{}
	if at != 0 {
		var cancel func()
		reached, cancel = w.b.o.Clock.At(at)
		defer cancel()
	}
	select {
	case <-reached:
	case <-changed:
		if now, err := w.b.src.Subscription(w.id); err == nil && !reflect.DeepEqual(now, s) {
			w.next = 0
			for _, p := range w.held {
				p.next = 0
			}
		}
	case <-ctx.Done():
	}
}

// due is when the next held episode is tried again, 0 if none waits.
func (w *worker) due() quantrac.Millis {
	var at quantrac.Millis
	for _, h := range w.p.Held {
		if p := w.held[h.ID]; p != nil && (at == 0 || p.next < at) {
			at = p.next
		}
	}
	return at
}

// round does what can be done now and says whether there was anything. An
// error is one of the receiver as a whole.
func (w *worker) round(ctx context.Context, s alerting.Subscription) (moved bool, err error) {
	for _, h := range slices.Clone(w.p.Held) {
		if p := w.held[h.ID]; p == nil || w.b.o.Clock.Now() >= p.next {
			moved = true
			if err := w.retry(ctx, s, h); err != nil {
				return moved, err
			}
		}
	}
	if w.p.Standing != nil {
		return true, w.standing(ctx, s)
	}
	ws, err := w.b.src.Revisions(ctx, w.p.Commit, page)
	if err != nil {
		return moved, err
	}
	for i := range ws {
		if err := w.one(ctx, s, &ws[i]); err != nil {
			return true, err
		}
	}
	return moved || len(ws) > 0, nil
}

// standing tells a new subscription what stood when it was made. What is said anew
// of an episode meanwhile comes in its turn.
func (w *worker) standing(ctx context.Context, s alerting.Subscription) error {
	for _, v := range w.b.src.Standing(*w.p.Standing, w.p.Commit) {
		if err := w.one(ctx, s, &v); err != nil {
			return err
		}
	}
	w.p.Standing = nil
	w.save(ctx)
	return nil
}

// one brings a revision whose turn it is.
func (w *worker) one(ctx context.Context, s alerting.Subscription, v *quantrac.Warning) error {
	switch {
	case !s.Wants(v) || w.isHeld(v.ID):
		w.pass(v) // found out again after a restart
		return nil
	case w.attempts > 0 && w.tooOld(v, w.since):
		w.pass(v)
		w.done(ctx, v, alerting.GivenUp, w.b.Status(w.id).LastError)
		return nil
	}
	standing := w.p.Standing != nil
	err := w.b.send(ctx, s, v, standing)
	if err == nil {
		w.pass(v)
		w.done(ctx, v, alerting.Delivered, "")
		return nil
	}
	if f := failure(err); f.Refused && len(w.p.Held) < w.b.o.Held {
		w.pass(v)
		w.p.Held = append(w.p.Held, alerting.Held{ID: v.ID, From: v.Commit, Standing: standing})
		w.hold(v.ID, err)
		w.save(ctx)
		return nil
	}
	return err
}

// pass moves on behind a revision.
func (w *worker) pass(v *quantrac.Warning) {
	if w.p.Standing != nil {
		at := v.Commit
		w.p.Standing = &at
		return
	}
	w.p.Commit = v.Commit
}

// failed notes that the receiver as a whole failed.
func (w *worker) failed(err error) {
	if errors.Is(err, context.Canceled) {
		return
	}
	f := failure(err)
	if f.Gone {
		w.b.o.Logger.Warn("outbox: the receiver wants no more", "subscription", w.id, "error", err)
		if derr := w.b.src.Disable(context.Background(), w.id, err.Error()); derr == nil {
			w.b.note(w.id, func(st *Status) { st.Failures++; st.LastError = err.Error() })
			return
		}
	}
	if w.attempts++; w.attempts == 1 {
		w.since = w.b.o.Clock.Now()
	}
	w.next = w.b.o.Clock.Now().Add(w.backoff(w.attempts, f.RetryAfter))
	w.b.note(w.id, func(st *Status) {
		st.Failures++
		st.Attempts, st.LastError, st.Next = w.attempts, err.Error(), w.next
	})
	w.b.o.Logger.Warn("outbox: delivery failed", "subscription", w.id, "attempts", w.attempts, "error", err)
}

// backoff is the pause after so many failures in a row, or what the receiver
// asks for, at most a day.
func (w *worker) backoff(attempts int, asked time.Duration) time.Duration {
	if asked > 0 {
		return min(asked, 24*time.Hour)
	}
	d := w.b.o.Most
	if shift := attempts - 1; shift < 30 {
		d = min(d, w.b.o.First<<shift)
	}
	return d + time.Duration((w.rng.Float64()-0.5)*0.4*float64(d))
}

// done writes down what became of a revision, before the next goes out.
func (w *worker) done(ctx context.Context, v *quantrac.Warning, outcome, detail string) {
	now := w.b.o.Clock.Now()
	w.b.note(w.id, func(st *Status) {
		if outcome == alerting.GivenUp {
			st.GivenUp++
			return
		}
		st.Attempts, st.Next, st.Last = 0, 0, now
		st.Delivered++
	})
	if outcome == alerting.Delivered {
		w.attempts, w.next = 0, 0
	}
	w.save(ctx, alerting.Outcome{Commit: v.Commit, ID: v.ID, Revision: v.Revision, Outcome: outcome, At: now, Detail: detail})
}

// save makes the progress durable. Where that fails it goes on all the same: a
// warning must not wait for our disk, and is sent again after a restart.
func (w *worker) save(ctx context.Context, done ...alerting.Outcome) {
	p := w.p
	p.Held = slices.Clone(p.Held)
	// What was delivered is written down also when we are being stopped.
	if err := w.b.src.SaveProgress(context.WithoutCancel(ctx), w.id, p, done...); err != nil {
		w.b.o.Logger.Error("outbox: progress not written down", "subscription", w.id, "error", err)
	}
}

func failure(err error) alerting.Failure {
	var f *alerting.Failure
	if errors.As(err, &f) {
		return *f
	}
	return alerting.Failure{Err: err}
}
