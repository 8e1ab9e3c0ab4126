// Package decode turns payloads of stations into rows: JSON in the form of the
// topic v1/{device}/obs and InfluxDB line protocol. It is pure: bytes in, rows
// and faults out, no I/O, no clock, no registry.
//
// A payload that cannot be read at all is an error of kind quantrac.Invalid
// that names the place. One that can be read in part yields its good rows and
// a Fault for everything that was left out, so that nothing disappears in
// silence. Values keep their exact float64; integers beyond ±2^53, which a
// float64 cannot hold exactly, are faults. Memory is bounded by Limits.
//
// Lines of line protocol as stations mostly send them are taken by a scanner of
// our own, all others by the library of the format's owner; which of them takes
// a line makes no difference to the result. A Memo lets what is learned of the
// lines of one payload serve the next.
//
// Nothing here panics on foreign bytes; all decoders are fuzzed. The
// collector and its ways in may import this package; it imports the root
// vocabulary only.
package decode

import (
	"fmt"
	"math"
	"strings"
	"unicode/utf8"

	"quantrac"
)

// Row is what one row of a payload says.
type Row struct {
	// Index tells where in the payload the row stands: the element of a JSON
	// array, from 0; the number of a line, from 1.
	Index int
	// Time is the valid time, floored to the millisecond.
	Time quantrac.Millis
	// Stamped says that the payload gave no time and Time is that of receipt.
	Stamped bool
	// Tags are the labels that the payload gives: of line protocol its tags,
	// of JSON simulated, where the row says so.
	Tags quantrac.Labels
	// Cells are the values, NotEvaluated, or Missing where the payload says
	// null. A property occurs once.
	Cells []quantrac.Cell
}

// Fault is a part of a payload that was left out, and why.
type Fault struct {
	Row    int    // Index of the row, -1 where it concerns the whole payload
	Field  string // the property, tag or member concerned, "" for the whole row
	Reason string // what was found and what is expected, at most MaxFaultText bytes and a mark
	Text   string // the line as it came, shortened in the same way; line protocol only
}

// String writes the fault in one line: row 3, water_level_meters: …
func (f Fault) String() string {
	switch {
	case f.Row < 0 && f.Field == "":
		return f.Reason
	case f.Row < 0:
		return f.Field + ": " + f.Reason
	case f.Field == "":
		return fmt.Sprintf("row %d: %s", f.Row, f.Reason)
	}
	return fmt.Sprintf("row %d, %s: %s", f.Row, f.Field, f.Reason)
}

// MaxFaultText is how many bytes of foreign text a Fault quotes.
const MaxFaultText = 512

// Result is what became of a payload.
type Result struct {
	Rows   []Row
	Faults []Fault // the first MaxFaults
	// Faulty counts the rows that yielded no row because of a fault.
	Faulty int
	// Strings counts text fields of line protocol that were skipped: no
	// profile says what number they mean.
	Strings int
	// Collided counts fields given twice in one row; the last one is kept.
	Collided int
	// MoreFaults counts the faults beyond Limits.MaxFaults.
	MoreFaults int

	space *space // of the rows' cells; nil where they have memory of their own
}

// reset empties the result, whose memory serves again, for a payload of so many
// bytes. Faults go to whoever sent it and are never used again.
func (r *Result) reset(payload int) {
	*r = Result{Rows: r.Rows[:0], space: r.space}
	if r.space == nil {
		r.space = &space{}
	}
	r.space.reset(payload)
}

// Memory is about how many bytes the result would use again.
func (r *Result) Memory() int {
	const row, cell = 72, 32
	n := row * cap(r.Rows)
	if r.space != nil {
		n += cell * r.space.cells()
	}
	return n
}

func (r *Result) fault(l Limits, f Fault) {
	f.Reason = excerpt(f.Reason, MaxFaultText)
	if len(r.Faults) < l.MaxFaults {
		r.Faults = append(r.Faults, f)
		return
	}
	r.MoreFaults++
}

// Limits bound what one payload may hold. The zero value means the defaults.
type Limits struct {
	MaxRows   int // rows, or lines that are neither blank nor comments; 10,000
	MaxCells  int // values of one row; 256
	MaxFaults int // faults that are told one by one; 100
}

func (l Limits) withDefaults() Limits {
	if l.MaxRows <= 0 {
		l.MaxRows = 10_000
	}
	if l.MaxCells <= 0 {
		l.MaxCells = 256
	}
	if l.MaxFaults <= 0 {
		l.MaxFaults = 100
	}
	return l
}

// maxExact is the largest magnitude up to which float64 holds every integer.
const maxExact = 1 << 53

// checkProperty says why name cannot be a property, "" where it can.
func checkProperty(name string) string {
	if len(name) > quantrac.MaxLabelNameBytes {
		return fmt.Sprintf("property name of %d bytes, at most %d are kept", len(name), quantrac.MaxLabelNameBytes)
	}
	if name == "" {
		return "property without a name"
	}
	return ""
}

// checkMillis says whether t can be stored.
func checkMillis(t float64) bool {
	return t > float64(quantrac.MinMillis) && t < float64(quantrac.MaxMillis) && !math.IsNaN(t)
}

// excerpt shortens foreign text for people: at most n bytes, and UTF-8 whatever
// it was.
func excerpt[T string | []byte](text T, n int) string {
	cut := len(text) > n
	if cut {
		text = text[:n]
	}
	s := strings.ToValidUTF8(string(text), "\uFFFD")
	for len(s) > n { // replacing bytes has made it longer
		_, size := utf8.DecodeLastRuneInString(s)
		s, cut = s[:len(s)-size], true
	}
	if cut {
		s += "…"
	}
	return s
}
