package influx

import (
	"bufio"
	"io"
	"net/http"
	"time"
)

const (
	awaited = 64 << 10 // bytes of a body that are read before a turn is taken
	minRate = 1 << 10  // bytes a second that a body comes at, at least
)

// arriving is the body of a request that has to keep coming: its sender has
// the handler's patience, and a second more for every KiB it has sent.
type arriving struct {
	body  io.ReadCloser
	head  *bufio.Reader
	conn  *http.ResponseController
	until time.Time
	whole bool // it has come to its end
}

func (h *Handler) arrive(w http.ResponseWriter, r *http.Request) *arriving {
	a := &arriving{body: r.Body, conn: http.NewResponseController(w), until: time.Now().Add(h.o.Patience), whole: r.ContentLength == 0}
	// Not every writer has deadlines, such as those of tests; servers' have.
	_ = a.conn.SetReadDeadline(a.until)
	return a
}

// await reads the beginning of a body of that many bytes, -1 where unknown. What
// goes wrong is found again by Read.
func (a *arriving) await(length int64) {
	n := awaited
	if 0 <= length && length < awaited {
		n = int(length)
	}
	a.head = bufio.NewReaderSize(paced{a}, n)
	_, _ = a.head.Peek(n)
}

// Read implements io.Reader.
func (a *arriving) Read(p []byte) (int, error) { return a.head.Read(p) }

// Close implements io.Closer.
func (a *arriving) Close() error { return a.body.Close() }

// done lifts the deadline, which would end a connection that is kept. Where the
// body has not come it stays: the server waits for the rest of it.
func (a *arriving) done() {
	if a.whole {
		_ = a.conn.SetReadDeadline(time.Time{})
	}
}

// paced reads a body as it comes and moves its deadline by what has come.
type paced struct{ a *arriving }

// Read implements io.Reader.
func (p paced) Read(b []byte) (int, error) {
	n, err := p.a.body.Read(b)
	if n > 0 {
		p.a.until = p.a.until.Add(time.Duration(n) * time.Second / minRate)
		_ = p.a.conn.SetReadDeadline(p.a.until)
	}
	p.a.whole = p.a.whole || err == io.EOF
	return n, err
}
