package exchange

import (
	"bytes"
	"fmt"
	"io"
	"math"
	"slices"

	"quantrac"
)

// jsonReader reads lines as jsonWriter and VictoriaMetrics write them. A line's
// columns are kept as columns and yielded a stretch at a time, so that of a long
// line only its numbers are held.
type jsonReader struct {
	lines  lines
	plain  bool // VictoriaMetrics' meaning of null
	o      ReadOptions
	labels quantrac.Labels
	at     int // values of the line that have been yielded
	cols   jsonColumns
	out    Stretch
}

// jsonColumns are the columns of a line. Of ours each has a value a value, or one
// for all of them, or none.
type jsonColumns struct {
	values []float64
	marks  []bool // values that are null
	times  []quantrac.Millis

	quality    []quantrac.Quality
	layer      []quantrac.Layer
	received   []quantrac.Millis
	commit     []uint64
	committed  []quantrac.Millis
	author     []string
	reason     []string
	correction []string
	revoked    []uint64
}

func newJSONReader(r io.Reader, plain bool, o ReadOptions) *jsonReader {
	return &jsonReader{lines: newLines(r, o.MaxLine), plain: plain, o: o}
}

// Next implements Reader.
func (j *jsonReader) Next() (*Stretch, error) {
	for j.at >= len(j.cols.times) {
		j.cols.reset()
		line, err := j.lines.next()
		if err != nil {
			return nil, err
		}
		if line = bytes.TrimSpace(line); len(line) == 0 {
			continue
		}
		if f := j.parse(line); f != nil {
			j.cols.reset()
			return nil, f
		}
	}
	s := &j.out
	s.Labels, s.Left = j.labels, 0
	s.Times, s.Revisions = s.Times[:0], s.Revisions[:0]
	to := min(j.at+StretchValues, len(j.cols.times))
	for ; j.at < to; j.at++ {
		if j.plain && j.cols.marks[j.at] {
			s.Left++
			continue
		}
		s.Times = append(s.Times, j.cols.times[j.at])
		s.Revisions = append(s.Revisions, j.cols.revision(j.at))
	}
	return s, nil
}

func (c *jsonColumns) reset() {
	*c = jsonColumns{
		values: c.values[:0], marks: c.marks[:0], times: c.times[:0],
		quality: c.quality[:0], layer: c.layer[:0], received: c.received[:0], commit: c.commit[:0], committed: c.committed[:0],
		author: c.author[:0], reason: c.reason[:0], correction: c.correction[:0], revoked: c.revoked[:0],
	}
}

// revision is one of the line's values. A null is a reading that says that there
// is none.
func (c *jsonColumns) revision(i int) quantrac.Revision {
	r := quantrac.Revision{
		Value: c.values[i], Quality: of(c.quality, i), Layer: of(c.layer, i), Received: of(c.received, i),
		Commit: quantrac.Commit{Number: of(c.commit, i), Time: of(c.committed, i)},
		Author: of(c.author, i), Reason: of(c.reason, i), Correction: of(c.correction, i), Revoked: of(c.revoked, i),
	}
	if c.marks[i] {
		r.Quality = quantrac.Missing
	}
	return r
}

// of is a column's value for the value of the position.
func of[T any](column []T, i int) T {
	switch len(column) {
	case 0:
		var none T
		return none
	case 1:
		return column[0]
	}
	return column[i]
}

// parse reads a line.
func (j *jsonReader) parse(line []byte) *Fault {
	c := &cursor{b: line}
	j.at, j.labels = 0, nil
	var field string
	err := c.object(func(name string) error {
		field = name
		return j.member(c, name)
	})
	if err == nil {
		field, err = "", c.end()
	}
	if err != nil {
		return j.lines.fault(field, err.Error())
	}
	return j.check()
}

func (j *jsonReader) member(c *cursor, name string) (err error) {
	k := &j.cols
	switch name {
	case "metric":
		j.labels, err = c.labels()
	case "values":
		k.values, k.marks, err = c.values(k.values[:0], k.marks[:0])
	case "timestamps":
		k.times, err = column(c, k.times[:0], parseMillis[[]byte])
	case "quality":
		k.quality, err = column(c, k.quality[:0], parseQuality[[]byte])
	case "layer":
		k.layer, err = column(c, k.layer[:0], parseLayer[[]byte])
	case "received":
		k.received, err = column(c, k.received[:0], parseMillis[[]byte])
	case "commit":
		k.commit, err = column(c, k.commit[:0], parseCount[[]byte])
	case "committed":
		k.committed, err = column(c, k.committed[:0], parseMillis[[]byte])
	case "author":
		k.author, err = column(c, k.author[:0], text)
	case "reason":
		k.reason, err = column(c, k.reason[:0], text)
	case "correction":
		k.correction, err = column(c, k.correction[:0], text)
	case "revoked":
		k.revoked, err = column(c, k.revoked[:0], parseCount[[]byte])
	default:
		err = c.skip(0)
	}
	return err
}

func text(b []byte) (string, error) { return string(b), nil }

// check says what is wrong with a line whose members can be read.
func (j *jsonReader) check() *Fault {
	k := &j.cols
	switch {
	case len(k.values) == 0:
		return j.lines.fault("values", "none: want an array of numbers, one at least")
	case len(k.values) != len(k.times):
		return j.lines.fault("timestamps", fmt.Sprintf("%d of them for %d values: want one each", len(k.times), len(k.values)))
	}
	j.labels = j.o.with(j.labels)
	if err := checkSeries(j.labels); err != nil {
		return j.lines.fault("metric", err.Error())
	}
	lengths := []int{
		len(k.quality), len(k.layer), len(k.received), len(k.commit), len(k.committed),
		len(k.author), len(k.reason), len(k.correction), len(k.revoked),
	}
	for i, n := range lengths {
		if n > 1 && n != len(k.values) {
			return j.lines.fault(members[i].name, fmt.Sprintf("%d of them for %d values: want one each, or one for all", n, len(k.values)))
		}
	}
	return nil
}

// labels reads the object of a series' labels. Names that are empty are left
// out, as VictoriaMetrics does, and so are empty values.
func (c *cursor) labels() (quantrac.Labels, error) {
	var ls quantrac.Labels
	err := c.object(func(name string) error {
		value, err := c.str()
		if err != nil {
			return fmt.Errorf("label %s: %w", quoted(name), err)
		}
		if name != "" && len(value) > 0 {
			ls = append(ls, quantrac.Label{Name: name, Value: string(value)})
		}
		if len(ls) > quantrac.MaxLabels {
			return fmt.Errorf("more than %d labels", quantrac.MaxLabels)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	slices.SortFunc(ls, func(a, b quantrac.Label) int { return quantrac.Labels{a}.Compare(quantrac.Labels{b}) })
	for i := 1; i < len(ls); i++ {
		if ls[i].Name == ls[i-1].Name {
			return nil, fmt.Errorf("label %s stands there twice", quoted(ls[i].Name))
		}
	}
	return ls, nil
}

// values reads the array of values: numbers, the words for those that JSON has
// no number for, in quotes or bare, and null.
func (c *cursor) values(dst []float64, null []bool) ([]float64, []bool, error) {
	err := c.array(func() error {
		word, err := c.word()
		if err != nil {
			return at(len(dst), err)
		}
		if string(word) == "null" || string(word) == "Null" {
			dst, null = append(dst, math.NaN()), append(null, true)
			return nil
		}
		v, err := ParseValue(word)
		if err != nil {
			return at(len(dst), err)
		}
		dst, null = append(dst, v), append(null, false)
		return nil
	})
	return dst, null, err
}

// column reads an array, or one value for all.
func column[T any](c *cursor, dst []T, parse func([]byte) (T, error)) ([]T, error) {
	one := func() error {
		word, err := c.word()
		if err != nil {
			return at(len(dst), err)
		}
		v, err := parse(word)
		if err != nil {
			return at(len(dst), err)
		}
		dst = append(dst, v)
		return nil
	}
	var err error
	if c.peek() == '[' {
		err = c.array(one)
	} else {
		err = one()
	}
	return dst, err
}

// at says of which value an error is, from 0.
func at(position int, err error) error { return fmt.Errorf("value %d: %w", position, err) }
