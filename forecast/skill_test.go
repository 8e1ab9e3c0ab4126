package forecast_test

import (
	"encoding/json"
	"math"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/forecast"
	"quantrac/forecast/verify"
)

// TestSkillIsThatOfTheRuns computes every score by hand from the archived runs
// and what was observed.
func TestSkillIsThatOfTheRuns(t *testing.T) {
	w := newWorld(t)
	alarm := w.reg.thresholds[0] // of the same level, never reached
	alarm.ID, alarm.Kind, alarm.Value = "alarm", quantrac.ThresholdAlarm, 9
	w.reg.thresholds = append(w.reg.thresholds, alarm)
	down, up := river(500)
	w.live(down, up, 0, 400)
	for i := 400; i < 440; i++ {
		w.live(down, up, i, i+1)
		w.issue()
		if i == 420 {
			w.put(quantrac.Corrections, reading("up", begin+quantrac.Millis(i)*hour, up[i]+0.3))
			w.issue() // of the runs of an issue the first counts
		}
	}
	w.live(down, up, 440, 444) // the last ones of six hours stay open
	s, err := w.f.Skill(background, forecast.Filter{Station: "down", Property: stage, From: begin + 400*hour, To: begin + 439*hour})
	if err != nil {
		t.Fatal(err)
	}
	if s.Runs != 40 || s.Model != "arx" || s.Unit != "m" || len(s.Leads) != 3 {
		t.Fatalf("%d runs of %s, %d leads", s.Runs, s.Model, len(s.Leads))
	}
	runs := w.runs(forecast.Filter{FirstOnly: true, Limit: 1000})
	for k, lead := range []int{1, 3, 6} {
		var point, median, base, obs, lo, hi, prob []float64
		var happened []bool
		crps, persist, n := 0.0, 0.0, 0.0
		var tab verify.Table
		for _, r := range runs {
			i := int((r.Issue-begin)/hour) + lead
			if i >= 444 {
				continue
			}
			l := r.Leads[k]
			point, median, base, obs = append(point, l.Point), append(median, l.Quantiles[4]), append(base, r.Base), append(obs, down[i])
			lo, hi = append(lo, l.Quantiles[1]), append(hi, l.Quantiles[7])
			crps += verify.CRPSQuantiles(r.Levels, l.Quantiles, down[i])
			persist += verify.CRPSQuantiles(r.Levels, l.Persistence, down[i])
			p := r.Thresholds[0].Prob[k]
			prob, happened = append(prob, p), append(happened, down[i] >= 1.2)
			tab.Add(p >= .5, down[i] >= 1.2)
			n++
		}
		got := s.Leads[k]
		if got.N != int(n) {
			t.Errorf("lead %d: %d judged, want %g", lead, got.N, n)
		}
		for _, c := range []struct {
			what string
			got  *float64
			want float64
		}{
			{"MAE", got.MAE, verify.MAE(median, obs)}, {"RMSE", got.RMSE, verify.RMSE(point, obs)}, {"PI", got.PI, verify.PI(point, base, obs)},
			{"CRPS", got.CRPS, crps / n}, {"coverage", got.Coverage, verify.Coverage(lo, hi, obs)},
			{"MAE of persistence", got.PersistenceMAE, verify.MAE(base, obs)}, {"RMSE of persistence", got.PersistenceRMSE, verify.RMSE(base, obs)},
			{"CRPS of persistence", got.PersistenceCRPS, persist / n}, {"Brier", got.Events[1].Brier, verify.Brier(prob, happened)},
			{"POD", got.Events[1].POD, tab.POD()}, {"FAR", got.Events[1].FAR, tab.FAR()},
		} {
			if math.IsNaN(c.want) {
				if c.got != nil {
					t.Errorf("lead %d: %s = %g, want none", lead, c.what, *c.got)
				}
				continue
			}
			if c.got == nil || math.Abs(*c.got-c.want) > 1e-6 {
				t.Errorf("lead %d: %s = %v, want %g", lead, c.what, text(c.got), c.want)
			}
		}
		if len(got.Events) != 3 || got.Events[0].Kind != "bao_dong" || got.Events[0].Hits+got.Events[0].Misses != 0 {
			t.Errorf("lead %d: events of the alarm level that is not reached: %+v", lead, got.Events)
		}
		if e := got.Events[1]; e.Level != 1 || e.Hits != tab.Hits || e.Misses != tab.Misses || e.FalseAlarms != tab.FalseAlarms {
			t.Errorf("lead %d: events %+v, want %+v", lead, e, tab)
		}
		if got.StatutoryTolerance == nil || got.StatutoryPass == nil || *got.StatutoryPass < 0.5 {
			t.Errorf("lead %d: statutory score %v of tolerance %v", lead, text(got.StatutoryPass), text(got.StatutoryTolerance))
		}
	}
	if *s.Leads[1].PI < 0.8 {
		t.Errorf("persistence index %.2f three hours ahead, where the wave is known", *s.Leads[1].PI)
	}

	// A corrected observation changes the skill, not the runs.
	before, then := *s.Leads[0].RMSE, w.clock.Now()
	w.clock.Advance(time.Minute)
	w.put(quantrac.Corrections, reading("down", begin+430*hour, 5))
	if s, err = w.f.Skill(background, forecast.Filter{Station: "down", Property: stage, Model: "arx", From: begin + 400*hour, To: begin + 439*hour}); err != nil || *s.Leads[0].RMSE < before+0.1 {
		t.Errorf("after a correction of what was observed: RMSE %v, was %g (%v)", text(s.Leads[0].RMSE), before, err)
	}
	if s, err = w.f.Skill(background, forecast.Filter{Station: "down", Property: stage, From: begin + 400*hour, To: begin + 439*hour, AsOf: then}); err != nil || *s.Leads[0].RMSE != before {
		t.Errorf("as it was known before: RMSE %v, was %g (%v)", text(s.Leads[0].RMSE), before, err)
	}
	if _, err := w.f.Skill(background, forecast.Filter{Station: "down", Property: stage, To: quantrac.MaxMillis}); quantrac.KindOf(err) != quantrac.Invalid {
		t.Errorf("skill of all time: %v", err)
	}
}

func TestHTTP(t *testing.T) {
	w := newWorld(t)
	w.close()
	public := false
	w.o.Public = func(station string, _ quantrac.Millis) bool { return public && station == "down" }
	w.open()
	down, up := river(400)
	w.live(down, up, 0, 300)
	w.issue()
	w.live(down, up, 300, 310)
	run := w.issue()
	h := http.StripPrefix("/api/forecast", w.f.Handler())
	get := func(p quantrac.Principal, path string) (int, map[string]any) {
		t.Helper()
		r := httptest.NewRequest("GET", "/api/forecast"+path, nil)
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, r.WithContext(quantrac.WithPrincipal(r.Context(), p)))
		var body map[string]any
		if err := json.Unmarshal(rec.Body.Bytes(), &body); err != nil {
			t.Fatalf("%s: %v in %q", path, err, rec.Body)
		}
		return rec.Code, body
	}
	staff := quantrac.Principal{Name: "Lan", Role: quantrac.RoleViewer}
	other := quantrac.Principal{Name: "Minh", Role: quantrac.RoleViewer, Stations: []string{"up"}}
	nobody := quantrac.Principal{Role: quantrac.RolePublic}
	const gauge = "?station=down&property=water_level_meters"
	id := text(run.ID)
	for _, c := range []struct {
		who  quantrac.Principal
		path string
		code int
		want string // in the message of an error
	}{
		{staff, "/latest" + gauge, 200, ""},
		{staff, "/runs" + gauge + "&limit=1", 200, ""},
		{staff, "/runs/" + id, 200, ""},
		{staff, "/runs/" + id + "?asof=" + text(int64(run.Committed)/1000+1), 200, ""},
		{staff, "/runs/" + id + "?asof=1", 404, "no forecast run"},
		{staff, "/runs/" + id + "?asof=yesterday", 400, "asof"},
		{staff, "/skill" + gauge, 200, ""},
		{staff, "/skill" + gauge + "&from=" + text(int64(begin+200*hour)/1000), 200, ""},
		{staff, "/skill" + gauge + "&model=none", 404, "by none"},
		{staff, "/skill" + gauge + "&asof=" + text(int64(begin+200*hour)/1000), 404, "no forecast"},
		{staff, "/models", 200, ""},
		{nobody, "/latest" + gauge, 403, "no issuing authority"},
		{nobody, "/runs" + gauge, 403, "no issuing authority"},
		{nobody, "/runs/" + id, 403, "no issuing authority"},
		{nobody, "/skill" + gauge, 403, "no issuing authority"},
		{other, "/latest" + gauge, 403, ""},
		{staff, "/latest?station=down", 400, "property"},
		{staff, "/latest" + gauge + "&asof=yesterday", 400, "asof"},
		{staff, "/latest" + gauge + "&asof=1", 404, "no forecast"},
		{staff, "/runs" + gauge + "&limit=0", 400, "limit"},
		{staff, "/runs/x", 400, "no number"},
		{staff, "/runs/1", 404, "no forecast run"},
		{staff, "/latest?station=up&property=water_level_meters", 404, "no forecast"},
	} {
		code, body := get(c.who, c.path)
		message, _ := body["message"].(string)
		if code != c.code || !strings.Contains(message, c.want) || (code == 200) == (message != "") || message != "" && body["error"] != message {
			t.Errorf("%s %s: %d %v, want %d %q", c.who.Name, c.path, code, body, c.code, c.want)
		}
	}
	if _, body := get(staff, "/latest"+gauge); body["id"] != float64(run.ID) || body["simulated"] != true || body["unit"] != "m" {
		t.Errorf("latest: %v", body)
	}
	if _, body := get(staff, "/latest"+gauge+"&asof="+text(int64(begin+305*hour)/1000)); body["issue_ms"] != float64(begin+299*hour) {
		t.Errorf("latest as of: issue %v", body["issue_ms"])
	}
	if _, body := get(staff, "/runs"+gauge); len(body["runs"].([]any)) != 2 {
		t.Errorf("runs: %v", body)
	}
	if _, body := get(staff, "/runs"+gauge+"&from="+text(int64(begin+309*hour)/1000)); len(body["runs"].([]any)) != 1 {
		t.Errorf("runs from: %v", body)
	}
	if _, body := get(nobody, "/models"); len(body["models"].([]any)) != 0 {
		t.Errorf("models shown to nobody: %v", body)
	}
	public = true
	if code, body := get(nobody, "/latest"+gauge); code != 200 || body["id"] != float64(run.ID) {
		t.Errorf("with an authority recorded: %d %v", code, body)
	}
	r := httptest.NewRecorder()
	h.ServeHTTP(r, httptest.NewRequest("POST", "/api/forecast/latest", nil))
	if r.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", r.Code)
	}
}
