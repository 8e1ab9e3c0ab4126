// Package topic publishes warnings on MQTT topics: each revision as the JSON
// message of the webhooks on v1/warnings/{area}/{episode}, where area is the
// code of the station's administrative unit, or the station's id where none is
// known.
//
// What it promises: who subscribes to v1/warnings/#, or to v1/warnings/{area}/#,
// finds retained the newest revision of every warning that stands, each on a
// topic of its own, so that none hides another. The end of a warning is retained
// too, until it expires; then an empty retained message clears its topic. An
// older revision, sent again by hand or after a restart, goes to who is there
// and is retained over nothing.
//
// It implements outbox.Sender over whatever broker or client cmd passes in; a
// revision counts as delivered when that has taken it. Each broker has a sender
// and a subscription of its own, so that none waits for another. Use: New; Begin
// before our own broker serves, and whenever another has been connected to; Run in
// a goroutine. It imports its parent alerting and the root.
package topic

import (
	"context"
	"strings"
	"sync"
	"time"

	"quantrac"
	"quantrac/alerting"
)

// The names of the channels in subscriptions.
const (
	Channel  = "mqtt"        // our own broker
	External = "mqtt-broker" // another, of the operator's
)

// Publisher puts a message with QoS 1 on the topic of a warning. It returns nil
// once the broker has it. An empty payload that is retained clears the topic.
type Publisher interface {
	PublishWarning(ctx context.Context, area, episode string, payload []byte, retain bool) error
}

// Source knows what has been said; *alerting.Alerting does.
type Source interface {
	// Recent returns the public revisions sent since a time and all of the open
	// episodes, in the order they were said.
	Recent(ctx context.Context, since quantrac.Millis) ([]quantrac.Warning, error)
	// Get returns the newest revision of an episode.
	Get(ctx context.Context, id string) (quantrac.Warning, error)
}

// Sender publishes. Its methods may be called from any goroutine.
type Sender struct {
	to    Publisher
	src   Source
	clock quantrac.Clock

	mu    sync.Mutex // held while a message is published, so that an older one never comes after
	kept  map[string]place
	ended chan struct{} // has one element when the end of a warning was published
}

// place is where a warning is retained.
type place struct {
	area  string
	until quantrac.Millis // when it is cleared; MaxMillis while it stands
}

// New makes a sender.
func New(to Publisher, src Source, clock quantrac.Clock) *Sender {
	return &Sender{to: to, src: src, clock: clock, kept: map[string]place{}, ended: make(chan struct{}, 1)}
}

// Subscription is the one that the sender of a channel serves: everything public.
// Hand it to alerting's EnsureSubscription.
func Subscription(channel string) alerting.Subscription {
	return alerting.Subscription{ID: channel, Channel: channel, Audience: quantrac.AudiencePublic, Note: "MQTT v1/warnings/"}
}

// Begin publishes what a broker may have lost: the warnings that stand, and the
// ends that have not expired. memory is how long the broker itself remembers, 0
// where it has begun with us; what was retained there and has its time is cleared,
// as far back as that.
func (s *Sender) Begin(ctx context.Context, memory time.Duration) error {
	ws, err := s.src.Recent(ctx, s.clock.Now().Add(-max(memory, alerting.EndStands)))
	if err != nil {
		return err
	}
	newest := map[string]*quantrac.Warning{}
	for i := range ws {
		newest[ws[i].ID] = &ws[i]
	}
	for i := range ws {
		w, last := &ws[i], newest[ws[i].ID]
		switch gone := last.Ended() && last.Expires <= s.clock.Now(); {
		case w == last && !gone:
			err = s.Send(ctx, alerting.Subscription{}, w)
		case memory > 0 && (w == last || Area(w) != Area(last)):
			err = s.to.PublishWarning(ctx, Area(w), level(w.ID), nil, true)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// Area returns the level of the topic that stands for the warning's area.
func Area(w *quantrac.Warning) string {
	area := w.Area
	if area == "" {
		area = w.Station
	}
	if area == "" { // a message that only tries the channel out
		area = alerting.RuleTest
	}
	return level(area)
}

// level replaces what would change the meaning of a topic, or of a filter.
func level(text string) string {
	return strings.Map(func(r rune) rune {
		if strings.ContainsRune("/+#$", r) || r < ' ' {
			return '_'
		}
		return r
	}, text)
}

// Send implements outbox.Sender.
func (s *Sender) Send(ctx context.Context, _ alerting.Subscription, w *quantrac.Warning) error {
	msg, err := alerting.Message(w, false)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	until, err := s.until(ctx, w)
	if err != nil {
		return err
	}
	area, episode := Area(w), level(w.ID)
	if err := s.to.PublishWarning(ctx, area, episode, msg, until != 0); err != nil || until == 0 {
		return err
	}
	before, known := s.kept[episode]
	s.kept[episode] = place{area, until}
	if until != quantrac.MaxMillis {
		s.wake()
	}
	if known && before.area != area { // the communes have been cut anew
		return s.to.PublishWarning(ctx, before.area, episode, nil, true)
	}
	return nil
}

// until says how long a revision is to be retained; 0 for not at all.
func (s *Sender) until(ctx context.Context, w *quantrac.Warning) (quantrac.Millis, error) {
	if w.Rule == alerting.RuleTest {
		return 0, nil
	}
	newest, err := s.src.Get(ctx, w.ID)
	switch {
	case err != nil && quantrac.KindOf(err) != quantrac.NotFound:
		return 0, err
	case err == nil && newest.Commit > w.Commit:
		return 0, nil
	case !w.Ended():
		return quantrac.MaxMillis, nil
	case w.Expires <= s.clock.Now():
		return 0, s.forget(ctx, level(w.ID))
	}
	return w.Expires, nil
}

func (s *Sender) wake() {
	select {
	case s.ended <- struct{}{}:
	default:
	}
}

// forget clears the topic of a warning that is retained somewhere.
func (s *Sender) forget(ctx context.Context, episode string) error {
	p, ok := s.kept[episode]
	if !ok {
		return nil
	}
	if err := s.to.PublishWarning(ctx, p.area, episode, nil, true); err != nil {
		return err
	}
	delete(s.kept, episode)
	return nil
}

// Run clears the topics of warnings whose end has expired, until ctx ends.
func (s *Sender) Run(ctx context.Context) error {
	for {
		next := s.clear(ctx)
		reached, cancel := s.clock.At(next)
		select {
		case <-reached:
		case <-s.ended:
		case <-ctx.Done():
			cancel()
			return nil
		}
		cancel()
	}
}

// clearAgain is when a topic that could not be cleared is tried again.
const clearAgain = time.Minute

// clear clears what is due and returns when the next will be.
func (s *Sender) clear(ctx context.Context) quantrac.Millis {
	s.mu.Lock()
	defer s.mu.Unlock()
	now, next := s.clock.Now(), quantrac.MaxMillis
	for episode, p := range s.kept {
		switch {
		case p.until > now:
			next = min(next, p.until)
		case s.forget(ctx, episode) != nil:
			next = min(next, now.Add(clearAgain))
		}
	}
	return next
}
