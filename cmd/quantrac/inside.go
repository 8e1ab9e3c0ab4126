package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"time"

	"quantrac"
	"quantrac/cmd/quantrac/simnet"
	"quantrac/devices"
)

// insideSeed is the seed of the network that serve --simulate publishes.
const insideSeed = 1

// simulate registers the simulated network of the plan and publishes it to the
// service's own broker, as real devices over real connections: what is missing
// of the last days first, then live, until ctx ends.
func (s *system) simulate(ctx context.Context, broker string, out io.Writer) error {
	feed := &simnet.Feed{Stations: simnet.Network(1, insideSeed), Seed: insideSeed, Faults: simnet.DefaultFaults}
	text, err := simnet.CSV(feed.Stations)
	if err != nil {
		return err
	}
	who := quantrac.WithPrincipal(ctx, quantrac.Principal{Name: "serve --simulate", Role: quantrac.RoleAdmin})
	rep, err := devices.ImportCSV(who, bytes.NewReader(text), s.registry, false)
	if err != nil {
		return fmt.Errorf("register the simulated network: %w", err)
	}
	tokens := tokensOf(rep)
	fl, err := newFleet(broker, func(device string) string { return tokens[device] }, s.log)
	if err != nil {
		return err
	}
	defer fl.close()
	now := s.clock.Now()
	from, err := s.simulatedUntil(ctx, now.Add(-time.Duration(s.c.SimulateDays*24*float64(time.Hour))))
	if err != nil {
		return err
	}
	sim := &simulation{feed: feed, fleet: fl, out: out, log: s.log}
	if err := sim.history(ctx, from, now); err != nil {
		return err
	}
	return sim.live(ctx, now, 1)
}

// simulatedUntil returns where the history begins that is still missing: at
// the newest simulated stage, or at earliest.
func (s *system) simulatedUntil(ctx context.Context, earliest quantrac.Millis) (quantrac.Millis, error) {
	station, err := quantrac.NewMatcher(quantrac.MatchRegexp, quantrac.LabelStation, "sim_gauge_.*")
	if err != nil {
		return 0, err
	}
	last, err := s.db.Latest(ctx, []*quantrac.Matcher{quantrac.Equals(quantrac.LabelMetric, simnet.WaterLevel), station})
	if err != nil {
		return 0, err
	}
	for _, l := range last {
		earliest = max(earliest, l.Time)
	}
	return earliest, nil
}
