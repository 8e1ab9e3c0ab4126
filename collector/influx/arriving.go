package influx

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"quantrac"
)

const (
	awaited = 64 << 10 // bytes of a body that are read before a turn is taken
	minRate = 1 << 10  // bytes a second that a body comes at, at least
)

// arriving is the body of a request that has to keep coming: its sender has
// the handler's patience, and a second more for every KiB it has sent.
type arriving struct {
	body  io.ReadCloser
	conn  *http.ResponseController
	until time.Time
	whole bool   // it has come to its end
	early []byte // what came before a turn was taken and has not been read yet
	err   error  // behind that
	lost  error  // why the rest will not come, nil while it may
}

func (h *Handler) arrive(w http.ResponseWriter, r *http.Request) *arriving {
	a := &arriving{body: r.Body, conn: http.NewResponseController(w), until: time.Now().Add(h.o.Patience), whole: r.ContentLength == 0}
	// Not every writer has deadlines, such as those of tests; servers' have.
	_ = a.conn.SetReadDeadline(a.until)
	return a
}

// await reads the beginning of the body into buf. What goes wrong is told by
// Read, when it gets there.
func (a *arriving) await(buf []byte) {
	got := 0
	for got < len(buf) && a.err == nil {
		var n int
		n, a.err = a.fetch(buf[got:])
		got += n
	}
	a.early = buf[:got]
}

// Read implements io.Reader.
func (a *arriving) Read(p []byte) (int, error) {
	if len(a.early) > 0 {
		n := copy(p, a.early)
		a.early = a.early[n:]
		return n, nil
	}
	if a.err != nil {
		return 0, a.err
	}
	return a.fetch(p)
}

// Close implements io.Closer.
func (a *arriving) Close() error { return a.body.Close() }

// fetch reads the body as it comes and moves its deadline by what has come.
func (a *arriving) fetch(p []byte) (int, error) {
	n, err := a.body.Read(p)
	switch {
	case err == io.EOF:
		a.whole = true
		a.done() // nothing more is awaited, however long the answer takes
	case n > 0:
		a.until = a.until.Add(time.Duration(n) * time.Second / minRate)
		_ = a.conn.SetReadDeadline(a.until)
	}
	var broken net.Error // a deadline, or the connection
	if errors.As(err, &broken) || errors.Is(err, io.ErrUnexpectedEOF) {
		a.lost = quantrac.Errorf(quantrac.Unavailable, "the body stopped coming before its end; nothing was stored: send it again")
	}
	return n, err
}

// done lifts the deadline, which would end a connection that is kept. Where the
// body has not come it stays: the server waits for the rest of it.
func (a *arriving) done() {
	a.early = nil // its memory is another request's now, or has been read
	if a.whole {
		_ = a.conn.SetReadDeadline(time.Time{})
	}
}
