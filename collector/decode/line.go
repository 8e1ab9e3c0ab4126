package decode

import (
	"fmt"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"quantrac"
)

// Precision is the unit of a line's timestamp.
type Precision uint8

// The units. Minutes and hours exist in InfluxDB 1 only.
const (
	Nanoseconds Precision = iota
	Microseconds
	Milliseconds
	Seconds
	Minutes
	Hours
)

// nanos is the length of each unit in nanoseconds.
var nanos = [...]int64{1, 1e3, 1e6, 1e9, 60e9, 3600e9}

// Lines reads InfluxDB line protocol. A line becomes a Row: its tags as
// labels, and for each field the metric measurement_field. Integers beyond
// ±2^53 are a fault of the line; booleans become 1 and 0; text fields are
// counted and skipped, and a line of text fields only yields no row and no
// fault. Times are floored to the millisecond; a line without one is stamped
// with received.
//
// Of a field given twice the last wins and it is counted, as in InfluxDB. A tag
// given twice is a fault of the line: the series it names is anybody's guess. So
// is a tag __name__, which is the metric's own.
//
// A bad line is a Fault with the number of its first line and its text, and
// reading goes on at the next line. The error is for a payload that exceeds the
// limits.
func Lines(payload []byte, p Precision, received quantrac.Millis, l Limits) (Result, error) {
	var m Memo
	var out Result
	err := m.Lines(&out, payload, p, received, l)
	return out, err
}

// Lines is the function Lines with what m knows of payloads before. The result
// takes the place of what out held, and its memory: nothing may use the former
// rows any more.
func (m *Memo) Lines(out *Result, payload []byte, p Precision, received quantrac.Millis, l Limits) error {
	if m.last == nil {
		m.forget()
	}
	d := newLineDecoder(out, payload, p, received, l)
	d.memo = m
	for d.more() {
		d.take()
	}
	if d.entries > d.limits.MaxRows {
		out.reset(0)
		return quantrac.Errorf(quantrac.Invalid, "line protocol: more than %d lines", d.limits.MaxRows)
	}
	return nil
}

// row applies the rules for line protocol without a profile.
func (p *point) row(received quantrac.Millis, out *Result) (Row, error) {
	row := Row{Time: p.time, Tags: append(quantrac.Labels(nil), p.tags...)}
	if err := row.Tags.Validate(); err != nil {
		return Row{}, err
	}
	if !p.hasTime {
		row.Time, row.Stamped = received, true
	}
	strings := 0
	for _, f := range p.fields {
		v, ok, err := number(f.value)
		if err != nil {
			return Row{}, fmt.Errorf("field %q: %w", f.key, err)
		}
		if !ok {
			strings++
			continue
		}
		name := p.name + "_" + f.key
		if why := checkProperty(name); why != "" {
			return Row{}, fmt.Errorf("field %q: %s", excerpt(f.key, 64), why)
		}
		out.Collided += row.set(name, v)
	}
	out.Strings += strings
	return row, nil
}

// set puts a value into the row and returns how many it replaced.
func (r *Row) set(name string, v float64) int {
	for i := range r.Cells {
		if r.Cells[i].Property == name {
			r.Cells[i].Value = v
			return 1
		}
	}
	r.Cells = append(r.Cells, quantrac.Cell{Property: name, Value: v})
	return 0
}

// number is the float64 of a field; ok is false for text.
func number(v lineprotocol.Value) (f float64, ok bool, err error) {
	switch v.Kind() {
	case lineprotocol.Float:
		return v.FloatV(), true, nil
	case lineprotocol.Int:
		n := v.IntV()
		if n > maxExact || n < -maxExact {
			return 0, false, fmt.Errorf("integer %d is beyond ±2^53 and cannot be kept exactly", n)
		}
		return float64(n), true, nil
	case lineprotocol.Uint:
		n := v.UintV()
		if n > maxExact {
			return 0, false, fmt.Errorf("integer %d is beyond ±2^53 and cannot be kept exactly", n)
		}
		return float64(n), true, nil
	case lineprotocol.Bool:
		if v.BoolV() {
			return 1, true, nil
		}
		return 0, true, nil
	}
	return 0, false, nil
}
