package forecast_test

import (
	"context"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"quantrac"
	"quantrac/forecast"
	"quantrac/internal/journal"
	"quantrac/tsdb"
)

// TestSchedule: without a look at inputs, gocron on the service's own clock
// makes one run per step, the delay after each grid time.
func TestSchedule(t *testing.T) {
	w := newWorld(t)
	down, up := river(400)
	w.live(down, up, 0, 300)
	w.start()
	w.wait("the run at the start", func() bool { return len(w.runs(forecast.Filter{})) == 1 })
	for i := 300; i < 304; i++ {
		w.live(down, up, i, i+1)
		delay := quantrac.Millis(10 * 60_000)
		w.clock.Set(begin + quantrac.Millis(i)*hour + delay - 1)
		if n := len(w.runs(forecast.Filter{})); n != i-299 {
			t.Fatalf("hour %d: %d runs before the delay is over", i, n)
		}
		w.clock.Set(begin + quantrac.Millis(i)*hour + delay)
		w.wait("the scheduled run", func() bool { return len(w.runs(forecast.Filter{})) == i-298 })
		r := w.runs(forecast.Filter{Limit: 1})[0]
		if r.Reason != forecast.ReasonSchedule || r.Issue != begin+quantrac.Millis(i)*hour || r.Known.Time != r.Issue+delay {
			t.Errorf("hour %d: reason %q, issue %v, known at %v", i, r.Reason, r.Issue, r.Known.Time)
		}
	}
	// The clock leaps, as a replay's does: one run for the newest issue.
	w.live(down, up, 304, 330)
	w.clock.Set(begin + 329*hour + 20*60_000)
	w.wait("the run after a leap", func() bool { return w.runs(forecast.Filter{Limit: 1})[0].Issue == begin+329*hour })
}

// TestCron: a cron line at +07:00 replaces the run per step.
func TestCron(t *testing.T) {
	w := newWorld(t)
	w.close()
	c := config()
	c.Cron = "30 7 * * *"
	w.o.Models = []forecast.Config{c}
	w.o.Decode = tsdb.DecodeBatch
	w.open()
	down, up := river(400)
	w.live(down, up, 0, 300)
	w.start()
	w.wait("the run at the start", func() bool { return len(w.runs(forecast.Filter{})) == 1 })
	for i := 300; i < 348; i++ {
		w.live(down, up, i, i+1)
		for m := quantrac.Millis(0); m < 60; m += 10 {
			at := begin + quantrac.Millis(i)*hour + m*60_000
			w.clock.Set(at)
			if local := at.Time().In(quantrac.Zone); local.Hour() == 7 && local.Minute() == 30 {
				w.wait("the run at half past seven", func() bool {
					return w.runs(forecast.Filter{Limit: 1})[0].Issue == begin+quantrac.Millis(i)*hour
				})
			}
		}
	}
	if n := len(w.runs(forecast.Filter{})); n != 3 {
		t.Errorf("%d runs over two days, want 1 + 2", n)
	}
}

// TestInputsSetOffRuns: a run comes as soon as all inputs of an issue are
// there; what comes late, or is corrected, makes a new run of the same issue;
// what says nothing new makes none. No run is ever edited.
func TestInputsSetOffRuns(t *testing.T) {
	w := newWorld(t)
	w.close()
	w.o.Decode = tsdb.DecodeBatch
	w.open()
	down, up := river(400)
	w.live(down, up, 0, 300)
	w.start()
	count := func() int { return len(w.runs(forecast.Filter{})) }
	w.wait("the run at the start", func() bool { return count() == 1 })

	at := begin + 300*hour
	w.clock.Set(at + 5_000)
	w.put(quantrac.Readings, reading("down", at, down[300]))
	w.put(quantrac.Readings, reading("up", at, up[300]))
	settle := func(what string, n int, reason string) *forecast.Run {
		t.Helper()
		w.wait(what, func() bool {
			w.clock.Advance(time.Second) // settling and lateness are waited out
			return count() == n
		})
		r := w.runs(forecast.Filter{Limit: 1})[0]
		if r.Reason != reason || r.Issue != at {
			t.Errorf("%s: reason %q, issue %v; want %q, %v", what, r.Reason, r.Issue, reason, at)
		}
		return r
	}
	first := settle("the run of the inputs", 2, forecast.ReasonInputs)
	if first.Known.Time-at > 10*60_000 {
		t.Errorf("it waited for the schedule: known at %v", first.Known.Time)
	}
	before := asJSON(t, first)

	w.put(quantrac.Readings, reading("up", at-30*60_000, up[300]+0.05)) // not the newest of its step: another reading, the same figures
	late := settle("the run of a late reading", 3, forecast.ReasonLate)
	if late.Inputs[1].Readings != first.Inputs[1].Readings+1 {
		t.Errorf("late reading not seen: %+v", late.Inputs)
	}
	w.put(quantrac.Corrections, reading("down", at, down[300]+0.5))
	fixed := settle("the run of a correction", 4, forecast.ReasonLate)
	if fixed.Base != down[300]+0.5 {
		t.Errorf("base %g after the correction to %g", fixed.Base, down[300]+0.5)
	}
	if r, err := w.f.Get(background, first.ID); err != nil || asJSON(t, r) != before {
		t.Errorf("the first run has changed (%v)", err)
	}

	w.put(quantrac.Readings, reading("up", at-10*60_000, up[300]), reading("down", at-30*60_000, 0.9))
	settle("a run that says other readings came", 5, forecast.ReasonLate)
	ran, runs := w.f.Stats().Runs, count()
	w.put(quantrac.Corrections, reading("down", at, down[300]+0.5)) // the same once more
	w.wait("a run that says nothing new", func() bool { w.clock.Advance(time.Second); return w.f.Stats().Runs > ran })
	if n := count(); n != runs {
		t.Errorf("a run that says the same was archived: %d runs, were %d", n, runs)
	}
}

// TestBehind: once the room is no longer behind an instant, whatever was due by
// then has been run, by the schedule or for inputs, and not a moment later.
func TestBehind(t *testing.T) {
	w := newWorld(t)
	w.close()
	w.o.Decode = tsdb.DecodeBatch
	w.open()
	down, up := river(400)
	w.live(down, up, 0, 300)
	w.start()
	w.wait("the run at the start", func() bool { return len(w.runs(forecast.Filter{})) == 1 })
	at := begin + 300*hour
	settle := func(after time.Duration, issue quantrac.Millis, reason string) {
		t.Helper()
		w.clock.Set(at.Add(after))
		w.wait("nothing is left", func() bool { return w.f.Behind(at.Add(after), w.j.Last().Number) == "" })
		if r := w.runs(forecast.Filter{Limit: 1})[0]; r.Issue != issue || r.Reason != reason {
			t.Errorf("%v after the hour the newest run is of %v, %s; want %v, %s", after, r.Issue, r.Reason, issue, reason)
		}
	}
	settle(0, at-hour, forecast.ReasonStart)
	w.put(quantrac.Readings, reading("down", at, down[300]))
	settle(9*time.Minute, at-hour, forecast.ReasonStart)
	settle(10*time.Minute, at, forecast.ReasonSchedule)
	w.put(quantrac.Readings, reading("up", at, up[300])) // late
	settle(12*time.Minute, at, forecast.ReasonLate)
	late := w.runs(forecast.Filter{Limit: 1})[0].ID
	w.clock.Set(at.Add(59 * time.Minute))
	w.put(quantrac.Readings, reading("up", at-hour/2, up[300])) // its run would come when the hour is over
	settle(time.Hour+5*time.Minute, at, forecast.ReasonLate)
	if r := w.runs(forecast.Filter{Limit: 1})[0]; r.ID != late {
		t.Errorf("run %d of the hour before, made when it was over", r.ID)
	}
	w.put(quantrac.Readings, reading("down", at+hour, down[301]), reading("up", at+hour, up[301]))
	settle(time.Hour+6*time.Minute, at+hour, forecast.ReasonInputs)
	settle(4*time.Hour+9*time.Minute, at+hour, forecast.ReasonInputs) // hours leapt over, the newest not yet due
	if left := w.f.Behind(at+5*hour+10*60_000, 0); !strings.Contains(left, "has not been run") {
		t.Errorf("an hour ahead: %q", left)
	}
	if left := w.f.Behind(at, 1<<40); !strings.Contains(left, "not been looked at") {
		t.Errorf("of commits to come: %q", left)
	}
}

// TestModelsFollowTheRegistry: with no models configured every gauge is
// forecast, as the registry changes.
func TestModelsFollowTheRegistry(t *testing.T) {
	w := newWorld(t)
	w.close()
	w.o.Models = nil
	w.open()
	w.start()
	w.wait("both gauges", func() bool { return len(w.f.Models()) == 2 })
	m := w.f.Models()[0]
	if m.Config.Station != "down" || len(m.Config.Upstream) != 1 || m.Config.Upstream[0].Station != "up" ||
		time.Duration(m.Config.Step) != time.Hour || time.Duration(m.Config.Leads[len(m.Config.Leads)-1]) != 48*time.Hour {
		t.Errorf("default model: %+v", m.Config)
	}
	w.wait("why there is no run", func() bool { return w.f.Models()[0].Why != "" })
	w.reg.mu.Lock()
	w.reg.stations = w.reg.stations[1:]
	w.reg.mu.Unlock()
	if _, err := w.j.Append(background, journal.Record{Kind: quantrac.RecordRegistry, Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	w.wait("the gauge that is left", func() bool { return len(w.f.Models()) == 1 })
}

// TestRegistryBehindTheJournal: a gauge whose record the journal holds when the
// room begins to run is forecast, though the registry shows it only later.
func TestRegistryBehindTheJournal(t *testing.T) {
	w := newWorld(t)
	w.close()
	w.o.Models = nil
	w.lag = &lagging{registry: w.reg}
	w.open()
	if _, err := w.j.Append(background, journal.Record{Kind: quantrac.RecordRegistry, Data: []byte("x")}); err != nil {
		t.Fatal(err)
	}
	w.start()
	w.wait("both gauges", func() bool { return len(w.f.Models()) == 2 })
}

// lagging is a registry that shows its stations once somebody has waited.
type lagging struct {
	*registry
	caughtUp atomic.Bool
}

func (l *lagging) StationsAt(at quantrac.Millis) []quantrac.Station {
	if !l.caughtUp.Load() {
		return nil
	}
	return l.registry.StationsAt(at)
}

func (l *lagging) Wait(_ context.Context, commit uint64) error {
	if commit > 0 {
		l.caughtUp.Store(true)
	}
	return nil
}

func TestRunEndsAndCloses(t *testing.T) {
	w := newWorld(t)
	stop := w.start()
	w.wait("it runs", func() bool { return w.f.Stats().Failures > 0 }) // nothing to forecast from yet
	if err := w.f.Close(); err != nil {
		t.Error(err)
	}
	stop() // Run has ended by itself, without an error
	if err := w.f.Run(background); quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("Run after Close: %v", err)
	}
}
