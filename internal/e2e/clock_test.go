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
