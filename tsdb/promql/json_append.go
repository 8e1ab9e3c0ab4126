package promql

import (
	"encoding/binary"
	"slices"
	"strconv"
	"unicode/utf8"

	"github.com/prometheus/prometheus/promql"
)

const hex = "0123456789abcdef"

// appendString appends a string; bytes that are not UTF-8 become U+FFFD.
func appendString(b []byte, s string) []byte {
	b = append(b, '"')
	if plain(s) {
		return append(append(b, s...), '"')
	}
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

// plain says whether a string stands in JSON as it is: printable ASCII but quotes and
// backslashes. It looks at eight bytes at a time, the last of which may be looked at
// twice.
func plain(s string) bool {
	n := len(s)
	if n >= 8 {
		for i := 0; i+8 < n; i += 8 {
			if special(fourBytes(s[i:]) | fourBytes(s[i+4:])<<32) {
				return false
			}
		}
		return !special(fourBytes(s[n-8:]) | fourBytes(s[n-4:])<<32)
	}
	if n >= 4 {
		return !special(fourBytes(s) | fourBytes(s[n-4:])<<32)
	}
	for i := range n {
		if special(uint64(s[i]) * everyByte) {
			return false
		}
	}
	return true
}

func fourBytes(s string) uint64 {
	_ = s[3]
	return uint64(s[0]) | uint64(s[1])<<8 | uint64(s[2])<<16 | uint64(s[3])<<24
}

// everyByte times a byte is eight of it.
const everyByte = 0x0101010101010101

// special says whether one of eight bytes is not plain.
func special(x uint64) bool {
	quote, backslash := x^'"'*everyByte, x^'\\'*everyByte
	// A borrow reaches the next byte only from one that is special itself.
	found := x | (x-' '*everyByte)&^x | (quote-everyByte)&^quote | (backslash-everyByte)&^backslash
	return found&(0x80*everyByte) != 0
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

// digits are what numbers of thousandths are put together from. Each is up to seven bytes,
// the first in the lowest, and how many those are in the highest.
type digits struct {
	small  [1e4]uint64     // below ten, by thousandths: most water levels
	wholes [1000]uint64    // whole numbers
	rests  [2][1000]uint64 // thousandths with their point, as they stand behind two and three bytes
}

// lengthOne is a length of one byte.
const lengthOne = 1 << 56

func newDigits() *digits {
	d := &digits{}
	var room [floatRoom]byte
	for n := range d.small {
		length := 1 // of 0
		if room[0] = '0'; n > 0 {
			length = putThousandths(&room, int64(n))
		}
		d.small[n] = binary.LittleEndian.Uint64(room[:])&(lengthOne-1) | uint64(length)*lengthOne
	}
	for n := range d.wholes {
		length := len(strconv.AppendInt(room[:0], int64(n), 10))
		d.wholes[n] = binary.LittleEndian.Uint64(room[:])&(1<<(8*length)-1) | uint64(length)*lengthOne
		rest := d.small[n] - lengthOne // less the 0 before the point
		for i := range d.rests {
			d.rests[i][n] = rest>>8&(1<<32-1)<<(16+8*i) | rest&^(lengthOne-1)
		}
	}
	return d
}

// of returns t thousandths, t below a million. It is small enough to be compiled into
// the loops that call it.
func (d *digits) of(t uint32) uint64 {
	if t < uint32(len(d.small)) {
		return d.small[t]
	}
	whole := d.wholes[t/1000]
	return whole + d.rests[whole>>56&1][t%1000]
}

// stamps are the times of a grid as points begin with them.
type stamps struct {
	grid
	*digits
	whole bool               // all are of shortStamp bytes
	short [][shortStamp]byte // those of each step, where they are written many times; else nil
	kept  []stamp            // likewise where they are of any length
}

// stamp is what stands between the values of two points.
type stamp struct {
	text [stampRoom]byte // copied as a whole, which takes no call
	n    int             // bytes that are of meaning
}

const (
	// firstCut is what the first of several points leaves out of its stamp.
	firstCut = len(`"],`)
	// stampRoom is more than the longest stamp, `"],[-9223372036854775.808,"`.
	stampRoom = 32
	// shortStamp is the bytes of that of a time of this age in whole seconds.
	shortStamp = 16
	// blockPoints is how many points are written between two looks at whether
	// there is room.
	blockPoints = 64
)

// newStamps returns the stamps of a grid.
func newStamps(g grid, d *digits) *stamps {
	s := &stamps{grid: g, digits: d}
	s.whole = g.start >= 1e12 && g.end < 1e13 && g.start%1000 == 0 && (g.step%1000 == 0 || g.steps < 2) // ten digits
	return s
}

// keep makes all stamps: of many series on one grid each is made once.
func (s *stamps) keep() {
	if s.whole {
		s.short = make([][shortStamp]byte, s.steps)
		s.makeShort(s.short, &row{}, 0)
		return
	}
	s.kept = make([]stamp, s.steps)
	for k := range s.kept {
		s.make(&s.kept[k], k)
	}
}

// make makes the stamp of a step.
func (s *stamps) make(into *stamp, k int) {
	into.n = len(append(appendSeconds(append(into.text[:0], `"],[`...), int64(s.at(k))), ',', '"'))
}

// makeShort makes stamps where all are short, those of the steps of a row from its i-th
// on. Of most of them the upper six digits are those of the one before.
func (s *stamps) makeShort(into [][shortStamp]byte, r *row, i int) {
	start, by := uint64(s.start)/1000, uint64(s.step)/1000
	base, ready := uint64(0), [2]uint64{}
	for k := range into {
		seconds := start + by*uint64(r.step(i+k))
		lower := seconds - base
		if lower >= 1e4 {
			upper := seconds / 1e4
			base = upper * 1e4
			lower = seconds - base
			text := eightDigits(upper) >> 16
			ready = [2]uint64{'"' | ']'<<8 | ','<<16 | '['<<24 | text<<32, text>>32 | ','<<48 | '"'<<56}
		}
		binary.LittleEndian.PutUint64(into[k][:], ready[0])
		binary.LittleEndian.PutUint64(into[k][8:], ready[1]|fourDigits(lower)<<16)
	}
}

// appendPoints is a row's points with commas between them.
func (s *stamps) appendPoints(b []byte, r *row) []byte {
	if len(r.values) == 0 {
		return b
	}
	b = slices.Grow(b, (len(r.values)+2*blockPoints)*stampRoom)
	var at stamp
	s.make(&at, r.step(0))
	b = appendFloat(append(b, at.text[firstCut:at.n]...), r.values[0])
	for i := 1; i < len(r.values); i += blockPoints {
		b = s.appendBlock(b, r, i, min(i+blockPoints, len(r.values)))
	}
	return append(b, '"', ']')
}

// appendBlock appends points of a row that are not the first, each without its end.
func (s *stamps) appendBlock(b []byte, r *row, from, to int) []byte {
	b = slices.Grow(b, (to-from)*(stampRoom+floatRoom))
	if s.whole {
		if s.short != nil && r.steps == nil {
			return s.appendRun(b, r.values[from:to], s.short[r.first+from:r.first+to])
		}
		var times [blockPoints][shortStamp]byte
		if s.short == nil {
			s.makeShort(times[:to-from], r, from)
		} else {
			for i, k := range r.steps[from:to] {
				times[i] = s.short[k]
			}
		}
		return s.appendRun(b, r.values[from:to], times[:])
	}
	n := len(b)
	b = b[:cap(b)]
	k, d := r.first+from, s.digits
	var own stamp
	at := &own
	for i, v := range r.values[from:to] {
		if r.steps != nil {
			k = int(r.steps[from+i])
		}
		if s.kept != nil {
			at = &s.kept[k]
		} else {
			s.make(at, k)
		}
		*(*[stampRoom]byte)(b[n:]) = at.text
		n += at.n
		k++
		// See putFloat: these are the thousandths below a thousand.
		if t := float64(v*1000) + round - round; t/1000 == v && t > 0 && t < 1e6 {
			text := d.of(uint32(t))
			binary.LittleEndian.PutUint64(b[n:], text)
			n += int(text >> 56)
			continue
		}
		n += putFloat((*[floatRoom]byte)(b[n:]), v)
	}
	return b[:n]
}

// appendRun is appendBlock for values with short stamps, which are given, where there is
// room: what is written has its place, whatever lies before it.
func (s *stamps) appendRun(b []byte, values []float64, times [][shortStamp]byte) []byte {
	n, d := len(b), s.digits
	b, times = b[:cap(b)], times[:len(values)]
	for i, v := range values {
		at := (*[shortStamp + 8]byte)(b[n : n+shortStamp+8])
		*(*[shortStamp]byte)(at[:]) = times[i]
		n += shortStamp
		if t := float64(v*1000) + round - round; t/1000 == v && t > 0 && t < 1e6 { // as in appendBlock
			text := d.of(uint32(t))
			binary.LittleEndian.PutUint64(at[shortStamp:], text)
			n += int(text >> 56)
			continue
		}
		n += putFloat((*[floatRoom]byte)(b[n:]), v)
	}
	return b[:n]
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
