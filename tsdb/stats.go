package tsdb

import (
	"quantrac"
	"sync"
	"sync/atomic"
)

// counters are the figures that Stats shows since Open.
type counters struct {
	series                                 atomic.Int64
	stored, redelivered, collisions, ahead atomic.Uint64
	flushes, flushErrors, compactions      atomic.Uint64
	readErrors                             atomic.Uint64
	daysFolded, removed                    atomic.Uint64

	mu         sync.Mutex
	err        error // of the last background work
	scrubTime  quantrac.Millis
	scrubError error
}

// scrubbed notes how a scrub ended.
func (c *counters) scrubbed(at quantrac.Millis, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.scrubTime, c.scrubError = at, err
}

// ended notes how background work ended.
func (c *counters) ended(n *atomic.Uint64, err error) {
	if err == nil {
		n.Add(1)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.err = err
}

func (c *counters) lastError() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err
}

// Stats returns figures about the store as it is now.
func (db *DB) Stats() Stats {
	c := &db.stats
	out := Stats{
		Groups: int(db.groups.n.Load()) - int(c.removed.Load()), Series: int(c.series.Load()),
		Stored: c.stored.Load(), Redelivered: c.redelivered.Load(), Collisions: c.collisions.Load(), Ahead: c.ahead.Load(),
		Flushes: c.flushes.Load(), FlushErrors: c.flushErrors.Load(), Compactions: c.compactions.Load(),
		ReadErrors: c.readErrors.Load(),
		DaysFolded: c.daysFolded.Load(), LastError: c.lastError(),
	}
	c.mu.Lock()
	out.LastScrub, out.ScrubError = c.scrubTime, c.scrubError
	c.mu.Unlock()
	db.files.Lock()
	out.Flushed = db.files.manifest.Flushed
	db.files.Unlock()
	for _, f := range db.log.Files() {
		out.DiskBytes += f.Size()
	}
	db.apply.RLock()
	defer db.apply.RUnlock()
	out.Applied = db.apply.applied
	for _, h := range db.apply.state.heads {
		out.HeadRows += int(h.rows.Load())
		out.HeadBytes += h.bytes.Load()
	}
	for _, b := range db.apply.state.blocks {
		out.Blocks++
		if b.info.Small {
			out.SealedBlocks++
		}
		out.BlockRows += b.info.Rows
		out.BlockCells += b.info.Cells
		out.DiskBytes += b.info.Bytes
	}
	return out
}
