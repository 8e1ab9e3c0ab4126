package alerting

import (
	"context"
	"fmt"

	"quantrac"
)

// maxDrain is how many entries are judged before what they brought about is
// journalled: one sync for all, and never far behind.
const maxDrain = 128

// judge is the loop of the one goroutine that owns the rules.
func (a *Alerting) judge(ctx context.Context) error {
	g := &judge{a: a, rules: rules{}, series: map[string]*series{}, foreseen: map[string]*foreseen{}, started: a.o.Clock.Now()}
	if err := g.restore(ctx); err != nil {
		return fmt.Errorf("alerting: starting: %w", err)
	}
	a.judged(g.processed)
	events := make(chan event, maxDrain)
	tail := make(chan error, 1)
	ctx, cancel := context.WithCancel(ctx)
	defer func() { <-tail }()
	defer cancel()
	go func() { tail <- a.pump(ctx, g.processed, events) }()
	err := g.loop(ctx, events)
	if err == nil && ctx.Err() == nil {
		err = <-tail // the tail ended first
		tail <- nil
	}
	if serr := g.snapshot(); serr != nil {
		a.o.Logger.Warn("alerting: snapshot at the end", "error", serr)
	}
	return err
}

// pump decodes the journal's tail for the judge, and closes events at its end.
func (a *Alerting) pump(ctx context.Context, after uint64, events chan<- event) error {
	defer close(events)
	for e, err := range a.j.Tail(ctx, after) {
		if err != nil {
			return err
		}
		ev, err := a.eventOf(e)
		if err != nil {
			a.passOver(e.Commit, err)
		}
		select {
		case events <- ev:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return ctx.Err()
}

// passOver notes an entry that cannot be read: one bad entry must not silence all
// other stations.
func (a *Alerting) passOver(c quantrac.Commit, err error) {
	a.stats.corrupt.Add(1)
	a.o.Logger.Error("alerting: entry passed over", "commit", c.Number, "error", err)
}

// loop takes entries and the clock's hints as they come. It returns
// nil when events is closed.
func (g *judge) loop(ctx context.Context, events <-chan event) error {
	var alarm <-chan struct{}
	var set quantrac.Millis
	stop := func() {}
	defer func() { stop() }()
	for {
		if at, ok := g.timers.next(); g.rec == nil && ok && (alarm == nil || at < set) {
			stop()
			alarm, stop = g.a.o.Clock.At(at)
			set = at
		}
		select {
		case ev, ok := <-events:
			if !ok {
				return nil
			}
			if err := g.drain(ctx, ev, events); err != nil {
				return err
			}
		case <-alarm:
			alarm = nil
			if err := g.due(ctx, events); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// drain judges an entry and those already waiting behind it, then journals
// what they brought about.
func (g *judge) drain(ctx context.Context, ev event, events <-chan event) error {
	for n := 1; ; n++ {
		if err := g.take(ctx, ev); err != nil {
			return fmt.Errorf("alerting: commit %d: %w", ev.Number, err)
		}
		if n == maxDrain {
			break
		}
		var ok bool
		select {
		case ev, ok = <-events:
		default:
		}
		if !ok {
			break
		}
	}
	if err := g.flush(ctx); err != nil {
		return err
	}
	g.a.judged(g.processed)
	if g.rec == nil && g.processed >= g.snapped+uint64(g.a.o.SnapshotCommits) {
		if err := g.snapshot(); err != nil {
			// The journal is held until it succeeds; nothing is lost.
			g.a.o.Logger.Warn("alerting: snapshot", "error", err)
			g.snapped = g.processed
		}
	}
	return nil
}

// due does what the clock asks for, once every reading that was there before
// is judged: nobody is called silent for our own delay.
func (g *judge) due(ctx context.Context, events <-chan event) error {
	now := g.a.o.Clock.Now()
	for until := g.a.j.Last().Number; g.processed < until; {
		select {
		case ev, ok := <-events:
			if !ok {
				return nil
			}
			if err := g.drain(ctx, ev, events); err != nil {
				return err
			}
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return g.tick(ctx, now)
}
