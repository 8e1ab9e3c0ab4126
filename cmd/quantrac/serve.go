package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"time"

	"quantrac/devices/accounts"
)

// serveCmd runs the service.
type serveCmd struct {
	ConfigFile configFlag `name:"config" placeholder:"FILE" env:"QUANTRAC_CONFIG" help:"Configuration: YAML whose keys are the names of these flags."`

	Data string `required:"" placeholder:"DIR" env:"QUANTRAC_DATA" help:"Data folder; made if it is not there."`
	HTTP string `name:"http" default:"localhost:8420" placeholder:"HOST:PORT" env:"QUANTRAC_HTTP" help:"Address of pages and APIs; localhost is both loopback addresses."`
	MQTT string `name:"mqtt" default:"localhost:1883" placeholder:"HOST:PORT" env:"QUANTRAC_MQTT" help:"Address of the embedded broker; off switches it off."`

	Broker         string `name:"mqtt-broker" placeholder:"URL" env:"QUANTRAC_MQTT_BROKER" help:"Work with this external broker too (readings in, warnings out), such as mqtt://user@host:1883."`
	BrokerPassword string `name:"mqtt-broker-password" env:"QUANTRAC_MQTT_BROKER_PASSWORD" help:"Password for the external broker."`

	Dev      bool `help:"For a developer's machine: local requests are the administrator's, local devices need no credential. Refuses to listen beyond loopback."`
	Simulate bool `help:"Register and publish the simulated network from inside; wants --dev."`
	// SimulateDays is how much simulated past is there at the first start.
	SimulateDays float64 `name:"simulate-days" default:"30" help:"Days of simulated history at the first start."`

	Clock string `default:"system" enum:"system,replay" help:"Where the time comes from: the machine, or a replay with --drive-clock (${enum})."`

	PublicPage bool   `name:"public-page" default:"true" negatable:"" env:"QUANTRAC_PUBLIC_PAGE" help:"Show the phone page and the public warnings to everybody; otherwise to signed-in staff only (with --open-data the warnings stay public)."`
	OpenData   bool   `name:"open-data" env:"QUANTRAC_OPEN_DATA" help:"Serve the CAP feed and open data under /open."`
	Sender     string `name:"cap-sender" default:"quantrac.invalid" env:"QUANTRAC_CAP_SENDER" help:"Sender in CAP messages: an address or domain of the operator."`
	BaseURL    string `name:"base-url" env:"QUANTRAC_BASE_URL" help:"Address under which people reach the page, for links in messages; by default that of --http, by the machine's name where that is every address."`

	TrustedProxies []string `name:"trusted-proxies" sep:"," placeholder:"ADDRESS" env:"QUANTRAC_TRUSTED_PROXIES" help:"Proxies in front of the service, by address or network: their X-Forwarded-For and X-Forwarded-Proto are believed, nobody else's."`

	WebhookPrivate bool `name:"webhook-private" env:"QUANTRAC_WEBHOOK_PRIVATE" help:"Let webhooks go to private addresses and without TLS: receivers on the province's own network."`

	AcceptClock string `name:"accept-clock" once:"" placeholder:"TIME" help:"Once, when the start is refused because of the machine's clock, and that is right: the time by another clock. What was committed by a clock that was ahead then counts as committed now."`

	SilenceHold time.Duration  `name:"silence-hold" default:"30m" env:"QUANTRAC_SILENCE_HOLD" help:"How long after it goes stale a silent series is reported to staff."`
	Retention   []string       `name:"retention" sep:"," placeholder:"PATTERN=DURATION" env:"QUANTRAC_RETENTION" help:"How long values are kept, by the name of their property: battery_*=2y. The first that matches counts; what matches none is kept for ever."`
	Backup      backupSchedule `embed:"" prefix:"backup-"`

	Memory int64 `name:"memory-bytes" placeholder:"BYTES" env:"QUANTRAC_MEMORY_BYTES" help:"Memory that the service keeps to; by default half of what the machine has."`

	MinFree int64 `name:"min-free-bytes" default:"134217728" env:"QUANTRAC_MIN_FREE_BYTES" help:"Free disk space below which readings are refused while warnings still go out; with 0 they are refused once nothing is free."`
}

// check says what is wrong with the settings.
func (c *serveCmd) check() error {
	var errs []error
	if c.Data == "" {
		errs = append(errs, errors.New("data: name the data folder"))
	}
	errs = append(errs, named("http", c.checkListen(c.HTTP)))
	if c.MQTT != "off" {
		errs = append(errs, named("mqtt", c.checkListen(c.MQTT)))
	}
	if c.Broker != "" {
		_, _, err := brokerAddress(c.Broker)
		errs = append(errs, named("mqtt-broker", err))
	}
	if c.Simulate && !c.Dev {
		errs = append(errs, errors.New("simulate: wants --dev, so that made-up readings never mix with a network in service; use quantrac simulate against a test service otherwise"))
	}
	if c.Simulate && c.MQTT == "off" {
		errs = append(errs, errors.New("simulate: wants the embedded broker, and mqtt is off"))
	}
	if c.Clock == "replay" && !c.Dev {
		errs = append(errs, errors.New("clock: replay wants --dev: whoever sends can move the clock"))
	}
	if c.Memory != 0 && c.Memory < leastMemory {
		errs = append(errs, fmt.Errorf("memory-bytes: %d is less than the %d that the service works in", c.Memory, leastMemory))
	}
	if c.MinFree < 0 || c.SilenceHold < 0 {
		errs = append(errs, errors.New("min-free-bytes and silence-hold: want 0 or more"))
	}
	_, err := parseRetention(c.Retention)
	errs = append(errs, named("retention", err))
	_, err = accounts.ParseProxies(c.TrustedProxies)
	errs = append(errs, named("trusted-proxies", err), named("base-url", checkBaseURL(c.BaseURL)), c.Backup.check(c.Data))
	return errors.Join(errs...)
}

func (c *serveCmd) checkListen(address string) error {
	if err := checkAddress(address); err != nil {
		return err
	}
	if c.Dev && !loopback(address) {
		return fmt.Errorf("%s is reachable from other machines, and --dev gives everybody the administrator's rights; use localhost", address)
	}
	return nil
}

// advise says which settings work, and hardly as they are meant.
func (c *serveCmd) advise() (notes []string) {
	if c.BaseURL == "" && (!loopback(c.HTTP) || len(c.TrustedProxies) > 0) {
		notes = append(notes, "base-url is not set: links in messages lead to "+c.baseURL()+"; set it to where people reach the page")
	}
	if c.Backup.besides(c.Data) {
		notes = append(notes, "backup-to is on the disk of the data folder, and would be lost with it; name a place on another one")
	}
	return notes
}

// settings returns the configuration as config print shows it.
func (c *serveCmd) settings() map[string]any {
	m := map[string]any{
		"data": c.Data, "http": c.HTTP, "mqtt": c.MQTT, "dev": c.Dev, "simulate": c.Simulate, "simulate-days": c.SimulateDays,
		"clock": c.Clock, "public-page": c.PublicPage, "open-data": c.OpenData, "cap-sender": c.Sender, "base-url": c.BaseURL,
		"webhook-private": c.WebhookPrivate,
		"silence-hold":    c.SilenceHold.String(), "min-free-bytes": c.MinFree, "memory-bytes": c.Memory, "mqtt-broker": c.Broker,
		"retention": c.Retention, "trusted-proxies": c.TrustedProxies,
	}
	c.Backup.settings(m)
	return m
}

// Run implements the command.
func (c *serveCmd) Run(ctx context.Context, out io.Writer, log *slog.Logger) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	if c.Data, err = filepath.Abs(c.Data); err != nil {
		return err
	}
	for _, text := range c.advise() {
		log.Warn(text)
	}
	s, err := open(ctx, c, log)
	if err != nil && ctx.Err() != nil {
		log.Info("stopped before it was open", "while", err)
		return nil
	}
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.close()) }()
	if ctx.Err() != nil {
		return nil
	}
	return s.run(ctx, out)
}

// minFree is the setting as the journal takes it, where 0 means its default.
func (c *serveCmd) minFree() int64 {
	if c.MinFree == 0 {
		return -1
	}
	return c.MinFree
}
