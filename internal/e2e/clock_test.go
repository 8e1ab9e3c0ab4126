package e2e

import (
	"fmt"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"
)

// presentOf returns what the service takes for now.
func presentOf(s *service) time.Time {
	s.t.Helper()
	b := s.must("GET", "/api/v1/query?query=time()", "", "", http.StatusOK)
	var got struct {
		Data struct{ Result [2]any }
	}
	answer{body: b}.json(s.t, &got)
	text, _ := got.Data.Result[1].(string)
	sec, err := strconv.ParseFloat(text, 64)
	if err != nil {
		s.t.Fatalf("time() is %s", b)
	}
	return time.UnixMilli(int64(sec*1000 + 0.5))
}

// TestClockBehindData: what was committed lies ahead of the machine's clock,
// which has gone back. The service says so and does not start; a replay goes on
// from its last commit.
func TestClockBehindData(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := start(t, data, "--dev", "--clock", "replay")
	ahead := time.Now().Add(30 * 24 * time.Hour).Truncate(time.Second)
	s.setClock(ahead)
	s.publish(s.device("gauge"), "v1/gauge/obs", fmt.Sprintf(`{"time": %d, "values": {"water_level_meters": 1.5}}`, ahead.UnixMilli()))
	s.stop()

	late := launch(t, data, 0, 0, "--dev")
	select {
	case <-late.done:
	case <-time.After(patience):
		t.Fatal("the service runs with a clock that stands before its last commit")
	}
	if code := late.cmd.ProcessState.ExitCode(); code != 1 {
		t.Errorf("exit status %d, want 1", code)
	}
	text := late.log.String()
	// It names both times, so that whoever reads it sees which is wrong.
	for _, want := range []string{"clock", ahead.In(time.FixedZone("", 7*3600)).Format("2006-01-02T15:04:05"), time.Now().In(time.FixedZone("", 7*3600)).Format("2006-01-02T")} {
		if !strings.Contains(text, want) {
			t.Errorf("the error does not say %q:\n%s", want, text)
		}
	}
	if strings.Contains(text, "goroutine") || strings.Contains(text, "\nready") {
		t.Errorf("it began to serve, or panicked:\n%s", text)
	}

	s = start(t, data, "--dev", "--clock", "replay")
	if got := presentOf(s); got.Before(ahead) {
		t.Errorf("the clock stands at %v, before the last commit of %v", got, ahead)
	}
	s.setClock(ahead.Add(-time.Hour))
	if got := presentOf(s); got.Before(ahead) {
		t.Errorf("the clock was set back to %v", got)
	}
	s.setClock(ahead.Add(time.Minute))
	if got := presentOf(s); !got.Equal(ahead.Add(time.Minute)) {
		t.Errorf("the clock stands at %v, was set to %v", got, ahead.Add(time.Minute))
	}
	got, err := s.values(`water_level_meters{station="gauge"}`, time.Hour, ahead.Add(time.Minute))
	if err != nil || got[ahead.UnixMilli()] != 1.5 {
		t.Errorf("readings %v, %v", got, err)
	}
	s.must("PUT", "/api/clock", "", "tomorrow", http.StatusBadRequest)
}

// TestClockAccepted: what was committed lies ahead of the machine's clock, which
// was wrong then. An operator who says what time it is by another clock gets the
// service going, for good, and into the audit log.
func TestClockAccepted(t *testing.T) {
	t.Parallel()
	data := t.TempDir()
	s := start(t, data, "--dev", "--clock", "replay")
	s.setClock(time.Now().Add(3000 * 24 * time.Hour))
	importStations(s, gaugeHeader+gaugeRow("gauge", [3]float64{1, 2, 3}, 0, 0, time.Minute))
	s.nobody().want(http.StatusNoContent, "PUT", "/api/auth/accounts/hoa", `{"role":"technician"}`)
	s.nobody().want(http.StatusNoContent, "POST", "/api/auth/accounts/hoa/password", `{"password":"mat khau dai hon"}`)
	s.stop()
	for args, want := range map[string]string{"": "--accept-clock=TIME", "--accept-clock=2020-01-01T00:00:00Z": "is not about", "--accept-clock=soon": "neither RFC 3339"} {
		all := []string{"serve", "--data", data, "--dev", "--http", "127.0.0.1:0", "--mqtt", "off"}
		if args != "" {
			all = append(all, args)
		}
		if r := quantracRun(t, nil, all...); r.code != 1 || !strings.Contains(r.stderr, want) {
			t.Errorf("%s: status %d, want %q in %s", args, r.code, want, r.stderr)
		}
	}
	s = start(t, data, "--dev", "--accept-clock", time.Now().Add(-time.Hour).Format(time.RFC3339))
	now := time.Now().Truncate(time.Second)
	s.publish(s.device("gauge"), "v1/gauge/obs", fmt.Sprintf(`{"time": %d, "values": {"water_level_meters": 2.5}}`, now.UnixMilli()))
	eventually(t, "the warning", func() error {
		if all := warningHistory(s); len(all) != 1 || all[0].Level != 2 || all[0].ValidTime != now.UnixMilli() {
			return fmt.Errorf("warnings %+v", all)
		}
		return nil
	})
	works := func() {
		t.Helper()
		login := s.nobody().want(http.StatusOK, "POST", "/api/auth/login", `{"name":"hoa","password":"mat khau dai hon"}`)
		cookie, _, _ := strings.Cut(login.header.Get("Set-Cookie"), ";")
		hoa := s.nobody()
		hoa.header.Set("Cookie", cookie)
		var who struct{ Name string }
		if hoa.want(http.StatusOK, "GET", "/api/auth/session", "").json(t, &who); who.Name != "hoa" {
			t.Errorf("signed in as %q", who.Name)
		}
		// As of a minute from now it is known, and a minute before it was not.
		for after, want := range map[time.Duration]int{time.Minute: 1, -time.Minute: 0} {
			got, err := s.query("/api/v1/query", `water_level_meters{station="gauge"}`, "time", fmt.Sprint(now.Unix()+1), "asof", fmt.Sprint(now.Add(after).Unix()))
			if err != nil || len(got) != want {
				t.Errorf("as of %s from now: %v, %v", after, got, err)
			}
		}
		var entries []struct{ Action, Actor string }
		if s.nobody().want(http.StatusOK, "GET", "/api/auth/audit?action=clock.accept", "").json(t, &entries); len(entries) == 0 || entries[len(entries)-1].Actor != "serve --accept-clock" {
			t.Errorf("in the audit log: %+v", entries)
		}
	}
	works()
	s.stop()
	s = start(t, data, "--dev")
	works()

	// While it runs, nobody has to be believed who does not know the time.
	accept := func(at time.Time, want int) {
		t.Helper()
		s.nobody().want(want, "POST", "/api/clock/accept", fmt.Sprintf(`{"time": %q}`, at.Format(time.RFC3339)))
	}
	accept(time.Now().Add(-48*time.Hour), http.StatusConflict)
	accept(time.Now(), http.StatusNoContent)
	if off := s.metric("quantrac_clock_refused_seconds"); off != 0 {
		t.Errorf("a clock that has not jumped is refused by %v s", off)
	}
}

// TestClockIsNotDriven: nobody sets the clock of a service that runs on the
// machine's.
func TestClockIsNotDriven(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev")
	got := s.nobody().do("PUT", "/api/clock", time.Now().Add(time.Hour).UTC().Format(time.RFC3339))
	if got.status != http.StatusNotFound && got.status != http.StatusMethodNotAllowed {
		t.Errorf("status %d %s", got.status, got.body)
	}
	if ahead := time.Until(presentOf(s)); ahead > time.Minute {
		t.Errorf("the clock is %v ahead", ahead)
	}
	r := quantracRun(t, nil, "serve", "--data", t.TempDir(), "--clock", "replay", "--http", "127.0.0.1:0", "--mqtt", "off")
	if r.code != 1 || !strings.Contains(r.stderr, "--dev") {
		t.Errorf("a clock that anybody may drive, without --dev: status %d, %s", r.code, r.stderr)
	}
}
