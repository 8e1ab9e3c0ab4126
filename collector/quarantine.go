package collector

import (
	"math"

	"quantrac"
	"quantrac/collector/decode"
)

// quarantine gathers the rows of a message whose times cannot be right. There
// is a letter for each verdict: what is wrong in two ways was not dated by one
// clock, and must not be offered times as if it were.
type quarantine struct {
	device, source string
	received       quantrac.Millis
	letters        []DeadLetter
}

// add keeps a row and returns what its sender is told.
func (q *quarantine) add(index int, row quantrac.Row, v quantrac.TimeVerdict) decode.Fault {
	l := q.letter(v.String())
	l.Rows = append(l.Rows, offered(row))
	return decode.Fault{Row: index, Field: "time", Reason: l.Reason + ": kept in quarantine"}
}

func (q *quarantine) letter(reason string) *DeadLetter {
	for i := range q.letters {
		if q.letters[i].Reason == reason {
			return &q.letters[i]
		}
	}
	q.letters = append(q.letters, DeadLetter{Kind: LetterQuarantine, Device: q.device, Source: q.source, Received: q.received, Reason: reason})
	return &q.letters[len(q.letters)-1]
}

// close returns the letters, each with the times that it offers.
func (q *quarantine) close() []DeadLetter {
	for i := range q.letters {
		offer(q.letters[i].Rows, q.received)
	}
	return q.letters
}

// offer fills in the offered times of rows that are in quarantine.
func offer(rows []OfferedRow, received quantrac.Millis) {
	newest := quantrac.MinMillis
	for _, r := range rows {
		newest = max(newest, r.Time)
	}
	for i := range rows {
		if t := received - (newest - rows[i].Time); t >= quantrac.EarliestReading {
			rows[i].Offered = t
		}
	}
}

func offered(r quantrac.Row) OfferedRow {
	o := OfferedRow{Time: r.Time, Group: r.Group}
	for _, c := range r.Cells {
		oc := OfferedCell{Property: c.Property}
		if !math.IsNaN(c.Value) {
			v := c.Value
			oc.Value = &v
		}
		o.Cells = append(o.Cells, oc)
	}
	return o
}
