package exchange

import (
	"io"

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
	w     *parquet.GenericWriter[any]
	o     WriteOptions
	names []string // of labels
	at    map[string]int
	label []int // column of each label
	width int
	rows  []parquet.Row
	cells []parquet.Value // of rows
	used  int
	of    []parquet.Value // a row with what all rows of the series at hand share
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
	p.w = parquet.NewGenericWriter[any](w, schema, parquet.Compression(&parquet.Zstd), parquet.MaxRowsPerRowGroup(parquetGroup), parquet.PageBufferSize(256<<10))
	p.of = make([]parquet.Value, p.width)
	p.rows = make([]parquet.Row, parquetRows)
	p.cells = make([]parquet.Value, parquetRows*p.width)
	for i := range p.rows {
		p.rows[i] = p.cells[i*p.width : (i+1)*p.width]
	}
	return p, nil
}

// Write implements Writer.
func (p *parquetWriter) Write(s *Stretch) error {
	if err := p.series(s.Labels); err != nil {
		return err
	}
	for i := range s.Times {
		p.row(s.Times[i], &s.Revisions[i])
		if p.used == len(p.rows) {
			if err := p.flush(); err != nil {
				return err
			}
		}
	}
	return p.flush()
}

// series begins a row of a series.
func (p *parquetWriter) series(ls quantrac.Labels) error {
	for i := range p.of {
		p.of[i] = parquet.NullValue().Level(0, 0, i)
	}
	at := p.at[partMetric]
	p.of[at] = textValue(ls.Metric()).Level(0, 0, at)
	return place(ls, p.names, func(i int, v string) {
		at := p.label[i]
		p.of[at] = textValue(v).Level(0, 1, at)
	})
}

func (p *parquetWriter) flush() error {
	_, err := p.w.WriteRows(p.rows[:p.used])
	p.used = 0
	return err
}

// row adds a row of the series at hand.
func (p *parquetWriter) row(t quantrac.Millis, r *quantrac.Revision) {
	row := p.rows[p.used]
	p.used++
	copy(row, p.of)
	set := func(part string, v parquet.Value, level int) { // 1 for what may be null, and is not
		i := p.at[part]
		row[i] = v.Level(0, level, i)
	}
	set(partTime, parquet.Int64Value(int64(t)), 0)
	set(partValue, parquet.DoubleValue(r.Value), 0)
	set(partQuality, parquet.Int32Value(int32(r.Quality.Code())), 0)
	set(partLayer, layerValues[min(r.Layer, quantrac.LayerHuman)], 0)
	if r.Received != 0 {
		set(partReceived, parquet.Int64Value(int64(r.Received)), 1)
	}
	if !p.o.Revisions {
		return
	}
	set(partCommit, parquet.Int64Value(int64(r.Commit.Number)), 0)
	set(partCommitted, parquet.Int64Value(int64(r.Commit.Time)), 0)
	if r.Revoked != 0 {
		set(partRevoked, parquet.Int64Value(int64(r.Revoked)), 1)
	}
	for _, x := range [...]struct{ part, text string }{{partAuthor, r.Author}, {partReason, r.Reason}, {partCorrection, r.Correction}} {
		if x.text != "" {
			set(x.part, textValue(x.text), 1)
		}
	}
}

func textValue(s string) parquet.Value { return parquet.ByteArrayValue([]byte(s)) }

// layerValues are the names of the layers.
var layerValues = [...]parquet.Value{
	quantrac.LayerDevice: textValue(quantrac.LayerDevice.String()),
	quantrac.LayerHuman:  textValue(quantrac.LayerHuman.String()),
}

// Close implements Writer.
func (p *parquetWriter) Close() error {
	if err := p.flush(); err != nil {
		return err
	}
	return p.w.Close()
}
