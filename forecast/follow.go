package forecast

import (
	"context"

	"quantrac"
	"quantrac/internal/journal"
)

// follow watches the journal after a commit for arriving inputs, which set off
// runs, and for changes of the registry, which may change the models.
func (f *Forecaster) follow(ctx context.Context, after uint64) error {
	for e, err := range f.journal.Tail(ctx, after, quantrac.RecordBatch) {
		if err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		switch {
		case e.Kind == quantrac.RecordRegistry:
			if err := f.registryAt(ctx, e.Number); err != nil {
				if ctx.Err() != nil {
					return nil
				}
				return err
			}
			f.plan.change()
		case e.Kind == quantrac.RecordBatch && f.o.Decode != nil:
			f.look(e)
		}
		f.plan.look(e.Number)
	}
	return nil
}

// follower is the optional part of a Registry that follows the journal by
// itself and may be a moment behind.
type follower interface {
	// Wait returns when what is read holds every change up to a commit.
	Wait(ctx context.Context, commit uint64) error
}

// registryAt returns once the registry shows a change: read earlier, it would
// show the models of before, and nobody would look again.
func (f *Forecaster) registryAt(ctx context.Context, commit uint64) error {
	if w, ok := f.reg.(follower); ok {
		return w.Wait(ctx, commit)
	}
	return nil
}

// look notes the readings of a batch that are inputs.
func (f *Forecaster) look(e journal.Entry) {
	b, err := f.o.Decode(e.Data, f.plan.watches())
	if err != nil {
		f.o.Logger.Warn("forecast: a batch that cannot be read", "commit", e.Number, "error", err)
		return
	}
	switch b.Kind {
	case quantrac.Forecasts:
		return
	case quantrac.Revocation:
		f.plan.revised(e.Time, f.o.Late)
	}
	for i := range b.Rows {
		r := &b.Rows[i]
		station, sensor := r.Group.Station(), r.Group.Get(quantrac.LabelSensor)
		for _, c := range r.Cells {
			if b.Kind == quantrac.Corrections || c.Quality.Usable() {
				f.plan.arrived(station, c.Property, sensor, r.Time, e.Time, b.Kind == quantrac.Corrections, f.o.Settle, f.o.Late)
			}
		}
	}
}
