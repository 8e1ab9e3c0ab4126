package alerting

import (
	"encoding/json"
	"math"

	"quantrac"
	"quantrac/alerting/level"
	"quantrac/internal/journal"
)

// Flags of our journal records. Numbers are on disk: never reuse one.
const (
	flagWarning = 0 // RecordWarning: a revision
	flagRules   = 1 // RecordWarning: thresholds as the rules take them

	flagSubscription = 0 // RecordDelivery: a subscription, whole
	flagUnsubscribe  = 1 // RecordDelivery: its end
	flagProgress     = 2 // RecordDelivery: how far it has got
)

// cause is what made a rule say something: the commit and valid time of a
// reading. Commit 0 is the clock.
type cause struct {
	Commit uint64          `json:"commit"`
	Time   quantrac.Millis `json:"time_ms"`
}

// saying is a revision as it is journalled. Warning.Commit and Warning.Sent
// are those of the entry and not written.
type saying struct {
	Version int               `json:"v"`
	Warning quantrac.Warning  `json:"warning"`
	Key     string            `json:"key"` // of the rule's state
	Labels  map[string]string `json:"labels,omitempty"`
	Cause   cause             `json:"cause"`
	Judged  uint64            `json:"judged"`          // commit up to which all was judged when it was said
	Core    level.Core        `json:"core"`            // of the level rule, after it
	Issue   quantrac.Millis   `json:"issue,omitempty"` // of the forecast rule: issue time of the run quoted
	Prob    float64           `json:"prob,omitempty"`  // and what it holds the level quoted to be, PMax
}

// Core holds a value that may be anything finite; JSON has no other floats.
func (s *saying) encode() (journal.Record, error) {
	for _, v := range []float64{s.Warning.Value, s.Warning.Threshold, s.Core.Value} {
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return journal.Record{}, quantrac.Errorf(quantrac.Invalid, "warning %s: value %g cannot be said", s.Warning.ID, v)
		}
	}
	s.Version = 1
	data, err := json.Marshal(s)
	return journal.Record{Kind: quantrac.RecordWarning, Flags: flagWarning, Data: data, Priority: true}, err
}

// decodeSaying reads the payload of a warning record.
func decodeSaying(c quantrac.Commit, data []byte) (*saying, error) {
	var s saying
	if err := json.Unmarshal(data, &s); err != nil {
		return nil, quantrac.Errorf(quantrac.Corrupt, "warning of commit %d: %w", c.Number, err)
	}
	if s.Version != 1 {
		return nil, quantrac.Errorf(quantrac.Corrupt, "warning of commit %d has version %d; this program knows 1", c.Number, s.Version)
	}
	if s.Warning.ID == "" || s.Warning.Revision < 1 {
		return nil, quantrac.Errorf(quantrac.Corrupt, "warning of commit %d has id %q and revision %d", c.Number, s.Warning.ID, s.Warning.Revision)
	}
	s.stamp(c)
	return &s, nil
}

// stamp sets what the commit decides. A warning that the disk took only after
// its time expires as it is sent, and is renewed at once.
func (s *saying) stamp(c quantrac.Commit) {
	w := &s.Warning
	w.Commit, w.Sent, w.Expires = c.Number, c.Time, max(w.Expires, c.Time)
}

// rulesRecord says which thresholds hold for the entries after commit After.
type rulesRecord struct {
	Version int       `json:"v"`
	After   uint64    `json:"after"`
	Sets    []ruleSet `json:"sets"` // those that changed; without thresholds: no more rule
}

func (r *rulesRecord) encode() (journal.Record, error) {
	r.Version = 1
	data, err := json.Marshal(r)
	return journal.Record{Kind: quantrac.RecordWarning, Flags: flagRules, Data: data, Priority: true}, err
}

func decodeRules(c quantrac.Commit, data []byte) (*rulesRecord, error) {
	var r rulesRecord
	if err := json.Unmarshal(data, &r); err != nil {
		return nil, quantrac.Errorf(quantrac.Corrupt, "rules of commit %d: %w", c.Number, err)
	}
	if r.Version != 1 {
		return nil, quantrac.Errorf(quantrac.Corrupt, "rules of commit %d have version %d; this program knows 1", c.Number, r.Version)
	}
	return &r, nil
}
