package alerting

import (
	"context"
	"log/slog"
	"time"

	"quantrac"
	"quantrac/internal/vfs"
)

// Registry is what the rules ask the registry of stations. What it returns is
// read only.
type Registry interface {
	// AllThresholds returns every threshold on record, past and future ones
	// too; those in force have ValidTo MaxMillis.
	AllThresholds() []quantrac.Threshold
	// Properties returns what a station measures.
	Properties(station string) []quantrac.Property
	// Station returns a station as it was known at an instant.
	Station(id string, at quantrac.Millis) (quantrac.Station, bool)
}

// waiter is a registry that follows the journal with a delay.
type waiter interface {
	// Wait returns when every change up to the commit can be read.
	Wait(ctx context.Context, commit uint64) error
}

// EndStands is how long the end of a warning is valid at most: long enough to be
// fetched by who was away.
const EndStands = 6 * time.Hour

// Options of the room. The zero value works.
type Options struct {
	Clock  quantrac.Clock // SystemClock
	FS     vfs.FS         // for the snapshot; the machine's
	Logger *slog.Logger   // none

	// Authority names the body in whose name warnings on forecasts for a
	// station may be published at an instant; "" keeps them internal. Nil:
	// nobody's.
	Authority func(station string, at quantrac.Millis) string

	// SilenceHold is how long beyond quantrac.StaleAfter a gauge may be
	// silent before staff are warned; 30 minutes. Negative switches the rule
	// off.
	SilenceHold time.Duration
	// Validity is how long a warning stands before it must be renewed, which
	// is done when a quarter of it is left; 24 hours.
	Validity time.Duration

	// Outlook reads from the journal's record of a forecast run what it says
	// about thresholds. Nil: there is no rule on forecasts.
	Outlook func(c quantrac.Commit, record []byte) (quantrac.Outlook, error)
	// A forecast warning begins when a run holds a level probable by
	// ForecastRaise (0.5) or more, and ends after ForecastRuns (2) issue times
	// in a row that hold it less probable than ForecastLower (0.3).
	ForecastRaise float64
	ForecastLower float64
	ForecastRuns  int

	// SnapshotCommits is after how many commits the state of the rules is
	// stored; 50,000. A start judges at most about as many again.
	SnapshotCommits int
	// Database is the path of the tables; alerting.db in the room's folder.
	Database string
}

func (o Options) withDefaults() Options {
	if o.Clock == nil {
		o.Clock = quantrac.SystemClock{}
	}
	if o.FS == nil {
		o.FS = vfs.OS()
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Authority == nil {
		o.Authority = func(string, quantrac.Millis) string { return "" }
	}
	if o.SilenceHold == 0 {
		o.SilenceHold = 30 * time.Minute
	}
	if o.Validity <= 0 {
		o.Validity = 24 * time.Hour
	}
	if o.ForecastRaise <= 0 {
		o.ForecastRaise = 0.5
	}
	if o.ForecastLower <= 0 {
		o.ForecastLower = 0.3
	}
	o.ForecastLower = min(o.ForecastLower, o.ForecastRaise)
	if o.ForecastRuns <= 0 {
		o.ForecastRuns = 2
	}
	if o.SnapshotCommits <= 0 {
		o.SnapshotCommits = 50_000
	}
	return o
}
