package decode

import (
	"bytes"
	"io"
)

var newline = []byte{'\n'}

// lineFeed hands the decoder one line at a time. The decoder reads on only
// when it needs more, and nothing but a quoted text reaches over the end of a
// line, so the line last handed out is the one being decoded. That is how we
// know a line's number and text: the decoder tells them for syntax errors only.
type lineFeed struct {
	b      []byte
	number int // of the line last handed out, from 1
	start  int // its first byte
	end    int // one past the last byte handed out
	mid    bool
}

func (f *lineFeed) Read(p []byte) (int, error) {
	if f.end >= len(f.b) {
		return 0, io.EOF
	}
	if !f.mid { // the line before has been handed out whole
		f.number++
		f.start = f.end
	}
	rest := f.b[f.end:]
	n := bytes.IndexByte(rest, '\n') + 1
	if n == 0 {
		n = len(rest)
	}
	whole := n <= len(p)
	n = copy(p, rest[:n])
	f.end += n
	f.mid = !whole
	return n, nil
}

// text is what has been handed out since start, to the end of its last line.
func (f *lineFeed) text(start int) []byte {
	end := f.end
	if f.mid {
		line, _, _ := bytes.Cut(f.b[end:], newline)
		end += len(line)
	}
	return bytes.TrimRight(f.b[start:end], "\r\n")
}

// Quote gives faults of lines that were taken, and refused for what they say,
// the line as it came, where they do not have it. They stand in the order of
// their rows.
func Quote(faults []Fault, payload []byte) {
	number, rest := 0, payload
	var line []byte
	for i := range faults {
		f := &faults[i]
		for number < f.Row && len(rest) > 0 {
			line, rest, _ = bytes.Cut(rest, newline)
			number++
		}
		if f.Text == "" && number == f.Row {
			f.Text = excerpt(bytes.TrimRight(line, "\r"), MaxFaultText)
		}
	}
}
