// Package outbox brings warnings to subscriptions: each to every one that wants
// it, at least once, however often receiver, network or this process fail.
//
// What it promises, for each subscription by itself:
//
//   - A new subscription is told what stands, each episode by its newest revision.
//   - Revisions go out in the order they were said; what was delivered is
//     written down before the next revision goes, so that even after a kill a
//     receiver never gets a revision of an episode after a higher one. It may
//     get the last one again: (ID, Revision, Epoch) is its key.
//   - A receiver that fails is tried again with growing pauses (doubling from
//     Options.First to Options.Most, less or more by a fifth at random), or
//     when it asks for by Retry-After, for Options.GiveUp; what is older than
//     that by then is given up and can be sent again by hand.
//   - A receiver that refuses one revision (a Refused failure) gets the other
//     episodes meanwhile; the refused one waits with all its later revisions.
//   - No subscription waits for another: each has its own goroutine and its
//     own place in the list of revisions, which is read a few at a time.
//   - A receiver that is gone (a Gone failure) disables its subscription.
//
// Use: New with a Sender for each channel, Run in a goroutine, Handler for
// staff. It imports its parent alerting and the root; cmd wires it.
package outbox

import (
	"context"
	"hash/fnv"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"quantrac"
	"quantrac/alerting"
)

// Source is where subscriptions and revisions come from: *alerting.Alerting.
type Source interface {
	Subscriptions() []alerting.Subscription
	Subscription(id string) (alerting.Subscription, error)
	Progress(id string) alerting.Progress
	SaveProgress(ctx context.Context, id string, p alerting.Progress, done ...alerting.Outcome) error
	Disable(ctx context.Context, id, reason string) error
	Revisions(ctx context.Context, after uint64, limit int) ([]quantrac.Warning, error)
	Standing(after, upTo uint64) []quantrac.Warning
	EpisodeSince(ctx context.Context, id string, from uint64) ([]quantrac.Warning, error)
	Changed() <-chan struct{}
}

// Sender is a channel. Send delivers one revision and returns nil once the
// receiver has taken it; a *alerting.Failure says more about an error. It must
// come back by itself in bounded time, and at once when ctx ends.
type Sender interface {
	Send(ctx context.Context, s alerting.Subscription, w *quantrac.Warning) error
}

// Teller is a Sender that can say of a revision that it stood before there was a
// subscription, as new subscribers are told first. To the receiver it has the same
// key as when it was said.
type Teller interface {
	Sender
	SendStanding(ctx context.Context, s alerting.Subscription, w *quantrac.Warning) error
}

// Options of an outbox. The zero value works.
type Options struct {
	Clock  quantrac.Clock // SystemClock
	Logger *slog.Logger   // none

	First  time.Duration // pause after the first failure; 5 s
	Most   time.Duration // longest pause; 1 h
	GiveUp time.Duration // how long a revision is tried; 72 h
	Held   int           // episodes that may wait apart for one subscription; 64
	Seed   uint64        // of the jitter
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = quantrac.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.First <= 0 {
		o.First = 5 * time.Second
	}
	if o.Most <= 0 {
		o.Most = time.Hour
	}
	if o.GiveUp <= 0 {
		o.GiveUp = 72 * time.Hour
	}
	if o.Held <= 0 {
		o.Held = 64
	}
	return o
}

// Status is how a subscription fares. It is kept in memory only.
type Status struct {
	Attempts  int             `json:"attempts"` // failed in a row
	LastError string          `json:"last_error,omitempty"`
	Next      quantrac.Millis `json:"next_try_ms,omitempty"`
	Last      quantrac.Millis `json:"last_delivered_ms,omitempty"`
	Delivered uint64          `json:"delivered"` // since the start
	GivenUp   uint64          `json:"given_up"`
	Failures  uint64          `json:"failures"`
}

// Outbox drives the subscriptions. Its methods may be called from any
// goroutine.
type Outbox struct {
	src     Source
	senders map[string]Sender
	o       Options

	mu     sync.Mutex
	status map[string]*Status
}

// New makes an outbox with a sender for each channel.
func New(src Source, senders map[string]Sender, o Options) *Outbox {
	return &Outbox{src: src, senders: senders, o: o.withDefaults(), status: map[string]*Status{}}
}

// Run delivers until ctx ends, and returns nil then.
func (b *Outbox) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	defer wg.Wait()
	ended := make(chan string)
	working := map[string]bool{}
	for {
		changed := b.src.Changed()
		for _, s := range b.src.Subscriptions() {
			if working[s.ID] || s.Disabled {
				continue
			}
			working[s.ID] = true
			w := &worker{b: b, id: s.ID, rng: rand.New(rand.NewPCG(b.o.Seed, hash(s.ID)))}
			wg.Go(func() {
				w.run(ctx)
				select {
				case ended <- w.id:
				case <-ctx.Done():
				}
			})
		}
		select {
		case <-changed:
		case id := <-ended:
			delete(working, id)
		case <-ctx.Done():
			return nil
		}
	}
}

func hash(s string) uint64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(s))
	return h.Sum64()
}

// Status returns how a subscription fares.
func (b *Outbox) Status(id string) Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	if st := b.status[id]; st != nil {
		return *st
	}
	return Status{}
}

// Totals returns the figures of all subscriptions together, for /metrics.
func (b *Outbox) Totals() (t Status) {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, st := range b.status {
		t.Delivered, t.GivenUp, t.Failures = t.Delivered+st.Delivered, t.GivenUp+st.GivenUp, t.Failures+st.Failures
		t.Attempts = max(t.Attempts, st.Attempts)
		t.Last = max(t.Last, st.Last)
	}
	return t
}

func (b *Outbox) note(id string, fn func(*Status)) {
	b.mu.Lock()
	defer b.mu.Unlock()
	st := b.status[id]
	if st == nil {
		st = &Status{}
		b.status[id] = st
	}
	fn(st)
}

func (b *Outbox) forget(id string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	delete(b.status, id)
}

// send delivers a revision once, now, or one that stood before.
func (b *Outbox) send(ctx context.Context, s alerting.Subscription, w *quantrac.Warning, standing bool) error {
	sender := b.senders[s.Channel]
	if sender == nil {
		return quantrac.Errorf(quantrac.Unavailable, "no sender for channel %q", s.Channel)
	}
	if t, ok := sender.(Teller); ok && standing {
		return t.SendStanding(ctx, s, w)
	}
	return sender.Send(ctx, s, w)
}

// Resend delivers a revision once more, now and out of turn, and returns what
// became of it. The receiver knows it by its key.
func (b *Outbox) Resend(ctx context.Context, subscription, episode string, revision int) error {
	s, err := b.src.Subscription(subscription)
	if err != nil {
		return err
	}
	all, err := b.src.EpisodeSince(ctx, episode, 0)
	if err != nil {
		return err
	}
	for i := range all {
		if w := &all[i]; w.Revision == revision {
			if !s.Wants(w) {
				return quantrac.Errorf(quantrac.Denied, "warning %s is not for subscription %s: its audience, stations and min_level say which are", episode, subscription)
			}
			return b.send(ctx, s, w, false)
		}
	}
	return quantrac.Errorf(quantrac.NotFound, "there is no revision %d of warning %q", revision, episode)
}

// Test sends a subscription a message that says it is a test.
func (b *Outbox) Test(ctx context.Context, subscription string) error {
	s, err := b.src.Subscription(subscription)
	if err != nil {
		return err
	}
	now := b.o.Clock.Now()
	return b.send(ctx, s, &quantrac.Warning{
		ID: "test-" + now.Time().Format("20060102T150405.000"), Revision: 1, State: quantrac.WarningIssued, Rule: alerting.RuleTest,
		Audience: s.Audience, Simulated: true, Sent: now, ValidTime: now, Onset: now, Expires: now,
		Headline: quantrac.Text{Vi: "[THỬ] Tin thử đường truyền, không phải cảnh báo", En: "[TEST] Trying the connection, not a warning"},
	}, false)
}
