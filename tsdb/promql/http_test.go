package promql

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"quantrac"
	"quantrac/tsdb/tsdbtest"

	"github.com/klauspost/compress/gzip"
)

// client asks a served API as Grafana and others do.
type client struct {
	t   testing.TB
	api *API
	url string
}

func newClient(t testing.TB, store Store, clock quantrac.Clock, o Options) *client {
	o.Clock = clock
	api := New(store, newTestRegistry(), o)
	srv := httptest.NewServer(api.Handler())
	t.Cleanup(srv.Close)
	return &client{t, api, srv.URL}
}

// openFixture opens a filled oracle.
func openFixture(t testing.TB) (tsdbtest.Engine, *quantrac.ManualClock) {
	clock := quantrac.NewManualClock(0)
	clock.Set(testNow - 2*hour)
	e := openOracle(t, clock)
	newFixture(t, e, clock)
	return e, clock
}

// send makes a request and returns status and body. A form is a POST's body.
func (c *client) send(method, target string, form url.Values, header ...string) (int, string) {
	c.t.Helper()
	var body io.Reader
	if form != nil {
		body = strings.NewReader(form.Encode())
	}
	req, err := http.NewRequest(method, c.url+strings.ReplaceAll(target, " ", "%20"), body)
	if err != nil {
		c.t.Fatal(err)
	}
	if form != nil {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		c.t.Fatal(err)
	}
	defer func() { _ = res.Body.Close() }()
	b, err := io.ReadAll(res.Body)
	if err != nil {
		c.t.Fatal(err)
	}
	if ct := res.Header.Get("Content-Type"); len(b) > 0 && ct != "application/json" {
		c.t.Errorf("%s %s: content type %q", method, target, ct)
	}
	if len(b) > 0 && res.Header.Get("Content-Encoding") == "" && !json.Valid(b) {
		c.t.Errorf("%s %s: not JSON: %s", method, target, b)
	}
	return res.StatusCode, string(b)
}

// formOf makes a query string or form of name, value pairs; the value of the
// name time, start, end and asof is relative to testNow where it starts with +
// or -.
func formOf(pairs ...string) url.Values {
	v := url.Values{}
	for i := 0; i+1 < len(pairs); i += 2 {
		v.Add(pairs[i], pairs[i+1])
	}
	return v
}

func at(t quantrac.Millis) string { return string(appendSeconds(nil, int64(t))) }

const success = `{"status":"success","data":`

// TestGrafana asks what a Grafana has been recorded to ask, in the shapes it
// used.
// TestNoCache wants nocache=1 to reach the store.
func TestNoCache(t *testing.T) {
	store := &spyStore{}
	c := newClient(t, store, quantrac.NewManualClock(testNow), Options{})
	for param, want := range map[string]bool{"": false, "&nocache=1": true} {
		store.asked = nil
		if status, body := c.send("GET", "/api/v1/query?query=max_over_time(x[1h])&time=7200"+param, nil); status != 200 {
			t.Fatal(status, body)
		}
		if len(store.asked) != 1 || strings.Contains(store.asked[0], "anew") != want {
			t.Errorf("%q asks %q, want anew: %v", param, store.asked, want)
		}
	}
}

func TestGrafana(t *testing.T) {
	e, clock := openFixture(t)
	c := newClient(t, e, clock, Options{Version: "v1.2.3"})
	now := at(testNow)
	span := []string{"start", at(testNow - hour), "end", now}
	f := func(action, method, path string, p url.Values, want string) {
		t.Helper()
		var status int
		var body string
		if method == http.MethodPost {
			status, body = c.send(method, "/api/v1/"+path, p)
		} else {
			status, body = c.send(method, "/api/v1/"+path+"?"+p.Encode(), nil)
		}
		if status != 200 || body != success+want+"}" {
			t.Errorf("%s: %s %s %v: %d\n got %s\nwant %s%s}", action, method, path, p, status, body, success, want)
		}
	}
	both := func(action, path string, p url.Values, want string) {
		t.Helper()
		f(action, http.MethodGet, path, p, want)
		f(action, http.MethodPost, path, p, want)
	}
	metrics := `["insect_catch","loose","water_level_forecast_meters","water_level_meters"]`
	names := `["__name__","commune","model","quantile","river","simulated","species","station","station_name"]`
	tq := `{"__name__":"water_level_meters","commune":"Xã Mới","river":"Tiền","station":"tq","station_name":"Tân Quới"}`
	hn := `{"__name__":"water_level_meters","commune":"Xã Cũ","river":"Hậu","simulated":"true","station":"hn","station_name":"Hồng Ngự"}`

	both("Save & test", "query", formOf("query", "1+1", "time", "1795392000.123"), `{"resultType":"scalar","result":[1795392000.123,"2"]}`)
	f("Explore loads", "GET", "rules", nil, `{"groups":[]}`)
	f("alert list", "GET", "alerts", nil, `{"alerts":[]}`)
	both("Explore loads", "query_exemplars", formOf("query", "test", "start", "1795388400000", "end", "1795392000000"), `[]`)
	both("Explore loads", "labels", formOf(), names)
	f("ad hoc filters", "POST", "labels", nil, names)
	both("Explore loads", "label/__name__/values", formOf(), metrics)
	both("Grafana 13", "label/__name__/values", formOf("limit", "40000", "start", at(testNow-day), "end", now), metrics)
	f("Explore loads", "GET", "metadata", formOf("limit", "40000"), `{"insect_catch":[{"type":"gauge","help":"Số côn trùng vào bẫy · Insects caught","unit":"con/bẫy/đêm"}],`+
		`"water_level_forecast_meters":[{"type":"gauge","help":"Mực nước (dự báo) · Water level (forecast)","unit":"m"}],"water_level_meters":[{"type":"gauge","help":"Mực nước · Water level","unit":"m"}]}`)
	f("Explore loads", "GET", "metadata", formOf("metric", "nothing"), `{}`)
	both("Explore runs", "query", formOf("query", "water_level_meters", "time", now),
		`{"resultType":"vector","result":[{"metric":`+tq+`,"value":[`+now+`,"2.44"]}]}`)
	both("Explore runs", "query_range", formOf(append(span, "query", `water_level_meters{station="tq"}`, "step", "1800")...),
		`{"resultType":"matrix","result":[{"metric":`+tq+`,"values":[[`+at(testNow-hour)+`,"2.38"],[`+at(testNow-hour/2)+`,"2.41"],[`+now+`,"2.44"]]}]}`)
	both("builder", "series", formOf("match[]", "water_level_meters{}"), `[`+hn+`,`+tq+`]`)
	both("builder", "series", formOf("match[]", `{__name__="water_level_meters"}`, "match[]", `{river="Tiền",__name__=~"water_level_m.*"}`), `[`+hn+`,`+tq+`]`)
	both("builder", "series", formOf("match[]", `{station="trap"}`),
		`[{"__name__":"insect_catch","commune":"Xã Mới","species":"rầy nâu","station":"trap","station_name":"Bẫy đèn 1"}]`)
	both("builder", "labels", formOf("match[]", "loose"), `["__name__"]`)
	both("variables", "label/station/values", formOf("match[]", `{river!=""}`), `["hn","tq"]`)
	both("variables", "label/river/values", formOf("match[]", "water_level_meters"), `["Hậu","Tiền"]`)
	both("variables", "label/commune/values", formOf(), `["Xã Cũ","Xã Mới"]`)
	both("variables", "label/commune/values", formOf("match[]", `water_level_meters{river="Tiền"}`, "end", at(testNow-2*hour)), `["Xã Cũ"]`)
	both("escaped names", "label/U__station__name/values", formOf("match[]", `{river="Hậu"}`), `["Hồng Ngự"]`)
	both("nothing there", "label/x/values", formOf(), `[]`)
	f("", "GET", "format_query", formOf("query", "sum(x)by(y)"), `"sum by (y) (x)"`)
	both("string", "query", formOf("query", `"a\"b"`, "time", "0"), `{"resultType":"string","result":[0,"a\"b"]}`)

	status, body := c.send("GET", "/api/v1/status/buildinfo", nil)
	if status != 200 || !strings.Contains(body, `"version":"`+PrometheusVersion+`"`) || !strings.Contains(body, `"applicationVersion":"v1.2.3"`) {
		t.Errorf("buildinfo: %d %s", status, body)
	}
	status, body = c.send("POST", "/api/v1/query?time="+now, formOf("query", "count(water_level_meters)"),
		"Origin", "http://elsewhere.example", "Referer", "http://elsewhere.example/d/1", "Sec-Fetch-Site", "cross-site",
		"FromAlert", "true", "X-Cache-Skip", "true")
	if status != 200 || !strings.Contains(body, `"1"`) {
		t.Errorf("alert evaluation from another origin, time in the URL: %d %s", status, body)
	}
}

// TestForecastIsListed: what is written ahead is there for who looks up to the
// present, before its first value has come; the past is as it was.
func TestForecastIsListed(t *testing.T) {
	e, clock := openFixture(t)
	appendBatch(t, e, &quantrac.Batch{Kind: quantrac.Forecasts, Model: "new", Issue: testNow, Rows: []quantrac.Row{{
		Group: quantrac.NewLabels("station", "tq", "model", "new", "quantile", "0.5"), Time: testNow + hour,
		Cells: []quantrac.Cell{{Property: "water_level_forecast_meters", Value: 2}},
	}}})
	c := newClient(t, e, clock, Options{})
	clock.Set(testNow + 5*minute)
	f := func(end quantrac.Millis, want bool) {
		t.Helper()
		for _, path := range []string{"label/model/values?match[]=water_level_forecast_meters&", "series?match[]=water_level_forecast_meters&", "label/model/values?"} {
			status, body := c.send("GET", "/api/v1/"+path+"start="+at(testNow-6*hour)+"&end="+at(end), nil)
			if status != 200 || strings.Contains(body, `"new"`) != want {
				t.Errorf("%s to %v: %d %s; the forecast is to be listed: %v", path, end, status, body, want)
			}
		}
	}
	f(testNow+5*minute, true)
	f(testNow+2*day, true)
	f(testNow, true) // a client whose clock is slow
	f(testNow-hour, false)
}

func TestErrors(t *testing.T) {
	e, clock := openFixture(t)
	c := newClient(t, e, clock, Options{MaxSeries: 3, MaxSamples: 200})
	f := func(method, target string, status int, class, text string) {
		t.Helper()
		got, body := c.send(method, target, nil)
		var res struct{ Status, ErrorType, Error string }
		if err := json.Unmarshal([]byte(body), &res); err != nil {
			t.Fatalf("%s: %v in %s", target, err, body)
		}
		if got != status || res.Status != "error" || res.ErrorType != class || !strings.Contains(res.Error, text) {
			t.Errorf("%s %.200s: %d %.200s, want %d %s with %q", method, target, got, body, status, class, text)
		}
	}
	q := func(pairs ...string) string { return "/api/v1/query?" + formOf(pairs...).Encode() }
	r := func(pairs ...string) string { return "/api/v1/query_range?" + formOf(pairs...).Encode() }
	f("GET", q("query", "sum("), 400, "bad_data", `invalid parameter "query"`)
	f("GET", q(), 400, "bad_data", "no expression")
	f("GET", q("query", "x", "time", "yesterday"), 400, "bad_data", "yesterday")
	f("GET", q("query", "x", "time", "NaN"), 400, "bad_data", "time")
	f("GET", q("query", "x", "time", "1e30"), 400, "bad_data", "out of range")
	f("GET", q("query", "x", "timeout", "-1"), 400, "bad_data", "timeout")
	f("GET", q("query", "x", "limit", "-1"), 400, "bad_data", "limit")
	f("GET", q("query", "x", "asof", "later"), 400, "bad_data", "asof")
	f("GET", q("query", "x", "lookback_delta", "0"), 400, "bad_data", "lookback_delta")
	f("GET", q("query", `x{__quality__="7"}`), 400, "bad_data", "quality flag 7")
	f("GET", q("query", `x{__quality__!="1"}`), 400, "bad_data", "__quality__")
	f("GET", q("query", `x{__revision__="human"}`), 400, "bad_data", "__revision__")
	f("GET", q("query", `x{__asof__="soon"}`), 400, "bad_data", "soon")
	f("GET", q("query", `x{__asof__=~"1.*"}`), 400, "bad_data", "__asof__")
	f("GET", q("query", `rate(x[5m] anchored)`), 400, "bad_data", "lookback_delta")
	f("GET", q("query", "vector(1)[100y:1ms]"), 400, "bad_data", "subquery [876000h0m0s:1ms] would be evaluated 3153600000000 times, the limit is 1000000")
	f("GET", q("query", "max_over_time(vector(1)[200y:])"), 400, "bad_data", "subquery")
	f("GET", q("query", "max_over_time(min_over_time(vector(1)[1h:1m])[1w:500ms])"), 400, "bad_data", "subquery")
	f("GET", q("query", strings.Repeat("(", 5000)+"1"+strings.Repeat(")", 5000)), 400, "bad_data", "operators and brackets")
	f("GET", "/api/v1/format_query?query="+strings.Repeat("-", 100_000)+"x", 400, "bad_data", "operators and brackets")
	f("GET", r("query", "x", "start", "0", "end", "10"), 400, "bad_data", "step")
	f("GET", r("query", "x", "start", "0", "step", "1"), 400, "bad_data", "end")
	f("GET", r("query", "x", "start", "10", "end", "0", "step", "1"), 400, "bad_data", "before start")
	f("GET", r("query", "x", "start", "0", "end", "11001", "step", "1"), 400, "bad_data", "11,000 points")
	f("GET", r("query", "x", "start", "-9000000000", "end", "9000000000", "step", "1"), 400, "bad_data", "11,000 points")
	f("GET", r("query", "x", "start", "0", "end", "11.001", "step", "0.0019"), 400, "bad_data", "11,000 points")
	f("GET", r("query", `"s"`, "start", "0", "end", "1", "step", "1"), 400, "bad_data", "invalid expression type")
	f("GET", "/api/v1/series", 400, "bad_data", "match[]")
	f("GET", "/api/v1/series?match[]={a=''}", 400, "bad_data", "non-empty matcher")
	f("GET", "/api/v1/series?match[]={", 400, "bad_data", "match[]")
	f("GET", "/api/v1/labels?start=2&end=1", 400, "bad_data", "before start")
	f("GET", "/api/v1/label/%FF/values", 400, "bad_data", "invalid label name")
	f("GET", "/api/v1/query_exemplars?query=", 400, "bad_data", "query")
	f("GET", "/api/v1/query?%zz", 400, "bad_data", "form")
	long := formOf("query", "1"+strings.Repeat("+1", 70_000))
	if status, body := c.send("POST", "/api/v1/query", long); status != 400 || !strings.Contains(body, "at most 131072") {
		t.Errorf("a long expression: %d %s", status, body)
	}
	f("GET", "/api/v1/nothing", 404, "not_found", "/api/v1/nothing")
	f("GET", "/rules", 404, "not_found", "/rules")
	f("DELETE", "/api/v1/query", 405, "bad_data", "DELETE")
	f("POST", "/api/v1/metadata", 405, "bad_data", "GET")
	f("GET", q("query", `water_level_meters offset 2h + on (river) loose offset 2h or label_replace(vector(1), "a", "b", "c", "(")`), 422, "execution", "regular expression")
	f("GET", q("query", `{__name__=~".+"}`), 422, "execution", "more than 3 series")
	f("GET", q("query", `stddev_over_time({__name__="water_level_meters"}[1d])`), 422, "execution", "reads more than 200 samples")
	f("GET", r("query", "water_level_meters", "start", at(testNow-day), "end", at(testNow), "step", "600"), 422, "execution", "too many samples into memory")
	f("GET", r("query", "sum(rate(water_level_meters[1h]))", "start", at(testNow-day), "end", at(testNow), "step", "600"), 422, "execution", "(the limit is 200)")
	f("GET", r("query", "sum_over_time({__name__=~'.+'}[1d])", "start", at(testNow-day), "end", at(testNow), "step", "600"), 422, "execution", "more than 3 series")
	f("GET", "/api/v1/series?match[]={__name__!=''}", 422, "execution", "more than 3 series")
}

func TestLimitAndStats(t *testing.T) {
	e, clock := openFixture(t)
	c := newClient(t, e, clock, Options{})
	for _, target := range []string{
		"query?query={__name__!=''}&limit=1",
		"query_range?query={__name__!=''}&limit=1&start=" + at(testNow-hour) + "&end=" + at(testNow) + "&step=60",
		"series?match[]={__name__!=''}&limit=1", "labels?limit=1", "label/station/values?limit=1",
		"label/commune/values?limit=1",
	} {
		_, body := c.send("GET", "/api/v1/"+target, nil)
		if !strings.Contains(body, `"warnings":["`+truncatedWarning+`"]`) {
			t.Errorf("%s: no warning: %s", target, body)
		}
	}
	_, body := c.send("GET", "/api/v1/query?query=loose&stats=all", nil)
	if !strings.Contains(body, `"totalQueryableSamples":1`) {
		t.Errorf("stats: %s", body)
	}
	_, body = c.send("GET", "/api/v1/query?query=rate(loose[5m])", nil)
	if !strings.Contains(body, `"infos":["PromQL info: metric might not be a counter`) {
		t.Errorf("annotations: %s", body)
	}
}

func TestGzip(t *testing.T) {
	e, clock := openFixture(t)
	c := newClient(t, e, clock, Options{})
	_, plain := c.send("GET", "/api/v1/labels", nil, "Accept-Encoding", "identity")
	for range 2 { // the second takes the writer of the first
		_, packed := c.send("GET", "/api/v1/labels", nil, "Accept-Encoding", "gzip, deflate")
		z, err := gzip.NewReader(strings.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		b, err := io.ReadAll(z)
		if err != nil || string(b) != plain {
			t.Errorf("unpacked to %s, %v, want %s", b, err, plain)
		}
	}
	f := func(header string, want bool) {
		t.Helper()
		if got := acceptsGzip([]string{header}); got != want {
			t.Errorf("acceptsGzip(%q) = %v", header, got)
		}
	}
	f("", false)
	f("gzip", true)
	f("br;q=1.0, GZip;q=0.8, *;q=0.1", true)
	f("gzip;q=0", false)
	f("*", true)
	f("gzip;q=0, *", false)
	f("*;q=0", false)
	f("gzip;q=x", false)
	f("deflate, br", false)
}

// TestLength: an answer that is short, or an error, says how long it is, compressed too;
// a long one goes out in pieces.
func TestLength(t *testing.T) {
	e, clock := openFixture(t)
	c := newClient(t, e, clock, Options{})
	const short, wrong, long = "query?query=loose", "query?query=(", "query_range?query=time()&start=0&end=10999&step=1"
	for _, encoding := range []string{"identity", "gzip"} {
		for target, known := range map[string]bool{short: true, wrong: true, "label/station/values": true, long: false} {
			for range 2 { // the second takes the memory of the first
				_, want := c.send("GET", "/api/v1/"+target, nil, "Accept-Encoding", encoding)
				for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead} {
					req, err := http.NewRequest(method, c.url+"/api/v1/"+target, nil)
					if err != nil {
						t.Fatal(err)
					}
					req.Header.Set("Accept-Encoding", encoding)
					res, err := http.DefaultTransport.RoundTrip(req)
					if err != nil {
						t.Fatal(err)
					}
					got, err := io.ReadAll(res.Body)
					if err = errors.Join(err, res.Body.Close()); err != nil {
						t.Fatal(err)
					}
					if (res.ContentLength >= 0) != known || (res.StatusCode == http.StatusOK) != (target != wrong) {
						t.Errorf("%s %s, %s: status %d, %d bytes are told", method, target, encoding, res.StatusCode, res.ContentLength)
					}
					if method != http.MethodHead && (string(got) != want || known && res.ContentLength != int64(len(got))) {
						t.Errorf("%s %s, %s: %d bytes, %d told, want those of before, %d", method, target, encoding, len(got), res.ContentLength, len(want))
					}
				}
			}
		}
	}
}

func TestEmptyDatabase(t *testing.T) {
	clock := quantrac.NewManualClock(testNow)
	c := newClient(t, openOracle(t, clock), clock, Options{})
	f := func(target, want string) {
		t.Helper()
		if status, body := c.send("POST", "/api/v1/"+target, url.Values{}); status != 200 || body != success+want+"}" {
			t.Errorf("%s: %d %s, want %s", target, status, body, want)
		}
	}
	f("query?query=1%2B1&time=1.5", `{"resultType":"scalar","result":[1.500,"2"]}`)
	f("query?query=x", `{"resultType":"vector","result":[]}`)
	f("query?query=x[5m]", `{"resultType":"matrix","result":[]}`)
	f("query_range?query=x&start=1&end=2&step=1", `{"resultType":"matrix","result":[]}`)
	f("labels", `[]`)
	f("label/__name__/values", `[]`)
	f("series?match[]=x", `[]`)
}

func TestCountNodes(t *testing.T) {
	f := func(text string, want int) {
		t.Helper()
		if got := countNodes(text); got != want {
			t.Errorf("countNodes(%s) = %d, want %d", text, got, want)
		}
	}
	f("", 0)
	f("xã", 0)
	f(`x{a="-(-(",b!~'\'-',c=`+"`\\`"+`} - y`, 1)
	f("-(-x)", 4-1)
	f("a or b AND c unless_d atan2 e # and (((\n+f", 4)
	f("rate(x[5m:]) == bool 1", 4)
	f("xã((((", 4)
	f(`"unterminated ((`, 0)
}
