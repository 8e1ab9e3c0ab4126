package topic_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quantrac"
	"quantrac/alerting"
	"quantrac/alerting/topic"
)

var ctx = context.Background()

const now = quantrac.Millis(1_790_000_000_000)

// broker keeps what is retained and hands on what is published.
type broker struct {
	mu       sync.Mutex
	retained map[string]string
	live     []string // topic, and what of its payload tells revisions apart
	err      error
}

func (b *broker) PublishWarning(_ context.Context, area, episode string, payload []byte, retain bool) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.err != nil {
		return b.err
	}
	at := area + "/" + episode
	what := "nothing"
	for _, state := range []string{"issue", "update", "all_clear", "test"} {
		if strings.Contains(string(payload), `"warning.`+state+`"`) {
			what = state
		}
	}
	b.live = append(b.live, at+" "+what)
	switch {
	case retain && len(payload) == 0:
		delete(b.retained, at)
	case retain:
		b.retained[at] = what
	}
	return nil
}

func (b *broker) fail(err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.err = err
}

// has compares what is retained with lines of "area/episode what".
func (b *broker) has(t *testing.T, when string, want ...string) {
	t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	got := []string{}
	for _, at := range slices.Sorted(maps.Keys(b.retained)) {
		got = append(got, at+" "+b.retained[at])
	}
	if !slices.Equal(got, want) {
		t.Errorf("%s: retained is %q, want %q", when, got, want)
	}
}

// said is what the room has said, in order.
type said struct {
	mu   sync.Mutex
	list []quantrac.Warning
}

func (s *said) Recent(_ context.Context, since quantrac.Millis) ([]quantrac.Warning, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(s.list), func(w quantrac.Warning) bool {
		newest, _ := s.newest(w.ID)
		return w.Sent < since && newest.Ended()
	}), nil
}

func (s *said) Get(_ context.Context, id string) (quantrac.Warning, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if w, ok := s.newest(id); ok {
		return w, nil
	}
	return quantrac.Warning{}, quantrac.Errorf(quantrac.NotFound, "there is no warning %q", id)
}

func (s *said) newest(id string) (w quantrac.Warning, ok bool) {
	for _, x := range s.list {
		if x.ID == id {
			w, ok = x, true
		}
	}
	return w, ok
}

// scene is a room with its sender and broker.
type scene struct {
	t      *testing.T
	clock  *quantrac.ManualClock
	said   said
	broker *broker
	sender *topic.Sender
}

func newScene(t *testing.T) *scene {
	s := &scene{t: t, clock: quantrac.NewManualClock(now)}
	s.restart()
	return s
}

// restart starts anew with a broker that remembers nothing.
func (s *scene) restart() {
	s.t.Helper()
	s.broker = &broker{retained: map[string]string{}}
	s.sender = topic.New(s.broker, &s.said, s.clock)
	if err := s.sender.Begin(ctx, 0); err != nil {
		s.t.Fatal(err)
	}
}

// say adds a revision of the episode of a station.
func (s *scene) say(area, station string, state quantrac.WarningState) quantrac.Warning {
	s.said.mu.Lock()
	defer s.said.mu.Unlock()
	n := uint64(len(s.said.list) + 1)
	w := quantrac.Warning{
		ID: station + "-1", Revision: int(n), Commit: n, State: state, Rule: quantrac.RuleLevel, Audience: quantrac.AudiencePublic,
		Station: station, Area: area, Sent: s.clock.Now(), Expires: s.clock.Now().Add(alerting.EndStands),
	}
	s.said.list = append(s.said.list, w)
	return w
}

func (s *scene) send(w quantrac.Warning) {
	s.t.Helper()
	if err := s.sender.Send(ctx, topic.Subscription(topic.Channel), &w); err != nil {
		s.t.Fatal(err)
	}
}

// TestTwoStationsOfACommune: neither warning hides the other, nor does the end
// of one, also after a restart.
func TestTwoStationsOfACommune(t *testing.T) {
	s := newScene(t)
	s.send(s.say("30001", "tram-chim", quantrac.WarningIssued))
	s.send(s.say("30001", "tan-quoi", quantrac.WarningIssued))
	s.broker.has(t, "both stand", "30001/tan-quoi-1 issue", "30001/tram-chim-1 issue")
	s.restart()
	s.broker.has(t, "both stand after a restart", "30001/tan-quoi-1 issue", "30001/tram-chim-1 issue")
	s.send(s.say("30001", "tan-quoi", quantrac.WarningUpdated))
	s.send(s.say("30001", "tram-chim", quantrac.WarningClear))
	s.broker.has(t, "one has ended", "30001/tan-quoi-1 update", "30001/tram-chim-1 all_clear")
	s.clock.Advance(alerting.EndStands - time.Second)
	s.restart()
	s.broker.has(t, "the end can still be fetched", "30001/tan-quoi-1 update", "30001/tram-chim-1 all_clear")
	s.clock.Advance(time.Second)
	s.restart()
	s.broker.has(t, "the end has expired", "30001/tan-quoi-1 update")
}

// TestBrokerThatRemembers: what it kept while we were away, and has had its time or
// stands elsewhere by now, is cleared; nothing that stands is.
func TestBrokerThatRemembers(t *testing.T) {
	s := newScene(t)
	s.send(s.say("30001", "tram-chim", quantrac.WarningIssued))
	s.send(s.say("30001", "tan-quoi", quantrac.WarningIssued))
	s.send(s.say("30001", "hong-ngu", quantrac.WarningIssued))
	s.say("30001", "tram-chim", quantrac.WarningClear) // said, and never taken
	s.say("30004", "hong-ngu", quantrac.WarningUpdated)
	s.clock.Advance(2 * alerting.EndStands)
	s.sender = topic.New(s.broker, &s.said, s.clock) // another process
	s.broker.fail(errors.New("away"))
	if err := s.sender.Begin(ctx, 24*time.Hour); err == nil {
		t.Error("begun with a broker that is away")
	}
	s.broker.fail(nil)
	for range 2 { // at every connection
		if err := s.sender.Begin(ctx, 24*time.Hour); err != nil {
			t.Fatal(err)
		}
		s.broker.has(t, "begun anew", "30001/tan-quoi-1 issue", "30004/hong-ngu-1 update")
	}
}

// TestEndIsCleared: once the end of a warning has expired, its topic is cleared,
// for those who listen too; a broker that refuses is asked again.
func TestEndIsCleared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newScene(t)
		run, stop := context.WithCancel(ctx)
		defer stop()
		go func() { _ = s.sender.Run(run) }()
		s.send(s.say("30001", "tram-chim", quantrac.WarningIssued))
		s.send(s.say("", "tan-quoi", quantrac.WarningIssued))
		s.send(s.say("30001", "tram-chim", quantrac.WarningClear))
		synctest.Wait()
		s.clock.Advance(alerting.EndStands - time.Millisecond)
		synctest.Wait()
		s.broker.has(t, "shortly before", "30001/tram-chim-1 all_clear", "tan-quoi/tan-quoi-1 issue")
		s.broker.fail(errors.New("away"))
		s.clock.Advance(time.Millisecond)
		synctest.Wait()
		s.broker.fail(nil)
		s.broker.has(t, "while the broker is away", "30001/tram-chim-1 all_clear", "tan-quoi/tan-quoi-1 issue")
		s.clock.Advance(time.Hour)
		synctest.Wait()
		s.broker.has(t, "cleared", "tan-quoi/tan-quoi-1 issue")
		if got := s.broker.live[len(s.broker.live)-1]; got != "30001/tram-chim-1 nothing" {
			t.Errorf("the last message is %q, want an empty one", got)
		}
	})
}

// TestOlderRevision: what is sent again out of turn, by hand or after a restart,
// goes to who listens, and never takes the place of what stands or has ended.
func TestOlderRevision(t *testing.T) {
	s := newScene(t)
	first := s.say("30001", "tram-chim", quantrac.WarningIssued)
	s.send(first)
	s.send(s.say("30001", "tram-chim", quantrac.WarningUpdated))
	s.send(first)
	s.broker.has(t, "the newest stands", "30001/tram-chim-1 update")
	if got := fmt.Sprint(s.broker.live); got != "[30001/tram-chim-1 issue 30001/tram-chim-1 update 30001/tram-chim-1 issue]" {
		t.Errorf("published %s, want all three", got)
	}
	end := s.say("30001", "tram-chim", quantrac.WarningClear)
	s.send(end)
	s.clock.Advance(alerting.EndStands)
	s.send(end)
	s.send(first)
	s.broker.has(t, "over")
}

// TestNewArea: a warning is retained in one place, also when its station is
// counted to another commune.
func TestNewArea(t *testing.T) {
	s := newScene(t)
	s.send(s.say("30001", "tram-chim", quantrac.WarningIssued))
	s.send(s.say("30004", "tram-chim", quantrac.WarningUpdated))
	s.broker.has(t, "moved", "30004/tram-chim-1 update")
}

func TestTopic(t *testing.T) {
	f := func(area, station, want string) {
		t.Helper()
		if got := topic.Area(&quantrac.Warning{Area: area, Station: station}); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
	f("30001", "tram-chim", "30001")
	f("", "tram-chim", "tram-chim")
	f("", "a/b+c#$d\x00", "a_b_c__d_")
	s := newScene(t)
	s.send(quantrac.Warning{ID: "test-1", Rule: alerting.RuleTest})
	s.broker.has(t, "a message that tries the channel out")
	if got := fmt.Sprint(s.broker.live); got != "[test/test-1 test]" {
		t.Errorf("published %s", got)
	}
	s.broker.fail(errors.New("broker away"))
	w := s.say("30001", "tram-chim", quantrac.WarningIssued)
	if err := s.sender.Send(ctx, topic.Subscription(topic.Channel), &w); err == nil {
		t.Error("delivered to a broker that is away")
	}
	if sub := topic.Subscription(topic.Channel); sub.Channel != topic.Channel || sub.ID == "" || sub.Audience != quantrac.AudiencePublic {
		t.Errorf("%+v", sub)
	}
}
