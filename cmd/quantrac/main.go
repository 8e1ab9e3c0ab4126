// Command quantrac is the one binary of the service: it runs it (serve) and
// carries every operator's verb. It is the only place that knows all rooms;
// here they are wired to each other, and nowhere else.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

// version is set by the build.
var version = "devel"

// cli is the command line. Values come from the configuration file, then the
// environment, then flags; the last one given wins.
type cli struct {
	LogLevel  string `default:"info" enum:"debug,info,warn,error" env:"QUANTRAC_LOG_LEVEL" help:"Least level to log: ${enum}."`
	LogFormat string `default:"text" enum:"text,json" env:"QUANTRAC_LOG_FORMAT" help:"Form of the log: ${enum}."`

	Serve    serveCmd    `cmd:"" help:"Run the service."`
	Simulate simulateCmd `cmd:"" help:"Publish a made-up network shaped like the province's as MQTT devices."`
	Replay   replayCmd   `cmd:"" help:"Publish a recorded CSV as MQTT devices."`
	Station  stationCmd  `cmd:"" help:"Stations of the registry."`
	Export   exportCmd   `cmd:"" help:"Take series out, as CSV, JSON lines, Parquet or for VictoriaMetrics (docs/import.md)."`
	Import   importCmd   `cmd:"" help:"Bring series in that were kept elsewhere (docs/import.md)."`
	Config   configCmd   `cmd:"" help:"Check or print the configuration."`
	Tsdb     tsdbCmd     `cmd:"" help:"Look into the store of a data folder, check and merge it."`
	Snapshot snapshotCmd `cmd:"" help:"Snapshots of a running service's data folder."`
	Backup   backupCmd   `cmd:"" help:"Backups of a data folder in another place: make, list, verify, restore and prune them."`
	Version  versionCmd  `cmd:"" help:"Print the version."`
}

func main() {
	os.Exit(run(untilTold(), os.Args[1:], os.Stdout, os.Stderr))
}

// untilTold returns a context that ends when the program is told to end. By then
// a second signal ends it at once, also one that comes as soon as we say so.
func untilTold() context.Context {
	told, letGo := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	ctx, stop := context.WithCancel(context.Background())
	context.AfterFunc(told, func() {
		letGo()
		stop()
	})
	return ctx
}

// run is the whole program: exit status 0 for success, 1 for a failure, 2 for
// a command line or an environment that cannot be understood.
func run(ctx context.Context, args []string, stdout, stderr io.Writer) (code int) {
	var c cli
	exited := false
	parser, err := kong.New(&c,
		kong.Name("quantrac"),
		kong.Description("Runs a province's ground observation network: readings in, warnings and forecasts out."),
		kong.UsageOnError(),
		kong.Writers(stdout, stderr),
		kong.Exit(func(n int) { code, exited = n, true }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.BindTo(stdout, (*io.Writer)(nil)),
	)
	if err != nil {
		fmt.Fprintln(stderr, "quantrac:", err)
		return 1
	}
	k, err := parser.Parse(args)
	if exited { // --help has been answered
		return code
	}
	if bad := new(settingsError); errors.As(err, &bad) {
		fmt.Fprintln(stderr, "quantrac:", bad)
		return 1
	}
	if err != nil {
		fmt.Fprintln(stderr, "quantrac:", err)
		fmt.Fprintln(stderr, "Run quantrac --help, or quantrac COMMAND --help.")
		return 2
	}
	if err := k.Run(&c, c.logger(stderr)); err != nil {
		fmt.Fprintln(stderr, "quantrac:", err)
		return 1
	}
	return code
}

func (c *cli) logger(w io.Writer) *slog.Logger {
	var level slog.Level
	if err := level.UnmarshalText([]byte(c.LogLevel)); err != nil {
		level = slog.LevelInfo // the parser admits only levels there are
	}
	o := &slog.HandlerOptions{Level: level}
	if c.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(w, o))
	}
	return slog.New(slog.NewTextHandler(w, o))
}

type versionCmd struct{}

// Run implements the command.
func (versionCmd) Run(out io.Writer) error {
	_, err := fmt.Fprintln(out, "quantrac", version)
	return err
}
