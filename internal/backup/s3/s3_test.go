package s3

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"quantrac"
	"quantrac/internal/backup"
)

// service is an S3-like service in this process, behind what a test puts before
// it: a function that answers says true.
func service(t *testing.T, before func(http.ResponseWriter, *http.Request) bool) Options {
	t.Helper()
	kept := s3mem.New()
	if err := kept.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	next := gofakes3.New(kept, gofakes3.WithLogger(gofakes3.DiscardLog())).Server()
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if before == nil || !before(w, r) {
			next.ServeHTTP(w, r)
		}
	}))
	srv.Config.ErrorLog = log.New(io.Discard, "", 0)
	srv.Start()
	t.Cleanup(srv.Close)
	return Options{Endpoint: srv.URL, Bucket: "bucket", AccessKey: "the-key", SecretKey: "the-secret"}
}

func open(t *testing.T, o Options) backup.Store {
	t.Helper()
	s, err := New(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// refuse answers as S3 does.
func refuse(w http.ResponseWriter, status int, code string) {
	w.WriteHeader(status)
	fmt.Fprintf(w, `<?xml version="1.0"?><Error><Code>%s</Code><Message>told so</Message></Error>`, code)
}

// Prefixes share a bucket and do not see each other's objects; listings of more
// than a page are whole, and can be left.
func TestStore(t *testing.T) {
	o := service(t, nil)
	other := open(t, o)
	if err := other.Put(t.Context(), "b/1", []byte("x")); err != nil {
		t.Fatal(err)
	}
	o.Prefix = "/a/"
	s := open(t, o)
	if s.String() != "s3://bucket/a" || other.String() != "s3://bucket" {
		t.Errorf("%s, %s", s, other)
	}
	const many = 1100
	for i := range many {
		if err := s.Put(t.Context(), fmt.Sprintf("p/%04d", i), []byte(fmt.Sprint(i))); err != nil {
			t.Fatal(err)
		}
	}
	seen := map[string]int64{}
	err := s.List(t.Context(), "p/", func(o backup.Object) error {
		if seen[o.Name] = o.Bytes; o.Modified.IsZero() {
			t.Errorf("%s: no time", o.Name)
		}
		return nil
	})
	if err != nil || len(seen) != many || seen["p/0010"] != 2 {
		t.Errorf("%d objects, %v", len(seen), err)
	}
	enough, n := fmt.Errorf("enough"), 0
	if err := s.List(t.Context(), "", func(backup.Object) error { n++; return enough }); err != enough || n != 1 {
		t.Errorf("left early: %v after %d", err, n)
	}
	if data, err := s.Get(t.Context(), "p/0123"); err != nil || string(data) != "123" {
		t.Errorf("%q, %v", data, err)
	}
	for range 2 {
		if err := s.Delete(t.Context(), "p/0123"); err != nil {
			t.Error(err)
		}
		if _, err := s.Get(t.Context(), "p/0123"); quantrac.KindOf(err) != quantrac.NotFound || !strings.Contains(err.Error(), "p/0123") {
			t.Errorf("deleted: %v", err)
		}
	}
}

// A service that fails for a while is asked again; a body that breaks off is
// read again; nothing of it is seen outside.
func TestFailing(t *testing.T) {
	var n, cut atomic.Int32
	s := open(t, service(t, func(w http.ResponseWriter, r *http.Request) bool {
		if n.Add(1)%3 == 1 {
			refuse(w, http.StatusServiceUnavailable, "SlowDown")
			return true
		}
		if r.Method == http.MethodGet && strings.HasSuffix(r.URL.Path, "/long") && cut.Add(1) < 3 {
			w.Header().Set("Content-Length", "100000")
			_, _ = w.Write(make([]byte, 5000)) // and no more: the connection breaks
			return true
		}
		return false
	}))
	data := bytes.Repeat([]byte("long"), 25_000)
	if err := s.Put(t.Context(), "long", data); err != nil {
		t.Fatal(err)
	}
	if got, err := s.Get(t.Context(), "long"); err != nil || !bytes.Equal(got, data) || cut.Load() < 3 {
		t.Errorf("%d bytes after %d tries, %v", len(got), cut.Load(), err)
	}
	if err := s.List(t.Context(), "", func(backup.Object) error { return nil }); err != nil {
		t.Error(err)
	}
	if err := s.Delete(t.Context(), "long"); err != nil {
		t.Error(err)
	}
}

// What cannot be put right by asking again is an error of its kind that shows
// no secret.
func TestRefused(t *testing.T) {
	for code, c := range map[string]struct {
		status int
		kind   quantrac.ErrorKind
		text   string
	}{
		"AccessDenied":          {403, quantrac.Denied, "told so"},
		"SignatureDoesNotMatch": {403, quantrac.Denied, "told so"},
		"InvalidAccessKeyId":    {403, quantrac.Denied, "told so"},
		"NoSuchBucket":          {404, quantrac.Denied, "there is no bucket bucket"},
		"QuotaExceeded":         {400, quantrac.Unavailable, "told so"},
	} {
		s := open(t, service(t, func(w http.ResponseWriter, _ *http.Request) bool { refuse(w, c.status, code); return true }))
		_, gerr := s.Get(t.Context(), "x")
		for _, err := range []error{s.Put(t.Context(), "x", []byte("y")), gerr, s.List(t.Context(), "", nil), s.Delete(t.Context(), "x")} {
			if err == nil || quantrac.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text) || strings.Contains(err.Error(), "the-secret") {
				t.Errorf("%s: %v (%v)", code, err, quantrac.KindOf(err))
			}
		}
	}
}

// A service that says nothing is given up; so is one that nobody waits for.
func TestSilent(t *testing.T) {
	o := service(t, func(_ http.ResponseWriter, r *http.Request) bool {
		_, _ = io.Copy(io.Discard, r.Body)
		<-r.Context().Done()
		return true
	})
	o.Patience, o.Region = 20*time.Millisecond, "here"
	s := open(t, o)
	if err := s.Put(t.Context(), "x", []byte("y")); quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("silence: %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := s.Get(ctx, "x"); err == nil || !strings.Contains(err.Error(), "canceled") {
		t.Errorf("called off: %v", err)
	}
}

func TestOptions(t *testing.T) {
	ok := Options{Endpoint: "https://s3.example.vn", Bucket: "b", AccessKey: "k", SecretKey: "geheim"}
	for want, change := range map[string]func(*Options){
		"":                 func(*Options) {},
		"write https://":   func(o *Options) { o.Endpoint = "s3.example.vn" },
		"https://HOST":     func(o *Options) { o.Endpoint = "https://k:geheim@s3.example.vn" },
		"HOST:PORT":        func(o *Options) { o.Endpoint = "https://s3.example.vn/path" },
		"without TLS":      func(o *Options) { o.Endpoint = "http://192.0.2.1:9000" },
		"one is not set":   func(o *Options) { o.SecretKey = "" },
		"write s3://":      func(o *Options) { o.Bucket = "" },
		"nothing to say ":  func(o *Options) { o.Endpoint, o.AllowHTTP = "http://192.0.2.1:9000", true },
		"nothing to say  ": func(o *Options) { o.Endpoint = "http://[::1]:9000" },
	} {
		o := ok
		change(&o)
		_, err := New(o)
		if good := want == "" || strings.HasPrefix(want, "nothing"); good && err != nil || !good && (quantrac.KindOf(err) != quantrac.Invalid || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "geheim")) {
			t.Errorf("%s: %v", want, err)
		}
	}
}
