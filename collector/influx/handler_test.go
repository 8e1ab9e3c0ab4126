package influx

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"quantrac"
	"quantrac/collector"
)

// store keeps what is appended; err, where set, refuses it.
type store struct {
	mu      sync.Mutex
	err     error
	batches []quantrac.Batch
}

func (s *store) Append(_ context.Context, b *quantrac.Batch) (quantrac.Receipt, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.err != nil {
		return quantrac.Receipt{}, s.err
	}
	kept := *b
	kept.Rows = slices.Clone(b.Rows) // rows and cells are the caller's to use again
	for i := range kept.Rows {
		kept.Rows[i].Cells = slices.Clone(b.Rows[i].Cells)
	}
	s.batches = append(s.batches, kept)
	return quantrac.Receipt{Commit: quantrac.Commit{Number: uint64(len(s.batches))}}, nil
}

// text lists what is stored, sorted, a series and value a line.
func (s *store) text() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var lines []string
	for _, b := range s.batches {
		for _, r := range b.Rows {
			for _, c := range r.Cells {
				lines = append(lines, fmt.Sprintf("%s %v @%d", r.Group.With(quantrac.LabelMetric, c.Property), c.Value, r.Time))
			}
		}
	}
	sort.Strings(lines)
	return strings.Join(lines, "\n")
}

type nobody struct{}

func (nobody) StationBinding(string) (*quantrac.Binding, bool)    { return nil, false }
func (nobody) Binding(string) (*quantrac.Binding, bool)           { return nil, false }
func (nobody) Put(context.Context, ...collector.DeadLetter) error { return nil }

func newHandler(t *testing.T, o Options) (*Handler, *store) {
	t.Helper()
	s := &store{}
	c := collector.New(s, nobody{}, nobody{}, quantrac.NewManualClock(1700000000000), collector.Options{})
	t.Cleanup(func() { c.Close() })
	return New(c, o), s
}

func do(h http.Handler, method, target, body string, header ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		r.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestWrite(t *testing.T) {
	const v1, v2 = "/write?db=d", "/api/v2/write?org=o&bucket=b"
	f := func(target, body string, status int, stored, answer string) {
		t.Helper()
		h, s := newHandler(t, Options{MaxLines: 4, MaxBody: 200})
		w := do(h, "POST", target, body)
		if w.Code != status || !strings.Contains(w.Body.String(), answer) {
			t.Errorf("POST %s %q: %d %s, want %d …%s…", target, body, w.Code, w.Body, status, answer)
		}
		if got := s.text(); got != stored {
			t.Errorf("POST %s %q stored\n%s\nwant\n%s", target, body, got, stored)
		}
		if w.Code >= 400 {
			var e struct{ Error, Code, Message string }
			if err := json.Unmarshal(w.Body.Bytes(), &e); err != nil || w.Header().Get("Content-Type") != "application/json" {
				t.Errorf("POST %s %q: error body is no JSON: %v %q", target, body, err, w.Body)
			}
			if v2form := strings.HasPrefix(target, "/api/v2"); v2form != (e.Message != "" && e.Code != "") || v2form == (e.Error != "") {
				t.Errorf("POST %s: error body in the form of the other version: %s", target, w.Body)
			}
			if w.Header().Get("X-Influxdb-Error") == "" {
				t.Errorf("POST %s: no X-InfluxDB-Error", target)
			}
		}
	}
	good := `water_level_meters{station="a"} 1 @1`
	f(v1, "water,station=a level_meters=1 1000000", 204, good, "")
	f(v2, "water,station=a level_meters=1 1000000", 204, good, "")
	f(v1+"&precision=ms", "water,station=a level_meters=1 1", 204, good, "")
	f(v1+"&precision=h", "water,station=a level_meters=1 1", 204, `water_level_meters{station="a"} 1 @3600000`, "")
	f(v2+"&precision=s", "water,station=a level_meters=1 1", 204, `water_level_meters{station="a"} 1 @1000`, "")
	f(v1, "water,station=a level_meters=1", 204, `water_level_meters{station="a"} 1 @1700000000000`, "")
	f(v1, "", 200, "", "")
	f(v1, "# comment\n\n", 200, "", "")
	f(v2, "# comment\n", 204, "", "")
	f(v1, `water,station=a note="flood"`, 204, "", "")
	f(v1, "water level=1 1000000\nbad\nwater level=2 2000000", 400, "water_level 1 @1\nwater_level 2 @2", `partial write: line 2: `)
	f(v1, "water level=1 1000000\nbad", 400, "water_level 1 @1", ` dropped=1 for database: d for retention policy: autogen`)
	f(v1, "bad\nwater level=1 1000000", 400, "water_level 1 @1", `"data":[{"original_line":"bad","line_number":1,"error_message":`)
	f(v2, "water level=1 1000000\nbad", 422, "water_level 1 @1", `partial write: line 2`)
	f(v1, "bad", 400, "", "unable to parse")
	f(v2, "bad", 400, "", `"code":"invalid"`)
	f(v1+"&accept_partial=false", "water level=1 1000000\nbad", 400, "", "nothing was stored")
	f("/write", "water level=1", 400, "", "database is required")
	f("/api/v2/write", "water level=1", 400, "", "bucket is required")
	f(v1+"&precision=d", "water level=1", 400, "", "precision")
	f(v2+"&precision=m", "water level=1", 400, "", "precision")
	f(v1+"&consistency=some", "water level=1", 400, "", "consistency")
	f(v1, "a b=1\na b=1\na b=1\na b=1\na b=1", 413, "", "lines")
	f(v2, "a b=1\na b=1\na b=1\na b=1\na b=1", 413, "", "lines")
	f(v1, strings.Repeat("#", 300), 413, "", "smaller batches")
	f(v2, strings.Repeat("#", 300), 413, "", "smaller batches")
	f(v1, "water level=9007199254740993i 1", 400, "", "2^53")
}

func pack(text string) string {
	var b bytes.Buffer
	z := gzip.NewWriter(&b)
	io.WriteString(z, text)
	z.Close()
	return b.String()
}

func TestGzip(t *testing.T) {
	b := pack("water level=1 1000000")
	for _, enc := range []string{"gzip", "x-gzip"} {
		h, s := newHandler(t, Options{})
		if w := do(h, "POST", "/write?db=d", b, "Content-Encoding", enc); w.Code != 204 || s.text() != "water_level 1 @1" {
			t.Errorf("%s: %d %s, stored %q", enc, w.Code, w.Body, s.text())
		}
	}
	h, s := newHandler(t, Options{MaxBody: 1000})
	f := func(body, enc string, want int) {
		t.Helper()
		if w := do(h, "POST", "/write?db=d", body, "Content-Encoding", enc); w.Code != want {
			t.Errorf("%d %s, want %d", w.Code, w.Body, want)
		}
	}
	f("no gzip", "gzip", 400)
	f(b[:len(b)-5], "gzip", 400)
	f("x", "br", 415)
	bomb := pack(strings.Repeat("#", 1<<20))
	if len(bomb) > 2000 {
		t.Fatal("the bomb is too large itself")
	}
	h.o.MaxBody = 2000
	f(bomb, "gzip", 413)
	if s.text() != "" {
		t.Errorf("stored %q", s.text())
	}
}

// TestRequestsAtOnce: requests use the same memory one after the other, and
// none finds in it what another has sent.
func TestRequestsAtOnce(t *testing.T) {
	h, s := newHandler(t, Options{})
	var want []string
	var all sync.WaitGroup
	for g := range 4 {
		for k := range 20 {
			for i := range 30 + k {
				want = append(want, fmt.Sprintf(`m_a{n="%d", station="s%d"} %d.25 @%d`, k%3, g, i, 100*k+i), fmt.Sprintf(`m_b{n="%d", station="s%d"} %d @%[4]d`, k%3, g, k, 100*k+i))
			}
		}
		all.Go(func() {
			for k := range 20 {
				var b strings.Builder
				for i := range 30 + k {
					fmt.Fprintf(&b, "m,station=s%d,n=%d a=%d.25,b=%d %d\n", g, k%3, i, k, 100*k+i)
				}
				enc, status := "identity", 204
				switch k % 3 {
				case 1:
					b.WriteString("m,station=bad bad\n")
					status = 400
				case 2:
					packed := pack(b.String())
					b.Reset()
					b.WriteString(packed)
					enc = "gzip"
				}
				if w := do(h, "POST", "/write?db=d&precision=ms", b.String(), "Content-Encoding", enc); w.Code != status {
					t.Errorf("station %d, request %d: %d %s, want %d", g, k, w.Code, w.Body, status)
				}
			}
		})
	}
	all.Wait()
	slices.Sort(want)
	if got := s.text(); got != strings.Join(want, "\n") {
		t.Errorf("stored\n%s\nwant\n%s", got, strings.Join(want, "\n"))
	}
}

func TestFailuresOfOurs(t *testing.T) {
	f := func(err error, status int, retry string) {
		t.Helper()
		for _, target := range []string{"/write?db=d", "/api/v2/write?bucket=b"} {
			h, s := newHandler(t, Options{})
			s.err = err
			w := do(h, "POST", target, "water level=1 1000000")
			if w.Code != status || w.Header().Get("Retry-After") != retry {
				t.Errorf("%s with %v: %d, Retry-After %q, want %d, %q", target, err, w.Code, w.Header().Get("Retry-After"), status, retry)
			}
		}
	}
	f(quantrac.Errorf(quantrac.Unavailable, "journal: disk full"), 503, "10")
	f(quantrac.Errorf(quantrac.Busy, "too much"), 503, "2")
	f(io.ErrUnexpectedEOF, 500, "")

	h, _ := newHandler(t, Options{Concurrent: 1, Wait: 1})
	h.turns <- struct{}{}
	if w := do(h, "POST", "/write?db=d", "water level=1"); w.Code != 503 || w.Header().Get("Retry-After") == "" {
		t.Errorf("with no turn free: %d %s", w.Code, w.Body)
	}
}

func TestAuthorize(t *testing.T) {
	f := func(err error, status int) {
		t.Helper()
		h, s := newHandler(t, Options{Authorize: func(*http.Request) (string, error) { return "", err }})
		w := do(h, "POST", "/api/v2/write?bucket=b", "water level=1 1000000")
		if w.Code != status || s.text() != "" {
			t.Errorf("%v: %d %s, stored %q", err, w.Code, w.Body, s.text())
		}
		if status == 401 && !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic realm=") {
			t.Error("401 without WWW-Authenticate")
		}
	}
	f(ErrUnauthorized, 401)
	f(quantrac.Errorf(quantrac.Denied, "role viewer may not write"), 403)
}

func TestWhatClientsAskFirst(t *testing.T) {
	f := func(method, target, body string, status int, answer string) {
		t.Helper()
		h, _ := newHandler(t, Options{})
		w := do(h, method, target, body, "Content-Type", "application/x-www-form-urlencoded")
		if w.Code != status || strings.TrimSpace(w.Body.String()) != answer {
			t.Errorf("%s %s %q: %d %s, want %d %s", method, target, body, w.Code, w.Body, status, answer)
		}
		if w.Header().Get("X-Influxdb-Version") == "" || w.Header().Get("X-Influxdb-Build") == "" {
			t.Errorf("%s %s: no version in the header", method, target)
		}
	}
	f("GET", "/ping", "", 204, "")
	f("HEAD", "/ping", "", 204, "")
	f("GET", "/ping?verbose=true", "", 200, `{"version":"1.8.10"}`)
	f("OPTIONS", "/write", "", 204, "")
	f("POST", "/query", `q=CREATE+DATABASE+"telegraf"`, 200, `{"results":[{"statement_id":0}]}`)
	f("POST", "/query?q=CREATE%20DATABASE%20telegraf%20WITH%20DURATION%201d", "", 200, `{"results":[{"statement_id":0}]}`)
	f("GET", "/query?q=SHOW+DATABASES", "", 200, `{"results":[{"statement_id":0,"series":[{"name":"databases","columns":["name"],"values":[["quantrac"]]}]}]}`)
	h, _ := newHandler(t, Options{})
	if w := do(h, "GET", "/query?q=SELECT+1", ""); w.Code != 400 {
		t.Errorf("SELECT: %d %s", w.Code, w.Body)
	}
	if w := do(h, "GET", "/health", ""); w.Code != 200 || !strings.Contains(w.Body.String(), `"status":"pass"`) {
		t.Errorf("health: %d %s", w.Code, w.Body)
	}
}

// TestFullDiskInLog: what every client is told again and again is in the log a few
// times a minute, and then how often it was not.
func TestFullDiskInLog(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var log strings.Builder
		h, s := newHandler(t, Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
		s.err = quantrac.Errorf(quantrac.Unavailable, "journal: disk full")
		for range 5 * failuresAMinute {
			do(h, "POST", "/write?db=d", "water,station=a level=1 1")
		}
		if n := strings.Count(log.String(), "disk full"); n != failuresAMinute {
			t.Errorf("%d lines, want %d:\n%s", n, failuresAMinute, log.String())
		}
		time.Sleep(2 * time.Minute)
		do(h, "POST", "/write?db=d", "water,station=a level=1 1")
		if want := fmt.Sprintf("not_logged_before=%d", 4*failuresAMinute); !strings.Contains(log.String(), want) {
			t.Errorf("no line has %s:\n%s", want, log.String())
		}
	})
}
