package forecast_test

import (
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"quantrac"
	"quantrac/forecast"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// store is the engine as the forecast room reads it.
type store struct {
	db *tsdb.DB
	w  *world
}

var errFull = errors.New("store full")

func (s store) Read(ctx context.Context, series quantrac.Labels, from, to quantrac.Millis, known quantrac.Commit) ([]quantrac.Millis, []float64, []quantrac.Quality, error) {
	q := tsdb.Query{From: from, To: to, AsOfCommit: known.Number}
	if known.Number == 0 {
		q.AsOf = known.Time
	}
	for _, l := range series {
		q.Matchers = append(q.Matchers, quantrac.Equals(l.Name, l.Value))
	}
	var found *tsdb.Series
	for s, err := range s.db.Select(ctx, q) {
		if err != nil {
			return nil, nil, nil, err
		}
		if found != nil {
			return nil, nil, nil, quantrac.Errorf(quantrac.Invalid, "several series carry %v: %v and %v", series, found.Labels, s.Labels)
		}
		found = s
	}
	if found == nil {
		return nil, nil, nil, nil
	}
	return found.Times, found.Values, found.Qualities, nil
}

func (s store) Append(ctx context.Context, b *quantrac.Batch) (quantrac.Receipt, error) {
	if s.w.full.Load() {
		return quantrac.Receipt{}, errFull
	}
	s.w.ahead.Add(1)
	return s.db.Append(ctx, b)
}

// registry knows two gauges on one river, and their thresholds.
type registry struct {
	mu         sync.Mutex
	thresholds []quantrac.Threshold
	stations   []quantrac.Station
}

func newRegistry() *registry {
	return &registry{
		stations: []quantrac.Station{
			{ID: "up", Family: quantrac.FamilyGauge},
			{ID: "down", Family: quantrac.FamilyGauge, Upstream: []string{"up"}, Simulated: true},
			{ID: "rain", Family: quantrac.FamilyRain},
		},
		thresholds: []quantrac.Threshold{
			{ID: "one", Station: "down", Property: stage, Kind: quantrac.ThresholdWatch, Level: 1, Value: 1.2, Unit: "m", ValidTo: quantrac.MaxMillis},
			{ID: "two", Station: "down", Property: stage, Kind: quantrac.ThresholdWatch, Level: 2, Value: 1.6, Unit: "m", ValidTo: quantrac.MaxMillis},
		},
	}
}

func (r *registry) StationsAt(quantrac.Millis) []quantrac.Station {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stations
}

func (r *registry) Station(id string, _ quantrac.Millis) (quantrac.Station, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, s := range r.stations {
		if s.ID == id {
			return s, true
		}
	}
	return quantrac.Station{}, false
}

func (r *registry) Properties(station string) []quantrac.Property {
	if station == "rain" {
		return []quantrac.Property{{Name: forecast.RainMetric, Unit: "mm"}}
	}
	return []quantrac.Property{{Name: stage, Unit: "m", Interval: time.Hour, Decimals: 2}}
}

func (r *registry) Thresholds(station, property string, _ quantrac.Millis) []quantrac.Threshold {
	r.mu.Lock()
	defer r.mu.Unlock()
	var out []quantrac.Threshold
	for _, t := range r.thresholds {
		if t.Station == station && t.Property == property {
			out = append(out, t)
		}
	}
	return out
}

const (
	stage = forecast.StageMetric
	hour  = quantrac.Millis(3600_000)
	begin = quantrac.Millis(1_600_000_000_000) / hour * hour
)

var background = context.Background()

// world is a journal, an engine and a forecast room, on files in memory and a
// clock that is set by hand.
type world struct {
	t     testing.TB
	mem   *vfs.Mem
	clock *quantrac.ManualClock
	reg   *registry
	o     forecast.Options
	path  string
	lag   *lagging // in reg's place, where it is set

	j  *journal.Journal
	db *tsdb.DB
	f  *forecast.Forecaster

	full  atomic.Bool  // the store refuses what is written ahead
	ahead atomic.Int64 // batches it has taken
}

// config forecasts the downstream gauge; small, so that tests are quick.
func config() forecast.Config {
	h := forecast.Duration(time.Hour)
	return forecast.Config{Source: forecast.Source{Station: "down", Property: stage}, Step: h, Leads: []forecast.Duration{h, 3 * h, 6 * h},
		Upstream: []forecast.Source{{Station: "up", Property: stage}}, Window: 30 * 24 * h, Refit: 24 * h}
}

func newWorld(t testing.TB) *world {
	w := &world{t: t, mem: vfs.NewMem(), clock: quantrac.NewManualClock(begin), reg: newRegistry(), path: projection.Memory}
	w.o = forecast.Options{Models: []forecast.Config{config()}}
	w.open()
	t.Cleanup(func() { w.close() })
	return w
}

func (w *world) open() {
	w.t.Helper()
	var err error
	if w.j, err = journal.Open(w.mem, "journal", journal.Options{Clock: w.clock, MinFreeBytes: -1, ReserveBytes: -1}); err != nil {
		w.t.Fatal(err)
	}
	if w.db, err = tsdb.Open(w.mem, "tsdb", w.j, tsdb.Options{Clock: w.clock}); err != nil {
		w.t.Fatal(err)
	}
	o := w.o
	o.Clock = w.clock
	var reg forecast.Registry = w.reg
	if w.lag != nil {
		reg = w.lag
	}
	if w.f, err = forecast.Open(w.path, w.j, store{w.db, w}, reg, o); err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) close() {
	w.t.Helper()
	if err := errors.Join(w.f.Close(), w.db.Close(), w.j.Close()); err != nil {
		w.t.Error(err)
	}
}

// crash ends the world as a power failure does and opens it again.
func (w *world) crash(seed uint64) {
	w.t.Helper()
	after := w.mem.Crash(seed)
	w.close()
	w.mem = after
	w.open()
}

// reading is one value of a gauge.
func reading(station string, at quantrac.Millis, v float64) quantrac.Row {
	return quantrac.Row{Group: quantrac.NewLabels(quantrac.LabelStation, station), Time: at,
		Cells: []quantrac.Cell{{Property: stage, Value: v, Quality: quantrac.Good}}}
}

func (w *world) put(kind quantrac.BatchKind, rows ...quantrac.Row) {
	w.t.Helper()
	b := &quantrac.Batch{Kind: kind, Rows: rows}
	if kind == quantrac.Corrections {
		b.Author, b.Reason = "Lan", "staff gauge read again"
	}
	if _, err := w.db.Append(background, b); err != nil {
		w.t.Fatal(err)
	}
}

// river is the recording of these tests: the downstream gauge follows the one
// upstream three hours later.
func river(n int) (down, up []float64) {
	rng := rand.New(rand.NewPCG(1, 2))
	down, up = make([]float64, n), make([]float64, n)
	x, v := 0.0, 0.0
	for i := range up {
		v = 0.9*v + 0.02*rng.NormFloat64()
		x = 0.99*x + v
		up[i] = math.Round(1000*(2+x)) / 1000
		down[i] = 1
		if i >= 3 {
			down[i] = math.Round(1000*(1+0.8*(up[i-3]-2)+0.005*rng.NormFloat64())) / 1000
		}
	}
	return down, up
}

// live puts the hours from to to (exclusive) in as they would arrive: each at
// its time, the clock moving along.
func (w *world) live(down, up []float64, from, to int) {
	w.t.Helper()
	for i := from; i < to; i++ {
		at := begin + quantrac.Millis(i)*hour
		w.clock.Set(at)
		w.put(quantrac.Readings, reading("down", at, down[i]), reading("up", at, up[i]))
	}
}

const name = `arx of water_level_meters{station="down"}`

func (w *world) issue() *forecast.Run {
	w.t.Helper()
	r, err := w.f.Issue(background, name)
	if err != nil {
		w.t.Fatal(err)
	}
	return r
}

// wait waits until ok holds; the limit is there to end a broken test.
func (w *world) wait(what string, ok func() bool) {
	w.t.Helper()
	limit := time.Now().Add(30 * time.Second)
	for !ok() {
		if time.Now().After(limit) {
			w.t.Fatalf("waited in vain: %s; stats %+v", what, w.f.Stats())
		}
		time.Sleep(time.Millisecond)
	}
}

// start runs the room until the test ends, or stop is called.
func (w *world) start() (stop func()) {
	ctx, cancel := context.WithCancel(background)
	done := make(chan error, 1)
	go func() { done <- w.f.Run(ctx) }()
	stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			w.t.Errorf("Run: %v", err)
		}
	})
	w.t.Cleanup(stop)
	return stop
}

func (w *world) runs(q forecast.Filter) []*forecast.Run {
	w.t.Helper()
	q.Station, q.Property = "down", stage
	runs, err := w.f.Runs(background, q)
	if err != nil {
		w.t.Fatal(err)
	}
	return runs
}

func text(v any) string { return fmt.Sprintf("%+v", v) }
