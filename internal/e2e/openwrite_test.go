package e2e

import (
	"errors"
	"fmt"
	"net/http"
	"strings"
	"testing"
	"time"
)

// TestOpenWriteIsJudged writes readings of a registered gauge as a program that
// is no device. A value that its sensor cannot give, and a logger's code for "no
// reading", are kept as failed and raise no alarm; the flood after them does.
func TestOpenWriteIsJudged(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev")
	importStations(s, gaugeHeader+gaugeRow("gauge", [3]float64{1, 2, 3}, 0, 0, time.Minute))
	now := time.Now().Truncate(time.Second)
	line := func(value string, ago time.Duration) string {
		return fmt.Sprintf("water,station=gauge level_meters=%s %d\n", value, now.Add(-ago).UnixMilli())
	}
	s.must("POST", "/write?db=d&precision=ms", "text/plain", line("999", 4*time.Minute)+line("7999", 3*time.Minute), http.StatusNoContent)
	refused := s.must("POST", "/write?db=d&precision=ms", "text/plain",
		"water,station=gauge level_meters=3.5 -25200000\nwater,station=gauge level_meters=3.5 9000000000000\n"+line("0.5", 2*time.Minute), http.StatusBadRequest)
	for _, want := range []string{"line 1: time: time is the start date of an unset logger clock", "line 2: time: time lies more than a year ahead"} {
		if !strings.Contains(string(refused), want) {
			t.Errorf("answered %s, want %q", refused, want)
		}
	}
	s.must("POST", "/write?db=d&precision=ms", "text/plain", line("1.25", time.Minute), http.StatusNoContent)
	var all []warning
	eventually(t, "the warning", func() error {
		if all = warningHistory(s); len(all) == 0 {
			return errors.New("none")
		}
		return nil
	})
	if len(all) != 1 || all[0].Level != 1 || all[0].Value != 1.25 {
		t.Errorf("warnings %+v, want one of level 1 at 1.25", all)
	}
	if got := deadLetters(s, ""); len(got) != 2 || got[0].Kind != "quarantine" || got[1].Kind != "quarantine" {
		t.Errorf("dead letters %+v, want two in quarantine", got)
	}
	for selector, want := range map[string]int{`{__quality__="4"}`: 2, `{__quality__="1"}`: 2, `{__quality__="2,3,9"}`: 0} {
		got, err := s.values("water_level_meters"+selector, 24*time.Hour, now.Add(time.Minute))
		if err != nil || len(got) != want {
			t.Errorf("%s: %v, want %d: %v", selector, got, want, err)
		}
	}
}
