package exchange

import (
	"encoding/json"
	"fmt"
)

// cursor reads JSON from memory: what a line needs of it, with bare words for
// numbers that JSON does not have, as other programs write them.
type cursor struct {
	b []byte
	i int
}

// maxDepth bounds what is nested in members that are not known.
const maxDepth = 32

func (c *cursor) space() {
	for c.i < len(c.b) && (c.b[c.i] == ' ' || c.b[c.i] == '\t' || c.b[c.i] == '\r' || c.b[c.i] == '\n') {
		c.i++
	}
}

// peek returns the next byte that is no space, 0 at the end.
func (c *cursor) peek() byte {
	c.space()
	if c.i == len(c.b) {
		return 0
	}
	return c.b[c.i]
}

// take takes a byte that has to be there.
func (c *cursor) take(want byte) error {
	if c.peek() != want || c.i == len(c.b) {
		return c.unexpected(fmt.Sprintf("%q", string(want)))
	}
	c.i++
	return nil
}

func (c *cursor) unexpected(want string) error {
	if c.i >= len(c.b) {
		return fmt.Errorf("the line ends at byte %d: want %s", c.i, want)
	}
	return fmt.Errorf("%s at byte %d: want %s", quoted(c.b[c.i:min(len(c.b), c.i+20)]), c.i, want)
}

// end wants nothing more.
func (c *cursor) end() error {
	if c.peek(); c.i < len(c.b) {
		return c.unexpected("the end of the line")
	}
	return nil
}

// object calls f for each member, at its value.
func (c *cursor) object(f func(name string) error) error {
	return c.list('{', '}', func() error {
		name, err := c.str()
		if err != nil {
			return err
		}
		if err := c.take(':'); err != nil {
			return err
		}
		return f(string(name))
	})
}

// array calls f at each element.
func (c *cursor) array(f func() error) error { return c.list('[', ']', f) }

func (c *cursor) list(open, end byte, f func() error) error {
	if err := c.take(open); err != nil {
		return err
	}
	if c.peek() == end {
		c.i++
		return nil
	}
	for {
		if err := f(); err != nil {
			return err
		}
		switch c.peek() {
		case ',':
			c.i++
		case end:
			c.i++
			return nil
		default:
			return c.unexpected(fmt.Sprintf("%q or %q", ",", string(end)))
		}
	}
}

// str reads a string. Without escapes it is the line's own memory.
func (c *cursor) str() ([]byte, error) {
	if c.peek() != '"' {
		return nil, c.unexpected("a string")
	}
	from, plain := c.i, true
	for c.i++; c.i < len(c.b); c.i++ {
		switch ch := c.b[c.i]; {
		case ch == '\\':
			plain = false
			c.i++
		case ch == '"':
			c.i++
			if plain {
				return c.b[from+1 : c.i-1], nil
			}
			var s string
			if err := json.Unmarshal(c.b[from:c.i], &s); err != nil {
				return nil, fmt.Errorf("string at byte %d: %w", from, err)
			}
			return []byte(s), nil
		case ch < ' ':
			return nil, c.unexpected("no control character in a string")
		}
	}
	c.i = len(c.b) // a backslash at the end has gone past it
	return nil, c.unexpected(`the '"' that ends a string`)
}

// word reads a string, or what stands bare up to the next comma or bracket.
func (c *cursor) word() ([]byte, error) {
	if c.peek() == '"' {
		return c.str()
	}
	from := c.i
	for c.i < len(c.b) {
		switch c.b[c.i] {
		case ',', ']', '}', ' ', '\t', '\r', '\n', '[', '{', '"', ':':
			if c.i == from {
				return nil, c.unexpected("a value")
			}
			return c.b[from:c.i], nil
		}
		c.i++
	}
	if c.i == from {
		return nil, c.unexpected("a value")
	}
	return c.b[from:c.i], nil
}

// skip reads past a value that means nothing here.
func (c *cursor) skip(depth int) error {
	if depth > maxDepth {
		return fmt.Errorf("nested more than %d deep at byte %d", maxDepth, c.i)
	}
	switch c.peek() {
	case '{':
		return c.object(func(string) error { return c.skip(depth + 1) })
	case '[':
		return c.array(func() error { return c.skip(depth + 1) })
	}
	_, err := c.word()
	return err
}
