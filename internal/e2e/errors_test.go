package e2e

import (
	"net/http"
	"strings"
	"testing"
)

// TestErrorForm: whatever room refuses a request, and why, its error has one
// form. What imitates a foreign server has that server's.
func TestErrorForm(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev", "--clock", "replay")
	local := s.nobody()
	f := func(method, path, body string, status int) {
		t.Helper()
		var e struct{ Status, ErrorType, Code, Error, Message string }
		got := local.do(method, path, body)
		if got.status != status || !strings.HasPrefix(got.header.Get("Content-Type"), "application/json") {
			t.Errorf("%s %s: %d, %s; want %d, JSON: %.300s", method, path, got.status, got.header.Get("Content-Type"), status, got.body)
			return
		}
		got.json(t, &e)
		if e.Status != "error" || e.Code == "" || e.ErrorType != e.Code || e.Message == "" || e.Error != e.Message {
			t.Errorf("%s %s: error in a form of its own: %s", method, path, got.body)
		}
	}
	const bad, none, way = http.StatusBadRequest, http.StatusNotFound, http.StatusMethodNotAllowed
	f("GET", "/api/forecast/latest", "", bad)
	f("GET", "/api/forecast/runs/99", "", none)
	f("GET", "/api/forecast/other", "", none)
	f("POST", "/api/alerting/subscriptions", "{", bad)
	f("POST", "/api/alerting/subscriptions", `{"url": "ftp://x"}`, bad)
	f("GET", "/api/alerting/subscriptions/none", "", none)
	f("PUT", "/api/alerting/subscriptions/none", "{}", way)
	f("GET", "/api/alerting/history?limit=0", "", bad)
	f("GET", "/api/alerting/other", "", none)
	f("GET", "/api/dead-letters?limit=x", "", bad)
	f("GET", "/api/dead-letters/99", "", none)
	f("DELETE", "/api/dead-letters", "", way)
	f("GET", "/api/registry/stations/none", "", none)
	f("POST", "/api/registry/stations", "{}", way)
	f("PUT", "/api/registry/stations/x", `{"id": "y"}`, bad)
	f("POST", "/api/auth/login", "{}", http.StatusUnauthorized)
	f("GET", "/api/auth/other", "", none)
	f("DELETE", "/api/admin/snapshots/none", "", none)
	f("PATCH", "/api/admin/snapshots", "{}", way)
	f("GET", "/api/page/station/none", "", none)
	f("GET", "/api/page/other", "", none)
	f("PUT", "/api/clock", "noon", bad)
	f("GET", "/api/nothing", "", none)
	local.header.Set("Content-Type", "text/plain")
	f("POST", "/api/alerting/subscriptions", `{"url": "https://x.example"}`, http.StatusUnsupportedMediaType)
	f("POST", "/api/registry/import", "x", http.StatusUnsupportedMediaType)

	locked := launch(t, t.TempDir(), 0, 0)
	locked.waitReady()
	local = locked.nobody()
	f("GET", "/api/v1/query?query=1", "", http.StatusUnauthorized)
	f("GET", "/api/registry/stations", "", http.StatusUnauthorized)
	f("GET", "/api/alerting/subscriptions", "", http.StatusForbidden)
	f("GET", "/api/dead-letters", "", http.StatusForbidden)
	f("GET", "/api/auth/accounts", "", http.StatusForbidden)
	f("GET", "/api/admin/snapshots", "", http.StatusForbidden)
	f("GET", "/api/forecast/latest?station=x&property=y", "", http.StatusForbidden)
}
