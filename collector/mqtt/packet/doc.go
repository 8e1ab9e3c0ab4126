// Package packet reads and writes the packets of MQTT 3.1, 3.1.1 and 5, as the
// OASIS standards lay them out. It is pure but for Read, which takes a packet
// from a buffered reader.
//
// It checks what a single packet can get wrong (lengths, flags, UTF-8,
// properties that do not belong) and says so with a reason code; what depends
// on the state of a session is the broker's to check. Nothing panics on foreign
// bytes, and no packet takes more memory than a small multiple of its length.
//
// Only collector/mqtt imports it.
package packet

import (
	"bufio"
	"fmt"
	"io"
)

// Type is the kind of a packet.
type Type byte

// The types.
const (
	CONNECT Type = iota + 1
	CONNACK
	PUBLISH
	PUBACK
	PUBREC
	PUBREL
	PUBCOMP
	SUBSCRIBE
	SUBACK
	UNSUBSCRIBE
	UNSUBACK
	PINGREQ
	PINGRESP
	DISCONNECT
	AUTH
)

// Protocol levels.
const (
	V31  = 3
	V311 = 4
	V5   = 5
)

// Reason is an MQTT 5 reason code.
type Reason byte

// The reason codes in use.
const (
	Success            Reason = 0x00
	DisconnectWithWill Reason = 0x04
	NoSubscription     Reason = 0x11
	Unspecified        Reason = 0x80
	Malformed          Reason = 0x81
	ProtocolError      Reason = 0x82
	UnsupportedVersion Reason = 0x84
	ClientIDNotValid   Reason = 0x85
	BadCredentials     Reason = 0x86
	NotAuthorized      Reason = 0x87
	ServerUnavailable  Reason = 0x88
	ServerBusy         Reason = 0x89
	ServerShuttingDown Reason = 0x8B
	BadAuthMethod      Reason = 0x8C
	KeepAliveTimeout   Reason = 0x8D
	SessionTakenOver   Reason = 0x8E
	FilterInvalid      Reason = 0x8F
	TopicInvalid       Reason = 0x90
	TopicAliasInvalid  Reason = 0x94
	TooLarge           Reason = 0x95
	QuotaExceeded      Reason = 0x97
	PayloadInvalid     Reason = 0x99
	QoSNotSupported    Reason = 0x9B
	SharedNotSupported Reason = 0x9E
	SubIDNotSupported  Reason = 0xA1
	maxRemaining              = 268_435_455 // bytes after the fixed header, by the standard
)

// Error is what is wrong with a packet.
type Error struct {
	Reason Reason
	Text   string
}

// Error implements error.
func (e *Error) Error() string { return "MQTT: " + e.Text }

func errorf(r Reason, format string, args ...any) error {
	return &Error{r, fmt.Sprintf(format, args...)}
}

// Raw is a packet as it came: its first byte and what follows the length.
type Raw struct {
	First byte
	Body  []byte
}

// Type returns the packet's type.
func (r Raw) Type() Type { return Type(r.First >> 4) }

// Read takes one packet from a reader. One that is longer than max bytes after
// its fixed header is an error with reason TooLarge and stays unread. The body
// is freshly allocated.
func Read(r *bufio.Reader, max int) (Raw, error) {
	raw, size, err := ReadHeader(r)
	if err != nil {
		return Raw{}, err
	}
	if size > max {
		return Raw{}, ErrTooLarge(size, max)
	}
	err = raw.ReadBody(r, size)
	return raw, err
}

// ErrTooLarge is the error of a packet of more than max bytes.
func ErrTooLarge(size, max int) error {
	return errorf(TooLarge, "packet of %d bytes, at most %d are taken", size, max)
}

// ReadHeader takes the fixed header of a packet, which says how many bytes come
// after it.
func ReadHeader(r *bufio.Reader) (raw Raw, size int, err error) {
	if raw.First, err = r.ReadByte(); err != nil {
		return Raw{}, 0, err
	}
	size, err = readLength(r)
	return raw, size, err
}

// ReadBody takes so many of the bytes that follow the header: all, or of a
// PUBLISH at least its beginning.
func (r *Raw) ReadBody(src *bufio.Reader, size int) error {
	if size > 0 {
		r.Body = make([]byte, size)
		if _, err := io.ReadFull(src, r.Body); err != nil {
			return unexpected(err)
		}
	}
	return r.checkFlags()
}

// readLength reads the remaining length: seven bits a byte, lowest first, four
// bytes at most.
func readLength(r io.ByteReader) (int, error) {
	n := 0
	for shift := 0; shift < 28; shift += 7 {
		b, err := r.ReadByte()
		if err != nil {
			return 0, unexpected(err)
		}
		n |= int(b&0x7f) << shift
		if b < 0x80 {
			return n, nil
		}
	}
	return 0, errorf(Malformed, "remaining length of more than four bytes")
}

func unexpected(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}

func (r Raw) checkFlags() error {
	flags := r.First & 0x0f
	want := byte(0)
	switch r.Type() {
	case 0:
		return errorf(Malformed, "packet type 0")
	case PUBLISH:
		return nil // they mean something; DecodePublish looks at them
	case PUBREL, SUBSCRIBE, UNSUBSCRIBE:
		want = 2
	}
	if flags != want {
		return errorf(Malformed, "packet type %d with flags %04b, want %04b", r.Type(), flags, want)
	}
	return nil
}
