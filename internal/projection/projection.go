// Package projection keeps SQLite tables that follow the journal: the registry,
// warnings and subscriptions, dead letters in a form that can be queried.
//
// What it promises: the tables and the number of the last commit that they
// contain change in one transaction, so that every entry is applied exactly
// once, whatever happens in between. The journal keeps what the tables do not
// yet durably contain (a hold in the file's name). Deleting the file rebuilds
// the tables as long as the journal reaches back to its first commit; where it
// does not, CatchUp says so instead of starting from a gap.
//
// A disk that is full or failing does not let the tables follow; they do once it
// is good again. What a room must know meanwhile it keeps in memory
// (Options.Memory), which follows the journal itself: nobody is kept from
// signing in, and no warning from going out, by a table that cannot be written.
//
// Use: Open with numbered migrations and a function that applies one entry,
// Start before anybody reads, Run in a goroutine, Wait to read one's own writes
// in the tables, WaitMemory for those in memory, SQL for reading. All writing
// goes through the journal: connections of SQL are read-only.
//
// The rooms and cmd may import it. It knows nothing of what is in the tables.
package projection

import (
	"context"
	"crypto/rand"
	"database/sql"
	"errors"
	"io/fs"
	"log/slog"
	"net/url"
	"path/filepath"
	"sync"
	"time"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/seldom"
)

// Options say what a projection contains. Migrations and Apply are wanted.
type Options struct {
	// Migrations holds the files NNNN_name.sql, numbered from 0001 without
	// gaps. One that has been released is never changed: its checksum is kept.
	Migrations fs.FS
	// Kinds are the records that Apply is called with; of none, all.
	Kinds []quantrac.RecordKind
	// Apply changes the tables by one entry, with nothing but tx. The entry's
	// Data are valid until it returns. An error stops the projection, unless
	// it comes from a full or failing disk, which Run tries again.
	Apply func(ctx context.Context, tx *sql.Tx, e journal.Entry) error
	// Memory, if not nil, takes the same entries into what the room keeps in
	// memory: each once, in order, from Start on, as soon as it is durable and
	// before its Append returns, whatever becomes of the tables. It must be
	// quick and append nothing, and keeps no part of the entry's Data. An error
	// stops the projection.
	Memory func(e journal.Entry) error
	Logger *slog.Logger // none
}

// DB is an open projection.
type DB struct {
	o     Options
	path  string
	kinds [256]bool

	write *sql.DB // one connection
	read  *sql.DB

	life context.Context // ends with Close
	end  context.CancelFunc
	runs sync.WaitGroup

	following sync.Mutex // held by who applies; guards what follows
	hold      *journal.Hold
	source    *journal.Journal
	stored    uint64 // applied number in the database
	held      uint64 // number that is durable in the database
	unheld    int    // bytes of journal entries since held

	memory memory
	again  seldom.Limit // of what the log says of a disk

	mu      sync.Mutex
	applied uint64
	wake    chan struct{} // closed when what is here moves; nil where nobody waits
	failed  error         // of Run, for who waits
	misses  int           // times that a disk has not let the tables follow
	missed  error         // the last time
	closed  bool

	closeOnce sync.Once
	closeErr  error
}

// Memory is the path of a projection that lives in memory and is gone with
// Close. The journal must reach back to its first commit, and keeps everything.
const Memory = ":memory:"

// Open opens or makes the database at path and brings its tables up to date
// with the migrations. A database that has seen more migrations than there are
// is refused with kind Conflict, one that is damaged with kind Corrupt: it is
// read whole for that, as far as that goes in moments.
func Open(path string, o Options) (*DB, error) {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	p := &DB{o: o, path: path}
	for _, k := range o.Kinds {
		p.kinds[k] = true
	}
	if len(o.Kinds) == 0 {
		for k := range p.kinds {
			p.kinds[k] = true
		}
	}
	p.life, p.end = context.WithCancel(context.Background())
	if err := p.open(); err != nil {
		return nil, errors.Join(p.wrap("opening", err), p.closeDBs())
	}
	return p, nil
}

func (p *DB) open() error {
	// NORMAL: a power failure may take the last transactions, number and
	// tables alike; the journal is held until a checkpoint has synced them.
	const common = "_pragma=busy_timeout(10000)&_pragma=foreign_keys(1)&_pragma=synchronous(NORMAL)"
	file := ""
	if p.path == Memory {
		file = "file:/" + rand.Text() + "?vfs=memdb&" + common
	} else {
		abs, err := filepath.Abs(p.path)
		if err != nil {
			return err
		}
		file = (&url.URL{Scheme: "file", Path: abs}).String() + "?_pragma=journal_mode(WAL)&_pragma=journal_size_limit(4194304)&" + common
	}
	var err error
	if err = p.keepPrivate(); err != nil {
		return err
	}
	if p.write, err = p.connect(file + "&_txlock=immediate"); err != nil {
		return err
	}
	p.write.SetMaxOpenConns(1)
	p.write.SetMaxIdleConns(1) // in memory, the last connection is the database
	if p.read, err = p.connect(file + "&_pragma=query_only(1)"); err != nil {
		return err
	}
	p.read.SetMaxOpenConns(8)
	p.read.SetMaxIdleConns(4)
	if err := p.check(checkPatience); err != nil {
		return err
	}
	if err := migrate(p.life, p.write, p.o.Migrations); err != nil {
		return err
	}
	err = p.write.QueryRowContext(p.life, "SELECT applied FROM projection_state").Scan(&p.stored)
	p.applied, p.held = p.stored, p.stored
	return err
}

// SQL returns the database for reading.
func (p *DB) SQL() *sql.DB { return p.read }

// Applied returns the number of the newest commit that the tables contain.
func (p *DB) Applied() uint64 {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.applied
}

// CatchUp applies what the journal holds now. While somebody else is at it, it
// waits until that is done.
func (p *DB) CatchUp(ctx context.Context, j *journal.Journal) error {
	if !p.following.TryLock() {
		return p.Wait(ctx, j.Last().Number)
	}
	defer p.following.Unlock()
	return p.follow(ctx, j, false)
}

// Run follows the journal until ctx ends or the projection is closed, and
// returns nil then. A full or failing disk is tried again every second; any
// other error ends it, also for who waits. Start need not come first. Only
// one Run at a time; another is refused with kind Conflict.
func (p *DB) Run(ctx context.Context, j *journal.Journal) error {
	if !p.following.TryLock() {
		return quantrac.Errorf(quantrac.Conflict, "projection %s is already being followed", p.path)
	}
	defer p.following.Unlock()
	for {
		err := p.follow(ctx, j, true)
		if ctx.Err() != nil || p.life.Err() != nil {
			return nil
		}
		if !transient(err) {
			p.change(func() { p.failed = err })
			return err
		}
		p.miss(err)
		select {
		case <-time.After(time.Second):
		case <-ctx.Done():
		case <-p.life.Done():
		}
	}
}

// Close ends Run, waits for it, and closes the database. SQL must not be used
// any more. It may be called more than once.
func (p *DB) Close() error {
	p.closeOnce.Do(func() {
		p.change(func() { p.closed = true })
		p.end()
		p.runs.Wait()
		err := p.persist(context.Background())
		if transient(err) { // it will be found out again
			p.o.Logger.Warn("projection: storing the applied number", "path", p.path, "error", err)
			err = nil
		}
		p.closeErr = errors.Join(p.wrap("storing the applied number", err), p.closeDBs())
	})
	return p.closeErr
}

func (p *DB) closeDBs() error {
	var errs []error
	for _, db := range []*sql.DB{p.read, p.write} {
		if db != nil {
			errs = append(errs, db.Close())
		}
	}
	return errors.Join(errs...)
}
