package projection

import (
	"context"
	"database/sql"
	"path/filepath"

	"quantrac"
	"quantrac/internal/journal"
)

// Limits of one transaction, and of what may pass before the hold is advanced.
const (
	batchEntries = 512
	batchBytes   = 4 << 20
	holdBytes    = 16 << 20 // of segments of 64 MiB: to advance it is a transaction that is synced
)

// follow applies entries in batches: up to the journal's present end, or for
// ever. The caller holds p.following.
func (p *DB) follow(ctx context.Context, j *journal.Journal, forEver bool) error {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		return quantrac.Errorf(quantrac.Unavailable, "projection %s is closed", p.path)
	}
	p.runs.Add(1) // before Close waits
	p.mu.Unlock()
	defer p.runs.Done()

	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	defer context.AfterFunc(p.life, cancel)()
	if err := p.takeHold(j); err != nil {
		return err
	}
	b := batch{p: p, ctx: ctx}
	err := b.run(j, forEver)
	if b.tx != nil {
		_ = b.tx.Rollback() // nothing of it counts
	}
	return err
}

// takeHold keeps the journal from dropping what is not applied.
func (p *DB) takeHold(j *journal.Journal) error {
	if p.source == j {
		return nil
	}
	if first := j.First(); p.stored+1 < first {
		return quantrac.Errorf(quantrac.Unavailable,
			"projection %s contains commits up to %d, but the journal begins at %d: restore the file from a backup; it cannot be rebuilt from the journal alone",
			p.path, p.stored, first)
	}
	name := "projection " + filepath.Base(p.path)
	p.source, p.hold = j, j.Hold(name, p.held)
	p.pass(p.Applied())
	return nil
}

// pass says that the tables contain everything up to commit n.
func (p *DB) pass(n uint64) {
	p.change(func() { p.applied = n })
	p.hold.Pass(n)
}

// batch gathers entries into a transaction.
type batch struct {
	p       *DB
	ctx     context.Context
	tx      *sql.Tx // nil while no entry has been applied
	entries int
	bytes   int
}

func (b *batch) run(j *journal.Journal, forEver bool) error {
	end := j.Last().Number
	if !forEver && b.p.Applied() == end {
		return nil
	}
	for e, err := range j.Tail(b.ctx, b.p.Applied(), b.p.o.Kinds...) {
		if err != nil {
			return b.p.wrap("following the journal", err)
		}
		if err := b.take(e, e.Number >= j.Last().Number); err != nil {
			return err
		}
		if !forEver && e.Number >= end && b.tx == nil {
			return nil
		}
	}
	return b.ctx.Err()
}

// take adds an entry to the batch and commits where the batch is full or no
// more is there to wait for.
func (b *batch) take(e journal.Entry, newest bool) error {
	p := b.p
	if err := p.memory.error(); err != nil {
		return err
	}
	p.unheld += e.Size
	if p.kinds[e.Kind] {
		if err := b.apply(e); err != nil {
			return p.wrap(commitName(e), err)
		}
		b.entries++
		b.bytes += len(e.Data)
	}
	if b.tx == nil {
		p.pass(e.Number)
	} else if newest || b.entries >= batchEntries || b.bytes >= batchBytes {
		if err := b.commit(e.Number); err != nil {
			return p.wrap("committing up to "+commitName(e), err)
		}
	}
	if p.unheld >= holdBytes && b.tx == nil {
		if err := p.persist(b.ctx); err != nil {
			return p.wrap("storing the applied number", err)
		}
	}
	return nil
}

func (b *batch) apply(e journal.Entry) error {
	if b.tx == nil {
		tx, err := b.p.write.BeginTx(b.ctx, nil)
		if err != nil {
			return err
		}
		b.tx = tx
	}
	return b.p.o.Apply(b.ctx, b.tx, e)
}

func (b *batch) commit(n uint64) error {
	p := b.p
	if _, err := b.tx.ExecContext(b.ctx, "UPDATE projection_state SET applied = ?", int64(n)); err != nil {
		return err
	}
	if err := b.tx.Commit(); err != nil {
		return err
	}
	b.tx, b.entries, b.bytes = nil, 0, 0
	p.stored = n
	p.pass(n)
	return nil
}

// persist makes the applied number durable and moves the hold there. It is
// called by the follower, or when there is none.
func (p *DB) persist(ctx context.Context) error {
	n := p.Applied()
	if n != p.stored {
		if _, err := p.write.ExecContext(ctx, "UPDATE projection_state SET applied = ?", int64(n)); err != nil {
			return err
		}
		p.stored = n
	}
	p.unheld = 0
	if p.path == Memory || n == p.held || p.hold == nil {
		return nil
	}
	var busy, log, done int
	if err := p.write.QueryRowContext(ctx, "PRAGMA wal_checkpoint(PASSIVE)").Scan(&busy, &log, &done); err != nil {
		return err
	}
	if busy == 0 && log == done { // else a reader is in the way; next time
		p.held = n
		p.hold.Advance(n)
	}
	return nil
}
