// Package scorecard prints what a room has measured of itself beside what is
// wanted of it: a line a row with name, measured, wanted and ok, short or
// reported, and at the end how many of the wanted figures held. It knows nothing
// of what the rows mean; the scorecards of the rooms (make score-…) import it.
package scorecard

import (
	"fmt"
	"io"
)

// Row is one line of a scorecard.
type Row struct {
	Name     string
	Measured string
	Wanted   string // "" where the figure is only reported
	OK       bool
}

// verdict says in a word how a row stands.
func (r Row) verdict() string {
	switch {
	case r.Wanted == "":
		return "reported"
	case r.OK:
		return "ok"
	}
	return "short"
}

// Count returns how many of the wanted figures held, and how many are wanted.
func Count(card []Row) (held, wanted int) {
	for _, r := range card {
		if r.Wanted == "" {
			continue
		}
		wanted++
		if r.OK {
			held++
		}
	}
	return held, wanted
}

// Print writes a card and says whether every wanted figure held.
func Print(w io.Writer, card []Row) (bool, error) {
	for _, r := range card {
		if _, err := fmt.Fprintf(w, "%s, %s, %s, %s\n", r.Name, r.Measured, r.Wanted, r.verdict()); err != nil {
			return false, err
		}
	}
	held, wanted := Count(card)
	_, err := fmt.Fprintf(w, "%d of %d held\n", held, wanted)
	return held == wanted, err
}
