// Command compare runs our store and the peers found on this machine on one
// load, and prints what they need: a table of figures with ratios, or the
// scorecard, or how the cost grows with series and observations.
//
//	go run ./tsdb/internal/score/compare table
//	go run ./tsdb/internal/score/compare -scale full card
//	go run ./tsdb/internal/score/compare growth
//
// Peers are the programs victoria-metrics, prometheus and influxd on PATH or
// where the flags or VICTORIA_METRICS, PROMETHEUS and INFLUXD say. Everything
// listens on loopback and keeps its data below one temporary folder, which is
// removed at the end. Exit status 1: a wanted figure is short; 2: no comparison.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"

	"quantrac/internal/scorecard"
	"quantrac/internal/shared"
	"quantrac/tsdb/internal/score"
	"quantrac/tsdb/internal/score/store"
)

func main() {
	// A reader of the table who goes away must leave no stores behind either.
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM, syscall.SIGHUP, syscall.SIGPIPE)
	defer stop()
	held, err := run(ctx, os.Args[1:])
	switch {
	case err != nil:
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	case !held:
		os.Exit(1)
	}
}

// flags are the command line.
type flags struct {
	scale, only, temp                string
	stations, properties             int
	days                             float64
	quantrac, victoria, prom, influx string
	growthSeries, growthValues       int
}

func (f *flags) parse(args []string) (verb string, err error) {
	set := flag.NewFlagSet("compare", flag.ContinueOnError)
	set.StringVar(&f.scale, "scale", "full", "how large: tiny, reduced (ends within ten minutes) or full (within half an hour)")
	set.IntVar(&f.stations, "stations", 0, "stations of the network; 0 for those of the scale")
	set.IntVar(&f.properties, "properties", 0, "properties of each station, 1 to 7; 0 for those of the scale")
	set.Float64Var(&f.days, "days", 0, "days of the network; 0 for those of the scale")
	set.StringVar(&f.only, "only", "", "phases to run, separated by commas; all by default")
	set.StringVar(&f.temp, "temp", "", "folder for data; a temporary one by default")
	set.StringVar(&f.quantrac, "quantrac", "", "our program; built from this checkout by default")
	set.StringVar(&f.victoria, "victoria-metrics", "", "VictoriaMetrics")
	set.StringVar(&f.prom, "prometheus", "", "Prometheus")
	set.StringVar(&f.influx, "influxd", "", "InfluxDB 1")
	set.IntVar(&f.growthSeries, "growth-series", 1_000_000, "growth: series at most")
	set.IntVar(&f.growthValues, "growth-values", 10_000_000, "growth: observations at most")
	if err := set.Parse(args); err != nil {
		return "", err
	}
	if set.NArg() != 1 {
		return "", errors.New("say what to print: table, card or growth")
	}
	return set.Arg(0), nil
}

func run(ctx context.Context, args []string) (held bool, err error) {
	var f flags
	verb, err := f.parse(args)
	if err != nil {
		return false, err
	}
	scale, err := f.size()
	if err != nil {
		return false, err
	}
	temp, err := os.MkdirTemp(f.temp, "quantrac-compare")
	if err != nil {
		return false, err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(temp)) }()
	o, err := f.options(ctx, scale, temp)
	if err != nil {
		return false, err
	}
	return f.print(verb, score.New(ctx, o))
}

// print runs what is to be printed.
func (f *flags) print(verb string, b *score.Bench) (held bool, err error) {
	switch verb {
	case "growth":
		return true, b.Growth(os.Stdout, f.growthSeries, f.growthValues)
	case "table", "card":
	default:
		return false, fmt.Errorf("%q is none of table, card and growth", verb)
	}
	if err := b.Run(f.phases()...); err != nil {
		return false, err
	}
	fmt.Println(b.Scale)
	if verb == "card" {
		return scorecard.Print(os.Stdout, b.Card())
	}
	return true, table(b)
}

// size is the scale asked for.
func (f *flags) size() (score.Scale, error) {
	s, ok := map[string]score.Scale{"tiny": score.Tiny(), "reduced": score.Reduced(), "full": score.Full()}[f.scale]
	if !ok {
		return s, fmt.Errorf("scale %q: want tiny, reduced or full", f.scale)
	}
	if f.stations > 0 {
		s.Stations = f.stations
	}
	if f.properties > 0 {
		s.Properties = min(f.properties, 7)
	}
	if f.days > 0 {
		s.Days = f.days
	}
	return s, nil
}

func (f *flags) phases() []string {
	if f.only == "" {
		return nil
	}
	return strings.Split(f.only, ",")
}

// options finds the programs.
func (f *flags) options(ctx context.Context, scale score.Scale, temp string) (score.Options, error) {
	o := score.Options{Scale: scale, Temp: temp, Progress: os.Stderr}
	if dir, ok := shared.Dir(); ok {
		o.Recorded = dir
	}
	ours := f.quantrac
	if ours == "" {
		var err error
		if ours, err = store.BuildQuantrac(ctx, temp); err != nil {
			return o, err
		}
	}
	o.Ours = store.Quantrac(ours)
	if p := store.Find(f.victoria, "VICTORIA_METRICS", "victoria-metrics", "victoria-metrics-prod"); p != "" {
		o.Peers = append(o.Peers, store.VictoriaMetrics(p), store.VictoriaMetricsLean(p))
	}
	if p := store.Find(f.prom, "PROMETHEUS", "prometheus"); p != "" {
		o.Peers = append(o.Peers, store.Prometheus(p))
	}
	if p := store.Find(f.influx, "INFLUXD", "influxd"); p != "" {
		o.Peers = append(o.Peers, store.InfluxDB(p))
	}
	return o, nil
}

func table(b *score.Bench) error {
	if err := b.Figures.Table(os.Stdout, b.Stores()); err != nil {
		return err
	}
	fmt.Println()
	_, err := scorecard.Print(os.Stdout, b.Checks)
	return err
}
