package devices

import (
	"context"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"sync/atomic"

	"database/sql"

	"quantrac"
	"quantrac/internal/audit"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options of a registry. The zero value works.
type Options struct {
	Clock quantrac.Clock // SystemClock
	// Audit is where every change is written down, in the same append; nil
	// leaves it to the journal record, which names who and why as well.
	Audit *audit.Log
	// Local lets EnsureDevice register devices that nobody has entered: for a
	// service on a developer's own machine.
	Local  bool
	Logger *slog.Logger // none
}

// Registry is an open registry. Its methods may be called from any goroutine.
type Registry struct {
	o       Options
	journal *journal.Journal
	proj    *projection.DB
	follow  projection.Follower

	snap atomic.Pointer[state] // stored to by remember alone
	turn chan struct{}         // holds one token: who has it plans and appends a change
}

// Open opens or makes the registry's tables at path (or projection.Memory)
// and brings them up to the journal's end.
func Open(path string, j *journal.Journal, o Options) (*Registry, error) {
	if o.Clock == nil {
		o.Clock = quantrac.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	r := &Registry{o: o, journal: j, turn: make(chan struct{}, 1)}
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	r.proj, err = projection.Open(path, projection.Options{
		Migrations: steps, Kinds: []quantrac.RecordKind{quantrac.RecordRegistry}, Apply: apply, Memory: r.remember, Logger: o.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("registry: %w", err)
	}
	r.follow.DB, r.follow.Journal = r.proj, j
	if err := r.proj.Start(context.Background(), j, r.load); err != nil {
		r.proj.Close() // the first error is the one to tell
		return nil, fmt.Errorf("registry: %w", err)
	}
	return r, nil
}

func (r *Registry) load(ctx context.Context) error {
	s, err := loadState(ctx, r.proj.SQL())
	if err == nil {
		r.snap.Store(s)
	}
	return err
}

// Run follows the journal until ctx ends.
func (r *Registry) Run(ctx context.Context) error { return r.follow.Run(ctx) }

// Close closes the tables. What is in memory can still be read. It may be
// called more than once.
func (r *Registry) Close() error { return r.proj.Close() }

// Wait returns when the snapshot holds every change up to commit n.
func (r *Registry) Wait(ctx context.Context, n uint64) error { return r.proj.WaitMemory(ctx, n) }

// apply is the projection in the tables.
func apply(ctx context.Context, tx *sql.Tx, e journal.Entry) error {
	c, err := decodeChange(e.Data)
	if err != nil || c == nil {
		return err
	}
	return writeChange(ctx, tx, e.Commit, c)
}

// remember is the projection in memory. The snapshot may stand ahead of the
// tables, never of the journal.
func (r *Registry) remember(e journal.Entry) error {
	c, err := decodeChange(e.Data)
	if err != nil || c == nil {
		return err
	}
	next, err := r.snap.Load().with(c.Edits, e.Number)
	if err != nil {
		return quantrac.Errorf(quantrac.Corrupt, "registry change of commit %d does not fit what is there: %w", e.Number, err)
	}
	r.snap.Store(next)
	return nil
}

// changeOptions say what to write down about a change, and how to take what
// validation finds.
type changeOptions struct {
	action string // of the audit entry
	object string
	reason string
	asked  bool // a reason is wanted
	dryRun bool
	check  func(*draft, Problems) error // Problems.asError
}

// change plans a change against the newest state, checks it and appends it; then
// it is seen. A plan of no edits is no change: the commit is zero.
func (r *Registry) change(ctx context.Context, o changeOptions, plan func(*draft)) (quantrac.Commit, error) {
	actor := quantrac.PrincipalFrom(ctx).Name
	switch {
	case actor == "":
		return quantrac.Commit{}, quantrac.Errorf(quantrac.Denied, "%s: nobody is named who asks for it", o.action)
	case o.asked && o.reason == "" && !o.dryRun:
		return quantrac.Commit{}, quantrac.Errorf(quantrac.Invalid, "%s %s: a reason is wanted", o.action, o.object)
	case len(o.reason) > 2000:
		return quantrac.Commit{}, quantrac.Errorf(quantrac.Invalid, "%s %s: the reason has %d bytes, at most 2000 are kept", o.action, o.object, len(o.reason))
	}
	select {
	case r.turn <- struct{}{}:
		defer func() { <-r.turn }()
	case <-ctx.Done():
		return quantrac.Commit{}, ctx.Err()
	}
	d := r.snap.Load().begin(0)
	plan(d)
	d.seal()
	check := o.check
	if check == nil {
		check = func(_ *draft, ps Problems) error { return ps.asError() }
	}
	if err := check(d, append(d.problems, d.inspect()...)); err != nil || len(d.edits) == 0 || o.dryRun {
		return quantrac.Commit{}, err
	}
	commit, err := r.append(ctx, o, &change{Actor: actor, Reason: o.reason, Edits: d.edits})
	if err != nil {
		return quantrac.Commit{}, fmt.Errorf("registry: %s %s: %w", o.action, o.object, err)
	}
	return commit, nil
}

func (r *Registry) append(ctx context.Context, o changeOptions, c *change) (quantrac.Commit, error) {
	data, err := encodeChange(c)
	if err != nil {
		return quantrac.Commit{}, err
	}
	// What is journalled must be readable for ever: one record that is not
	// would stop every start from here on.
	if _, err := decodeChange(data); err != nil {
		return quantrac.Commit{}, fmt.Errorf("does not read back: %w", err)
	}
	rec := journal.Record{Kind: quantrac.RecordRegistry, Data: data}
	var commits []quantrac.Commit
	if r.o.Audit != nil {
		commits, err = r.o.Audit.Append(ctx, audit.Event{Action: o.action, Object: o.object, Reason: o.reason}, rec)
	} else {
		commits, err = r.journal.Append(ctx, rec)
	}
	if err != nil {
		return quantrac.Commit{}, err
	}
	return commits[0], nil
}
