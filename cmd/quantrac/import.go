package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"quantrac"
	"quantrac/internal/exchange"
	"quantrac/internal/regroup"
	"quantrac/internal/vfs"
)

// importCmd brings values that were kept elsewhere into a running service. It
// reads its files to their end, makes rows of the series again, and sends them in
// batches, each acknowledged once it is durable.
type importCmd struct {
	remote
	Format string            `placeholder:"FORMAT" help:"Format of the files: csv, jsonl, parquet or victoriametrics; by default what a file's name ends in."`
	File   []string          `arg:"" placeholder:"FILE" help:"What to import, plain, gzip or zstd; - for standard input."`
	Strict bool              `help:"Stop at the first line that cannot be taken. Of what is wrong in a file nothing is imported then."`
	Column map[string]string `mapsep:"none" placeholder:"PART=NAME" help:"Of CSV and Parquet: the column that plays a part (time, time_ms, metric, value, quality, layer, received_ms), where it does not have its name."`
	Ignore []string          `sep:"none" placeholder:"NAME" help:"Column that is neither a part nor a label."`
	Metric string            `help:"Metric of series that name none."`
	Label  map[string]string `mapsep:"none" placeholder:"NAME=VALUE" help:"Label to give to every series."`
	DryRun bool              `help:"Read the files, say what is in them, and send nothing."`

	ResumeFile string        `placeholder:"FILE" help:"Where to note how far it has come; by default beside the first file."`
	Patience   time.Duration `default:"5m" help:"How long to try again while the service is away or busy."`
	Memory     int64         `default:"64" help:"MiB of values to hold; more lies in a temporary file."`
	Temp       string        `placeholder:"DIR" help:"Folder of the temporary file; by default the system's."`
	MaxLine    int           `default:"64" help:"MiB of a line at the most."`
}

// maxShownFaults is how many faults of the files are told one by one.
const maxShownFaults = 100

// incoming is an import under way.
type incoming struct {
	c       *importCmd
	log     *slog.Logger
	sorter  *regroup.Sorter
	inputs  []inputSum
	faults  int // lines that cannot be taken
	left    int64
	people  int64 // revisions by people of an archive, which are not imported
	current *input
	meter   *meter
	read    int64 // bytes of files that are over
}

// Run implements the command.
func (c *importCmd) Run(ctx context.Context, out io.Writer, log *slog.Logger) (err error) {
	if err := c.check(); err != nil {
		return err
	}
	dir, err := os.MkdirTemp(c.Temp, "quantrac-import-")
	if err != nil {
		return err
	}
	in := &incoming{c: c, log: log, sorter: regroup.New(regroup.Options{
		Memory: c.Memory << 20, FS: vfs.OS(), File: filepath.Join(dir, "values"),
		Greatest: c.Format == string(exchange.VictoriaMetrics), // as its queries show it
	})}
	defer func() { err = errors.Join(err, in.sorter.Close(), os.RemoveAll(dir)) }()
	if err := in.readAll(ctx); err != nil {
		return err
	}
	added, _ := in.sorter.Values()
	if c.DryRun {
		return in.summary(out, fmt.Sprintf("%d values, nothing sent", added))
	}
	return in.send(ctx, out, added)
}

func (c *importCmd) check() error {
	if c.Format != "" {
		if _, err := exchange.ParseFormat(c.Format); err != nil {
			return named("--format", err)
		}
	}
	if c.Memory < 1 || c.MaxLine < 1 || c.Patience < 0 {
		return errors.New("want --memory and --max-line of 1 or more, --patience of 0 or more")
	}
	for i, f := range c.File {
		if f == "-" && (i > 0 || len(c.File) > 1) {
			return errors.New("standard input is imported alone")
		}
		if _, err := c.formatOf(f); err != nil {
			return err
		}
	}
	return nil
}

// formatOf is the format of a file.
func (c *importCmd) formatOf(file string) (exchange.Format, error) {
	if c.Format != "" {
		return exchange.ParseFormat(c.Format)
	}
	name := strings.TrimSuffix(strings.TrimSuffix(strings.ToLower(file), ".gz"), ".zst")
	if f, err := exchange.ParseFormat(strings.TrimPrefix(filepath.Ext(name), ".")); err == nil {
		return f, nil
	}
	return "", fmt.Errorf("%s: its name does not say what it is; name the --format", file)
}

func (c *importCmd) options() exchange.ReadOptions {
	return exchange.ReadOptions{MaxLine: c.MaxLine << 20, Columns: c.Column, Ignore: c.Ignore, Metric: c.Metric, Labels: quantrac.LabelsFromMap(c.Label)}
}

// readAll reads the files into the sorter.
func (in *incoming) readAll(ctx context.Context) error {
	total := int64(0)
	for _, f := range in.c.File {
		if info, err := os.Stat(f); err == nil && info.Mode().IsRegular() {
			total += info.Size()
		}
	}
	in.meter = newMeter("read", total, func() string {
		values, _ := in.sorter.Values()
		n := in.bytes()
		return fmt.Sprintf("%s, %d values, %s/s", inBytes(n), values, inBytes(int64(in.meter.rate(n))))
	})
	for _, f := range in.c.File {
		if err := in.file(ctx, f); err != nil {
			return fmt.Errorf("%s: %w", f, err)
		}
	}
	in.meter.done()
	if in.faults > maxShownFaults {
		fmt.Fprintf(os.Stderr, "and more, %d in all\n", in.faults)
	}
	return nil
}

func (in *incoming) bytes() int64 {
	if in.current == nil {
		return in.read
	}
	return in.read + in.current.bytes()
}

// file reads one file.
func (in *incoming) file(ctx context.Context, name string) (err error) {
	format, err := in.c.formatOf(name)
	if err != nil {
		return err
	}
	f, err := openInput(name, format, in.c.options())
	if err != nil {
		return err
	}
	in.current = f
	defer func() {
		in.read, in.current = in.read+f.bytes(), nil
		err = errors.Join(err, f.close())
	}()
	for {
		if err := ctx.Err(); err != nil {
			return errors.New("interrupted; nothing has been sent of what was being read")
		}
		s, err := f.reader.Next()
		if err == io.EOF {
			break
		}
		if fault := new(exchange.Fault); errors.As(err, &fault) {
			if err := in.fault(name, fault); err != nil {
				return err
			}
			continue
		}
		if err == nil {
			err = in.add(s)
		}
		if err != nil {
			return err
		}
		in.meter.at(in.bytes())
	}
	sum, err := f.sum()
	in.inputs = append(in.inputs, sum)
	return err
}

// add takes a stretch. Of an archive it takes what devices said: what people
// made of it would have to be theirs, made when they made it.
func (in *incoming) add(s *exchange.Stretch) error {
	in.left += int64(s.Left)
	times, revs := s.Times[:0], s.Revisions[:0]
	for i, r := range s.Revisions {
		if r.Layer == quantrac.LayerHuman && r.Commit.Number != 0 {
			in.people++
			continue
		}
		times, revs = append(times, s.Times[i]), append(revs, r)
	}
	return in.sorter.Add(s.Labels, times, revs)
}

// fault tells what is wrong with a line; it is an error where it ends the import.
func (in *incoming) fault(file string, f *exchange.Fault) error {
	if in.c.Strict {
		return fmt.Errorf("%w; nothing was imported", f)
	}
	if in.faults++; in.faults <= maxShownFaults {
		fmt.Fprintf(os.Stderr, "%s: %v\n", file, f)
	}
	return nil
}

// summary says what has happened, and is an error where not all was taken.
func (in *incoming) summary(out io.Writer, text string) error {
	for _, n := range []struct {
		n    int64
		what string
	}{
		{in.left, "left out, as marks of series that have gone (null)"},
		{in.people, "left out, as corrections by people"},
	} {
		if n.n > 0 {
			text += fmt.Sprintf("; %d %s", n.n, n.what)
		}
	}
	if _, err := fmt.Fprintln(out, text); err != nil {
		return err
	}
	if in.faults > 0 {
		return fmt.Errorf("%d lines could not be taken; all others were", in.faults)
	}
	return nil
}
