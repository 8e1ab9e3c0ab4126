package turnstile

import (
	"context"
	"errors"
	"net"
	"os"
	"sync/atomic"
	"time"
)

// visit is one connection that has been let in.
type visit struct {
	net.Conn
	t       *Turnstile
	network string

	serving  atomic.Int32 // requests that are worked on
	blocked  atomic.Int32 // those of them that wait for their client
	writing  atomic.Bool  // the client has yet to take what is written
	since    atomic.Int64 // when something last moved, in nanoseconds
	deadline atomic.Int64 // for writing, as whoever serves it has set it; 0 for none
}

func newVisit(t *Turnstile, c net.Conn) *visit {
	v := &visit{Conn: c, t: t, network: Network(c.RemoteAddr().String())}
	v.touch()
	return v
}

func (v *visit) touch() { v.since.Store(time.Now().UnixNano()) }

// waiting says whether the server waits for the client, and does nothing else
// for it.
func (v *visit) waiting() bool {
	return v.writing.Load() || v.blocked.Load() >= v.serving.Load()
}

// Serving notes that what a connection wants is being worked on, until done is
// called; before, and after, the server waits for the client. It does nothing
// for connections of other listeners.
func Serving(c net.Conn) (done func()) {
	v, ok := c.(*visit)
	if !ok {
		return func() {}
	}
	return v.serve()
}

func (v *visit) serve() (done func()) {
	v.serving.Add(1)
	v.touch()
	return func() {
		v.touch()
		if v.serving.Add(-1) == 0 {
			v.deadline.Store(0) // it was of what has been served
		}
	}
}

// block notes that a request waits for its client.
func (v *visit) block() (done func()) {
	v.blocked.Add(1)
	return func() { v.blocked.Add(-1) }
}

const (
	// piece is what a client takes within the patience, at least.
	piece = 64 << 10
	// together is how much is handed over at once: each time is a call of the system,
	// and mostly wakes the client.
	together = 4 * piece
)

// Write implements net.Conn. A client has the turnstile's patience for each
// piece, or until the deadline that was set for writing, if that is earlier.
func (v *visit) Write(b []byte) (n int, err error) {
	v.touch()
	v.writing.Store(true)
	defer v.writing.Store(false)
	for {
		if err := v.arm(); err != nil {
			return n, err
		}
		m, err := v.Conn.Write(b[n:min(len(b), n+together)])
		n += m
		v.touch()
		if m >= piece && errors.Is(err, os.ErrDeadlineExceeded) {
			err = nil // it is slow, but takes what is written
		}
		if err != nil || n == len(b) {
			return n, err
		}
	}
}

// arm sets the deadline of a piece.
func (v *visit) arm() error {
	until := time.Now().Add(v.t.o.Patience)
	if set := v.deadline.Load(); set != 0 && set < until.UnixNano() {
		until = time.Unix(0, set)
	}
	return v.Conn.SetWriteDeadline(until)
}

// SetWriteDeadline implements net.Conn.
func (v *visit) SetWriteDeadline(at time.Time) error {
	v.note(at)
	return v.Conn.SetWriteDeadline(at)
}

// SetDeadline implements net.Conn.
func (v *visit) SetDeadline(at time.Time) error {
	v.note(at)
	return v.Conn.SetDeadline(at)
}

func (v *visit) note(at time.Time) {
	if at.IsZero() {
		v.deadline.Store(0)
		return
	}
	v.deadline.Store(at.UnixNano())
}

// CloseWrite ends what is sent, as servers do before they close.
func (v *visit) CloseWrite() error {
	if half, ok := v.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return nil
}

// Close implements net.Conn.
func (v *visit) Close() error {
	v.t.mu.Lock()
	v.t.remove(v)
	v.t.mu.Unlock()
	return v.Conn.Close()
}

type visitKey struct{}

// ConnContext is the http.Server's: it lets Bodies find the connection of a
// request.
func (*Turnstile) ConnContext(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, visitKey{}, c)
}
