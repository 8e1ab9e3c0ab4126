package accounts

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"quantrac"
	"quantrac/internal/audit"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options of a store. The zero value works.
type Options struct {
	// Clock dates sessions and locks: SystemClock. One that follows a replay
	// would end sessions as fast as the replay runs.
	Clock quantrac.Clock
	// Audit is where sign-ins and changes are written down, in the same
	// append; nil leaves it to the records themselves.
	Audit *audit.Log
	// SessionIdle ends a session that is not used, 12 hours; SessionMax every
	// session, 7 days.
	SessionIdle, SessionMax time.Duration
	SetupFor                time.Duration // how long a setup code holds: 1 hour
	Cost                    Cost          // of passwords: DefaultCost
	Logger                  *slog.Logger  // none
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = quantrac.SystemClock{}
	}
	if o.SessionIdle <= 0 {
		o.SessionIdle = 12 * time.Hour
	}
	if o.SessionMax <= 0 {
		o.SessionMax = 7 * 24 * time.Hour
	}
	if o.SetupFor <= 0 {
		o.SetupFor = time.Hour
	}
	if o.Cost == (Cost{}) {
		o.Cost = DefaultCost
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	return o
}

// Store holds the accounts. Its methods may be called from any goroutine.
type Store struct {
	o       Options
	journal *journal.Journal
	proj    *projection.DB
	limits  *limiter
	// failures bounds what failed sign-ins may write.
	failures failureCount
	hashing  lanes
	dummy    string // hash to check against where there is no account

	turn chan struct{} // who holds its one token plans and appends

	mu sync.RWMutex // guards what follows
	state
	setup *setupCode // nil where none was asked for, or it is used up
}

// state is what the tables say, in memory.
type state struct {
	accounts map[string]*account
	sessions map[[32]byte]*session
	tokens   map[[32]byte]*Token
}

type account struct {
	Account
	password  string
	signedOut uint64 // sessions begun by this commit or before have ended
}

type session struct {
	account               string
	created, expires, end quantrac.Millis
	revision              uint64
}

// Open opens or makes the tables at path (or projection.Memory) and brings
// them up to the journal's end.
func Open(path string, j *journal.Journal, o Options) (*Store, error) {
	s := &Store{o: o.withDefaults(), journal: j, turn: make(chan struct{}, 1)}
	s.limits = newLimiter(s.o.Clock)
	n := max(1, runtime.GOMAXPROCS(0))
	s.hashing = lanes{make(chan struct{}, n), make(chan struct{}, n)}
	s.dummy = unmatchedHash(s.o.Cost)
	s.state = state{accounts: map[string]*account{}, sessions: map[[32]byte]*session{}, tokens: map[[32]byte]*Token{}}
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	s.proj, err = projection.Open(path, projection.Options{
		Migrations: steps, Kinds: []quantrac.RecordKind{quantrac.RecordRegistry}, Apply: apply, Memory: s.remember, Logger: s.o.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("accounts: %w", err)
	}
	if err = s.proj.Start(context.Background(), j, s.load); err != nil {
		s.proj.Close() // the first error is the one to tell
		return nil, fmt.Errorf("accounts: %w", err)
	}
	return s, nil
}

// Run follows the journal until ctx ends.
func (s *Store) Run(ctx context.Context) error { return s.proj.Run(ctx, s.journal) }

// Close closes the tables. It may be called more than once.
func (s *Store) Close() error { return s.proj.Close() }

// apply is the projection in the tables.
func apply(ctx context.Context, tx *sql.Tx, e journal.Entry) error {
	r, err := decodeRecord(e.Data)
	if err != nil || r == nil {
		return err
	}
	if err := writeRecord(ctx, tx, e.Commit, r); err != nil {
		return fmt.Errorf("account tables: commit %d: %w", e.Number, err)
	}
	return nil
}

// remember is the projection in memory, which waits for no disk: who has to mend
// a full one must be able to sign in.
func (s *Store) remember(e journal.Entry) error {
	r, err := decodeRecord(e.Data)
	if err != nil || r == nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.take(e.Commit, r)
	return nil
}

// take brings memory to the state after a record.
func (s *state) take(c quantrac.Commit, r *record) {
	for _, e := range r.Edits {
		switch {
		case e.Account != nil:
			a := &account{}
			if old := s.accounts[e.Account.Name]; old != nil {
				*a = *old
			}
			a.Account = Account{e.Account.Name, e.Account.Display, e.Account.Role, e.Account.Stations, e.Account.Disabled, c.Number}
			s.accounts[a.Name] = a
		case e.Password != nil:
			if old := s.accounts[e.Password.Name]; old != nil {
				a := *old
				a.password = e.Password.Hash
				if !e.Password.Keep {
					a.signedOut = c.Number
				}
				s.accounts[a.Name] = &a
			}
		case e.Begin != nil:
			b := e.Begin
			s.sessions[[32]byte(b.Hash)] = &session{b.Account, b.Created, b.Expires, b.Ends, c.Number}
		case e.Renew != nil:
			if old := s.sessions[[32]byte(e.Renew.Hash)]; old != nil {
				renewed := *old
				renewed.expires = e.Renew.Expires
				s.sessions[[32]byte(e.Renew.Hash)] = &renewed
			}
		case e.End != nil:
			delete(s.sessions, [32]byte(e.End))
		case e.Token != nil:
			t := e.Token.Token
			s.tokens[[32]byte(e.Token.Hash)] = &t
		case e.RevokeToken != "":
			for h, t := range s.tokens {
				if t.ID == e.RevokeToken {
					delete(s.tokens, h)
				}
			}
		}
	}
	for h, x := range s.sessions {
		if x.expires <= c.Time {
			delete(s.sessions, h)
		}
	}
}

// append makes edits durable with what is written down about them (nothing
// for nil); then they are seen. The caller holds the turn. The records may use
// the journal's reserve of disk space, for the same reason.
func (s *Store) append(ctx context.Context, ev *audit.Event, edits ...edit) error {
	r := &record{Actor: quantrac.PrincipalFrom(ctx).Name, Edits: edits}
	if ev != nil && ev.Actor != "" {
		r.Actor = ev.Actor
	}
	if r.Actor == "" && ev != nil {
		return quantrac.Errorf(quantrac.Denied, "%s %s: nobody is named who asks for it", ev.Action, ev.Object)
	}
	data, err := encodeRecord(r)
	if err != nil {
		return err
	}
	rec := journal.Record{Kind: quantrac.RecordRegistry, Data: data, Priority: true}
	if s.o.Audit != nil && ev != nil {
		_, err = s.o.Audit.Append(ctx, *ev, rec)
	} else {
		_, err = s.journal.Append(ctx, rec)
	}
	if err != nil {
		return fmt.Errorf("accounts: %w", err)
	}
	return nil
}

// locked runs fn with the turn held: nobody else changes what it looks at.
func (s *Store) locked(ctx context.Context, fn func() error) error {
	select {
	case s.turn <- struct{}{}:
		defer func() { <-s.turn }()
	case <-ctx.Done():
		return ctx.Err()
	}
	return fn()
}
