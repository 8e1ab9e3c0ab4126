package dashboards

import (
	"context"
	"iter"
	"log/slog"
	"time"

	"quantrac"
)

// Registry is what the page asks about stations; an immutable snapshot behind
// it makes every call cheap.
type Registry interface {
	// Stations returns all stations as they are known at an instant.
	Stations(at quantrac.Millis) []quantrac.Station
	// Properties returns what a station measures, the chief property first.
	Properties(station string) []quantrac.Property
	// Thresholds returns the levels in force, in any order.
	Thresholds(station, property string, at quantrac.Millis) []quantrac.Threshold
}

// Reading is the newest usable value of a series.
type Reading struct {
	Labels  quantrac.Labels
	Time    quantrac.Millis // valid time
	Value   float64
	Quality quantrac.Quality
}

// Series is a stretch of one series, in rising time; the slices have the same
// length and belong to the receiver.
type Series struct {
	Labels    quantrac.Labels
	Times     []quantrac.Millis
	Values    []float64
	Qualities []quantrac.Quality
}

// Readings is the store. Both calls obey the principal in the context.
type Readings interface {
	// Latest returns the newest usable value (never a failed, missing or
	// future one) of every series that passes the matchers. The page asks for
	// all stations of a family at once, so bound it generously.
	Latest(ctx context.Context, ms []*quantrac.Matcher) ([]Reading, error)
	// Range returns the series that pass the matchers with their samples of
	// the wanted qualities in [from, to], both inclusive, as known at asOf; 0
	// is now.
	Range(ctx context.Context, ms []*quantrac.Matcher, from, to, asOf quantrac.Millis, qs quantrac.QualitySet) ([]Series, error)
}

// Warnings are the episodes that run now.
type Warnings interface {
	// Current returns the newest revision of every running episode for an
	// audience; staff see the public ones too.
	Current(ctx context.Context, audience quantrac.Audience) []quantrac.Warning
}

// Forecast is one run's statement about one property of a station.
type Forecast struct {
	Model     string
	Issue     quantrac.Millis // issue time: what was known by then went in
	Quantiles []float64       // rising, in (0, 1)
	Times     []quantrac.Millis
	Values    [][]float64           // by quantile, then time; property's unit
	Exceed    []quantrac.Exceedance // what the run says about the thresholds; may be empty
	Fallback  string                // why it is persistence, "" where a model forecasts
	Authority string                // who issues it in public; "" keeps it to staff
}

// Forecasts is the archive of forecast runs.
type Forecasts interface {
	// Current returns each model's newest run for a property of a station;
	// the first is the one to show.
	Current(ctx context.Context, station, property string) ([]Forecast, error)
}

// Change says what a commit touched. Registry means that stations, properties
// or thresholds may have changed.
type Change struct {
	Stations []string
	Warnings bool
	Registry bool
}

// Feed tells what has changed since the call, in the order of commits.
type Feed interface {
	Changes(ctx context.Context) iter.Seq2[Change, error]
}

// Deps is what the page is made of. Registry and Readings are wanted; without
// Warnings, Forecasts or Feed the page has none of these (without a feed the
// live stream still tells what a regular look finds).
type Deps struct {
	Registry  Registry
	Readings  Readings
	Warnings  Warnings
	Forecasts Forecasts
	Feed      Feed
}

// Options of the page; the zero value works.
type Options struct {
	Clock  quantrac.Clock // SystemClock where nil
	Logger *slog.Logger   // slog.Default where nil

	// Title names the network at the head of the page; where empty,
	// "Quan trắc Đồng Tháp" and "Đồng Tháp observations".
	Title quantrac.Text

	// BaseURL is where people and programs reach the service, such as
	// https://quantrac.example.vn; "" for the address that each request names.
	BaseURL string

	// OpenData switches /open/stations.geojson and /open/series.csv on.
	OpenData bool

	// SignIn shows the sign-in form; set it where /api/auth/ is mounted.
	SignIn bool

	// StaffOnly keeps the figures to signed-in staff; others get the page's own
	// files and the sign-in form.
	StaffOnly bool

	// MaxClients is how many browsers may follow the live stream at once, 2000
	// where 0; the next are told to poll.
	MaxClients int
	// Flush gathers changes before they are told, 1 s where 0. Real time.
	Flush time.Duration
	// Look is how often everything is looked at again, because a silent
	// station changes by the passing of time alone; 30 s where 0. Real time.
	Look time.Duration
	// Session ends a live stream so that the browser comes back with who it
	// is now; 30 minutes where 0. Real time.
	Session time.Duration
	// MaxReads is how many charts may be read from the store at once, 4 where
	// 0; further ones wait up to 5 s and are then refused as busy.
	MaxReads int
	// ForecastOld is the age of a run beyond which the page says that the
	// forecast is old, 6 h where 0.
	ForecastOld time.Duration
}

func (o *Options) fill() {
	if o.Clock == nil {
		o.Clock = quantrac.SystemClock{}
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	if o.Title.Vi == "" {
		o.Title.Vi = "Quan trắc Đồng Tháp"
	}
	if o.Title.En == "" {
		o.Title.En = "Đồng Tháp observations"
	}
	set(&o.MaxClients, 2000)
	set(&o.Flush, time.Second)
	set(&o.Look, 30*time.Second)
	set(&o.Session, 30*time.Minute)
	set(&o.MaxReads, 4)
	set(&o.ForecastOld, 6*time.Hour)
}

func set[T int | time.Duration](v *T, def T) {
	if *v <= 0 {
		*v = def
	}
}
