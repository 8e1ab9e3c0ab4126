package promql

import (
	"context"
	"fmt"
	"iter"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"quantrac"
	"quantrac/tsdb"
)

// TestKnowledgeTime asks what was known earlier, by parameter and by selector,
// and whose commune a station then was.
func TestKnowledgeTime(t *testing.T) {
	e, clock := openFixture(t)
	c := newClient(t, e, clock, Options{})
	f := func(target, want string) {
		t.Helper()
		status, body := c.send("GET", "/api/v1/"+target, nil)
		if status != 200 || !strings.Contains(body, want) {
			t.Errorf("%s: %d %s, want %s", target, status, body, want)
		}
	}
	corrected := at(testNow - 3*hour)
	before, after := at(testNow-2*hour), at(testNow-hour)
	level := "query?query=water_level_meters{station='tq'}"
	f(level+"&time="+corrected, `"9"`)
	f(level+"&time="+corrected+"&asof="+after, `"9"`)
	f(level+"&time="+corrected+"&asof="+before, `"2.26"`)
	f(level+"&time="+corrected+"&asof=2026-11-23T05:00:00%2B07:00", `"2.26"`)
	f(level+"&time="+corrected+"&asof=0", `"result":[]`)
	f("query?query=water_level_meters{station='tq',__asof__='"+before+"'}&time="+corrected, `"2.26"`)
	f("query?query=water_level_meters{station='tq',__asof__='"+before+"'}&asof="+after+"&time="+corrected, `"2.26"`)
	f("query?query=water_level_meters{station='tq',__revision__='device'}&time="+corrected, `"2.26"`)
	f("query?query=sum(water_level_meters{__asof__='"+after+"',station='tq'}-water_level_meters{__asof__='"+before+"',station='tq'})&time="+corrected, `"6.74"`)
	f("query?query=count_over_time(water_level_meters{station='tq',__quality__='4'}[1d])", `"1"`)
	f("query?query=water_level_meters{station='tq',__quality__='4'}&time="+at(testNow-2*hour), `"-9999"`)
	// As of before its issue there was no forecast.
	f("query?query=water_level_forecast_meters&time="+at(testNow+hour), `"1"`)
	f("query?query=water_level_forecast_meters&time="+at(testNow+hour)+"&asof="+before, `"result":[]`)
	// One registry instant per request: its end, or what it asks as of.
	f(level+"&time="+corrected, `"commune":"Xã Cũ"`)
	f(level, `"commune":"Xã Mới"`)
	f("query_range?query=water_level_meters{station='tq'}&step=600&start="+before+"&end="+at(testNow)+"&asof="+before, `"commune":"Xã Cũ"`)
	f("query?query=water_level_meters{station='tq',__registry_at__='"+corrected+"'}", `"commune":"Xã Cũ"`)
	f("query?query=count(count_over_time(water_level_meters{commune='Xã Cũ'}[1d]))", `"1"`)
	f("query?query=count(count_over_time(water_level_meters{commune='Xã Cũ',__registry_at__='"+corrected+"'}[1d]))", `"2"`)
	_, body := c.send("GET", "/api/v1/query_range?query=water_level_meters{station='tq'}&step=600&start="+at(testNow-4*hour)+"&end="+at(testNow), nil)
	if n := strings.Count(body, `"metric"`); n != 1 {
		t.Errorf("a station that moved came in %d series: %s", n, body)
	}
	// Lists follow as well.
	f("label/commune/values?match[]={station='tq'}&asof="+before, `["Xã Cũ"]`)
	f("label/__name__/values?asof="+before, `["water_level_meters"]`)
	f("labels?asof="+before, `["__name__","commune","river","simulated","station","station_name"]`)
	f("series?match[]=loose&asof="+before, `[]`)
	f("series?match[]=loose", `[{"__name__":"loose"}]`)
	f("series?match[]={__quality__='4'}", `[{"__name__":"water_level_meters","commune":"Xã Mới"`)
	f("label/station/values?match[]={commune!='Xã Mới',__name__!=''}", `["hn"]`)
	f("label/__name__/values?match[]={commune!='Xã Mới',__name__!=''}", `["loose","water_level_meters"]`)
	f("labels?match[]={commune='Xã Cũ'}", `["__name__","commune","river","simulated","station","station_name"]`)
}

// TestStaleness looks at a series that fell silent an hour ago.
func TestStaleness(t *testing.T) {
	e, clock := openFixture(t)
	c := newClient(t, e, clock, Options{})
	last := testNow - hour // of hn
	f := func(at quantrac.Millis, more string, seen bool) {
		t.Helper()
		for _, target := range []string{
			"query?query=water_level_meters{station='hn'}&time=%s" + more,
			"query_range?query=water_level_meters{station='hn'}&start=%[1]s&end=%[1]s&step=1" + more,
		} {
			_, body := c.send("GET", "/api/v1/"+fmt.Sprintf(target, string(appendSeconds(nil, int64(at)))), nil)
			if got := strings.Contains(body, "1.62"); got != seen {
				t.Errorf("seen %v after its last sample %s: %v, want %v: %s", at.Sub(last), more, got, seen, body)
			}
		}
	}
	const stale = 31 * minute // three intervals of ten minutes and one of grace
	f(last-1, "", false)      // that is the sample before
	f(last, "", true)
	f(last+stale-1, "", true)
	f(last+stale, "", false)
	f(testNow, "", false)
	f(last+stale, "&lookback_delta=1h", true)
	f(last+hour-1, "&lookback_delta=3600", true)
	f(last+hour, "&lookback_delta=1h", false)
	f(last+9*minute, "&lookback_delta=10m", true)
	// Ranges look at samples only: the marker is none.
	_, body := c.send("GET", "/api/v1/query?query=count_over_time(water_level_meters{station='hn'}[2h])", nil)
	if !strings.Contains(body, `"6"`) {
		t.Errorf("samples of the last two hours: %s, want 6", body)
	}
	_, body = c.send("GET", "/api/v1/query?query=insect_catch", nil)
	if !strings.Contains(body, `"40"`) {
		t.Errorf("a nightly catch is not seen at noon: %s", body)
	}
}

// TestSubquery evaluates between the steps of the request: at every whole minute,
// where the readings are, it sees what a range sees.
func TestSubquery(t *testing.T) {
	clock := quantrac.NewManualClock(testNow)
	e := openOracle(t, clock)
	api := New(e, newTestRegistry(), Options{Clock: clock})
	var values []float64
	for i := range 24 * 60 {
		values = append(values, float64(i*7919%1000))
	}
	put(t, e, quantrac.NewLabels("station", "tq"), "water_level_meters", testNow-day+minute, minute, values...)
	f := func(expr string) []Series {
		t.Helper()
		got, err := api.Range(context.Background(), expr, testNow-12*hour, testNow, 3*time.Hour)
		if err != nil || len(got) != 1 || len(got[0].Times) != 5 {
			t.Fatalf("%s: %v, %v", expr, got, err)
		}
		return got
	}
	want := f("max_over_time(water_level_meters[1h])")
	for _, expr := range []string{"max_over_time(water_level_meters[1h:])", "max_over_time(water_level_meters[1h:1m])", "max_over_time(max_over_time(water_level_meters[30m:1m])[31m:1m])"} {
		if got := f(expr); fmt.Sprint(got) != fmt.Sprint(want) {
			t.Errorf("%s is\n%v, want\n%v", expr, got, want)
		}
	}
}

// TestPrincipal sees to it that nobody sees more than its stations, whatever
// it asks.
func TestPrincipal(t *testing.T) {
	e, clock := openFixture(t)
	api := New(e, newTestRegistry(), Options{Clock: clock})
	h := api.Handler()
	f := func(target string, want string, stations ...string) {
		t.Helper()
		req := httptest.NewRequest("GET", "/api/v1/"+target, nil)
		req = req.WithContext(quantrac.WithPrincipal(req.Context(), quantrac.Principal{Role: quantrac.RoleViewer, Stations: stations}))
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		if got := rec.Body.String(); rec.Code != 200 || got != success+want+"}" {
			t.Errorf("%v asks %s: %d %s, want %s", stations, target, rec.Code, got, want)
		}
	}
	f("label/station/values", `["hn"]`, "hn")
	f("label/station_name/values", `["Hồng Ngự"]`, "hn")
	f("label/river/values?match[]={river!=''}", `["Hậu"]`, "hn", "trap")
	f("label/river/values?match[]={river='Tiền'}", `[]`, "hn", "trap")
	f("label/__name__/values", `["insect_catch"]`, "trap")
	f("label/__name__/values?match[]={river!='x',station!=''}", `["insect_catch"]`, "trap")
	f("series?match[]={river='Tiền'}", `[]`, "hn")
	f("labels", `[]`, "nowhere")
	f("metadata", `{"insect_catch":[{"type":"gauge","help":"Số côn trùng vào bẫy · Insects caught","unit":"con/bẫy/đêm"}]}`, "trap")
	for _, query := range []string{"water_level_meters", "water_level_meters offset 1h", "{river='Tiền'}", "{river!='x',__quality__='all'}", "rate(water_level_meters[3h])", "{__name__!='',__asof__='" + at(testNow) + "'}"} {
		samples, err := api.Instant(quantrac.WithPrincipal(context.Background(), quantrac.Principal{Stations: []string{"hn"}}), query, testNow)
		if err != nil {
			t.Fatal(err)
		}
		for _, s := range samples {
			if s.Labels.Station() != "hn" {
				t.Errorf("%s shows %v to a principal of hn", query, s.Labels)
			}
		}
	}
	if got := api.Identity(quantrac.NewLabels("__name__", "x", "station", "hn", "river", "Hậu")).String(); got != `x{station="hn"}` {
		t.Errorf("identity is %s", got)
	}
}

// slowStore answers a Select only when the request gives up.
type slowStore struct {
	spyStore
	entered, left chan struct{}
}

func (s *slowStore) Select(ctx context.Context, _ tsdb.Query) iter.Seq2[*tsdb.Series, error] {
	return func(yield func(*tsdb.Series, error) bool) {
		s.entered <- struct{}{}
		<-ctx.Done()
		yield(nil, ctx.Err())
		s.left <- struct{}{}
	}
}

func (s *slowStore) Fold(ctx context.Context, q tsdb.Query, w tsdb.Windows, op tsdb.FoldOp) iter.Seq2[*tsdb.Folded, error] {
	return tsdb.FoldSelect(ctx, s, q, w, op)
}

func TestTimeLimits(t *testing.T) {
	store := &slowStore{entered: make(chan struct{}, 9), left: make(chan struct{}, 9)}
	c := newClient(t, store, quantrac.NewManualClock(testNow), Options{MaxConcurrent: 1})
	query := "/api/v1/query?query=rate(x[1m])"
	status, body := c.send("GET", query+"&timeout=20ms", nil)
	if status != 503 || !strings.Contains(body, `"errorType":"timeout"`) {
		t.Errorf("a query out of time: %d %s", status, body)
	}
	<-store.entered
	<-store.left

	// Whoever goes away takes the query along; who waits for its turn is told.
	ctx, leave := context.WithCancel(context.Background())
	req, err := http.NewRequestWithContext(ctx, "GET", c.url+query, nil)
	if err != nil {
		t.Fatal(err)
	}
	gone := make(chan error)
	go func() {
		res, err := http.DefaultTransport.RoundTrip(req)
		if err == nil {
			err = res.Body.Close()
		}
		gone <- err
	}()
	<-store.entered
	status, body = c.send("GET", query+"&timeout=0.02", nil)
	if status != 503 || !strings.Contains(body, "waited 20ms for one of 1 queries at once") {
		t.Errorf("a query without a turn: %d %s", status, body)
	}
	status, body = c.send("GET", "/api/v1/query?query=1&timeout=0.02", nil)
	if status != 503 {
		t.Errorf("a query without a turn: %d %s", status, body)
	}
	leave()
	<-store.left
	if err := <-gone; err == nil {
		t.Error("the client got an answer")
	}
	// The turn is free again.
	if status, body = c.send("GET", "/api/v1/query?query=1", nil); status != 200 {
		t.Errorf("after it: %d %s", status, body)
	}
}

// TestTimeLimitWithinSeries: a query whose time is up ends there, also where what
// takes its time is the many long windows of one series: these would take an hour.
func TestTimeLimitWithinSeries(t *testing.T) {
	store, reg := newColumnStore(1, 1_000_000)
	api := New(store, reg, Options{Clock: quantrac.NewManualClock(testNow)})
	for _, expr := range []string{
		"quantile_over_time(0.5, water_level_meters[6000d])",
		"quantile_over_time(0.5, (water_level_meters + 0)[6000d:10m])",
	} {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		_, err := api.Range(ctx, expr, testNow-10_000*minute, testNow, time.Minute)
		cancel()
		if quantrac.KindOf(err) != quantrac.Busy {
			t.Errorf("%s: %v, want that its time was up", expr, err)
		}
	}
}

// failingStore fails with an error of a kind.
type failingStore struct {
	spyStore
	err error
}

func (s *failingStore) Series(context.Context, []*quantrac.Matcher, quantrac.Millis, quantrac.Millis) ([]quantrac.Labels, error) {
	return nil, s.err
}

func (s *failingStore) LabelNames(context.Context, []*quantrac.Matcher, quantrac.Millis, quantrac.Millis) ([]string, error) {
	return nil, s.err
}

func TestStoreErrors(t *testing.T) {
	f := func(kind quantrac.ErrorKind, status int, class string) {
		t.Helper()
		store := &failingStore{err: quantrac.Errorf(kind, "block 7 at offset 12: no luck")}
		c := newClient(t, store, quantrac.NewManualClock(testNow), Options{})
		for _, target := range []string{"query_range?query=x&start=1&end=5&step=1", "labels", "series?match[]=x"} {
			got, body := c.send("GET", "/api/v1/"+target, nil)
			if got != status || !strings.Contains(body, `"errorType":"`+class+`"`) || !strings.Contains(body, "block 7 at offset 12") {
				t.Errorf("%v on %s: %d %s, want %d %s", kind, target, got, body, status, class)
			}
		}
		if _, err := c.api.Range(context.Background(), "x", 0, 10, time.Millisecond); quantrac.KindOf(err) != kind && kind != quantrac.Corrupt {
			t.Errorf("a caller inside gets %v of kind %v, want %v", err, quantrac.KindOf(err), kind)
		}
	}
	f(quantrac.Invalid, 422, "execution")
	f(quantrac.Unavailable, 503, "unavailable")
	f(quantrac.Denied, 403, "forbidden")
	f(quantrac.Corrupt, 500, "internal")
	f(quantrac.KindNone, 500, "internal")
}

func TestInstantAndRange(t *testing.T) {
	e, clock := openFixture(t)
	api := New(e, newTestRegistry(), Options{Clock: clock})
	ctx := context.Background()
	got, err := api.Instant(ctx, "2*3", 1500)
	if err != nil || len(got) != 1 || got[0].Value != 6 || got[0].Time != 1500 || len(got[0].Labels) != 0 {
		t.Errorf("a scalar is %v, %v", got, err)
	}
	for _, expr := range []string{"", "x[", `"s"`, "loose[5m]", "x{__quality__='x'}"} {
		if _, err := api.Instant(ctx, expr, testNow); quantrac.KindOf(err) != quantrac.Invalid {
			t.Errorf("%s: %v, want an Invalid error", expr, err)
		}
	}
	if _, err := api.Range(ctx, "x", 5, 1, time.Second); quantrac.KindOf(err) != quantrac.Invalid {
		t.Errorf("a range backwards: %v", err)
	}
	if _, err := api.Range(ctx, "x", 1, 5, 0); quantrac.KindOf(err) != quantrac.Invalid {
		t.Errorf("a range of no step: %v", err)
	}
	series, err := api.Range(ctx, "loose", testNow-2*minute, testNow+5*minute, time.Minute)
	if err != nil || len(series) != 1 || len(series[0].Times) != 4 || series[0].Values[0] != 8 || series[0].Times[3] != testNow+minute {
		t.Errorf("range of the loose series: %+v, %v", series, err)
	}
	done, cancel := context.WithCancel(ctx)
	cancel()
	if _, err := api.Instant(done, "loose", testNow); quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("of a caller that left: %v", err)
	}
}

// TestConcurrent asks from several sides while readings come in: one query sees
// each station once, and its levels only rise.
func TestConcurrent(t *testing.T) {
	clock := quantrac.NewManualClock(testNow)
	e := openDB(t, clock)
	c := newClient(t, e, clock, Options{MaxConcurrent: 3})
	var wg sync.WaitGroup
	stop := make(chan struct{})
	for range 4 {
		wg.Go(func() {
			last := 0.0
			for {
				select {
				case <-stop:
					return
				default:
				}
				got, err := c.api.Instant(context.Background(), "sum(water_level_meters)", clock.Now())
				if err != nil || len(got) > 1 || len(got) == 1 && got[0].Value < last {
					t.Errorf("after %v came %v, %v", last, got, err)
					return
				}
				if len(got) == 1 {
					last = got[0].Value
				}
				if status, body := c.send("POST", "/api/v1/labels?match[]={river='Tiền'}", nil); status != 200 {
					t.Errorf("labels: %d %s", status, body)
				}
			}
		})
	}
	for i := range 100 {
		for _, s := range []string{"tq", "hn"} {
			put(t, e, quantrac.NewLabels("station", s), "water_level_meters", testNow+quantrac.Millis(i)*second, second, float64(i))
		}
		clock.Advance(time.Second)
	}
	close(stop)
	wg.Wait()
}
