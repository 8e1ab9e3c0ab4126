package promql

import (
	"encoding/json"
	"math"
	"math/rand/v2"
	"net/http/httptest"
	"strconv"
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
	for _, s := range []string{"", "a\"b\\c\n\r\t\x00\x1f\x7f", "Đồng Tháp 🌾", "\xff\xe1\x80x", "\u2028<>&", "seven 7", "eight  8", "s000001\\", "sixteen bytes 16", "more than sixteen bytes\x1f", "\"aaaaaaaaaaaaaa"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		b := appendString(nil, s)
		var got string
		if err := json.Unmarshal(b, &got); err != nil {
			t.Fatalf("%q became %s: %v", s, b, err)
		}
		if want := strings.ToValidUTF8(s, "\ufffd"); got != want && !strings.Contains(want, "\ufffd") {
			t.Errorf("%q came back as %q", s, got)
		}
	})
}

// plainFloat is a number as Prometheus writes it.
func plainFloat(v float64) string {
	if abs := math.Abs(v); abs != 0 && (abs < 1e-6 || abs >= 1e21) {
		return strconv.FormatFloat(v, 'e', -1, 64)
	}
	return strconv.FormatFloat(v, 'f', -1, 64)
}

// FuzzFloat compares numbers with the standard library's: any bits, and the
// decimals around which the short way turns off.
func FuzzFloat(f *testing.F) {
	for _, v := range []float64{0, math.Copysign(0, -1), 1, -2.5, 0.001, 0.0005, 0.3, 2.3140000000000001, 999999999999.999, 1e12, 1e15, 1e18, 9223372036854775.807, -9223372036854775.808, 1e20, 1e21, 1e22, 5e-324, 1e-6, 9e-7, math.MaxFloat64, math.Inf(1), math.Inf(-1), math.NaN(), 1 << 53} {
		f.Add(math.Float64bits(v), int64(v))
	}
	f.Fuzz(func(t *testing.T, bits uint64, n int64) {
		vs := []float64{math.Float64frombits(bits), float64(n)}
		for _, scale := range []float64{10, 100, 1000, 10_000} {
			v := float64(n) / scale
			vs = append(vs, v, math.Nextafter(v, math.Inf(1)), math.Nextafter(v, math.Inf(-1)), v+0.0005, float64(n%1_000_000)/scale)
		}
		for _, v := range vs {
			if got, want := string(appendFloat(nil, v)), plainFloat(v); got != want {
				t.Errorf("%x is written %s, want %s", math.Float64bits(v), got, want)
			}
		}
	})
}

// TestFloats goes through more numbers of the kinds that stations send.
func TestFloats(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 1))
	for exp := range 200 {
		v := math.Ldexp(1, exp-100)
		if got, want := string(appendFloat(nil, v)), plainFloat(v); got != want {
			t.Errorf("%x is written %s, want %s", math.Float64bits(v), got, want)
		}
	}
	for i := range 600_000 {
		v := math.Float64frombits(rnd.Uint64())
		switch i % 6 {
		case 0:
			v = float64(rnd.Int64N(2_000_000_000)-1_000_000_000) / []float64{1, 10, 100, 1000, 10_000}[rnd.IntN(5)]
		case 1:
			v = rnd.NormFloat64() * math.Pow(10, float64(rnd.IntN(34)-12))
		case 2:
			v = float64(rnd.Int64()>>rnd.IntN(63)) / 1000
		case 3: // where digits are not left to strconv, and around
			v = math.Ldexp(float64(rnd.Uint64()>>11), -100+rnd.IntN(110))
		case 4: // with few bits, whose decimals are exact
			v = math.Ldexp(float64(int64(1)<<52|rnd.Int64N(1<<12)<<(40-rnd.IntN(41))), -100+rnd.IntN(110))
		}
		if got, want := string(appendFloat(nil, v)), plainFloat(v); got != want {
			t.Fatalf("%x is written %s, want %s", math.Float64bits(v), got, want)
		}
	}
}

// TestThousandths writes all thousandths up to a million of them and some around, as
// points are written: behind stamps of either kind.
func TestThousandths(t *testing.T) {
	values := []float64{0, math.Copysign(0, -1), -0.001, math.NaN(), 1000.001, 0.0005}
	for n := range 1_000_001 {
		values = append(values, float64(n)/1000)
	}
	for _, start := range []quantrac.Millis{1_795_392_000_000, 1_795_392_000_001} {
		var pool buffers
		s := pool.stamps(grid{start: start, end: start + 1000*quantrac.Millis(len(values)-1), step: 1000, steps: len(values)})
		var want []byte
		for i, v := range values {
			want = append(appendSeconds(append(want, ",["...), int64(s.at(i))), `,"`+plainFloat(v)+`"]`...)
		}
		if got := s.appendPoints(nil, &row{values: values}); string(got) != string(want[1:]) {
			k := 0
			for got[k] == want[1+k] {
				k++
			}
			t.Errorf("from %d on: got …%.60s, want …%.60s", start, got[max(k-30, 0):], want[1+max(k-30, 0):])
		}
	}
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
