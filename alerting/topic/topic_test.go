package topic_test

import (
	"context"
	"errors"
	"testing"

	"quantrac"
	"quantrac/alerting"
	"quantrac/alerting/topic"
)

type publisher struct {
	topics []string
	err    error
}

func (p *publisher) Publish(_ context.Context, topic string, payload []byte) error {
	p.topics = append(p.topics, topic)
	return p.err
}

func TestTopic(t *testing.T) {
	f := func(area, station, want string) {
		t.Helper()
		p := &publisher{}
		if err := topic.New(p).Send(context.Background(), alerting.Subscription{}, &quantrac.Warning{Area: area, Station: station}); err != nil {
			t.Fatal(err)
		}
		if p.topics[0] != want {
			t.Errorf("%q, want %q", p.topics[0], want)
		}
	}
	f("30001", "tram-chim", "v1/warnings/30001")
	f("", "tram-chim", "v1/warnings/tram-chim")
	f("", "a/b+c#$d\x00", "v1/warnings/a_b_c__d_")
	want := errors.New("broker away")
	if err := topic.New(&publisher{err: want}).Send(context.Background(), alerting.Subscription{}, &quantrac.Warning{}); !errors.Is(err, want) {
		t.Errorf("%v", err)
	}
	if s := topic.Subscription(); s.Channel != topic.Channel || s.ID == "" || s.Audience != quantrac.AudiencePublic {
		t.Errorf("%+v", s)
	}
}
