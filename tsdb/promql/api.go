package promql

import (
	"container/list"
	"context"
	"hash/maphash"
	"iter"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"quantrac"
	"quantrac/tsdb"

	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
)

// Store is what is read: *tsdb.DB, or the oracle of its tests. The principal in
// the context bounds every call to its stations.
type Store interface {
	// Select streams the series that pass, sorted by labels.
	Select(ctx context.Context, q tsdb.Query) iter.Seq2[*tsdb.Series, error]
	// Latest returns the newest present value of every series that passes.
	Latest(ctx context.Context, ms []*quantrac.Matcher) ([]tsdb.Last, error)
	// Fold folds the series that pass over windows.
	Fold(ctx context.Context, q tsdb.Query, w tsdb.Windows, op tsdb.FoldOp) iter.Seq2[*tsdb.Folded, error]
	// Series returns the label sets with data from from to to.
	Series(ctx context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis) ([]quantrac.Labels, error)
	// LabelNames returns the label names of such series, sorted.
	LabelNames(ctx context.Context, ms []*quantrac.Matcher, from, to quantrac.Millis) ([]string, error)
	// LabelValues returns the values one label has among such series, sorted,
	// at most limit of them; 0 means all.
	LabelValues(ctx context.Context, name string, ms []*quantrac.Matcher, from, to quantrac.Millis, limit int) ([]string, error)
}

// Registry is what is known about stations and properties. Calls are answered
// from a snapshot in memory: they are made per station and per series.
type Registry interface {
	// Keys returns the names of the metadata labels. They are reserved: no
	// stored series has one of them.
	Keys() []string
	// Labels returns the metadata of a station at an instant, nil where it is
	// not known.
	Labels(station string, at quantrac.Millis) quantrac.Labels
	// Stations returns the stations whose metadata at the instant pass all
	// matchers.
	Stations(at quantrac.Millis, ms []*quantrac.Matcher) []string
	// Interval returns the expected interval of a series, 0 where unknown.
	Interval(series quantrac.Labels) time.Duration
	// Property returns what is registered of a metric.
	Property(metric string) (quantrac.Property, bool)
}

// Options of an API. The zero value works.
type Options struct {
	Clock         quantrac.Clock // what "now" is where a request gives no time; the system's
	Timeout       time.Duration  // of one request, its wait for a turn included; 2 minutes
	MaxConcurrent int            // requests evaluated at once, the others wait; 20
	MaxSeries     int            // series one request may touch, counted per selector; 100,000
	MaxSamples    int            // samples one request may hold in memory; 20 million, at most MaxHeld
	MaxHeld       int            // samples all requests may hold in memory, of 16 bytes, while they are evaluated and answered; 100 million
	Version       string         // of the service, for status/buildinfo
	Revision      string         // likewise
	Logger        *slog.Logger   // nil discards
	NoNative      bool           // leave everything to Prometheus' engine, for comparison and should a native path ever be wrong
}

// API evaluates expressions and serves them over HTTP. It is safe for
// concurrent use and owns no goroutine.
type API struct {
	store   Store
	reg     Registry
	o       Options
	engine  *promql.Engine
	watched *promql.Engine // the same, but looks at each step whether the request has ended
	parser  parser.Parser
	turns   chan struct{} // one element per request being evaluated
	held    held
	started quantrac.Millis
	memory  sync.Pool // of *memory
	buffers buffers
	answers answers
	counts  struct{ native, engine, kept atomic.Uint64 }

	standings standings
}

// Stats are figures about an API since it was made.
type Stats struct {
	Native uint64 // evaluations on native paths
	Engine uint64 // evaluations by Prometheus' engine
	Kept   uint64 // requests answered as before, because nothing had changed
	Mended uint64 // native evaluations that worked out only what had changed
}

// Stats returns figures.
func (a *API) Stats() Stats {
	return Stats{a.counts.native.Load(), a.counts.engine.Load(), a.counts.kept.Load(), a.standings.mended.Load()}
}

// lookback is the engine's lookback where staleness follows the expected
// interval: longer than any interval's, because the inserted stale markers end
// a series before it does.
const lookback = 10 * 366 * 24 * time.Hour

// subqueryStep is the step of a subquery that names none, as in Prometheus.
const subqueryStep = time.Minute

// New returns an API over a store. reg may be nil: then there is no metadata
// and every series goes stale after quantrac.DefaultStale.
func New(store Store, reg Registry, o Options) *API {
	if reg == nil {
		reg = noRegistry{}
	}
	if o.Clock == nil {
		o.Clock = quantrac.SystemClock{}
	}
	if o.Timeout <= 0 {
		o.Timeout = 2 * time.Minute
	}
	if o.MaxConcurrent <= 0 {
		o.MaxConcurrent = 20
	}
	if o.MaxSeries <= 0 {
		o.MaxSeries = 100_000
	}
	if o.MaxHeld <= 0 {
		o.MaxHeld = 100_000_000
	}
	if o.MaxSamples <= 0 {
		o.MaxSamples = min(20_000_000, o.MaxHeld)
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	eo := engineOptions(o)
	watched := eo
	watched.EnableQueryCost = true // with no limit set, that is all it does
	return &API{
		store: store, reg: reg, o: o,
		engine:  promql.NewEngine(eo),
		watched: promql.NewEngine(watched),
		parser:  eo.Parser,
		turns:   make(chan struct{}, o.MaxConcurrent),
		held:    held{most: int64(o.MaxHeld)},
		answers: answers{kept: map[string]*list.Element{}, seed: maphash.MakeSeed()},
		started: quantrac.SystemClock{}.Now(),
	}
}

// engineOptions are Prometheus' defaults, with the grammar's supersets switched
// on: they cost nothing to who does not use them, and a label such as xã can be
// written bare.
func engineOptions(o Options) promql.EngineOpts {
	return promql.EngineOpts{
		Logger:                   o.Logger,
		MaxSamples:               o.MaxSamples,
		Timeout:                  o.Timeout,
		LookbackDelta:            lookback,
		NoStepSubqueryIntervalFn: func(int64) int64 { return subqueryStep.Milliseconds() },
		EnableAtModifier:         true,
		EnableNegativeOffset:     true,
		Parser: parser.NewParser(parser.Options{
			EnableExperimentalFunctions: true,
			EnableBinopFillModifiers:    true,
			EnableUnquotedUTF8Names:     true,
		}),
	}
}

// noRegistry knows nothing.
type noRegistry struct{}

func (noRegistry) Keys() []string                                         { return nil }
func (noRegistry) Labels(string, quantrac.Millis) quantrac.Labels         { return nil }
func (noRegistry) Stations(quantrac.Millis, []*quantrac.Matcher) []string { return nil }
func (noRegistry) Interval(quantrac.Labels) time.Duration                 { return 0 }
func (noRegistry) Property(string) (quantrac.Property, bool)              { return quantrac.Property{}, false }
