package projection

import (
	"context"
	"sync"
	"sync/atomic"

	"quantrac/internal/journal"
)

// memory is how far what a room keeps in memory has followed the journal.
type memory struct {
	mu     sync.Mutex    // held while an entry is shown
	shown  atomic.Uint64 // number of the last one
	missed uint64        // number of one that came before its turn, while starting
	err    error         // of Options.Memory: nothing is shown any more
}

func (m *memory) error() error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.err
}

// Start brings the tables up to the journal's end and calls load, if it is not
// nil, to take into memory what they hold; from there on Options.Memory is given
// the entries. A full or failing disk, which does not let the tables follow, is
// no error: load reads what they hold, and Memory is given the rest. Nobody else
// follows yet.
func (p *DB) Start(ctx context.Context, j *journal.Journal, load func(context.Context) error) error {
	if err := p.CatchUp(ctx, j); transient(err) {
		p.o.Logger.Error("projection: the tables cannot follow the journal yet", "path", p.path, "error", err)
	} else if err != nil {
		return err
	}
	if load != nil {
		if err := load(ctx); err != nil {
			return p.wrap("reading the tables", err)
		}
	}
	if p.o.Memory == nil {
		return nil
	}
	return p.remember(ctx, j)
}

// remember shows to Memory what the journal holds beyond the tables, and from
// then on what comes. Commits that are made meanwhile are met again until none
// is missed.
func (p *DB) remember(ctx context.Context, j *journal.Journal) error {
	m := &p.memory
	m.shown.Store(p.Applied())
	j.OnCommit(p.onCommit)
	for {
		if err := j.Replay(ctx, m.shown.Load(), p.show); err != nil {
			return p.wrap("following the journal", err)
		}
		m.mu.Lock()
		done := m.missed <= m.shown.Load()
		m.mu.Unlock()
		if done {
			return nil
		}
	}
}

func (p *DB) onCommit(e journal.Entry) {
	if err := p.show(e); err != nil {
		p.o.Logger.Error("projection: a commit could not be taken into memory", "path", p.path, "commit", e.Number, "error", err)
	}
}

// show gives an entry to Memory, unless it has been.
func (p *DB) show(e journal.Entry) error {
	m := &p.memory
	m.mu.Lock()
	defer m.mu.Unlock()
	switch shown := m.shown.Load(); {
	case m.err != nil || p.life.Err() != nil || e.Number <= shown:
		return nil
	case e.Number > shown+1:
		m.missed = e.Number
		return nil
	}
	if p.kinds[e.Kind] {
		if err := p.o.Memory(e); err != nil {
			m.err = p.wrap("taking into memory "+commitName(e), err)
			return m.err
		}
	}
	p.change(func() { m.shown.Store(e.Number) })
	return nil
}
