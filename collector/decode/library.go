package decode

import (
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"

	"github.com/influxdata/line-protocol/v2/lineprotocol"

	"quantrac"
)

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
