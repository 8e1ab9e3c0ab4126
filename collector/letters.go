package collector

import (
	"quantrac"
	"quantrac/collector/decode"
)

// LetterKind says why a dead letter was written.
type LetterKind string

// The kinds of dead letters.
const (
	// LetterRefused is a message that could not be taken in at all: nobody's
	// device, a topic without a decoder, bytes that are no payload.
	LetterRefused LetterKind = "refused"
	// LetterPartial is a message of which a part was left out and the rest was
	// stored.
	LetterPartial LetterKind = "partial"
	// LetterQuarantine holds rows whose valid time cannot be right; each offers
	// the time at which it was most likely observed.
	LetterQuarantine LetterKind = "quarantine"
)

// DeadLetter is what could not be taken in, and why.
type DeadLetter struct {
	ID       uint64          `json:"id"`                      // number of its commit; set by Put
	Kept     quantrac.Millis `json:"kept_ms"`                 // time of its commit; set by Put
	Kind     LetterKind      `json:"kind"`                    //
	Device   string          `json:"device"`                  // as authenticated
	Source   string          `json:"source"`                  // the way in: the topic, or influx
	Received quantrac.Millis `json:"received_ms"`             //
	Reason   string          `json:"reason"`                  // in one line
	Problems []string        `json:"problems,omitempty"`      // of a partial one, part by part
	More     int             `json:"more_problems,omitempty"` // beyond those listed
	Payload  []byte          `json:"payload,omitempty"`       // as it came; not of a quarantine
	Rows     []OfferedRow    `json:"rows,omitempty"`          // of a quarantine
}

// OfferedRow is a row in quarantine with the correction of its time on offer:
// the newest row of a message was observed when the message was received, those
// before it as much earlier as their own times say. Where those say that it was
// before any instrument there is nothing to offer.
type OfferedRow struct {
	Time    quantrac.Millis `json:"time_ms"`
	Offered quantrac.Millis `json:"offered_ms,omitzero"`
	Group   quantrac.Labels `json:"group"`
	Cells   []OfferedCell   `json:"cells"`
}

// OfferedCell is a value of a row in quarantine. Value is nil where the station
// said that it is missing.
type OfferedCell struct {
	Property string   `json:"property"`
	Value    *float64 `json:"value"`
}

// list enters what was left out of a message; there is something.
func (l *DeadLetter) list(faults []decode.Fault, more int) {
	for _, f := range faults {
		l.Problems = append(l.Problems, f.String())
	}
	l.More = more
	l.Reason = l.Problems[0]
}
