package backup_test

import (
	"bytes"
	"errors"
	"io"
	"log"
	"math/rand/v2"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"

	"quantrac"
	"quantrac/internal/backup"
	"quantrac/internal/backup/s3"
	"quantrac/internal/vfs"
)

// stores are the ones that every test of behaviour runs on.
func stores(t *testing.T, each func(t *testing.T, s backup.Store)) {
	t.Run("folder", func(t *testing.T) { each(t, backup.Folder(vfs.OS(), t.TempDir())) })
	t.Run("memory", func(t *testing.T) { each(t, backup.Folder(vfs.NewMem(), "/")) })
	t.Run("s3", func(t *testing.T) { each(t, s3Store(t, "some/where")) })
}

// s3Store is a store at an S3-like service in this process.
func s3Store(t *testing.T, prefix string) backup.Store {
	t.Helper()
	kept := s3mem.New()
	if err := kept.CreateBucket("bucket"); err != nil {
		t.Fatal(err)
	}
	srv := httptest.NewUnstartedServer(gofakes3.New(kept, gofakes3.WithLogger(gofakes3.DiscardLog())).Server())
	srv.Config.ErrorLog = log.New(io.Discard, "", 0) // it writes some headers twice
	srv.Start()
	t.Cleanup(srv.Close)
	s, err := s3.New(s3.Options{Endpoint: srv.URL, Bucket: "bucket", Prefix: prefix, AccessKey: "key", SecretKey: "secret"})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// noise is bytes that do not compress, the same for the same seed.
func noise(seed uint64, n int) []byte {
	r := rand.New(rand.NewPCG(seed, 1))
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(r.Uint32())
	}
	return b
}

// folderOf makes a folder in memory.
func folderOf(t testing.TB, files map[string][]byte) backup.Source {
	t.Helper()
	m := vfs.NewMem()
	for name, data := range files {
		if err := m.MkdirAll(filepath.Dir("/d/"+name), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := vfs.WriteFile(m, "/d/"+name, data, 0o640); err != nil {
			t.Fatal(err)
		}
	}
	return backup.Source{FS: m, Dir: "/d"}
}

// same compares a restored folder with what it should hold.
func same(t testing.TB, fsys vfs.FS, dir string, files map[string][]byte) {
	t.Helper()
	n := 0
	var walk func(string)
	walk = func(d string) {
		names, err := fsys.ReadDir(filepath.Join(dir, d))
		if err != nil {
			t.Fatal(err)
		}
		for _, name := range names {
			p := filepath.Join(d, name)
			info, err := fsys.Stat(filepath.Join(dir, p))
			if err != nil {
				t.Fatal(err)
			}
			if info.IsDir() {
				walk(p)
				continue
			}
			n++
			have, err := vfs.ReadFile(fsys, filepath.Join(dir, p))
			if want, ok := files[p]; err != nil || !ok || !bytes.Equal(have, want) {
				t.Errorf("%s: %d bytes, want %d: %v", p, len(have), len(want), err)
			}
		}
	}
	walk("")
	if n != len(files) {
		t.Errorf("%d files, want %d", n, len(files))
	}
}

// sample is a folder like a data folder: empty and small files, large ones that
// compress and that do not.
func sample() map[string][]byte {
	return map[string][]byte{
		"journal/0000000001.journal": bytes.Repeat([]byte("một hai ba "), 60_000),
		"journal/lock":               {},
		"tsdb/manifest":              []byte("{}\n"),
		"tsdb/00000001.block":        noise(1, 3<<20),
		"tsdb/00000002.block":        noise(2, 100_000),
		"registry.db":                noise(3, 8192),
	}
}

func must[T any](t testing.TB) func(T, error) T {
	return func(v T, err error) T {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return v
	}
}

func create(t testing.TB, target *backup.Target, src backup.Source, name string) backup.Shipped {
	t.Helper()
	_, shipped, err := target.Create(t.Context(), src, backup.Info{Name: name, Commit: 7, Program: "test"})
	if err != nil {
		t.Fatal(err)
	}
	return shipped
}

// What was backed up comes back; a second backup ships what is new and no more.
func TestBackup(t *testing.T) {
	stores(t, func(t *testing.T, s backup.Store) {
		var last backup.Progress
		target := backup.New(s, backup.Options{Progress: func(p backup.Progress) { last = p }})
		if _, err := target.List(t.Context()); quantrac.KindOf(err) != quantrac.NotFound {
			t.Errorf("list before the first: %v", err)
		}
		files := sample()
		src := folderOf(t, files)
		src.Skip = func(p string) bool { return p == "snapshots" }
		if err := src.FS.MkdirAll("/d/snapshots/old", 0o750); err != nil {
			t.Fatal(err)
		}
		first := create(t, target, src, "first")
		if at, _, err := target.Verified(t.Context()); err != nil || at != 0 {
			t.Errorf("verified before it was: %v, %v", at, err)
		}
		if first.Pieces < 6 || first.Bytes < 3<<20 || first.Bytes > 3<<20+300_000 {
			t.Errorf("first: %+v", first)
		}
		if last.Files != 6 || last.AllFiles != 6 || last.Bytes != last.AllBytes || last.Moved == 0 {
			t.Errorf("progress at the end: %+v", last)
		}
		again := create(t, target, src, "second")
		if again.Pieces != 0 || again.Bytes > 3000 {
			t.Errorf("nothing is new, and shipped were %+v", again)
		}
		_, _, err := target.Create(t.Context(), src, backup.Info{Name: "second"})
		if quantrac.KindOf(err) != quantrac.Conflict {
			t.Errorf("the same name again: %v", err)
		}
		_, _, err = target.Create(t.Context(), src, backup.Info{Name: "../x"})
		if quantrac.KindOf(err) != quantrac.Invalid {
			t.Errorf("a name that is a path: %v", err)
		}
		files["tsdb/00000003.block"] = noise(9, 5000)
		if more := create(t, target, folderOf(t, files), "third"); more.Pieces != 1 || more.Bytes > 10_000 {
			t.Errorf("one small file is new, and shipped were %+v", more)
		}
		all := must[[]backup.Backup](t)(target.List(t.Context()))
		if len(all) != 3 || all[0].Name != "first" || all[2].Files != 7 || all[2].Commit != 7 || all[2].Bytes != all[0].Bytes+5000 {
			t.Errorf("list: %+v", all)
		}
		if pieces, bytes, err := target.Stored(t.Context()); err != nil || pieces != first.Pieces+1 || bytes < 3<<20 || bytes > first.Bytes+10_000 {
			t.Errorf("stored: %d pieces, %d bytes, %v", pieces, bytes, err)
		}
		ok := must[backup.Checked](t)(target.Verify(t.Context(), "", false))
		if at, damage, err := target.Verified(t.Context()); err != nil || at == 0 || damage != 0 {
			t.Errorf("verified: %v, %d, %v", at, damage, err)
		}
		if ok.Backups != 3 || ok.Pieces != first.Pieces+1 || ok.Err() != nil {
			t.Errorf("verify: %+v", ok)
		}
		restored(t, target, files)
	})
}

// restored wants the newest backup of three to come back.
func restored(t *testing.T, target *backup.Target, files map[string][]byte) {
	t.Helper()
	out := vfs.NewMem()
	seen := ""
	got, err := target.Restore(t.Context(), out, "", "/new/data", func(b backup.Backup, dir string) error { seen = b.Name + " in " + dir; return nil })
	if err != nil || got.Name != "third" || seen != "third in /new/data.restoring" {
		t.Errorf("restore: %+v, %v, finished in %q", got, err, seen)
	}
	same(t, out, "/new/data", files)
	if _, err := target.Restore(t.Context(), out, "first", "/new/data", nil); quantrac.KindOf(err) != quantrac.Conflict {
		t.Errorf("restore over a folder: %v", err)
	}
	if _, err := target.Restore(t.Context(), out, "fourth", "/d4", nil); quantrac.KindOf(err) != quantrac.NotFound {
		t.Errorf("restore of none: %v", err)
	}
}

// Where the manifest of what may be the newest backup is damaged, nobody gets an
// older one unasked; by its name it comes, and the next backup is the newest again.
func TestNewestDamaged(t *testing.T) {
	mem := vfs.NewMem()
	target := backup.New(backup.Folder(mem, "/b"), backup.Options{})
	if err := mem.MkdirAll("/b", 0o700); err != nil {
		t.Fatal(err)
	}
	src := folderOf(t, sample())
	create(t, target, src, "1")
	create(t, target, src, "2")
	text, err := vfs.ReadFile(mem, "/b/backups/2")
	if err != nil {
		t.Fatal(err)
	}
	text[len(text)/2] ^= 1
	if err := vfs.WriteFile(mem, "/b/backups/2", text, 0o600); err != nil {
		t.Fatal(err)
	}
	_, err = target.Restore(t.Context(), vfs.NewMem(), "", "/d", nil)
	if quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), "backup 2 may be the newest") {
		t.Errorf("restore of the newest: %v", err)
	}
	if got, err := target.Restore(t.Context(), vfs.NewMem(), "1", "/d", nil); err != nil || got.Name != "1" {
		t.Errorf("restore by name: %+v, %v", got, err)
	}
	create(t, target, src, "3")
	if got, err := target.Restore(t.Context(), vfs.NewMem(), "", "/d", nil); err != nil || got.Name != "3" {
		t.Errorf("restore after another backup: %+v, %v", got, err)
	}
}

// A place that holds something else is left alone, one that is not there is not
// made, and one of a later program is not touched.
func TestPlace(t *testing.T) {
	src := folderOf(t, sample())
	for what, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"other things": {map[string]string{"holiday/beach.jpg": "x"}, "holds no backups but other things, such as holiday/beach.jpg"},
		"a later one":  {map[string]string{"format": "quantrac backup 2\n"}, "this program knows"},
		"not there":    {nil, "make it, or mount the disk"},
	} {
		dir := filepath.Join(t.TempDir(), "place")
		for name, text := range c.files {
			if err := errors.Join(os.MkdirAll(filepath.Dir(filepath.Join(dir, name)), 0o700), os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600)); err != nil {
				t.Fatal(err)
			}
		}
		_, _, err := backup.New(backup.Folder(vfs.OS(), dir), backup.Options{}).Create(t.Context(), src, backup.Info{Name: "a"})
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v", what, err)
		}
		if len(c.files) == 0 {
			if _, err := os.Stat(dir); !os.IsNotExist(err) {
				t.Errorf("%s: the folder was made: %v", what, err)
			}
		}
	}
}

// What is made is for the owner alone, and a restored file has the mode it had,
// less what others could do.
func TestModes(t *testing.T) {
	dir := t.TempDir()
	in, place := filepath.Join(dir, "in"), filepath.Join(dir, "place")
	if err := errors.Join(os.Mkdir(in, 0o755), os.Mkdir(place, 0o755), os.WriteFile(filepath.Join(in, "a"), []byte("a"), 0o640), os.WriteFile(filepath.Join(in, "b"), []byte("b"), 0o644)); err != nil {
		t.Fatal(err)
	}
	target := backup.New(backup.Folder(vfs.OS(), place), backup.Options{})
	create(t, target, backup.Source{FS: vfs.OS(), Dir: in}, "one")
	err := filepath.Walk(place, func(p string, info os.FileInfo, err error) error {
		if err == nil && p != place && info.Mode().Perm()&0o077 != 0 {
			t.Errorf("%s has the mode %v", p, info.Mode())
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	out := filepath.Join(dir, "out")
	if _, err := target.Restore(t.Context(), vfs.OS(), "one", out, nil); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]os.FileMode{"": 0o700, "a": 0o640, "b": 0o640} {
		if info, err := os.Stat(filepath.Join(out, name)); err != nil || info.Mode().Perm()&^want != 0 {
			t.Errorf("%q: %v, want at most %v: %v", name, info.Mode(), want, err)
		}
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) != 3 {
		t.Errorf("left beside it: %v, %v", left, err)
	}
}

// The newest backup's files are not read again where nothing says that they
// have changed; what was changed is found, and so is what Reread looks for.
func TestUnchanged(t *testing.T) {
	dir := t.TempDir()
	in, place := filepath.Join(dir, "in"), filepath.Join(dir, "place")
	old := time.Now().Add(-time.Hour)
	write := func(text string, at time.Time) {
		t.Helper()
		p := filepath.Join(in, "a")
		if err := errors.Join(os.MkdirAll(in, 0o755), os.MkdirAll(place, 0o755), os.WriteFile(p, []byte(text), 0o640), os.Chtimes(p, at, at)); err != nil {
			t.Fatal(err)
		}
	}
	target := backup.New(backup.Folder(vfs.OS(), place), backup.Options{})
	reads := 0
	src := backup.Source{Dir: in, FS: vfs.Faulty(vfs.OS(), func(op vfs.Op) error {
		if op.Kind == vfs.OpRead {
			reads++
		}
		return nil
	})}
	ship := func(name string, pieces, files int) {
		t.Helper()
		reads = 0
		if got := create(t, target, src, name); got.Pieces != pieces || (reads > 0) != (files > 0) {
			t.Errorf("%s: %d pieces shipped, want %d; %d reads", name, got.Pieces, pieces, reads)
		}
	}
	write("one", old)
	ship("first", 1, 1)
	ship("same", 0, 0)
	write("two", old.Add(time.Minute))
	ship("changed", 1, 1)
	write("three", old.Add(time.Minute))
	ship("longer", 1, 1)
	write("four.", old.Add(time.Minute)) // nothing shows it
	ship("unseen", 0, 0)
	src.Reread = true
	ship("reread", 1, 1)
	src.Reread = false
	now := time.Now()
	write("5....", now)
	ship("young", 1, 1)
	ship("might-change-yet", 0, 1)
}
