// Package collector takes what stations send and makes checked, durable
// observations of it.
//
// A way in (collector/mqtt, collector/influx) hands over Messages, each with
// the function that acknowledges it. Messages of one device form a session:
// they wait in a bounded queue, and a worker takes what is there, decodes it
// (collector/decode), resolves the device's binding from an immutable snapshot
// of the registry, checks the times, runs quality control (collector/qc) and
// appends one batch to the store. Once that is durable the acknowledgements go
// out, in the order in which the messages came.
//
// What it promises:
//
//   - A message is acknowledged with nil only when what it said is durable.
//   - What cannot be taken in, a message whole or a part of it, becomes a dead
//     letter with the reason, and is acknowledged once that is durable: a
//     station that cannot do better would send it for ever.
//   - Rows that say that they are made up ("simulated": true, the tag
//     simulated=true) are taken only for a station that is registered as
//     simulated, so that every surface can say so.
//   - When store or dead letters fail, nothing is acknowledged: the error goes
//     to the way in, which drops the connection so that the station sends
//     again. Sending again is harmless: the store takes an equal value at an
//     equal time for a redelivery.
//   - A full queue makes Take wait, and with it the reader of that device; no
//     device waits for another's queue.
//   - Rows from before the station's installation, with the date of a logger
//     whose clock was never set, or further off than any clock can be, go to
//     quarantine: a dead letter that carries the rows and offers the time of
//     receipt as correction.
//
// A row without a time is stamped on receipt. Its redelivery, marked as such by
// MQTT, is recognised by its payload within the session and gets the same stamp;
// after a restart it is stored again at its new stamp (at least once).
//
// Use: New, Run in a goroutine, Take or Write from the ways in, Close. The ways
// in below this package import it, and cmd; no other room does.
package collector

import (
	"context"

	"quantrac"
)

// Store is where observations become durable. Of a batch it may keep labels and
// names; rows and cells serve again once Append has returned. Errors of kind Invalid mean that
// the batch itself is at fault; any other error means that sending it again may
// help.
type Store interface {
	Append(ctx context.Context, b *quantrac.Batch) (quantrac.Receipt, error)
}

// Registry resolves a device to whose readings it sends, from a snapshot in
// memory: it is asked for every message.
type Registry interface {
	Binding(device string) (*quantrac.Binding, bool)
	// StationBinding is for what is said of a station by a client that is no
	// device: what it measures, and since when.
	StationBinding(station string) (*quantrac.Binding, bool)
}

// Marker is an optional part of a Registry, for where stations register by
// themselves: a device has said that its readings are made up, and its binding
// does not know. The binding it returns does.
type Marker interface {
	MarkSimulated(device string) (*quantrac.Binding, bool)
}

// DeadLetters keeps what could not be taken in. Put returns once the letters
// are durable.
type DeadLetters interface {
	Put(ctx context.Context, letters ...DeadLetter) error
}

// Message is a payload on its way in.
type Message struct {
	Device  string // as authenticated by the way in
	Topic   string // v1/{device}/obs, v1/{device}/line
	Payload []byte // not changed by anybody from here on
	// Beginning says that the message was too large for the way in, which has
	// read past it: Payload is where it begins. It becomes a dead letter. Nil
	// for all others.
	Beginning *Beginning
	Received  quantrac.Millis // when the way in got it; 0 means now
	// Dup says that the sender marks it as sent before.
	Dup bool
	// Ack is called exactly once. With nil, or an error of kind Invalid or
	// Denied, the message is dealt with: stored, or kept as a dead letter for
	// that reason, and must not come again. With any other error nothing is
	// durable, and the sender has to send it again. It must not block.
	Ack func(error)
}

// Beginning is about a message of which only the beginning was kept.
type Beginning struct {
	Of   int // bytes of its payload
	Most int // bytes that the way in takes of a message
}

// DealtWith says whether the outcome that an Ack is given means that the message
// must not come again.
func DealtWith(err error) bool {
	k := quantrac.KindOf(err)
	return err == nil || k == quantrac.Invalid || k == quantrac.Denied
}
