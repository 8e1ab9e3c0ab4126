package quantrac

import (
	"errors"
	"fmt"
)

// ErrorKind says what a caller can do about an error.
type ErrorKind uint8

// The kinds. KindNone is what KindOf says of an error that carries none: an
// unexpected failure of ours.
const (
	KindNone    ErrorKind = iota
	Invalid               // the input is wrong; sending it again is no use
	NotFound              // what is named does not exist
	Conflict              // the state has moved on; read it again and decide
	Denied                // who asks may not
	Busy                  // too much at once; try again after a while
	Unavailable           // cannot be done now (no space, disk failed, closing); try again
	Corrupt               // stored bytes are damaged; the text names path and offset
)

// kinds is the one table that maps an error kind to its name, which is also
// the Connect code, and to the HTTP status.
var kinds = [...]struct {
	name string
	http int
}{
	KindNone:    {"internal", 500},
	Invalid:     {"invalid_argument", 400},
	NotFound:    {"not_found", 404},
	Conflict:    {"aborted", 409},
	Denied:      {"permission_denied", 403},
	Busy:        {"resource_exhausted", 503},
	Unavailable: {"unavailable", 503},
	Corrupt:     {"data_loss", 500},
}

// String returns the kind's name, which is the Connect code of the same
// meaning.
func (k ErrorKind) String() string {
	if int(k) < len(kinds) {
		return kinds[k].name
	}
	return fmt.Sprintf("ErrorKind(%d)", uint8(k))
}

// HTTPStatus returns the HTTP status code of the kind. Overload is 503, never
// a 4xx: Telegraf and its like drop a batch on any 4xx.
func (k ErrorKind) HTTPStatus() int {
	if int(k) < len(kinds) {
		return kinds[k].http
	}
	return 500
}

type kindError struct {
	kind ErrorKind
	err  error
}

func (e *kindError) Error() string { return e.err.Error() }
func (e *kindError) Unwrap() error { return e.err }

// Errorf makes an error of a kind; the format is fmt.Errorf's, %w included.
func Errorf(kind ErrorKind, format string, args ...any) error {
	return &kindError{kind, fmt.Errorf(format, args...)}
}

// WithKind marks an error as of a kind, whatever it was before; nil stays nil.
func WithKind(kind ErrorKind, err error) error {
	if err == nil {
		return nil
	}
	return &kindError{kind, err}
}

// KindOf returns the kind of the outermost marked error in the chain, KindNone
// where there is none.
func KindOf(err error) ErrorKind {
	var e *kindError
	if errors.As(err, &e) {
		return e.kind
	}
	return KindNone
}
