// Package mqtt is the way in for stations that speak MQTT 3.1.1 or 5, and the
// way out for commands and warnings. It has two forms with one contract: Broker,
// which is part of the service and needs nothing installed, and Client, which
// works behind an external broker such as Mosquitto (docs/mosquitto is a
// configuration under which the contract holds).
//
// What it promises: every message of a device is handed to the collector, and
// is acknowledged only with the collector's word that it is durable, or that a
// dead letter says what was wrong with it. One that was not made durable comes
// again: the Broker drops the connection, so that the device sends again, the
// Client leaves it to the external broker. Subscribers see a reading only once
// it is durable.
//
// Topics: a device publishes v1/{device}/obs (JSON), v1/{device}/line (line
// protocol) and v1/{device}/status (retained, also as last will; kept in memory,
// not handed on) and reads v1/{device}/cmd and v1/warnings/#. Nothing else.
// Staff may read all of v1/#, others only warnings. QoS is 0 or 1; a
// subscription to QoS 2 is granted 1, and so is a message of QoS 2 from a client
// before MQTT 5, which has no way to be told: its handshake is answered, and
// storing twice changes nothing.
//
// A retained status and the sessions of clients live in memory; after a restart
// clients find no session and subscribe again, as the standard has them.
//
// Why the broker is our own: docs/adr/0002-mqtt-broker.md. Use: New, Listen,
// Run; or NewClient, Run. cmd imports it; it imports the collector's Message and
// the packets below it.
package mqtt

import (
	"context"

	"quantrac"
	"quantrac/collector"
)

// Intake takes messages; *collector.Collector does. Take may wait, and that is
// how a device is slowed down.
type Intake interface {
	Take(ctx context.Context, m collector.Message) error
}

// Auth says who may connect as a device. It is asked once for each connection,
// with secret "" where the client shows none.
type Auth interface {
	AuthenticateDevice(device, secret string) bool
}

// SubscriberAuth is an optional part of an Auth: it lets in people and programs
// that only read. Without it only devices connect.
type SubscriberAuth interface {
	AuthenticateSubscriber(user, secret string) (quantrac.Principal, bool)
}

// Publisher is the way out; Broker and Client do it.
type Publisher interface {
	// PublishWarning publishes to v1/warnings/{area}/{episode} for every
	// subscriber, now and, where it is retained, later; an empty payload that is
	// retained takes the one before away.
	PublishWarning(ctx context.Context, area, episode string, payload []byte, retain bool) error
	// SendCommand publishes to v1/{device}/cmd. NotFound says that the device
	// has neither connected nor left a session that could take it.
	SendCommand(ctx context.Context, device string, payload []byte) error
}
