package forecast

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Store is where observations are read and forecasts written ahead.
type Store interface {
	// Read returns the visible values, with quality good, not evaluated or
	// suspect, of the series that carries the labels given, valid from from
	// to to inclusive, in order of time, as known after commit known.Number,
	// or, with number 0, after the last commit not later than known.Time; the
	// zero commit is now. A series that is not there is empty; several that
	// carry the labels are an Invalid error.
	Read(ctx context.Context, series quantrac.Labels, from, to quantrac.Millis, known quantrac.Commit) ([]quantrac.Millis, []float64, []quantrac.Quality, error)
	// Append makes a batch durable.
	Append(ctx context.Context, b *quantrac.Batch) (quantrac.Receipt, error)
}

// Registry is what is asked about stations.
type Registry interface {
	StationsAt(at quantrac.Millis) []quantrac.Station
	Station(id string, at quantrac.Millis) (quantrac.Station, bool)
	Properties(station string) []quantrac.Property
	Thresholds(station, property string, at quantrac.Millis) []quantrac.Threshold
}

// Options of a Forecaster. The zero value works: the models are those of
// Defaults, inputs do not set off runs (no Decode).
type Options struct {
	Clock quantrac.Clock // SystemClock
	// Models says what is forecast; nil means Defaults of the registry as it
	// stands, followed as it changes.
	Models []Config
	// Decode reads the journal's record of a batch, so that arriving inputs
	// set off runs; nil leaves all to the schedule.
	Decode func(record []byte, wanted func(station []byte) bool) (*quantrac.Batch, error)
	// Public says whether forecasts of a station may be shown to who is not
	// signed in: an issuing authority is recorded. nil means never.
	Public func(station string, at quantrac.Millis) bool
	// Settle is how long to wait after the inputs of an issue have arrived, 2
	// seconds, and Late after a late or corrected input, 1 minute, before the
	// run: more may follow.
	Settle, Late time.Duration
	Logger       *slog.Logger // none
}

// Forecaster is the forecast room. Its methods may be called from any
// goroutine.
type Forecaster struct {
	o       Options
	journal *journal.Journal
	store   Store
	reg     Registry
	proj    *projection.DB
	fits    fits
	stats   counters
	turn    chan struct{} // holds one token: who has it computes; one run at a time leaves a core to the rest
	plan    plan
	running atomic.Bool

	life    context.Context // ends with Close
	end     context.CancelFunc
	runs    sync.WaitGroup
	closing sync.Once
	closed  error
}

// Open opens or makes the run archive at path (or projection.Memory), brings it
// up to the journal's end and returns the room. It is an Invalid error if one
// of Options.Models makes no sense.
func Open(path string, j *journal.Journal, store Store, reg Registry, o Options) (*Forecaster, error) {
	if o.Clock == nil {
		o.Clock = quantrac.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Settle == 0 {
		o.Settle = 2 * time.Second
	}
	if o.Late == 0 {
		o.Late = time.Minute
	}
	f := &Forecaster{o: o, journal: j, store: store, reg: reg, turn: make(chan struct{}, 1)}
	f.turn <- struct{}{}
	f.life, f.end = context.WithCancel(context.Background())
	f.plan.init()
	for i, c := range o.Models {
		c, err := c.withDefaults()
		if err != nil {
			return nil, fmt.Errorf("forecast model %d: %w", i+1, err)
		}
		if f.plan.models[c.Name()] != nil {
			return nil, quantrac.Errorf(quantrac.Invalid, "forecast model %d: a second %s", i+1, c.Name())
		}
		f.plan.add(c)
	}
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("forecast: %w", err)
	}
	f.proj, err = projection.Open(path, projection.Options{Migrations: steps, Kinds: []quantrac.RecordKind{quantrac.RecordRun}, Apply: apply, Logger: o.Logger})
	if err != nil {
		return nil, fmt.Errorf("forecast: %w", err)
	}
	if err := f.proj.Start(f.life, j, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("forecast: %w", err), f.proj.Close())
	}
	return f, nil
}

// Run schedules, follows the inputs and does the work until ctx ends or the
// room is closed. It returns the first error that ends it, nil for those two.
func (f *Forecaster) Run(ctx context.Context) error {
	if f.life.Err() != nil {
		return quantrac.Errorf(quantrac.Unavailable, "forecast: closed")
	}
	f.runs.Add(1)
	defer f.runs.Done()
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stop := context.AfterFunc(f.life, cancel)
	defer stop()

	// The models are those of the registry at this commit or later; what comes
	// after it is followed, so that no change falls between.
	known := f.journal.Last().Number
	if err := f.registryAt(ctx, known); err != nil {
		return ending(ctx, err)
	}
	f.plan.look(known)
	f.recall(ctx)
	f.running.Store(true)
	defer f.running.Store(false)
	parts := []func(context.Context) error{
		func(ctx context.Context) error { return f.proj.Run(ctx, f.journal) },
		func(ctx context.Context) error { return f.follow(ctx, known) },
		f.schedule, f.work,
	}
	errs := make(chan error, len(parts))
	for _, part := range parts {
		go func() {
			err := part(ctx)
			if err != nil {
				cancel()
			}
			errs <- err
		}()
	}
	var first error
	for range parts {
		if err := <-errs; err != nil && first == nil && !errors.Is(err, context.Canceled) {
			first = fmt.Errorf("forecast: %w", err)
		}
	}
	return first
}

// ending is an error of Run, nil where its context ended.
func ending(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return fmt.Errorf("forecast: %w", err)
}

// Close ends Run, waits for it, and closes the archive. It may be called more
// than once.
func (f *Forecaster) Close() error {
	f.closing.Do(func() {
		f.end()
		f.runs.Wait()
		f.closed = f.proj.Close()
	})
	return f.closed
}

// Issue runs a model, by Config.Name, for the newest grid time now, archives
// the run and publishes it. The schedule and arriving inputs do this by
// themselves.
func (f *Forecaster) Issue(ctx context.Context, name string) (*Run, error) {
	return f.issue(ctx, name, ReasonHand)
}

// known returns what the service knows now.
func (f *Forecaster) known() Known {
	last := f.journal.Last()
	return Known{Commit: last.Number, Time: max(last.Time, f.o.Clock.Now())}
}

func (f *Forecaster) issue(ctx context.Context, name, reason string) (*Run, error) {
	c, ok := f.plan.config(name)
	if !ok {
		return nil, quantrac.Errorf(quantrac.NotFound, "no forecast model %q", name)
	}
	known := f.known()
	o := order{cfg: c, issue: floor(known.Time, time.Duration(c.Step)), known: known, reason: reason}
	f.ask(&o)
	began := time.Now()
	run, err := f.computeAlone(ctx, o)
	if err != nil {
		f.stats.failed(ctx, err)
		return nil, fmt.Errorf("%s at %v: %w", name, o.issue, err)
	}
	f.stats.ran(run, time.Since(began))
	if reason == ReasonLate {
		if old := f.unchanged(ctx, run); old != nil {
			return old, nil
		}
	}
	if err := f.archive(ctx, run); err != nil {
		f.stats.failed(ctx, err)
		return nil, err
	}
	return run, f.publish(ctx, run)
}

// ask fills in what the registry says at the issue time.
func (f *Forecaster) ask(o *order) {
	o.thresholds = f.reg.Thresholds(o.cfg.Station, o.cfg.Property, o.issue)
	st, _ := f.reg.Station(o.cfg.Station, o.issue)
	o.simulated = st.Simulated
	o.unit, o.decimals = quantrac.MetricOf(o.cfg.Property).Unit, 2
	for _, p := range f.reg.Properties(o.cfg.Station) {
		if p.Name == o.cfg.Property {
			o.unit, o.decimals = p.Named().Unit, p.Decimals
		}
	}
}

func (f *Forecaster) computeAlone(ctx context.Context, o order) (*Run, error) {
	select {
	case <-f.turn:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	defer func() { f.turn <- struct{}{} }()
	return f.compute(ctx, o)
}

// publish writes a run's values ahead into the store.
func (f *Forecaster) publish(ctx context.Context, run *Run) error {
	if _, err := f.store.Append(ctx, run.batch()); err != nil {
		f.stats.failed(ctx, err)
		return fmt.Errorf("forecast: writing run %d ahead: %w", run.ID, err)
	}
	return nil
}

// Hindcast runs a model, by Config.Name, as if it were asOf: by what was known
// then, for the newest grid time then. Nothing is archived or published. The
// thresholds are those the registry now says were in force.
func (f *Forecaster) Hindcast(ctx context.Context, name string, asOf quantrac.Millis) (*Run, error) {
	c, ok := f.plan.config(name)
	if !ok {
		return nil, quantrac.Errorf(quantrac.NotFound, "no forecast model %q", name)
	}
	if asOf > f.o.Clock.Now() {
		return nil, quantrac.Errorf(quantrac.Invalid, "hindcast as of %v, which is yet to come", asOf)
	}
	o := order{cfg: c, issue: floor(asOf, time.Duration(c.Step)), known: Known{Time: asOf}, reason: ReasonHand}
	f.ask(&o)
	return f.computeAlone(ctx, o)
}

// Reproduce computes an archived run again from the same configuration and
// knowledge. What it returns equals the archived run in every field.
func (f *Forecaster) Reproduce(ctx context.Context, id uint64) (*Run, error) {
	old, err := f.Get(ctx, id)
	if err != nil {
		return nil, err
	}
	o := order{cfg: old.Config, issue: old.Issue, known: old.Known,
		trained: &basis{end: old.Training.To.Add(time.Duration(old.Config.Step)), known: old.Training.Known},
		reason:  old.Reason, alone: old.Alone, simulated: old.Simulated, unit: old.Unit, decimals: old.Decimals}
	for i := range old.Thresholds {
		o.thresholds = append(o.thresholds, old.Thresholds[i].Threshold.root(&old.Config))
	}
	run, err := f.computeAlone(ctx, o)
	if err != nil {
		return nil, fmt.Errorf("run %d again: %w", id, err)
	}
	run.ID, run.Committed = old.ID, old.Committed
	return run, nil
}
