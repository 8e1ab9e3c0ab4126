package exchange

import (
	"io"
	"strconv"
	"strings"
	"time"

	"quantrac"
)

// csvWriter writes a line a value, as RFC 4180 has it, behind a line of headings:
//
//	time,time_ms,metric,station,value,quality,layer,received_ms
//	2023-11-14T22:13:20.000Z,1700000000000,water_level_meters,cho_moi,1.25,1,device,
//
// with a column for every label. An archive goes on with commit, committed_ms,
// author, reason, correction, revoked. What is not known is empty.
type csvWriter struct {
	w      io.Writer
	o      WriteOptions
	names  []string // of labels
	begun  bool
	buf    []byte
	series []byte // the columns of the labels, of the series at hand
	values []string
}

func newCSVWriter(w io.Writer, o WriteOptions) (*csvWriter, error) {
	names, err := o.labelColumns()
	return &csvWriter{w: w, o: o, names: names, begun: o.Continued, values: make([]string, len(names))}, err
}

// Write implements Writer.
func (c *csvWriter) Write(s *Stretch) error {
	if err := c.begin(); err != nil {
		return err
	}
	clear(c.values)
	if err := place(s.Labels, c.names, func(i int, v string) { c.values[i] = v }); err != nil {
		return err
	}
	c.series = appendCell(c.series[:0], s.Labels.Metric())
	for _, v := range c.values {
		c.series = appendCell(append(c.series, ','), v)
	}
	c.buf = c.buf[:0]
	for i, t := range s.Times {
		c.line(t, &s.Revisions[i])
		if len(c.buf) > 64<<10 || i == len(s.Times)-1 {
			if _, err := c.w.Write(c.buf); err != nil {
				return err
			}
			c.buf = c.buf[:0]
		}
	}
	return nil
}

// begin writes the headings.
func (c *csvWriter) begin() error {
	if c.begun {
		return nil
	}
	c.begun = true
	b := append(c.buf[:0], partTime+","+partMillis+","+partMetric...)
	for _, n := range c.names {
		b = appendCell(append(b, ','), labelColumn(n))
	}
	rest := []string{partValue, partQuality, partLayer, partReceived}
	if c.o.Revisions {
		rest = append(rest, partCommit, partCommitted, partAuthor, partReason, partCorrection, partRevoked)
	}
	c.buf = append(append(append(b, ','), strings.Join(rest, ",")...), '\r', '\n')
	_, err := c.w.Write(c.buf)
	return err
}

func (c *csvWriter) line(t quantrac.Millis, r *quantrac.Revision) {
	b := t.Time().AppendFormat(c.buf, rfc3339Millis)
	b = strconv.AppendInt(append(b, ','), int64(t), 10)
	b = append(append(b, ','), c.series...)
	b = AppendValue(append(b, ','), r.Value)
	b = strconv.AppendUint(append(b, ','), uint64(r.Quality.Code()), 10)
	b = append(append(b, ','), r.Layer.String()...)
	b = appendKnown(append(b, ','), int64(r.Received))
	if c.o.Revisions {
		b = strconv.AppendUint(append(b, ','), r.Commit.Number, 10)
		b = strconv.AppendInt(append(b, ','), int64(r.Commit.Time), 10)
		b = appendCell(append(b, ','), r.Author)
		b = appendCell(append(b, ','), r.Reason)
		b = appendCell(append(b, ','), r.Correction)
		b = appendKnown(append(b, ','), int64(r.Revoked))
	}
	c.buf = append(b, '\r', '\n')
}

// rfc3339Millis is RFC 3339 with the milliseconds that a time has.
const rfc3339Millis = "2006-01-02T15:04:05.000Z07:00"

func appendKnown(b []byte, n int64) []byte {
	if n == 0 {
		return b
	}
	return strconv.AppendInt(b, n, 10)
}

// appendCell appends text, in quotes where it must be.
func appendCell(b []byte, s string) []byte {
	if s == "" || !strings.ContainsAny(s, "\",\r\n") && s[0] != ' ' && s[len(s)-1] != ' ' {
		return append(b, s...)
	}
	b = append(b, '"')
	for i := range len(s) {
		if s[i] == '"' {
			b = append(b, '"')
		}
		b = append(b, s[i])
	}
	return append(b, '"')
}

// Close implements Writer.
func (c *csvWriter) Close() error { return c.begin() }

// parseTime reads the forms of times that are text.
func parseTime(s string) (quantrac.Millis, error) {
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return quantrac.FloorMillis(t), nil
	}
	return quantrac.ParseTime(s)
}
