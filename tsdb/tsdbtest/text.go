package tsdbtest

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"

	"quantrac"
)

// Times in scripts: "13:00", "13:00:05.25" on the first of November 2026 at
// +07:00, "07T13:00" on the seventh, RFC 3339 for everything else, "-inf" and
// "+inf" for the ends of time.
func parseTime(s string) (time.Time, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t, nil
	}
	switch s {
	case "-inf":
		return quantrac.MinMillis.Time(), nil
	case "+inf":
		return quantrac.MaxMillis.Time(), nil
	}
	if !strings.Contains(s, "T") {
		s = "01T" + s
	}
	for _, layout := range []string{"15:04", "15:04:05"} {
		if t, err := time.ParseInLocation("2006-01-02T"+layout, "2026-11-"+s, quantrac.Zone); err == nil {
			return t, nil
		}
	}
	return time.Time{}, fmt.Errorf("%q is no time of a script", s)
}

func parseMillis(s string) (quantrac.Millis, error) {
	t, err := parseTime(s)
	if err != nil {
		return 0, err
	}
	return quantrac.FloorMillis(t), nil
}

func formatTime(m quantrac.Millis) string {
	if m <= quantrac.MinMillis || m >= quantrac.MaxMillis {
		return m.String()
	}
	t := m.Time().In(quantrac.Zone)
	if t.Year() != 2026 || t.Month() != time.November {
		return t.Format("2006-01-02T15:04:05.999Z07:00")
	}
	return strings.TrimSuffix(t.Format("02T15:04:05.999"), ":00")
}

// Values in scripts: what strconv reads, "-0", "missing", and "nan:HEX" for a
// NaN of those bits. A flag may follow: "2.31/3".
func parseCell(s string) (quantrac.Cell, error) {
	prop, text, ok := strings.Cut(s, "=")
	if !ok {
		return quantrac.Cell{}, fmt.Errorf("%q is not property=value", s)
	}
	c := quantrac.Cell{Property: prop}
	text, flag, ok := strings.Cut(text, "/")
	if ok {
		code, err := strconv.ParseUint(flag, 10, 8)
		if err != nil {
			return c, err
		}
		if c.Quality, err = quantrac.QualityFromCode(uint8(code)); err != nil {
			return c, err
		}
	}
	var err error
	switch hex, isNaN := strings.CutPrefix(text, "nan:"); {
	case text == "missing":
		c.Value, c.Quality = math.NaN(), quantrac.Missing
	case isNaN:
		var bits uint64
		bits, err = strconv.ParseUint(hex, 16, 64)
		c.Value = math.Float64frombits(bits)
	default:
		c.Value, err = strconv.ParseFloat(text, 64)
	}
	return c, err
}

func formatValue(v float64) string {
	if v != v && !quantrac.SameValue(v, math.NaN()) {
		return "nan:" + strconv.FormatUint(math.Float64bits(v), 16)
	}
	return strconv.FormatFloat(v, 'g', -1, 64)
}

// parseRow reads "{station="tq"} 13:00 a=1 b=2/3 received=13:01". Labels stand
// in braces, or there are none.
func parseRow(line string) (quantrac.Row, error) {
	r := quantrac.Row{Group: quantrac.Labels{}}
	if rest, ok := strings.CutPrefix(line, "{"); ok {
		end := strings.LastIndex(rest, "}")
		if end < 0 {
			return r, fmt.Errorf("%q: no closing brace", line)
		}
		ms, err := parseMatchers(rest[:end])
		if err != nil {
			return r, err
		}
		var pairs []string
		for _, m := range ms {
			pairs = append(pairs, m.Name, m.Value)
		}
		r.Group, line = quantrac.NewLabels(pairs...), rest[end+1:]
	}
	fields := strings.Fields(line)
	if len(fields) == 0 {
		return r, fmt.Errorf("%q has no time", line)
	}
	var err error
	if r.Time, err = parseMillis(fields[0]); err != nil {
		return r, err
	}
	for _, f := range fields[1:] {
		if text, ok := strings.CutPrefix(f, "received="); ok {
			r.Received, err = parseMillis(text)
		} else {
			var c quantrac.Cell
			c, err = parseCell(f)
			r.Cells = append(r.Cells, c)
		}
		if err != nil {
			return r, err
		}
	}
	return r, nil
}

func parseRows(input string) ([]quantrac.Row, error) {
	var rows []quantrac.Row
	for line := range strings.Lines(input) {
		if line = strings.TrimSpace(line); line == "" {
			continue
		}
		r, err := parseRow(line)
		if err != nil {
			return nil, err
		}
		rows = append(rows, r)
	}
	return rows, nil
}

// parseSelector reads name{label="value", other=~"v.*"}, either part of which
// may be missing.
func parseSelector(s string) ([]*quantrac.Matcher, error) {
	name, rest, braces := strings.Cut(strings.TrimSpace(s), "{")
	var ms []*quantrac.Matcher
	if name != "" {
		ms = append(ms, quantrac.Equals(quantrac.LabelMetric, name))
	}
	if !braces {
		return ms, nil
	}
	more, err := parseMatchers(strings.TrimSuffix(rest, "}"))
	return append(ms, more...), err
}

var operators = []struct {
	text string
	kind quantrac.MatchKind
}{ // longer ones first
	{"!=", quantrac.MatchNotEqual}, {"!~", quantrac.MatchNotRegexp},
	{"=~", quantrac.MatchRegexp}, {"=", quantrac.MatchEqual},
}

func parseMatchers(s string) ([]*quantrac.Matcher, error) {
	var ms []*quantrac.Matcher
	for s = strings.TrimSpace(s); s != ""; s = strings.TrimSpace(strings.TrimPrefix(strings.TrimSpace(s), ",")) {
		end := strings.IndexAny(s, "=!")
		if end < 0 {
			return nil, fmt.Errorf("%q: no operator", s)
		}
		name := strings.TrimSpace(s[:end])
		s = s[end:]
		kind := quantrac.MatchEqual
		for _, op := range operators {
			if rest, ok := strings.CutPrefix(s, op.text); ok {
				kind, s = op.kind, strings.TrimSpace(rest)
				break
			}
		}
		quoted, err := strconv.QuotedPrefix(s)
		if err != nil {
			return nil, fmt.Errorf("%q: %w", s, err)
		}
		s = s[len(quoted):]
		value, err := strconv.Unquote(quoted)
		if err != nil {
			return nil, err
		}
		m, err := quantrac.NewMatcher(kind, name, value)
		if err != nil {
			return nil, err
		}
		ms = append(ms, m)
	}
	return ms, nil
}
