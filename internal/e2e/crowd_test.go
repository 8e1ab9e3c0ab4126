package e2e

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"
)

// crowd opens connections to the service and sends the same on each.
func (s *service) crowd(n int, text string) (all []net.Conn) {
	s.t.Helper()
	for range n {
		c, err := net.Dial("tcp", strings.TrimPrefix(s.http, "http://"))
		if err != nil {
			s.t.Fatal(err)
		}
		s.t.Cleanup(func() { c.Close() })
		if _, err := io.WriteString(c, text); err != nil {
			s.t.Fatal(err)
		}
		all = append(all, c)
	}
	return all
}

// TestCrowd: with few files to open, and hundreds of strangers who stall, read
// nothing or look on for ever, devices are let in and acknowledged, requests are
// answered, and who looks on is either shown or told to come back.
func TestCrowd(t *testing.T) {
	t.Parallel()
	const files, strangers = 400, 300
	s := launchWith(t, files, t.TempDir(), 0, 0, "--dev")
	s.waitReady()
	s.crowd(strangers, "") // says nothing
	s.crowd(strangers, "GET /-/ready HTTP/1.1\r\nHost: localhost\r\n\r\n")
	for _, path := range []string{"/api/auth/login", "/api/v1/query", "/query", "/write?db=x", "/quantrac.v1.WarningService/Watch", "/nothing"} {
		s.crowd(strangers/3, "POST "+path+" HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")
	}
	shown, told := 0, 0
	for _, c := range s.crowd(strangers, "GET /api/page/live HTTP/1.1\r\nHost: localhost\r\nX-Forwarded-For: 203.0.113.1\r\n\r\n") {
		if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
			t.Fatal(err)
		}
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		switch {
		case err != nil:
			t.Fatalf("a stream has no answer: %v", err)
		case resp.StatusCode == http.StatusOK:
			shown++
		case resp.StatusCode == http.StatusServiceUnavailable && resp.Header.Get("Retry-After") != "":
			told++
		default:
			t.Errorf("a stream is answered %s", resp.Status)
		}
	}
	if shown == 0 || shown > files/5 || told != strangers-shown {
		t.Errorf("%d streams are shown and %d told to come back, of %d", shown, told, strangers)
	}
	d := s.device("gauge")
	s.publish(d, "v1/gauge/obs", fmt.Sprintf(`{"time": %d, "values": {"water_level_meters": 1.5}}`, time.Now().UnixMilli()))
	s.must("GET", "/api/page/state", "", "", http.StatusOK)
	if got, err := s.query("/api/v1/query", "water_level_meters"); err != nil || len(got) != 1 {
		t.Errorf("the reading: %+v, %v", got, err)
	}
}
