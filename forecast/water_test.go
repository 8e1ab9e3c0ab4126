package forecast_test

import (
	"math"
	"testing"
	"time"

	"quantrac"
	"quantrac/forecast"
	"quantrac/internal/shared"
)

// recording is a column of raw stage in centimetres, as logged.
type recording struct {
	at []quantrac.Millis
	v  []float64
}

func logan(t *testing.T, site string) (r recording) {
	t.Helper()
	for _, st := range shared.Logan(t, site+"2019.csv.gz") {
		if !math.IsNaN(st.CM) {
			r.at, r.v = append(r.at, quantrac.FloorMillis(st.At)), append(r.v, st.CM)
		}
	}
	return r
}

// TestLoganLive lets the room live through the snow-melt flood of 2019: both
// gauges' raw stage as it came, fault values failed as the collector does, a
// run every two hours from April to June, trained anew each week on what there
// was by then. The skill is that of the archived runs.
func TestLoganLive(t *testing.T) {
	if testing.Short() {
		t.Skip("half a minute")
	}
	w := newWorld(t)
	h := forecast.Duration(time.Hour)
	const metric = "water_level_centimeters"
	c := forecast.Config{Source: forecast.Source{Station: "WaterLab", Property: metric}, Step: h, Leads: []forecast.Duration{h, 3 * h, 6 * h, 12 * h},
		Upstream: []forecast.Source{{Station: "TonyGrove", Property: metric}}, Cycles: []forecast.Duration{24 * h}, Refit: 7 * 24 * h}
	sites := []string{"WaterLab", "TonyGrove"}
	recs := []recording{logan(t, sites[0]), logan(t, sites[1])}
	w.close()
	w.clock = quantrac.NewManualClock(recs[0].at[0] - 1)
	w.o.Models = []forecast.Config{c}
	w.open()

	day := quantrac.Millis(24) * hour
	first := quantrac.FloorMillis(time.Date(2019, 4, 1, 0, 0, 0, 0, time.UTC))
	last := quantrac.FloorMillis(time.Date(2019, 7, 1, 0, 0, 0, 0, time.UTC))
	next := make([]int, 2)
	model := w.f.Models()[0].Name
	for at := recs[0].at[0] / hour * hour; at < last+day; at += hour {
		var rows []quantrac.Row
		for k, r := range recs {
			for ; next[k] < len(r.at) && r.at[next[k]] <= at; next[k]++ {
				cell := quantrac.Cell{Property: metric, Value: r.v[next[k]], Quality: quantrac.Good}
				if cell.Value == -9999 || cell.Value == 7999 {
					cell.Quality = quantrac.Fail
				}
				rows = append(rows, quantrac.Row{Group: quantrac.NewLabels(quantrac.LabelStation, sites[k]), Time: r.at[next[k]], Cells: []quantrac.Cell{cell}})
			}
		}
		w.clock.Set(at)
		if len(rows) > 0 {
			w.put(quantrac.Readings, rows...)
		}
		if at >= first && at < last && at/hour%2 == 0 {
			if _, err := w.f.Issue(background, model); err != nil {
				t.Fatal(err)
			}
		}
	}
	s, err := w.f.Skill(background, forecast.Filter{Station: "WaterLab", Property: metric, From: first, To: last})
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range s.Leads {
		t.Logf("%v: n %d, persistence index %.3f, RMSE %.2f cm (persistence %.2f), MAE %.2f (%.2f), CRPS %.2f (%.2f), the 90 %% interval covers %.3f, fallbacks %d",
			time.Duration(l.Ahead), l.N, *l.PI, *l.RMSE, *l.PersistenceRMSE, *l.MAE, *l.PersistenceMAE, *l.CRPS, *l.PersistenceCRPS, *l.Coverage, l.Fallbacks)
	}
	six := s.Leads[2]
	if six.N < 1000 || *six.PI < 0.3 {
		t.Errorf("six hours ahead: persistence index %.3f over %d runs, want 0.3", *six.PI, six.N)
	}
	if *six.Coverage < 0.85 || *six.Coverage > 0.95 {
		t.Errorf("six hours ahead the 90 %% interval covers %.3f", *six.Coverage)
	}
	// One of the runs again, from the store alone.
	runs, err := w.f.Runs(background, forecast.Filter{Station: "WaterLab", Property: metric, Limit: 200})
	if err != nil {
		t.Fatal(err)
	}
	old := runs[len(runs)-1]
	again, err := w.f.Reproduce(background, old.ID)
	if err != nil || asJSON(t, again) != asJSON(t, old) {
		t.Errorf("run %d again differs (%v)", old.ID, err)
	}
}
