package exchange

import (
	"io"
	"strconv"
	"unicode/utf8"

	"quantrac"
)

// jsonWriter writes a stretch as a line, or several:
//
//	{"metric":{"__name__":"water_level_meters","station":"cho_moi"},
//	 "values":[1.25,1.3],"timestamps":[1700000000000,1700000600000],"quality":[1,3]}
//
// values and timestamps are as VictoriaMetrics has them, the further columns
// are ours: quality, layer and received; of an archive commit, committed,
// author, reason, correction and revoked. A column whose values are all the same
// is that value alone, and is left out where that says nothing: quality 2, layer
// "device", received 0, an empty author.
type jsonWriter struct {
	w         io.Writer
	plain     bool // VictoriaMetrics': without columns of ours
	revisions bool
	buf       []byte
}

// Write implements Writer.
func (j *jsonWriter) Write(s *Stretch) error {
	for from := 0; from < len(s.Times); from += StretchValues {
		to := min(from+StretchValues, len(s.Times))
		j.line(s.Labels, s.Times[from:to], s.Revisions[from:to])
		if _, err := j.w.Write(j.buf); err != nil {
			return err
		}
	}
	return nil
}

// Close implements Writer.
func (j *jsonWriter) Close() error { return nil }

func (j *jsonWriter) line(ls quantrac.Labels, times []quantrac.Millis, revs []quantrac.Revision) {
	b := append(j.buf[:0], `{"metric":{`...)
	for i, l := range ls {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendString(b, l.Name)
		b = append(b, ':')
		b = appendString(b, l.Value)
	}
	b = append(b, `},"values":[`...)
	for i := range revs {
		if i > 0 {
			b = append(b, ',')
		}
		b = j.value(b, revs[i].Value)
	}
	b = append(b, `],"timestamps":[`...)
	for i, t := range times {
		if i > 0 {
			b = append(b, ',')
		}
		b = strconv.AppendInt(b, int64(t), 10)
	}
	b = append(b, ']')
	if !j.plain {
		for i := range members {
			if m := &members[i]; !m.archive || j.revisions {
				b = m.append(b, revs)
			}
		}
	}
	j.buf = append(b, '}', '\n')
}

func (j *jsonWriter) value(b []byte, v float64) []byte {
	switch {
	case v-v == 0: // finite
		return appendFinite(b, v)
	case v != v && j.plain:
		return append(b, "null"...)
	}
	b = append(b, '"')
	return append(AppendValue(b, v), '"')
}

// member is a column of ours in a line of JSON.
type member struct {
	name    string
	archive bool // of revisions only
	write   func(b []byte, r *quantrac.Revision) []byte
	none    string // how the value that is left out is written
}

// members are the columns in the order in which they stand.
var members = [...]member{
	{"quality", false, func(b []byte, r *quantrac.Revision) []byte {
		return strconv.AppendUint(b, uint64(r.Quality.Code()), 10)
	}, "2"},
	{"layer", false, func(b []byte, r *quantrac.Revision) []byte { return appendString(b, r.Layer.String()) }, `"device"`},
	{"received", false, func(b []byte, r *quantrac.Revision) []byte { return strconv.AppendInt(b, int64(r.Received), 10) }, "0"},
	{"commit", true, func(b []byte, r *quantrac.Revision) []byte { return strconv.AppendUint(b, r.Commit.Number, 10) }, "0"},
	{"committed", true, func(b []byte, r *quantrac.Revision) []byte { return strconv.AppendInt(b, int64(r.Commit.Time), 10) }, "0"},
	{"author", true, func(b []byte, r *quantrac.Revision) []byte { return appendString(b, r.Author) }, `""`},
	{"reason", true, func(b []byte, r *quantrac.Revision) []byte { return appendString(b, r.Reason) }, `""`},
	{"correction", true, func(b []byte, r *quantrac.Revision) []byte { return appendString(b, r.Correction) }, `""`},
	{"revoked", true, func(b []byte, r *quantrac.Revision) []byte { return strconv.AppendUint(b, r.Revoked, 10) }, "0"},
}

// append appends the column. It is written as an array, and cut back to one
// value where that says all.
func (m *member) append(b []byte, revs []quantrac.Revision) []byte {
	begin := len(b)
	b = append(append(append(b, ',', '"'), m.name...), '"', ':', '[')
	first, all := len(b), true
	b = m.write(b, &revs[0])
	last := len(b)
	for i := 1; i < len(revs); i++ {
		b = append(b, ',')
		at := len(b)
		b = m.write(b, &revs[i])
		all = all && string(b[at:]) == string(b[first:last])
	}
	switch {
	case !all:
		return append(b, ']')
	case string(b[first:last]) == m.none:
		return b[:begin]
	}
	copy(b[first-1:], b[first:last]) // over the bracket
	return b[:last-1]
}

// appendString appends text as a JSON string. What is not UTF-8 is replaced.
func appendString(dst []byte, s string) []byte {
	const hex = "0123456789abcdef"
	dst = append(dst, '"')
	for i := 0; i < len(s); {
		switch c := s[i]; {
		case c == '"' || c == '\\':
			dst = append(dst, '\\', c)
			i++
		case c < ' ':
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
			i++
		case c < utf8.RuneSelf:
			dst = append(dst, c)
			i++
		default:
			r, n := utf8.DecodeRuneInString(s[i:])
			dst = utf8.AppendRune(dst, r)
			i += n
		}
	}
	return append(dst, '"')
}
