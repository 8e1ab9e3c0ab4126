package store

import (
	"context"
	"fmt"
	"io"
	"math"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"

	"github.com/klauspost/compress/s2"
	"google.golang.org/protobuf/encoding/protowire"
)

// serve makes a server of a kind that some handler answers for.
func serve(t *testing.T, k *Kind, h http.HandlerFunc) *Server {
	t.Helper()
	srv := httptest.NewServer(h)
	t.Cleanup(srv.Close)
	return &Server{Kind: k, Base: srv.URL, ctx: t.Context(), client: client(2)}
}

func TestWriteAgain(t *testing.T) {
	calls := 0
	s := serve(t, Quantrac("x"), func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil || string(body) != "lines" || r.URL.String() != "/write?db=load" || r.Method != "POST" {
			t.Errorf("%s %s %q %v", r.Method, r.URL, body, err)
		}
		if calls++; calls < 3 {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	w := s.Writer()
	defer w.Close()
	if err := w.Write(context.Background(), []byte("lines")); err != nil || calls != 3 || w.Retried != 2 {
		t.Errorf("%v after %d calls, %d of them again", err, calls, w.Retried)
	}
}

func TestRefused(t *testing.T) {
	s := serve(t, Quantrac("x"), func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "no such thing", http.StatusBadRequest)
	})
	w := s.Writer()
	defer w.Close()
	if err := w.Write(context.Background(), nil); err == nil || !strings.Contains(err.Error(), "no such thing") || w.Retried > 0 {
		t.Errorf("got %v, want the store's own words at once", err)
	}
}

func TestMetric(t *testing.T) {
	s := serve(t, VictoriaMetrics("x"), func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "# HELP a x\nab 3\na{type=\"b\"} 7\na 1.5e+06\n")
	})
	for name, want := range map[string]float64{"a": 1.5e6, `a{type="b"}`: 7} {
		if v, err := s.Metric(name); err != nil || v != want {
			t.Errorf("%s is %v, %v, want %v", name, v, err, want)
		}
	}
	if v, err := s.Metric("b"); err == nil {
		t.Errorf("a metric that is not there is %v", v)
	}
}

func TestTarget(t *testing.T) {
	q := Question{Path: "/q", Params: url.Values{"query": {"x"}}, Lookback: "600s", Uncached: true}
	for k, want := range map[*Kind]string{
		Quantrac("x"):        "/q?lookback_delta=600s&nocache=1&query=x",
		VictoriaMetrics("x"): "/q?max_lookback=600s&nocache=1&query=x",
		Prometheus("x"):      "/q?query=x",
	} {
		if got := k.target(q); got != want {
			t.Errorf("%s: %s, want %s", k.Name, got, want)
		}
	}
	if got := Quantrac("x").target(Question{Path: "/q", Params: q.Params}); got != "/q?query=x" || len(q.Params) != 1 {
		t.Errorf("got %s; the question's own parameters are %v", got, q.Params)
	}
}

// TestWeigh wants files counted under what they are for, and others not.
func TestWeigh(t *testing.T) {
	dir := t.TempDir()
	for path, n := range map[string]int{
		"data/small/2026_10/A/values.bin": 5, "data/big/2026_11/B/values.bin": 7, "data/small/2026_10/A/timestamps.bin": 2,
		"data/small/2026_10/A/index.bin": 3, "data/indexdb/2026_10/C/items.bin": 11, "cache/x": 1000, "flock.lock": 0,
	} {
		p := filepath.Join(dir, filepath.FromSlash(path))
		if err := os.MkdirAll(filepath.Dir(p), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(p, make([]byte, n), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	sz, err := weighVictoria(dir)
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]int64{}
	for _, p := range sz.Parts {
		got[p.Name] = p.Bytes
	}
	want := map[string]int64{"values": 12, "times": 2, "block index": 3, "indexdb": 11}
	if !reflect.DeepEqual(got, want) || sz.Total() != 28 {
		t.Errorf("got %v, %d in all, want %v", got, sz.Total(), want)
	}
}

// TestDivide wants the parts that the store names, and the rest, to be the whole.
func TestDivide(t *testing.T) {
	sz, err := divide(100, []byte(`{"flushed":7,"sizes":{"Values":60,"Times":25,"Property":{"a":{"Series":3}}}}`))
	want := []Part{{"times", 25}, {"values", 60}, {"other", 15}}
	if err != nil || !reflect.DeepEqual(sz.Parts, want) {
		t.Errorf("got %v, %v, want %v", sz.Parts, err, want)
	}
	if sz, err := divide(80, []byte(`{"sizes":{"Values":60,"Times":25}}`)); err == nil {
		t.Errorf("parts that are more than the whole: %v", sz)
	}
}

// TestRemoteWrite reads what is sent to Prometheus field by field, as remote.proto
// has them.
func TestRemoteWrite(t *testing.T) {
	body, err := remoteWrite([]byte("obs,station=s1,area=a,basin=b water_level_m=1.5,ph=-7 1792540800000000000\n"))
	if err != nil {
		t.Fatal(err)
	}
	raw, err := s2.Decode(nil, body)
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, series := range fields(t, raw) {
		text := ""
		for _, part := range fields(t, series.bytes) {
			f := fields(t, part.bytes)
			if part.number == 1 {
				text += fmt.Sprintf("%s=%s ", f[0].bytes, f[1].bytes)
			} else {
				text += fmt.Sprintf("%v@%d", math.Float64frombits(f[0].fixed), f[1].fixed)
			}
		}
		got = append(got, text)
	}
	want := []string{
		"__name__=obs_water_level_m area=a basin=b station=s1 1.5@1792540800000",
		"__name__=obs_ph area=a basin=b station=s1 -7@1792540800000",
	}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := remoteWrite([]byte("no line\n")); err == nil {
		t.Error("a line that is none was sent")
	}
}

// field is one field of a message.
type field struct {
	number protowire.Number
	bytes  []byte
	fixed  uint64
}

func fields(t *testing.T, b []byte) (out []field) {
	t.Helper()
	for len(b) > 0 {
		number, kind, n := protowire.ConsumeTag(b)
		f := field{number: number}
		b = b[n:]
		switch kind {
		case protowire.BytesType:
			f.bytes, n = protowire.ConsumeBytes(b)
		case protowire.Fixed64Type:
			f.fixed, n = protowire.ConsumeFixed64(b)
		case protowire.VarintType:
			f.fixed, n = protowire.ConsumeVarint(b)
		}
		if n <= 0 {
			t.Fatalf("field %d of type %d does not read", number, kind)
		}
		b, out = b[n:], append(out, f)
	}
	return out
}

func TestFind(t *testing.T) {
	dir := t.TempDir()
	p := filepath.Join(dir, "peer-program")
	if err := os.WriteFile(p, []byte("#!/bin/sh\n"), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PEER_PROGRAM", "")
	t.Setenv("PATH", dir)
	if got := Find("", "PEER_PROGRAM", "no-such", "peer-program"); got != p {
		t.Errorf("on PATH: %q, want %q", got, p)
	}
	t.Setenv("PATH", "")
	if got := Find("", "PEER_PROGRAM", "peer-program"); got != "" {
		t.Errorf("found %q where there is none", got)
	}
	t.Setenv("PEER_PROGRAM", p)
	if got := Find("", "PEER_PROGRAM", "peer-program"); got != p {
		t.Errorf("by the environment: %q, want %q", got, p)
	}
	if got := Find(filepath.Join(dir, "other"), "PEER_PROGRAM", "peer-program"); got != "" {
		t.Errorf("a program that was named and is not there: %q", got)
	}
}
