package devices

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"quantrac"
)

// Problem is one reason why a change is refused.
type Problem struct {
	Kind   string             `json:"kind"` // station, device, property, threshold, unit, authority, token
	ID     string             `json:"id"`
	Field  string             `json:"field,omitempty"` // as in the JSON form
	Text   string             `json:"text"`            // what is wrong and what is expected
	Reason quantrac.ErrorKind `json:"-"`               // Invalid, Conflict or NotFound
}

// String says the problem in one line.
func (p Problem) String() string {
	if p.Field == "" {
		return fmt.Sprintf("%s %q: %s", p.Kind, p.ID, p.Text)
	}
	return fmt.Sprintf("%s %q: %s: %s", p.Kind, p.ID, p.Field, p.Text)
}

// Problems are all reasons why a change is refused, as an error.
type Problems []Problem

// Error says all of them.
func (ps Problems) Error() string {
	lines := make([]string, len(ps))
	for i, p := range ps {
		lines[i] = p.String()
	}
	return strings.Join(lines, "; ")
}

// asError returns the problems as an error of their kind, nil where there are
// none.
func (ps Problems) asError() error {
	if len(ps) == 0 {
		return nil
	}
	kind := ps[0].Reason
	for _, p := range ps {
		if p.Reason != kind {
			kind = quantrac.Invalid
		}
	}
	return quantrac.WithKind(kind, ps)
}

// ProblemsOf returns the problems in an error's chain.
func ProblemsOf(err error) Problems {
	var ps Problems
	errors.As(err, &ps)
	return ps
}

// inspector collects problems about one object.
type inspector struct {
	kind, id string
	out      *Problems
}

func (in inspector) bad(field, format string, args ...any) {
	*in.out = append(*in.out, Problem{in.kind, in.id, field, fmt.Sprintf(format, args...), quantrac.Invalid})
}

func (in inspector) conflict(field, format string, args ...any) {
	*in.out = append(*in.out, Problem{in.kind, in.id, field, fmt.Sprintf(format, args...), quantrac.Conflict})
}

// text checks a text that people see; it becomes a label too.
func (in inspector) text(field, s string, wanted bool) {
	switch {
	case s == "" && wanted:
		in.bad(field, "is missing")
	case len(s) > maxTextBytes:
		in.bad(field, "has %d bytes, at most %d are kept", len(s), maxTextBytes)
	case !utf8.ValidString(s):
		in.bad(field, "is not UTF-8")
	case strings.ContainsFunc(s, unicode.IsControl):
		in.bad(field, "%q holds a control character", s)
	case strings.TrimSpace(s) != s:
		in.bad(field, "%q begins or ends with a blank", s)
	}
}

func (in inspector) validity(from, to quantrac.Millis) {
	if from < 0 || to < 0 {
		in.bad("valid_from_ms", "validity before 1970 is not kept; leave it out for since ever")
	}
	if from != 0 && to != 0 && from >= to {
		in.bad("valid_to_ms", "%s is not after the beginning %s", to, from)
	}
}
