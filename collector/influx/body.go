package influx

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"

	"github.com/klauspost/compress/gzip"
)

// buffers are the memory of bodies, used again from request to request.
type buffers struct {
	early  sync.Pool // of *[awaited]byte: who waits for a turn holds no more
	whole  sync.Pool // of *bytes.Buffer
	packed sync.Pool // of *unpacker
}

func newBuffers() buffers {
	return buffers{
		early:  sync.Pool{New: func() any { return new([awaited]byte) }},
		whole:  sync.Pool{New: func() any { return new(bytes.Buffer) }},
		packed: sync.Pool{New: func() any { return &unpacker{in: bufio.NewReaderSize(nil, 32<<10)} }},
	}
}

// shortBody is up to which length a body that is awaited gets memory of its
// length only: of those that never come there may be very many.
const shortBody = 4 << 10

// forEarly is memory for the beginning of a body of that many bytes, -1 where
// unknown; done gives it back.
func (p *buffers) forEarly(length int64) (_ []byte, done func()) {
	if 0 <= length && length <= shortBody {
		return make([]byte, length), func() {}
	}
	b := p.early.Get().(*[awaited]byte)
	return b[:min(uint64(length), awaited)], func() { p.early.Put(b) }
}

// keptBytes is how large a buffer may be to be used again: few bodies are
// larger, and those need not be what all requests hold.
const keptBytes = 4 << 20

func (p *buffers) keep(b *bytes.Buffer) {
	if b.Cap() <= keptBytes {
		p.whole.Put(b)
	}
}

// unpacker reads gzip.
type unpacker struct {
	in *bufio.Reader
	z  gzip.Reader
}

// unpack is the reader of what src packs; done gives its memory back.
func (p *buffers) unpack(src io.Reader) (_ io.Reader, done func(), err error) {
	u := p.packed.Get().(*unpacker)
	done = func() {
		u.in.Reset(nil)
		p.packed.Put(u)
	}
	u.in.Reset(src)
	if err := u.z.Reset(u.in); err != nil {
		done()
		return nil, nil, err
	}
	return &u.z, done, nil
}

// body reads and unpacks a request into b within the limits, and says with
// which status it is refused otherwise.
func (h *Handler) body(b *bytes.Buffer, r *http.Request) (status int, err error) {
	var src io.Reader = http.MaxBytesReader(nil, r.Body, h.o.MaxBody)
	switch enc := strings.ToLower(r.Header.Get("Content-Encoding")); enc {
	case "", "identity":
	case "gzip", "x-gzip":
		z, done, err := h.buffers.unpack(src)
		if err != nil {
			return h.unread("body is not gzip", err)
		}
		defer done()
		src = z
	default:
		return http.StatusUnsupportedMediaType, fmt.Errorf("content encoding %q is not understood: want gzip or none", enc)
	}
	b.Reset()
	// What is announced has yet to come: a large body gets its memory as it does.
	b.Grow(int(min(max(r.ContentLength, 0), keptBytes/2)) + bytes.MinRead)
	if _, err := b.ReadFrom(io.LimitReader(src, h.o.MaxBody+1)); err != nil {
		return h.unread("reading the body", err)
	}
	return h.checkSize(b.Bytes())
}

func (h *Handler) checkSize(body []byte) (status int, err error) {
	if int64(len(body)) > h.o.MaxBody {
		return http.StatusRequestEntityTooLarge, h.tooLarge()
	}
	if n := bytes.Count(body, []byte{'\n'}); n > h.o.MaxLines || n == h.o.MaxLines && body[len(body)-1] != '\n' {
		return http.StatusRequestEntityTooLarge, fmt.Errorf("body has more than %d lines; send smaller batches", h.o.MaxLines)
	}
	return 0, nil
}

func (h *Handler) tooLarge() error {
	return fmt.Errorf("body has more than %d bytes; send smaller batches", h.o.MaxBody)
}

// unread is why a body could not be read to its end.
func (h *Handler) unread(doing string, err error) (int, error) {
	if tooLarge := new(http.MaxBytesError); errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge, h.tooLarge()
	}
	return http.StatusBadRequest, fmt.Errorf("%s: %w", doing, err)
}
