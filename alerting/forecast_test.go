package alerting

import (
	"math"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/journal"
)

// outlook is a run that holds the watch levels of tram-chim, from the lowest,
// as probable as given.
func outlook(issue quantrac.Millis, p ...float64) *quantrac.Outlook {
	run := &quantrac.Outlook{Station: "tram-chim", Property: "water_level_meters", Model: "arx", Issue: issue,
		Leads: []time.Duration{time.Hour, 24 * time.Hour}, Median: []float64{1.4, 1.6}}
	for i, th := range thresholds("tram-chim", quantrac.ThresholdWatch, 0, 0, 1.5, 2.0, 2.5)[:len(p)] {
		run.Exceedances = append(run.Exceedances, quantrac.Exceedance{Threshold: th, Prob: []float64{p[i] / 2, p[i]}, PMax: p[i]})
	}
	return run
}

// forecast journals a run of an issue time.
func (r *room) forecast(issue time.Duration, p ...float64) quantrac.Commit {
	r.t.Helper()
	r.clock.Set(at(issue))
	return r.append(runRecord(outlook(at(issue), p...)))
}

func TestForecastRule(t *testing.T) {
	r := newRoom(t, watch(1.5, 2.0, 2.5))
	r.forecast(0, 0.3, 0.1)
	r.forecast(time.Hour, 0.63, 0.2)
	r.forecast(2*time.Hour, 0.9, 0.55)
	r.forecast(3*time.Hour, 0.45, 0.2) // less, but not improbable; II improbable once
	r.forecast(4*time.Hour, 0.45, 0.2) // twice
	fallback := outlook(at(5*time.Hour), 0.0, 0.0)
	fallback.Fallback = "inputs stale"
	r.append(runRecord(fallback))
	r.forecast(6*time.Hour, 0.2, 0.1)
	r.reopen()
	r.forecast(7*time.Hour, 0.2, 0.1)
	r.expect("forecast tram-chim issue 1", "forecast tram-chim update 2", "forecast tram-chim update 1", "forecast tram-chim all_clear 0")
	w := r.all()[0]
	if w.Audience != quantrac.AudienceStaff || !strings.Contains(w.Headline.Vi, "có khả năng đạt ngưỡng theo dõi I trong 24 giờ tới (63%)") || !strings.Contains(w.Detail.Vi, "Nội bộ, để tham khảo") {
		t.Errorf("%+v", w)
	}
	if w.Value != 1.6 || w.ValidTime != at(25*time.Hour) || w.Expires != at(25*time.Hour) {
		t.Errorf("%+v", w)
	}
}

// TestForecastMadeAgain: of two runs of one issue time the later counts, and
// they count once; what is said shows the run it rests on.
func TestForecastMadeAgain(t *testing.T) {
	r := newRoom(t, watch(1.5, 2.0, 2.5))
	r.forecast(0, 0.6, 0.1)
	again := r.forecast(0, 0.9, 0.7) // late readings have come
	r.expect("forecast tram-chim issue 1", "forecast tram-chim update 2")
	w := r.all()[1]
	if w.Run != again.Number || !strings.Contains(w.Detail.Vi, "được tính lại cho cùng thời điểm") || !strings.Contains(w.Headline.Vi, "(70%)") {
		t.Errorf("run %d: %+v", again.Number, w)
	}
	r.forecast(0, 0.9, 0.702) // the same, as far as it is said
	again = r.forecast(0, 0.9, 0.8)
	w = r.all()[2]
	if w.Run != again.Number || w.State != quantrac.WarningUpdated || !strings.Contains(w.Headline.Vi, "(80%)") {
		t.Errorf("run %d: %+v", again.Number, w)
	}
	// An hour that holds it improbable counts once, however often it is run,
	// and not at all once a run of it does not.
	r.forecast(time.Hour, 0.1, 0.1)
	r.forecast(time.Hour, 0.2, 0.1)
	r.forecast(time.Hour, 0.1, 0.2)
	r.forecast(time.Hour, 0.4, 0.1)
	r.forecast(2*time.Hour, 0.1, 0.1)
	said := []string{"forecast tram-chim issue 1", "forecast tram-chim update 2", "forecast tram-chim update 2", "forecast tram-chim update 1"}
	r.expect(said...)
	r.reopen()
	r.forecast(2*time.Hour, 0.1, 0.1)
	r.expect(said...)
	r.forecast(3*time.Hour, 0.1, 0.1)
	said = append(said, "forecast tram-chim all_clear 0")
	r.expect(said...)
	// A raise that a run made again takes back: the hours before were calm.
	r.forecast(4*time.Hour, 0.6)
	r.forecast(4*time.Hour, 0.1)
	r.expect(append(said, "forecast tram-chim issue 1", "forecast tram-chim all_clear 0")...)
	if ws := r.all(); ws[5].ID == ws[0].ID {
		t.Errorf("a new episode has the old one's name: %+v", ws[5])
	}
}

// TestForecastsComeLate: a run of an issue time before the newest says nothing,
// and neither does a run that has been judged, whatever was lost.
func TestForecastsComeLate(t *testing.T) {
	r := newRoom(t, watch(1.5, 2.0, 2.5))
	r.forecast(2*time.Hour, 0.6)
	r.append(runRecord(outlook(at(time.Hour), 0.0, 0.0, 0.0)))
	r.append(runRecord(outlook(at(time.Hour), 0.9, 0.9, 0.9)))
	fallback := outlook(at(3*time.Hour), 0.9, 0.9)
	fallback.Fallback = "inputs missing"
	r.append(runRecord(fallback)) // has no say, but the hours before are past
	r.append(runRecord(outlook(at(2*time.Hour), 0.9, 0.9)))
	said := []string{"forecast tram-chim issue 1"}
	r.expect(said...)
	r.forecast(4*time.Hour, 0.1) // once improbable
	for _, file := range []string{"", "/alerting/rules.snapshot"} {
		r.close()
		if file != "" {
			if err := r.fs.Remove(file); err != nil {
				t.Fatal(err)
			}
		}
		r.open()
		r.expect(said...)
	}
	r.forecast(5*time.Hour, 0.1) // twice: what was judged before the restarts is known
	r.expect(append(said, "forecast tram-chim all_clear 0")...)
}

// TestForecastNextToItsEnd: an episode that goes on is said again in time.
func TestForecastNextToItsEnd(t *testing.T) {
	r := newRoom(t, watch(1.5))
	for h := range 20 {
		r.forecast(time.Duration(h)*time.Hour, 0.8)
	}
	r.expect("forecast tram-chim issue 1", "forecast tram-chim update 1")
	if ws := r.all(); ws[1].Sent > ws[0].Expires || ws[1].Expires <= ws[0].Expires {
		t.Errorf("%+v\nis followed by %+v", ws[0], ws[1])
	}
}

// TestForecastOfASilentGauge: no run renews the warning, so the clock does; the
// next run takes over, or, with the threshold withdrawn, the warning ends.
func TestForecastOfASilentGauge(t *testing.T) {
	r := newRoom(t, watch(1.5))
	r.forecast(0, 0.8)
	fallback := outlook(at(20*time.Hour), 0.1)
	fallback.Fallback = "inputs missing"
	r.clock.Set(at(20 * time.Hour)) // a run would renew it now
	r.append(runRecord(fallback))
	r.expect("forecast tram-chim issue 1")
	r.clock.Set(at(21 * time.Hour))
	eventually(t, func() bool { return len(r.all()) == 2 })
	w := r.all()[1]
	if w.Expires != at(45*time.Hour) || w.Level != 1 || w.Run != r.all()[0].Run || !strings.Contains(w.Headline.Vi, "chưa có dự báo mới") {
		t.Errorf("%+v", w)
	}
	r.reopen()
	r.clock.Set(at(42 * time.Hour))
	eventually(t, func() bool { return len(r.all()) == 3 })
	r.forecast(43*time.Hour, 0.8) // the gauge is back
	r.expect("forecast tram-chim issue 1", "forecast tram-chim update 1", "forecast tram-chim update 1", "forecast tram-chim update 1")
	if w := r.all()[3]; !strings.Contains(w.Headline.Vi, "(80%)") || w.Expires != at(67*time.Hour) {
		t.Errorf("%+v", w)
	}
	r.reg.set()
	r.registryChanged()
	r.close()
	if err := r.fs.Remove("/alerting/rules.snapshot"); err != nil {
		t.Fatal(err)
	}
	r.open()
	r.clock.Set(at(64 * time.Hour))
	eventually(t, func() bool { return len(r.all()) == 5 })
	if w := r.all()[4]; brief(w) != "forecast tram-chim cancel 0" || !strings.Contains(w.Detail.Vi, "Không còn ngưỡng nào") {
		t.Errorf("%+v", w)
	}
	checkRevisions(t, r.all())
}

func TestForecastThresholdWithdrawn(t *testing.T) {
	r := newRoom(t, watch(1.5, 2.0))
	r.forecast(0, 0.9, 0.8)
	r.forecast(time.Hour, 0.9) // II is no longer in force
	last := outlook(at(2 * time.Hour))
	last.Fallback = "inputs missing" // withdrawn is withdrawn
	r.append(runRecord(last))
	r.append(runRecord(outlook(at(3 * time.Hour))))
	r.expect("forecast tram-chim issue 2", "forecast tram-chim update 1", "forecast tram-chim cancel 0")
	if w := r.all()[2]; !strings.Contains(w.Headline.Vi, "ngưỡng không còn hiệu lực") || w.Peak != 2 {
		t.Errorf("%+v", w)
	}
}

// TestForecastsOfTwoSensors: each sensor of a station has its own episode.
func TestForecastsOfTwoSensors(t *testing.T) {
	r := newRoom(t, watch(1.5))
	for _, sensor := range []string{"", "radar", "float"} {
		run := outlook(at(0), 0.8)
		run.Sensor = sensor
		r.append(runRecord(run))
	}
	r.expect("forecast tram-chim issue 1", "forecast tram-chim issue 1", "forecast tram-chim issue 1")
	if ws := r.all(); ws[1].Series != `water_level_meters{model="arx", sensor="radar", station="tram-chim"}` || ws[1].ID == ws[2].ID {
		t.Errorf("%+v", ws)
	}
}

// TestForecastAuthority: with an authority on record forecasts are public and
// name it; who heard of an episode hears its end.
func TestForecastAuthority(t *testing.T) {
	r := newRoom(t, watch(1.5))
	r.o.Authority = func(string, quantrac.Millis) string { return "Đài Khí tượng Thủy văn tỉnh" }
	r.reopen()
	r.forecast(0, 0.8)
	r.o.Authority = nil
	r.reopen()
	r.forecast(time.Hour, 0.1)
	r.forecast(2*time.Hour, 0.1)
	r.forecast(3*time.Hour, 0.8)
	ws := r.all()
	for i, public := range []bool{true, true, false} {
		if w := ws[i]; (w.Audience == quantrac.AudiencePublic) != public || strings.Contains(w.Detail.Vi, "Cơ quan ban hành: Đài Khí tượng Thủy văn tỉnh.") != public {
			t.Errorf("%+v", w)
		}
	}
}

// TestForecastThatMakesNoSense is passed over and counted; the rule goes on.
func TestForecastThatMakesNoSense(t *testing.T) {
	r := newRoom(t, watch(1.5))
	for _, spoil := range []func(*quantrac.Outlook){
		func(o *quantrac.Outlook) { o.Exceedances[0].Prob = nil },
		func(o *quantrac.Outlook) { o.Leads = nil },
		func(o *quantrac.Outlook) { o.Median = o.Median[1:] },
		func(o *quantrac.Outlook) { o.Exceedances[0].PMax = 1.5 },
		func(o *quantrac.Outlook) { o.Exceedances[0].Threshold.Level = 4 },
	} {
		bad := outlook(at(0), 0.8)
		spoil(bad)
		r.append(runRecord(bad))
	}
	r.expect()
	if n := r.a.Stats().Corrupt; n != 5 {
		t.Errorf("%d counted, want 5", n)
	}
	r.forecast(0, 0.8)
	r.expect("forecast tram-chim issue 1")
	if _, err := r.a.outlookOf(quantrac.Commit{}, []byte("{")); err == nil {
		t.Error("half a record is read")
	}
}

// TestForecastWithoutAMedian quotes the level instead.
func TestForecastWithoutAMedian(t *testing.T) {
	run := outlook(at(0), 0.8)
	run.Median[1] = math.NaN()
	if w := quotation(run, &run.Exceedances[0]); w.Value != 1.5 {
		t.Errorf("%+v", w)
	}
	var none quantrac.Exceedance
	if s := (&byLevel{nil, nil, &none}).quoted(0); s != &none {
		t.Errorf("of the second level alone: %v", s)
	}
}

// TestNoForecastRule: without a reader of runs they are left alone.
func TestNoForecastRule(t *testing.T) {
	rec := runRecord(outlook(at(0), 0.9))
	ev, err := new(Alerting).eventOf(journal.Entry{Kind: rec.Kind, Data: rec.Data})
	if ev.run != nil || err != nil {
		t.Errorf("%+v, %v", ev, err)
	}
}
