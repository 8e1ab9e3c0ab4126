package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"path/filepath"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// tsdbCmd are the verbs on the store of a data folder.
type tsdbCmd struct {
	Check   tsdbCheckCmd   `cmd:"" help:"Read every file of the store whole and compare what is said twice. The service may run."`
	Stats   tsdbStatsCmd   `cmd:"" help:"Show the files and what their parts take. The service may run."`
	Dump    tsdbDumpCmd    `cmd:"" help:"Print the rows of the block files as JSON lines, every revision. The service may run."`
	Compact tsdbCompactCmd `cmd:"" help:"Move everything into block files and merge them. The service must be stopped."`
}

// coldStore is the data folder of a service that does not run.
type coldStore struct {
	Data string `required:"" placeholder:"DIR" env:"QUANTRAC_DATA" help:"Data folder; the service that keeps it must not run."`
}

// open opens the journal and the store. A folder that has none is refused: a
// slip of the pen must not make an empty store.
func (s coldStore) open(log *slog.Logger) (*journal.Journal, *tsdb.DB, error) {
	dir := filepath.Join(s.Data, "tsdb")
	if _, err := vfs.OS().Stat(filepath.Join(dir, "manifest")); errors.Is(err, fs.ErrNotExist) {
		return nil, nil, quantrac.Errorf(quantrac.NotFound, "%s is no data folder of the service: it has no tsdb/manifest", s.Data)
	} else if err != nil {
		return nil, nil, err
	}
	j, err := journal.Open(vfs.OS(), filepath.Join(s.Data, "journal"), journal.Options{Logger: log})
	if err != nil {
		return nil, nil, err
	}
	db, err := tsdb.Open(vfs.OS(), dir, j, tsdb.Options{Logger: log})
	if err != nil {
		return nil, nil, errors.Join(err, j.Close())
	}
	return j, db, nil
}

// tsdbCompactCmd brings the store into its smallest form.
type tsdbCompactCmd struct {
	coldStore
}

// Run implements the command.
func (c *tsdbCompactCmd) Run(ctx context.Context, out io.Writer, log *slog.Logger) (err error) {
	j, db, err := c.open(log)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, db.Close(), j.Close()) }()
	before := db.Stats()
	if err := db.Flush(ctx); err != nil {
		return err
	}
	if err := db.Compact(ctx); err != nil {
		return err
	}
	after := db.Stats()
	_, err = fmt.Fprintf(out, "%d values in %d blocks, %d bytes (were %d values in %d blocks, %d bytes, and %d rows in the journal alone)\n",
		after.BlockCells, after.Blocks, after.DiskBytes, before.BlockCells, before.Blocks, before.DiskBytes, before.HeadRows)
	return err
}
