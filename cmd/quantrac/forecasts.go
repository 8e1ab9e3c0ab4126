package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"quantrac"
	"quantrac/dashboards"
	"quantrac/devices"
	"quantrac/forecast"
	"quantrac/tsdb"
)

func (s *system) openForecast(context.Context) (err error) {
	s.forecast, err = forecast.Open(s.path("forecast.db"), s.journal, forecastStore{s.db}, s.registry, forecast.Options{
		Clock: s.clock, Decode: tsdb.DecodeBatch, Public: s.hasAuthority, Logger: s.log,
	})
	if err != nil {
		return err
	}
	s.own("forecast", s.forecast.Run, s.forecast.Close)
	return nil
}

func (s *system) hasAuthority(station string, at quantrac.Millis) bool {
	return s.authority(station, at) != ""
}

func (s *system) forecastRoutes(mux *http.ServeMux) {
	mux.Handle("/api/forecast/", http.StripPrefix("/api/forecast", s.forecast.Handler()))
}

// settlePatience is how long a clock that is driven waits for what is due.
const settlePatience = time.Minute

// settled waits until the forecasts that are due at an instant are made, and
// all there is has been judged.
func (s *system) settled(ctx context.Context, at quantrac.Millis) error {
	ctx, cancel := context.WithTimeout(ctx, settlePatience)
	defer cancel()
	last := s.journal.Last().Number
	for left := s.forecast.Behind(at, last); left != ""; left = s.forecast.Behind(at, last) {
		select {
		case <-ctx.Done():
			return quantrac.Errorf(quantrac.Busy, "the clock stands at %v, but %s: %w", at, left, ctx.Err())
		case <-time.After(time.Millisecond):
		}
	}
	if err := s.alerting.Wait(ctx, s.journal.Last().Number); err != nil {
		return quantrac.Errorf(quantrac.Busy, "the clock stands at %v, but not all is judged: %w", at, err)
	}
	return nil
}

// forecastStore is the engine as the forecast room reads it: one series, as
// known at a commit.
type forecastStore struct{ *tsdb.DB }

// Read implements forecast.Store.
func (f forecastStore) Read(ctx context.Context, series quantrac.Labels, from, to quantrac.Millis, known quantrac.Commit) ([]quantrac.Millis, []float64, []quantrac.Quality, error) {
	ms := make([]*quantrac.Matcher, len(series))
	for i, l := range series {
		ms[i] = quantrac.Equals(l.Name, l.Value)
	}
	q := tsdb.Query{Matchers: ms, From: from, To: to, AsOfCommit: known.Number, MaxSeries: 1}
	if known.Number == 0 {
		q.AsOf = known.Time
	}
	for got, err := range f.Select(ctx, q) {
		if err != nil {
			return nil, nil, nil, err
		}
		return got.Times, got.Values, got.Qualities, nil
	}
	return nil, nil, nil, nil
}

// pageForecasts is the run archive as the page asks for it.
type pageForecasts struct{ s *system }

// Current implements dashboards.Forecasts.
func (f pageForecasts) Current(ctx context.Context, station, property string) ([]dashboards.Forecast, error) {
	run, err := f.s.forecast.Latest(ctx, station, property)
	if quantrac.KindOf(err) == quantrac.NotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	out := dashboards.Forecast{
		Model: run.Config.Model, Issue: run.Issue, Quantiles: run.Levels,
		Values: make([][]float64, len(run.Levels)), Exceed: run.Outlook().Exceedances, Fallback: run.Fallback,
		Authority: f.s.authority(station, f.s.clock.Now()),
	}
	for _, lead := range run.Leads {
		out.Times = append(out.Times, lead.Time)
		for i := range run.Levels {
			out.Values[i] = append(out.Values[i], lead.Quantiles[i])
		}
	}
	return []dashboards.Forecast{out}, nil
}

// queryRegistry is the registry as PromQL asks for it. A forecast is seen until
// the next of its grid is due.
type queryRegistry struct{ *devices.Registry }

// Interval implements promql.Registry.
func (r queryRegistry) Interval(series quantrac.Labels) time.Duration {
	if series.Get(quantrac.LabelModel) != "" {
		of := strings.Replace(series.Metric(), "_forecast", "", 1)
		return forecast.StepFor(r.Registry.Interval(series.With(quantrac.LabelMetric, of)))
	}
	if isThreshold(series.Metric()) {
		return thresholdStep
	}
	return r.Registry.Interval(series)
}
