package influx

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// stall opens a connection and sends a request of which text is all that comes.
func stall(t *testing.T, srv *httptest.Server, length int, text string) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	if _, err := fmt.Fprintf(c, "POST /write?db=x HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", length, text); err != nil {
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
		stall(t, srv, 100, "water level=")
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
// ever, and its turn is given back.
func TestBodyThatStops(t *testing.T) {
	f := func(length int, text string) {
		t.Helper()
		h, _ := newHandler(t, Options{Concurrent: 1, Patience: 20 * time.Millisecond})
		srv := httptest.NewServer(h)
		defer srv.Close()
		c := stall(t, srv, length, text)
		if err := c.SetReadDeadline(time.Now().Add(5 * time.Minute)); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			t.Fatalf("%d bytes announced: %v", length, err)
		}
		body, err := io.ReadAll(resp.Body)
		if resp.StatusCode != http.StatusRequestTimeout || !strings.Contains(string(body), "reading the body") {
			t.Errorf("%d bytes announced: %s %s (%v), want 408", length, resp.Status, body, err)
		}
		if n := len(h.turns); n != 0 {
			t.Errorf("%d turns are still taken", n)
		}
	}
	f(100, "water level=")
	f(1<<20, "water level=")
}

// TestKeptConnection: the deadline of one request is not that of the next.
func TestKeptConnection(t *testing.T) {
	h, _ := newHandler(t, Options{Patience: 20 * time.Millisecond})
	srv := httptest.NewServer(h)
	defer srv.Close()
	c := stall(t, srv, 25, "water,station=a level=1 1")
	r := bufio.NewReader(c)
	for i := range 3 {
		resp, err := http.ReadResponse(r, nil)
		if err != nil || resp.StatusCode != http.StatusNoContent {
			t.Fatalf("request %d: %v %v", i, resp, err)
		}
		time.Sleep(30 * time.Millisecond) // longer than the deadline of the request before
		if _, err := io.WriteString(c, "POST /write?db=x HTTP/1.1\r\nHost: x\r\nContent-Length: 25\r\n\r\nwater,station=a level=1 1"); err != nil {
			t.Fatal(err)
		}
	}
}
