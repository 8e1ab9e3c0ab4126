package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"

	"quantrac"
	"quantrac/internal/audit"
	"quantrac/internal/backup"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
)

type backupRestoreCmd struct {
	backupPlace
	Name string `arg:"" optional:"" help:"Which one; by default the newest."`
	Data string `required:"" placeholder:"DIR" help:"Where to: a folder that is not there, or empty."`
	JSON bool   `name:"json" help:"Print what was restored as JSON."`
}

// Run implements the command.
func (c *backupRestoreCmd) Run(ctx context.Context, out io.Writer, log *slog.Logger) error {
	bar := &shipping{what: "restore"}
	target, err := c.target(bar.show)
	if err != nil {
		return err
	}
	data, err := filepath.Abs(c.Data)
	if err != nil {
		return err
	}
	epoch := uint64(0)
	got, err := target.Restore(ctx, vfs.OS(), c.Name, data, func(b backup.Backup, dir string) error {
		bar.done()
		if err := (&tsdbCheckCmd{storeFolder: storeFolder{dir}}).Run(ctx, io.Discard); err != nil {
			return err
		}
		epoch, err = beginEpoch(ctx, dir, map[string]string{"from": target.String(), "to": data, "backup": b.Name}, log)
		return err
	})
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(struct {
			backup.Backup
			Data  string `json:"data"`
			Epoch uint64 `json:"epoch"`
		}{got, data, epoch})
	}
	_, err = fmt.Fprintf(out, "restored %s to %s: %d files, %s, each checked; epoch %d begins\nstart it with: quantrac serve --data %s\n",
		got.Name, data, got.Files, inBytes(got.Bytes), epoch, data)
	return err
}

// beginEpoch lets what is restored go on in an epoch of its own, and writes that
// down. The service that was backed up has gone on after the backup: numbers of
// commits and revisions of warnings that come now are of other things than those
// that it gave out then, and receivers tell them apart by the epoch.
func beginEpoch(ctx context.Context, data string, detail map[string]string, log *slog.Logger) (epoch uint64, err error) {
	path := filepath.Join(data, "journal")
	// Whether the clock is right is a question for the start of the service.
	o := journal.Options{Driven: true, MinFreeBytes: -1, ReserveBytes: -1, Logger: log}
	before, err := journal.Open(vfs.OS(), path, o)
	if err != nil {
		return 0, err
	}
	last := before.Last()
	o.Epoch = before.Epoch() + 1
	if err := before.Close(); err != nil {
		return 0, err
	}
	j, err := journal.Open(vfs.OS(), path, o)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, j.Close()) }()
	l, err := audit.Open(filepath.Join(data, "audit.db"), j, audit.Options{Logger: log})
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, l.Close()) }()
	ctx = quantrac.WithPrincipal(ctx, quantrac.Principal{Name: "backup restore", Role: quantrac.RoleAdmin})
	detail["last_commit"], detail["epoch"] = fmt.Sprint(last.Number), fmt.Sprint(o.Epoch)
	_, err = l.Append(ctx, audit.Event{Action: "backup.restore", Object: detail["backup"], Detail: detail})
	return o.Epoch, err
}
