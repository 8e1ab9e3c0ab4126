// Package inside measures our store by itself, in this process and on a file
// system in memory, where the service's surfaces do not reach: what a value's
// received time, quality, layers and revisions take on disk, and what is left of
// acknowledged values when the power fails.
//
// Only the programs and tests below tsdb/internal/score may import it.
package inside

import (
	"context"
	"errors"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
	"quantrac/tsdb/internal/score/load"
)

// engine is a store with its journal.
type engine struct {
	*tsdb.DB
	j    *journal.Journal
	fsys vfs.FS
}

func open(fsys vfs.FS, clock quantrac.Clock) (*engine, error) {
	j, err := journal.Open(fsys, "journal", journal.Options{Clock: clock, ReserveBytes: -1, MinFreeBytes: -1})
	if err != nil {
		return nil, err
	}
	db, err := tsdb.Open(fsys, "tsdb", j, tsdb.Options{Clock: clock})
	if err != nil {
		return nil, errors.Join(err, j.Close())
	}
	return &engine{db, j, fsys}, nil
}

func (e *engine) Close() error { return errors.Join(e.DB.Close(), e.j.Close()) }

// Weight is what a store takes on disk, in bytes.
type Weight struct {
	Total int64
	Log   int64 // of it, the numbers and times of commits
	Parts tsdb.Sizes
}

// merge brings everything into its final form and weighs it.
func (e *engine) merge(ctx context.Context) (w Weight, err error) {
	if err := e.Flush(ctx); err != nil {
		return w, err
	}
	if err := e.Compact(ctx); err != nil {
		return w, err
	}
	f, err := tsdb.OpenFolder(e.fsys, "tsdb")
	if err != nil {
		return w, err
	}
	for _, file := range f.Files() {
		if w.Total += file.Bytes; file.Kind == "commits" {
			w.Log += file.Bytes
		}
	}
	w.Parts, err = f.Sizes()
	return w, err
}

// row makes a row of a line.
func row(l *load.Line) quantrac.Row {
	var tags []string
	for _, t := range l.Tags {
		tags = append(tags, t[0], t[1])
	}
	r := quantrac.Row{Group: quantrac.NewLabels(tags...), Time: quantrac.FloorMillis(l.Time)}
	for _, f := range l.Fields {
		r.Cells = append(r.Cells, quantrac.Cell{Property: f.Metric, Value: f.Value})
	}
	return r
}
