package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"

	"quantrac"
	"quantrac/internal/projection"
	"quantrac/internal/vfs"
)

// A snapshot is a folder that opens as the data folder would: what every part
// knew, and the journal from there on. Files that never change are linked, so
// that it takes little time and, at first, little space. The journal comes last:
// it holds whatever the parts copied before it had not got to.

const (
	snapshotFolder  = "snapshots"
	snapshotPartial = ".partial"
	snapshotHold    = "snapshot" // keeps the journal for parts already copied
)

// snapshots makes and removes the snapshots of a running service, one at a time.
type snapshots struct {
	mu  sync.Mutex
	sys *system
}

// snapshotInfo describes a snapshot.
type snapshotInfo struct {
	Name   string `json:"name"`
	Path   string `json:"path"`             // on the service's machine
	Commit uint64 `json:"commit,omitempty"` // the last one when it was begun, which it holds
}

var snapshotName = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$`)

// create makes a snapshot; without a name it is called after the time.
func (s *snapshots) create(ctx context.Context, name string) (snapshotInfo, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if name == "" {
		name = s.sys.clock.Now().Time().UTC().Format("20060102T150405.000Z")
	}
	if !snapshotName.MatchString(name) || strings.HasSuffix(name, snapshotPartial) {
		return snapshotInfo{}, quantrac.Errorf(quantrac.Invalid, "snapshot name %q: want letters, digits, dots, dashes and underscores, 100 at most", name)
	}
	fsys, dir := vfs.OS(), s.sys.path(snapshotFolder, name)
	if _, err := fsys.Stat(dir); err == nil {
		return snapshotInfo{}, quantrac.Errorf(quantrac.Conflict, "there is a snapshot %s already", name)
	}
	partial, commit := dir+snapshotPartial, s.sys.journal.Last().Number
	err := vfs.RemoveAll(fsys, partial) // of one that was cut short
	if err == nil {
		err = s.fill(ctx, partial)
	}
	if err == nil {
		err = fsys.Rename(partial, dir)
	}
	if err == nil {
		err = fsys.SyncDir(s.sys.path(snapshotFolder))
	}
	if err != nil {
		return snapshotInfo{}, quantrac.WithKind(quantrac.Unavailable, errors.Join(fmt.Errorf("snapshot %s: %w", name, err), vfs.RemoveAll(fsys, partial)))
	}
	return snapshotInfo{Name: name, Path: dir, Commit: commit}, nil
}

// fill copies every part into a folder, the journal last.
func (s *snapshots) fill(ctx context.Context, dir string) error {
	fsys, j := vfs.OS(), s.sys.journal
	hold := j.Hold(snapshotHold, 0)
	defer hold.Release()
	if err := fsys.MkdirAll(filepath.Join(dir, "alerting"), 0o750); err != nil {
		return err
	}
	for _, pattern := range []string{"*.db", "alerting/*.db"} {
		paths, err := filepath.Glob(s.sys.path(pattern))
		if err != nil {
			return err
		}
		for _, path := range paths {
			rel, err := filepath.Rel(s.sys.c.Data, path)
			if err == nil {
				err = projection.Copy(ctx, path, filepath.Join(dir, rel))
			}
			if err != nil {
				return err
			}
		}
	}
	// Replaced as a whole when it changes.
	rules := filepath.Join("alerting", "rules.snapshot")
	if err := fsys.Link(s.sys.path(rules), filepath.Join(dir, rules)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := s.sys.db.Snapshot(filepath.Join(dir, "tsdb")); err != nil {
		return err
	}
	return j.Snapshot(filepath.Join(dir, "journal"))
}

// list returns the snapshots there are, by name.
func (s *snapshots) list(context.Context) ([]snapshotInfo, error) {
	names, err := vfs.OS().ReadDir(s.sys.path(snapshotFolder))
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return nil, err
	}
	out := []snapshotInfo{}
	for _, n := range names {
		if !strings.HasSuffix(n, snapshotPartial) {
			out = append(out, snapshotInfo{Name: n, Path: s.sys.path(snapshotFolder, n)})
		}
	}
	slices.SortFunc(out, func(a, b snapshotInfo) int { return strings.Compare(a.Name, b.Name) })
	return out, nil
}

// remove removes a snapshot.
func (s *snapshots) remove(_ context.Context, name string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	dir := s.sys.path(snapshotFolder, name)
	if _, err := vfs.OS().Stat(dir); !snapshotName.MatchString(name) || errors.Is(err, fs.ErrNotExist) {
		return quantrac.Errorf(quantrac.NotFound, "there is no snapshot %q", name)
	}
	return vfs.RemoveAll(vfs.OS(), dir)
}

// forgetSnapshot gives up the hold of a snapshot that a crash has cut short: it
// would keep the journal for ever. What there is of it goes too.
func (s *system) forgetSnapshot() error {
	if _, ok := s.journal.Stats().Holds[snapshotHold]; ok {
		s.journal.Hold(snapshotHold, 0).Release()
	}
	names, err := vfs.OS().ReadDir(s.path(snapshotFolder))
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	for _, n := range names {
		if strings.HasSuffix(n, snapshotPartial) {
			err = errors.Join(err, vfs.RemoveAll(vfs.OS(), s.path(snapshotFolder, n)))
		}
	}
	return err
}
