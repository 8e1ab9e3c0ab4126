package tsdbtest

import (
	"context"
	"iter"

	"quantrac"
	"quantrac/tsdb"
)

// Engine is what a store does; tsdb.DB and Oracle do it.
type Engine interface {
	Append(ctx context.Context, b *quantrac.Batch) (quantrac.Receipt, error)
	Delete(ctx context.Context, d tsdb.Deletion) (quantrac.Receipt, error)
	Select(ctx context.Context, q tsdb.Query) iter.Seq2[*tsdb.Series, error]
	Fold(ctx context.Context, q tsdb.Query, w tsdb.Windows, op tsdb.FoldOp) iter.Seq2[*tsdb.Folded, error]
	Latest(ctx context.Context, ms []*quantrac.Matcher) ([]tsdb.Last, error)
	Series(ctx context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis) ([]quantrac.Labels, error)
	LabelNames(ctx context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis) ([]string, error)
	LabelValues(ctx context.Context, name string, ms []*quantrac.Matcher, from, to quantrac.Millis, limit int) ([]string, error)
	Revisions(ctx context.Context, series quantrac.Labels, t quantrac.Millis) ([]quantrac.Revision, error)
	Flush(ctx context.Context) error
	Compact(ctx context.Context) error
	Close() error
}

// Options are what a test sets when it opens a store.
type Options struct {
	Clock    quantrac.Clock
	Reserved func(name string) bool // registry keys
}

// Subject is a store under test across restarts: it keeps the files.
type Subject interface {
	// Open opens the store, for the first time or again.
	Open(o Options) (Engine, error)
	// Crash takes the power away: the open engine is abandoned without a
	// Close, and what was not synced is gone.
	Crash()
}

// Clock is a clock that can be set to anything, also back, as those of
// machines are.
type Clock struct {
	quantrac.ManualClock
	now quantrac.Millis
}

// Now implements quantrac.Clock.
func (c *Clock) Now() quantrac.Millis { return c.now }

// Set sets the clock, forward or back. It is not for concurrent use.
func (c *Clock) Set(t quantrac.Millis) { c.now = t }
