// Package captest judges CAP documents as their readers do: Schema by the
// element table of CAP 1.2 (order, number, values), Errors by what Google
// Public Alerts refuses, and Advice by what Google, WMO's composer and alert
// hubs recommend. It reads the XML by itself and shares nothing with package
// cap, so that it can judge what that writes. Only tests import it.
//
// Sources: OASIS CAP 1.2 (element table and section 3.2), the checks of the
// Google profile, the rules found in WMO's CAP Composer.
package captest

import (
	"fmt"
	"strings"
	"time"
)

// Report is the verdict on a document.
type Report struct {
	Schema []string // against the standard
	Errors []string // against the Google profile
	Advice []string // recommendations not followed
}

// Clean says whether nothing at all was found.
func (r Report) Clean() bool { return len(r.Schema)+len(r.Errors)+len(r.Advice) == 0 }

func (r Report) String() string {
	var b strings.Builder
	for _, l := range []struct {
		name string
		list []string
	}{{"schema", r.Schema}, {"error", r.Errors}, {"advice", r.Advice}} {
		for _, s := range l.list {
			fmt.Fprintf(&b, "%s: %s\n", l.name, s)
		}
	}
	return b.String()
}

// Check judges a document.
func Check(doc []byte) Report {
	var r Report
	root, err := parse(doc)
	if err != nil {
		r.Schema = append(r.Schema, err.Error())
		return r
	}
	c := checker{r: &r}
	c.element("alert", root, alertRule)
	c.semantics(root)
	c.google(root)
	c.advice(root)
	return r
}

type checker struct{ r *Report }

func (c *checker) schema(format string, args ...any) {
	c.r.Schema = append(c.r.Schema, fmt.Sprintf(format, args...))
}
func (c *checker) error(format string, args ...any) {
	c.r.Errors = append(c.r.Errors, fmt.Sprintf(format, args...))
}
func (c *checker) should(format string, args ...any) {
	c.r.Advice = append(c.r.Advice, fmt.Sprintf(format, args...))
}

func (c *checker) time(path, text string) (time.Time, bool) {
	t, err := time.Parse("2006-01-02T15:04:05-07:00", strings.TrimSpace(text))
	return t, err == nil
}
