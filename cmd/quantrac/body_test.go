package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
)

// refuser refuses every request without reading its body.
func refuser(t *testing.T) net.Conn {
	srv := httptest.NewServer(readRest(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "too large", http.StatusRequestEntityTooLarge)
	})))
	t.Cleanup(srv.Close)
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

func wantRefused(t *testing.T, answers *bufio.Reader) {
	t.Helper()
	resp, err := http.ReadResponse(answers, nil)
	if err != nil {
		t.Fatal(err)
	}
	text, err := io.ReadAll(resp.Body)
	if resp.StatusCode != http.StatusRequestEntityTooLarge || string(text) != "too large\n" {
		t.Errorf("%s: %q, %v", resp.Status, text, err)
	}
}

// A client that sends a large body to its end before it looks for the answer
// gets it, and its connection serves the next request.
func TestLargeBodyIsAnswered(t *testing.T) {
	c := refuser(t)
	answers := bufio.NewReader(c)
	piece := strings.Repeat("x", 1<<20)
	for range 2 {
		fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n", 40*len(piece))
		for i := range 40 {
			if _, err := io.WriteString(c, piece); err != nil {
				t.Fatalf("cut off after %d MiB: %v", i, err)
			}
		}
		wantRefused(t, answers)
	}
}

// A client that waits to be asked for its body is not asked.
func TestExpectedBodyIsNotAskedFor(t *testing.T) {
	c := refuser(t)
	fmt.Fprintf(c, "POST / HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: %d\r\n\r\n", 1<<30)
	wantRefused(t, bufio.NewReader(c)) // 100 Continue would be another answer
}
