package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"strings"
	"time"

	"quantrac"
	"quantrac/internal/backup"
	"quantrac/internal/vfs"
)

const (
	// backupSnapshot is how the snapshots that backups are made of are called,
	// before their time.
	backupSnapshot = "backup-"
	// backupLock, in the data folder, is held while a snapshot is shipped. So
	// there is one at a time, and one that nobody holds is what a backup that
	// was killed has left.
	backupLock = "backup.lock"
)

// snapshotter makes and removes snapshots of a running service, from inside or
// by its API.
type snapshotter interface {
	create(ctx context.Context, name string) (snapshotInfo, error)
	list(ctx context.Context) ([]snapshotInfo, error)
	remove(ctx context.Context, name string) error
}

// backupName names a backup after the time.
func backupName(now quantrac.Millis) string { return now.Time().UTC().Format("20060102T150405.000Z") }

// backUpRunning ships a snapshot of a running service, which is removed then.
func backUpRunning(ctx context.Context, snaps snapshotter, target *backup.Target, name string, reread bool) (b backup.Backup, shipped backup.Shipped, err error) {
	stamp := time.Now().UTC().Format("20060102T150405.000Z")
	made, err := snaps.create(ctx, backupSnapshot+stamp)
	if err != nil {
		return b, shipped, err
	}
	defer func() {
		end, cancel := context.WithTimeout(context.WithoutCancel(ctx), 30*time.Second)
		defer cancel()
		if rerr := snaps.remove(end, made.Name); rerr != nil {
			err = errors.Join(err, fmt.Errorf("the snapshot that was backed up takes up space until it is removed: %w", rerr))
		}
	}()
	fsys := vfs.OS()
	if _, err := fsys.Stat(made.Path); err != nil {
		return b, shipped, quantrac.Errorf(quantrac.Invalid, "the service has made the snapshot %s, which is not to be seen here: run this on the service's machine, as the service's user: %w", made.Path, err)
	}
	lock, err := fsys.Lock(filepath.Join(filepath.Dir(filepath.Dir(made.Path)), backupLock))
	if errors.Is(err, vfs.ErrLocked) {
		return b, shipped, quantrac.Errorf(quantrac.Busy, "another backup of this service is being made: %w", err)
	}
	if err != nil {
		return b, shipped, fmt.Errorf("run this as the service's user: %w", err)
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	if err := clearSnapshots(ctx, snaps, made.Name); err != nil {
		return b, shipped, err
	}
	return target.Create(ctx, backup.Source{FS: fsys, Dir: made.Path, Skip: skipped, Fine: growing, Reread: reread}, backup.Info{Name: name, Commit: made.Commit, Program: "quantrac " + version})
}

// clearSnapshots removes what backups that were killed have left. The lock is
// held; who has a snapshot and waits for the lock gives up when it does not get it.
func clearSnapshots(ctx context.Context, snaps snapshotter, but string) error {
	all, err := snaps.list(ctx)
	if err != nil {
		return err
	}
	for _, s := range all {
		if strings.HasPrefix(s.Name, backupSnapshot) && s.Name != but {
			if err := snaps.remove(ctx, s.Name); err != nil && quantrac.KindOf(err) != quantrac.NotFound {
				return err
			}
		}
	}
	return nil
}

// backUpStopped ships the data folder of a service that does not run, and keeps
// it from being started meanwhile.
func backUpStopped(ctx context.Context, data string, target *backup.Target, name string, reread bool) (b backup.Backup, shipped backup.Shipped, err error) {
	fsys := vfs.OS()
	if _, err := fsys.Stat(filepath.Join(data, "tsdb", "manifest")); errors.Is(err, fs.ErrNotExist) {
		return b, shipped, quantrac.Errorf(quantrac.NotFound, "%s is no data folder of the service: it has no tsdb/manifest", data)
	}
	lock, err := fsys.Lock(filepath.Join(data, "journal", "lock"))
	if errors.Is(err, vfs.ErrLocked) {
		return b, shipped, quantrac.Errorf(quantrac.Unavailable, "a service runs on %s: leave --data out, and name the service by --http: %w", data, err)
	}
	if err != nil {
		return b, shipped, err
	}
	defer func() { err = errors.Join(err, lock.Close()) }()
	return target.Create(ctx, backup.Source{FS: fsys, Dir: data, Skip: skipped, Fine: growing, Reread: reread}, backup.Info{Name: name, Program: "quantrac " + version})
}

// skipped says what of a data folder need not be kept: what is made anew at the
// start, and copies.
func skipped(path string) bool {
	switch path {
	case snapshotFolder, backupLock, "journal/lock", "journal/reserve", "lost+found":
		return true
	}
	return strings.HasSuffix(path, "-shm") || strings.HasSuffix(path, ".tmp")
}

// growing says which files of a data folder grow or change in places: all but
// the store's, which never change.
func growing(path string) bool { return !strings.HasPrefix(path, "tsdb/") }
