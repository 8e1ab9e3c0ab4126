// Package deadletter keeps what the collector could not take in: journalled, so
// that the sender can be acknowledged, and listed in a table for people.
//
// What it promises: Put returns once the letters are durable; they are kept
// within bounds of number and bytes, and what was let go for newer ones is
// counted. What goes is the oldest letter of the device that holds most, so that
// one that sends nothing but nonsense pushes out its own. A letter's payload
// beyond Options.MaxPayload is cut, and its problems say so.
//
// Use: Open, hand it to collector.New, Run in a goroutine, mount Handler behind
// staff's sign-in. Only cmd imports it.
package deadletter

import (
	"context"
	"database/sql"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"

	"quantrac"
	"quantrac/collector"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
)

//go:embed migrations/*.sql
var migrations embed.FS

// Options of a store. The zero value works.
type Options struct {
	MaxLetters int          // kept; 20,000
	MaxBytes   int64        // of them in all; 64 MiB
	MaxPayload int          // bytes kept of one payload; 1 MiB
	Logger     *slog.Logger // none
}

// Store is an open store of dead letters. Its methods may be called from any
// goroutine.
type Store struct {
	j  *journal.Journal
	db *projection.DB
	o  Options
}

// Open opens or makes the tables at path (or projection.Memory) and brings them
// up to the journal's end.
func Open(path string, j *journal.Journal, o Options) (*Store, error) {
	if o.MaxLetters <= 0 {
		o.MaxLetters = 20_000
	}
	if o.MaxBytes <= 0 {
		o.MaxBytes = 64 << 20
	}
	if o.MaxPayload <= 0 {
		o.MaxPayload = 1 << 20
	}
	s := &Store{j: j, o: o}
	sub, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	s.db, err = projection.Open(path, projection.Options{
		Migrations: sub, Kinds: []quantrac.RecordKind{quantrac.RecordDeadLetter}, Apply: s.apply, Logger: o.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", err)
	}
	if err := s.db.Start(context.Background(), j, nil); err != nil {
		return nil, errors.Join(fmt.Errorf("dead letters: %w", err), s.db.Close())
	}
	return s, nil
}

// recordVersion is the first byte of a record: the rest is the letter's JSON.
const recordVersion = 1

// Put implements collector.DeadLetters.
func (s *Store) Put(ctx context.Context, letters ...collector.DeadLetter) error {
	recs := make([]journal.Record, len(letters))
	for i, l := range letters {
		if len(l.Payload) > s.o.MaxPayload {
			l.Problems = append(l.Problems[:len(l.Problems):len(l.Problems)], fmt.Sprintf("payload cut here from %d to %d bytes", len(l.Payload), s.o.MaxPayload))
			l.Payload = l.Payload[:s.o.MaxPayload]
		}
		b, err := json.Marshal(l)
		if err != nil {
			return fmt.Errorf("dead letter of %s: %w", l.Device, err)
		}
		recs[i] = journal.Record{Kind: quantrac.RecordDeadLetter, Data: append([]byte{recordVersion}, b...)}
	}
	for len(recs) > 0 {
		n, size := 0, 0
		for n < len(recs) && (n == 0 || size+len(recs[n].Data) <= appendBytes) {
			size += len(recs[n].Data)
			n++
		}
		if _, err := s.j.Append(ctx, recs[:n]...); err != nil {
			return fmt.Errorf("dead letters: %w", err)
		}
		recs = recs[n:]
	}
	return nil
}

// appendBytes is how much is appended at once: the letters of one message may be
// more than the journal takes.
const appendBytes = 8 << 20

// decode reads the data of a record.
func decode(data []byte) (collector.DeadLetter, error) {
	var l collector.DeadLetter
	if len(data) == 0 || data[0] != recordVersion {
		return l, quantrac.Errorf(quantrac.Corrupt, "dead letter of an unknown version, want %d", recordVersion)
	}
	if err := json.Unmarshal(data[1:], &l); err != nil {
		return l, quantrac.Errorf(quantrac.Corrupt, "dead letter: %w", err)
	}
	return l, nil
}

func (s *Store) apply(ctx context.Context, tx *sql.Tx, e journal.Entry) error {
	l, err := decode(e.Data)
	if err != nil {
		return err
	}
	body := append([]byte(nil), e.Data[1:]...)
	_, err = tx.ExecContext(ctx, `INSERT INTO letter (id, kept_ms, kind, device, received_ms, reason, bytes, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?)`,
		int64(e.Number), int64(e.Time), string(l.Kind), l.Device, int64(l.Received), l.Reason, len(body), body)
	if err != nil {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO holder VALUES (?, 1, ?) ON CONFLICT (device) DO UPDATE SET letters = letters + 1, bytes = bytes + excluded.bytes`, l.Device, len(body))
	if err != nil {
		return err
	}
	return s.trim(ctx, tx, int64(len(body)))
}

// trim counts a new letter and lets others go until the bounds hold. One letter
// stays, however large it is.
func (s *Store) trim(ctx context.Context, tx *sql.Tx, added int64) error {
	var n, bytes, gone, goneBytes int64
	if err := tx.QueryRowContext(ctx, `SELECT letters + 1, bytes + ?, dropped_letters, dropped_bytes FROM tally`, added).Scan(&n, &bytes, &gone, &goneBytes); err != nil {
		return err
	}
	for n > int64(s.o.MaxLetters) || bytes > s.o.MaxBytes && n > 1 {
		most := "letters"
		if n <= int64(s.o.MaxLetters) {
			most = "bytes"
		}
		size, err := letGo(ctx, tx, most)
		if err != nil {
			return err
		}
		n, bytes, gone, goneBytes = n-1, bytes-size, gone+1, goneBytes+size
	}
	_, err := tx.ExecContext(ctx, `UPDATE tally SET letters = ?, bytes = ?, dropped_letters = ?, dropped_bytes = ?`, n, bytes, gone, goneBytes)
	return err
}

// letGo drops the oldest letter of the device that holds most letters or bytes
// and returns its size.
func letGo(ctx context.Context, tx *sql.Tx, most string) (size int64, err error) {
	var id int64
	var device string
	err = tx.QueryRowContext(ctx, `SELECT id, device, bytes FROM letter WHERE device = (SELECT device FROM holder ORDER BY `+most+` DESC LIMIT 1) ORDER BY id LIMIT 1`).
		Scan(&id, &device, &size)
	if err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `DELETE FROM letter WHERE id = ?`, id); err != nil {
		return 0, err
	}
	if _, err := tx.ExecContext(ctx, `UPDATE holder SET letters = letters - 1, bytes = bytes - ? WHERE device = ?`, size, device); err != nil {
		return 0, err
	}
	_, err = tx.ExecContext(ctx, `DELETE FROM holder WHERE device = ? AND letters = 0`, device)
	return size, err
}

// Filter narrows List. The zero value selects the newest of all.
type Filter struct {
	Device string
	Own    []string // of these devices alone; nil for all
	Kind   collector.LetterKind
	Before uint64 // only letters of a lower ID: the next page
	Limit  int    // 100; at most 1000
}

// List returns letters, the newest first.
func (s *Store) List(ctx context.Context, f Filter) ([]collector.DeadLetter, error) {
	if f.Limit <= 0 {
		f.Limit = 100
	}
	before := int64(f.Before)
	if before <= 0 {
		before = 1<<63 - 1
	}
	own, err := json.Marshal(f.Own)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.SQL().QueryContext(ctx, `SELECT id, kept_ms, body FROM letter
		WHERE id < ? AND (? = '' OR device = ?) AND (? = 'null' OR device IN (SELECT value FROM json_each(?))) AND (? = '' OR kind = ?)
		ORDER BY id DESC LIMIT ?`,
		before, f.Device, f.Device, string(own), string(own), string(f.Kind), string(f.Kind), min(f.Limit, 1000))
	if err != nil {
		return nil, fmt.Errorf("dead letters: %w", s.db.Wrap("listing", err))
	}
	defer rows.Close()
	var out []collector.DeadLetter
	for rows.Next() {
		l, err := scan(rows)
		if err != nil {
			return nil, err
		}
		out = append(out, l)
	}
	return out, s.db.Wrap("listing", rows.Err())
}

// Get returns a letter; NotFound where it was never written or has been let go.
func (s *Store) Get(ctx context.Context, id uint64) (collector.DeadLetter, error) {
	l, err := scan(s.db.SQL().QueryRowContext(ctx, `SELECT id, kept_ms, body FROM letter WHERE id = ?`, int64(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return l, noLetter(id)
	}
	return l, err
}

func noLetter(id uint64) error {
	return quantrac.Errorf(quantrac.NotFound, "there is no dead letter %d", id)
}

func scan(row interface{ Scan(...any) error }) (collector.DeadLetter, error) {
	var id, kept int64
	var body []byte
	var l collector.DeadLetter
	if err := row.Scan(&id, &kept, &body); err != nil {
		return l, fmt.Errorf("dead letters: %w", err)
	}
	if err := json.Unmarshal(body, &l); err != nil {
		return l, quantrac.Errorf(quantrac.Corrupt, "dead letter %d: %w", id, err)
	}
	l.ID, l.Kept = uint64(id), quantrac.Millis(kept)
	return l, nil
}

// Stats are figures of the store.
type Stats struct {
	Letters        int   `json:"letters"`
	Bytes          int64 `json:"bytes"`
	DroppedLetters int   `json:"dropped_letters"` // let go for newer ones
	DroppedBytes   int64 `json:"dropped_bytes"`
}

// Stats returns the figures of now.
func (s *Store) Stats(ctx context.Context) (Stats, error) {
	var st Stats
	err := s.db.SQL().QueryRowContext(ctx, `SELECT letters, bytes, dropped_letters, dropped_bytes FROM tally`).
		Scan(&st.Letters, &st.Bytes, &st.DroppedLetters, &st.DroppedBytes)
	if err != nil {
		return st, fmt.Errorf("dead letters: %w", s.db.Wrap("counting", err))
	}
	return st, nil
}

// Wait returns when the tables hold every letter up to commit n.
func (s *Store) Wait(ctx context.Context, n uint64) error { return s.db.Wait(ctx, n) }

// Run follows the journal until ctx ends.
func (s *Store) Run(ctx context.Context) error { return s.db.Run(ctx, s.j) }

// Close closes the tables. It may be called more than once.
func (s *Store) Close() error { return s.db.Close() }
