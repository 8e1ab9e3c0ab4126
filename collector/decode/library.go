package decode

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"quantrac"
)

// lineDecoder makes rows of a payload. Common lines are taken by the way, when
// the library, between two entries, asks for a further line.
type lineDecoder struct {
	lib       *lineprotocol.Decoder // nil until a line needs it
	feed      lineFeed
	memo      *Memo // for common lines; nil leaves all to the library
	between   bool  // the library is between two entries
	skipped   int64 // lines that the library has not seen
	entries   int   // taken; one above the limit ends it
	precision Precision
	received  quantrac.Millis
	limits    Limits
	names     map[string]string // one copy of each name
	point     point
	out       *Result
}

func newLineDecoder(out *Result, payload []byte, p Precision, received quantrac.Millis, l Limits) *lineDecoder {
	out.reset(len(payload))
	return &lineDecoder{feed: lineFeed{b: payload}, precision: p, received: received, limits: l.withDefaults(), out: out}
}

// Read implements io.Reader for the library.
func (d *lineDecoder) Read(p []byte) (int, error) {
	if d.between && !d.feed.mid && d.memo != nil {
		d.common()
	}
	return d.feed.Read(p)
}

// more says whether there is a further entry for take, and within the limit.
func (d *lineDecoder) more() bool {
	if d.lib == nil {
		if d.memo != nil {
			d.common()
		}
		if d.feed.end == len(d.feed.b) {
			return false
		}
		d.lib, d.names = lineprotocol.NewDecoder(d), map[string]string{}
	}
	d.between = true
	more := d.lib.Next()
	d.between = false
	if more {
		d.entries++
	}
	return more && d.entries <= d.limits.MaxRows
}

// take makes a row of an entry, or a fault.
func (d *lineDecoder) take() {
	number, start := d.feed.number, d.feed.start
	var row Row
	p, err := d.entry()
	if err == nil {
		row, err = p.row(d.received, d.out)
	}
	if err != nil {
		d.fault(number, start, err)
		// Where the entry was given up half-way the rest of it is read, so that
		// a line inside a text is not taken for the next entry.
		_, _ = d.lib.TimeBytes()
		return
	}
	if len(row.Cells) > 0 {
		row.Index = number
		d.out.Rows = append(d.out.Rows, row)
	}
}

// fault enters what is wrong with the entry that begins at start.
func (d *lineDecoder) fault(number, start int, err error) {
	var at *lineprotocol.DecodeError
	if errors.As(err, &at) {
		at.Line += d.skipped
	}
	d.out.Faulty++
	d.out.fault(d.limits, Fault{Row: number, Reason: err.Error(), Text: excerpt(d.feed.text(start), MaxFaultText)})
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
		if len(p.fields) == d.limits.MaxCells {
			return nil, fmt.Errorf("more than %d fields", d.limits.MaxCells)
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
