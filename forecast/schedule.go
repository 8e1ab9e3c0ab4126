package forecast

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/go-co-op/gocron/v2"
	"github.com/robfig/cron/v3"

	"quantrac"
)

// schedule keeps a gocron job per model, on the room's clock, and asks for the
// runs that are due. Jobs follow the models when the registry changes them.
func (f *Forecaster) schedule(ctx context.Context) error {
	s, err := gocron.NewScheduler(gocron.WithClock(timetable{f.o.Clock}), gocron.WithLocation(quantrac.Zone), gocron.WithLogger(quiet{f.o.Logger}))
	if err != nil {
		return fmt.Errorf("schedule: %w", err)
	}
	s.Start()
	jobs := map[string]gocron.Job{}
	for {
		f.refresh()
		if err := f.enroll(s, jobs); err != nil {
			return errors.Join(err, s.Shutdown())
		}
		select {
		case <-f.plan.changed:
		case <-ctx.Done():
			return s.Shutdown()
		}
	}
}

// refresh takes the models from the registry, where they are not configured,
// and the expected intervals of all inputs.
func (f *Forecaster) refresh() {
	now := f.o.Clock.Now()
	configs := f.o.Models
	if configs == nil {
		configs = Defaults(f.reg, now)
	}
	f.plan.mu.Lock()
	defer f.plan.mu.Unlock()
	if f.o.Models == nil {
		keep := map[string]bool{}
		for _, c := range configs {
			keep[c.Name()] = true
			f.plan.add(c)
		}
		for name := range f.plan.models {
			if !keep[name] {
				delete(f.plan.models, name)
				delete(f.plan.wants, name)
			}
		}
	}
	for _, m := range f.plan.models {
		for i, src := range m.cfg.inputs() {
			m.interval[i] = 0
			for _, p := range f.reg.Properties(src.Station) {
				if p.Name == src.Property {
					m.interval[i] = p.Interval
				}
			}
		}
	}
}

// enroll makes the jobs those of the models.
func (f *Forecaster) enroll(s gocron.Scheduler, jobs map[string]gocron.Job) error {
	models := f.Models()
	want := map[string]bool{}
	for _, m := range models {
		id := m.Config.digest()
		want[id] = true
		if jobs[id] != nil {
			continue
		}
		def, start := timing(&m.Config, f.o.Clock.Now())
		job, err := s.NewJob(def, gocron.NewTask(func() {
			f.plan.due(m.Name, f.o.Clock.Now(), ReasonSchedule)
		}), append(start, gocron.WithName(m.Name), gocron.WithSingletonMode(gocron.LimitModeReschedule))...)
		if err != nil {
			return fmt.Errorf("schedule of %s: %w", m.Name, err)
		}
		jobs[id] = job
		f.plan.due(m.Name, f.o.Clock.Now(), ReasonStart)
	}
	for id, job := range jobs {
		if !want[id] {
			if err := s.RemoveJob(job.ID()); err != nil {
				return fmt.Errorf("schedule: %w", err)
			}
			delete(jobs, id)
		}
	}
	return nil
}

// timing returns when a model runs: Delay after every grid time, or its cron
// line.
func timing(c *Config, now quantrac.Millis) (gocron.JobDefinition, []gocron.JobOption) {
	if c.Cron != "" {
		return gocron.CronJob(c.Cron, false), []gocron.JobOption{gocron.WithCronImplementation(&cronLine{})}
	}
	step := time.Duration(c.Step)
	first := floor(now, step).Add(time.Duration(c.Delay))
	if first <= now {
		first = first.Add(step)
	}
	return gocron.DurationJob(step), []gocron.JobOption{gocron.WithStartAt(gocron.WithStartDateTimePast(first.Time()))}
}

// cronLine reads cron lines at +07:00: gocron's own reader wants the name of a
// zone in a database that a machine need not have.
type cronLine struct{ at cron.Schedule }

// IsValid implements gocron.Cron.
func (l *cronLine) IsValid(line string, _ *time.Location, now time.Time) (err error) {
	if l.at, err = parseCron(line); err == nil && l.at.Next(now).IsZero() {
		err = quantrac.Errorf(quantrac.Invalid, "cron line %q names no time to come", line)
	}
	return err
}

// Next implements gocron.Cron.
func (l *cronLine) Next(last time.Time) time.Time { return l.at.Next(last) }

func parseCron(line string) (cron.Schedule, error) {
	s, err := cron.ParseStandard(line)
	if err != nil {
		return nil, quantrac.Errorf(quantrac.Invalid, "cron line %q: %w", line, err)
	}
	spec, ok := s.(*cron.SpecSchedule)
	if !ok {
		return nil, quantrac.Errorf(quantrac.Invalid, "cron line %q: want five fields", line)
	}
	spec.Location = quantrac.Zone
	return spec, nil
}

// work makes the runs that are asked for, one at a time.
func (f *Forecaster) work(ctx context.Context) error {
	f.resume(ctx)
	for ctx.Err() == nil {
		name, w, ok := f.plan.next()
		var due <-chan struct{}
		cancel := func() {}
		if ok {
			due, cancel = f.o.Clock.At(w.at)
		}
		select {
		case <-ctx.Done():
			cancel()
		case <-f.plan.wake:
			cancel()
		case <-due:
			f.plan.take(name)
			f.attempt(ctx, name, w)
			f.plan.finish()
		}
	}
	return nil
}

// attempt makes a run that was asked for; a failure is logged, counted and shown
// by Models, and the next one on the schedule, or sooner where that may help,
// tries anew.
func (f *Forecaster) attempt(ctx context.Context, name string, w want) {
	c, ok := f.plan.config(name)
	if !ok {
		return // the model was taken away meanwhile
	}
	now := f.known().Time
	issue := floor(now, time.Duration(c.Step))
	if issue != w.issue && (c.Cron == "" || w.reason == ReasonSchedule) {
		f.plan.due(name, now, ReasonSchedule) // its time is past; the next may be due already, if the clock leapt
	}
	reason, ok := f.plan.begin(name, w, issue)
	if !ok {
		return
	}
	run, err := f.issue(ctx, name, reason)
	if ctx.Err() != nil {
		return
	}
	f.plan.done(name, issue, err)
	if err != nil {
		level := slog.LevelWarn
		if quantrac.KindOf(err) == quantrac.Unavailable {
			level = slog.LevelInfo // a young or silent gauge
		}
		if run != nil || quantrac.KindOf(err) == quantrac.Busy {
			f.plan.again(name, issue, f.o.Clock.Now().Add(f.o.Late)) // made but not published: a new run will be
		}
		f.o.Logger.Log(ctx, level, "forecast: no run", "model", name, "issue", issue, "reason", reason, "error", err)
		return
	}
	f.o.Logger.Debug("forecast: run", "model", name, "issue", issue, "reason", reason, "run", run.ID, "fallback", run.Fallback)
}

// recall notes the newest archived run of every model, so that what has been
// run is not run again after a restart.
func (f *Forecaster) recall(ctx context.Context) {
	f.refresh()
	for _, m := range f.Models() {
		if run, err := f.newest(ctx, &m.Config); err == nil {
			f.plan.done(m.Name, run.Issue, nil)
		}
	}
}

func (f *Forecaster) newest(ctx context.Context, c *Config) (*Run, error) {
	runs, err := f.Runs(ctx, Filter{Station: c.Station, Property: c.Property, Sensor: &c.Sensor, Model: c.Model, Limit: 1})
	if err == nil && len(runs) == 0 {
		err = quantrac.Errorf(quantrac.NotFound, "no run of %s yet", c.Name())
	}
	if err != nil {
		return nil, err
	}
	return runs[0], nil
}

// resume publishes the newest run of every model again where it still reaches
// ahead: the service may have ended between archiving and publishing it.
// Writing the same values again changes nothing that is seen.
func (f *Forecaster) resume(ctx context.Context) {
	now := f.o.Clock.Now()
	for _, m := range f.Models() {
		run, err := f.newest(ctx, &m.Config)
		if err == nil && run.Leads[len(run.Leads)-1].Time > now {
			err = f.publish(ctx, run)
		}
		if err != nil && ctx.Err() == nil && quantrac.KindOf(err) != quantrac.NotFound {
			f.o.Logger.Warn("forecast: newest run not published again", "model", m.Name, "error", err)
		}
	}
}

// quiet passes gocron's log on, its chatter as debug.
type quiet struct{ l *slog.Logger }

func (q quiet) Debug(msg string, args ...any) { q.l.Debug(msg, args...) }
func (q quiet) Info(msg string, args ...any)  { q.l.Debug(msg, args...) }
func (q quiet) Warn(msg string, args ...any)  { q.l.Warn(msg, args...) }
func (q quiet) Error(msg string, args ...any) { q.l.Error(msg, args...) }
