package e2e

import (
	"encoding/base64"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"
)

// founded is a service in earnest, with its first account.
func founded(t *testing.T) (*service, *asker) {
	t.Helper()
	s := start(t, t.TempDir(), "--open-data")
	var code string
	eventually(t, "setup code printed", func() error {
		m := regexp.MustCompile(`setup code (\S+)`).FindStringSubmatch(s.log.String())
		if m == nil {
			return fmt.Errorf("not in %q", s.log)
		}
		code = m[1]
		return nil
	})
	setup := nobodySays(t, s.nobody(), "POST", "/api/auth/setup", fmt.Sprintf(`{"code":%q,"name":"chi","password":"mat khau dai hon"}`, code))
	admin := s.nobody()
	admin.header.Set("Cookie", strings.SplitN(setup.header.Get("Set-Cookie"), ";", 2)[0])
	return s, admin
}

// token makes an API token and returns who uses it.
func token(t *testing.T, s *service, admin *asker, body string) *asker {
	t.Helper()
	var made struct{ Secret string }
	nobodySays(t, admin, "POST", "/api/auth/tokens", body).json(t, &made)
	return s.bearer(made.Secret)
}

func basic(name, secret string) string {
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(name+":"+secret))
}

// TestWhoSeesForecasts: signed-in staff do, each the stations they may see, and
// nobody else, by whatever door; with an issuing authority on record everybody
// does, and is told whose forecast it is.
func TestWhoSeesForecasts(t *testing.T) {
	t.Parallel()
	s, admin := founded(t)
	admin.header.Set("Content-Type", "text/csv")
	var report struct {
		Tokens []struct{ Device, Token string }
	}
	nobodySays(t, admin, "POST", "/api/registry/import", twoGauges).json(t, &report)
	admin.header.Del("Content-Type")
	above, below := waves(400)
	now := time.Now().Truncate(time.Hour)
	stages := map[string][]float64{"above": above, "below": below}
	for _, d := range report.Tokens {
		device := s.nobody()
		device.header.Set("Authorization", basic(d.Device, d.Token))
		var lines strings.Builder
		for i, v := range stages[d.Device] {
			fmt.Fprintf(&lines, "water level_meters=%.3f %d\n", v, now.Add(time.Duration(i-399)*time.Hour).Unix())
		}
		device.want(http.StatusNoContent, "POST", "/write?db=d&precision=s", lines.String())
	}
	viewer := token(t, s, admin, `{"name":"grafana","role":"viewer"}`)
	elsewhere := token(t, s, admin, `{"name":"elsewhere","role":"viewer","stations":["above"]}`)
	device := s.nobody()
	device.header.Set("Authorization", basic(report.Tokens[0].Device, report.Tokens[0].Token))

	gauge := url.Values{"station": {"below"}, "property": {"water_level_meters"}}.Encode()
	var run struct{ ID uint64 }
	eventually(t, "the first forecast", func() error {
		got, err := viewer.try("GET", "/api/forecast/latest?"+gauge, "")
		if err == nil && got.status != http.StatusOK {
			err = fmt.Errorf("%d %s", got.status, got.body)
		}
		if err == nil {
			got.json(t, &run)
		}
		return err
	})
	api := []string{"/api/forecast/latest?" + gauge, "/api/forecast/runs?" + gauge, fmt.Sprintf("/api/forecast/runs/%d", run.ID), "/api/forecast/skill?" + gauge}
	const foretold = "/api/alerting/warnings?audience=staff"
	promql := "/api/v1/query?query=" + url.QueryEscape(`last_over_time(water_level_forecast_meters{station="below"}[2h])`) + fmt.Sprintf("&time=%d", now.Add(2*time.Hour).Unix())
	eventually(t, "the warning of the wave", func() error {
		if got := viewer.want(http.StatusOK, "GET", foretold, ""); !strings.Contains(string(got.body), `"rule":"forecast"`) {
			return fmt.Errorf("not among %s", got.body)
		}
		return nil
	})
	eventually(t, "the page knows the station", func() error {
		if got := viewer.do("GET", "/api/page/station/below", ""); got.status != http.StatusOK {
			return fmt.Errorf("%d %s", got.status, got.body)
		}
		return nil
	})
	sees := func(who *asker, name string, forecasts, warning, public bool) {
		t.Helper()
		for _, path := range api {
			if got := who.do("GET", path, ""); (got.status == http.StatusOK) != (forecasts || public) || got.status != http.StatusOK && got.status != http.StatusForbidden {
				t.Errorf("%s: %s: %d %.200s", name, path, got.status, got.body)
			}
		}
		check := func(path, sign string, want bool) {
			t.Helper()
			if got := who.do("GET", path, ""); strings.Contains(string(got.body), sign) != want {
				t.Errorf("%s: %s: %d %.300s; it is to hold %s: %v", name, path, got.status, got.body, sign, want)
			}
		}
		check("/api/forecast/models", `"below"`, forecasts || public)
		check(promql, `"quantile":"0.5"`, forecasts)
		check("/api/page/station/below", `"p_max"`, forecasts || public)
		check("/api/page/station/below", `"authority":"Đài Khí tượng Thủy văn tỉnh"`, public)
		check(foretold, `"rule":"forecast"`, warning)
		check("/open/cap", "Forecast", false)
	}
	sees(viewer, "viewer", true, true, false)
	sees(elsewhere, "viewer of another station", false, false, false)
	sees(s.nobody(), "nobody", false, false, false)
	sees(device, "the device itself", false, false, false)

	admin.want(http.StatusOK, "PUT", "/api/registry/authorities?reason=licence", `{"name":"Đài Khí tượng Thủy văn tỉnh","legal_basis":"Giấy phép 12/GP-BTNMT"}`)
	sees(viewer, "viewer", true, true, true)
	sees(s.nobody(), "nobody", false, false, true)
}
