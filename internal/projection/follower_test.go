package projection

import (
	"context"
	"sync"
	"testing"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
)

// Who writes and waits sees the write, whether somebody follows the journal,
// nobody does, or somebody begins or ends to just then.
func TestFollower(t *testing.T) {
	j := openJournal(t, vfs.NewMem())
	p := openDB(t, Memory)
	f := &Follower{DB: p, Journal: j}
	write := func() {
		commits, err := j.Append(ctx, journal.Record{Kind: quantrac.RecordRegistry, Data: []byte("x")})
		if err != nil {
			t.Error(err)
			return
		}
		if err := f.Wait(ctx, commits[0].Number); err != nil || p.Applied() < commits[0].Number {
			t.Errorf("waited for commit %d, at %d: %v", commits[0].Number, p.Applied(), err)
		}
	}
	write()
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for range 20 {
				write()
			}
		})
	}
	runCtx, cancel := context.WithCancel(ctx)
	run := make(chan error, 1)
	go func() { run <- f.Run(runCtx) }()
	wg.Wait()
	write()
	for { // Run may only begin now
		f.mu.Lock()
		running := f.running != nil
		f.mu.Unlock()
		if running {
			break
		}
	}
	if err := f.Run(ctx); quantrac.KindOf(err) != quantrac.Conflict {
		t.Errorf("a second Run: %v", err)
	}
	// Run ends while others write and wait.
	for range 4 {
		wg.Go(func() {
			for range 20 {
				write()
			}
		})
	}
	cancel()
	wg.Wait()
	if err := <-run; err != nil {
		t.Error(err)
	}
	write()
}
