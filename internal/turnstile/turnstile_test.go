package turnstile

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quantrac"
)

const hour = time.Hour // a patience that no test outlasts

var busy = []byte("HTTP/1.1 503 Service Unavailable\r\nRetry-After: 10\r\nConnection: close\r\nContent-Length: 0\r\n\r\n")

// serve runs a handler behind a turnstile and returns its address.
func serve(t *testing.T, ts *Turnstile, h http.Handler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	srv := &http.Server{Handler: ts.Bodies(h), ConnContext: ts.ConnContext, ReadHeaderTimeout: hour}
	go srv.Serve(ts.Listener(l))
	t.Cleanup(func() { srv.Close() })
	return l.Addr().String()
}

// dial connects and sends text.
func dial(t *testing.T, addr, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(time.Minute)); err != nil { // ends a hang
		t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// pipes is a listener without a network, whose deadlines follow made-up time.
type pipes chan net.Conn

func (p pipes) Accept() (net.Conn, error) {
	if c, ok := <-p; ok {
		return c, nil
	}
	return nil, net.ErrClosed
}

func (p pipes) Close() error   { close(p); return nil }
func (p pipes) Addr() net.Addr { return &net.UnixAddr{Name: "pipe"} }

// dial is a connection that sends text.
func (p pipes) dial(t *testing.T, text string) net.Conn {
	t.Helper()
	c, server := net.Pipe()
	p <- server
	t.Cleanup(func() { c.Close() })
	if _, err := io.WriteString(c, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// servePipes is serve for a bubble.
func servePipes(t *testing.T, ts *Turnstile, h http.Handler) pipes {
	p := make(pipes)
	srv := &http.Server{Handler: ts.Bodies(h), ConnContext: ts.ConnContext}
	go srv.Serve(ts.Listener(p))
	t.Cleanup(func() { srv.Close() })
	return p
}

// status reads the status of the next answer.
func status(t *testing.T, c net.Conn) int {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	return resp.StatusCode
}

const get = "GET / HTTP/1.1\r\nHost: x\r\n\r\n"

// Whoever makes the server wait gives way to those who ask properly, whatever it
// waits for.
func TestWhoWaitsGivesWay(t *testing.T) {
	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/much" {
			for { // until the reader is cut
				if _, err := w.Write(make([]byte, 1<<20)); err != nil {
					return
				}
			}
		}
		io.Copy(io.Discard, r.Body)
	})
	for name, text := range map[string]string{
		"says nothing":          "",
		"stops in the headers":  "GET / HTTP/1.1\r\nHost:",
		"stops in the body":     "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegun",
		"reads nothing":         "GET /much HTTP/1.1\r\nHost: x\r\n\r\n",
		"keeps its connection ": get,
	} {
		ts := New(Options{Max: 4, Patience: hour, Longest: hour, Busy: busy})
		addr := serve(t, ts, ok)
		for range 20 {
			dial(t, addr, text)
		}
		// Those who read nothing are served until their buffers are full.
		for until := time.Now().Add(time.Minute); ; {
			resp, err := http.ReadResponse(bufio.NewReader(dial(t, addr, get)), nil)
			if err == nil && resp.StatusCode == http.StatusOK {
				break
			}
			if time.Now().After(until) {
				t.Fatalf("beside twenty of which each %s nobody is let in: %v", name, err)
			}
		}
		if st := ts.Stats(); st.Open > 4 || st.Cut == 0 {
			t.Errorf("beside twenty of which each %s: %+v", name, st)
		}
	}
}

// Where everybody is being served, who comes is told so.
func TestFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun, end := make(chan bool), make(chan bool)
		ts := New(Options{Max: 2, Patience: hour, Busy: busy})
		p := servePipes(t, ts, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			begun <- true
			<-end
		}))
		var served []net.Conn
		for range 2 {
			served = append(served, p.dial(t, get))
			<-begun
		}
		if got := status(t, p.dial(t, get)); got != http.StatusServiceUnavailable {
			t.Errorf("the third: %d", got)
		}
		close(end)
		for _, c := range served {
			if got := status(t, c); got != http.StatusOK {
				t.Errorf("one of two that are served: %d", got)
			}
		}
		go func() { <-begun }()
		if got := status(t, p.dial(t, get)); got != http.StatusOK || ts.Stats().Refused != 1 {
			t.Errorf("once there is room: %d, %+v", got, ts.Stats())
		}
	})
}

// fakeConn comes from where a test says.
type fakeConn struct {
	net.Conn
	from string
}

func (c fakeConn) RemoteAddr() net.Addr {
	a, _ := net.ResolveTCPAddr("tcp", c.from)
	return a
}

func (fakeConn) Close() error { return nil }

// The network that holds most loses first: who opens many connections does not
// push out those of others.
func TestLargestNetworkGivesWay(t *testing.T) {
	ts := New(Options{Max: 5})
	one := ts.admit(fakeConn{from: "192.0.2.1:1"})
	served := ts.admit(fakeConn{from: "[2001:db8::1]:1"})
	Serving(served)
	for i := range 20 {
		if ts.admit(fakeConn{from: fmt.Sprintf("[2001:db8::%x]:9", i)}) == nil {
			t.Fatal("refused, though others wait")
		}
	}
	for _, v := range []*visit{one, served} {
		if _, ok := ts.visits[v]; !ok {
			t.Errorf("the connection from %s had to go", v.RemoteAddr())
		}
	}
	if n := ts.from["2001:db8::/64"]; n != 4 || len(ts.visits) != 5 {
		t.Errorf("%d of the large network among %d", n, len(ts.visits))
	}
	for v := range ts.visits {
		v.Close()
		v.Close()
	}
	if len(ts.from) != 0 || ts.Stats().Open != 0 {
		t.Errorf("when all have gone: %v, %+v", ts.from, ts.Stats())
	}
}

// A body that stops ends by itself, and its reader is told what to say.
func TestBodyThatStops(t *testing.T) {
	ended := make(chan error, 1)
	ts := New(Options{Patience: 20 * time.Millisecond})
	addr := serve(t, ts, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}))
	dial(t, addr, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegun")
	if err := <-ended; quantrac.KindOf(err) != quantrac.Unavailable || !strings.Contains(err.Error(), "send it again") {
		t.Errorf("the handler reads %v", err)
	}
}

// What drips in fast enough to go on for ever has an end all the same.
func TestLongestBody(t *testing.T) {
	ended := make(chan error, 1)
	ts := New(Options{Patience: hour, Longest: 20 * time.Millisecond})
	addr := serve(t, ts, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, err := io.Copy(io.Discard, r.Body)
		ended <- err
	}))
	dial(t, addr, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\nbegun")
	if err := <-ended; quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("the handler reads %v", err)
	}
}

// Once a body is there its answer takes as long as it takes, and the connection
// is kept.
func TestAnswerAfterTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const patience = time.Second
		ts := New(Options{Patience: patience})
		p := servePipes(t, ts, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if text, err := io.ReadAll(r.Body); err != nil || string(text) != "begun" {
				t.Errorf("body %q, %v", text, err)
			}
			time.Sleep(100 * patience)
			if r.Context().Err() != nil {
				t.Error("the request is taken for one whose client has gone")
			}
		}))
		c := p.dial(t, "")
		r := bufio.NewReader(c)
		for range 2 {
			if _, err := io.WriteString(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nbegun"); err != nil {
				t.Fatal(err)
			}
			if resp, err := http.ReadResponse(r, nil); err != nil || resp.StatusCode != http.StatusOK {
				t.Fatalf("%+v, %v", resp, err)
			}
			time.Sleep(100 * patience)
		}
	})
}

// Who does not read what is written is let go, after the patience of the
// turnstile or of the handler, whichever ends first.
func TestSlowReader(t *testing.T) {
	for name, c := range map[string]struct{ ours, handlers time.Duration }{
		"the turnstile's": {20 * time.Millisecond, 0},
		"the handler's":   {hour, 20 * time.Millisecond},
	} {
		ended := make(chan error, 1)
		ts := New(Options{Patience: c.ours})
		addr := serve(t, ts, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if c.handlers > 0 {
				if err := http.NewResponseController(w).SetWriteDeadline(time.Now().Add(c.handlers)); err != nil {
					t.Error(err)
				}
			}
			var err error
			for b := make([]byte, 1<<20); err == nil; { // more than any buffer takes
				_, err = w.Write(b)
			}
			ended <- err
		}))
		dial(t, addr, get)
		select {
		case <-ended:
		case <-time.After(time.Minute):
			t.Errorf("by %s patience: who reads nothing is written to for ever", name)
		}
	}
}

// taking is a connection whose client takes so many bytes of a write until its
// deadline.
type taking struct {
	net.Conn
	most, took int
}

func (c *taking) RemoteAddr() net.Addr             { return &net.TCPAddr{} }
func (c *taking) SetWriteDeadline(time.Time) error { return nil }

func (c *taking) Write(b []byte) (int, error) {
	n := min(len(b), c.most)
	c.took += n
	if n < len(b) {
		return n, os.ErrDeadlineExceeded
	}
	return n, nil
}

// Who takes a piece within the patience is given more time; what is written at once may
// be more than that.
func TestSlowlyTaken(t *testing.T) {
	b := make([]byte, 1_000_000)
	for most, want := range map[int]int{piece: len(b), piece - 1: piece - 1, together: len(b), 0: 0} {
		c := &taking{most: most}
		n, err := newVisit(New(Options{}), c).Write(b)
		if n != want || c.took != want || (err == nil) != (n == len(b)) {
			t.Errorf("of %d bytes, %d of them at a time in good time: wrote %d, took %d, %v; want %d", len(b), most, n, c.took, err, want)
		}
	}
}

func TestStreams(t *testing.T) {
	s := NewStreams(16)
	enter := func(addr string, want bool) (leave func()) {
		t.Helper()
		leave, ok := s.Enter(addr)
		if ok != want {
			t.Errorf("from %s: %v, want %v", addr, ok, want)
		}
		return leave
	}
	enter("192.0.2.1", true)
	leave := enter("192.0.2.1", true)
	enter("192.0.2.1", false)
	leave()
	enter("192.0.2.1", true)
	enter("2001:db8::1", true)
	enter("2001:db8::2", true)
	enter("2001:db8::3", false)
	for range 12 {
		enter("127.0.0.1", true) // a proxy, it may be
	}
	enter("::1", false)
	enter("203.0.113.1", false)
	if open, refused := s.Stats(); open != 16 || refused != 4 {
		t.Errorf("%d open, %d refused", open, refused)
	}
}
