package promql

import (
	"math"
	"strconv"
	"unicode/utf8"

	"github.com/prometheus/prometheus/promql"
)

const hex = "0123456789abcdef"

// appendString appends a string; bytes that are not UTF-8 become U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
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
		b = appendEscape(b, c)
		i++
		start = i
	}
	return append(append(b, s[start:]...), '"')
}

func appendEscape(b []byte, c byte) []byte {
	switch c {
	case '"', '\\':
		return append(b, '\\', c)
	case '\n':
		return append(b, '\\', 'n')
	case '\t':
		return append(b, '\\', 't')
	case '\r':
		return append(b, '\\', 'r')
	}
	return append(b, '\\', 'u', '0', '0', hex[c>>4], hex[c&15])
}

// appendPoints appends points with commas between them.
func appendPoints(b []byte, ps []promql.FPoint) []byte {
	for i, p := range ps {
		if i > 0 {
			b = append(b, ',')
		}
		b = appendPoint(b, p)
	}
	return b
}

// appendPoint appends [seconds,"value"], as Prometheus does to the last digit.
func appendPoint(b []byte, p promql.FPoint) []byte {
	b = appendSeconds(append(b, '['), p.T)
	b = appendFloat(append(b, ',', '"'), p.F)
	return append(b, '"', ']')
}

// stamps are the times of a grid as points begin with them: of many series on one
// grid each time is written once.
type stamps struct {
	grid grid
	text []byte
	ends []int // in text, of each step
}

func newStamps(g grid) *stamps {
	s := &stamps{grid: g, ends: make([]int, g.steps)}
	for k := range g.steps {
		s.text = append(appendSeconds(append(s.text, '['), int64(g.at(k))), ',', '"')
		s.ends[k] = len(s.text)
	}
	return s
}

// appendPoints is appendPoints for points of the grid, rising.
func (s *stamps) appendPoints(b []byte, ps []promql.FPoint) []byte {
	k, from := 0, 0
	for i, p := range ps {
		if i > 0 {
			b = append(b, ',')
		}
		for int64(s.grid.at(k)) < p.T {
			from = s.ends[k]
			k++
		}
		b = append(b, s.text[from:s.ends[k]]...)
		b = append(appendFloat(b, p.F), '"', ']')
	}
	return b
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

// appendFloat appends the shortest decimal that is read as v again. Where v is
// some thousandths, as most readings are, that is the thousandths as they stand:
// of decimals of up to 15 digits no two are the same float64.
func appendFloat(b []byte, v float64) []byte {
	n := int64(v * 1000)
	if n += nearer(v*1000 - float64(n)); float64(n)/1000 == v && n != 0 && n < 1e15 && n > -1e15 {
		return appendThousandths(b, n)
	}
	format := byte('f')
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		format = 'e'
	}
	return strconv.AppendFloat(b, v, format, -1, 64)
}

// nearer returns what brings a whole number, cut off by rest, to the nearest one.
func nearer(rest float64) int64 {
	switch {
	case rest >= 0.5:
		return 1
	case rest <= -0.5:
		return -1
	}
	return 0
}

func appendThousandths(b []byte, n int64) []byte {
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendInt(b, n/1000, 10)
	switch f := n % 1000; {
	case f == 0:
	case f%100 == 0:
		b = append(b, '.', byte('0'+f/100))
	case f%10 == 0:
		b = append(b, '.', byte('0'+f/100), byte('0'+f/10%10))
	default:
		b = append(b, '.', byte('0'+f/100), byte('0'+f/10%10), byte('0'+f%10))
	}
	return b
}
