package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"
	"syscall"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"quantrac"
	"quantrac/alerting"
	"quantrac/alerting/outbox"
	"quantrac/alerting/topic"
	"quantrac/alerting/webhook"
	"quantrac/collector"
	"quantrac/collector/deadletter"
	"quantrac/collector/mqtt"
	"quantrac/dashboards"
	"quantrac/devices"
	"quantrac/devices/accounts"
	"quantrac/forecast"
	"quantrac/internal/audit"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
	"quantrac/tsdb/promql"
)

// system is the whole service, wired. Fields are set once, by open.
type system struct {
	c      *serveCmd
	log    *slog.Logger
	clock  quantrac.Clock
	driven *quantrac.ManualClock // the clock, where a replay drives it
	steady *steadyClock          // the clock, where it is the machine's

	gates     *gates
	metrics   *prometheus.Registry
	journal   *journal.Journal
	audit     *audit.Log
	registry  *devices.Registry
	accounts  *accounts.Store
	db        *tsdb.DB
	letters   *deadletter.Store
	collector *collector.Collector
	broker    *mqtt.Broker
	external  *mqtt.Client             // nil without an external broker
	topics    map[string]*topic.Sender // of warnings, by channel
	alerting  *alerting.Alerting
	webhook   *webhook.Sender
	outbox    *outbox.Outbox
	forecast  *forecast.Forecaster
	page      *dashboards.Page
	promql    *promql.API
	snapshots snapshots
	backups   *backups // nil where none are made on schedule

	stopping chan struct{} // closed when the service begins to stop: streams end
	guests   chan struct{} // closed when those who use the service from inside have left
	closed   chan struct{} // closed when everything is
	since    time.Time     // when the stop began
	requests underway
	parts    underway

	closers []namedFunc
	runners []runner
}

// runner is a part that works until its context ends.
type runner struct {
	name string
	run  func(ctx context.Context) error
}

type namedFunc struct {
	name string
	do   func() error
}

// open opens every room, lowest first: the journal, what holds its past, and
// what judges it. A failure closes what is open.
func open(ctx context.Context, c *serveCmd, log *slog.Logger) (*system, error) {
	s := &system{c: c, log: log, metrics: prometheus.NewRegistry(), topics: map[string]*topic.Sender{}, stopping: make(chan struct{}), guests: make(chan struct{}), closed: make(chan struct{})}
	s.snapshots.sys = s
	s.newClock()
	files, err := openFiles()
	if err != nil {
		return nil, fmt.Errorf("how many files may be open: %w", err)
	}
	s.gates = newGates(files)
	steps := []struct {
		name string
		do   func(context.Context) error
	}{
		{"journal", s.openJournal},
		{"audit", s.openAudit},
		{"registry", s.openRegistry},
		{"accounts", s.openAccounts},
		{"engine", s.openEngine},
		{"dead letters", s.openLetters},
		{"collector", s.openCollector},
		{"alerting", s.openAlerting},
		{"forecast", s.openForecast},
		{"page", s.openPage},
		{"backup", s.openBackups},
	}
	for _, step := range steps {
		err := step.do(ctx)
		if err == nil {
			err = ctx.Err()
		}
		if err != nil {
			return nil, errors.Join(named(step.name, err), s.close())
		}
		if step.name == "journal" { // what reads it, for minutes perhaps, ends when it does
			defer context.AfterFunc(ctx, func() { _ = s.journal.Close() })() // close tells
		}
	}
	if err := s.exportMetrics(); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

func (s *system) path(elem ...string) string {
	return filepath.Join(append([]string{s.c.Data}, elem...)...)
}

// own notes a part: how to run it, and how to close it.
func (s *system) own(name string, run func(context.Context) error, closer func() error) {
	if run != nil {
		s.runners = append(s.runners, runner{name, run})
	}
	if closer != nil {
		s.closers = append(s.closers, namedFunc{name, closer})
	}
}

func (s *system) openJournal(context.Context) (err error) {
	defer func() {
		if errors.Is(err, fs.ErrPermission) || errors.Is(err, syscall.EROFS) {
			err = fmt.Errorf("the data folder %s must be one that the service may write to: %w", s.c.Data, err)
		}
	}()
	if err := vfs.OS().MkdirAll(s.c.Data, 0o750); err != nil {
		return fmt.Errorf("data folder: %w", err)
	}
	accepted, err := s.acceptedClock()
	if err != nil {
		return named("accept-clock", err)
	}
	s.journal, err = journal.Open(vfs.OS(), s.path("journal"), journal.Options{
		Clock: s.clock, MinFreeBytes: s.c.minFree(), Logger: s.log, Driven: s.driven != nil, AcceptClock: accepted,
	})
	if errors.Is(err, journal.ErrClock) {
		err = fmt.Errorf("%w. %s", err, wayOut)
	}
	if err != nil {
		return err
	}
	s.own("journal", nil, s.journal.Close)
	if err := s.forgetSnapshot(); err != nil {
		s.log.Warn("what a snapshot that was cut short has left takes up space", "error", err)
	}
	if err := s.checkPause(accepted); err != nil {
		return err
	}
	if s.driven != nil {
		s.driven.Set(s.journal.Last().Time)
	}
	return nil
}

func (s *system) openAudit(context.Context) (err error) {
	if s.audit, err = audit.Open(s.path("audit.db"), s.journal, audit.Options{Clock: s.clock, Logger: s.log}); err != nil {
		return err
	}
	s.own("audit", s.audit.Run, s.audit.Close)
	s.recordAcceptance()
	return nil
}

func (s *system) openRegistry(context.Context) (err error) {
	s.registry, err = devices.Open(s.path("registry.db"), s.journal, devices.Options{Clock: s.clock, Audit: s.audit, Local: s.c.Dev, Logger: s.log})
	if err != nil {
		return err
	}
	s.own("registry", s.registry.Run, s.registry.Close)
	return nil
}

func (s *system) openAccounts(context.Context) (err error) {
	s.accounts, err = accounts.Open(s.path("accounts.db"), s.journal, accounts.Options{Clock: s.realClock(), Audit: s.audit, Logger: s.log})
	if err != nil {
		return err
	}
	s.own("accounts", s.accounts.Run, s.accounts.Close)
	return nil
}

func (s *system) openEngine(context.Context) (err error) {
	o := tsdb.Options{Clock: s.clock, Reserved: s.registry.Reserved, Logger: s.log}
	limit := memoryLimit(s.c.Memory)
	limitMemory(limit)
	memoryShare(&o, limit)
	keep, err := parseRetention(s.c.Retention)
	if err != nil {
		return err
	}
	if len(keep) > 0 {
		o.Retention = keep.of
	}
	s.db, err = tsdb.Open(vfs.OS(), s.path("tsdb"), s.journal, o)
	if err != nil {
		return err
	}
	s.own("engine", s.db.Run, s.db.Close)
	s.own("memory", spareMemory, nil)
	s.promql = promql.New(thresholdStore{s.db, s.registry, s.clock}, queryRegistry{s.registry}, promql.Options{Clock: s.clock, MaxHeld: heldSamples(limit), MaxSeries: touchedSeries(limit), Version: version, Logger: s.log})
	return nil
}

// run serves until the context ends, then takes no more, finishes what has
// come in, and returns.
func (s *system) run(ctx context.Context, out io.Writer) error {
	work, stopWork := context.WithCancel(context.WithoutCancel(ctx))
	defer stopWork()
	g, gctx := errgroup.WithContext(work)
	for _, r := range s.runners {
		g.Go(func() error {
			defer s.parts.begin(r.name)()
			if err := r.run(gctx); err != nil && gctx.Err() == nil {
				return named(r.name, err)
			}
			return nil
		})
	}
	door, err := s.openDoor(ctx, g, gctx)
	if err != nil {
		stopWork()
		return errors.Join(err, g.Wait())
	}
	s.greet(out, door)
	s.invite(ctx, gctx, g, door, out)
	select {
	case <-ctx.Done():
	case <-gctx.Done(): // a part has failed
	}
	err = s.stop(door, stopWork)
	return errors.Join(err, g.Wait())
}

// invite lets in who uses the service from inside: the simulated network, if
// it is wanted.
func (s *system) invite(ctx, gctx context.Context, g *errgroup.Group, d *door, out io.Writer) {
	if !s.c.Simulate {
		close(s.guests)
		return
	}
	visit, leave := context.WithCancel(gctx)
	context.AfterFunc(ctx, leave)
	g.Go(func() error {
		defer close(s.guests)
		defer s.parts.begin("simulation")()
		if err := s.simulate(visit, "mqtt://"+d.mqtt[0].Addr().String(), out); visit.Err() == nil {
			return named("simulation", err)
		}
		return nil
	})
}

// close closes the parts, the last opened first.
func (s *system) close() error {
	var errs []error
	for i := len(s.closers) - 1; i >= 0; i-- {
		end := s.parts.begin("close " + s.closers[i].name)
		if err := s.closers[i].do(); err != nil {
			errs = append(errs, fmt.Errorf("close %s: %w", s.closers[i].name, err))
		}
		end()
	}
	s.closers = nil
	close(s.closed)
	if !s.since.IsZero() {
		s.log.Info("stopped", "after", time.Since(s.since).Round(time.Millisecond))
	}
	return errors.Join(errs...)
}
