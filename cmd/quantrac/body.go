package main

import (
	"io"
	"net/http"
	"time"
)

// What is read of a request's body that its answer did not wait for.
const (
	restBytes = 128 << 20
	restTime  = 30 * time.Second
)

// readRest lets the body of a request come to its end, within bounds, before
// the answer goes out. A client that still sends when the server has had enough
// is cut off, and mostly sees that instead of the answer that says why.
func readRest(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.ProtoMajor != 1 || r.ContentLength == 0 { // HTTP/2 has a way to say so
			next.ServeHTTP(w, r)
			return
		}
		b := &restOf{ReadCloser: r.Body}
		with := *r // the server has to know its own body again when it answers
		with.Body = b
		next.ServeHTTP(w, &with)
		if b.ended || !b.begun && r.Header.Get("Expect") != "" { // that client waits to be asked
			return
		}
		conn := http.NewResponseController(w)
		_ = conn.SetReadDeadline(time.Now().Add(restTime)) // the server's writers have deadlines
		_, _ = io.CopyN(io.Discard, b, restBytes)
		if b.ended {
			_ = conn.SetReadDeadline(time.Time{})
		}
	})
}

// restOf knows whether a body has been read.
type restOf struct {
	io.ReadCloser
	begun, ended bool
}

// Read implements io.Reader.
func (b *restOf) Read(p []byte) (int, error) {
	b.begun = true
	n, err := b.ReadCloser.Read(p)
	b.ended = b.ended || err != nil
	return n, err
}
