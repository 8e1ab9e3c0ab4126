package tsdb

import (
	"context"
	"errors"
	"time"

	"quantrac"
)

// Disks forget. What nobody reads for years is read here once in a while, so
// that damage is found while there is still a backup to put right what it hit.

// Scrub reads every file of the store whole and compares what is said twice, as
// Folder.Check does. It goes on after damage and returns all of it, joined;
// read, if not nil, is told how many bytes have been read since it was told
// last. Readers and writers do not wait for it.
func (db *DB) Scrub(ctx context.Context, read func(bytes int64)) error {
	if err := db.enter(); err != nil {
		return err
	}
	defer db.leave()
	v := db.view()
	defer v.release()
	var errs []error
	for _, b := range v.state.blocks {
		err := b.r.Verify(func(n int64) error {
			if read != nil {
				read(n)
			}
			return ctx.Err()
		})
		if ctx.Err() != nil {
			return ctx.Err()
		}
		errs = append(errs, err)
	}
	db.compacting.Lock() // files of commits are closed by merging alone
	defer db.compacting.Unlock()
	for _, f := range db.log.Files() {
		errs = append(errs, f.Verify())
		if read != nil {
			read(f.Size())
		}
	}
	err := errors.Join(errs...)
	db.stats.scrubbed(db.o.Clock.Now(), err)
	return err
}

// runScrub scrubs once an interval, gently: it sleeps as long as it reads.
func (db *DB) runScrub(ctx context.Context) {
	if db.o.ScrubInterval < 0 {
		return
	}
	for db.sleep(ctx, db.o.ScrubInterval, nil) {
		worked := time.Now()
		err := db.Scrub(ctx, func(n int64) {
			if n > 0 && time.Since(worked) > 50*time.Millisecond {
				rest(ctx, time.Since(worked))
				worked = time.Now()
			}
		})
		if err != nil && ctx.Err() == nil {
			db.o.Logger.Error("tsdb: scrubbing found damage; restore the files from a backup", "dir", db.dir, "kind", quantrac.KindOf(err), "error", err)
		}
	}
}

// rest waits by the machine's time, or until the context ends.
func rest(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}
