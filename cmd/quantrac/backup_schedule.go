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

	VerifyEvery time.Duration `name:"verify-every" default:"720h" env:"QUANTRAC_BACKUP_VERIFY_EVERY" help:"How often the service reads all its backups whole, after it has made one; 0 is never. Damaged pieces are shipped anew with the next backup where that is possible."`
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
	if b.VerifyEvery < 0 {
		errs = append(errs, errors.New("backup-verify-every: want 0 or more"))
	}
	if min(b.Last, b.Daily, b.Weekly, b.Monthly) < 0 {
		errs = append(errs, errors.New("backup-keep-last, -daily, -weekly and -monthly: want 0 or more"))
	}
	return errors.Join(errs...)
}

// settings adds what config print shows.
func (b *backupSchedule) settings(m map[string]any) {
	m["backup-to"], m["backup-every"], m["backup-verify-every"] = b.To, b.Every.String(), b.VerifyEvery.String()
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
	verified quantrac.Millis // when all backups were read last, 0 unknown
	damage   int             // places found then
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
			b.prune(ctx)
			b.verify(ctx)
		}
	}
}

// first is when the first backup is due.
func (b *backups) first(ctx context.Context) quantrac.Millis {
	all, err := b.target.List(ctx)
	if err != nil || len(all) == 0 {
		return b.s.realClock().Now() // the backup itself tells what is wrong
	}
	at, damage, err := b.target.Verified(ctx)
	if err != nil {
		at, damage = 0, 0 // it is asked for again after the backup
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.verified, b.damage = at, damage
	b.success = all[len(all)-1].Created
	return b.success.Add(b.s.c.Backup.Every)
}

// make makes a backup and writes it down in the audit log. It returns when the
// backup was begun.
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
	return made.Created, nil
}

// prune deletes old backups.
func (b *backups) prune(ctx context.Context) {
	pruned, err := b.target.Prune(ctx, b.s.c.Backup.keeping(), false)
	if err != nil && ctx.Err() == nil {
		b.s.log.Warn("old backups could not be pruned; the next backup brings another try", "to", b.target, "error", err)
	}
	if len(pruned.Deleted) > 0 {
		b.s.log.Info("old backups pruned", "to", b.target, "backups", pruned.Deleted, "pieces", pruned.Pieces, "bytes", pruned.Bytes)
	}
}

// verify reads all backups, if the last time is long ago. Disks forget, and a
// backup is missed when it is too late.
func (b *backups) verify(ctx context.Context) {
	every, now := b.s.c.Backup.VerifyEvery, b.s.realClock().Now()
	at, damage, err := b.target.Verified(ctx)
	if err == nil && every > 0 && now >= at.Add(every) {
		var found backup.Checked
		if found, err = b.target.Verify(ctx, "", true); err == nil {
			at, damage = now, len(found.Damage)
			b.s.log.Info("backups verified", "to", b.target, "backups", found.Backups, "bytes", found.Bytes, "took", b.s.realClock().Now().Sub(now))
		}
		if err := found.Err(); err != nil {
			b.s.log.Error("backups are damaged; see them by quantrac backup verify", "to", b.target, "places", damage, "dropped", found.Dropped, "error", err)
		}
	}
	if err != nil && ctx.Err() == nil {
		b.s.log.Warn("backups could not be verified; the next backup brings another try", "to", b.target, "error", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.verified, b.damage = at, damage
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
	gauge("backup_last_verify_timestamp_seconds", "When all backups were read whole last, 0 if that is not known.", float64(b.verified)/1000)
	gauge("backup_damage", "Places in backups that were found damaged then.", float64(b.damage))
	counter("backup_failures_total", "Backups on schedule that failed; each is tried again.", b.failures)
}
