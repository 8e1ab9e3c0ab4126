// Package exchange is the formats in which series leave the service and come in
// from elsewhere: JSON lines, CSV, Parquet, and the JSON lines of
// VictoriaMetrics. It turns stretches of series into bytes and bytes into
// stretches; it is pure, without files, clock or network.
//
// Every float64 comes back bit for bit from JSON lines, CSV and Parquet: text
// has the shortest decimal that reads back as the value, Infinity, -Infinity,
// NaN for the canonical NaN and NaN:7ff8000000000002 (its bits) for any other.
// What VictoriaMetrics writes and takes knows neither NaN nor quality.
//
// Readers take bytes from anybody: what is wrong with a line is a *Fault that
// says where and what was expected, and the reader goes on with the next one;
// memory is bounded by ReadOptions; nothing panics. They are fuzzed.
//
// A Writer wants stretches one series after the other, each in order of time;
// a Reader yields them as they stand. The package imports the root vocabulary
// only, and the Parquet library. Only cmd imports it.
package exchange

import (
	"fmt"
	"io"
	"strings"

	"quantrac"
)

// Format is a format of files.
type Format string

// The formats.
const (
	JSONLines       Format = "jsonl"
	CSV             Format = "csv"
	Parquet         Format = "parquet"
	VictoriaMetrics Format = "victoriametrics"
)

// ParseFormat reads the name of a format.
func ParseFormat(name string) (Format, error) {
	switch f := Format(name); f {
	case JSONLines, CSV, Parquet, VictoriaMetrics:
		return f, nil
	}
	return "", quantrac.Errorf(quantrac.Invalid, "format %q is none of jsonl, csv, parquet, victoriametrics", name)
}

// MediaType returns the type of the format's bytes for HTTP.
func (f Format) MediaType() string {
	switch f {
	case CSV:
		return "text/csv; charset=utf-8"
	case Parquet:
		return "application/vnd.apache.parquet"
	}
	return "application/jsonl"
}

// StretchValues is how many values a Reader puts into a stretch, and a Writer of
// lines into a line, at most.
const StretchValues = 8192

// Stretch is values of one series, in parallel columns. Of a revision a Writer
// of values alone writes Value, Quality, Layer and Received; one of revisions
// all of it.
type Stretch struct {
	Labels    quantrac.Labels
	Times     []quantrac.Millis
	Revisions []quantrac.Revision
	// Left is how many values a Reader has left out of the stretch, as no
	// readings: VictoriaMetrics' marks of a series that has gone.
	Left int
}

// Fault is what is wrong with a part of a file, of kind quantrac.Invalid.
type Fault struct {
	Line   int64  // of text, from 1; the row of a Parquet file, from 1
	Field  string // column or member, "" for the whole line
	Reason string // what was found and what was expected
}

// Error implements error.
func (f *Fault) Error() string {
	if f.Field == "" {
		return fmt.Sprintf("line %d: %s", f.Line, f.Reason)
	}
	return fmt.Sprintf("line %d, %s: %s", f.Line, f.Field, f.Reason)
}

// Writer writes a file.
type Writer interface {
	// Write writes a stretch. Its memory is the caller's again afterwards.
	Write(s *Stretch) error
	// Close writes what is still to come; it does not close what is written to.
	Close() error
}

// WriteOptions say what a Writer writes.
type WriteOptions struct {
	// LabelNames are the labels that become columns of CSV and Parquet, sorted;
	// a series with another one is an error. Lines of JSON do not need them.
	LabelNames []string
	// Revisions adds the columns of an archive: commit, when, by whom and why.
	Revisions bool
	// Continued leaves out the headings of CSV: a file goes on that has them.
	Continued bool
}

// NewWriter returns a Writer. Errors: Invalid for a format that cannot say what
// is wanted.
func NewWriter(w io.Writer, f Format, o WriteOptions) (Writer, error) {
	switch f {
	case JSONLines:
		return &jsonWriter{w: w, revisions: o.Revisions}, nil
	case VictoriaMetrics:
		if o.Revisions {
			return nil, quantrac.Errorf(quantrac.Invalid, "the format of VictoriaMetrics has no place for revisions; use jsonl, csv or parquet")
		}
		return &jsonWriter{w: w, plain: true}, nil
	case CSV:
		return newCSVWriter(w, o)
	case Parquet:
		return newParquetWriter(w, o)
	}
	return nil, quantrac.Errorf(quantrac.Invalid, "format %q is unknown", f)
}

// ReadOptions say how to read a file. The zero value works.
type ReadOptions struct {
	MaxLine int // bytes of a line of text; 64 MiB
	// Columns names, for CSV and Parquet, the column that plays a part: one of
	// time, time_ms, metric, value, quality, layer, received_ms and the others
	// that a Writer writes. What is not named has its own name.
	Columns map[string]string
	// Ignore are columns that are neither a part nor a label.
	Ignore []string
	// Metric is the metric of every line, where no column says it.
	Metric string
	// Labels are added to every series; they win over those of the file.
	Labels quantrac.Labels
}

func (o ReadOptions) withDefaults() ReadOptions {
	if o.MaxLine <= 0 {
		o.MaxLine = 64 << 20
	}
	return o
}

// Reader reads a file.
type Reader interface {
	// Next returns the next stretch, valid until the next call. Errors: io.EOF
	// at the end; *Fault for a part that was left out, after which reading goes
	// on; any other ends it.
	Next() (*Stretch, error)
}

// NewReader returns a Reader of a text format; Parquet is read by NewParquetReader.
func NewReader(r io.Reader, f Format, o ReadOptions) (Reader, error) {
	o = o.withDefaults()
	switch f {
	case JSONLines, VictoriaMetrics:
		return newJSONReader(r, f == VictoriaMetrics, o), nil
	case CSV:
		return newCSVReader(r, o), nil
	}
	return nil, quantrac.Errorf(quantrac.Invalid, "format %q is no format of text", f)
}

// checkSeries says why a label set cannot be a series, nil where it can.
func checkSeries(ls quantrac.Labels) error {
	switch {
	case ls.Metric() == "":
		return fmt.Errorf("series without a metric name: want %s in metric, or a column metric", quantrac.LabelMetric)
	case len(ls) > quantrac.MaxLabels:
		return fmt.Errorf("%d labels, at most %d are kept", len(ls), quantrac.MaxLabels)
	}
	return ls.Validate()
}

// with adds the labels of the options.
func (o *ReadOptions) with(ls quantrac.Labels) quantrac.Labels {
	if o.Metric != "" && ls.Metric() == "" {
		ls = ls.With(quantrac.LabelMetric, o.Metric)
	}
	for _, l := range o.Labels {
		ls = ls.With(l.Name, l.Value)
	}
	return ls
}

// maxQuoted is how many bytes of foreign text a Fault quotes.
const maxQuoted = 80

// quoted shortens foreign text for people.
func quoted[T string | []byte](text T) string {
	s := string(text[:min(len(text), maxQuoted)])
	mark := ""
	if len(text) > maxQuoted {
		mark = "…"
	}
	return fmt.Sprintf("%q%s", strings.ToValidUTF8(s, "\uFFFD"), mark)
}
