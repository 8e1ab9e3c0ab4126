// Package audit is the append-only, hash-chained log of who did what: changes
// of the registry and thresholds, corrections, approvals, accounts, sign-ins.
//
// # What it promises
//
// An entry and the journal records of what it speaks of become durable in one
// call, both or neither, and the entry carries the records' SHA-256. Each entry
// carries the SHA-256 of the one before, so that changing, dropping or
// inserting one breaks every hash after it; Verify walks the whole chain. The
// chain shows tampering to whoever has kept a later hash elsewhere: print Head
// where the machine's owner cannot reach it (a daily mail will do). Entries are
// kept in a SQLite projection for ever; journal segments come and go.
//
// The payload of a record of kind quantrac.RecordAudit is a version byte (1),
// the 32 bytes of the hash of the entry before (zeros for the first), and the
// JSON of an Entry's event and sequence number. Its hash is the SHA-256 of all
// of it.
//
// # How to use it
//
//	log, err := audit.Open(path, journal, audit.Options{Clock: clock})
//	go log.Run(ctx)
//	commits, err := log.Append(ctx, audit.Event{Action: "threshold.put", Object: id}, record)
//
// Who acts is taken from the context (quantrac.WithPrincipal, WithOrigin). The
// rooms and cmd may import it; it knows nothing of what is in the records.
package audit

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"embed"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io/fs"
	"log/slog"
	"slices"
	"sync"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Event is what happened. Append fills in Time, and Actor, Role and Origin
// from the context where they are empty.
type Event struct {
	Time   quantrac.Millis   `json:"time_ms"`
	Actor  string            `json:"actor"`
	Role   quantrac.Role     `json:"role,omitempty"`
	Origin string            `json:"origin,omitempty"` // address of who asked
	Action string            `json:"action"`           // such as threshold.put, login.failed
	Object string            `json:"object,omitempty"` // what it was done to
	Reason string            `json:"reason,omitempty"`
	Detail map[string]string `json:"detail,omitempty"`
	// Records are the SHA-256, hex, of the records' data appended with it.
	Records []string `json:"records,omitempty"`
}

// Entry is an event in the chain.
type Entry struct {
	Seq uint64 `json:"seq"` // 1, 2, 3 … without gaps
	Event
	Commit uint64 `json:"-"`
	Hash   string `json:"-"` // hex
}

// Options of a log. The zero value works.
type Options struct {
	Clock  quantrac.Clock // SystemClock
	Logger *slog.Logger   // none
}

// Log is an open audit log. Its methods may be called from any goroutine.
type Log struct {
	o       Options
	journal *journal.Journal
	proj    *projection.DB
	follow  projection.Follower

	mu  sync.Mutex // orders the chain
	end end
}

// end is the last entry of the chain, as the journal has it.
type end struct {
	mu   sync.Mutex
	seq  uint64
	hash [32]byte
}

func (e *end) get() (seq uint64, hash [32]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.seq, e.hash
}

func (e *end) set(seq uint64, hash [32]byte) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.seq, e.hash = seq, hash
}

// Open opens or makes the log's tables at path (or projection.Memory) and
// brings them up to the journal's end.
func Open(path string, j *journal.Journal, o Options) (*Log, error) {
	if o.Clock == nil {
		o.Clock = quantrac.SystemClock{}
	}
	l := &Log{o: o, journal: j}
	steps, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	l.proj, err = projection.Open(path, projection.Options{
		Migrations: steps, Kinds: []quantrac.RecordKind{quantrac.RecordAudit}, Apply: apply, Memory: l.remember, Logger: o.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("audit: %w", err)
	}
	l.follow.DB, l.follow.Journal = l.proj, j
	if err := l.proj.Start(context.Background(), j, l.load); err != nil {
		l.proj.Close() // the first error is the one to tell
		return nil, fmt.Errorf("audit: %w", err)
	}
	return l, nil
}

// Run follows the journal until ctx ends.
func (l *Log) Run(ctx context.Context) error { return l.follow.Run(ctx) }

// Close closes the tables. It may be called more than once.
func (l *Log) Close() error { return l.proj.Close() }

// Append makes records durable together with the event that says who did it,
// and returns the commits of the records and, last, of the entry. The entry
// may use the journal's reserve of disk space if there are records and all of
// them may: an entry of its own (a failed sign-in) must not be able to eat up
// what is kept for warnings. The outcome is waited for even if ctx ends
// meanwhile. An entry that names nobody is refused.
func (l *Log) Append(ctx context.Context, ev Event, recs ...journal.Record) ([]quantrac.Commit, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.complete(ctx, &ev, recs)
	if ev.Actor == "" {
		return nil, quantrac.Errorf(quantrac.Denied, "audit: %s %s: nobody is named who does it", ev.Action, ev.Object)
	}
	seq, hash := l.end.get()
	data, err := encode(hash, seq+1, ev)
	if err != nil {
		return nil, err
	}
	rec := journal.Record{Kind: quantrac.RecordAudit, Data: data, Priority: len(recs) > 0}
	return l.journal.Append(context.WithoutCancel(ctx), append(slices.Clone(recs), rec)...)
}

// complete fills in what the caller has left to the context and the clock.
func (l *Log) complete(ctx context.Context, ev *Event, recs []journal.Record) {
	p := quantrac.PrincipalFrom(ctx)
	ev.Time = l.o.Clock.Now()
	if ev.Actor == "" {
		ev.Actor, ev.Role = p.Name, p.Role
	}
	if ev.Origin == "" {
		ev.Origin = OriginFrom(ctx)
	}
	ev.Records = nil
	for _, r := range recs {
		sum := sha256.Sum256(r.Data)
		ev.Records = append(ev.Records, hex.EncodeToString(sum[:]))
	}
}

// load finds the end of the chain in the tables.
func (l *Log) load(ctx context.Context) error {
	h, err := l.head(ctx)
	if err != nil {
		return err
	}
	var hash [32]byte
	if h.Seq > 0 {
		_, err = hex.Decode(hash[:], []byte(h.Hash))
	}
	l.end.set(h.Seq, hash)
	return err
}

// remember moves the end of the chain to an entry that is durable.
func (l *Log) remember(je journal.Entry) error {
	e, _, err := Decode(je.Data)
	if err == nil {
		l.end.set(e.Seq, sha256.Sum256(je.Data))
	}
	return err
}

// settle waits until the tables hold what the journal holds now.
func (l *Log) settle(ctx context.Context) error {
	return l.follow.Wait(ctx, l.journal.Last().Number)
}

const payloadVersion = 1

func encode(prev [32]byte, seq uint64, ev Event) ([]byte, error) {
	body, err := json.Marshal(Entry{Seq: seq, Event: ev})
	if err != nil {
		return nil, fmt.Errorf("audit: encode entry %d: %w", seq, err)
	}
	out := make([]byte, 0, 33+len(body))
	out = append(out, payloadVersion)
	out = append(out, prev[:]...)
	return append(out, body...), nil
}

// Decode reads the payload of a RecordAudit: the entry (less its commit) and
// the hash, hex, of the entry before.
func Decode(data []byte) (e Entry, prev string, err error) {
	if len(data) < 33 {
		return e, "", quantrac.Errorf(quantrac.Corrupt, "audit record of %d bytes, want at least 33", len(data))
	}
	if data[0] != payloadVersion {
		return e, "", quantrac.Errorf(quantrac.Corrupt, "audit record of version %d, this program reads %d", data[0], payloadVersion)
	}
	if err := json.Unmarshal(data[33:], &e); err != nil {
		return e, "", quantrac.Errorf(quantrac.Corrupt, "audit record: %w", err)
	}
	sum := sha256.Sum256(data)
	e.Hash = hex.EncodeToString(sum[:])
	return e, hex.EncodeToString(data[1:33]), nil
}

func apply(ctx context.Context, tx *sql.Tx, je journal.Entry) error {
	e, _, err := Decode(je.Data)
	if err != nil {
		return err
	}
	sum := sha256.Sum256(je.Data)
	// A plain insert: a second entry of one number is a broken chain and must
	// not hide the first.
	_, err = tx.ExecContext(ctx, `INSERT INTO audit VALUES (?,?,?,?,?,?,?,?)`,
		e.Seq, je.Number, sum[:], je.Data, e.Time, e.Actor, e.Action, e.Object)
	return err
}

type originKey struct{}

// WithOrigin returns a context that says from which address somebody asks.
func WithOrigin(ctx context.Context, addr string) context.Context {
	return context.WithValue(ctx, originKey{}, addr)
}

// OriginFrom returns the address that WithOrigin set, "" where none was.
func OriginFrom(ctx context.Context) string {
	s, _ := ctx.Value(originKey{}).(string)
	return s
}
