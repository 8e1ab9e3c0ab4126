package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"strings"
	"text/tabwriter"
	"time"

	"quantrac"
	"quantrac/internal/backup"
)

// backupCmd are the verbs of backups.
type backupCmd struct {
	Create  backupCreateCmd  `cmd:"" help:"Back up the running service on this machine, or the data folder of a stopped one: only what the place does not have yet is shipped. Cut short, it goes on with what is there."`
	List    backupListCmd    `cmd:"" help:"List the backups."`
	Verify  backupVerifyCmd  `cmd:"" help:"Read backups whole and say what is damaged or missing."`
	Restore backupRestoreCmd `cmd:"" help:"Bring a backup into a new folder, checked, from which the service can be started. Cut short, it goes on with what is there."`
	Prune   backupPruneCmd   `cmd:"" help:"Delete old backups, and what only they needed."`
}

// shipping shows progress on stderr.
type shipping struct {
	what  string
	bar   *progress
	start time.Time
}

// show is told how far it is.
func (s *shipping) show(p backup.Progress) {
	if s.bar == nil {
		s.bar, s.start = newProgress(os.Stderr, s.what, p.AllBytes), time.Now()
	}
	s.bar.say(p.Bytes, func() string {
		took := time.Since(s.start)
		more := fmt.Sprintf(", %d of %d files, %s of %s, %s moved, %s/s", p.Files, p.AllFiles, inBytes(p.Bytes), inBytes(p.AllBytes), inBytes(p.Moved),
			inBytes(int64(float64(p.Bytes)/max(took.Seconds(), 0.001))))
		if p.Bytes > 0 && p.Bytes < p.AllBytes {
			more += fmt.Sprintf(", about %s left", time.Duration(float64(took)*float64(p.AllBytes-p.Bytes)/float64(p.Bytes)).Round(time.Second))
		}
		return more
	})
}

func (s *shipping) done() {
	if s.bar != nil {
		s.bar.done()
	}
}

// inBytes writes a size for people.
func inBytes(n int64) string {
	f, units := float64(n), []string{"bytes", "KiB", "MiB", "GiB", "TiB"}
	for ; f >= 1024 && len(units) > 1; units = units[1:] {
		f /= 1024
	}
	if units[0] == "bytes" {
		return fmt.Sprintf("%d bytes", n)
	}
	return fmt.Sprintf("%.1f %s", f, units[0])
}

type backupCreateCmd struct {
	remote
	backupPlace
	Data   string `placeholder:"DIR" help:"Back up this data folder, of a service that is stopped, and ask none."`
	Name   string `placeholder:"NAME" help:"What to call it; by default the time."`
	Reread bool   `help:"Read every file, also where name, size and time say that the backup before has it."`
	JSON   bool   `name:"json" help:"Print it as JSON."`
}

// Run implements the command.
func (c *backupCreateCmd) Run(ctx context.Context, out io.Writer) error {
	bar := &shipping{what: "backup"}
	target, err := c.target(bar.show)
	if err == nil {
		err = c.outside(c.Data)
	}
	if c.Name == "" {
		c.Name = backupName(quantrac.SystemClock{}.Now())
	}
	if err == nil {
		err = backup.CheckName(c.Name)
	}
	if err != nil {
		return err
	}
	var made backup.Backup
	var shipped backup.Shipped
	if c.Data != "" {
		made, shipped, err = backUpStopped(ctx, c.Data, target, c.Name, c.Reread)
	} else {
		made, shipped, err = backUpRunning(ctx, remoteSnapshots{c.remote}, target, c.Name, c.Reread)
	}
	if err != nil {
		return err
	}
	bar.done()
	if c.JSON {
		return json.NewEncoder(out).Encode(struct {
			backup.Backup
			Shipped backup.Shipped `json:"shipped"`
		}{made, shipped})
	}
	_, err = fmt.Fprintf(out, "backup %s in %s: %d files, %s, of which %s were shipped\n", made.Name, target, made.Files, inBytes(made.Bytes), inBytes(shipped.Bytes))
	return err
}

type backupListCmd struct {
	backupPlace
	JSON bool `name:"json" help:"Print them as JSON."`
}

// Run implements the command.
func (c *backupListCmd) Run(ctx context.Context, out io.Writer) error {
	target, err := c.target(nil)
	if err != nil {
		return err
	}
	all, err := target.List(ctx)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(all)
	}
	w := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(w, "name\tbegun\tcommit\tfiles\tsize\tmade by")
	for _, b := range all {
		if b.Damage != "" {
			fmt.Fprintf(w, "%s\tdamaged: %s\n", b.Name, b.Damage)
			continue
		}
		commit := "–"
		if b.Commit > 0 {
			commit = fmt.Sprint(b.Commit)
		}
		fmt.Fprintf(w, "%s\t%s\t%s\t%d\t%s\t%s\n", b.Name, b.Created, commit, b.Files, inBytes(b.Bytes), b.Program)
	}
	pieces, bytes, err := target.Stored(ctx)
	if err != nil {
		return err
	}
	if err := w.Flush(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d pieces take up %s\n", pieces, inBytes(bytes))
	return err
}

type backupVerifyCmd struct {
	backupPlace
	Name string `arg:"" optional:"" help:"Which one; by default all."`
	Drop bool   `name:"drop-damaged" help:"Delete damaged pieces, so that the next backup ships them anew where the service still has what was in them; that mends the older backups too."`
	JSON bool   `name:"json" help:"Print what was found as JSON."`
}

// Run implements the command; damage is an error, and exit status 1.
func (c *backupVerifyCmd) Run(ctx context.Context, out io.Writer) error {
	bar := &shipping{what: "verify"}
	target, err := c.target(bar.show)
	if err != nil {
		return err
	}
	found, err := target.Verify(ctx, c.Name, c.Drop)
	if err != nil {
		return err
	}
	bar.done()
	if c.JSON {
		if err := json.NewEncoder(out).Encode(found); err != nil {
			return err
		}
		return found.Err()
	}
	for _, d := range found.Damage {
		where := "manifest"
		if d.File != "" {
			where = fmt.Sprintf("%s, piece %d at offset %d", d.File, d.Piece, d.Offset)
		}
		fmt.Fprintf(out, "%s: %s: %s\n", d.Backup, where, d.Problem)
	}
	if found.Dropped > 0 {
		fmt.Fprintf(out, "%d damaged pieces dropped; the next backup ships what the service still has of them\n", found.Dropped)
	}
	if err := found.Err(); err != nil {
		return err
	}
	_, err = fmt.Fprintf(out, "%d backups are whole: %d pieces, %s read\n", found.Backups, found.Pieces, inBytes(found.Bytes))
	return err
}

type backupPruneCmd struct {
	backupPlace
	backupKeep
	Delete []string `placeholder:"NAME" help:"Delete this one whatever else is said."`
	DryRun bool     `help:"Say what would be deleted, and do nothing."`
	JSON   bool     `name:"json" help:"Print it as JSON."`
}

// Run implements the command.
func (c *backupPruneCmd) Run(ctx context.Context, out io.Writer) error {
	target, err := c.target(nil)
	if err != nil {
		return err
	}
	keep := c.keep()
	keep.Delete = c.Delete
	pruned, err := target.Prune(ctx, keep, c.DryRun)
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(out).Encode(pruned)
	}
	verb := "deleted"
	if c.DryRun {
		verb = "would delete"
	}
	_, err = fmt.Fprintf(out, "%s %d backups: %s\n%s %d pieces that nobody needs any more, %s\nkept %d backups: %s\n", verb, len(pruned.Deleted), strings.Join(pruned.Deleted, " "),
		verb, pruned.Pieces, inBytes(pruned.Bytes), len(pruned.Kept), strings.Join(pruned.Kept, " "))
	return err
}
