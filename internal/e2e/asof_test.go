package e2e

import (
	"encoding/csv"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"
)

// TestAsOf: a reading that was sent again with another value can be read as it
// was known in between, by every way that answers with readings.
func TestAsOf(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev", "--open-data", "--clock", "replay")
	begin := time.Date(2026, 7, 1, 0, 0, 0, 0, time.UTC)
	s.setClock(begin.Add(time.Minute))
	gauge := s.device("gauge")
	send := func(stage float64) {
		s.publish(gauge, "v1/gauge/obs", fmt.Sprintf(`{"time": %d, "values": {"water_level_meters": %g}}`, begin.UnixMilli(), stage))
	}
	send(1.5)
	s.setClock(begin.Add(2 * time.Hour))
	send(1.7)
	s.setClock(begin.Add(3 * time.Hour))

	f := func(asOf, want string) {
		t.Helper()
		for _, table := range []string{"/open/series.csv?station=gauge", "/api/page/station/gauge/series.csv?days=1"} {
			address := table + "&asof=" + url.QueryEscape(asOf)
			eventually(t, address, func() error { // the page learns of a station in its own time
				if got := column(t, s.nobody().do("GET", address, ""), "value"); got != want {
					return fmt.Errorf("values %q, want %q", got, want)
				}
				return nil
			})
		}
	}
	f("", "1.7")
	f(begin.Add(time.Hour).Format(time.RFC3339), "1.5")
	f(fmt.Sprint(begin.Add(time.Hour).Unix()), "1.5")
	f(begin.Add(2*time.Hour).Format(time.RFC3339), "1.7")
	f(begin.Format(time.RFC3339), "") // nothing was known yet
	f("0", "")
	got, err := s.query("/api/v1/query", `last_over_time(water_level_meters{station="gauge"}[3h])`, "asof", begin.Add(time.Hour).Format(time.RFC3339), "time", begin.Add(time.Hour).Format(time.RFC3339))
	if err != nil || len(got) != 1 || got[0].Value[1] != "1.5" {
		t.Errorf("PromQL answers %v, %v; want 1.5", got, err)
	}
	t.Run("refused", func(t *testing.T) { asOfRefused(t, s) })
}

// column returns the values of a column of a table, with spaces between; those
// of a table that is not there yet are its status.
func column(t *testing.T, a answer, name string) string {
	t.Helper()
	if a.status != http.StatusOK {
		return fmt.Sprintf("status %d: %s", a.status, a.body)
	}
	rows, err := csv.NewReader(strings.NewReader(string(a.body))).ReadAll()
	if err != nil {
		t.Fatalf("%v in %q", err, a.body)
	}
	var out []string
	for i, cell := range rows[0] {
		for _, row := range rows[1:] {
			if cell == name {
				out = append(out, row[i])
			}
		}
	}
	return strings.Join(out, " ")
}

// asOfRefused asks what can only be said of now as of a time: an answer would
// pass for what was known then. What is no time is refused everywhere.
func asOfRefused(t *testing.T, s *service) {
	ask := s.nobody()
	for _, path := range []string{
		"/api/page/state", "/api/page/live", "/api/page/station/gauge", "/open/stations.geojson", "/open/cap", "/open/cap/feed.atom",
		"/api/alerting/warnings", "/api/alerting/subscriptions", "/api/registry/stations", "/api/registry/stations/gauge", "/api/registry/devices",
		"/api/dead-letters", "/api/auth/audit", "/api/forecast/models",
	} {
		if got := ask.do("GET", withParam(path, "asof", "2026-07-01T00:00:00Z"), ""); got.status != http.StatusBadRequest || !strings.Contains(string(got.body), "asof") {
			t.Errorf("%s as of a time: status %d %.200s, want 400 that names asof", path, got.status, got.body)
		}
	}
	for _, path := range []string{
		"/open/series.csv?station=gauge", "/api/page/station/gauge/series.csv", "/api/v1/query?query=up", "/api/v1/series?match[]=up", "/api/alerting/history",
		"/api/forecast/latest?station=gauge&property=water_level_meters", "/api/forecast/runs?station=gauge&property=water_level_meters", "/api/forecast/runs/1", "/api/forecast/skill?station=gauge&property=water_level_meters",
	} {
		if got := ask.do("GET", withParam(path, "asof", "yesterday"), ""); got.status != http.StatusBadRequest || !strings.Contains(string(got.body), "yesterday") {
			t.Errorf("%s as of yesterday: status %d %.200s, want 400 that names it", path, got.status, got.body)
		}
	}
}

func withParam(path, name, value string) string {
	sep := "?"
	if strings.Contains(path, "?") {
		sep = "&"
	}
	return path + sep + name + "=" + url.QueryEscape(value)
}
