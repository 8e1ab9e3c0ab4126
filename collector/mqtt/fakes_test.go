package mqtt

import (
	"context"
	"testing"
	"time"

	"quantrac"
	"quantrac/collector"
)

// intake hands messages to the test, which decides about them.
type intake struct {
	messages chan collector.Message
}

func newIntake() *intake { return &intake{messages: make(chan collector.Message, 10_000)} }

func (in *intake) Take(ctx context.Context, m collector.Message) error {
	select {
	case in.messages <- m:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// next wants a message.
func (in *intake) next(t *testing.T) collector.Message {
	t.Helper()
	select {
	case m := <-in.messages:
		return m
	case <-time.After(limit):
		t.Fatal("no message comes")
		return collector.Message{}
	}
}

// keys lets in devices and staff by the secrets of the tests.
type keys struct{}

func (keys) AuthenticateDevice(device, secret string) bool {
	return device != "staff" && device != "reader" && secret == "secret-"+device
}

func (keys) AuthenticateSubscriber(user, secret string) (quantrac.Principal, bool) {
	switch {
	case user == "staff" && secret == "secret-staff":
		return quantrac.Principal{Name: user, Role: quantrac.RoleViewer}, true
	case user == "reader" && secret == "secret-reader":
		return quantrac.Principal{Name: user, Role: quantrac.RolePublic}, true
	}
	return quantrac.Principal{}, false
}

var errNotDurable = quantrac.Errorf(quantrac.Unavailable, "disk full")

var (
	errInvalid = quantrac.Errorf(quantrac.Invalid, "no payload")
	errDenied  = quantrac.Errorf(quantrac.Denied, "not its topic")
)
