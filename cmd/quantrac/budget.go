package main

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strconv"
	"syscall"

	"quantrac"
	"quantrac/internal/audit"
	"quantrac/internal/jsonapi"
	"quantrac/internal/turnstile"
)

// gates share out the files that the process may have open, so that neither the
// public page nor devices can take what the other, or the store, needs.
type gates struct {
	http, mqtt    *turnstile.Turnstile
	public, staff *turnstile.Streams // live streams among the HTTP connections
}

// retryBusy is when who was not let in may try again, in seconds.
const retryBusy = 30

// maxConnections bounds the memory that connections take, however many files
// there may be.
const maxConnections = 10_000

// newGates gives two fifths of the files to HTTP and two to MQTT; the rest is for
// the store and the tables. Half of HTTP's may be live streams of the public, and
// a quarter those of staff.
func newGates(files uint64) *gates {
	n := int(min(files*2/5, maxConnections))
	return &gates{
		http:   turnstile.New(turnstile.Options{Max: n, Busy: busyAnswer()}),
		mqtt:   turnstile.New(turnstile.Options{Max: n}),
		public: turnstile.NewStreams(n / 2), staff: turnstile.NewStreams(n / 4),
	}
}

// openFiles is how many files the process may have open.
func openFiles() (uint64, error) {
	var limit syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &limit); err != nil {
		return 0, err
	}
	return uint64(limit.Cur), nil
}

// busyAnswer is what an HTTP client is told that is not let in.
func busyAnswer() []byte {
	body, err := json.Marshal(jsonapi.Body(quantrac.Busy.String(), "too many connections; try again after a while"))
	if err != nil {
		panic(err) // of texts alone
	}
	return fmt.Appendf(nil, "HTTP/1.1 503 Service Unavailable\r\nContent-Type: application/json\r\nRetry-After: %d\r\nConnection: close\r\nContent-Length: %d\r\n\r\n%s",
		retryBusy, len(body), body)
}

// lasting counts the answers of a handler that last: those of staff by
// themselves, so that they have their streams however many look on.
func (g *gates) lasting(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		streams := g.public
		if quantrac.PrincipalFrom(r.Context()).Staff() {
			streams = g.staff
		}
		leave, ok := streams.Enter(audit.OriginFrom(r.Context()))
		if !ok {
			w.Header().Set("Retry-After", strconv.Itoa(retryBusy))
			jsonapi.Error(w, http.StatusServiceUnavailable, quantrac.Busy.String(), "too many live streams are open, from your address or in all; try again after a while, or ask without one")
			return
		}
		defer leave()
		next.ServeHTTP(w, r)
	})
}
