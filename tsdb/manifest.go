package tsdb

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io/fs"
	"slices"
	"strings"

	"quantrac"
	"quantrac/internal/vfs"
	"quantrac/tsdb/internal/block"
	"quantrac/tsdb/internal/commits"
)

// manifest says which files make up the store and which commit they reach. It
// is the one file that is replaced, as a whole; the others are made once.
type manifest struct {
	Version int      `json:"version"`
	Flushed uint64   `json:"flushed"` // last commit in the files
	Next    uint64   `json:"next"`    // number of the next file
	Blocks  []string `json:"blocks"`
	Commits []string `json:"commits"` // oldest first
}

const (
	manifestVersion = 1
	manifestName    = "manifest"
	blockSuffix     = ".block"
	commitsSuffix   = ".commits"
)

// castagnoli is the table of CRC-32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// encode writes the manifest: a line of JSON, and a line with its checksum.
func (m *manifest) encode() ([]byte, error) {
	doc, err := json.Marshal(m)
	if err != nil {
		return nil, err
	}
	return fmt.Appendf(doc, "\ncrc32c %08x\n", crc32.Checksum(doc, castagnoli)), nil
}

func decodeManifest(data []byte) (manifest, error) {
	var m manifest
	doc, rest, _ := bytes.Cut(data, []byte("\n"))
	if want := fmt.Sprintf("crc32c %08x\n", crc32.Checksum(doc, castagnoli)); string(rest) != want {
		return m, fmt.Errorf("checksum line is %.40q, want %q", rest, want)
	}
	if err := json.Unmarshal(doc, &m); err != nil {
		return m, err
	}
	if m.Version != manifestVersion {
		return m, fmt.Errorf("format version %d, this program reads %d", m.Version, manifestVersion)
	}
	return m, nil
}

// openManifest reads the manifest, or writes the first one of a new store.
func (db *DB) openManifest() error {
	path := db.path(manifestName)
	data, err := vfs.ReadFile(db.fs, path)
	if errors.Is(err, fs.ErrNotExist) {
		return db.newManifest()
	}
	if err != nil {
		return quantrac.WithKind(quantrac.Unavailable, err)
	}
	m, err := decodeManifest(data)
	if err != nil {
		return quantrac.Errorf(quantrac.Corrupt, "%s, offset 0: %w", path, err)
	}
	db.files.manifest = m
	return nil
}

func (db *DB) newManifest() error {
	names, err := db.fs.ReadDir(db.dir)
	if err != nil {
		return quantrac.WithKind(quantrac.Unavailable, err)
	}
	for _, n := range names {
		if isStoreFile(n) {
			return quantrac.Errorf(quantrac.Corrupt, "%s is missing, but %s is there: put the manifest back from a backup, or empty the folder to build the store again from the journal", db.path(manifestName), n)
		}
	}
	return db.writeManifest(manifest{Version: manifestVersion, Next: 1})
}

// writeManifest makes m durable and current. After an error the disk may hold
// either the old or the new one, so the files of both must stay.
func (db *DB) writeManifest(m manifest) error {
	data, err := m.encode()
	if err != nil {
		return err
	}
	if err := vfs.WriteFile(db.fs, db.path(manifestName), data, 0o640); err != nil {
		return fmt.Errorf("tsdb: writing %s: %w", db.path(manifestName), err)
	}
	db.files.manifest = m
	return nil
}

func isStoreFile(name string) bool {
	return strings.HasSuffix(name, blockSuffix) || strings.HasSuffix(name, commitsSuffix)
}

// openFiles opens what the manifest names and makes the index of it.
func (db *DB) openFiles() error {
	s := &state{heads: []*head{db.newHead()}}
	s.refs.Store(1)
	s.heads[0].states.Store(1)
	db.apply.state = s
	var files []*commits.File
	db.log = commits.NewLog(nil) // of nothing, should the files not open
	for _, name := range db.files.manifest.Commits {
		f, err := commits.Open(db.handles, db.path(name), db.j.Correct)
		if err != nil {
			for _, f := range files {
				_ = f.Close() // the first error is the one to tell
			}
			return err
		}
		files = append(files, f)
	}
	db.log = commits.NewLog(files)
	for _, name := range db.files.manifest.Blocks {
		b, err := db.openBlock(name)
		if err != nil {
			return err
		}
		b.share(s.blocks)
		s.blocks = append(s.blocks, b)
	}
	sortBlocks(s.blocks)
	for _, b := range s.blocks {
		b.refs.Store(1)
	}
	return nil
}

// removeOrphans removes files that a crash has left and the manifest does not
// name.
func (db *DB) removeOrphans() {
	names, err := db.fs.ReadDir(db.dir)
	if err != nil {
		db.o.Logger.Warn("tsdb: looking for leftovers", "dir", db.dir, "error", err)
		return
	}
	named := map[string]bool{}
	for _, n := range append(append([]string(nil), db.files.manifest.Blocks...), db.files.manifest.Commits...) {
		named[n] = true
	}
	names = slices.DeleteFunc(names, func(n string) bool { return !isStoreFile(n) || named[n] })
	if len(names) == 0 {
		return
	}
	// The process before may have ended between replacing the manifest and
	// making that durable: until it is, the one before it may come back, and
	// wants its files.
	if err := db.fs.SyncDir(db.dir); err != nil {
		db.o.Logger.Warn("tsdb: leftovers stay until the next start", "dir", db.dir, "error", err)
		return
	}
	for _, n := range names {
		db.removeFile(n)
	}
}

// newFile returns the name of the next file. Names are never used twice: the
// manifest that names this file also counts beyond it, and what a crash left
// under the name before that is overwritten.
func (db *DB) newFile(suffix string) string {
	db.files.Lock()
	defer db.files.Unlock()
	n := db.files.manifest.Next
	db.files.manifest.Next++
	return fmt.Sprintf("%08d%s", n, suffix)
}

// create writes a file and makes its bytes durable; its name is not yet.
func (db *DB) create(name string, write func(f vfs.File) error) error {
	f, err := db.fs.Create(db.path(name))
	if err != nil {
		return err
	}
	err = write(f)
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// openBlock opens a block file and finds its groups in the index, which learns
// new ones.
func (db *DB) openBlock(name string) (*blockFile, error) {
	b := &blockFile{name: name, since: db.o.Clock.Now()}
	var err error
	b.r, err = block.Open(db.handles, db.path(name), func(_ int, labels quantrac.Labels, g *block.Group) error {
		b.ids = append(b.ids, db.learn(labels, g))
		return nil
	})
	if err != nil {
		return nil, err
	}
	b.info = b.r.Info()
	b.sort()
	return b, nil
}
