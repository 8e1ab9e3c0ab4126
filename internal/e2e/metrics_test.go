package e2e

import (
	"context"
	"fmt"
	"net/http"
	"os/exec"
	"regexp"
	"strings"
	"testing"

	"quantrac/internal/shared"
)

// TestMetrics: what /metrics shows of a service at work follows Prometheus'
// conventions, and each says what it is.
func TestMetrics(t *testing.T) {
	t.Parallel()
	promtool := shared.Tool(t, "promtool") // Debian: prometheus
	s := start(t, t.TempDir(), "--dev", "--simulate", "--simulate-days", "1")
	eventually(t, "readings of the made-up network", func() error {
		if s.metric("quantrac_tsdb_stored_values_total") == 0 {
			return fmt.Errorf("none yet")
		}
		return nil
	})
	text := string(s.must("GET", "/metrics", "", "", http.StatusOK))
	check := exec.Command(promtool, "check", "metrics")
	check.Stdin = strings.NewReader(text)
	if out, err := check.CombinedOutput(); err != nil || len(out) > 0 {
		t.Errorf("promtool check metrics: %v\n%s", err, out)
	}
	said := map[string]string{}
	for _, h := range regexp.MustCompile(`(?m)^# HELP (quantrac_\S+) (.*)$`).FindAllStringSubmatch(text, -1) {
		if other := said[h[2]]; other != "" || !strings.Contains(h[2], " ") || !strings.HasSuffix(h[2], ".") {
			t.Errorf("%s: %q is no sentence of its own (%s)", h[1], h[2], other)
		}
		said[h[2]] = h[1]
	}
	if len(said) < 50 {
		t.Errorf("%d metrics of our own", len(said))
	}
}

// TestReaderLag: at rest every reader of the journal has applied all of it,
// though some of it may not be durable with each of them yet.
func TestReaderLag(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev")
	d := s.device("gauge")
	for i := range 20 {
		s.publish(d, "v1/gauge/obs", fmt.Sprintf(`{"values": {"water_level_meters": %d}}`, i))
	}
	for _, reader := range []string{"tsdb", "alerting rules", "projection registry.db", "projection alerting.db", "projection forecast.db"} {
		eventually(t, reader, func() error {
			if lag := s.metric(fmt.Sprintf("quantrac_journal_reader_lag_commits{reader=%q}", reader)); lag != 0 {
				return fmt.Errorf("%v commits behind", lag)
			}
			return nil
		})
	}
	if held := s.metric(`quantrac_journal_reader_held_commits{reader="tsdb"}`); held < 20 {
		t.Errorf("%v commits are held for the store, which has flushed none of them", held)
	}
}

// TestPageMetrics: who follows the page live is counted.
func TestPageMetrics(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev")
	streams := func(want float64) {
		t.Helper()
		eventually(t, "live streams", func() error {
			if got := s.metric("quantrac_page_live_streams"); got != want {
				return fmt.Errorf("%v, want %v", got, want)
			}
			return nil
		})
	}
	streams(0)
	ctx, leave := context.WithCancel(context.Background())
	defer leave()
	req, err := http.NewRequestWithContext(ctx, "GET", s.http+"/api/page/live", nil)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	streams(1)
	leave()
	streams(0)
}
