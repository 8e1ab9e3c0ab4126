package decode

import (
	"bytes"
	"math"
	"slices"
	"unicode/utf8"

	"quantrac"
)

// commonLines takes the lines that stations and their gateways mostly send: no
// escapes, plain numbers, booleans and texts. It takes a line whole or leaves it
// to the library, which also finds the words for whatever is wrong with one. Of
// what it takes it makes what the library would have made.
type commonLines struct {
	memo     *Memo
	out      *Result
	b        []byte
	unit     int64
	received quantrac.Millis
	most     int // fields of a line

	stamp    []byte // the timestamp of a line before, with the end of the line
	time     quantrac.Millis
	seen     []knownField // of the line, each once
	collided int          // fields of the line that a later one replaces
	texts    int          // fields of the line that are text
}

// common takes lines from where the feed stands, up to the first one that it
// leaves to the library, or one more than the limit.
func (d *lineDecoder) common() {
	c := commonLines{memo: d.memo, out: d.out, b: d.feed.b, unit: nanos[d.precision], received: d.received, most: d.limits.MaxCells}
	i, number := d.feed.end, d.feed.number
	for d.entries <= d.limits.MaxRows && i < len(c.b) {
		next := i + 1
		if c.b[i] != '\n' {
			if next = c.line(i, number+1); next < 0 {
				break
			}
			d.entries++
		}
		i, number = next, number+1
	}
	d.skipped += int64(number - d.feed.number)
	d.feed.end, d.feed.number = i, number
}

// line takes the line at b[i:] and returns where the next one begins, -1 where
// it is for the library.
func (c *commonLines) line(i, number int) int {
	h := c.memo.head(c.b[i:])
	if h == nil {
		return -1
	}
	cells, i := c.fields(h, i+len(h.text))
	if i < 0 || len(cells)+c.collided+c.texts > c.most {
		return -1
	}
	stamped, end := c.timestamp(i)
	if end < 0 {
		return -1
	}
	c.out.Collided += c.collided
	c.out.Strings += c.texts
	if len(cells) == 0 {
		return end
	}
	// Filled where it stays: a row made aside and copied is waited for.
	c.out.Rows = append(c.out.Rows, Row{})
	row := &c.out.Rows[len(c.out.Rows)-1]
	row.Index, row.Stamped, row.Tags, row.Cells = number, stamped, h.tags, c.out.space.keep(cells)
	if row.Time = c.time; stamped {
		row.Time = c.received
	}
	return end
}

// fields reads the fields at b[i:] if they come in the order in which they are
// known. It returns the end of the last one.
func (c *commonLines) fields(h *head, i int) ([]quantrac.Cell, int) {
	row, first := c.out.space.row(), i
	c.collided, c.texts = 0, 0
	for k := 0; ; k++ {
		if k = following(h.fields, k, c.b[i:]); k < 0 {
			return c.anyFields(h, first)
		}
		at := i + len(h.fields[k].key)
		v, end := value(c.b, at)
		if end >= 0 {
			row = append(row, quantrac.Cell{Property: h.fields[k].property, Value: v})
		} else if end = c.text(at); end < 0 {
			return nil, -1
		}
		if end == len(c.b) || c.b[end] != ',' {
			return row, end
		}
		i = end + 1
	}
}

// text skips the text in quotes at b[i:] and returns its end, -1 where it is
// none, or none of one plain line.
func (c *commonLines) text(i int) int {
	if i >= len(c.b) || c.b[i] != '"' {
		return -1
	}
	n := bytes.IndexByte(c.b[i+1:], '"')
	text := c.b[i+1 : i+1+max(n, 0)]
	if n < 0 || bytes.ContainsAny(text, "\\\n") || !utf8.Valid(text) {
		return -1
	}
	c.texts++
	return i + 1 + n + 1
}

// following returns which of the fields from k on text begins with, -1 for none.
func following(fields []knownField, k int, text []byte) int {
	for ; k < len(fields); k++ {
		if key := fields[k].key; len(text) >= len(key) && string(text[:len(key)]) == key {
			return k
		}
	}
	return -1
}

// anyFields reads the fields at b[i:] in any order, new ones and such as are
// given twice among them, and remembers them.
func (c *commonLines) anyFields(h *head, i int) ([]quantrac.Cell, int) {
	row := Row{Cells: c.out.space.row()}
	c.seen, c.collided, c.texts = c.seen[:0], 0, 0
	for {
		f, ok := c.field(h, c.b[i:])
		if !ok || len(row.Cells)+c.collided+c.texts == c.most {
			return nil, -1
		}
		at := i + len(f.key)
		v, end := value(c.b, at)
		if end >= 0 {
			c.collided += row.set(f.property, v)
		} else if end = c.text(at); end < 0 {
			return nil, -1
		}
		if end == len(c.b) || c.b[end] != ',' {
			c.memo.remember(h, c.seen)
			return row.Cells, end
		}
		i = end + 1
	}
}

// field returns the field whose key text begins with.
func (c *commonLines) field(h *head, text []byte) (f knownField, ok bool) {
	if k := following(h.fields, 0, text); k >= 0 {
		f, ok = h.fields[k], true
	} else {
		n := bytes.IndexByte(text[:min(len(text), quantrac.MaxLabelNameBytes)], '=')
		f, ok = c.memo.field(h.of, text[:max(n, 0)])
	}
	if ok && !slices.Contains(c.seen, f) {
		c.seen = append(c.seen, f)
	}
	return f, ok
}

// timestamp reads the end of a line, from behind its fields at b[i:], into
// c.time, and returns where the next line begins. A stamped line has no time.
func (c *commonLines) timestamp(i int) (stamped bool, next int) {
	start := i
	for i < len(c.b) && c.b[i] == ' ' {
		i++
	}
	if next = c.endOfLine(i); next >= 0 {
		return true, next
	}
	if i == start {
		return false, -1
	}
	if n := len(c.stamp); n > 0 && len(c.b)-i >= n && string(c.b[i:i+n]) == string(c.stamp) {
		return false, i + n
	}
	return false, c.newTime(i)
}

// newTime reads another timestamp than that of the line before.
func (c *commonLines) newTime(start int) int {
	first := start
	if c.b[first] == '-' {
		first++
	}
	u, i := digits(c.b, first, 0)
	if i == first || i-first > 19 || u > math.MaxInt64 {
		return -1
	}
	n := int64(u)
	if first > start {
		n = -n
	}
	ns := n * c.unit
	if ns/c.unit != n {
		return -1
	}
	for i < len(c.b) && c.b[i] == ' ' {
		i++
	}
	next := c.endOfLine(i)
	if next >= 0 {
		c.stamp, c.time = c.b[start:next], quantrac.Millis(floorDiv(ns, 1e6))
	}
	return next
}

// endOfLine returns where the next line begins if the line ends at b[i], else -1.
func (c *commonLines) endOfLine(i int) int {
	switch {
	case i == len(c.b):
		return i
	case c.b[i] == '\n':
		return i + 1
	case c.b[i] == '\r' && (i+1 == len(c.b) || c.b[i+1] == '\n'):
		return min(i+2, len(c.b))
	}
	return -1
}
