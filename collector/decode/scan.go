package decode

import (
	"unicode/utf16"
	"unicode/utf8"

	"quantrac"
)

// maxDepth bounds the nesting of JSON: a row needs three levels, four in an
// array; what is nested deeper is never looked at.
const maxDepth = 16

// scanner reads JSON token by token, strictly as RFC 8259 writes it. It knows
// the offset of everything, so that an error can say where, and it can tell a
// key that occurs twice, which encoding/json silently resolves.
type scanner struct {
	b []byte
	i int
}

func (s *scanner) errf(format string, args ...any) error {
	return quantrac.Errorf(quantrac.Invalid, "JSON, byte %d: "+format, append([]any{s.i}, args...)...)
}

// unexpected is the error of a byte that cannot stand here.
func (s *scanner) unexpected(want string) error {
	if s.i >= len(s.b) {
		return s.errf("ends where %s is expected", want)
	}
	return s.errf("%q where %s is expected", s.b[s.i], want)
}

// peek skips white space and returns the next byte, 0 at the end.
func (s *scanner) peek() byte {
	for s.i < len(s.b) {
		switch s.b[s.i] {
		case ' ', '\t', '\n', '\r':
			s.i++
		default:
			return s.b[s.i]
		}
	}
	return 0
}

// accept takes the next byte if it is c.
func (s *scanner) accept(c byte) bool {
	if s.peek() == c && s.i < len(s.b) {
		s.i++
		return true
	}
	return false
}

// kind is what sort of value comes next.
type kind uint8

const (
	kindNone kind = iota
	kindObject
	kindArray
	kindString
	kindNumber
	kindTrue
	kindFalse
	kindNull
)

var kindNames = [...]string{"nothing", "an object", "an array", "text", "a number", "true", "false", "null"}

func (k kind) String() string { return kindNames[k] }

func (s *scanner) kind() kind {
	switch c := s.peek(); {
	case c == '{':
		return kindObject
	case c == '[':
		return kindArray
	case c == '"':
		return kindString
	case c == '-' || c >= '0' && c <= '9':
		return kindNumber
	case c == 't':
		return kindTrue
	case c == 'f':
		return kindFalse
	case c == 'n':
		return kindNull
	}
	return kindNone
}

// object calls member for every member of the object that comes next; member
// must take the value.
func (s *scanner) object(member func(name string, at int) error) error {
	if !s.accept('{') {
		return s.unexpected("an object")
	}
	if s.accept('}') {
		return nil
	}
	for {
		s.peek()
		at := s.i
		name, err := s.text()
		if err != nil {
			return err
		}
		if !s.accept(':') {
			return s.unexpected("':'")
		}
		if err := member(name, at); err != nil {
			return err
		}
		if s.accept('}') {
			return nil
		}
		if !s.accept(',') {
			return s.unexpected("',' or '}'")
		}
	}
}

// array calls element for every element of the array that comes next; element
// must take the value.
func (s *scanner) array(element func(i int) error) error {
	if !s.accept('[') {
		return s.unexpected("an array")
	}
	if s.accept(']') {
		return nil
	}
	for i := 0; ; i++ {
		if err := element(i); err != nil {
			return err
		}
		if s.accept(']') {
			return nil
		}
		if !s.accept(',') {
			return s.unexpected("',' or ']'")
		}
	}
}

// skip takes one value of any kind and forgets it.
func (s *scanner) skip(depth int) error {
	if depth > maxDepth {
		return s.errf("nested more than %d deep", maxDepth)
	}
	switch s.kind() {
	case kindObject:
		return s.object(func(string, int) error { return s.skip(depth + 1) })
	case kindArray:
		return s.array(func(int) error { return s.skip(depth + 1) })
	case kindString:
		_, err := s.text()
		return err
	case kindNumber:
		_, _, err := s.number()
		return err
	case kindTrue:
		return s.literal("true")
	case kindFalse:
		return s.literal("false")
	case kindNull:
		return s.literal("null")
	}
	return s.unexpected("a value")
}

func (s *scanner) literal(word string) error {
	s.peek()
	for j := 0; j < len(word); j++ {
		if s.i >= len(s.b) || s.b[s.i] != word[j] {
			return s.unexpected(word)
		}
		s.i++
	}
	return nil
}

// number takes a number and returns its text and whether it is written as an
// integer.
func (s *scanner) number() (text []byte, integer bool, err error) {
	s.peek()
	start := s.i
	if s.i < len(s.b) && s.b[s.i] == '-' {
		s.i++
	}
	if s.i < len(s.b) && s.b[s.i] == '0' {
		s.i++
	} else if !s.digits() {
		return nil, false, s.unexpected("a digit")
	}
	integer = true
	if s.i < len(s.b) && s.b[s.i] == '.' {
		s.i++
		integer = false
		if !s.digits() {
			return nil, false, s.unexpected("a digit")
		}
	}
	if s.i < len(s.b) && (s.b[s.i] == 'e' || s.b[s.i] == 'E') {
		s.i++
		integer = false
		if s.i < len(s.b) && (s.b[s.i] == '+' || s.b[s.i] == '-') {
			s.i++
		}
		if !s.digits() {
			return nil, false, s.unexpected("a digit")
		}
	}
	return s.b[start:s.i], integer, nil
}

func (s *scanner) digits() bool {
	start := s.i
	for s.i < len(s.b) && s.b[s.i] >= '0' && s.b[s.i] <= '9' {
		s.i++
	}
	return s.i > start
}

// text takes a string and returns it unescaped. The payload is known to be
// UTF-8; a lone surrogate escape becomes U+FFFD, as RFC 8259 leaves open.
func (s *scanner) text() (string, error) {
	if !s.accept('"') {
		return "", s.unexpected("text in quotes")
	}
	start := s.i
	for s.i < len(s.b) {
		switch c := s.b[s.i]; {
		case c == '"':
			out := string(s.b[start:s.i])
			s.i++
			return out, nil
		case c == '\\':
			return s.escaped(start)
		case c < ' ':
			return "", s.errf("control character %q inside text; it must be escaped", c)
		}
		s.i++
	}
	return "", s.unexpected("the closing quote")
}

// escaped goes on with a string in which a backslash has been met.
func (s *scanner) escaped(start int) (string, error) {
	buf := append([]byte(nil), s.b[start:s.i]...)
	for s.i < len(s.b) {
		c := s.b[s.i]
		switch {
		case c == '"':
			s.i++
			return string(buf), nil
		case c < ' ':
			return "", s.errf("control character %q inside text; it must be escaped", c)
		case c != '\\':
			buf = append(buf, c)
			s.i++
			continue
		}
		s.i++
		r, err := s.escape()
		if err != nil {
			return "", err
		}
		buf = utf8.AppendRune(buf, r)
	}
	return "", s.unexpected("the closing quote")
}

// escape takes what follows a backslash.
func (s *scanner) escape() (rune, error) {
	if s.i >= len(s.b) {
		return 0, s.unexpected("an escape")
	}
	const from, to = `"\/bfnrt`, "\"\\/\b\f\n\r\t"
	c := s.b[s.i]
	for j := 0; j < len(from); j++ {
		if c == from[j] {
			s.i++
			return rune(to[j]), nil
		}
	}
	if c != 'u' {
		return 0, s.unexpected(`one of "\/bfnrtu after a backslash`)
	}
	s.i++
	r, err := s.hex4()
	if err != nil || !utf16.IsSurrogate(r) {
		return r, err
	}
	if s.i+1 < len(s.b) && s.b[s.i] == '\\' && s.b[s.i+1] == 'u' {
		back := s.i
		s.i += 2
		low, err := s.hex4()
		if err != nil {
			return 0, err
		}
		if both := utf16.DecodeRune(r, low); both != utf8.RuneError {
			return both, nil
		}
		s.i = back
	}
	return utf8.RuneError, nil
}

func (s *scanner) hex4() (rune, error) {
	var r rune
	for range 4 {
		if s.i >= len(s.b) {
			return 0, s.unexpected("a hexadecimal digit")
		}
		c := s.b[s.i]
		switch {
		case c >= '0' && c <= '9':
			r = r<<4 | rune(c-'0')
		case c >= 'a' && c <= 'f':
			r = r<<4 | rune(c-'a'+10)
		case c >= 'A' && c <= 'F':
			r = r<<4 | rune(c-'A'+10)
		default:
			return 0, s.unexpected("a hexadecimal digit")
		}
		s.i++
	}
	return r, nil
}
