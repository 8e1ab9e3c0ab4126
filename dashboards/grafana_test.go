package dashboards

import (
	"encoding/json"
	"io/fs"
	"maps"
	"net/http/httptest"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/prometheus/prometheus/promql/parser"
	"go.yaml.in/yaml/v3"
)

func TestGrafanaQueriesAreWellFormed(t *testing.T) {
	qs, err := Queries(Grafana())
	if err != nil {
		t.Fatal(err)
	}
	kinds := map[string]int{}
	for _, q := range qs {
		kind, _, _ := strings.Cut(q.Where, " ")
		kinds[kind]++
		to := time.UnixMilli(int64(fakeNow))
		p, err := q.Path(map[string]string{"station": ".+", "model": ".+"}, to.Add(-24*time.Hour), to, time.Minute)
		if err != nil {
			t.Error(err)
			continue
		}
		u, err := url.Parse(p)
		if err != nil || !strings.HasPrefix(u.Path, "/api/v1/") {
			t.Errorf("%s: %q: %v", q.Where, p, err)
			continue
		}
		expr := u.Query().Get("query") + u.Query().Get("match[]")
		if _, err := parser.NewParser(parser.Options{}).ParseExpr(expr); expr != "" && err != nil {
			t.Errorf("%s: %s: %v", q.Where, expr, err)
		}
	}
	if kinds["panel"] < 10 || kinds["variable"] < 2 || kinds["annotation"] < 1 {
		t.Errorf("found %v; the extraction misses some", kinds)
	}
}

// TestGrafanaShowsWhatIsSimulated: whatever a panel or an annotation makes of
// simulated series, people read that they are made up.
func TestGrafanaShowsWhatIsSimulated(t *testing.T) {
	qs, err := Queries(Grafana())
	if err != nil {
		t.Fatal(err)
	}
	series := map[string]string{
		"__name__": "m", "station": "sim_1", "name": "[MÔ PHỎNG] Tân Quới", "simulated": "true",
		"species": "nilaparvata_lugens", "model": "arx", "quantile": "0.5", "kind": "theo_doi", "level": "1",
	}
	measured := maps.Clone(series)
	measured["name"], measured["simulated"] = "Tân Quới", ""
	seen := 0
	for _, q := range qs {
		if q.Label != "" {
			continue
		}
		expr, err := parser.NewParser(parser.Options{}).ParseExpr(variable.ReplaceAllString(q.Expr, "x"))
		if err != nil {
			t.Fatal(err)
		}
		seen++
		if text := q.Shown(through(t, expr, series)); !strings.Contains(text, "MÔ PHỎNG") {
			t.Errorf("%s: %s: beside what is made up stands %q", q.Where, q.Expr, text)
		}
		if text := q.Shown(through(t, expr, measured)); strings.Contains(text, "MÔ PHỎNG") || text == "" {
			t.Errorf("%s: %s: beside what is measured stands %q", q.Where, q.Expr, text)
		}
	}
	if seen < 14 {
		t.Errorf("%d queries looked at", seen)
	}
}

// through returns the labels that a series has after an expression.
func through(t *testing.T, expr parser.Expr, series map[string]string) map[string]string {
	t.Helper()
	switch e := expr.(type) {
	case *parser.VectorSelector:
		return maps.Clone(series)
	case *parser.MatrixSelector:
		return through(t, e.VectorSelector, series)
	case *parser.SubqueryExpr:
		return through(t, e.Expr, series)
	case *parser.ParenExpr:
		return through(t, e.Expr, series)
	case *parser.BinaryExpr:
		if e.LHS.Type() == parser.ValueTypeScalar {
			return through(t, e.RHS, series)
		}
		return through(t, e.LHS, series)
	case *parser.AggregateExpr:
		ls := through(t, e.Expr, series)
		if e.Op == parser.TOPK || e.Op == parser.BOTTOMK {
			return ls
		}
		maps.DeleteFunc(ls, func(name, _ string) bool { return slices.Contains(e.Grouping, name) == e.Without })
		return ls
	case *parser.Call:
		ls := through(t, e.Args[0], series)
		if e.Func.Name == "label_replace" {
			text := func(i int) string { return e.Args[i].(*parser.StringLiteral).Val }
			if text(4) == ls[text(3)] { // plain values are all that is used
				ls[text(1)] = text(2)
			}
		}
		return ls
	}
	t.Fatalf("%T in %s: not known here", expr, expr)
	return nil
}

func TestQueries(t *testing.T) {
	dash := func(body string) fs.FS { return fstest.MapFS{"x/d.json": {Data: []byte(body)}} }
	got, err := Queries(dash(`{"panels":[{"type":"row","panels":[{"title":"P","targets":[{"expr":"a{s=~\"$s\"}[$__rate_interval]","refId":"A","instant":true}]}]}],
		"templating":{"list":[{"name":"s","type":"query","query":"label_values(m{a=\"b\"}, s)"},{"name":"l","type":"query","query":{"query":"label_values(l)"}},{"name":"ds","type":"datasource","query":"prometheus"}]},
		"annotations":{"list":[{"builtIn":1,"name":"x"},{"name":"y","expr":"up == 0"}]}}`))
	if err != nil || len(got) != 4 {
		t.Fatalf("%v, %v", got, err)
	}
	to := time.UnixMilli(1_700_000_000_000)
	f := func(q Query, want string) {
		t.Helper()
		p, err := q.Path(map[string]string{"s": "x|y"}, to.Add(-time.Hour), to, time.Minute)
		if err != nil || p != want {
			t.Errorf("got %s %v, want %s", p, err, want)
		}
	}
	f(got[0], `/api/v1/label/s/values?end=1700000000.000&match%5B%5D=m%7Ba%3D%22b%22%7D&start=1699996400.000`)
	f(got[1], `/api/v1/label/l/values?end=1700000000.000&start=1699996400.000`)
	f(got[2], `/api/v1/query_range?end=1700000000.000&query=up+%3D%3D+0&start=1699996400.000&step=60`)
	f(got[3], `/api/v1/query?query=a%7Bs%3D~%22x%7Cy%22%7D%5B240000ms%5D&time=1700000000.000`)
	if _, err := got[3].Path(nil, to, to, time.Minute); err == nil || !strings.Contains(err.Error(), "s") {
		t.Errorf("a variable without a value: %v", err)
	}
	if got[3].From != -6*time.Hour || got[3].To != 0 || got[3].Pinned {
		t.Errorf("opened without a range of its own: %+v", got[3])
	}
	for _, bad := range []string{
		`{"panels":[{"title":"P","targets":[{"refId":"A"}]}]}`,
		`{"panels":[{"title":"P","timeFrom":"1d/d","targets":[{"refId":"A","expr":"a"}]}]}`,
		`{"panels":[{"title":"P","timeShift":"1d","targets":[{"refId":"A","expr":"a"}]}]}`,
		`{"time":{"from":"now/d","to":"now"}}`,
		`{"templating":{"list":[{"name":"s","type":"query","query":"query_result(x)"}]}}`,
		`{"annotations":{"list":[{"name":"y"}]}}`, `[`,
	} {
		if _, err := Queries(dash(bad)); err == nil {
			t.Errorf("%s: went untested without an error", bad)
		}
	}
}

// TestQueryRanges: what is forecast is asked for ahead, and the present at the
// present: an instant query is asked at the end of the range.
func TestQueryRanges(t *testing.T) {
	got, err := Queries(fstest.MapFS{"d.json": {Data: []byte(`{"time":{"from":"now-7d","to":"now-30m"},"panels":[
		{"title":"a","targets":[{"expr":"x"}]},{"title":"b","timeFrom":"2w","targets":[{"expr":"x"}]},{"title":"c","timeFrom":"+4d","timeShift":"36h","targets":[{"expr":"x"}]}]}`)}})
	if err != nil || len(got) != 3 {
		t.Fatalf("%v, %v", got, err)
	}
	for i, want := range []Query{{From: -7 * 24 * time.Hour, To: -30 * time.Minute}, {From: -14 * 24 * time.Hour, Pinned: true}, {From: -36 * time.Hour, To: 60 * time.Hour, Pinned: true}} {
		if q := got[i]; q.From != want.From || q.To != want.To || q.Pinned != want.Pinned {
			t.Errorf("%s: %v to %v, pinned %v; want %v to %v, %v", q.Where, q.From, q.To, q.Pinned, want.From, want.To, want.Pinned)
		}
	}
	qs, err := Queries(Grafana())
	if err != nil {
		t.Fatal(err)
	}
	ahead := 0
	for _, q := range qs {
		forecast := q.Label == "" && strings.Contains(q.Expr, "_forecast_")
		if forecast && (!q.Pinned || q.To != 48*time.Hour || q.From >= 0) {
			t.Errorf("%s is asked from %v to %v; forecasts reach two days ahead", q.Where, q.From, q.To)
		}
		if q.Instant && q.To != 0 {
			t.Errorf("%s asks for the present at %v", q.Where, q.To)
		}
		if forecast {
			ahead++
		}
	}
	if ahead < 2 {
		t.Errorf("%d queries of forecasts", ahead)
	}
}

// Grafana reads the provisioning files with its own rules: the data source's
// flavour must be named, and a dashboard must not be called like its folder.
func TestGrafanaProvisioning(t *testing.T) {
	var sources struct {
		Datasources []struct {
			Name, Type, URL, UID string
			JSONData             map[string]any `yaml:"jsonData"`
		}
	}
	var providers struct {
		Providers []struct{ Name, Folder, Type string }
	}
	for file, into := range map[string]any{"provisioning/datasources/quantrac.yaml": &sources, "provisioning/dashboards/quantrac.yaml": &providers} {
		raw, err := fs.ReadFile(Grafana(), file)
		if err != nil {
			t.Fatal(err)
		}
		if err := yaml.Unmarshal(raw, into); err != nil {
			t.Fatalf("%s: %v", file, err)
		}
	}
	ds := sources.Datasources[0]
	if ds.Type != "prometheus" || ds.URL == "" || ds.JSONData["prometheusType"] != "Prometheus" || ds.JSONData["prometheusVersion"] == nil {
		t.Errorf("data source %+v", ds)
	}
	found := 0
	err := fs.WalkDir(Grafana(), "dashboards", func(p string, d fs.DirEntry, err error) error {
		if err != nil || path.Ext(p) != ".json" {
			return err
		}
		raw, err := fs.ReadFile(Grafana(), p)
		var b struct{ Title string }
		if err == nil {
			err = json.Unmarshal(raw, &b)
		}
		if b.Title == "" || b.Title == providers.Providers[0].Folder || b.Title == path.Base(path.Dir(p)) {
			t.Errorf("%s: title %q, folder %q", p, b.Title, providers.Providers[0].Folder)
		}
		found++
		return err
	})
	if err != nil || found == 0 {
		t.Errorf("%d dashboards, %v", found, err)
	}
}

// TestDataSource: Grafana is sent to where the service is, and with a token where
// it asks for one.
func TestDataSource(t *testing.T) {
	f := func(o Options, host, url string, header bool) {
		t.Helper()
		p := newPage(t, newNetwork(), o)
		r := httptest.NewRequest("GET", "http://"+host+"/grafana/"+dataSourceFile, nil)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		var got struct {
			Datasources []struct {
				UID      string
				URL      string            `yaml:"url"`
				JSONData map[string]string `yaml:"jsonData"`
				Secure   map[string]string `yaml:"secureJsonData"`
			}
		}
		if err := yaml.Unmarshal(w.Body.Bytes(), &got); err != nil || len(got.Datasources) != 1 {
			t.Fatalf("%v: %s", err, w.Body)
		}
		d := got.Datasources[0]
		if d.URL != url || (d.JSONData["httpHeaderName1"] == "Authorization") != header ||
			(d.Secure["httpHeaderValue1"] == "Bearer ${QUANTRAC_TOKEN}") != header || d.JSONData["httpMethod"] != "POST" {
			t.Errorf("%s: %+v, want %s, a header %v", host, d, url, header)
		}
	}
	f(Options{}, "127.0.0.1:9999", "http://127.0.0.1:9999", false)
	f(Options{SignIn: true}, "[::1]:8420", "http://[::1]:8420", true)
	f(Options{SignIn: true, BaseURL: "https://quantrac.example.vn"}, "127.0.0.1:8420", "https://quantrac.example.vn", true)
}
