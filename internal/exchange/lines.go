package exchange

import (
	"bufio"
	"errors"
	"fmt"
	"io"

	"quantrac"
)

// lines reads lines of bounded length.
type lines struct {
	r    *bufio.Reader
	most int
	n    int64 // of the line at hand, from 1
	buf  []byte
}

func newLines(r io.Reader, most int) lines {
	return lines{r: bufio.NewReaderSize(r, 256<<10), most: most}
}

// next returns the next line with its end, valid until the next call. A line
// that is too long is read past: a *Fault.
func (l *lines) next() ([]byte, error) {
	l.n++
	part, err := l.r.ReadSlice('\n')
	if err == nil && len(part) <= l.most || err == io.EOF && len(part) > 0 {
		return part, nil // the last line may do without an end
	}
	l.buf = l.buf[:0]
	for {
		if len(l.buf)+len(part) > l.most {
			return nil, l.skip(err)
		}
		l.buf = append(l.buf, part...)
		switch {
		case err == nil:
			return l.buf, nil
		case err == io.EOF && len(l.buf) > 0:
			return l.buf, nil
		case !errors.Is(err, bufio.ErrBufferFull):
			return nil, l.broken(err)
		}
		part, err = l.r.ReadSlice('\n')
	}
}

// skip reads the rest of a line that is too long; err is how its last part ended.
func (l *lines) skip(err error) error {
	for errors.Is(err, bufio.ErrBufferFull) {
		_, err = l.r.ReadSlice('\n')
	}
	if err != nil && err != io.EOF {
		return l.broken(err)
	}
	return l.fault("", fmt.Sprintf("longer than %d bytes, the most that is taken of a line", l.most))
}

// broken says where reading has ended before the end.
func (l *lines) broken(err error) error {
	switch {
	case err == io.EOF:
		return err
	case errors.Is(err, io.ErrUnexpectedEOF):
		return quantrac.Errorf(quantrac.Invalid, "line %d: the data are cut short here, packed or on their way: %w", l.n, err)
	}
	return fmt.Errorf("line %d: %w", l.n, err)
}

func (l *lines) fault(field, reason string) *Fault {
	return &Fault{Line: l.n, Field: field, Reason: reason}
}
