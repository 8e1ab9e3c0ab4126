package decode

import (
	"fmt"
	"math"
	"slices"
	"strconv"
	"time"
	"unicode/utf8"

	"quantrac"
)

// JSON reads the payload of the topic v1/{device}/obs: one row or an array of
// rows, each
//
//	{"time": "2026-07-01T07:00:00+07:00", "values": {"water_level_meters": 2.314}}
//
// and, where its values are made up, "simulated": true, which becomes a tag.
// time is RFC 3339, or Unix milliseconds as a number; what is finer than a
// millisecond is floored; without a time the row is stamped with received. A
// value is a number, true or false (1 and 0), or null: the station says that
// the reading is missing. Text is no value, "NaN" neither.
//
// What is not JSON, or neither object nor array, is an error and yields no row
// at all. In a payload that is JSON each of these is a Fault, and the rest is
// kept: a row that is no object, a time that is neither form, a member other
// than time, values and simulated, a value of another kind, an integer beyond ±2^53, a
// number beyond float64. A name that occurs twice in one object says two
// things: a property given twice is left out, a row with two times, two sets of
// values or two simulated is left out whole, and so is one whose simulated is
// neither true nor false.
func JSON(payload []byte, received quantrac.Millis, l Limits) (Result, error) {
	l = l.withDefaults()
	if !utf8.Valid(payload) {
		return Result{}, quantrac.Errorf(quantrac.Invalid, "JSON: payload is not UTF-8")
	}
	d := jsonDecoder{scanner: scanner{b: payload}, limits: l, received: received}
	var err error
	switch k := d.kind(); k {
	case kindObject:
		err = d.row(0)
	case kindArray:
		err = d.array(d.row)
	case kindNone:
		err = d.unexpected("a row or an array of rows")
	default:
		err = d.errf("%s where a row or an array of rows is expected", k)
	}
	if err != nil {
		return Result{}, err
	}
	if d.peek() != 0 || d.i < len(d.b) {
		return Result{}, d.unexpected("the end")
	}
	if len(d.out.Rows) == 0 && len(d.out.Faults) == 0 {
		return Result{}, quantrac.Errorf(quantrac.Invalid, "JSON: no row")
	}
	return d.out, nil
}

type jsonDecoder struct {
	scanner
	limits   Limits
	received quantrac.Millis
	out      Result
}

// row takes one element of the payload.
func (d *jsonDecoder) row(index int) error {
	if index >= d.limits.MaxRows {
		return d.errf("more than %d rows", d.limits.MaxRows)
	}
	if k := d.kind(); k != kindObject {
		d.bad(index, "", "%s where a row is expected", k)
		d.out.Faulty++
		return d.skip(1)
	}
	r := rowReader{d: d, row: Row{Index: index, Time: d.received, Stamped: true}}
	if err := d.object(r.member); err != nil {
		return err
	}
	r.finish()
	return nil
}

func (d *jsonDecoder) bad(row int, field, format string, args ...any) {
	d.out.fault(d.limits, Fault{Row: row, Field: field, Reason: fmt.Sprintf(format, args...)})
}

// rowReader gathers one row.
type rowReader struct {
	d         *jsonDecoder
	row       Row
	hasTime   bool
	hasValues bool
	hasOrigin bool
	given     int // members of values, good or not
	broken    bool
}

func (r *rowReader) bad(field, format string, args ...any) {
	r.d.bad(r.row.Index, field, format, args...)
}

func (r *rowReader) member(name string, _ int) error {
	d := r.d
	switch name {
	case "time":
		if r.hasTime {
			r.bad("time", "given twice")
			r.broken = true
			return d.skip(2)
		}
		r.hasTime = true
		return r.time()
	case "values":
		if r.hasValues {
			r.bad("values", "given twice")
			r.broken = true
			return d.skip(2)
		}
		r.hasValues = true
		if k := d.kind(); k != kindObject {
			r.bad("values", "%s where an object of properties is expected", k)
			r.broken = true
			return d.skip(2)
		}
		return r.values()
	case quantrac.LabelSimulated:
		if r.hasOrigin {
			r.bad(name, "given twice")
			r.broken = true
			return d.skip(2)
		}
		r.hasOrigin = true
		return r.origin()
	}
	r.bad(excerpt(name, 64), "unknown member; a row has time and values")
	return d.skip(2)
}

// simulatedTags are those of every row that says so.
var simulatedTags = quantrac.Labels{{Name: quantrac.LabelSimulated, Value: "true"}}

// origin takes whether the row is made up. One that says neither yes nor no is
// left out: it must not pass for measured.
func (r *rowReader) origin() error {
	d := r.d
	switch k := d.kind(); k {
	case kindTrue:
		r.row.Tags = simulatedTags
		return d.literal("true")
	case kindFalse:
		return d.literal("false")
	case kindNone:
		return d.unexpected("true or false")
	default:
		r.bad(quantrac.LabelSimulated, "%s where true or false is expected", k)
		r.broken = true
		return d.skip(2)
	}
}

func (r *rowReader) finish() {
	switch {
	case !r.hasValues:
		r.bad("values", "missing")
		r.broken = true
	case r.given == 0 && !r.broken:
		r.bad("values", "empty")
		r.broken = true
	}
	if r.broken || len(r.row.Cells) == 0 {
		r.d.out.Faulty++
		return
	}
	r.d.out.Rows = append(r.d.out.Rows, r.row)
}

func (r *rowReader) time() error {
	d := r.d
	switch k := d.kind(); k {
	case kindNumber:
		text, integer, err := d.number()
		if err != nil {
			return err
		}
		t, reason := millis(text, integer)
		if reason != "" {
			r.bad("time", "%s", reason)
			r.broken = true
		}
		r.row.Time, r.row.Stamped = t, false
		return nil
	case kindString:
		text, err := d.text()
		if err != nil {
			return err
		}
		t, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			r.bad("time", "%q is not RFC 3339 with an offset, such as 2026-07-01T07:00:00+07:00", excerpt(text, 64))
			r.broken = true
		}
		r.row.Time, r.row.Stamped = quantrac.FloorMillis(t), false
		return nil
	default:
		if k == kindNone {
			return d.unexpected("a time")
		}
		r.bad("time", "%s where RFC 3339 or Unix milliseconds is expected; leave it out where the station has no clock", k)
		r.broken = true
		return d.skip(2)
	}
}

// millis reads a JSON number as Unix milliseconds and floors it.
func millis(text []byte, integer bool) (quantrac.Millis, string) {
	if integer {
		n, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil || n <= int64(quantrac.MinMillis) || n >= int64(quantrac.MaxMillis) {
			return 0, excerpt(text, 32) + " milliseconds are out of range"
		}
		return quantrac.Millis(n), ""
	}
	f, err := strconv.ParseFloat(string(text), 64)
	if err != nil || !checkMillis(f) {
		return 0, excerpt(text, 32) + " milliseconds are out of range"
	}
	return quantrac.Millis(math.Floor(f)), ""
}

// exact says whether a float64 holds the integer of the text: the one 2^53+1
// rounds to has to be told from 2^53 itself.
func exact(text []byte) bool {
	n, err := strconv.ParseInt(string(text), 10, 64)
	return err == nil && n <= maxExact && n >= -maxExact
}

func (r *rowReader) values() error {
	d := r.d
	var seen, twice []string
	err := d.object(func(name string, at int) error {
		if r.given++; r.given > d.limits.MaxCells {
			return d.errf("row %d has more than %d values", r.row.Index, d.limits.MaxCells)
		}
		v, q, reason, err := r.value()
		if err != nil {
			return err
		}
		if why := checkProperty(name); why != "" {
			r.bad("values", "%s", why)
			return nil
		}
		if slices.Contains(seen, name) {
			if !slices.Contains(twice, name) {
				r.bad(name, "given twice in one row, at byte %d again; neither is kept", at)
				twice = append(twice, name)
			}
			return nil
		}
		seen = append(seen, name)
		if reason != "" {
			r.bad(name, "%s", reason)
			return nil
		}
		r.row.Cells = append(r.row.Cells, quantrac.Cell{Property: name, Value: v, Quality: q})
		return nil
	})
	r.row.Cells = slices.DeleteFunc(r.row.Cells, func(c quantrac.Cell) bool {
		return slices.Contains(twice, c.Property)
	})
	return err
}

// value takes the value of a property. A reason says why it is none.
func (r *rowReader) value() (v float64, q quantrac.Quality, reason string, err error) {
	d := r.d
	switch k := d.kind(); k {
	case kindNumber:
		text, integer, err := d.number()
		if err != nil {
			return 0, 0, "", err
		}
		v, err := strconv.ParseFloat(string(text), 64)
		switch {
		case err != nil:
			return 0, 0, "number " + excerpt(text, 32) + " is beyond what a float64 can hold", nil
		case integer && !exact(text):
			return 0, 0, "integer " + excerpt(text, 32) + " is beyond ±2^53 and cannot be kept exactly", nil
		}
		return v, quantrac.NotEvaluated, "", nil
	case kindTrue:
		return 1, quantrac.NotEvaluated, "", d.literal("true")
	case kindFalse:
		return 0, quantrac.NotEvaluated, "", d.literal("false")
	case kindNull:
		return math.NaN(), quantrac.Missing, "", d.literal("null")
	case kindNone:
		return 0, 0, "", d.unexpected("a value")
	default:
		return 0, 0, fmt.Sprintf("%s where a number, true, false or null is expected", k), d.skip(3)
	}
}
