package decode

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

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
	l = l.withDefaults()
	d := lineDecoder{
		feed:      lineFeed{b: payload},
		precision: p,
		maxFields: l.MaxCells,
		names:     map[string]string{},
	}
	d.lib = lineprotocol.NewDecoder(&d.feed)
	var out Result
	for entries := 0; d.lib.Next(); entries++ {
		if entries >= l.MaxRows {
			return Result{}, quantrac.Errorf(quantrac.Invalid, "line protocol: more than %d lines", l.MaxRows)
		}
		number, start := d.feed.number, d.feed.start
		p, err := d.entry()
		var row Row
		if err == nil {
			row, err = p.row(received, &out)
		}
		if err != nil {
			text := payload[start:d.feed.end]
			out.Faulty++
			out.fault(l, Fault{Row: number, Reason: err.Error(), Text: excerpt(bytes.TrimRight(text, "\r\n"), MaxFaultText)})
			continue
		}
		if len(row.Cells) > 0 {
			row.Index = number
			out.Rows = append(out.Rows, row)
		}
	}
	return out, nil
}

// lineFeed hands the decoder one line at a time. The decoder reads on only
// when it needs more, and nothing but a quoted text reaches over the end of a
// line, so the line last handed out is the one being decoded. That is how we
// know a line's number and text: the decoder tells them for syntax errors only.
type lineFeed struct {
	b      []byte
	number int // of the line last handed out, from 1
	start  int // its first byte
	end    int // one past the last byte handed out
	mid    bool
}

func (f *lineFeed) Read(p []byte) (int, error) {
	if f.end >= len(f.b) {
		return 0, io.EOF
	}
	if !f.mid { // the line before has been handed out whole
		f.number++
		f.start = f.end
	}
	rest := f.b[f.end:]
	n := len(rest)
	for i, c := range rest {
		if c == '\n' {
			n = i + 1
			break
		}
	}
	whole := n <= len(p)
	n = copy(p, rest[:n])
	f.end += n
	f.mid = !whole
	return n, nil
}

// lineDecoder reads entries; names keeps one copy of each name.
type lineDecoder struct {
	lib       *lineprotocol.Decoder
	feed      lineFeed
	precision Precision
	names     map[string]string
	maxFields int
	point     point
}

// point is one entry as it stands in the payload, before our own rules.
type point struct {
	name    string
	tags    []quantrac.Label
	fields  []field
	time    quantrac.Millis
	hasTime bool
}

type field struct {
	key   string
	value lineprotocol.Value
}

// maxNames bounds the table of names that one payload can make.
const maxNames = 4096

func (d *lineDecoder) intern(b []byte) string {
	if s, ok := d.names[string(b)]; ok {
		return s
	}
	s := string(b)
	if len(d.names) < maxNames {
		d.names[s] = s
	}
	return s
}

// entry reads the entry that Next has found. The point is valid until the next
// call.
func (d *lineDecoder) entry() (*point, error) {
	p := &d.point
	*p = point{tags: p.tags[:0], fields: p.fields[:0]}
	name, err := d.lib.Measurement()
	if err != nil {
		return nil, err
	}
	p.name = d.intern(name)
	for {
		key, value, err := d.lib.NextTag()
		if err != nil {
			return nil, err
		}
		if key == nil {
			break
		}
		tag := quantrac.Label{Name: d.intern(key), Value: d.intern(value)}
		if err := p.checkTag(tag.Name); err != nil {
			return nil, err
		}
		p.tags = append(p.tags, tag)
	}
	if err := p.sortTags(); err != nil {
		return nil, err
	}
	for {
		key, value, err := d.lib.NextField()
		if err != nil {
			return nil, err
		}
		if key == nil {
			break
		}
		if len(p.fields) == d.maxFields {
			return nil, fmt.Errorf("more than %d fields", d.maxFields)
		}
		p.fields = append(p.fields, field{d.intern(key), keep(value)})
	}
	return p, d.time(p)
}

// checkTag says why a further tag of this name cannot be one.
func (p *point) checkTag(name string) error {
	if len(p.tags) == quantrac.MaxLabels-1 { // the metric name is one more
		return fmt.Errorf("more than %d tags", quantrac.MaxLabels-1)
	}
	if name == quantrac.LabelMetric {
		return fmt.Errorf("tag %q: the metric's name comes from measurement and field", name)
	}
	return nil
}

// sortTags brings the tags into the order of labels and finds a key that
// occurs twice.
func (p *point) sortTags() error {
	slices.SortFunc(p.tags, func(a, b quantrac.Label) int { return strings.Compare(a.Name, b.Name) })
	for i := 1; i < len(p.tags); i++ {
		if p.tags[i-1].Name == p.tags[i].Name {
			return fmt.Errorf("duplicate tag key %q", p.tags[i].Name)
		}
	}
	return nil
}

// keep detaches a value from the decoder's buffer.
func keep(v lineprotocol.Value) lineprotocol.Value {
	if v.Kind() != lineprotocol.String {
		return v
	}
	s, ok := lineprotocol.StringValue(v.StringV())
	if !ok {
		return v
	}
	return s
}

var errTimeRange = errors.New("timestamp out of range: it must lie between the years 1677 and 2262")

// time reads the timestamp. Its range is that of nanoseconds in an int64,
// whatever the precision, as in InfluxDB.
func (d *lineDecoder) time(p *point) error {
	b, err := d.lib.TimeBytes()
	if err != nil || b == nil {
		return err
	}
	n, err := strconv.ParseInt(string(b), 10, 64)
	if errors.Is(err, strconv.ErrRange) {
		return errTimeRange
	}
	if err != nil {
		return fmt.Errorf("timestamp %q is no integer", excerpt(b, 32))
	}
	unit := nanos[d.precision]
	ns := n * unit
	if ns/unit != n {
		return errTimeRange
	}
	p.time, p.hasTime = quantrac.Millis(floorDiv(ns, 1e6)), true
	return nil
}

func floorDiv(a, b int64) int64 {
	q := a / b
	if a%b < 0 {
		q--
	}
	return q
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
