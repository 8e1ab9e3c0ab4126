package e2e

import (
	"encoding/base64"
	"encoding/json"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestFirstAccount goes the way of a new installation: no account, the setup
// code, a token, a station with its device; and who is nobody is let see the
// page and nothing else.
func TestFirstAccount(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	refused := func(a *asker, method, path, body string, want int) {
		t.Helper()
		got, err := a.try(method, path, body)
		if err != nil || got.status != want {
			t.Errorf("%s %s: %d %s, %v, want %d", method, path, got.status, got.body, err, want)
		}
	}
	line := fmt.Sprintf("water,station=a level_meters=1 %d", time.Now().UnixNano())
	nobody := s.nobody()
	refused(nobody, "GET", "/", "", 200)
	refused(nobody, "GET", "/api/page/state", "", 200)
	refused(nobody, "GET", "/-/ready", "", 200)
	refused(nobody, "GET", "/api/v1/query?query=1", "", 401)
	refused(nobody, "POST", "/write?db=d", line, 401)
	refused(nobody, "POST", "/api/v2/write?bucket=b", line, 401)
	refused(nobody, "GET", "/api/dead-letters", "", 403)
	refused(nobody, "GET", "/api/alerting/subscriptions", "", 403)
	refused(s.bearer("wrong"), "GET", "/api/v1/query?query=1", "", 401)

	code := s.setupCode()
	refused(nobody, "POST", "/api/auth/setup", `{"code":"not-it","name":"chi","password":"mat khau dai hon"}`, 401)
	setup := nobodySays(t, nobody, "POST", "/api/auth/setup", fmt.Sprintf(`{"code":%q,"name":"chi","password":"mat khau dai hon"}`, code))
	cookie := setup.header.Get("Set-Cookie")
	if !strings.Contains(cookie, "HttpOnly") || !strings.Contains(cookie, "SameSite=Lax") {
		t.Errorf("session cookie is %q", cookie)
	}
	refused(nobody, "POST", "/api/auth/setup", fmt.Sprintf(`{"code":%q,"name":"other","password":"mat khau dai hon"}`, code), 409)

	admin := s.nobody()
	admin.header.Set("Cookie", strings.SplitN(cookie, ";", 2)[0])
	var token struct{ Secret string }
	nobodySays(t, admin, "POST", "/api/auth/tokens", `{"name":"grafana","role":"viewer"}`).json(t, &token)
	viewer := s.bearer(token.Secret)
	refused(viewer, "GET", "/api/v1/query?query=1", "", 200)
	refused(viewer, "POST", "/write?db=d", line, 403)

	admin.header.Set("Content-Type", "text/csv")
	var report struct {
		Tokens []struct{ Device, Token string }
	}
	nobodySays(t, admin, "POST", "/api/registry/import", gaugeHeader+gaugeRow("g1", [3]float64{1, 2, 3}, 0, 0, time.Minute)).json(t, &report)
	if len(report.Tokens) != 1 {
		t.Fatalf("import made the tokens %+v", report.Tokens)
	}
	device := s.nobody()
	device.header.Set("Authorization", "Basic "+base64.StdEncoding.EncodeToString([]byte(report.Tokens[0].Device+":"+report.Tokens[0].Token)))
	own := strings.Replace(line, ",station=a", "", 1)
	refused(device, "POST", "/write?db=d", own, 204)
	refused(device, "POST", "/write?db=d", line, 400) // another's station
	refused(device, "GET", "/api/v1/query?query=1", "", 401)
	refused(device, "GET", "/api/dead-letters", "", 403)
	got, err := viewer.try("GET", "/api/v1/query?query=water_level_meters", "")
	if err != nil || !strings.Contains(string(got.body), `"station":"g1"`) || strings.Contains(string(got.body), `"station":"a"`) {
		t.Errorf("the device's reading: %s, %v", got.body, err)
	}
}

// setupCode is the one that the service has printed.
func (s *service) setupCode() (code string) {
	s.t.Helper()
	eventually(s.t, "setup code printed", func() error {
		m := regexp.MustCompile(`setup code (\S+)`).FindStringSubmatch(s.log.String())
		if m == nil {
			return fmt.Errorf("not in %q", s.log)
		}
		code = m[1]
		return nil
	})
	return code
}

// TestBehindAProxy: with the proxy named, a stranger's guesses are the stranger's
// alone, the audit log says who signed in from where, and cookies go back over
// TLS only.
func TestBehindAProxy(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--base-url", "https://quantrac.example.vn", "--trusted-proxies", "127.0.0.1,::1")
	behind := func(forwarded string) *asker {
		a := s.nobody()
		a.header.Set("X-Forwarded-For", forwarded)
		a.header.Set("X-Forwarded-Proto", "https")
		return a
	}
	code := s.setupCode()
	for range 30 { // nobody can keep the first administrator out either
		behind("203.0.113.9").want(401, "POST", "/api/auth/setup", `{"code":"x","name":"x","password":"mat khau dai hon"}`)
	}
	behind("198.51.100.1").want(200, "POST", "/api/auth/setup", fmt.Sprintf(`{"code":%q,"name":"chi","password":"mat khau dai hon"}`, code))
	held := 0
	for i := range 30 {
		got, err := behind(fmt.Sprintf("198.51.100.%d, 203.0.113.9", i)).try("POST", "/api/auth/login", fmt.Sprintf(`{"name":"x%d","password":"wrong"}`, i))
		if err != nil {
			t.Fatal(err)
		}
		if got.status == 429 {
			held++
		}
	}
	if held == 0 {
		t.Error("a stranger guesses without being held up")
	}
	in := behind("198.51.100.2").want(200, "POST", "/api/auth/login", `{"name":"chi","password":"mat khau dai hon"}`)
	admin := behind("198.51.100.2")
	for _, c := range in.header.Values("Set-Cookie") {
		if !strings.Contains(c, "; Secure") {
			t.Errorf("cookie %q goes back without TLS", c)
		}
		admin.header.Add("Cookie", strings.SplitN(c, ";", 2)[0])
	}
	if got := admin.want(200, "GET", "/api/auth/audit?action=login", ""); !strings.Contains(string(got.body), `"198.51.100.2"`) {
		t.Errorf("audit log: %s", got.body)
	}
}

// TestMetricsAreForStaff: figures of the service are for those who run it.
func TestMetricsAreForStaff(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir())
	setup := s.nobody().want(200, "POST", "/api/auth/setup", fmt.Sprintf(`{"code":%q,"name":"chi","password":"mat khau dai hon"}`, s.setupCode()))
	admin := s.nobody()
	admin.header.Set("Cookie", strings.SplitN(setup.header.Get("Set-Cookie"), ";", 2)[0])
	var token struct{ Secret string }
	admin.want(200, "POST", "/api/auth/tokens", `{"name":"prometheus","role":"viewer"}`).json(t, &token)
	outside := func(a *asker) *asker {
		a.header.Set("X-Forwarded-For", "203.0.113.9") // by a proxy on this machine
		return a
	}
	if got := s.nobody().want(200, "GET", "/metrics", ""); !strings.Contains(string(got.body), "quantrac_build_info") {
		t.Errorf("metrics: %.300s", got.body)
	}
	if got := outside(s.nobody()).want(401, "GET", "/metrics", ""); strings.Contains(string(got.body), "quantrac_") {
		t.Errorf("shown to strangers: %.300s", got.body)
	}
	outside(s.bearer(token.Secret)).want(200, "GET", "/metrics", "")
}

// TestPageForStaff: an operator may keep the page and the warnings to signed-in
// staff. A proxy's header makes a local request one from outside.
func TestPageForStaff(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev", "--no-public-page")
	importStations(s, gaugeHeader+gaugeRow("g1", [3]float64{1, 2, 3}, 0, 0, time.Minute))
	outside := s.nobody()
	outside.header.Set("X-Forwarded-For", "203.0.113.9")
	for _, path := range []string{"/api/page/state", "/api/page/live", "/api/page/station/g1", "/api/page/station/g1/series.csv"} {
		if got := outside.want(401, "GET", path, ""); strings.Contains(string(got.body), "g1") {
			t.Errorf("%s: %s", path, got.body)
		}
	}
	const watch = "/quantrac.v1.WarningService/Watch"
	for _, path := range []string{"/api/alerting/warnings", "/api/alerting/history"} {
		outside.want(401, "GET", path, "")
		s.nobody().want(200, "GET", path, "")
	}
	outside.want(401, "POST", watch, "{}")
	outside.want(200, "GET", "/", "") // with the sign-in form
	if got := s.nobody().want(200, "GET", "/api/page/state", ""); !strings.Contains(string(got.body), `"staff":true`) {
		t.Errorf("the page for staff: %s", got.body)
	}
	s.stop()

	// Open data hold the public warnings: there is nothing to keep back.
	s = start(t, t.TempDir(), "--dev", "--no-public-page", "--open-data")
	outside.base = s.http
	outside.want(401, "GET", "/api/page/state", "")
	for _, path := range []string{"/api/alerting/warnings", "/api/alerting/history", "/open/cap"} {
		outside.want(200, "GET", path, "")
	}
}

// nobodySays makes a request that has to go well.
func nobodySays(t *testing.T, a *asker, method, path, body string) answer {
	t.Helper()
	got, err := a.try(method, path, body)
	if err != nil || got.status >= 300 || got.status < 200 {
		t.Fatalf("%s %s: %d %s, %v", method, path, got.status, got.body, err)
	}
	if len(got.body) > 0 && !json.Valid(got.body) {
		t.Fatalf("%s %s: %s is no JSON", method, path, got.body)
	}
	return got
}
