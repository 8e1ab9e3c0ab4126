package alerting

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
)

// Decode reads the journal's record of a batch, less the rows of stations that
// wanted says no to: tsdb.DecodeBatch.
type Decode func(record []byte, wanted func(station []byte) bool) (*quantrac.Batch, error)

// Alerting is the open room. Its methods may be called from any goroutine.
type Alerting struct {
	o      Options
	dir    string
	j      *journal.Journal
	reg    Registry
	decode Decode
	tables *projection.DB
	hold   *journal.Hold

	feed  feed
	subs  book
	stats counters
	spare chan []byte // memory for batches that wait to be judged

	judgedMu sync.Mutex
	judgedCh chan struct{} // closed when processed moves; nil where nobody waits

	running   sync.Mutex // held by Run
	closeOnce sync.Once
	closed    chan struct{}
	closeErr  error
}

// counters are what Stats shows, kept as things happen.
type counters struct {
	processed atomic.Uint64
	batches   atomic.Uint64
	corrupt   atomic.Uint64
	retries   atomic.Uint64
	snapshot  atomic.Uint64
	said      [4]atomic.Uint64 // issue, update, all_clear, cancel
}

// Stats are figures for /metrics.
type Stats struct {
	Processed uint64            // commit up to which the journal is judged
	Lag       uint64            // commits behind the journal's newest
	Batches   uint64            // judged since the start
	Corrupt   uint64            // entries that could not be decoded and were passed over
	Retries   uint64            // times the journal refused a warning
	Snapshot  uint64            // commit of the newest snapshot
	Said      map[string]uint64 // revisions since the start, by state
	Open      map[string]int    // open episodes, by rule
}

// Open opens the room in dir, whose tables and snapshot it makes if needed,
// and brings the tables up to date. reg must show what the journal holds by
// now.
func Open(ctx context.Context, dir string, j *journal.Journal, decode Decode, reg Registry, o Options) (*Alerting, error) {
	o = o.withDefaults()
	if o.Database == "" {
		o.Database = filepath.Join(dir, "alerting.db")
	}
	if err := o.FS.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("alerting: %w", err)
	}
	a := &Alerting{
		o: o, dir: dir, j: j, reg: reg, decode: decode,
		closed: make(chan struct{}), spare: make(chan []byte, 4),
	}
	migrations, err := readMigrations()
	if err != nil {
		return nil, err
	}
	a.tables, err = projection.Open(o.Database, projection.Options{
		Migrations: migrations, Logger: o.Logger, Apply: a.project,
		Kinds: []quantrac.RecordKind{quantrac.RecordWarning, quantrac.RecordDelivery},
	})
	if err != nil {
		return nil, fmt.Errorf("alerting: %w", err)
	}
	if err := a.start(ctx); err != nil {
		return nil, errors.Join(fmt.Errorf("alerting: %w", err), a.tables.Close())
	}
	return a, nil
}

// start brings the tables up to date and reads what is open. Where the disk
// does not let the tables follow, what they lack is read from the journal: a
// full disk must not keep the room from starting.
func (a *Alerting) start(ctx context.Context) error {
	if err := a.tables.CatchUp(ctx, a.j); quantrac.KindOf(err) == quantrac.Unavailable {
		a.o.Logger.Error("alerting: the tables cannot follow yet", "error", err)
	} else if err != nil {
		return err
	}
	applied := a.tables.Applied()
	open, err := a.openSayings(ctx)
	if err != nil {
		return err
	}
	a.feed.init(applied, open)
	if err := a.loadSubscriptions(ctx); err != nil {
		return err
	}
	if applied >= a.j.Last().Number {
		return nil
	}
	return a.j.Replay(ctx, applied, func(e journal.Entry) error {
		switch {
		case e.Kind == quantrac.RecordDelivery:
			return a.subs.apply(e)
		case e.Kind == quantrac.RecordWarning && e.Flags == flagWarning:
			s, err := decodeSaying(e.Commit, e.Data)
			if err == nil {
				a.feed.add(s.Warning)
			}
			return err
		}
		return nil
	})
}

// Run judges what the journal brings until ctx ends or the room is closed, and
// returns nil then. Failures that may pass are logged and tried again; an
// error means that the journal or the tables are damaged.
func (a *Alerting) Run(ctx context.Context) error {
	a.running.Lock()
	defer a.running.Unlock()
	ctx, cancel := context.WithCancel(ctx)
	var wg sync.WaitGroup
	defer wg.Wait()
	defer cancel()
	wg.Go(func() {
		select {
		case <-a.closed:
			cancel()
		case <-ctx.Done():
		}
	})
	tables := make(chan error, 1)
	wg.Go(func() {
		err := a.tables.Run(ctx, a.j)
		if err != nil {
			cancel() // without tables nothing can be delivered or shown
		}
		tables <- err
	})
	err := a.keepJudging(ctx)
	cancel()
	wg.Wait()
	if terr := <-tables; terr != nil {
		return fmt.Errorf("alerting: %w", terr)
	}
	if ctx.Err() != nil && (err == nil || errors.Is(err, context.Canceled) || quantrac.KindOf(err) == quantrac.Unavailable) {
		return nil
	}
	return err
}

// keepJudging starts the judge again after a failure that may pass, such as a
// disk that did not read; it finds its place by snapshot and journal.
func (a *Alerting) keepJudging(ctx context.Context) error {
	for {
		err := a.judge(ctx)
		if ctx.Err() != nil || quantrac.KindOf(err) == quantrac.Corrupt {
			return err
		}
		a.o.Logger.Error("alerting: the rules stopped; starting them again", "error", err)
		select {
		case <-time.After(time.Second): // the disk's time, not the service's
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// Close ends Run, waits for it and closes the tables. It may be called more
// than once.
func (a *Alerting) Close() error {
	a.closeOnce.Do(func() {
		close(a.closed)
		a.running.Lock()
		defer a.running.Unlock()
		a.closeErr = a.tables.Close()
	})
	return a.closeErr
}

// Wait returns when everything up to a commit is judged, and what it brought
// about is told.
func (a *Alerting) Wait(ctx context.Context, commit uint64) error {
	for {
		a.judgedMu.Lock()
		if a.stats.processed.Load() >= commit {
			a.judgedMu.Unlock()
			return nil
		}
		if a.judgedCh == nil {
			a.judgedCh = make(chan struct{})
		}
		ch := a.judgedCh
		a.judgedMu.Unlock()
		select {
		case <-ch:
		case <-ctx.Done():
			return ctx.Err()
		case <-a.closed:
			return quantrac.Errorf(quantrac.Unavailable, "alerting is closed")
		}
	}
}

// judged notes how far the judge is and wakes who waits for it.
func (a *Alerting) judged(commit uint64) {
	a.judgedMu.Lock()
	defer a.judgedMu.Unlock()
	a.stats.processed.Store(commit)
	a.hold.Pass(commit)
	if a.judgedCh != nil {
		close(a.judgedCh)
		a.judgedCh = nil
	}
}

// Stats returns the figures of now.
func (a *Alerting) Stats() Stats {
	c := &a.stats
	s := Stats{
		Processed: c.processed.Load(), Batches: c.batches.Load(), Corrupt: c.corrupt.Load(), Retries: c.retries.Load(),
		Snapshot: c.snapshot.Load(), Said: map[string]uint64{}, Open: map[string]int{},
	}
	if last := a.j.Last().Number; last > s.Processed {
		s.Lag = last - s.Processed
	}
	for i, state := range states {
		s.Said[string(state)] = c.said[i].Load()
	}
	for _, w := range a.feed.open() {
		s.Open[w.Rule]++
	}
	return s
}

var states = [...]quantrac.WarningState{quantrac.WarningIssued, quantrac.WarningUpdated, quantrac.WarningClear, quantrac.WarningCancel}
