package exchange

import (
	"bytes"
	"errors"
	"fmt"
	"io"

	"quantrac"
)

// csvReader reads what csvWriter writes, and other files with a line a value.
// Quotes are as RFC 4180 has them; unlike with encoding/csv, line ends within
// them are kept as they are, and a record is bounded.
type csvReader struct {
	lines  lines
	o      ReadOptions
	l      *layout
	width  int   // columns
	first  int64 // line on which the record at hand begins
	record []byte
	ends   []int // of the cells in text, one after the other
	text   []byte
	labels quantrac.Labels // of the row before
	key    []byte          // its cells that make them
	next   []byte          // those of the row at hand
	seen   map[string]quantrac.Labels
	held   *quantrac.Revision // a row of the next series
	heldAt quantrac.Millis
	heldOf quantrac.Labels
	fault  error // what to return before it
	out    Stretch
}

func newCSVReader(r io.Reader, o ReadOptions) *csvReader {
	return &csvReader{lines: newLines(r, o.MaxLine), o: o}
}

// Next implements Reader. Rows of one series that follow each other are a stretch.
func (c *csvReader) Next() (*Stretch, error) {
	if c.l == nil {
		if err := c.begin(); err != nil {
			return nil, err
		}
	}
	s := &c.out
	s.Labels, s.Times, s.Revisions = nil, s.Times[:0], s.Revisions[:0]
	if err := c.fault; err != nil {
		c.fault = nil
		return nil, err
	}
	if c.held != nil {
		s.Labels, s.Times, s.Revisions = c.heldOf, append(s.Times, c.heldAt), append(s.Revisions, *c.held)
		c.held = nil
	}
	for len(s.Times) < StretchValues {
		t, r, err := c.row()
		if err != nil {
			if len(s.Times) == 0 {
				return nil, err
			}
			c.fault = err
			break
		}
		if len(s.Times) > 0 && !sameSet(s.Labels, c.labels) {
			c.held, c.heldAt, c.heldOf = &r, t, c.labels
			break
		}
		s.Labels, s.Times, s.Revisions = c.labels, append(s.Times, t), append(s.Revisions, r)
	}
	return s, nil
}

// sameSet says whether two label sets are the same memory.
func sameSet(a, b quantrac.Labels) bool { return len(a) == len(b) && &a[0] == &b[0] }

// begin reads the headings.
func (c *csvReader) begin() error {
	err := c.read()
	switch f := new(Fault); {
	case err == io.EOF:
		return quantrac.Errorf(quantrac.Invalid, "the file is empty: want a line of headings")
	case errors.As(err, &f):
		return quantrac.Errorf(quantrac.Invalid, "headings: %w", f)
	case err != nil:
		return err
	}
	names := make([]string, len(c.ends))
	for i := range names {
		names[i] = string(c.cell(i))
	}
	c.l, err = c.o.layout(names)
	c.width = len(names)
	return err
}

// row reads a row; the labels are c.labels.
func (c *csvReader) row() (t quantrac.Millis, r quantrac.Revision, err error) {
	if err = c.read(); err != nil {
		return t, r, err
	}
	if len(c.ends) != c.width {
		return t, r, c.bad("", fmt.Errorf("%d cells: want %d, as there are headings", len(c.ends), c.width))
	}
	c.next = c.next[:0]
	for _, l := range c.l.labels {
		c.next = append(append(c.next, c.cell(l.at)...), 0xFF) // no byte of UTF-8
	}
	if at, ok := c.l.parts[partMetric]; ok {
		c.next = append(c.next, c.cell(at)...)
	}
	if c.labels == nil || !bytes.Equal(c.next, c.key) {
		if c.labels, err = c.series(); err != nil {
			return t, r, c.bad("", err)
		}
		c.key = append(c.key[:0], c.next...)
	}
	t, field, err := c.values(&r)
	if err != nil {
		return t, r, c.bad(field, err)
	}
	return t, r, nil
}

// maxSeen bounds the series that a reader remembers.
const maxSeen = 1 << 14

// series returns the labels of the row at hand. Rows of a few series in turn, as
// tables by time have them, need not make them every time.
func (c *csvReader) series() (quantrac.Labels, error) {
	if ls := c.seen[string(c.next)]; ls != nil {
		return ls, nil
	}
	ls, err := c.l.series(&c.o, func(at int) string { return string(c.cell(at)) })
	if err != nil {
		return nil, err
	}
	if c.seen == nil || len(c.seen) >= maxSeen {
		c.seen = map[string]quantrac.Labels{}
	}
	c.seen[string(c.next)] = ls
	return ls, nil
}

func (c *csvReader) bad(field string, err error) *Fault {
	return &Fault{Line: c.first, Field: field, Reason: err.Error()}
}

// values reads the cells that are no labels; the field is the one that an error
// is about.
func (c *csvReader) values(r *quantrac.Revision) (t quantrac.Millis, field string, err error) {
	if at, ok := c.l.parts[partMillis]; ok && len(c.cell(at)) > 0 {
		field = partMillis
		t, err = parseMillis(c.cell(at))
	} else if at, ok := c.l.parts[partTime]; ok {
		field = partTime
		t, err = parseTime(string(c.cell(at)))
	} else {
		field, err = partMillis, errors.New("is empty")
	}
	if err != nil {
		return t, field, err
	}
	if r.Value, err = ParseValue(c.cell(c.l.parts[partValue])); err != nil {
		return t, partValue, err
	}
	set := func(part string, parse func([]byte) error) {
		if at, ok := c.l.parts[part]; ok && err == nil && len(c.cell(at)) > 0 {
			field = part
			err = parse(c.cell(at))
		}
	}
	set(partQuality, func(b []byte) (e error) { r.Quality, e = parseQuality(b); return e })
	set(partLayer, func(b []byte) (e error) { r.Layer, e = parseLayer(b); return e })
	set(partReceived, func(b []byte) (e error) { r.Received, e = parseMillis(b); return e })
	set(partCommit, func(b []byte) (e error) { r.Commit.Number, e = parseCount(b); return e })
	set(partCommitted, func(b []byte) (e error) { r.Commit.Time, e = parseMillis(b); return e })
	set(partAuthor, func(b []byte) error { r.Author = string(b); return nil })
	set(partReason, func(b []byte) error { r.Reason = string(b); return nil })
	set(partCorrection, func(b []byte) error { r.Correction = string(b); return nil })
	set(partRevoked, func(b []byte) (e error) { r.Revoked, e = parseCount(b); return e })
	return t, field, err
}

func (c *csvReader) cell(i int) []byte {
	from := 0
	if i > 0 {
		from = c.ends[i-1]
	}
	return c.text[from:c.ends[i]]
}

// read reads the next record that is no blank line into cells.
func (c *csvReader) read() error {
	for {
		line, err := c.lines.next()
		if err != nil {
			return err
		}
		c.first = c.lines.n
		if c.first == 1 {
			line = bytes.TrimPrefix(line, []byte("\uFEFF"))
		}
		if len(bytes.TrimRight(line, "\r\n")) == 0 {
			continue
		}
		open, err := c.split(line)
		if !open {
			return err
		}
		if line, err = c.further(line); err != nil {
			return err
		}
		_, err = c.split(line)
		return err
	}
}

// maxQuotedRecord bounds a record over several lines: what comes behind a quote
// that nobody closes is lost up to here.
const maxQuotedRecord = 1 << 20

// further appends the lines into which the quotes of a record reach.
func (c *csvReader) further(line []byte) ([]byte, error) {
	c.record = append(c.record[:0], line...)
	for {
		more, err := c.lines.next()
		if err == io.EOF {
			return nil, c.bad("", errors.New(`a quote is opened and not closed: want another '"'`))
		}
		if err != nil {
			return nil, err
		}
		if len(c.record)+len(more) > maxQuotedRecord {
			return nil, c.bad("", fmt.Errorf("quotes reach over more than %d bytes, the most that is taken", maxQuotedRecord))
		}
		c.record = append(c.record, more...)
		if bytes.Count(more, []byte{'"'})%2 == 1 {
			return c.record, nil
		}
	}
}

// split takes a record apart; open says that it ends within quotes.
func (c *csvReader) split(b []byte) (open bool, err error) {
	b = bytes.TrimSuffix(bytes.TrimSuffix(b, []byte("\n")), []byte("\r"))
	c.text, c.ends = c.text[:0], c.ends[:0]
	for {
		quoted := len(b) > 0 && b[0] == '"'
		rest, ok := c.take(b)
		c.ends = append(c.ends, len(c.text))
		if !ok || len(rest) > 0 && rest[0] != ',' {
			return !ok && quoted, c.bad(fmt.Sprintf("cell %d", len(c.ends)), fmt.Errorf("quotes within: want them around the whole cell, and those of the text doubled"))
		}
		if len(rest) == 0 {
			return false, nil
		}
		b = rest[1:]
	}
}

// take takes a cell, and returns what follows it.
func (c *csvReader) take(b []byte) (rest []byte, ok bool) {
	if len(b) == 0 || b[0] != '"' {
		n := bytes.IndexByte(b, ',')
		if n < 0 {
			n = len(b)
		}
		c.text = append(c.text, b[:n]...)
		return b[n:], bytes.IndexByte(b[:n], '"') < 0
	}
	for b = b[1:]; ; {
		n := bytes.IndexByte(b, '"')
		if n < 0 {
			return nil, false
		}
		c.text = append(c.text, b[:n]...)
		if b = b[n+1:]; len(b) == 0 || b[0] != '"' {
			return b, true
		}
		c.text = append(c.text, '"')
		b = b[1:]
	}
}
