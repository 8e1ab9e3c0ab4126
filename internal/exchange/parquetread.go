package exchange

import (
	"errors"
	"fmt"
	"io"
	"math"

	"github.com/parquet-go/parquet-go"
	"github.com/parquet-go/parquet-go/format"

	"quantrac"
)

// parquetReader reads files of parquetWriter's schema, and others with a row a
// value: columns of texts, of a time (TIMESTAMP of any unit, or INT64 in
// milliseconds) and of a value (DOUBLE, FLOAT or an integer).
type parquetReader struct {
	file    *parquet.File
	o       ReadOptions
	l       *layout
	columns []parquetColumn // by leaf
	group   int             // row groups opened
	rows    parquet.Rows    // of the row group at hand
	buf     []parquet.Row
	at, n   int   // of buf
	row     int64 // read, of the file
	cells   []parquet.Value
	key     []byte
	next    []byte
	labels  quantrac.Labels
	out     Stretch
	held    error // what to return before the next rows
}

// parquetColumn is what is known of a leaf.
type parquetColumn struct {
	known   bool  // it is of the top level, once a row
	text    bool  // it holds bytes
	decimal bool  // its integers are not what they say
	unit    int64 // of a time: how many of it make a millisecond; 0 where it is none
}

// NewParquetReader returns a Reader of a Parquet file of so many bytes, which it
// reads here and there. Errors: Invalid for a file that is none, or lacks a
// column.
func NewParquetReader(r io.ReaderAt, size int64, o ReadOptions) (_ Reader, err error) {
	defer mistaken(&err)
	if err := checkFooter(r, size); err != nil {
		return nil, err
	}
	p := &parquetReader{o: o.withDefaults(), buf: make([]parquet.Row, 256)}
	p.file, err = parquet.OpenFile(r, size, parquet.SkipPageIndex(true), parquet.SkipBloomFilters(true))
	if err != nil {
		return nil, quantrac.Errorf(quantrac.Invalid, "no Parquet file: %w", err)
	}
	if err := checkParts(r, size, p.file.Metadata()); err != nil {
		return nil, err
	}
	return p, p.understand()
}

// mistaken turns a panic of the library, which damaged files bring about, into
// an error.
func mistaken(err *error) {
	if r := recover(); r != nil {
		*err = quantrac.Errorf(quantrac.Invalid, "the Parquet file is damaged: %v", r)
	}
}

// understand finds out what the columns are.
func (p *parquetReader) understand() error {
	var names []string
	for _, c := range p.file.Root().Columns() {
		names = append(names, c.Name())
	}
	var err error
	if p.l, err = p.o.layout(names); err != nil {
		return err
	}
	p.columns = make([]parquetColumn, len(p.file.Schema().Columns()))
	leaf := make([]int, len(names)) // of each name
	for i, c := range p.file.Root().Columns() {
		leaf[i] = -1
		if c.Leaf() && !c.Repeated() {
			leaf[i] = int(c.Index())
			p.columns[c.Index()] = describe(c)
		}
	}
	for part, at := range p.l.parts {
		if leaf[at] < 0 {
			return quantrac.Errorf(quantrac.Invalid, "column %q is nested or repeated: want one value a row", names[at])
		}
		p.l.parts[part] = leaf[at]
		if c := p.columns[leaf[at]]; (part == partTime || part == partMillis) && c.unit == 0 {
			return quantrac.Errorf(quantrac.Invalid, "column %q is no time: want a TIMESTAMP, or INT64 in milliseconds", names[at])
		} else if c.decimal {
			return quantrac.Errorf(quantrac.Invalid, "column %q is of type DECIMAL: want DOUBLE", names[at])
		}
	}
	labels := p.l.labels[:0]
	for _, l := range p.l.labels {
		if at := leaf[l.at]; at >= 0 {
			if !p.columns[at].text {
				return quantrac.Errorf(quantrac.Invalid, "column %q is no text, and so no label; leave it out, or say which part it plays", names[l.at])
			}
			labels = append(labels, labelAt{l.name, at})
		}
	}
	p.l.labels = labels
	return nil
}

func describe(c *parquet.Column) parquetColumn {
	d := parquetColumn{known: true, text: c.Type().Kind() == parquet.ByteArray}
	logical := c.Type().LogicalType()
	if logical != nil {
		if _, ok := logical.Value.(*format.DecimalType); ok {
			d.decimal = true
			return d
		}
	}
	if c.Type().Kind() != parquet.Int64 {
		return d
	}
	d.unit = 1
	if logical == nil {
		return d
	}
	switch l := logical.Value.(type) {
	case *format.TimestampType:
		switch l.Unit.Value.(type) {
		case *format.MicroSeconds:
			d.unit = 1000
		case *format.NanoSeconds:
			d.unit = 1_000_000
		}
	case *format.TimeType:
		d.unit = 0 // of a day
	}
	return d
}

// Next implements Reader. Rows of one series that follow each other are a stretch.
func (p *parquetReader) Next() (_ *Stretch, err error) {
	defer mistaken(&err)
	if err := p.held; err != nil {
		p.held = nil
		return nil, err
	}
	s := &p.out
	s.Labels, s.Times, s.Revisions = nil, s.Times[:0], s.Revisions[:0]
	for len(s.Times) < StretchValues {
		if p.at == p.n {
			if err := p.fill(); err != nil {
				return p.cut(s, err)
			}
		}
		t, r, err := p.parse(p.buf[p.at])
		if err != nil {
			p.at, p.row = p.at+1, p.row+1
			return p.cut(s, err)
		}
		if len(s.Times) > 0 && !sameSet(s.Labels, p.labels) {
			break // it is parsed again
		}
		p.at, p.row = p.at+1, p.row+1
		s.Labels, s.Times, s.Revisions = p.labels, append(s.Times, t), append(s.Revisions, r)
	}
	return s, nil
}

// cut returns what there is before an error, which comes next.
func (p *parquetReader) cut(s *Stretch, err error) (*Stretch, error) {
	if len(s.Times) == 0 {
		return nil, err
	}
	p.held = err
	return s, nil
}

// fill reads rows.
func (p *parquetReader) fill() error {
	for {
		if p.rows == nil {
			groups := p.file.RowGroups()
			if p.group == len(groups) {
				return io.EOF
			}
			p.rows = groups[p.group].Rows()
			p.group++
		}
		n, err := p.rows.ReadRows(p.buf)
		if p.at, p.n = 0, n; n > 0 {
			return nil // an error comes again
		}
		if err == nil {
			err = errors.New("a row group ends before its rows do")
		}
		if err != io.EOF {
			return quantrac.Errorf(quantrac.Invalid, "row %d: %w", p.row+1, err)
		}
		if err := p.rows.Close(); err != nil {
			return quantrac.Errorf(quantrac.Invalid, "row %d: %w", p.row+1, err)
		}
		p.rows = nil
	}
}

// parse reads a row; the labels are p.labels.
func (p *parquetReader) parse(row parquet.Row) (t quantrac.Millis, r quantrac.Revision, err error) {
	if p.cells == nil {
		p.cells = make([]parquet.Value, len(p.columns))
	}
	clear(p.cells)
	for _, v := range row {
		if i := v.Column(); i >= 0 && i < len(p.cells) && p.columns[i].known {
			p.cells[i] = v
		}
	}
	bad := func(field string, err error) *Fault {
		return &Fault{Line: p.row + 1, Field: field, Reason: err.Error()}
	}
	if err := p.series(); err != nil {
		return t, r, bad("", err)
	}
	at, ok := p.l.parts[partTime]
	if !ok {
		at = p.l.parts[partMillis]
	}
	if t, err = p.columns[at].millis(p.cells[at]); err != nil {
		return t, r, bad(partTime, err)
	}
	if r.Value, err = number(p.cells[p.l.parts[partValue]]); err != nil {
		return t, r, bad(partValue, err)
	}
	if field, err := p.others(&r); err != nil {
		return t, r, bad(field, err)
	}
	return t, r, nil
}

// series finds the labels of the row.
func (p *parquetReader) series() error {
	p.next = p.next[:0]
	cell := func(at int) []byte {
		if v := p.cells[at]; v.Kind() == parquet.ByteArray {
			return v.ByteArray()
		}
		return nil
	}
	for _, l := range p.l.labels {
		p.next = append(append(p.next, cell(l.at)...), 0xFF)
	}
	if at, ok := p.l.parts[partMetric]; ok {
		p.next = append(p.next, cell(at)...)
	}
	if p.labels != nil && string(p.next) == string(p.key) {
		return nil
	}
	p.labels = nil
	ls, err := p.l.series(&p.o, func(at int) string { return string(cell(at)) })
	if err == nil {
		p.labels, p.key = ls, append(p.key[:0], p.next...)
	}
	return err
}

// others reads the parts that need not be there; the field is the one that an
// error is about.
func (p *parquetReader) others(r *quantrac.Revision) (field string, err error) {
	set := func(part string, read func(parquet.Value) error) {
		if at, ok := p.l.parts[part]; ok && err == nil && !p.cells[at].IsNull() {
			field, err = part, read(p.cells[at])
		}
	}
	whole := func(to func(int64) error) func(parquet.Value) error {
		return func(v parquet.Value) error {
			n, err := integer(v)
			if err == nil {
				err = to(n)
			}
			return err
		}
	}
	text := func(to *string) func(parquet.Value) error {
		return func(v parquet.Value) error {
			if v.Kind() != parquet.ByteArray {
				return fmt.Errorf("a value of type %v: want text", v.Kind())
			}
			*to = string(v.ByteArray())
			return nil
		}
	}
	layer := ""
	set(partQuality, whole(func(n int64) (e error) {
		if n < 0 || n > math.MaxUint8 {
			return fmt.Errorf("%d is no quality: want 1, 2, 3, 4 or 9", n)
		}
		r.Quality, e = quantrac.QualityFromCode(uint8(n))
		return e
	}))
	set(partLayer, text(&layer))
	if layer != "" && err == nil {
		r.Layer, err = parseLayer(layer)
	}
	millis := func(part string, to *quantrac.Millis) {
		set(part, func(v parquet.Value) (e error) { *to, e = p.columns[p.l.parts[part]].millis(v); return e })
	}
	millis(partReceived, &r.Received)
	set(partCommit, whole(func(n int64) error { r.Commit.Number = uint64(n); return nil }))
	millis(partCommitted, &r.Commit.Time)
	set(partRevoked, whole(func(n int64) error { r.Revoked = uint64(n); return nil }))
	set(partAuthor, text(&r.Author))
	set(partReason, text(&r.Reason))
	set(partCorrection, text(&r.Correction))
	return field, err
}

// millis reads a time.
func (c parquetColumn) millis(v parquet.Value) (quantrac.Millis, error) {
	if v.Kind() != parquet.Int64 || c.unit == 0 {
		return 0, errors.New("is null, or no time: want a time")
	}
	n := v.Int64()
	q := n / c.unit
	if n%c.unit < 0 {
		q-- // floored, also before 1970
	}
	return checkMillis(q)
}

func checkMillis(n int64) (quantrac.Millis, error) {
	if t := quantrac.Millis(n); t > quantrac.MinMillis && t < quantrac.MaxMillis {
		return t, nil
	}
	return 0, fmt.Errorf("%d is out of range for a time in milliseconds", n)
}

// number reads a value.
func number(v parquet.Value) (float64, error) {
	switch v.Kind() {
	case parquet.Double:
		return v.Double(), nil
	case parquet.Float:
		return float64(v.Float()), nil
	}
	n, err := integer(v)
	if err == nil && (n > 1<<53 || n < -1<<53) {
		err = fmt.Errorf("%d is beyond 2^53, more than a float64 holds exactly", n)
	}
	return float64(n), err
}

func integer(v parquet.Value) (int64, error) {
	switch v.Kind() {
	case parquet.Int64:
		return v.Int64(), nil
	case parquet.Int32:
		return int64(v.Int32()), nil
	case parquet.Boolean, parquet.ByteArray, parquet.Int96, parquet.FixedLenByteArray:
		return 0, fmt.Errorf("a value of type %v: want a number", v.Kind())
	}
	return 0, errors.New("is null: want a number")
}
