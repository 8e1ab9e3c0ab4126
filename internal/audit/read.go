package audit

import (
	"context"
	"crypto/sha256"
	"database/sql"
	"encoding/hex"
	"errors"
	"fmt"

	"quantrac"
)

// Head is the end of the chain: keep it elsewhere to prove later that nothing
// before it was changed.
type Head struct {
	Seq    uint64 `json:"seq"`
	Commit uint64 `json:"commit"`
	Hash   string `json:"hash"` // hex; "" for an empty log
}

func (l *Log) head(ctx context.Context) (Head, error) {
	var h Head
	var sum []byte
	err := l.proj.SQL().QueryRowContext(ctx, `SELECT seq, commit_number, hash FROM audit ORDER BY seq DESC LIMIT 1`).
		Scan(&h.Seq, &h.Commit, &sum)
	if errors.Is(err, sql.ErrNoRows) {
		return Head{}, nil
	}
	h.Hash = hex.EncodeToString(sum)
	return h, err
}

// Filter selects entries. The zero value selects the newest.
type Filter struct {
	Before uint64 // only entries of a lower number; 0 for all
	Actor  string
	Action string
	Object string
	Limit  int // 100; at most 1000
}

// List returns entries, newest first.
func (l *Log) List(ctx context.Context, f Filter) ([]Entry, error) {
	if f.Limit <= 0 || f.Limit > 1000 {
		f.Limit = 100
	}
	if err := l.settle(ctx); err != nil {
		return nil, fmt.Errorf("audit: list: %w", err)
	}
	rows, err := l.proj.SQL().QueryContext(ctx, `SELECT commit_number, payload FROM audit
		WHERE (?1 = 0 OR seq < ?1) AND (?2 = '' OR actor = ?2) AND (?3 = '' OR action = ?3) AND (?4 = '' OR object = ?4)
		ORDER BY seq DESC LIMIT ?5`, f.Before, f.Actor, f.Action, f.Object, f.Limit)
	if err != nil {
		return nil, fmt.Errorf("audit: %w", l.proj.Wrap("list", err))
	}
	defer rows.Close()
	var out []Entry
	for rows.Next() {
		var commit uint64
		var data []byte
		if err := rows.Scan(&commit, &data); err != nil {
			return nil, fmt.Errorf("audit: list: %w", err)
		}
		e, _, err := Decode(data)
		if err != nil {
			return nil, err
		}
		e.Commit = commit
		out = append(out, e)
	}
	return out, l.proj.Wrap("list", rows.Err())
}

// Verify walks the whole chain and returns its end, or a Corrupt error that
// names the first entry where it breaks: a payload that does not have its
// hash, a hash that is not the one before, a number left out, a row that does
// not say what its payload says.
func (l *Log) Verify(ctx context.Context) (Head, error) {
	if err := l.settle(ctx); err != nil {
		return Head{}, fmt.Errorf("audit: verify: %w", err)
	}
	rows, err := l.proj.SQL().QueryContext(ctx, `SELECT seq, commit_number, hash, payload, time_ms, actor, action, object FROM audit ORDER BY seq`)
	if err != nil {
		return Head{}, fmt.Errorf("audit: %w", l.proj.Wrap("verify", err))
	}
	defer rows.Close()
	h := Head{Hash: hex.EncodeToString(make([]byte, 32))}
	for rows.Next() {
		var r row
		if err := rows.Scan(&r.seq, &r.commit, &r.hash, &r.payload, &r.time, &r.actor, &r.action, &r.object); err != nil {
			return h, fmt.Errorf("audit: verify: %w", err)
		}
		if err := r.follows(&h); err != nil {
			return h, quantrac.Errorf(quantrac.Corrupt, "audit: the chain breaks at entry %d, after entry %d: %w", r.seq, h.Seq, err)
		}
	}
	if h.Seq == 0 {
		h.Hash = ""
	}
	return h, l.proj.Wrap("verify", rows.Err())
}

type row struct {
	seq, commit           uint64
	hash, payload         []byte
	time                  quantrac.Millis
	actor, action, object string
}

// follows checks a row against the end of the chain so far and moves that on.
func (r *row) follows(h *Head) error {
	sum := sha256.Sum256(r.payload)
	if hex.EncodeToString(sum[:]) != hex.EncodeToString(r.hash) {
		return errors.New("its content does not have its hash")
	}
	e, prev, err := Decode(r.payload)
	switch {
	case err != nil:
		return err
	case prev != h.Hash:
		return errors.New("it does not follow the entry before it")
	case e.Seq != h.Seq+1 || r.seq != e.Seq:
		return fmt.Errorf("its number is %d, want %d", e.Seq, h.Seq+1)
	case r.commit <= h.Commit:
		return fmt.Errorf("its commit %d is not after commit %d", r.commit, h.Commit)
	case e.Time != r.time || e.Actor != r.actor || e.Action != r.action || e.Object != r.object:
		return errors.New("its row does not say what its content says")
	}
	*h = Head{e.Seq, r.commit, e.Hash}
	return nil
}
