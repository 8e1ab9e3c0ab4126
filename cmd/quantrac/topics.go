package main

import (
	"context"
	"time"

	"quantrac"
	"quantrac/alerting"
	"quantrac/alerting/outbox"
	"quantrac/alerting/topic"
	"quantrac/collector/mqtt"
)

const (
	// brokerMemory is how long an external broker is taken to keep what was
	// retained before we were away.
	brokerMemory = 14 * 24 * time.Hour
	// brokerRetry is when a warning is tried again that it did not take. A broker
	// that is back is not to wait for a pause that has grown to an hour.
	brokerRetry = 15 * time.Second
)

// openTopics publishes warnings by MQTT: on our own broker, and on the external
// one, each by a subscription of its own.
func (s *system) openTopics(ctx context.Context, senders map[string]outbox.Sender) error {
	if err := s.openTopic(ctx, topic.Channel, s.c.MQTT != "off", s.broker, senders); err != nil {
		return err
	}
	if s.c.MQTT != "off" {
		if err := s.topics[topic.Channel].Begin(ctx, 0); err != nil {
			return err
		}
	}
	return s.openTopic(ctx, topic.External, s.external != nil, outsideBroker{s.external}, senders)
}

// openTopic opens a channel, or ends what is left of it where it is off: what was
// said meanwhile is of no use to anybody when it is on again.
func (s *system) openTopic(ctx context.Context, channel string, on bool, to topic.Publisher, senders map[string]outbox.Sender) error {
	if !on {
		if err := s.alerting.Unsubscribe(ctx, channel); err != nil && quantrac.KindOf(err) != quantrac.NotFound {
			s.log.Warn("warnings for a channel that is off are still kept", "channel", channel, "error", err)
		}
		return nil
	}
	t := topic.New(to, s.alerting, s.clock)
	s.topics[channel], senders[channel] = t, t
	s.own("warning topics of "+channel, t.Run, nil)
	return s.alerting.EnsureSubscription(ctx, topic.Subscription(channel))
}

// outsideBroker publishes on the external broker.
type outsideBroker struct{ *mqtt.Client }

// PublishWarning implements topic.Publisher.
func (b outsideBroker) PublishWarning(ctx context.Context, area, episode string, payload []byte, retain bool) error {
	if err := b.Client.PublishWarning(ctx, area, episode, payload, retain); err != nil {
		return &alerting.Failure{Err: err, RetryAfter: brokerRetry}
	}
	return nil
}

// refresh brings what an external broker retains up to date, once it has been
// connected to, until that is done or the connection is lost.
func (s *system) refresh(ctx context.Context) {
	for {
		err := s.topics[topic.External].Begin(ctx, brokerMemory)
		if err == nil || ctx.Err() != nil {
			return
		}
		s.log.Warn("warnings that stand are not all retained on the external broker yet", "error", err, "retry", brokerRetry)
		select {
		case <-time.After(brokerRetry):
		case <-ctx.Done():
			return
		}
	}
}

// published says where warnings go out for everybody to fetch.
func (s *system) published() []string {
	var out []string
	if s.c.MQTT != "off" {
		out = append(out, "MQTT v1/warnings/{area}/{episode}, embedded broker")
	}
	if s.external != nil {
		state := "connected"
		if !s.external.Up() {
			state = "no connection"
		}
		out = append(out, "MQTT v1/warnings/{area}/{episode}, external broker ("+state+")")
	}
	if s.c.OpenData {
		out = append(out, "CAP feed /open/cap")
	}
	return append(out, "JSON /api/alerting/warnings", "Connect quantrac.v1.WarningService")
}
