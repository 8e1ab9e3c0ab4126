package e2e

import (
	"fmt"
	"math"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"quantrac/internal/shared"
)

// loganForecasts registers the two gauges of the recorded flood, the lower one
// with the upper one upstream of it.
const loganForecasts = "station,name,family,lat,lon,device,property,interval,decimals,min,max,fault_values,upstream,threshold_kind,level1,level2,level3,hysteresis,hold\n" +
	"tony_grove,Trạm tony_grove,gauge,41.9,-111.6,tony_grove,water_level_meters,15m,3,-2,20,-9999 7999,,theo_doi,0.62,0.72,0.78,0.03,3h\n" +
	"water_lab,Trạm water_lab,gauge,41.7,-111.8,water_lab,water_level_meters,15m,3,-2,20,-9999 7999,tony_grove,theo_doi,0.95,1.10,1.25,0.03,3h\n"

// forecastSkill is what the service says of its own forecasts.
type forecastSkill struct {
	Runs  int
	Leads []struct {
		Ahead           string
		N, Fallbacks    int
		RMSE, PI        *float64
		Coverage        *float64
		PersistenceRMSE *float64 `json:"persistence_rmse"`
	}
}

// forecastRun is one run of the archive.
type forecastRun struct {
	ID     uint64
	Issue  int64 `json:"issue_ms"`
	Known  struct{ Commit uint64 }
	Config struct {
		Model    string
		Upstream []struct{ Station string }
	}
	Inputs []struct {
		Station  string
		Readings int
	}
	Levels []float64
	Leads  []struct {
		Time      int64 `json:"time_ms"`
		Quantiles []float64
	}
	Thresholds []struct{ Prob []float64 }
}

// TestForecastOfRealFlood lives through a part of the recorded flood: what lies
// before is published fast, then the recording drives the clock. The service
// forecasts at every hour of it, and by its own account beats persistence at
// the lower gauge six hours ahead. QUANTRAC_E2E_LONG takes sixty days.
func TestForecastOfRealFlood(t *testing.T) {
	t.Parallel()
	from, begin, days := time.Date(2019, 3, 20, 7, 0, 0, 0, time.UTC), time.Date(2019, 5, 15, 7, 0, 0, 0, time.UTC), 4
	if os.Getenv("QUANTRAC_E2E_LONG") != "" {
		from, begin, days = time.Date(2019, 1, 1, 7, 0, 0, 0, time.UTC), time.Date(2019, 4, 25, 7, 0, 0, 0, time.UTC), 60
	}
	end := begin.Add(time.Duration(days) * 24 * time.Hour)
	args := []string{"replay", "--zone=-07:00", "--column", "stage=water_level_meters*0.01"}
	for _, g := range loganGauges {
		args = append(args, "--file", shared.Path(t, "river_logan_15min", g.file), "--device", g.station)
	}
	s := start(t, t.TempDir(), "--dev", "--clock", "replay")
	s.setClock(begin.Add(-time.Minute))
	importStations(s, loganForecasts)
	replay := func(from, to time.Time, more ...string) {
		t.Helper()
		began := time.Now()
		more = append(more, "--mqtt", s.mqtt, "--from", from.Format(time.RFC3339), "--to", to.Format(time.RFC3339))
		r := quantracRun(t, nil, append(args[:len(args):len(args)], more...)...)
		if r.code != 0 {
			t.Fatalf("replay: status %d\n%s%s", r.code, r.stdout, r.stderr)
		}
		text, _, _ := strings.Cut(r.stdout, "\n")
		t.Logf("%s, in %v", text, time.Since(began).Round(time.Millisecond))
	}
	replay(from, begin, "--batch", "500")
	replay(begin, end, "--drive-clock", s.http)

	gauge := url.Values{"station": {"water_lab"}, "property": {"water_level_meters"}}.Encode()
	checkSkill(t, s, gauge, 24*days)
	checkArchive(t, s, gauge, begin, end)
	forecastsAreForStaff(t, s, gauge)
}

// checkSkill wants a run for every hour and a persistence index above 0 six
// hours ahead.
func checkSkill(t *testing.T, s *service, gauge string, hours int) {
	t.Helper()
	var got forecastSkill
	s.nobody().want(http.StatusOK, "GET", "/api/forecast/skill?"+gauge, "").json(t, &got)
	if got.Runs < hours-1 || got.Runs > hours+1 {
		t.Errorf("%d hours have a run, want %d", got.Runs, hours)
	}
	judged := false
	for _, l := range got.Leads {
		if l.PI == nil || l.RMSE == nil || l.PersistenceRMSE == nil || l.Coverage == nil {
			continue
		}
		t.Logf("lead %s: %d runs, PI %.3f, RMSE %.4f m, persistence %.4f m, 90 %% interval covers %.2f, %d are persistence",
			l.Ahead, l.N, *l.PI, *l.RMSE, *l.PersistenceRMSE, *l.Coverage, l.Fallbacks)
		if l.Ahead != "6h0m0s" {
			continue
		}
		judged = true
		if *l.PI <= 0 || l.N < hours/2 {
			t.Errorf("six hours ahead: persistence index %.3f of %d runs, want above 0", *l.PI, l.N)
		}
		// The index is what both errors say.
		if want := 1 - (*l.RMSE**l.RMSE)/(*l.PersistenceRMSE**l.PersistenceRMSE); math.Abs(want-*l.PI) > 0.01 {
			t.Errorf("persistence index %.3f, by the errors %.3f", *l.PI, want)
		}
		if *l.Coverage < 0.7 || *l.Coverage > 1 {
			t.Errorf("the 90 %% interval covers %.2f", *l.Coverage)
		}
	}
	if !judged {
		t.Error("nothing is said of six hours ahead")
	}
}

// checkArchive wants whole runs in the archive, and the newest of them in the
// engine.
func checkArchive(t *testing.T, s *service, gauge string, begin, end time.Time) {
	t.Helper()
	var archive struct{ Runs []forecastRun }
	s.nobody().want(http.StatusOK, "GET", "/api/forecast/runs?limit=1000&"+gauge, "").json(t, &archive)
	issues := map[int64]bool{}
	for _, r := range archive.Runs {
		issues[r.Issue] = true
		if len(r.Config.Upstream) != 1 || r.Config.Upstream[0].Station != "tony_grove" || len(r.Inputs) != 2 || r.Inputs[1].Readings < 1000 {
			t.Fatalf("run %d of %v does not read the gauge upstream: %+v", r.ID, time.UnixMilli(r.Issue), r.Inputs)
		}
		if len(r.Leads) == 0 || len(r.Thresholds) != 3 || len(r.Thresholds[0].Prob) != len(r.Leads) || r.Known.Commit == 0 {
			t.Fatalf("run %d is not whole: %+v", r.ID, r)
		}
	}
	if hours := int(end.Sub(begin).Hours()); len(issues) < min(hours, 900)-1 {
		t.Errorf("%d issue times in the archive, want %d", len(issues), hours)
	}
	var newest forecastRun
	s.nobody().want(http.StatusOK, "GET", "/api/forecast/latest?"+gauge, "").json(t, &newest)
	if at := time.UnixMilli(newest.Issue); at.Before(end.Add(-2*time.Hour)) || at.After(end) {
		t.Errorf("the newest run is of %v, the recording ends at %v", at, end)
	}
	for _, lead := range newest.Leads {
		for i, level := range newest.Levels {
			label := strconv.FormatFloat(level, 'f', -1, 64)
			if label != "0.05" && label != "0.5" && label != "0.95" {
				continue
			}
			expr := fmt.Sprintf(`water_level_forecast_meters{station="water_lab",model=%q,quantile=%q}`, newest.Config.Model, label)
			got, err := s.values(expr, time.Second, time.UnixMilli(lead.Time))
			if v, ok := got[lead.Time]; err != nil || !ok || v != lead.Quantiles[i] {
				t.Fatalf("%s at %v is %v in the engine, %v in the run: %v", expr, time.UnixMilli(lead.Time), got, lead.Quantiles[i], err)
			}
		}
	}
}

// forecastsAreForStaff: nobody has recorded an authority in whose name they may
// be published.
func forecastsAreForStaff(t *testing.T, s *service, gauge string) {
	t.Helper()
	public := s.nobody()
	public.header.Set("X-Forwarded-For", "203.0.113.9") // somebody from outside, by a proxy
	for _, path := range []string{"/api/forecast/latest?" + gauge, "/api/forecast/runs?" + gauge, "/api/forecast/skill?" + gauge} {
		if got := public.do("GET", path, ""); got.status != http.StatusForbidden && got.status != http.StatusUnauthorized {
			t.Errorf("%s for the public: %d %.200s", path, got.status, got.body)
		}
	}
	if got := public.want(http.StatusOK, "GET", "/api/forecast/models", ""); strings.Contains(string(got.body), "water_lab") {
		t.Errorf("models for the public: %s", got.body)
	}
	const page = "/api/page/station/water_lab"
	if got := public.want(http.StatusOK, "GET", page, ""); strings.Contains(string(got.body), `"model"`) {
		t.Errorf("the page shows the public a forecast: %.300s", got.body)
	}
	var got struct {
		Forecast struct {
			Model  string
			Exceed []struct {
				Level int
				PMax  *float64 `json:"p_max"`
				Lead  int      `json:"lead_s"`
			}
		}
	}
	s.nobody().want(http.StatusOK, "GET", page, "").json(t, &got)
	if f := got.Forecast; f.Model != "arx" || len(f.Exceed) != 3 || f.Exceed[2].PMax == nil || f.Exceed[2].Level != 3 || f.Exceed[2].Lead != 48*3600 {
		t.Errorf("the page shows staff the forecast %+v", f)
	}
}
