package influx

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"quantrac/collector"
)

// stall opens a connection and sends a request of which text is all that comes.
func stall(t *testing.T, srv *httptest.Server, target, header string, length int, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: x\r\n%sContent-Length: %d\r\n\r\n%s", target, header, length, text); err != nil {
		t.Fatal(err)
	}
	return c
}

// TestStalledBodies: senders that stop half-way keep nobody else out.
func TestStalledBodies(t *testing.T) {
	h, st := newHandler(t, Options{Concurrent: 1, Wait: time.Minute, Patience: time.Hour})
	srv := httptest.NewServer(h)
	defer srv.CloseClientConnections()
	for range 3 {
		stall(t, srv, "/write?db=x", "", 100, "water level=")
	}
	resp, err := http.Post(srv.URL+"/write?db=x", "text/plain", strings.NewReader("water,station=a level=1 1"))
	if err != nil {
		t.Fatal(err)
	}
	resp.Body.Close()
	if resp.StatusCode != http.StatusNoContent || st.text() == "" {
		t.Errorf("a write beside stalled ones: %s, stored %q", resp.Status, st.text())
	}
}

// TestBodyThatStops: the connection of a sender that stops is not kept for
// ever, and its turn is given back. It is told to send the body again, by the
// status on which clients keep a batch.
func TestBodyThatStops(t *testing.T) {
	f := func(target, header string, length int, text, field string) {
		t.Helper()
		h, st := newHandler(t, Options{Concurrent: 1, Patience: 20 * time.Millisecond})
		srv := httptest.NewServer(h)
		defer srv.Close()
		c := stall(t, srv, target, header, length, text)
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		toBeSentAgain(t, c, field)
		if n := len(h.turns); n != 0 || st.text() != "" {
			t.Errorf("%s: %d turns are still taken, %q is stored", target, n, st.text())
		}
	}
	f("/write?db=x", "", 100, "water level=1 1\nwater level=", "error")
	f("/api/v2/write?bucket=x", "", 1<<20, "water level=1 1\nwater level=", "message")
	f("/write?db=x", "Content-Encoding: gzip\r\n", 100, "\x1f\x8b\x08", "error")
}

// TestBodyCutOff: a body that ends before its announced end is sent again too,
// should its sender still listen.
func TestBodyCutOff(t *testing.T) {
	h, st := newHandler(t, Options{})
	srv := httptest.NewServer(h)
	defer srv.Close()
	c := stall(t, srv, "/write?db=x", "", 100, "water level=1 1\n")
	if err := c.(*net.TCPConn).CloseWrite(); err != nil {
		t.Fatal(err)
	}
	toBeSentAgain(t, c, "error")
	if st.text() != "" {
		t.Errorf("%q is stored", st.text())
	}
}

func toBeSentAgain(t *testing.T, c net.Conn, field string) {
	t.Helper()
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	var body map[string]any
	if err := json.NewDecoder(resp.Body).Decode(&body); err != nil {
		t.Fatal(err)
	}
	text, _ := body[field].(string)
	if after, err := strconv.Atoi(resp.Header.Get("Retry-After")); resp.StatusCode != http.StatusServiceUnavailable || err != nil || after < 1 ||
		!strings.Contains(text, "send it again") {
		t.Errorf("%s, Retry-After %q, %v; want 503, whole seconds, why", resp.Status, resp.Header.Get("Retry-After"), body)
	}
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

// piped calls f, in a bubble, with a connection to a server of h.
func piped(t *testing.T, h func(*testing.T) http.Handler, f func(*testing.T, net.Conn)) {
	synctest.Test(t, func(t *testing.T) {
		l := make(pipes)
		srv := &http.Server{Handler: h(t)}
		go srv.Serve(l)
		defer srv.Close()
		c, server := net.Pipe()
		defer c.Close()
		l <- server
		f(t, c)
	})
}

const oneWrite = "POST /write?db=x HTTP/1.1\r\nHost: x\r\nContent-Length: 25\r\n\r\nwater,station=a level=1 1"

// TestKeptConnection: the deadline of one request is not that of the next.
func TestKeptConnection(t *testing.T) {
	piped(t, func(t *testing.T) http.Handler {
		h, _ := newHandler(t, Options{Patience: time.Second})
		return h
	}, func(t *testing.T, c net.Conn) {
		r := bufio.NewReader(c)
		for i := range 3 {
			if _, err := io.WriteString(c, oneWrite); err != nil {
				t.Fatal(err)
			}
			resp, err := http.ReadResponse(r, nil)
			if err != nil || resp.StatusCode != http.StatusNoContent {
				t.Fatalf("request %d: %v %v", i, resp, err)
			}
			time.Sleep(time.Minute) // longer than the deadline of the request before
		}
	})
}

// slow stores after a minute, for whoever still waits.
type slow struct{}

func (slow) Write(ctx context.Context, _ collector.Writing) (collector.Written, error) {
	time.Sleep(time.Minute)
	return collector.Written{Good: 1}, ctx.Err()
}

// TestSlowStore: a body that has come is awaited no longer, however long it takes
// to store it: its sender is not taken for one who has gone.
func TestSlowStore(t *testing.T) {
	piped(t, func(*testing.T) http.Handler { return New(slow{}, Options{Patience: time.Second}) }, func(t *testing.T, c net.Conn) {
		if _, err := io.WriteString(c, oneWrite); err != nil {
			t.Fatal(err)
		}
		if resp, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || resp.StatusCode != http.StatusNoContent {
			t.Errorf("answered with %v, %v", resp, err)
		}
	})
}
