package projection

import (
	"context"
	"errors"
	"sync"

	"quantrac"
	"quantrac/internal/journal"
)

// Follower is for rooms that write to the journal and read their own writes,
// in a service, where Run follows, as well as in a command or a test, where
// nobody does: there, who waits for a commit brings the tables up to date. The
// two do not get in each other's way.
type Follower struct {
	DB      *DB
	Journal *journal.Journal

	mu      sync.Mutex    // held while catching up
	running chan struct{} // closed when Run ends; nil while there is none
}

// Run is DB.Run, after a Wait that is bringing the tables up to date.
func (f *Follower) Run(ctx context.Context) error {
	f.mu.Lock()
	if f.running != nil {
		f.mu.Unlock()
		return quantrac.Errorf(quantrac.Conflict, "projection %s is already being followed", f.DB.path)
	}
	f.running = make(chan struct{})
	f.mu.Unlock()
	defer func() {
		f.mu.Lock()
		close(f.running)
		f.running = nil
		f.mu.Unlock()
	}()
	return f.DB.Run(ctx, f.Journal)
}

// Wait returns when the tables contain commit n, as DB.Wait does, or applies
// what the journal holds where nobody follows it (any more).
func (f *Follower) Wait(ctx context.Context, n uint64) error {
	for f.DB.Applied() < n {
		f.mu.Lock()
		running := f.running
		if running == nil {
			defer f.mu.Unlock()
			if f.DB.Applied() >= n {
				return nil
			}
			return f.DB.CatchUp(ctx, f.Journal)
		}
		f.mu.Unlock()
		err := f.waitWhile(ctx, running, n)
		if err != nil && (!errors.Is(err, context.Canceled) || ctx.Err() != nil) {
			return err
		}
	}
	return nil
}

// waitWhile waits for commit n until Run ends, which is context.Canceled.
func (f *Follower) waitWhile(ctx context.Context, running <-chan struct{}, n uint64) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go func() {
		select {
		case <-running:
			cancel()
		case <-ctx.Done():
		}
	}()
	return f.DB.Wait(ctx, n)
}
