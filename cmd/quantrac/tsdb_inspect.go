package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math"
	"os"
	"path/filepath"
	"slices"
	"text/tabwriter"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// storeFolder is the store of a data folder, looked at from outside.
type storeFolder struct {
	Data string `required:"" placeholder:"DIR" env:"QUANTRAC_DATA" help:"Data folder."`
}

func (s storeFolder) open() (*tsdb.Folder, error) {
	return tsdb.OpenFolder(vfs.OS(), filepath.Join(s.Data, "tsdb"))
}

// tsdbCheckCmd looks for damage.
type tsdbCheckCmd struct {
	storeFolder
	JSON bool `name:"json" help:"Print the files as JSON."`
}

// Run implements the command; damage is an error, and exit status 1.
func (c *tsdbCheckCmd) Run(ctx context.Context, out io.Writer) error {
	f, err := c.open()
	if err != nil {
		return err
	}
	bar, read := newProgress(os.Stderr, "check", f.Bytes()), int64(0)
	files, err := f.Check(ctx, func(n int64) { read += n; bar.at(read) })
	if err != nil {
		return err
	}
	bar.done()
	if err := printFiles(out, files, c.JSON); err != nil {
		return err
	}
	bad := 0
	for _, i := range files {
		if i.Error != "" {
			bad++
		}
	}
	if bad > 0 {
		return quantrac.Errorf(quantrac.Corrupt, "%d of %d files are damaged; restore them from a backup", bad, len(files))
	}
	return nil
}

func printFiles(out io.Writer, files []tsdb.FileInfo, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(out).Encode(files)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "file\tbytes\tgroups\trows\tvalues\tfrom\tto\tcommits\tstate\t")
	for _, i := range files {
		state := i.Error
		if state == "" {
			state = "ok"
		}
		from, to := "", ""
		if i.Kind == "block" && i.Rows > 0 {
			from, to = i.From.String(), i.To.String()
		}
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t%d–%d\t%s\t\n", i.Name, i.Bytes, i.Groups, i.Rows, i.Cells, from, to, i.FirstCommit, i.LastCommit, state)
	}
	return w.Flush()
}

// tsdbStatsCmd says what takes the space.
type tsdbStatsCmd struct {
	storeFolder
	JSON bool `name:"json" help:"Print them as JSON."`
}

// Run implements the command.
func (c *tsdbStatsCmd) Run(out io.Writer) error {
	f, err := c.open()
	if err != nil {
		return err
	}
	files := f.Files()
	sizes, err := f.Sizes()
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(map[string]any{"flushed": f.Flushed(), "files": files, "sizes": sizes})
	}
	if err := printFiles(out, files, false); err != nil {
		return err
	}
	return printSizes(out, &sizes)
}

func printSizes(out io.Writer, s *tsdb.Sizes) error {
	cells := int64(0)
	for _, p := range s.Property {
		cells += p.Cells
	}
	per := func(n int64) float64 { return float64(n) / float64(max(cells, 1)) }
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(w, "\npart of the blocks\tbytes\tbytes per value\t")
	for _, p := range []struct {
		name  string
		bytes int64
	}{
		{"values", s.Values}, {"qualities", s.Qualities}, {"times", s.Times}, {"commits", s.Commits}, {"received times", s.Received},
		{"kinds", s.Kinds}, {"chunk headers", s.Headers}, {"clock", s.Clock}, {"days", s.Days}, {"index", s.Index},
	} {
		fmt.Fprintf(w, "%s\t%d\t%.4f\t\n", p.name, p.bytes, per(p.bytes))
	}
	fmt.Fprintln(w, "\nproperty\tseries\tvalues\tbytes\tbytes per value\t")
	for _, name := range slices.Sorted(maps.Keys(s.Property)) {
		p := s.Property[name]
		fmt.Fprintf(w, "%s\t%d\t%d\t%d\t%.4f\t\n", name, p.Series, p.Cells, p.Values+p.Qualities, float64(p.Values+p.Qualities)/float64(max(p.Cells, 1)))
	}
	return w.Flush()
}

// tsdbDumpCmd prints rows.
type tsdbDumpCmd struct {
	storeFolder
}

// dumpedRow is a row as it is printed: times in ms, a value that JSON has no
// number for as text.
type dumpedRow struct {
	File     string            `json:"file"`
	Labels   map[string]string `json:"labels"`
	Time     int64             `json:"time"`
	Commit   uint64            `json:"commit"`
	Received int64             `json:"received,omitempty"`
	Kind     string            `json:"kind"`
	Values   map[string]any    `json:"values"`
	Quality  map[string]uint8  `json:"quality"`
}

// Run implements the command.
func (c *tsdbDumpCmd) Run(ctx context.Context, out io.Writer, _ *slog.Logger) error {
	f, err := c.open()
	if err != nil {
		return err
	}
	w := bufio.NewWriter(out)
	enc := json.NewEncoder(w)
	err = f.Dump(ctx, func(file string, r *tsdb.DumpedRow) error {
		row := dumpedRow{
			File: file, Labels: map[string]string{}, Time: int64(r.Time), Commit: r.Commit, Received: int64(r.Received), Kind: r.Kind,
			Values: map[string]any{}, Quality: map[string]uint8{},
		}
		for _, l := range r.Labels {
			row.Labels[l.Name] = l.Value
		}
		for _, cell := range r.Cells {
			row.Values[cell.Property] = printable(cell.Value)
			row.Quality[cell.Property] = cell.Quality.Code()
		}
		return enc.Encode(row)
	})
	if err != nil {
		return err
	}
	return w.Flush()
}

// printable is a value as JSON can say it.
func printable(v float64) any {
	switch {
	case math.IsNaN(v):
		return fmt.Sprintf("NaN:%x", math.Float64bits(v))
	case math.IsInf(v, 0) || v == 0 && math.Signbit(v):
		return fmt.Sprint(v)
	}
	return v
}
