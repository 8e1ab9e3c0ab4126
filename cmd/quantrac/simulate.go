package main

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"time"

	"quantrac"
	"quantrac/cmd/quantrac/simnet"
)

// simulateCmd publishes a made-up network as real MQTT devices.
type simulateCmd struct {
	MQTT   string        `name:"mqtt" required:"" placeholder:"URL" help:"Broker, such as mqtt://127.0.0.1:1883."`
	HTTP   string        `name:"http" placeholder:"URL" help:"Service to register the simulated stations with first, such as http://127.0.0.1:8420."`
	Token  string        `help:"API token for --http." env:"QUANTRAC_TOKEN"`
	Seed   uint64        `default:"1" help:"Two runs of one seed publish the same."`
	Factor int           `default:"1" help:"So many times the network of the plan (31 stations)."`
	Days   float64       `default:"30" help:"Days of history to publish first."`
	For    time.Duration `help:"Stop after this long; without it, run until interrupted."`
	Speed  float64       `default:"1" help:"Simulated seconds per second once the history is out; above 1 the stamps run ahead of the clock."`

	Missing   float64 `default:"0.02" help:"Share of readings never sent."`
	Late      float64 `default:"0.03" help:"Share of hours whose readings come in bulk later."`
	Duplicate float64 `default:"0.01" help:"Share of messages sent twice."`
	Faulty    float64 `default:"0.005" help:"Share of readings that are fault codes or spikes."`
}

// Run implements the command.
func (c *simulateCmd) Run(ctx context.Context, out io.Writer, log *slog.Logger) error {
	for name, p := range map[string]float64{"missing": c.Missing, "late": c.Late, "duplicate": c.Duplicate, "faulty": c.Faulty} {
		if !(p >= 0 && p <= 1) {
			return fmt.Errorf("--%s %v: want a share from 0 to 1", name, p)
		}
	}
	if c.Speed <= 0 || c.Factor < 1 || c.Factor > 1000 || c.Days < 0 {
		return fmt.Errorf("want --speed above 0, --factor from 1 to 1000 and --days of 0 or more")
	}
	feed := &simnet.Feed{
		Stations: simnet.Network(c.Factor, c.Seed), Seed: c.Seed,
		Faults: simnet.Faults{Missing: c.Missing, Late: c.Late, Duplicate: c.Duplicate, Faulty: c.Faulty},
	}
	passwords := map[string]string{}
	if c.HTTP != "" {
		var err error
		if passwords, err = registerSimulated(ctx, c.HTTP, c.Token, feed.Stations); err != nil {
			return err
		}
	}
	fl, err := newFleet(c.MQTT, func(device string) string { return passwords[device] }, log)
	if err != nil {
		return err
	}
	defer fl.close()
	fmt.Fprintf(out, "simulated network: %d stations, seed %d; none of it is an observation\n", len(feed.Stations), c.Seed)
	if c.For > 0 {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, c.For)
		defer cancel()
	}
	now := quantrac.SystemClock{}.Now()
	s := &simulation{feed: feed, fleet: fl, out: out, log: log}
	if err := s.history(ctx, now.Add(-time.Duration(c.Days*24*float64(time.Hour))), now); err != nil {
		return stopped(ctx, err)
	}
	return stopped(ctx, s.live(ctx, now, c.Speed))
}

// stopped turns the end of the context, by interrupt or --for, into success.
func stopped(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return nil
	}
	return err
}

// simulation publishes a feed.
type simulation struct {
	feed  *simnet.Feed
	fleet *fleet
	out   io.Writer
	log   *slog.Logger
	sent  int
}

// history publishes a past span as fast as it is acknowledged, a few hours at
// a time so that memory stays small.
func (s *simulation) history(ctx context.Context, from, to quantrac.Millis) error {
	const chunk = 6 * time.Hour
	progress := newProgress(s.out, "history", int64(to-from))
	for t := from; t < to; t = t.Add(chunk) {
		if err := s.send(ctx, simnet.Bulk(s.feed.Span(t, min(t.Add(chunk), to)))); err != nil {
			return err
		}
		progress.at(int64(t.Add(chunk) - from))
	}
	progress.done()
	return nil
}

// send publishes messages and waits until every one is acknowledged.
func (s *simulation) send(ctx context.Context, msgs []simnet.Message) error {
	sent := make([]*delivery, 0, len(msgs))
	for _, m := range msgs {
		d, err := s.fleet.publish(ctx, m.Device, m.Topic, m.Payload)
		if err != nil {
			return err
		}
		sent = append(sent, d)
		// A bounded number in flight: what the broker holds un-acknowledged.
		if len(sent) >= 200 {
			if err := sent[len(sent)-200].wait(ctx); err != nil {
				return err
			}
		}
	}
	for _, d := range sent {
		if err := d.wait(ctx); err != nil {
			return err
		}
	}
	s.sent += len(msgs)
	return nil
}

// live publishes each message at its time, speed simulated seconds a second from
// an instant on. What has fallen due since, while the history went out, goes out
// at once: the network is not to lag behind the clock for ever.
func (s *simulation) live(ctx context.Context, from quantrac.Millis, speed float64) error {
	clock := quantrac.SystemClock{}
	due := func(at quantrac.Millis) quantrac.Millis { return from + quantrac.Millis(float64(at-from)/speed) }
	const chunk = time.Minute
	for t := from; ; t = t.Add(chunk) {
		for _, m := range s.feed.Span(t, t.Add(chunk)) {
			if err := sleepUntil(ctx, clock, due(m.At)); err != nil {
				return err
			}
			d, err := s.fleet.publish(ctx, m.Device, m.Topic, m.Payload)
			if err != nil {
				return err
			}
			s.sent++
			go s.report(ctx, d, m.Device)
		}
		if err := sleepUntil(ctx, clock, due(t.Add(chunk))); err != nil {
			return err
		}
	}
}

// report logs a publication that failed for good; one that is only late is
// sent again by the client.
func (s *simulation) report(ctx context.Context, d *delivery, device string) {
	if err := d.wait(ctx); err != nil && ctx.Err() == nil {
		s.log.Warn("publish", "device", device, "err", err)
	}
}

func sleepUntil(ctx context.Context, clock quantrac.Clock, t quantrac.Millis) error {
	reached, cancel := clock.At(t)
	defer cancel()
	select {
	case <-reached:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}
