package packet

import (
	"bytes"
	"encoding/binary"
	"unicode/utf8"
)

// cursor reads the fields of a body. After the first error it reads zeros and
// keeps the error, so that a decoder checks once.
type cursor struct {
	b   []byte
	err error
}

func (c *cursor) fail(what string) {
	if c.err == nil {
		c.err = errorf(Malformed, "packet ends within %s", what)
	}
	c.b = nil
}

func (c *cursor) byte(what string) byte {
	if len(c.b) < 1 {
		c.fail(what)
		return 0
	}
	v := c.b[0]
	c.b = c.b[1:]
	return v
}

func (c *cursor) uint16(what string) uint16 {
	if len(c.b) < 2 {
		c.fail(what)
		return 0
	}
	v := binary.BigEndian.Uint16(c.b)
	c.b = c.b[2:]
	return v
}

func (c *cursor) uint32(what string) uint32 {
	if len(c.b) < 4 {
		c.fail(what)
		return 0
	}
	v := binary.BigEndian.Uint32(c.b)
	c.b = c.b[4:]
	return v
}

// varint reads a variable byte integer.
func (c *cursor) varint(what string) uint32 {
	r := bytes.NewReader(c.b)
	n, err := readLength(r)
	if err != nil {
		c.fail(what)
		return 0
	}
	c.b = c.b[len(c.b)-r.Len():]
	return uint32(n)
}

// binary reads bytes behind a two-byte length; they stay part of the body.
func (c *cursor) binary(what string) []byte {
	n := int(c.uint16(what))
	if len(c.b) < n {
		c.fail(what)
		return nil
	}
	v := c.b[:n:n]
	c.b = c.b[n:]
	return v
}

// text reads a UTF-8 string, which may not contain U+0000.
func (c *cursor) text(what string) string {
	v := c.binary(what)
	if c.err == nil && (!utf8.Valid(v) || bytes.IndexByte(v, 0) >= 0) {
		c.err = errorf(Malformed, "%s is not UTF-8 text", what)
	}
	return string(v)
}

// rest reads all that is left.
func (c *cursor) rest() []byte {
	v := c.b
	c.b = nil
	return v
}

// end is the error of the whole, also for bytes that are left over.
func (c *cursor) end() error {
	if c.err == nil && len(c.b) > 0 {
		c.err = errorf(Malformed, "%d bytes too many", len(c.b))
	}
	return c.err
}

func appendText(dst []byte, s string) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(s)))
	return append(dst, s...)
}

func appendBinary(dst, b []byte) []byte {
	dst = binary.BigEndian.AppendUint16(dst, uint16(len(b)))
	return append(dst, b...)
}

func appendVarint(dst []byte, n int) []byte {
	for n >= 0x80 {
		dst, n = append(dst, byte(n)|0x80), n>>7
	}
	return append(dst, byte(n))
}

// frame appends a packet of a first byte and a body.
func frame(dst []byte, first byte, body []byte) []byte {
	dst = append(dst, first)
	dst = appendVarint(dst, len(body))
	return append(dst, body...)
}
