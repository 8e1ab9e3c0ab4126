package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"time"

	"quantrac"
	"quantrac/internal/exchange"
)

// exportCmd takes series out of a running service, or of the data folder of one
// that is stopped. All of it is of one state, that of the moment it began.
type exportCmd struct {
	remote
	Data      string   `placeholder:"DIR" help:"Data folder to read instead of a running service; the service that keeps it must not run. Selectors do not know of stations' metadata then."`
	Format    string   `required:"" placeholder:"FORMAT" help:"csv, jsonl, parquet or victoriametrics."`
	Match     []string `sep:"none" placeholder:"SELECTOR" help:"PromQL selector of what to export; give it several times for more. By default everything."`
	Start     string   `placeholder:"TIME" help:"Leave out what is before this time."`
	End       string   `placeholder:"TIME" help:"Leave out what is after this time."`
	AsOf      string   `name:"asof" placeholder:"TIME" help:"What was known at this time, to the second."`
	Revisions bool     `help:"Every revision of every value, with commit, author and reason: an archive."`
	Out       string   `default:"-" placeholder:"FILE" help:"Where to write; - for standard output."`
	Resume    bool     `help:"Go on with FILE.partial that an interrupted export has left. Parquet begins anew."`
}

// source is where an export reads: it gives stretches after a series, and how
// many series have not come to their end.
type source interface {
	// open returns the state that is read, of which the query's own is 0 for the
	// present one, and the names of the labels.
	open(ctx context.Context, q *exportQuery) (commit uint64, labels []string, err error)
	each(ctx context.Context, show func(s *exchange.Stretch, left int) error) error
	close() error
}

// exportQuery is what an export asks for.
type exportQuery struct {
	Match     []string          `json:"match"`
	Start     string            `json:"start"`
	End       string            `json:"end"`
	AsOf      string            `json:"asof"`
	Revisions bool              `json:"revisions"`
	Commit    uint64            `json:"commit"` // 0 for the present state
	After     map[string]string `json:"after"`  // the series up to this one are not wanted; nil for none
}

// Run implements the command.
func (c *exportCmd) Run(ctx context.Context, out io.Writer, log *slog.Logger) (err error) {
	format, err := exchange.ParseFormat(c.Format)
	if err != nil {
		return named("--format", err)
	}
	for _, t := range []struct{ name, text string }{{"--start", c.Start}, {"--end", c.End}, {"--asof", c.AsOf}} {
		if _, err := quantrac.ParseTime(t.text); t.text != "" && err != nil {
			return fmt.Errorf("%s: %w", t.name, err)
		}
	}
	var from source = &remoteSource{remote: c.remote}
	if c.Data != "" {
		if from, err = openFolderSource(coldStore{c.Data}, log); err != nil {
			return err
		}
	}
	defer func() { err = errors.Join(err, from.close()) }()
	q := exportQuery{Match: c.Match, Start: c.Start, End: c.End, AsOf: c.AsOf, Revisions: c.Revisions}
	if c.Out != "-" {
		e, err := exportFile(ctx, from, q, format, c.Out, c.Resume, noteBytes)
		if err == nil {
			_, err = fmt.Fprintf(out, "%s: %d series, %d values, %d bytes\n", c.Out, e.series, e.values, e.bytes)
		}
		return err
	}
	if c.Resume {
		return errors.New("--resume wants --out FILE: what has gone to standard output is gone")
	}
	_, labels, err := from.open(ctx, &q)
	if err != nil {
		return err
	}
	buf := bufio.NewWriterSize(out, 256<<10)
	e := &exporting{}
	if err := e.run(ctx, from, buf, format, exchange.WriteOptions{LabelNames: labels, Revisions: q.Revisions}, nil); err != nil {
		return err
	}
	return buf.Flush()
}

// exporting is an export under way.
type exporting struct {
	bytes, values int64
	series        int // begun
	total         int // series, as far as it is known
	at            quantrac.Labels
	meter         *meter
}

// run writes everything that the source gives. between is called between two
// series, with the one that has been written; nil for nothing to do.
func (e *exporting) run(ctx context.Context, from source, w io.Writer, format exchange.Format, o exchange.WriteOptions, between func(whole quantrac.Labels) error) error {
	out, err := exchange.NewWriter(&counter{w, &e.bytes}, format, o)
	if err != nil {
		return err
	}
	err = from.each(ctx, func(s *exchange.Stretch, left int) error {
		if !s.Labels.Equal(e.at) {
			if between != nil && e.at != nil {
				if err := between(e.at); err != nil {
					return err
				}
			}
			e.at = s.Labels
			e.series++
		}
		if e.meter == nil {
			e.total = left + e.series - 1
			e.meter = newMeter("export", int64(e.total), e.text)
		}
		e.values += int64(len(s.Times))
		e.meter.at(int64(e.total - left))
		return out.Write(s)
	})
	if err == nil {
		err = out.Close()
	}
	if err == nil && e.meter != nil {
		e.meter.done()
	}
	return err
}

func (e *exporting) text() string {
	return fmt.Sprintf("%d series, %d values, %s, %s/s", e.series, e.values, inBytes(e.bytes), inBytes(int64(e.meter.rate(e.bytes))))
}

// counter counts what is written.
type counter struct {
	w io.Writer
	n *int64
}

// Write implements io.Writer.
func (c *counter) Write(p []byte) (int, error) {
	n, err := c.w.Write(p)
	*c.n += int64(n)
	return n, err
}

// exportState is what stands beside an unfinished file.
type exportState struct {
	Version int             `json:"version"`
	Format  exchange.Format `json:"format"`
	Query   exportQuery     `json:"query"` // what is still to come: after the last series that is whole
	Labels  []string        `json:"labels"`
	Bytes   int64           `json:"bytes"` // of the file up to there
	Series  int             `json:"series"`
	Values  int64           `json:"values"`
}

// same says whether two exports ask for the same.
func (s *exportState) same(format exchange.Format, q exportQuery) bool {
	was := s.Query
	was.Commit, was.After = 0, nil
	a, errA := json.Marshal(was)
	b, errB := json.Marshal(q)
	return s.Version == 1 && s.Format == format && errA == nil && errB == nil && string(a) == string(b)
}

// Between two notes of how far an export has come.
const (
	noteBytes    = 32 << 20
	noteInterval = 5 * time.Second
)
