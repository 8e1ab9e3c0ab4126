package promql

import (
	"io"
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// writer writes JSON as it goes, in pieces, without making a value of every
// number. Errors of the connection stay in err.
type writer struct {
	w   io.Writer
	buf []byte
	err error
}

// pieceBytes is how much is gathered before it is sent.
const pieceBytes = 32 << 10

func newWriter(w io.Writer) *writer { return &writer{w: w, buf: make([]byte, 0, 4<<10)} }

func (w *writer) raw(s string) {
	w.buf = append(w.buf, s...)
	if len(w.buf) >= pieceBytes {
		w.flush()
	}
}

func (w *writer) flush() {
	if w.err == nil && len(w.buf) > 0 {
		_, w.err = w.w.Write(w.buf)
	}
	w.buf = w.buf[:0]
}

const hex = "0123456789abcdef"

// str writes a string; bytes that are not UTF-8 become U+FFFD.
func (w *writer) str(s string) {
	b := append(w.buf, '"')
	start := 0
	for i := 0; i < len(s); {
		c := s[i]
		if c >= utf8.RuneSelf {
			if r, n := utf8.DecodeRuneInString(s[i:]); r != utf8.RuneError || n != 1 {
				i += n
				continue
			}
			b = append(append(b, s[start:i]...), "\ufffd"...)
			i++
			start = i
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		b = append(b, s[start:i]...)
		switch c {
		case '"', '\\':
			b = append(b, '\\', c)
		case '\n':
			b = append(b, '\\', 'n')
		case '\t':
			b = append(b, '\\', 't')
		case '\r':
			b = append(b, '\\', 'r')
		default:
			b = append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
		}
		i++
		start = i
	}
	w.buf = append(append(b, s[start:]...), '"')
}

func (w *writer) strs(list []string) {
	w.raw("[")
	for i, s := range list {
		if i > 0 {
			w.raw(",")
		}
		w.str(s)
	}
	w.raw("]")
}

// point writes [seconds,"value"], as Prometheus does to the last digit.
func (w *writer) point(t int64, v float64) {
	b := append(w.buf, '[')
	b = appendSeconds(b, t)
	b = append(b, ',', '"')
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	b = strconv.AppendFloat(b, v, format, -1, 64)
	w.buf = append(b, '"', ']')
	if len(w.buf) >= pieceBytes {
		w.flush()
	}
}

func appendSeconds(b []byte, t int64) []byte {
	if t < 0 {
		b, t = append(b, '-'), -t
	}
	b = strconv.AppendInt(b, t/1000, 10)
	if ms := t % 1000; ms != 0 {
		b = append(b, '.', byte('0'+ms/100), byte('0'+ms/10%10), byte('0'+ms%10))
	}
	return b
}

func (w *writer) labels(ls labels.Labels) {
	w.raw("{")
	first := true
	ls.Range(func(l labels.Label) {
		if !first {
			w.raw(",")
		}
		first = false
		w.str(l.Name)
		w.raw(":")
		w.str(l.Value)
	})
	w.raw("}")
}

// value writes the result of an evaluation. There are no histograms: the store
// keeps floats only.
func (w *writer) value(v parser.Value) {
	switch v := v.(type) {
	case promql.Scalar:
		w.point(v.T, v.V)
	case promql.String:
		w.buf = append(appendSeconds(append(w.buf, '['), v.T), ',')
		w.str(v.V)
		w.raw("]")
	case promql.Vector:
		w.raw("[")
		for i, s := range v {
			if i > 0 {
				w.raw(",")
			}
			w.raw(`{"metric":`)
			w.labels(s.Metric)
			w.raw(`,"value":`)
			w.point(s.T, s.F)
			w.raw("}")
		}
		w.raw("]")
	case promql.Matrix:
		w.raw("[")
		for i, s := range v {
			if i > 0 {
				w.raw(",")
			}
			w.raw(`{"metric":`)
			w.labels(s.Metric)
			w.raw(`,"values":[`)
			for k, p := range s.Floats {
				if k > 0 {
					w.raw(",")
				}
				w.point(p.T, p.F)
			}
			w.raw("]}")
		}
		w.raw("]")
	}
}
