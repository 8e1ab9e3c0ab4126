package backup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"quantrac"
	"quantrac/internal/vfs"
)

// Source is the folder to back up. Nothing in it may change meanwhile.
type Source struct {
	FS  vfs.FS
	Dir string
	// Skip says which files and folders to leave out, by their slash-separated
	// path below Dir; nil leaves out none.
	Skip func(path string) bool
	// Fine says which files change in places or grow, and are cut into smaller
	// pieces; nil none.
	Fine func(path string) bool
	// Reread has every file read, also where name, size and time of change say
	// that it is the one of the backup before.
	Reread bool
}

// Shipped says what a backup took to make.
type Shipped struct {
	Pieces int   `json:"pieces"` // that were not there yet
	Bytes  int64 `json:"bytes"`  // of them, as stored, and of the manifest
}

// Create makes a backup of a folder: it ships what the store does not have yet,
// and then the manifest. Errors: Invalid for a name or place that will not do,
// Conflict where there is a backup of that name, Busy while Prune works,
// Unavailable where the store or the folder fails. What was shipped by then
// stays, and need not be shipped again.
func (t *Target) Create(ctx context.Context, src Source, info Info) (Backup, Shipped, error) {
	m := &manifest{Format: manifestFormat, Name: info.Name, Commit: info.Commit, Program: info.Program, Created: t.o.Clock.Now()}
	err := CheckName(info.Name)
	if err == nil {
		err = t.check(ctx, true)
	}
	if err != nil {
		return Backup{}, Shipped{}, err
	}
	if _, err := t.store.Get(ctx, manifestFolder+info.Name); err == nil {
		return Backup{}, Shipped{}, quantrac.Errorf(quantrac.Conflict, "%s: there is a backup %s already", t.store, info.Name)
	} else if quantrac.KindOf(err) != quantrac.NotFound {
		return Backup{}, Shipped{}, fmt.Errorf("%s: %w", t.store, err)
	}
	work, claim, err := t.claim(ctx, shipping)
	if err != nil {
		return Backup{}, Shipped{}, err
	}
	defer claim.release(ctx)
	s := &shipment{t: t, src: src, m: m}
	err = s.ship(work)
	if err == nil {
		err = claim.fresh()
	}
	if err == nil {
		err = s.seal(work)
	}
	if cause := context.Cause(work); err != nil && cause != nil {
		err = cause
	}
	if err != nil {
		return Backup{}, s.shipped, fmt.Errorf("backup %s: %w", info.Name, err)
	}
	return m.describe(), s.shipped, nil
}

// shipment is a backup being made.
type shipment struct {
	t       *Target
	src     Source
	m       *manifest
	pack    *packer
	before  map[string]file // files of the newest backup
	since   time.Time       // when that was begun
	have    map[string]bool // objects of pieces that are there or on their way
	track   *tracker
	workers *errgroup.Group
	shipped Shipped
}

// ship ships the pieces of all files.
func (s *shipment) ship(ctx context.Context) (err error) {
	if s.pack, err = newPacker(); err != nil {
		return err
	}
	if err := s.look(ctx); err != nil {
		return err
	}
	if err := s.walk(""); err != nil {
		return fmt.Errorf("%s: %w", s.src.Dir, quantrac.WithKind(quantrac.Unavailable, err))
	}
	slices.SortFunc(s.m.Files, func(a, b file) int { return strings.Compare(a.Path, b.Path) })
	all := int64(0)
	for _, f := range s.m.Files {
		all += f.Bytes
	}
	s.track = s.t.track(len(s.m.Files), all)
	s.workers, ctx = errgroup.WithContext(ctx)
	s.workers.SetLimit(s.t.o.Workers)
	for i := range s.m.Files {
		if err = s.file(ctx, &s.m.Files[i]); err != nil {
			break
		}
	}
	if werr := s.workers.Wait(); werr != nil {
		err = werr // the other one says only that it was called off
	}
	s.shipped.Bytes = s.track.moved()
	return err
}

// look finds out what is in the store.
func (s *shipment) look(ctx context.Context) error {
	s.have = map[string]bool{}
	err := s.t.store.List(ctx, pieceFolder, func(o Object) error {
		if o.Bytes > int64(len(pieceMagic)) { // a shorter one is what some crash has left
			s.have[o.Name] = true
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("%s: list pieces: %w", s.t.store, err)
	}
	s.before = map[string]file{}
	if s.src.Reread {
		return nil
	}
	last, err := s.t.find(ctx, "")
	switch quantrac.KindOf(err) {
	case quantrac.NotFound, quantrac.Corrupt: // then every file is read
		return nil
	}
	if err != nil {
		return err
	}
	s.since = last.Created.Time()
	for _, f := range last.Files {
		s.before[f.Path] = f
	}
	return nil
}

// walk notes the files below a folder.
func (s *shipment) walk(dir string) error {
	names, err := s.src.FS.ReadDir(filepath.Join(s.src.Dir, filepath.FromSlash(dir)))
	if err != nil {
		return err
	}
	for _, n := range names {
		p := path.Join(dir, n)
		if s.src.Skip != nil && s.src.Skip(p) {
			continue
		}
		info, err := s.src.FS.Stat(filepath.Join(s.src.Dir, filepath.FromSlash(p)))
		switch {
		case err != nil:
			return err
		case info.IsDir():
			if err := s.walk(p); err != nil {
				return err
			}
		case !info.Mode().IsRegular():
			return fmt.Errorf("%s is neither a file nor a folder", p)
		default:
			f := file{Path: p, Mode: info.Mode().Perm(), Bytes: info.Size()}
			if at := info.ModTime(); !at.IsZero() {
				f.Modified = at.UnixNano()
			}
			s.m.Files = append(s.m.Files, f)
		}
	}
	return nil
}

// known says whether a file is the one of the backup before, whose pieces are
// all there. A change in the moments around that backup might not show.
func (s *shipment) known(f *file) bool {
	b, ok := s.before[f.Path]
	if !ok || f.Modified == 0 || f.Modified != b.Modified || f.Bytes != b.Bytes || time.Unix(0, f.Modified).After(s.since.Add(-2*time.Second)) {
		return false
	}
	for _, p := range b.Pieces {
		if !s.have[p.object()] {
			return false
		}
	}
	f.Pieces = b.Pieces
	return true
}

// file ships what is missing of a file.
func (s *shipment) file(ctx context.Context, f *file) error {
	if s.known(f) {
		s.track.add(1, f.Bytes, 0)
		return nil
	}
	name := filepath.Join(s.src.Dir, filepath.FromSlash(f.Path))
	r, err := s.src.FS.Open(name)
	if err != nil {
		return quantrac.WithKind(quantrac.Unavailable, err)
	}
	defer r.Close()
	size := int64(0)
	for cut := newCutter(r, s.src.grain(f.Path)); ; {
		data, err := cut.next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return quantrac.Errorf(quantrac.Unavailable, "%s, offset %d: %w", name, size, err)
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		p := nameOf(data)
		f.Pieces = append(f.Pieces, p)
		size += p.Bytes
		if !s.have[p.object()] {
			s.have[p.object()] = true // nothing is said to be there unless all goes well
			s.shipped.Pieces++
			s.workers.Go(func() error { return s.put(ctx, p, data) })
		}
		s.track.add(0, p.Bytes, 0)
	}
	if size != f.Bytes {
		return quantrac.Errorf(quantrac.Conflict, "%s had %d bytes and has %d now: it changes while it is read", name, f.Bytes, size)
	}
	s.track.add(1, 0, 0)
	return nil
}

func (s *shipment) put(ctx context.Context, p piece, data []byte) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	object := s.pack.pack(data)
	if err := s.t.store.Put(ctx, p.object(), object); err != nil {
		return fmt.Errorf("%s: %w", s.t.store, err)
	}
	s.track.add(0, 0, int64(len(object)))
	return nil
}

// seal writes the manifest: the backup is there.
func (s *shipment) seal(ctx context.Context) error {
	if err := s.m.check(); err != nil { // what Restore would refuse
		return quantrac.WithKind(quantrac.Invalid, err)
	}
	data, err := s.m.encode()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(ctx, s.t.life/2) // for so long the claim stands
	defer cancel()
	if err := s.t.store.Put(ctx, manifestFolder+s.m.Name, data); err != nil {
		return fmt.Errorf("%s: %w", s.t.store, err)
	}
	s.shipped.Bytes += int64(len(data))
	return nil
}

// perm is what a file may be opened with: what it had, with no more for others
// than for its group.
func perm(m fs.FileMode) fs.FileMode { return m&0o770 | 0o600 }
