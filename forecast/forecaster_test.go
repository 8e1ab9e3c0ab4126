package forecast_test

import (
	"encoding/json"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/forecast"
	"quantrac/internal/journal"
	"quantrac/tsdb"
)

func asJSON(t *testing.T, v any) string {
	t.Helper()
	data, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

// TestARunFromReadingsToTheStore follows one run all the way: archived whole,
// written ahead under its own metric, thresholds spoken of.
func TestARunFromReadingsToTheStore(t *testing.T) {
	w := newWorld(t)
	down, up := river(700)
	w.live(down, up, 0, 600)
	run := w.issue()

	issue := begin + 599*hour
	if run.Issue != issue || run.ID == 0 || run.Committed != issue || run.Known.Commit == 0 || run.Known.Commit >= run.ID {
		t.Errorf("issue %v, run %d committed %v, knew commit %d; want issue %v", run.Issue, run.ID, run.Committed, run.Known.Commit, issue)
	}
	if run.Fallback != "" || run.Base != down[599] || run.Age != 0 || run.Unit != "m" || !run.Simulated {
		t.Errorf("fallback %q, base %g (want %g), age %d, unit %q, simulated %v", run.Fallback, run.Base, down[599], run.Age, run.Unit, run.Simulated)
	}
	if to := run.Training.To; to >= issue || issue-to > 24*hour || run.Training.Known.Time != to+hour-1 {
		t.Errorf("trained to %v on what was known at %v, issue %v", to, run.Training.Known.Time, issue)
	}
	if !strings.HasPrefix(run.Training.Version, "arx/") || len(run.Training.Parameters) != 3 {
		t.Errorf("version %q, parameters %q", run.Training.Version, run.Training.Parameters)
	}
	if len(run.Inputs) != 2 || run.Inputs[0].Newest != issue || run.Inputs[0].Gaps != 0 || run.Inputs[1].Readings != 600 {
		t.Errorf("inputs %+v", run.Inputs)
	}
	for i, ahead := range []time.Duration{time.Hour, 3 * time.Hour, 6 * time.Hour} {
		l := run.Leads[i]
		if l.Time != issue.Add(ahead) || !slices.IsSorted(l.Quantiles) || len(l.Quantiles) != len(run.Levels) {
			t.Errorf("lead %d: %+v", i, l)
		}
	}
	if e := math.Abs(run.Leads[1].Point - (1 + 0.8*(up[599]-2))); e > 0.03 {
		t.Errorf("three hours ahead %g, the wave upstream says %g", run.Leads[1].Point, 1+0.8*(up[599]-2))
	}

	got, err := w.f.Latest(background, "down", stage)
	if err != nil || asJSON(t, got) != asJSON(t, run) {
		t.Errorf("archived run differs (%v):\n%s\n%s", err, asJSON(t, got), asJSON(t, run))
	}

	// The engine: at the issue's leads, labelled; a second run replaces what
	// lies after its issue time.
	ahead := func() map[string][]float64 {
		out := map[string][]float64{}
		for s, err := range w.db.Select(background, tsdb.Query{Matchers: []*quantrac.Matcher{quantrac.Equals("__name__", "water_level_forecast_meters")}, From: issue, To: issue + 100*hour}) {
			if err != nil {
				t.Fatal(err)
			}
			if s.Labels.Get("model") != "arx" || s.Labels.Station() != "down" {
				t.Errorf("written ahead as %v", s.Labels)
			}
			out[s.Labels.Get("quantile")] = s.Values
		}
		return out
	}
	vs := ahead()
	if len(vs) != 5 || len(vs["0.5"]) != 3 || vs["0.5"][2] != run.Median(2) || vs["0.95"][0] != run.Leads[0].Quantiles[7] {
		t.Errorf("written ahead: %v", vs)
	}
	w.live(down, up, 600, 602)
	second := w.issue()
	vs = ahead()
	if n := len(vs["0.5"]); n != 4 || vs["0.5"][0] != run.Median(0) || vs["0.5"][1] != second.Median(0) {
		t.Errorf("after a second run: %v", vs["0.5"]) // 600 of the first; 602, 604, 607 of the second
	}

	o := run.Outlook()
	if o.Run != run.ID || o.Issue != issue || o.Station != "down" || o.Property != stage || o.Model != "arx" || o.Fallback != "" || len(o.Exceedances) != 2 ||
		!slices.Equal(o.Leads, []time.Duration{time.Hour, 3 * time.Hour, 6 * time.Hour}) || o.Median[0] != run.Median(0) {
		t.Errorf("outlook %+v", o)
	}
	for i, e := range o.Exceedances {
		if x := run.Thresholds[i]; e.Threshold != w.reg.thresholds[i] || e.PMax != x.PMax || !slices.Equal(e.Prob, x.Prob) {
			t.Errorf("%+v of %+v", e, x)
		}
		if e.PMax < slices.Max(e.Prob) {
			t.Errorf("P(max) %g below %v", e.PMax, e.Prob)
		}
	}
	if a, b := o.Exceedances[0].PMax, o.Exceedances[1].PMax; a < b {
		t.Errorf("level I is less probable (%g) than II (%g)", a, b)
	}
	// Who follows the journal reads the same there.
	err = w.j.Replay(background, 0, func(e journal.Entry) error {
		if e.Number != run.ID {
			return nil
		}
		got, err := forecast.OutlookOf(e.Commit, e.Data)
		if text(got) != text(o) {
			t.Errorf("the journal has %+v, want %+v", got, o)
		}
		return err
	})
	if _, bad := forecast.OutlookOf(quantrac.Commit{}, nil); err != nil || quantrac.KindOf(bad) != quantrac.Corrupt {
		t.Errorf("%v; of no record: %v", err, bad)
	}
}

// TestReproducesExactly: after late readings, corrections, deletions and other
// thresholds, a stored run computed again is the same in every field, also by
// a service that has been restarted and kept nothing.
func TestReproducesExactly(t *testing.T) {
	w := newWorld(t)
	down, up := river(700)
	gap := up[590]
	up[590] = math.NaN()
	for i := range 600 {
		at := begin + quantrac.Millis(i)*hour
		w.clock.Set(at)
		w.put(quantrac.Readings, reading("down", at, down[i]))
		if i != 590 {
			w.put(quantrac.Readings, reading("up", at, up[i]))
		}
	}
	run := w.issue()
	if run.Inputs[1].Gaps != 1 {
		t.Errorf("gaps upstream %d, want 1", run.Inputs[1].Gaps)
	}
	want := asJSON(t, run)

	w.clock.Set(begin + 599*hour + 1)
	w.put(quantrac.Readings, reading("up", begin+590*hour, gap))    // late
	w.put(quantrac.Corrections, reading("down", begin+599*hour, 9)) // the base itself
	w.put(quantrac.Corrections, reading("up", begin+300*hour, 7))   // inside the training window
	for i := range 50 {                                             // a deletion
		r := reading("up", begin+quantrac.Millis(400+i)*hour, math.NaN())
		r.Cells[0].Quality = quantrac.Missing
		w.put(quantrac.Corrections, r)
	}
	w.reg.mu.Lock()
	w.reg.thresholds = w.reg.thresholds[:1]
	w.reg.mu.Unlock()
	check := func(when string) {
		t.Helper()
		again, err := w.f.Reproduce(background, run.ID)
		if err != nil {
			t.Fatal(err)
		}
		if got := asJSON(t, again); got != want {
			t.Errorf("%s: the run again differs:\n%s\n%s", when, got, want)
		}
	}
	check("with the trained model kept")
	w.crash(1)
	check("after a crash")

	now := w.issue()
	if now.Base != 9 || asJSON(t, now.Leads) == asJSON(t, run.Leads) {
		t.Errorf("a run of now does not see the corrections: base %g", now.Base)
	}

	// A hindcast as of then knows no commit number, only the time; but for
	// that and the reason it is the run.
	w.reg.mu.Lock()
	w.reg.thresholds = newRegistry().thresholds
	w.reg.mu.Unlock()
	back, err := w.f.Hindcast(background, name, run.Known.Time)
	if err != nil {
		t.Fatal(err)
	}
	back.ID, back.Committed, back.Known.Commit, back.Reason = run.ID, run.Committed, run.Known.Commit, run.Reason
	if got := asJSON(t, back); got != want {
		t.Errorf("hindcast as of the run's time differs:\n%s\n%s", got, want)
	}
	if n := len(w.runs(forecast.Filter{})); n != 2 {
		t.Errorf("%d runs archived, want 2: hindcasts and reproductions are not", n)
	}
	if _, err := w.f.Hindcast(background, name, w.clock.Now()+1); quantrac.KindOf(err) != quantrac.Invalid {
		t.Errorf("hindcast of the future: %v", err)
	}
}

// TestTheFutureDoesNotLeak: two services live the same until an hour; then one
// hears nonsense. Hindcasts up to that hour are the same to the last digit.
func TestTheFutureDoesNotLeak(t *testing.T) {
	down, up := river(620)
	const poison = 606
	badDown, badUp := slices.Clone(down), slices.Clone(up)
	for i := poison; i < len(down); i++ {
		badDown[i], badUp[i] = -100*float64(i%5), 1e4
	}
	a, b := newWorld(t), newWorld(t)
	a.live(down, up, 0, 620)
	b.live(badDown, badUp, 0, 620)
	for i := 598; i < 612; i += 2 {
		at := begin + quantrac.Millis(i)*hour
		ra, err := a.f.Hindcast(background, name, at)
		if err != nil {
			t.Fatal(err)
		}
		rb, err := b.f.Hindcast(background, name, at)
		if err != nil {
			t.Fatal(err)
		}
		if same := asJSON(t, ra) == asJSON(t, rb); same != (i < poison) {
			t.Errorf("hour %d, poison from %d: hindcasts the same: %v", i, poison, same)
		}
	}
}

// TestSurvivesACrash: what was archived is there after a power failure, the
// tables rebuilt or kept; nothing is run twice; the newest run is written ahead again.
func TestSurvivesACrash(t *testing.T) {
	for _, kept := range []bool{false, true} {
		w := newWorld(t)
		if kept {
			w.close()
			w.path = t.TempDir() + "/runs.db"
			w.open()
		}
		down, up := river(400)
		w.live(down, up, 0, 330)
		var want []string
		for i := 330; i < 333; i++ {
			w.live(down, up, i, i+1)
			want = append(want, asJSON(t, w.issue()))
		}
		slices.Reverse(want)
		for seed := range uint64(3) {
			w.crash(seed)
			var got []string
			for _, r := range w.runs(forecast.Filter{}) {
				got = append(got, asJSON(t, r))
			}
			if !slices.Equal(got, want) {
				t.Fatalf("kept tables %v, crash %d: %d runs, want the %d from before", kept, seed, len(got), len(want))
			}
		}
		w.ahead.Store(0)
		stop := w.start()
		w.wait("the newest run written ahead again", func() bool { return w.ahead.Load() == 1 })
		stop()
		if n := len(w.runs(forecast.Filter{})); n != 3 {
			t.Errorf("%d runs after a restart within the hour, want 3", n)
		}
	}
}

func TestRunsAreFound(t *testing.T) {
	w := newWorld(t)
	down, up := river(400)
	w.live(down, up, 0, 300)
	for i := 300; i < 305; i++ {
		w.live(down, up, i, i+1)
		w.issue()
	}
	w.clock.Set(begin + 304*hour + 60_000)
	again := w.issue() // the same issue time, by hand
	if again.Issue != begin+304*hour {
		t.Fatalf("issue %v", again.Issue)
	}
	issues := func(q forecast.Filter) (out []int) {
		for _, r := range w.runs(q) {
			out = append(out, int((r.Issue-begin)/hour))
		}
		return out
	}
	for _, c := range []struct {
		name string
		q    forecast.Filter
		want []int
	}{
		{"all", forecast.Filter{}, []int{304, 304, 303, 302, 301, 300}},
		{"first of each issue", forecast.Filter{FirstOnly: true}, []int{304, 303, 302, 301, 300}},
		{"from to", forecast.Filter{From: begin + 301*hour, To: begin + 302*hour}, []int{302, 301}},
		{"limit", forecast.Filter{Limit: 1}, []int{304}},
		{"as of", forecast.Filter{AsOf: begin + 302*hour}, []int{302, 301, 300}},
		{"model", forecast.Filter{Model: "gr4j"}, nil},
	} {
		if got := issues(c.q); !slices.Equal(got, c.want) {
			t.Errorf("%s: issues %v, want %v", c.name, got, c.want)
		}
	}
	if r, err := w.f.Latest(background, "down", stage); err != nil || r.ID != again.ID {
		t.Errorf("latest: run %v, %v; want %d", r, err, again.ID)
	}
	if r, err := w.f.LatestAsOf(background, "down", stage, begin+301*hour); err != nil || r.Issue != begin+301*hour {
		t.Errorf("latest as of: %v, %v", r, err)
	}
	for what, err := range map[string]error{
		"latest of nothing": func() error { _, err := w.f.Latest(background, "up", stage); return err }(),
		"run of no number":  func() error { _, err := w.f.Get(background, 1); return err }(),
		"no such model":     func() error { _, err := w.f.Issue(background, "x"); return err }(),
		"hindcast of none":  func() error { _, err := w.f.Hindcast(background, "x", begin); return err }(),
		"run again of none": func() error { _, err := w.f.Reproduce(background, 1); return err }(),
		"skill of none": func() error {
			_, err := w.f.Skill(background, forecast.Filter{Station: "up", Property: stage, From: begin, To: begin + hour})
			return err
		}(),
	} {
		if quantrac.KindOf(err) != quantrac.NotFound {
			t.Errorf("%s: %v, want not found", what, err)
		}
	}
}

// TestYoungAndSilentGauges: what cannot be forecast is said, and what can be is.
func TestYoungAndSilentGauges(t *testing.T) {
	w := newWorld(t)
	down, up := river(300)
	w.live(down, up, 0, 10)
	if _, err := w.f.Issue(background, name); quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("ten hours old: %v, want unavailable", err)
	}
	if s := w.f.Stats(); s.Failures != 1 || s.LastError == nil || s.Runs != 0 {
		t.Errorf("stats %+v", s)
	}
	w.live(down, up, 10, 25)
	young := w.issue()
	if len(young.Leads) >= 3 || !strings.Contains(young.Fallback, "complete rows") {
		t.Errorf("a day old: %d leads, fallback %q; want fewer than 3 and the reason", len(young.Leads), young.Fallback)
	}
	w.live(down, up, 25, 260)
	if r := w.issue(); r.Fallback != "" || len(r.Leads) != 3 {
		t.Errorf("ten days old: fallback %q, %d leads", r.Fallback, len(r.Leads))
	}
	// The gauge falls silent, upstream goes on.
	for i := 260; i < 266; i++ {
		at := begin + quantrac.Millis(i)*hour
		w.clock.Set(at)
		w.put(quantrac.Readings, reading("up", at, up[i]))
	}
	silent := w.issue()
	if silent.Age != 6*hour || silent.Base != down[259] || !strings.Contains(silent.Fallback, "6h0m0s old") ||
		silent.Inputs[0].GapsTail != 6 || !silent.Inputs[0].StaleTail || silent.Inputs[1].StaleTail {
		t.Errorf("silent for six hours: age %d, base %g, fallback %q, inputs %+v", silent.Age, silent.Base, silent.Fallback, silent.Inputs)
	}
	if o := silent.Outlook(); o.Fallback != silent.Fallback {
		t.Errorf("the outlook does not speak of the fallback: %q", o.Fallback)
	}
	if s := w.f.Stats(); s.Fallbacks != 2 || s.LastError != nil || s.Models != 1 || s.Trainings == 0 {
		t.Errorf("stats %+v", s)
	}
}

// TestDeadInput: a gauge upstream that never reports, or has not for most of
// the window, does not keep a gauge from being forecast: by itself, and the run
// says so. One that fails for some hours changes nothing but the width.
func TestDeadInput(t *testing.T) {
	for _, silentFrom := range []int{0, 200, 690} {
		w := newWorld(t)
		down, up := river(700)
		for i := range 700 {
			at := begin + quantrac.Millis(i)*hour
			w.clock.Set(at)
			w.put(quantrac.Readings, reading("down", at, down[i]))
			if i < silentFrom {
				w.put(quantrac.Readings, reading("up", at, up[i]))
			}
		}
		run := w.issue()
		alone := silentFrom < 690
		if (run.Alone != "") != alone || alone && !strings.Contains(run.Alone, `water_level_meters{station="up"}`) {
			t.Errorf("silent from %d: alone %q", silentFrom, run.Alone)
		}
		if len(run.Inputs) == 1 != alone || len(run.Config.Upstream) != 1 || strings.Contains(run.Training.Parameters[0], "persistence only") {
			t.Errorf("silent from %d: inputs %+v, learned %q", silentFrom, run.Inputs, run.Training.Parameters)
		}
		again, err := w.f.Reproduce(background, run.ID)
		if err != nil || asJSON(t, again) != asJSON(t, run) {
			t.Errorf("silent from %d: again it differs (%v):\n%s\n%s", silentFrom, err, asJSON(t, again), asJSON(t, run))
		}
	}
}

// TestFaultValuesAndSuspects: failed readings are never used; of a step the
// newest reading that is not suspect is.
func TestFaultValuesAndSuspects(t *testing.T) {
	w := newWorld(t)
	down, up := river(300)
	w.live(down, up, 0, 299)
	at := begin + 299*hour
	w.clock.Set(at)
	row := func(min int, v float64, q quantrac.Quality) quantrac.Row {
		r := reading("down", at-quantrac.Millis(min)*60_000, v)
		r.Cells[0].Quality = q
		return r
	}
	w.put(quantrac.Readings, row(30, 1.5, quantrac.Good), row(20, 1.6, quantrac.NotEvaluated), row(10, 3, quantrac.Suspect), row(0, -9999, quantrac.Fail))
	run := w.issue()
	if run.Base != 1.6 || run.Inputs[0].Suspect != 1 || run.Inputs[0].Readings != 299+3 || run.Inputs[0].Newest != at-10*60_000 {
		t.Errorf("base %g, input %+v; want 1.6, one suspect", run.Base, run.Inputs[0])
	}
	w.put(quantrac.Readings, reading("up", at, up[299]))
	w.clock.Set(at + hour)
	w.put(quantrac.Readings, func() quantrac.Row {
		r := reading("down", at+hour, 1.7)
		r.Cells[0].Quality = quantrac.Suspect
		return r
	}())
	if run := w.issue(); run.Base != 1.7 {
		t.Errorf("base %g, want the suspect reading where there is no other", run.Base)
	}
}

// TestImportedHistory: a year-old gauge whose readings are imported in one go
// is forecast at once, and that run can be made again.
func TestImportedHistory(t *testing.T) {
	w := newWorld(t)
	down, up := river(500)
	w.clock.Set(begin + 499*hour + 30*60_000)
	var rows []quantrac.Row
	for i := range down {
		at := begin + quantrac.Millis(i)*hour
		rows = append(rows, reading("down", at, down[i]), reading("up", at, up[i]))
	}
	w.put(quantrac.Readings, rows...)
	run := w.issue()
	if run.Fallback != "" || run.Training.Known != run.Known || run.Issue != begin+499*hour {
		t.Errorf("fallback %q, issue %v, trained on what was known at %+v", run.Fallback, run.Issue, run.Training.Known)
	}
	w.clock.Advance(time.Hour)
	w.put(quantrac.Corrections, reading("down", begin+100*hour, 3))
	if again, err := w.f.Reproduce(background, run.ID); err != nil || asJSON(t, again) != asJSON(t, run) {
		t.Errorf("the run again differs (%v)", err)
	}
	// An hour later what was known before the hour suffices, and is kept.
	next := w.issue()
	if k := next.Training.Known; k.Commit != 0 || k.Time != next.Issue-1 {
		t.Errorf("an hour later trained on what was known at %+v", k)
	}
}

// TestPublishingFails: a run that cannot be written ahead is archived all the
// same, the error says so, and the room tries again with a new run.
func TestPublishingFails(t *testing.T) {
	w := newWorld(t)
	down, up := river(300)
	w.live(down, up, 0, 290)
	w.full.Store(true)
	run, err := w.f.Issue(background, name)
	if !errors.Is(err, errFull) || run == nil || run.ID == 0 {
		t.Fatalf("run %v, error %v", run, err)
	}
	if len(w.runs(forecast.Filter{})) != 1 || w.f.Stats().Failures != 1 || !errors.Is(w.f.Stats().LastError, errFull) {
		t.Errorf("%d runs archived, stats %+v", len(w.runs(forecast.Filter{})), w.f.Stats())
	}
	w.live(down, up, 290, 291)
	w.start()
	w.wait("a second failure", func() bool { return w.f.Models()[0].Why != "" })
	w.full.Store(false)
	w.wait("a run that is written ahead", func() bool {
		w.clock.Advance(time.Second)
		return w.ahead.Load() > 0
	})
	if m := w.f.Models()[0]; m.Issued == 0 {
		w.wait("it to be noted", func() bool { return w.f.Models()[0].Issued != 0 && w.f.Models()[0].Why == "" })
	}
}
