package turnstile

import (
	"errors"
	"io"
	"net"
	"net/http"
	"time"

	"quantrac"
)

// minRate is the bytes a second that a body comes at, at least.
const minRate = 1 << 10

// Bodies serves requests whose bodies have to keep coming: a sender has the
// turnstile's patience, and a second more for every KiB it has sent, up to
// Options.Longest in all. A body that stops is an error of kind Unavailable to
// whoever reads it.
func (t *Turnstile) Bodies(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		v, _ := r.Context().Value(visitKey{}).(*visit)
		if v != nil {
			defer v.serve()()
		}
		if r.Body == nil || r.Body == http.NoBody {
			next.ServeHTTP(w, r)
			return
		}
		now := time.Now()
		b := &body{
			ReadCloser: r.Body, conn: http.NewResponseController(w), v: v,
			until: now.Add(t.o.Patience), longest: now.Add(t.o.Longest),
		}
		// Not every writer has deadlines, such as those of tests; servers' have.
		_ = b.conn.SetReadDeadline(b.until)
		defer b.done()
		with := *r // the server has to know its own body again when it answers
		with.Body = b
		next.ServeHTTP(w, &with)
	})
}

// body is the body of a request as it comes.
type body struct {
	io.ReadCloser
	conn    *http.ResponseController
	v       *visit // nil where the listener is another's
	until   time.Time
	longest time.Time
	whole   bool
}

// Read implements io.Reader.
func (b *body) Read(p []byte) (n int, err error) {
	if b.v != nil {
		defer b.v.block()()
	}
	n, err = b.ReadCloser.Read(p)
	if n > 0 {
		b.moved(n)
	}
	if err == io.EOF {
		b.whole = true
		b.done() // nothing more is awaited, however long the answer takes
	}
	var broken net.Error // a deadline, or the connection
	if errors.As(err, &broken) || errors.Is(err, io.ErrUnexpectedEOF) {
		err = quantrac.Errorf(quantrac.Unavailable, "the body stopped coming before its end; nothing was done: send it again: %w", err)
	}
	return n, err
}

// moved gives the sender more time for what has come.
func (b *body) moved(n int) {
	if b.v != nil {
		b.v.touch()
	}
	b.until = b.until.Add(time.Duration(n) * time.Second / minRate)
	if b.until.After(b.longest) {
		b.until = b.longest
	}
	_ = b.conn.SetReadDeadline(b.until)
}

// done lifts the deadline, which would end a connection that is kept. Where the
// body has not come it stays: the server waits for the rest of it.
func (b *body) done() {
	if b.whole {
		_ = b.conn.SetReadDeadline(time.Time{})
	}
}
