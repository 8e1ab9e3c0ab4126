package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"sync"
	"time"

	"quantrac"
	"quantrac/internal/audit"
	"quantrac/internal/backup"
	"quantrac/internal/vfs"
)

// backupSchedule says which backups the service makes by itself.
type backupSchedule struct {
	backupPlace
	backupKeep
	Every time.Duration `name:"every" default:"24h" env:"QUANTRAC_BACKUP_EVERY" help:"How often the service makes a backup, where there is a place for them. Without another word it then keeps those of 14 days, 8 weeks and 24 months."`
}

// leastBackupEvery keeps backups from following each other without a pause.
const leastBackupEvery = time.Minute

// check says what is wrong with the settings.
func (b *backupSchedule) check(data string) error {
	if b.To == "" {
		return nil
	}
	_, err := b.store()
	errs := []error{named("backup-to", err), named("backup-to", b.outside(data))}
	if b.Every < leastBackupEvery {
		errs = append(errs, fmt.Errorf("backup-every: want %s or more", leastBackupEvery))
	}
	if min(b.Last, b.Daily, b.Weekly, b.Monthly) < 0 {
		errs = append(errs, errors.New("backup-keep-last, -daily, -weekly and -monthly: want 0 or more"))
	}
	return errors.Join(errs...)
}

// settings adds what config print shows.
func (b *backupSchedule) settings(m map[string]any) {
	m["backup-to"], m["backup-every"] = b.To, b.Every.String()
	m["backup-keep-last"], m["backup-keep-daily"], m["backup-keep-weekly"], m["backup-keep-monthly"] = b.Last, b.Daily, b.Weekly, b.Monthly
	m["backup-s3-endpoint"], m["backup-s3-region"], m["backup-s3-http"] = b.Endpoint, b.Region, b.AllowHTTP
}

// keeping is what is kept, where nobody has said it too.
func (b *backupSchedule) keeping() backup.Keep {
	if k := b.keep(); k.Last+k.Daily+k.Weekly+k.Monthly > 0 {
		return k
	}
	return backup.Keep{Daily: 14, Weekly: 8, Monthly: 24}
}

// backups makes the service's backups.
type backups struct {
	s      *system
	target *backup.Target

	mu       sync.Mutex
	success  quantrac.Millis // when the newest backup was begun, 0 unknown
	took     time.Duration
	shipped  int64
	made     uint64
	failures uint64
}

func (s *system) openBackups(context.Context) error {
	// Whoever else makes a backup locks it too, and it must stay ours to lock.
	f, err := vfs.OS().OpenFile(s.path(backupLock), os.O_RDWR|os.O_CREATE, 0o640)
	if err == nil {
		err = f.Close()
	}
	if err != nil {
		return err
	}
	if s.c.Backup.To == "" {
		return nil
	}
	store, err := s.c.Backup.store()
	if err != nil {
		return err
	}
	s.backups = &backups{s: s, target: backup.New(store, backup.Options{Clock: s.realClock()})}
	s.own("backup", s.backups.run, nil)
	return nil
}

// run makes a backup each time that the newest one, of an earlier run too, is
// old enough. A failure is told and tried again; the rest of the service does
// not depend on it.
func (b *backups) run(ctx context.Context) error {
	clock := b.s.realClock()
	for due := b.first(ctx); ; {
		reached, cancel := clock.At(due)
		select {
		case <-ctx.Done():
			cancel()
			return ctx.Err()
		case <-reached:
		}
		made, err := b.make(ctx)
		switch {
		case ctx.Err() != nil:
		case err != nil:
			due = clock.Now().Add(min(b.s.c.Backup.Every, 30*time.Minute))
			b.s.log.Error("backup failed; what was shipped so far need not be again", "to", b.target, "next_try", due, "error", err)
		default:
			due = made.Add(b.s.c.Backup.Every)
		}
	}
}

// first is when the first backup is due.
func (b *backups) first(ctx context.Context) quantrac.Millis {
	all, err := b.target.List(ctx)
	if err != nil || len(all) == 0 {
		return b.s.realClock().Now() // the backup itself tells what is wrong
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.success = all[len(all)-1].Created
	return b.success.Add(b.s.c.Backup.Every)
}

// make makes a backup, writes it down in the audit log, and prunes. It returns
// when the backup was begun.
func (b *backups) make(ctx context.Context) (quantrac.Millis, error) {
	began := time.Now()
	made, shipped, err := backUpRunning(ctx, &b.s.snapshots, b.target, backupName(b.s.realClock().Now()), false)
	b.count(made.Created, time.Since(began), shipped, err)
	if err != nil {
		return 0, err
	}
	b.s.log.Info("backup made", "to", b.target, "name", made.Name, "commit", made.Commit, "files", made.Files, "bytes", made.Bytes, "shipped", shipped.Bytes, "took", time.Since(began).Round(time.Millisecond))
	who := quantrac.WithPrincipal(ctx, quantrac.Principal{Name: "serve --backup-to", Role: quantrac.RoleAdmin})
	_, err = b.s.audit.Append(who, audit.Event{Action: "backup.create", Object: made.Name, Detail: map[string]string{"to": b.target.String(), "commit": fmt.Sprint(made.Commit)}})
	if err != nil {
		b.s.log.Error("the backup could not be written down in the audit log", "name", made.Name, "error", err)
	}
	pruned, err := b.target.Prune(ctx, b.s.c.Backup.keeping(), false)
	if err != nil && ctx.Err() == nil {
		b.s.log.Warn("old backups could not be pruned; the next backup brings another try", "to", b.target, "error", err)
	}
	if len(pruned.Deleted) > 0 {
		b.s.log.Info("old backups pruned", "to", b.target, "backups", pruned.Deleted, "pieces", pruned.Pieces, "bytes", pruned.Bytes)
	}
	return made.Created, nil
}

func (b *backups) count(at quantrac.Millis, took time.Duration, shipped backup.Shipped, err error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.shipped += shipped.Bytes
	if err != nil {
		b.failures++
		return
	}
	b.success, b.took = at, took
	b.made++
}

func (r roomStats) backup(gauge gaugeFunc, counter counterFunc) {
	b := r.s.backups
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	gauge("backup_last_success_timestamp_seconds", "When the newest backup was begun, 0 if none is known.", float64(b.success)/1000)
	gauge("backup_last_duration_seconds", "How long the newest backup that this run of the service has made took.", b.took.Seconds())
	counter("backup_bytes_total", "Bytes shipped for backups, as stored.", uint64(b.shipped))
	counter("backup_backups_total", "Backups made on schedule.", b.made)
	counter("backup_failures_total", "Backups on schedule that failed; each is tried again.", b.failures)
}
