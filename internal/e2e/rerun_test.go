package e2e

import (
	"fmt"
	"math"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	mqtt "github.com/eclipse/paho.mqtt.golang"
)

// twoGauges registers a gauge and the one three hours up the river.
const twoGauges = "station,name,family,lat,lon,device,property,interval,decimals,upstream,threshold_kind,level1,level2,level3\n" +
	"above,Trạm trên,gauge,10.9,105.1,above,water_level_meters,1h,3,,,,,\n" +
	"below,Trạm dưới,gauge,10.7,105.3,below,water_level_meters,1h,3,above,theo_doi,1.2,2.2,9\n"

// waves are the stages of the two gauges by the hour: now and then a wave comes
// down the river. In the last hours the upper gauge sees the largest begin.
func waves(hours int) (above, below []float64) {
	rng := rand.New(rand.NewPCG(3, 4))
	above, below = make([]float64, hours), make([]float64, hours)
	wave := func(at int, height float64) {
		for i := max(at-12, 0); i < min(at+40, hours); i++ {
			x := float64(i - at)
			above[i] += height * math.Exp(-x*x/18)
		}
	}
	for at := 20; at < hours-60; at += 30 + rng.IntN(40) {
		wave(at, 0.2+0.9*rng.Float64())
	}
	wave(hours+2, 3)
	for i := range above {
		above[i] += 1 + 0.01*rng.NormFloat64()
		below[i] = 1 + 0.005*rng.NormFloat64()
		if i >= 3 {
			below[i] += 0.9 * (above[i-3] - 1)
		}
	}
	return above, below
}

// runSaid is one run of the archive as far as thresholds go.
type runSaid struct {
	ID         uint64
	Issue      int64 `json:"issue_ms"`
	Reason     string
	Fallback   string
	Thresholds []struct {
		PMax float64 `json:"p_max"`
	}
}

// foretold is a revision of the forecast rule.
type foretold struct {
	ID       string
	Revision int
	State    string
	Rule     string
	Station  string
	Level    int
	Run      uint64
	Sent     int64 `json:"sent_ms"`
	Detail   struct{ Vi, En string }
}

// foretelling returns what was said of the lower gauge's forecasts, oldest
// first.
func foretelling(s *service) []foretold {
	s.t.Helper()
	var page struct{ Warnings []foretold }
	answer{body: s.must("GET", "/api/alerting/history?audience=staff&station=below", "", "", http.StatusOK)}.json(s.t, &page)
	slices.Reverse(page.Warnings)
	return slices.DeleteFunc(page.Warnings, func(w foretold) bool { return w.Rule != "forecast" })
}

// TestForecastMadeAgain: what the upper gauge saw comes late, after the run of
// the hour; the run is made again for the same hour, and the warning of it is
// revised. After a kill nothing is said twice.
func TestForecastMadeAgain(t *testing.T) {
	t.Parallel()
	const hours = 1100
	begin := time.Date(2024, 8, 1, 0, 0, 0, 0, time.UTC)
	hour := func(i int) time.Time { return begin.Add(time.Duration(i) * time.Hour) }
	above, below := waves(hours)
	data := t.TempDir()
	s := start(t, data, "--dev", "--clock", "replay")
	devices := map[string]mqtt.Client{"above": s.device("above"), "below": s.device("below")}
	send := func(station string, stages []float64, from, to int) {
		t.Helper()
		c := devices[station]
		for at := from; at < to; at += 200 {
			var rows []string
			for i := at; i < min(at+200, to); i++ {
				rows = append(rows, fmt.Sprintf(`{"time": %d, "values": {"water_level_meters": %.3f}}`, hour(i).UnixMilli(), stages[i]))
			}
			s.publish(c, "v1/"+station+"/obs", "["+strings.Join(rows, ",")+"]")
		}
	}
	last := hours - 1
	s.setClock(hour(last - 1))
	importStations(s, twoGauges)
	send("below", below, 0, last)
	send("above", above, 0, last-1)
	s.setClock(hour(last))
	send("below", below, last, hours)
	s.setClock(hour(last).Add(12 * time.Minute)) // upstream is not waited for any longer
	send("above", above, last-1, hours)
	s.setClock(hour(last).Add(15 * time.Minute))

	first, again := lastTwoRuns(t, s, hour(last))
	said := foretelling(s)
	if len(said) != 2 {
		t.Fatalf("said: %+v; want an issue and an update", said)
	}
	for i, want := range []foretold{{Revision: 1, State: "issue", Level: 1, Run: first.ID}, {Revision: 2, State: "update", Level: 2, Run: again.ID}} {
		if w := said[i]; w.ID != said[0].ID || w.Revision != want.Revision || w.State != want.State || w.Level != want.Level || w.Run != want.Run {
			t.Errorf("revision %+v, want %+v", w, want)
		}
	}
	for _, words := range []string{fmt.Sprintf("run %d", again.ID), "made again for the same time"} {
		if !strings.Contains(said[1].Detail.En, words) {
			t.Errorf("%q is not in %s", words, said[1].Detail.En)
		}
	}

	s.kill()
	s = start(t, data, "--dev", "--clock", "replay")
	s.setClock(hour(last).Add(20 * time.Minute))
	if got := foretelling(s); !slices.Equal(got, said) {
		t.Errorf("after a kill\n%+v is said, was\n%+v", got, said)
	}
	if _, newest := lastTwoRuns(t, s, hour(last)); newest.ID != again.ID {
		t.Errorf("run %d after a kill, was %d", newest.ID, again.ID)
	}
}

// lastTwoRuns returns the run on the hour's schedule and the one made again for
// it, and wants both to be the model's.
func lastTwoRuns(t *testing.T, s *service, issue time.Time) (first, again runSaid) {
	t.Helper()
	var archive struct{ Runs []runSaid }
	s.nobody().want(http.StatusOK, "GET", "/api/forecast/runs?limit=2&station=below&property=water_level_meters", "").json(t, &archive)
	if len(archive.Runs) != 2 {
		t.Fatalf("runs: %+v", archive.Runs)
	}
	again, first = archive.Runs[0], archive.Runs[1]
	for _, r := range archive.Runs {
		if r.Issue != issue.UnixMilli() || r.Fallback != "" || len(r.Thresholds) != 3 {
			t.Fatalf("run %+v, want one of %v", r, issue)
		}
	}
	if first.Reason != "schedule" || again.Reason != "late inputs" || first.Thresholds[1].PMax >= 0.5 || again.Thresholds[1].PMax < 0.5 {
		t.Fatalf("runs %+v\nand %+v", first, again)
	}
	return first, again
}
