package alerting

import (
	"encoding/json"
	"time"

	"quantrac"
)

// Progress is how far a subscription has got: every revision up to Commit is
// delivered, given up, not wanted, or belongs to an episode in Held.
type Progress struct {
	Commit uint64 `json:"commit"`
	// Held are episodes that the receiver refuses; their revisions from the
	// commit on wait, in order, while other episodes go on.
	Held []Held `json:"held,omitempty"`
	// Standing is set while a new subscription has still to hear what stood when
	// it was made: of the episodes open then that nothing newer has been said of,
	// those whose newest revision is of a later commit than this.
	Standing *uint64 `json:"standing,omitempty"`
}

// Held is an episode that waits.
type Held struct {
	ID   string `json:"id"`
	From uint64 `json:"from"` // commit of the first revision not delivered
	// Standing says that this first one is told as what stood before.
	Standing bool `json:"standing,omitempty"`
}

// Outcome is what became of a revision.
type Outcome struct {
	Commit   uint64          `json:"commit"` // of the revision
	ID       string          `json:"id"`
	Revision int             `json:"revision"`
	Outcome  string          `json:"outcome"` // "delivered" or "given_up"
	At       quantrac.Millis `json:"at_ms"`
	Detail   string          `json:"detail,omitempty"`
}

// The outcomes of a delivery.
const (
	Delivered = "delivered"
	GivenUp   = "given_up"
)

// Failure is an error of a channel that says what to do about it. Any other
// error of a channel means: try again later.
type Failure struct {
	Err        error
	RetryAfter time.Duration // when the receiver asks for it; 0: the outbox's own backoff
	Refused    bool          // this revision is refused; others may pass
	Gone       bool          // the receiver wants no more: the subscription is to be disabled
}

// Error implements error.
func (f *Failure) Error() string { return f.Err.Error() }

// Unwrap returns Err.
func (f *Failure) Unwrap() error { return f.Err }

// Message is what channels send of a revision, as JSON: type
// ("warning.issue" …), timestamp (RFC 3339), data, the warning, and standing
// where a new subscriber is told what stood before.
func Message(w *quantrac.Warning, standing bool) ([]byte, error) {
	kind := string(w.State)
	if w.Rule == RuleTest {
		kind = RuleTest
	}
	return json.Marshal(struct {
		Type      string            `json:"type"`
		Timestamp string            `json:"timestamp"`
		Standing  bool              `json:"standing,omitempty"`
		Data      *quantrac.Warning `json:"data"`
	}{"warning." + kind, w.Sent.String(), standing, w})
}

// RuleTest marks a message that only tries a channel out; it is no warning and
// not journalled.
const RuleTest = "test"
