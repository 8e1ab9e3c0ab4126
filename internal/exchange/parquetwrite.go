package exchange

import (
	"io"
	"unsafe"

	"github.com/parquet-go/parquet-go"

	"quantrac"
)

// parquetRows is how many rows are written at once, parquetGroup how many make a
// row group: what a writer holds in memory.
const (
	parquetRows  = 1024
	parquetGroup = 1 << 17
)

// parquetWriter writes a row a value. Columns: time (TIMESTAMP, milliseconds
// UTC), metric (STRING), a STRING for every label, null where a series has none,
// value (DOUBLE), quality (INT32), layer (STRING), received_ms (INT64, null where
// unknown); of an archive commit, committed_ms, revoked (INT64), author, reason,
// correction (STRING). Compressed with zstd.
type parquetWriter struct {
	w     *parquet.Writer
	o     WriteOptions
	names []string // of labels
	at    map[string]int
	label []int // column of each label
	width int
	rows  []parquet.Row
	cells []parquet.Value // of rows
	used  int
}

func newParquetWriter(w io.Writer, o WriteOptions) (*parquetWriter, error) {
	names, err := o.labelColumns()
	if err != nil {
		return nil, err
	}
	if most := 1000; len(names) > most {
		return nil, quantrac.Errorf(quantrac.Invalid, "%d different labels would be as many columns, at most %d are written; narrow the selectors", len(names), most)
	}
	text := parquet.Encoded(parquet.String(), &parquet.RLEDictionary)
	maybe := parquet.Optional(parquet.Leaf(parquet.Int64Type))
	g := parquet.Group{
		partTime:   parquet.Encoded(parquet.Timestamp(parquet.Millisecond), &parquet.DeltaBinaryPacked),
		partMetric: text, partValue: parquet.Leaf(parquet.DoubleType), partQuality: parquet.Leaf(parquet.Int32Type),
		partLayer: text, partReceived: maybe,
	}
	if o.Revisions {
		g[partCommit], g[partCommitted], g[partRevoked] = parquet.Leaf(parquet.Int64Type), parquet.Leaf(parquet.Int64Type), maybe
		g[partAuthor], g[partReason], g[partCorrection] = parquet.Optional(text), parquet.Optional(text), parquet.Optional(text)
	}
	for _, n := range names {
		g[labelColumn(n)] = parquet.Optional(text)
	}
	schema := parquet.NewSchema("quantrac", g)
	p := &parquetWriter{o: o, names: names, at: map[string]int{}, width: len(g)}
	for name := range g {
		leaf, ok := schema.Lookup(name)
		if !ok {
			return nil, quantrac.Errorf(quantrac.Invalid, "a column cannot be called %q", name)
		}
		p.at[name] = leaf.ColumnIndex
	}
	for _, n := range names {
		p.label = append(p.label, p.at[labelColumn(n)])
	}
	p.w = parquet.NewWriter(w, schema, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(parquetGroup), parquet.PageBufferSize(256<<10))
	p.rows = make([]parquet.Row, parquetRows)
	p.cells = make([]parquet.Value, parquetRows*p.width)
	for i := range p.rows {
		p.rows[i] = p.cells[i*p.width : (i+1)*p.width]
	}
	return p, nil
}

// Write implements Writer.
func (p *parquetWriter) Write(s *Stretch) error {
	for i := range s.Times {
		if err := p.row(s.Labels, s.Times[i], &s.Revisions[i]); err != nil {
			return err
		}
		if p.used == len(p.rows) {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
	return p.flush() // texts are the caller's
}

func (p *parquetWriter) flush() error {
	_, err := p.w.WriteRows(p.rows[:p.used])
	p.used = 0
	return err
}

func (p *parquetWriter) row(ls quantrac.Labels, t quantrac.Millis, r *quantrac.Revision) error {
	row := p.rows[p.used]
	for i := range row {
		row[i] = parquet.NullValue().Level(0, 0, i)
	}
	set := func(part string, v parquet.Value, optional bool) {
		i, level := p.at[part], 0
		if optional {
			level = 1
		}
		row[i] = v.Level(0, level, i)
	}
	set(partTime, parquet.Int64Value(int64(t)), false)
	set(partMetric, textValue(ls.Metric()), false)
	set(partValue, parquet.DoubleValue(r.Value), false)
	set(partQuality, parquet.Int32Value(int32(r.Quality.Code())), false)
	set(partLayer, textValue(r.Layer.String()), false)
	if r.Received != 0 {
		set(partReceived, parquet.Int64Value(int64(r.Received)), true)
	}
	if p.o.Revisions {
		set(partCommit, parquet.Int64Value(int64(r.Commit.Number)), false)
		set(partCommitted, parquet.Int64Value(int64(r.Commit.Time)), false)
		if r.Revoked != 0 {
			set(partRevoked, parquet.Int64Value(int64(r.Revoked)), true)
		}
		for part, text := range map[string]string{partAuthor: r.Author, partReason: r.Reason, partCorrection: r.Correction} {
			if text != "" {
				set(part, textValue(text), true)
			}
		}
	}
	err := place(ls, p.names, func(i int, v string) {
		at := p.label[i]
		row[at] = textValue(v).Level(0, 1, at)
	})
	if err == nil {
		p.used++
	}
	return err
}

// textValue is text as a value: a view of it, which the writer copies.
func textValue(s string) parquet.Value {
	return parquet.ByteArrayValue(unsafe.Slice(unsafe.StringData(s), len(s)))
}

// Close implements Writer.
func (p *parquetWriter) Close() error {
	if err := p.flush(); err != nil {
		return err
	}
	return p.w.Close()
}
