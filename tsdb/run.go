package tsdb

import (
	"context"
	"sync"
	"time"
)

// retryAfter is how long a failed flush or merge waits before the next try.
const retryAfter = 15 * time.Second

// Run flushes the head when it is large enough or old enough, and merges what
// flushing leaves, until the context ends, whose error it returns. Failures are
// logged, shown in Stats, and tried again.
func (db *DB) Run(ctx context.Context) error {
	var wg sync.WaitGroup
	flushed := make(chan struct{}, 1)
	wg.Go(func() {
		if err := db.lookUpLast(ctx); err != nil && ctx.Err() == nil {
			db.o.Logger.Error("tsdb: looking up last values", "dir", db.dir, "error", err)
		}
	})
	wg.Go(func() { db.runFlush(ctx, flushed) })
	wg.Go(func() { db.runCompact(ctx, flushed) })
	wg.Go(func() { db.runScrub(ctx) })
	wg.Go(func() { db.runExpire(ctx) })
	wg.Wait()
	return ctx.Err()
}

func (db *DB) runFlush(ctx context.Context, flushed chan<- struct{}) {
	db.gate.run(true)
	defer db.gate.run(false)
	for {
		wait := db.o.FlushInterval
		if wait < 0 {
			wait = 24 * 365 * time.Hour
		}
		if !db.sleep(ctx, wait, db.wake) {
			return
		}
		for {
			err := db.Flush(ctx)
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return
			}
			db.o.Logger.Error("tsdb: flush failed; everything stays in memory and in the journal", "dir", db.dir, "error", err)
			if !db.sleep(ctx, retryAfter, nil) {
				return
			}
		}
		// Who asked for it while it was under way has got it, unless there is
		// enough for another.
		select {
		case <-db.wake:
		default:
		}
		if db.full() {
			db.wakeFlush()
		}
		select {
		case flushed <- struct{}{}:
		default:
		}
	}
}

func (db *DB) runCompact(ctx context.Context, flushed <-chan struct{}) {
	for db.sleep(ctx, time.Duration(sealQuiet)*time.Millisecond, flushed) {
		if err := db.compactSome(ctx); err != nil && ctx.Err() == nil {
			db.o.Logger.Error("tsdb: merge failed; the next flush brings another try", "dir", db.dir, "error", err)
		}
	}
}

// expireInterval is how often what has been kept for its time is looked for.
const expireInterval = 24 * time.Hour

func (db *DB) runExpire(ctx context.Context) {
	for db.o.Retention != nil {
		if err := db.Expire(ctx); err != nil && ctx.Err() == nil {
			db.o.Logger.Error("tsdb: dropping what is old failed; tomorrow brings another try", "dir", db.dir, "error", err)
		}
		if !db.sleep(ctx, expireInterval, nil) {
			return
		}
	}
}

// sleep waits by the clock; it returns early when woken, and false when the
// context ends.
func (db *DB) sleep(ctx context.Context, d time.Duration, wake <-chan struct{}) bool {
	reached, cancel := db.o.Clock.At(db.o.Clock.Now().Add(d))
	defer cancel()
	select {
	case <-ctx.Done():
		return false
	case <-reached:
	case <-wake:
	}
	return true
}
