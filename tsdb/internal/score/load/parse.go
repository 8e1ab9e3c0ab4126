package load

import (
	"bytes"
	"fmt"
	"iter"
	"strconv"
	"strings"
	"time"
)

// Line is a line of a load, read back.
type Line struct {
	Tags   [][2]string // the measurement is not among them
	Fields []Field
	Time   time.Time
}

// Field is one value of a line; Metric is the name that stores give it.
type Field struct {
	Metric string
	Value  float64
}

// Station returns the station that a line is of.
func (l *Line) Station() string {
	for _, t := range l.Tags {
		if t[0] == "station" {
			return t[1]
		}
	}
	return ""
}

// Parse reads the lines that this package writes, and no other form of line
// protocol: nothing in them is escaped. It stops after the first error.
func Parse(lines []byte) iter.Seq2[Line, error] {
	return func(yield func(Line, error) bool) {
		for text := range bytes.Lines(lines) {
			l, err := parse(strings.TrimSuffix(string(text), "\n"))
			if !yield(l, err) || err != nil {
				return
			}
		}
	}
}

func parse(text string) (l Line, err error) {
	part := strings.Split(text, " ")
	if len(part) != 3 {
		return l, fmt.Errorf("line %q has %d parts, want tags, fields and time", text, len(part))
	}
	tags := strings.Split(part[0], ",")
	for _, tag := range tags[1:] {
		name, value, _ := strings.Cut(tag, "=")
		l.Tags = append(l.Tags, [2]string{name, value})
	}
	for field := range strings.SplitSeq(part[1], ",") {
		name, value, _ := strings.Cut(field, "=")
		v, err := strconv.ParseFloat(value, 64)
		if err != nil {
			return l, fmt.Errorf("line %q: field %q: %w", text, name, err)
		}
		l.Fields = append(l.Fields, Field{tags[0] + "_" + name, v})
	}
	ns, err := strconv.ParseInt(part[2], 10, 64)
	if err != nil {
		return l, fmt.Errorf("line %q: time: %w", text, err)
	}
	l.Time = time.Unix(0, ns).UTC()
	return l, nil
}
