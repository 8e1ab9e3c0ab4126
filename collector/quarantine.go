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
	newest         map[string]quantrac.Millis // time of a row, by verdict
}

// maxLetterRows is how many rows a letter holds; of more there are several.
const maxLetterRows = 1000

// add keeps a row and returns what its sender is told.
func (q *quarantine) add(index int, row quantrac.Row, v quantrac.TimeVerdict) decode.Fault {
	l := q.letter(v.String())
	l.Rows = append(l.Rows, offered(row))
	if t, ok := q.newest[l.Reason]; !ok || row.Time > t {
		if q.newest == nil {
			q.newest = map[string]quantrac.Millis{}
		}
		q.newest[l.Reason] = row.Time
	}
	return decode.Fault{Row: index, Field: "time", Reason: l.Reason + ": kept in quarantine"}
}

func (q *quarantine) letter(reason string) *DeadLetter {
	for i := range q.letters {
		if q.letters[i].Reason == reason && len(q.letters[i].Rows) < maxLetterRows {
			return &q.letters[i]
		}
	}
	q.letters = append(q.letters, DeadLetter{Kind: LetterQuarantine, Device: q.device, Source: q.source, Received: q.received, Reason: reason})
	return &q.letters[len(q.letters)-1]
}

// close returns the letters, each with the times that it offers.
func (q *quarantine) close() []DeadLetter {
	for i := range q.letters {
		l := &q.letters[i]
		for k := range l.Rows {
			r := &l.Rows[k]
			if t := q.received - (q.newest[l.Reason] - r.Time); t >= quantrac.EarliestReading {
				r.Offered = t
			}
		}
	}
	return q.letters
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
