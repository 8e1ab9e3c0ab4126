package dashboards

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/csv"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"quantrac"
)

func newPage(t *testing.T, n *network, o Options) *Page {
	t.Helper()
	o.Clock = n.clock
	o.Logger = slog.New(slog.DiscardHandler)
	p, err := New(n.deps(), o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

// hydrologist sees the named stations only, none where none is named.
func hydrologist(stations ...string) quantrac.Principal {
	return quantrac.Principal{Name: "can-bo", Role: quantrac.RoleHydrologist, Stations: append([]string{}, stations...)}
}

// get asks as somebody; headers are name, value pairs.
func get(t *testing.T, h http.Handler, who quantrac.Principal, url string, headers ...string) *http.Response {
	t.Helper()
	r := httptest.NewRequest(http.MethodGet, url, nil)
	for i := 0; i+1 < len(headers); i += 2 {
		r.Header.Set(headers[i], headers[i+1])
	}
	if who.Role != "" {
		r = r.WithContext(quantrac.WithPrincipal(r.Context(), who))
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result()
}

func body[T any](t *testing.T, res *http.Response) T {
	t.Helper()
	var out T
	if res.StatusCode != http.StatusOK {
		raw, _ := io.ReadAll(res.Body)
		t.Fatalf("status %d: %s", res.StatusCode, raw)
	}
	if err := json.NewDecoder(res.Body).Decode(&out); err != nil {
		t.Fatal(err)
	}
	return out
}

type stateBody struct {
	Version  string
	Trouble  *trouble
	Session  sessionView
	Config   configView
	Warnings []quantrac.Warning
	Stations []stationView
}

func TestState_public(t *testing.T) {
	n := newNetwork()
	staff := n.warning()
	staff.ID, staff.Audience, staff.Rule = "w2", quantrac.AudienceStaff, "silence"
	n.warnings.set(n.warning(), staff)
	p := newPage(t, n, Options{})
	got := body[stateBody](t, get(t, p, quantrac.Principal{}, "/api/page/state"))
	if len(got.Stations) != 31 || len(got.Warnings) != 1 || got.Session.Staff || got.Trouble != nil {
		t.Fatalf("got %d stations, %d warnings, session %+v, trouble %+v", len(got.Stations), len(got.Warnings), got.Session, got.Trouble)
	}
	tq := got.Stations[0]
	r := tq.Readings[tq.Main]
	if tq.ID != "tan-quoi" || tq.Level != 2 || tq.Kind != quantrac.ThresholdWatch || !tq.Simulated || tq.Status != statusOK || tq.Commune != "Xã Tân Long" {
		t.Errorf("got %+v", tq)
	}
	if r.Metric != "water_level_meters" || r.Trend == nil || r.Trend.Dir != rising || r.Trend.DayChange == nil || r.Unit != "m" || len(r.Levels) != 3 {
		t.Errorf("got %+v", r)
	}
	by := map[string]stationView{}
	for _, s := range got.Stations {
		by[s.ID] = s
	}
	if s := by["dong-09"]; s.Status != statusSilent {
		t.Errorf("silent station: got %s", s.Status)
	}
	if s := by["dong-10"]; s.Status != statusFailed || s.Level != 0 {
		t.Errorf("failing station: got %s level %d", s.Status, s.Level)
	}
	if s := by["dong-07"]; s.Level != 3 {
		t.Errorf("thunderstorm at the site: got level %d", s.Level)
	}
	if s := by["bay-02"]; s.Lat != nil {
		t.Errorf("a station of unknown place has no latitude, got %v", *s.Lat)
	}
}

func TestState_audiences(t *testing.T) {
	n := newNetwork()
	staff := n.warning()
	staff.ID, staff.Audience, staff.Rule, staff.Station = "w2", quantrac.AudienceStaff, "silence", "dong-09"
	n.warnings.set(n.warning(), staff)
	p := newPage(t, n, Options{})
	got := body[stateBody](t, get(t, p, hydrologist(), "/api/page/state"))
	if len(got.Warnings) != 0 || len(got.Stations) != 0 {
		t.Errorf("a principal with no stations sees %d stations, %d warnings", len(got.Stations), len(got.Warnings))
	}
	all := quantrac.Principal{Name: "x", Role: quantrac.RoleViewer}
	if got := body[stateBody](t, get(t, p, all, "/api/page/state")); len(got.Warnings) != 2 || got.Session.Name != "x" || !got.Session.Staff {
		t.Errorf("staff see %d warnings as %+v, want both", len(got.Warnings), got.Session)
	}
	some := body[stateBody](t, get(t, p, hydrologist("dong-09"), "/api/page/state"))
	if len(some.Stations) != 1 || len(some.Warnings) != 1 || some.Warnings[0].ID != "w2" {
		t.Errorf("one station only: got %d stations, warnings %+v", len(some.Stations), some.Warnings)
	}
	if res := get(t, p, hydrologist("dong-09"), "/api/page/station/tan-quoi"); res.StatusCode != http.StatusNotFound {
		t.Errorf("a station one may not see: got %d, want 404", res.StatusCode)
	}
}

func TestState_caching(t *testing.T) {
	n := newNetwork()
	p := newPage(t, n, Options{})
	first := get(t, p, quantrac.Principal{}, "/api/page/state")
	tag := first.Header.Get("ETag")
	if tag == "" || first.Header.Get(nowHeader) != "1791317520000" {
		t.Fatalf("headers %v", first.Header)
	}
	if res := get(t, p, quantrac.Principal{}, "/api/page/state", "If-None-Match", tag); res.StatusCode != http.StatusNotModified {
		t.Errorf("unchanged: got %d, want 304", res.StatusCode)
	}
	if res := get(t, p, hydrologist("tan-quoi"), "/api/page/state", "If-None-Match", tag); res.StatusCode != http.StatusOK {
		t.Errorf("somebody else: got %d, want 200", res.StatusCode)
	}
	if c := get(t, p, hydrologist("tan-quoi"), "/api/page/state").Header.Get("Cache-Control"); !strings.Contains(c, "private") {
		t.Errorf("staff answers are cached as %q", c)
	}
	z := get(t, p, quantrac.Principal{}, "/api/page/state", "Accept-Encoding", "br, gzip;q=0.8")
	if z.Header.Get("Content-Encoding") != "gzip" {
		t.Fatal("not compressed")
	}
	r, err := gzip.NewReader(z.Body)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := io.ReadAll(r)
	if err != nil || !json.Valid(raw) {
		t.Errorf("compressed state: %v", err)
	}
	if z := get(t, p, quantrac.Principal{}, "/api/page/state", "Accept-Encoding", "gzip;q=0"); z.Header.Get("Content-Encoding") != "" {
		t.Error("compressed for a reader that refuses it")
	}
}

// A store that fails leaves the last figures, marked; it never blanks the page.
func TestState_interrupted(t *testing.T) {
	n := newNetwork()
	p := newPage(t, n, Options{Flush: time.Nanosecond})
	n.store.fail(quantrac.Errorf(quantrac.Unavailable, "disk is away"))
	if res := get(t, p, quantrac.Principal{}, "/api/page/state"); res.StatusCode != http.StatusServiceUnavailable || res.Header.Get("Retry-After") == "" {
		t.Fatalf("nothing to show: got %d", res.StatusCode)
	}
	n.store.fail(nil)
	if _, err := p.refresh(t.Context(), nil, true); err != nil {
		t.Fatal(err)
	}
	n.store.fail(errors.New("checksum"))
	n.clock.Advance(time.Minute)
	if _, err := p.refresh(t.Context(), nil, true); err != nil {
		t.Fatal(err)
	}
	got := body[stateBody](t, get(t, p, quantrac.Principal{}, "/api/page/state"))
	if len(got.Stations) != 31 || got.Trouble == nil || got.Trouble.Since != fakeNow.Add(time.Minute) {
		t.Errorf("got %d stations, trouble %+v, want the old figures marked", len(got.Stations), got.Trouble)
	}
	n.store.fail(nil)
	if _, err := p.refresh(t.Context(), nil, true); err != nil {
		t.Fatal(err)
	}
	if got := body[stateBody](t, get(t, p, quantrac.Principal{}, "/api/page/state")); got.Trouble != nil {
		t.Error("still marked after the store has come back")
	}
}

// A store that does not answer holds nobody up for long: those who come during
// a look get what is there.
func TestState_slowStore(t *testing.T) {
	n := newNetwork()
	p := newPage(t, n, Options{})
	if _, err := p.current(t.Context()); err != nil {
		t.Fatal(err)
	}
	p.mu.Lock()
	p.looked = p.looked.Add(-time.Hour)
	p.mu.Unlock()
	p.look.Lock() // somebody looks and does not come back
	defer p.look.Unlock()
	if got := body[stateBody](t, get(t, p, quantrac.Principal{}, "/api/page/state")); len(got.Stations) != 31 {
		t.Errorf("got %d stations", len(got.Stations))
	}
}

// A reader that goes away in the middle of a look marks nothing.
func TestState_readerGone(t *testing.T) {
	n := newNetwork()
	p := newPage(t, n, Options{})
	if _, err := p.current(t.Context()); err != nil {
		t.Fatal(err)
	}
	n.store.fail(context.Canceled)
	if v, err := p.refresh(t.Context(), []string{"tan-quoi"}, false); err == nil || v.trouble != nil {
		t.Errorf("got %+v, %v, want the old view unmarked", v.trouble, err)
	}
}

func TestGrafanaFilesAreServed(t *testing.T) {
	p := newPage(t, newNetwork(), Options{})
	res := get(t, p, quantrac.Principal{}, "/grafana/provisioning/datasources/quantrac.yaml")
	raw, _ := io.ReadAll(res.Body)
	if res.StatusCode != 200 || !bytes.Contains(raw, []byte("prometheusType")) {
		t.Errorf("got %d %s", res.StatusCode, raw)
	}
}

func TestStation(t *testing.T) {
	n := newNetwork()
	p := newPage(t, n, Options{})
	d := body[detailView](t, get(t, p, quantrac.Principal{}, "/api/page/station/tan-quoi?days=5"))
	if len(d.Series) != 1 || d.Series[0].Gaps != 1 || d.Series[0].Failed != 1 || d.Series[0].Suspects != 2 || d.Series[0].Count < 600 || len(d.Levels) != 3 {
		t.Fatalf("got %+v", d.Series)
	}
	if d.Forecast != nil || d.ForecastFor != "staff" {
		t.Error("the public sees a forecast without an issuing authority")
	}
	s := body[detailView](t, get(t, p, quantrac.Principal{Name: "a", Role: quantrac.RoleViewer}, "/api/page/station/tan-quoi"))
	if s.Forecast == nil || len(s.Forecast.V) != 5 || len(s.Forecast.T) != 48 || s.Forecast.Old || len(s.Forecast.Exceed) != 3 {
		t.Errorf("staff: got forecast %+v", s.Forecast)
	}
	n.clock.Advance(6 * time.Hour)
	if s := body[detailView](t, get(t, p, quantrac.Principal{Name: "a", Role: quantrac.RoleViewer}, "/api/page/station/tan-quoi")); !s.Forecast.Old {
		t.Error("a run of more than six hours ago is not called old")
	}
	n.forecasts["tan-quoi water_level_meters"][0].Authority = "Đài Khí tượng Thủy văn"
	if d := body[detailView](t, get(t, p, quantrac.Principal{}, "/api/page/station/tan-quoi")); d.Forecast == nil || d.Forecast.Authority == "" || d.ForecastFor != "public" {
		t.Errorf("with an authority: got %+v", d.Forecast)
	}
	if d := body[detailView](t, get(t, p, quantrac.Principal{}, "/api/page/station/bay-01?days=30")); len(d.Series) != 6 || d.Series[0].Name.Vi == "" {
		t.Errorf("trap: got %d series, want all species", len(d.Series))
	}
	if d := body[detailView](t, get(t, p, quantrac.Principal{}, "/api/page/station/tan-quoi?series=battery_volts")); d.Series[0].Metric != "battery_volts" || len(d.Levels) != 0 {
		t.Errorf("another property: got %+v", d.Series[0])
	}
}

func TestRefusals(t *testing.T) {
	n := newNetwork()
	p := newPage(t, n, Options{OpenData: true})
	f := func(url string, want int) {
		t.Helper()
		res := get(t, p, quantrac.Principal{}, url)
		raw, _ := io.ReadAll(res.Body)
		var pr struct{ Code, Error string }
		if res.StatusCode != want || json.Unmarshal(raw, &pr) != nil || pr.Error == "" || pr.Code == "" {
			t.Errorf("%s: got %d %s, want %d with a reason in JSON", url, res.StatusCode, raw, want)
		}
	}
	f("/api/page/station/nowhere", 404)
	f("/api/page/station/"+strings.Repeat("x", 5000), 404)
	f("/api/page/station/tan-quoi?days=2", 400)
	f("/api/page/station/tan-quoi?days=99999999999999999999", 400)
	f("/api/page/station/tan-quoi?series=none", 404)
	f("/api/page/station/tan-quoi?series="+strings.Repeat("x", 5000), 400)
	f("/api/page/nothing", 404)
	f("/open/series.csv", 404)
	f("/open/series.csv?station=tan-quoi&from=tomorrow", 400)
	f("/open/series.csv?station=tan-quoi&from=2026-01-02T00:00:00Z&to=2026-01-01T00:00:00Z", 400)
	f("/open/series.csv?station=tan-quoi&from=2020-01-02T00:00:00Z", 400)
	w := httptest.NewRecorder()
	p.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/page/state", strings.NewReader("{}")))
	if w.Code != http.StatusMethodNotAllowed || w.Header().Get("Allow") == "" {
		t.Errorf("POST: got %d", w.Code)
	}
}

// Where the operator keeps the page to staff, others get its files and no figure.
func TestStaffOnly(t *testing.T) {
	p := newPage(t, newNetwork(), Options{OpenData: true, SignIn: true, StaffOnly: true})
	for _, url := range []string{"/api/page/state", "/api/page/live", "/api/page/station/tan-quoi", "/api/page/station/tan-quoi/series.csv", "/api/page/nothing"} {
		for _, who := range []quantrac.Principal{{}, {Name: "device a", Role: quantrac.RoleDevice}} {
			res := get(t, p, who, url)
			raw, _ := io.ReadAll(res.Body)
			if res.StatusCode != 401 || !strings.Contains(string(raw), "signed-in staff") || res.Header.Get("Cache-Control") != "no-store" {
				t.Errorf("%s for %q: %d %s", url, who.Name, res.StatusCode, raw)
			}
		}
	}
	if res := get(t, p, hydrologist(), "/api/page/state"); res.StatusCode != 200 {
		t.Errorf("the state for staff: %d", res.StatusCode)
	}
	for _, url := range []string{"/", "/manifest.webmanifest", "/open/stations.geojson"} {
		if res := get(t, p, quantrac.Principal{}, url); res.StatusCode != 200 {
			t.Errorf("%s for nobody: %d", url, res.StatusCode)
		}
	}
}

// Charts are read a few at a time; the next wait, then are refused as busy.
func TestReadsAreBounded(t *testing.T) {
	n := newNetwork()
	p := newPage(t, n, Options{MaxReads: 1})
	p.reads <- struct{}{}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	a := &asked{cell: &cell{view: &stationView{ID: "tan-quoi"}}}
	if _, err := p.read(ctx, a, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v, want to leave with the reader", err)
	}
	<-p.reads
	if _, err := p.read(t.Context(), a, "x"); err != nil {
		t.Error(err)
	}
}

func TestOpenData(t *testing.T) {
	n := newNetwork()
	p := newPage(t, n, Options{OpenData: true})
	res := get(t, p, quantrac.Principal{}, "/open/series.csv?station=tan-quoi&from=2026-10-06T00:00:00Z")
	rows, err := csv.NewReader(res.Body).ReadAll()
	if err != nil || len(rows) < 100 || res.Header.Get("Access-Control-Allow-Origin") != "*" {
		t.Fatalf("%d rows, %v, %v", len(rows), err, res.Header)
	}
	if !slices.Equal(rows[0], []string{"time", "station", "metric", "sensor", "species", "value", "unit", "quality", "simulated"}) {
		t.Errorf("head %q", rows[0])
	}
	last := rows[len(rows)-1]
	if last[0] != "2026-10-07T03:10:00.000+07:00" || last[1] != "tan-quoi" || last[6] != "m" || last[7] != "1" || last[8] != "true" {
		t.Errorf("last row %q", last)
	}
	rows, err = csv.NewReader(get(t, p, quantrac.Principal{}, "/open/series.csv?station=tan-quoi&asof=2026-10-05T00:00:00Z").Body).ReadAll()
	if err != nil || len(rows) < 600 || rows[1][0] > "2026-09-30T08" || rows[len(rows)-1][0] != "2026-10-05T07:00:00.000+07:00" {
		t.Errorf("as of a day: %d rows, %v, want the five days before it", len(rows), err)
	}
	geo := body[struct {
		Type     string
		Features []struct {
			Geometry   *point
			Properties stationView
		}
	}](t, get(t, p, quantrac.Principal{}, "/open/stations.geojson"))
	if geo.Type != "FeatureCollection" || len(geo.Features) != 31 || geo.Features[0].Geometry.Coordinates != [2]float64{105.3775, 10.6568} || !geo.Features[0].Properties.Simulated {
		t.Errorf("got %+v", geo.Features[0])
	}
	for _, f := range geo.Features {
		if f.Properties.ID == "bay-02" && f.Geometry != nil {
			t.Error("a station of unknown place has a geometry")
		}
	}
	if res := get(t, newPage(t, n, Options{}), quantrac.Principal{}, "/open/stations.geojson"); res.StatusCode != http.StatusNotFound {
		t.Errorf("open data switched off: got %d, want 404", res.StatusCode)
	}
	if res := get(t, p, quantrac.Principal{}, "/api/page/station/tan-quoi/series.csv?days=1"); res.Header.Get("Content-Disposition") == "" {
		t.Error("a chart's table is no download")
	}
}

func TestHeadersAndFiles(t *testing.T) {
	p := newPage(t, newNetwork(), Options{})
	index := get(t, p, quantrac.Principal{}, "/")
	html, _ := io.ReadAll(index.Body)
	csp := index.Header.Get("Content-Security-Policy")
	if !strings.Contains(csp, "default-src 'none'") || strings.Contains(csp, "unsafe") || strings.Contains(csp, "http") {
		t.Errorf("policy %q", csp)
	}
	if bytes.Contains(html, []byte("<style")) || bytes.Contains(html, []byte("style=")) || bytes.Contains(html, []byte("<script>")) {
		t.Error("inline style or script in the page")
	}
	for name, f := range p.assets.files {
		url := name
		if name == "/index.html" {
			url = "/"
		}
		res := get(t, p, quantrac.Principal{}, url)
		raw, _ := io.ReadAll(res.Body)
		if res.StatusCode != 200 || !bytes.Equal(raw, f.raw) || res.Header.Get("X-Content-Type-Options") != "nosniff" {
			t.Errorf("%s: status %d, %d bytes", url, res.StatusCode, len(raw))
		}
		cached := res.Header.Get("Cache-Control")
		if immutable := strings.Contains(cached, "immutable"); immutable != strings.HasPrefix(name, "/assets/") {
			t.Errorf("%s: cached as %q", name, cached)
		}
		if res := get(t, p, quantrac.Principal{}, url, "If-None-Match", res.Header.Get("ETag")); res.StatusCode != 304 {
			t.Errorf("%s: asked again: %d, want 304", name, res.StatusCode)
		}
		if strings.HasSuffix(name, ".js") && !strings.HasPrefix(res.Header.Get("Content-Type"), "text/javascript") {
			t.Errorf("%s: type %q", name, res.Header.Get("Content-Type"))
		}
	}
	if res := get(t, p, quantrac.Principal{}, "/etc/passwd"); res.StatusCode != 404 {
		t.Errorf("unknown path: %d", res.StatusCode)
	}
}
