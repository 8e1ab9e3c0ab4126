package main

import (
	"context"
	"strings"

	"quantrac"
	"quantrac/collector"
	"quantrac/collector/deadletter"
	"quantrac/collector/mqtt"
	"quantrac/dashboards"
	"quantrac/devices"
)

func (s *system) openLetters(context.Context) (err error) {
	if s.letters, err = deadletter.Open(s.path("deadletters.db"), s.journal, deadletter.Options{Logger: s.log}); err != nil {
		return err
	}
	s.own("dead letters", s.letters.Run, s.letters.Close)
	return nil
}

func (s *system) openCollector(context.Context) error {
	bindings := deviceGate{s}
	s.collector = collector.New(s.db, bindings, s.letters, s.clock, collector.Options{Logger: s.log})
	s.own("collector", s.collector.Run, s.collector.Close)
	s.broker = mqtt.New(s.collector, bindings, mqtt.Options{Logger: s.log})
	s.own("broker", nil, s.broker.Close)
	if s.c.Broker == "" {
		return nil
	}
	address, user, err := brokerAddress(s.c.Broker)
	if err != nil {
		return named("mqtt-broker", err)
	}
	s.external = mqtt.NewClient(s.collector, mqtt.ClientOptions{
		URL: address, Username: user, Password: s.c.BrokerPassword, Logger: s.log, Connected: s.refresh,
	})
	s.own("external broker", s.external.Run, nil)
	return nil
}

// devicesAt names the devices of a station.
func (s *system) devicesAt(station string) []string {
	var ids []string
	for _, d := range s.registry.Devices(station) {
		ids = append(ids, d.ID)
	}
	return ids
}

// deviceGate lets devices in: those of the registry with their tokens and, on a
// developer's machine, any, which it registers as it turns up.
type deviceGate struct{ s *system }

// AuthenticateDevice implements mqtt.Auth.
func (g deviceGate) AuthenticateDevice(device, secret string) bool {
	if g.s.c.Dev && secret == "" {
		return devices.ValidID(device)
	}
	return g.s.registry.AuthenticateDevice(device, secret)
}

// AuthenticateSubscriber implements mqtt.SubscriberAuth: people and programs
// that read, by an API token as the password.
func (g deviceGate) AuthenticateSubscriber(_, secret string) (quantrac.Principal, bool) {
	if secret == "" {
		return quantrac.Principal{}, false
	}
	return g.s.accounts.Authenticate(secret)
}

// Binding implements collector.Registry.
func (g deviceGate) Binding(device string) (*quantrac.Binding, bool) {
	b, ok := g.s.registry.Binding(device)
	if !g.s.c.Dev {
		return b, ok
	}
	if !ok {
		return g.ensure(devices.LocalDevice{Device: device})
	}
	return opened(b), true
}

// MarkSimulated implements collector.Marker: what a developer tries out with is
// marked where it turns up. A network in service is told by its registry alone.
func (g deviceGate) MarkSimulated(device string) (*quantrac.Binding, bool) {
	if !g.s.c.Dev {
		return nil, false
	}
	return g.ensure(devices.LocalDevice{Device: device, Simulated: true})
}

// ensure registers a local device.
func (g deviceGate) ensure(l devices.LocalDevice) (*quantrac.Binding, bool) {
	ctx := quantrac.WithPrincipal(context.Background(), quantrac.Principal{Name: "serve --dev", Role: quantrac.RoleAdmin})
	b, err := g.s.registry.EnsureDevice(ctx, l)
	if err != nil {
		g.s.log.Warn("register local device", "device", l.Device, "err", err)
		return nil, false
	}
	return opened(b), true
}

// opened lets a device send anything where nobody has said what it measures.
func opened(b *quantrac.Binding) *quantrac.Binding {
	if len(b.Properties) > 0 {
		return b
	}
	open := *b
	open.Open = true
	return &open
}

// StationBinding implements collector.Registry.
func (g deviceGate) StationBinding(station string) (*quantrac.Binding, bool) {
	return g.s.registry.StationBinding(station)
}

func (s *system) openPage(context.Context) (err error) {
	s.page, err = dashboards.New(dashboards.Deps{
		Registry: pageRegistry{s.registry}, Readings: pageReadings{s.db}, Warnings: s.alerting, Forecasts: pageForecasts{s}, Feed: pageFeed{s.journal, s.registry},
	}, dashboards.Options{Clock: s.clock, Logger: s.log, BaseURL: strings.TrimSuffix(s.c.BaseURL, "/"), OpenData: s.c.OpenData, SignIn: !s.c.Dev, StaffOnly: !s.c.PublicPage})
	if err != nil {
		return err
	}
	s.own("page", s.page.Run, nil)
	return nil
}
