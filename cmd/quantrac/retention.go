package main

import (
	"fmt"
	"path"
	"strings"
	"time"

	"github.com/prometheus/common/model"

	"quantrac"
)

// retention is how long values are kept, by classes of properties: the first
// pattern that a property's name matches counts, and what matches none is kept
// for ever.
type retention []retentionClass

type retentionClass struct {
	pattern string // as path.Match has it: battery_*
	keep    time.Duration
}

// leastRetention keeps a slip of the pen from dropping what was measured today.
const leastRetention = 24 * time.Hour

// parseRetention reads PATTERN=DURATION; durations have the units of Prometheus,
// among them d, w and y, and 0 keeps for ever.
func parseRetention(classes []string) (retention, error) {
	var out retention
	for _, c := range classes {
		pattern, text, ok := strings.Cut(c, "=")
		if _, err := path.Match(pattern, ""); !ok || pattern == "" || err != nil {
			return nil, fmt.Errorf("%q: write PATTERN=DURATION, such as battery_*=2y", c)
		}
		keep, err := model.ParseDuration(text)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", c, err)
		}
		if keep != 0 && time.Duration(keep) < leastRetention {
			return nil, fmt.Errorf("%q: nothing is kept for less than a day; 0 keeps for ever", c)
		}
		out = append(out, retentionClass{pattern, time.Duration(keep)})
	}
	return out, nil
}

// of returns how long the values of a property are kept, 0 for ever.
func (r retention) of(_ quantrac.Labels, property string) time.Duration {
	for _, c := range r {
		if ok, err := path.Match(c.pattern, property); ok && err == nil {
			return c.keep
		}
	}
	return 0
}
