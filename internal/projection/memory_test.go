package projection

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
)

// remembering is a projection that keeps in memory what its tables hold: loaded
// from them, then as it comes.
type remembering struct {
	*DB
	mu    sync.Mutex
	known []string
}

func openRemembering(t *testing.T, path string) *remembering {
	t.Helper()
	r := &remembering{}
	o := options()
	o.Memory = func(e journal.Entry) error {
		if string(e.Data) == "unknown" {
			return errors.New("nobody knows what it means")
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		r.known = append(r.known, string(e.Data))
		return nil
	}
	var err error
	if r.DB, err = Open(path, o); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = r.Close() })
	return r
}

func (r *remembering) load(ctx context.Context) error {
	rows, err := r.SQL().QueryContext(ctx, "SELECT body FROM seen ORDER BY number")
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		var body string
		if err := rows.Scan(&body); err != nil {
			return err
		}
		r.known = append(r.known, body)
	}
	return rows.Err()
}

func (r *remembering) want(t *testing.T, want []string) {
	t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	if !slices.Equal(r.known, want) {
		t.Errorf("in memory are %.200q, want %.200q", r.known, want)
	}
}

// limitPages lets the tables grow by so many pages and no more: a full disk.
func limitPages(t *testing.T, p *DB, more int) {
	t.Helper()
	var pages int
	if err := p.write.QueryRow("PRAGMA page_count").Scan(&pages); err != nil {
		t.Fatal(err)
	}
	if err := p.write.QueryRow(fmt.Sprint("PRAGMA max_page_count = ", pages+more)).Scan(&pages); err != nil {
		t.Fatal(err)
	}
}

// A room starts on a full disk, and knows all that the journal does: from its
// tables as far as they go, and from the journal. Who waits for the tables is
// told why they do not come.
func TestStartOnAFullDisk(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		j := openJournal(t, vfs.NewMem())
		var all []string
		write := func(n int) (last uint64) {
			for range n {
				body := fmt.Sprint(len(all), strings.Repeat("x", 3000))
				all = append(all, body)
				last = put(t, j, quantrac.RecordRegistry, body)
				put(t, j, quantrac.RecordBatch, "of somebody else")
			}
			return last
		}
		write(20)
		path := filepath.Join(dir, "p.db")
		r := openRemembering(t, path)
		if err := r.Start(ctx, j, r.load); err != nil {
			t.Fatal(err)
		}
		r.want(t, all)
		write(5)
		r.want(t, all) // nobody follows: memory does
		if err := r.Close(); err != nil {
			t.Fatal(err)
		}
		write(20)
		r = openRemembering(t, path)
		limitPages(t, r.DB, 5)
		if err := r.Start(ctx, j, r.load); err != nil {
			t.Fatal(err)
		}
		r.want(t, all)
		if n := count(t, r.DB); n != 20 {
			t.Errorf("the tables hold %d entries, want the 20 of before the disk was full", n)
		}
		run, cancel := context.WithCancel(ctx)
		ran := make(chan error, 1)
		go func() { ran <- r.Run(run, j) }()
		last := write(3)
		r.want(t, all)
		if err := r.WaitMemory(ctx, last); err != nil {
			t.Error(err)
		}
		if err := r.Wait(ctx, last); quantrac.KindOf(err) != quantrac.Unavailable || !strings.Contains(err.Error(), path) {
			t.Errorf("the tables cannot follow: %v", err)
		}
		limitPages(t, r.DB, 1<<20)
		if err := r.Wait(ctx, last); err != nil {
			t.Error(err)
		}
		if n := count(t, r.DB); n != len(all) {
			t.Errorf("the tables hold %d entries, want %d", n, len(all))
		}
		cancel()
		if err := <-ran; err != nil {
			t.Error(err)
		}
	})
}

// While a projection starts others write: each entry comes once.
func TestStartWhileOthersWrite(t *testing.T) {
	j := openJournal(t, vfs.NewMem())
	var writers sync.WaitGroup
	for range 4 {
		writers.Go(func() {
			for range 50 {
				put(t, j, quantrac.RecordRegistry, "x")
			}
		})
	}
	var started []*remembering
	for range 5 {
		r := openRemembering(t, Memory)
		if err := r.Start(ctx, j, r.load); err != nil {
			t.Fatal(err)
		}
		started = append(started, r)
	}
	writers.Wait()
	for _, r := range started {
		if err := r.WaitMemory(ctx, 200); err != nil {
			t.Error(err)
		}
		r.want(t, slices.Repeat([]string{"x"}, 200))
	}
}

// What cannot be taken into memory stops the projection, and does not make
// memory a stranger to what came before.
func TestMemoryFails(t *testing.T) {
	j := openJournal(t, vfs.NewMem())
	r := openRemembering(t, Memory)
	if err := r.Start(ctx, j, nil); err != nil {
		t.Fatal(err)
	}
	put(t, j, quantrac.RecordRegistry, "a")
	put(t, j, quantrac.RecordRegistry, "unknown")
	put(t, j, quantrac.RecordRegistry, "b")
	r.want(t, []string{"a"})
	if err := r.Run(ctx, j); err == nil || !strings.Contains(err.Error(), "commit 2") {
		t.Errorf("Run: %v", err)
	}
	if err := r.WaitMemory(ctx, 3); err == nil {
		t.Error("what is not in memory is said to be")
	}
}

// A closed projection is left alone by what still comes.
func TestMemoryAfterClose(t *testing.T) {
	j := openJournal(t, vfs.NewMem())
	r := openRemembering(t, Memory)
	if err := r.Start(ctx, j, func(context.Context) error { return nil }); err != nil {
		t.Fatal(err)
	}
	put(t, j, quantrac.RecordRegistry, "a")
	if err := r.Close(); err != nil {
		t.Fatal(err)
	}
	put(t, j, quantrac.RecordRegistry, "b")
	r.want(t, []string{"a"})
	if err := r.WaitMemory(ctx, 2); quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("after Close: %v", err)
	}
}
