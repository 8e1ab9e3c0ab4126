package mqtt

import (
	"bytes"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"
)

// syncBuffer takes what several goroutines log, or another process.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

func (s *syncBuffer) lines(with string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return strings.Count(s.b.String(), with)
}

// Clients that come again and again do not flood the log; how many there were is
// told when the minute is over.
func TestLogOfRefusedClients(t *testing.T) {
	var log syncBuffer
	b, _, addr := newBroker(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil)), logTime: time.Hour})
	const times = linesAMinute + 7
	wrong := device("d1")
	wrong.Password = []byte("of last year")
	for range times {
		w := dial(t, addr, wrong)
		w.connack()
		w.ended()
		w = login(t, addr, device("d2"))
		w.send([]byte{0xf0, 0})
		w.ended()
	}
	b.Close() // all have been told of
	if r, d := log.lines("connection refused"), log.lines("msg=\"mqtt: disconnected\""); r != linesAMinute || d != linesAMinute {
		t.Errorf("%d lines of refused and %d of disconnected clients, want %d each", r, d, linesAMinute)
	}
	b.tellRest(time.Now())
	if log.lines("one by one too many") != 0 {
		t.Error("the rest is told before its time is over")
	}
	b.tellRest(time.Now().Add(2 * time.Hour))
	if log.lines("more connections refused") != 1 || log.lines("more clients disconnected") != 1 || log.lines("connections=7") != 2 {
		t.Errorf("the rest is not told: %s", log.b.String())
	}
}
