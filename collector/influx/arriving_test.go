package influx

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"testing"
	"time"
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

// TestKeptConnection: the deadline of one request is not that of the next.
func TestKeptConnection(t *testing.T) {
	h, _ := newHandler(t, Options{Patience: 20 * time.Millisecond})
	srv := httptest.NewServer(h)
	defer srv.Close()
	c := stall(t, srv, "/write?db=x", "", 25, "water,station=a level=1 1")
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
