package promql

import (
	"slices"
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

// stamps are the times of a grid as points begin with them, the end of the point
// before included: of many series on one grid each time is written once.
type stamps struct {
	grid grid
	text []byte // with stampRoom bytes after the last
	ends []int  // in text, of each step
}

const (
	// firstCut is what the first of several points leaves out of its stamp.
	firstCut = len(`"],`)
	// stampRoom is the longest stamp, `"],[-9000000000.000,"`, and more.
	stampRoom = 24
	// blockPoints is how many points are written between two looks at whether
	// there is room.
	blockPoints = 64
)

func newStamps(g grid) *stamps {
	s := &stamps{grid: g, ends: make([]int, g.steps)}
	for k := range g.steps {
		s.text = append(appendSeconds(append(s.text, `"],[`...), int64(g.at(k))), ',', '"')
		s.ends[k] = len(s.text)
	}
	s.text = append(s.text, make([]byte, stampRoom)...)
	return s
}

// appendPoints is appendPoints for points of the grid, rising.
func (s *stamps) appendPoints(b []byte, ps []promql.FPoint) []byte {
	if len(ps) == 0 {
		return b
	}
	k := 0
	for int64(s.grid.at(k)) < ps[0].T {
		k++
	}
	b = appendFloat(append(b, s.text[s.begin(k)+firstCut:s.ends[k]]...), ps[0].F)
	for ps = ps[1:]; len(ps) > 0; {
		n := min(len(ps), blockPoints)
		b, k = s.appendBlock(b, ps[:n], k)
		ps = ps[n:]
	}
	return append(b, '"', ']')
}

// begin returns where the stamp of a step begins.
func (s *stamps) begin(k int) int {
	if k == 0 {
		return 0
	}
	return s.ends[k-1]
}

// appendBlock appends points behind step k, each without its end, and returns the
// step of the last.
func (s *stamps) appendBlock(b []byte, ps []promql.FPoint, k int) ([]byte, int) {
	b = slices.Grow(b, len(ps)*(stampRoom+floatRoom))
	n := len(b)
	b = b[:cap(b)]
	at := int64(s.grid.at(k))
	for _, p := range ps {
		for at < p.T {
			at += int64(s.grid.step)
			k++
		}
		from := s.ends[k-1]
		// A constant number of bytes is copied without a call.
		*(*[stampRoom]byte)(b[n:]) = *(*[stampRoom]byte)(s.text[from:])
		n += s.ends[k] - from
		n += putFloat((*[floatRoom]byte)(b[n:]), p.F)
	}
	return b[:n], k
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
