// Package topic publishes warnings on MQTT topics: each revision as the JSON
// message of the webhooks on v1/warnings/{area}, where area is the code of the
// station's administrative unit, or the station's id where none is known.
//
// It implements outbox.Sender over whatever broker or client cmd passes in; a
// revision counts as delivered when that has taken it. It imports its parent
// alerting and the root.
package topic

import (
	"context"
	"strings"

	"quantrac"
	"quantrac/alerting"
)

// Channel is the channel's name in subscriptions.
const Channel = "mqtt"

// Prefix is what the topics begin with.
const Prefix = "v1/warnings/"

// Publisher puts a message on a topic with QoS 1. It returns nil once the
// broker has it.
type Publisher interface {
	Publish(ctx context.Context, topic string, payload []byte) error
}

// Sender publishes.
type Sender struct{ to Publisher }

// New makes a sender.
func New(to Publisher) *Sender { return &Sender{to} }

// Subscription is the one that Sender serves: everything public. Hand it to
// alerting's EnsureSubscription.
func Subscription() alerting.Subscription {
	return alerting.Subscription{ID: "mqtt", Channel: Channel, Audience: quantrac.AudiencePublic, Note: "MQTT " + Prefix}
}

// Topic returns where a warning is published.
func Topic(w *quantrac.Warning) string {
	area := w.Area
	if area == "" {
		area = w.Station
	}
	// What would change the meaning of a topic, or of a filter.
	area = strings.Map(func(r rune) rune {
		if strings.ContainsRune("/+#$", r) || r < ' ' {
			return '_'
		}
		return r
	}, area)
	return Prefix + area
}

// Send implements outbox.Sender.
func (s *Sender) Send(ctx context.Context, _ alerting.Subscription, w *quantrac.Warning) error {
	msg, err := alerting.Message(w)
	if err != nil {
		return err
	}
	return s.to.Publish(ctx, Topic(w), msg)
}
