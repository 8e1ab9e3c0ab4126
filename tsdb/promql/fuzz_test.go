package promql

import (
	"encoding/json"
	"net/http/httptest"
	"strings"
	"testing"

	"quantrac"
)

// FuzzRequest sends any path, parameters and body: every answer is JSON of the
// API with a status of its own, and nothing panics.
func FuzzRequest(f *testing.F) {
	for _, s := range []struct{ path, query, body string }{
		{"query", "query=1%2B1&time=1795392000.123", ""},
		{"query", "time=-9223309901257974", "query=loose&limit=1&stats=all"},
		{"query", "query=x{__quality__='1,2|9',__revision__='device',__asof__='0',__registry_at__='2026-11-23T07:00:00Z'}", ""},
		{"query_range", "query=water_level_meters&start=-292273086-05-16T16:47:06Z&end=292277025-08-18T07:12:54.999999999Z&step=1w", ""},
		{"query_range", "query=rate(loose[5m:1s]@0+offset-1y)&start=0&end=1e3&step=1&lookback_delta=0.001&asof=1", ""},
		{"query_exemplars", "query=test&start=1795388400000&end=1795392000000", ""},
		{"series", "match[]={__name__=~'.%2B'}&limit=1", "match[]=loose"},
		{"labels", "start=1e300&end=-1e300", "%zz"},
		{"label/U__station__name/values", "", ""},
		{"label/%ff/values", "", ""},
		{"metadata", "metric=water_level_meters&limit=0", ""},
		{"format_query", "query=((1))", ""},
		{"status/buildinfo", "", ""},
		{"../x", "", ""},
	} {
		f.Add(s.path, s.query, s.body)
	}
	e, clock := openFixture(f)
	h := New(e, newTestRegistry(), Options{Clock: clock, MaxSamples: 10_000}).Handler()
	f.Fuzz(func(t *testing.T, path, query, body string) {
		for _, method := range []string{"GET", "POST"} {
			req := httptest.NewRequest(method, "/api/v1/", strings.NewReader(body))
			req.URL.Path, req.URL.RawPath, req.URL.RawQuery = "/api/v1/"+path, "", query
			req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
			rec := httptest.NewRecorder()
			h.ServeHTTP(rec, req)
			if rec.Code == 301 || rec.Code == 307 {
				continue // the path was not a clean one
			}
			var res struct{ Status, ErrorType, Error string }
			if err := json.Unmarshal(rec.Body.Bytes(), &res); err != nil {
				t.Fatalf("%s %s?%s: %v in %d %s", method, path, query, err, rec.Code, rec.Body)
			}
			good := rec.Code == 200
			if good != (res.Status == "success") || !good && (res.Status != "error" || res.ErrorType == "" || res.Error == "" || rec.Code == 500) {
				t.Fatalf("%s %s?%s: %d %s", method, path, query, rec.Code, rec.Body)
			}
		}
	})
}

// FuzzJSONString compares our strings with what the standard library reads.
func FuzzJSONString(f *testing.F) {
	for _, s := range []string{"", "a\"b\\c\n\r\t\x00\x1f\x7f", "Đồng Tháp 🌾", "\xff\xe1\x80x", "\u2028<>&"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		w := newWriter(nil)
		w.str(s)
		var got string
		if err := json.Unmarshal(w.buf, &got); err != nil {
			t.Fatalf("%q became %s: %v", s, w.buf, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); got != want && !strings.Contains(want, "\ufffd") {
			t.Errorf("%q came back as %q", s, got)
		}
	})
}

// FuzzSelector takes pseudo-labels apart: an error or a selector that says what
// was written.
func FuzzSelector(f *testing.F) {
	f.Add(`x{__quality__="1,3"}`)
	f.Add(`{__asof__="1e3",a=~"b|c",d!~".*",commune=~"(?i)x"}`)
	api := New(&spyStore{}, newTestRegistry(), Options{})
	f.Fuzz(func(t *testing.T, text string) {
		ms, err := api.parser.ParseMetricSelector(text)
		if err != nil {
			return
		}
		s, err := api.view(testNow, 0).selector(ms)
		if err != nil {
			if quantrac.KindOf(err) != quantrac.Invalid {
				t.Errorf("%s: %v", text, err)
			}
			return
		}
		for _, m := range append(s.identity, s.meta...) {
			for _, p := range ms {
				if p.Name == m.Name && len(ms) == 1 {
					for _, v := range []string{"", p.Value, "b", "bb"} {
						if m.Matches(v) != p.Matches(v) {
							t.Errorf("%s became %s: they differ on %q", p, m, v)
						}
					}
				}
			}
		}
	})
}
