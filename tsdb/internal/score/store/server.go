package store

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"

	"quantrac/tsdb/internal/score/proc"
)

// patience bounds every wait for a store: it ends a hang and measures nothing.
const patience = 5 * time.Minute

// Server is a store at work. Its data folder outlives its process; Remove ends
// both.
type Server struct {
	*Kind
	Dir  string
	Base string // URL

	ctx    context.Context
	proc   *proc.Process // nil while stopped
	past   proc.Usage    // of its processes that have ended
	client *http.Client
	answer []byte // memory for the next one
}

// Start starts a store on a new data folder below temp and waits until it is
// ready. The process is killed when the context ends.
func (k *Kind) Start(ctx context.Context, temp string) (*Server, error) {
	dir, err := os.MkdirTemp(temp, "store")
	if err != nil {
		return nil, err
	}
	s := &Server{Kind: k, Dir: dir, ctx: ctx, client: client(4)}
	if k.prepare != nil {
		if err := k.prepare(dir); err != nil {
			return nil, err
		}
	}
	if _, err := s.Open(); err != nil {
		return nil, errors.Join(err, s.Remove())
	}
	return s, nil
}

// client makes an HTTP client that keeps so many connections and leaves answers
// as they are sent.
func client(conns int) *http.Client {
	return &http.Client{Transport: &http.Transport{
		DisableCompression: true, MaxConnsPerHost: conns, MaxIdleConnsPerHost: conns, ReadBufferSize: 256 << 10,
	}}
}

// Open starts the program on the data folder and returns how long it took until
// it was ready.
func (s *Server) Open() (time.Duration, error) {
	addr, err := freeAddr()
	if err != nil {
		return 0, err
	}
	s.Base = "http://" + addr
	var env []string
	if s.env != nil {
		env = s.env(s.Dir, addr)
	}
	start := time.Now()
	if s.proc, err = proc.Start(s.ctx, env, s.Program, s.args(s.Dir, addr)...); err != nil {
		return 0, err
	}
	if err := s.await(); err != nil {
		return 0, err
	}
	took := time.Since(start)
	if s.begin != nil {
		err = s.begin(s.ctx, s)
	}
	return took, err
}

// freeAddr returns a loopback address that is free now.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	return l.Addr().String(), l.Close()
}

func (s *Server) await() error {
	deadline := time.Now().Add(patience)
	for {
		_, err := s.get(s.ctx, s.ready)
		if err == nil {
			return nil
		}
		select {
		case <-s.proc.Done():
			return fmt.Errorf("%s ended at its start:\n%s", s.Name, s.proc.Log())
		case <-s.ctx.Done():
			return s.ctx.Err()
		case <-time.After(5 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%s is not ready after %s: %w\n%s", s.Name, patience, err, s.proc.Log())
		}
	}
}

// Usage returns what the store has taken so far, over all its processes.
func (s *Server) Usage() (proc.Usage, error) {
	if s.proc == nil {
		return s.past, nil
	}
	u, err := s.proc.Usage()
	return sum(s.past, u), err
}

func sum(a, b proc.Usage) proc.Usage {
	return proc.Usage{CPU: a.CPU + b.CPU, PeakRSS: max(a.PeakRSS, b.PeakRSS)}
}

// Kill ends the process as a power cut would.
func (s *Server) Kill() {
	s.proc.Kill()
	s.leave()
}

// Stop asks the process to end and waits for it.
func (s *Server) Stop() error {
	err := s.proc.Stop(patience)
	s.leave()
	return err
}

// leave counts what the process that has ended took.
func (s *Server) leave() {
	if u, err := s.proc.Usage(); err == nil { // of an ended process there is no error
		s.past = sum(s.past, u)
	}
	s.proc = nil
	s.client.CloseIdleConnections()
}

// Remove ends the store and removes its data.
func (s *Server) Remove() error {
	if s.proc != nil {
		s.proc.Kill()
	}
	s.client.CloseIdleConnections()
	return os.RemoveAll(s.Dir)
}

// Show has the store show all that it has acknowledged: some do so only after a
// while.
func (s *Server) Show() error {
	if s.show == "" {
		return nil
	}
	_, err := s.get(s.ctx, s.show)
	return err
}

// Settle brings what is stored into its final form: flushed and merged. The store
// may not run after it; Resume has it run again.
func (s *Server) Settle() error { return s.settle(s.ctx, s) }

// Resume starts a store that has been stopped.
func (s *Server) Resume() error {
	if s.proc != nil {
		return nil
	}
	_, err := s.Open()
	return err
}

// Sizes says how many bytes the store takes on disk, and for what.
func (s *Server) Sizes() (Sizes, error) { return s.sizes(s.Dir) }

// Ask asks a question and returns the body of the answer, which is gone when another
// is asked: reading it is to cost next to nothing beside making it.
func (s *Server) Ask(q Question) (body []byte, err error) {
	body, err = s.call(s.ctx, s.client, http.MethodGet, s.target(q), nil, s.answer)
	s.answer = body
	return body, err
}

// Metric reads one figure of those that the store keeps of itself.
func (s *Server) Metric(name string) (float64, error) {
	body, err := s.get(s.ctx, "/metrics")
	if err != nil {
		return 0, err
	}
	for line := range strings.Lines(string(body)) {
		if value, ok := strings.CutPrefix(line, name+" "); ok {
			return strconv.ParseFloat(strings.TrimSpace(value), 64)
		}
	}
	return 0, fmt.Errorf("%s has no metric %s", s.Name, name)
}

func (s *Server) get(ctx context.Context, target string) ([]byte, error) {
	return s.call(ctx, s.client, http.MethodGet, target, nil, nil)
}

// call makes a request and returns the answer, in memory as far as that reaches; one
// that is not good is an error with the store's own words.
func (s *Server) call(ctx context.Context, c *http.Client, method, target string, body, memory []byte) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.Base+target, bytes.NewReader(body))
	if err != nil {
		return nil, err
	}
	if body != nil {
		for name, value := range s.headers {
			req.Header.Set(name, value)
		}
	}
	resp, err := c.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	text := bytes.NewBuffer(memory[:0])
	_, err = text.ReadFrom(resp.Body)
	if err == nil && resp.StatusCode/100 != 2 {
		err = &Refused{resp.StatusCode, fmt.Sprintf("%s: %s %s: %s: %.300s", s.Name, method, target, resp.Status, text)}
	}
	return text.Bytes(), err
}

// Refused is an answer that is not good.
type Refused struct {
	Status int
	text   string
}

// Error implements error.
func (r *Refused) Error() string { return r.text }
