package store

import (
	"context"
	"errors"
	"net/http"
	"time"
)

// Writer writes over one connection of its own.
type Writer struct {
	s      *Server
	client *http.Client
	// Retried is how often the store was busy and the batch was sent again.
	Retried int
}

// Writer returns a new connection.
func (s *Server) Writer() *Writer { return &Writer{s: s, client: client(1)} }

// Close closes the connection.
func (w *Writer) Close() { w.client.CloseIdleConnections() }

// busyWait is how long a writer waits for a store that is busy.
const busyWait = 100 * time.Millisecond

// Write sends lines and returns once the store has acknowledged them. A store
// that is busy is asked again until the context ends.
func (w *Writer) Write(ctx context.Context, lines []byte) error {
	body := lines
	if w.s.encode != nil {
		var err error
		if body, err = w.s.encode(lines); err != nil {
			return err
		}
	}
	for {
		_, err := w.s.call(ctx, w.client, http.MethodPost, w.s.write, body, nil)
		var r *Refused
		if !errors.As(err, &r) || r.Status != http.StatusServiceUnavailable && r.Status != http.StatusTooManyRequests {
			return err
		}
		w.Retried++
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(busyWait):
		}
	}
}
