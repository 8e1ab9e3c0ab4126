package e2e

import (
	"bytes"
	"fmt"
	"io/fs"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"quantrac/dashboards"
)

// promAnswer is the form of every answer of the Prometheus interface.
type promAnswer struct {
	Status    string
	ErrorType string
	Error     string
	Data      any
}

// size is how much an answer holds: series of a query, entries of a list.
func (a promAnswer) size() int {
	switch d := a.Data.(type) {
	case []any:
		return len(d)
	case map[string]any:
		switch r := d["result"].(type) {
		case []any:
			return len(r)
		case nil:
			return len(d)
		}
	}
	return 0
}

// series are the label sets of a query's result.
func (a promAnswer) series() []map[string]string {
	d, _ := a.Data.(map[string]any)
	list, _ := d["result"].([]any)
	var out []map[string]string
	for _, r := range list {
		entry, _ := r.(map[string]any)
		metric, _ := entry["metric"].(map[string]any)
		labels := map[string]string{}
		for name, value := range metric {
			labels[name], _ = value.(string)
		}
		out = append(out, labels)
	}
	return out
}

// TestGrafana asks the running service with its simulated network everything
// that the provisioned dashboard asks, and everything that a real Grafana was
// recorded to ask beside.
func TestGrafana(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev", "--simulate", "--simulate-days", "3")
	eventually(t, "the simulated history", func() error {
		if !strings.Contains(s.log.String(), "history: done") {
			return fmt.Errorf("not published yet")
		}
		return nil
	})
	t.Run("dashboard", func(t *testing.T) { dashboardQueries(t, s) })
	t.Run("provisioning", func(t *testing.T) { provisioning(t, s) })
	t.Run("recorded", func(t *testing.T) { recordedGrafana(t, s) })
}

// mayBeEmpty are the queries whose answer depends on what the weather does.
var mayBeEmpty = []string{"annotation Dông tại vị trí"}

// dashboardQueries asks as the dashboard does when it is opened in the first
// minutes of the service, and when the last hours are chosen in it. Forecasts
// are there from the first run on, an hour before their first value has come.
func dashboardQueries(t *testing.T, s *service) {
	queries, err := dashboards.Queries(dashboards.Grafana())
	if err != nil || len(queries) < 15 {
		t.Fatalf("%d queries, %v", len(queries), err)
	}
	now := time.Now()
	for _, q := range queries {
		dashboardQuery(t, s, q, now.Add(q.From), now.Add(q.To))
		if !q.Pinned {
			dashboardQuery(t, s, q, now.Add(-24*time.Hour), now)
		}
	}
}

func dashboardQuery(t *testing.T, s *service, q dashboards.Query, from, to time.Time) {
	t.Helper()
	path, err := q.Path(map[string]string{"station": ".+", "model": ".+"}, from, to, 5*time.Minute)
	if err != nil {
		t.Error(err)
		return
	}
	eventually(t, q.Where, func() error { // forecasts come a moment after their inputs
		got, err := s.nobody().try("GET", path, "")
		if err != nil {
			return err
		}
		var a promAnswer
		got.json(t, &a)
		if got.status != http.StatusOK || a.Status != "success" {
			t.Errorf("%s: %s: status %d %s", q.Where, q.Expr, got.status, got.body)
			return nil
		}
		saysSimulated(t, q, a)
		if a.size() == 0 && !slices.Contains(mayBeEmpty, q.Where) {
			return fmt.Errorf("%s from %v to %v: no data", q.Expr, from, to)
		}
		return nil
	})
}

// saysSimulated wants beside every series, all of them made up, that they are.
func saysSimulated(t *testing.T, q dashboards.Query, a promAnswer) {
	t.Helper()
	for _, series := range a.series() {
		if text := q.Shown(series); q.Label == "" && !strings.Contains(text, "MÔ PHỎNG") {
			t.Errorf("%s: %s: beside the made-up series %v stands %q", q.Where, q.Expr, series, text)
		}
	}
}

// provisioning wants the service to hand out the files that were asked here.
func provisioning(t *testing.T, s *service) {
	err := fs.WalkDir(dashboards.Grafana(), ".", func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		want, err := fs.ReadFile(dashboards.Grafana(), path)
		if strings.HasSuffix(path, "datasources/quantrac.yaml") { // with the service's own address
			want = bytes.Replace(want, []byte("url: http://localhost:8420"), []byte("url: "+strconv.Quote(s.http)), 1)
		}
		if got := s.nobody().want(http.StatusOK, "GET", "/grafana/"+path, ""); err == nil && string(got.body) != string(want) {
			t.Errorf("/grafana/%s is not what is built in", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}

// grafanaRequest is a request as Grafana sends it.
type grafanaRequest struct {
	action, method, path, body string
	some                       bool // the answer holds something
}

// recordedGrafana sends what a Grafana 9.3.6 and the data source of Grafana 13
// were recorded to send, with the headers that they forward.
func recordedGrafana(t *testing.T, s *service) {
	now := time.Now()
	seconds := func(at time.Time) string { return strconv.FormatFloat(float64(at.UnixMilli())/1000, 'f', 3, 64) }
	millis := func(at time.Time) string { return strconv.FormatInt(at.UnixMilli(), 10) }
	from, to := now.Add(-6*time.Hour), now
	span := "start=" + seconds(from) + "&end=" + seconds(to)
	match := func(m string) string { return "match%5B%5D=" + url.QueryEscape(m) + "&" + span }
	expr := "query=" + url.QueryEscape(`water_level_meters`)
	requests := []grafanaRequest{
		{"save and test", "GET", "/api/v1/status/buildinfo", "", true},
		{"save and test", "POST", "/api/v1/query", "query=1%2B1&time=" + seconds(now), true},
		{"explore", "GET", "/api/v1/rules", "", false},
		{"explore", "POST", "/api/v1/query_exemplars", "query=test&start=" + millis(from) + "&end=" + millis(to), false},
		{"explore", "GET", "/api/v1/query_exemplars?query=test&start=" + millis(from) + "&end=" + millis(to), "", false},
		{"explore", "POST", "/api/v1/labels", span, true},
		{"explore", "GET", "/api/v1/label/__name__/values?" + span, "", true},
		{"explore", "GET", "/api/v1/metadata", "", true},
		{"run", "POST", "/api/v1/query", expr + "&time=" + seconds(now), true},
		{"run", "GET", "/api/v1/query?" + expr + "&time=" + seconds(now), "", true},
		{"run", "POST", "/api/v1/query_range", expr + "&" + span + "&step=15", true},
		{"run", "GET", "/api/v1/query_range?" + expr + "&" + span + "&step=60.000", "", true},
		{"run", "POST", "/api/v1/query_range?" + span, expr + "&step=15", true}, // address and body together
		{"browser", "POST", "/api/v1/series", match(`water_level_meters{}`), true},
		{"browser", "GET", "/api/v1/series?" + match(`{__name__="water_level_meters"}`), "", true},
		{"browser", "POST", "/api/v1/series", match(`{job="x"}`), false},
		{"browser", "POST", "/api/v1/series", match(`{__name__!=""}`), true},
		{"browser", "POST", "/api/v1/labels", match(`water_level_meters`), true},
		{"browser", "GET", "/api/v1/label/station/values?" + match(`water_level_meters`), "", true},
		{"variables", "GET", "/api/v1/label/station/values", "", true},
		{"ad hoc filters", "POST", "/api/v1/labels", "", true},
		{"ad hoc filters", "GET", "/api/v1/labels", "", true},
		{"alert list", "GET", "/api/v1/alerts", "", false},
		{"grafana 13", "POST", "/api/v1/labels", span + "&limit=40000", true},
		{"grafana 13", "POST", "/api/v1/label/station/values", span + "&limit=40000", true},
		{"grafana 13", "GET", "/api/v1/label/__name__/values?limit=40000&" + span, "", true},
		{"grafana 13", "POST", "/api/v1/series", match(`water_level_meters`) + "&limit=40000", true},
		{"grafana 13", "GET", "/api/v1/metadata?limit=40000", "", true},
	}
	ask := s.nobody()
	// Grafana passes on what its browser sent; none of it may be refused.
	for name, value := range map[string]string{
		"Content-Type": "application/x-www-form-urlencoded", "Origin": "https://grafana.example", "Referer": "https://grafana.example/explore",
		"Sec-Fetch-Site": "cross-site", "Sec-Fetch-Mode": "cors", "Sec-Fetch-Dest": "empty",
		"FromAlert": "true", "X-Cache-Skip": "true", "X-Rule-Uid": "abc", "Accept-Encoding": "identity",
	} {
		ask.header.Set(name, value)
	}
	for _, r := range requests {
		got := ask.do(r.method, r.path, r.body)
		var a promAnswer
		got.json(t, &a)
		if got.status != http.StatusOK || a.Status != "success" || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s: %s %s %s: status %d %s %.300s", r.action, r.method, r.path, r.body, got.status, got.header.Get("Content-Type"), got.body)
			continue
		}
		if r.some && a.size() == 0 {
			t.Errorf("%s: %s %s %s: the answer is empty: %.300s", r.action, r.method, r.path, r.body, got.body)
		}
		if _, list := a.Data.([]any); strings.Contains(r.path, "exemplars") && !list {
			t.Errorf("%s: exemplars are %s, want a list", r.action, got.body)
		}
	}
	ask.header.Set("Accept-Encoding", "gzip")
	if got := ask.do("POST", "/api/v1/query_range", expr+"&"+span+"&step=15"); got.header.Get("Content-Encoding") != "gzip" || len(got.body) < 2 || got.body[0] != 0x1f {
		t.Errorf("asked for gzip and got %q", got.header.Get("Content-Encoding"))
	}
	// Errors in the form that Grafana shows.
	ask.header.Set("Accept-Encoding", "identity")
	for _, r := range []grafanaRequest{
		{"bad expression", "POST", "/api/v1/query", "query=sum(", false},
		{"no such endpoint", "GET", "/api/v1/nothing", "", false},
		{"no step", "POST", "/api/v1/query_range", expr + "&" + span, false},
	} {
		got := ask.do(r.method, r.path, r.body)
		var a promAnswer
		got.json(t, &a)
		if got.status < 400 || got.status > 499 || a.Status != "error" || a.Error == "" || a.ErrorType == "" {
			t.Errorf("%s: %d %s", r.action, got.status, got.body)
		}
	}
}
