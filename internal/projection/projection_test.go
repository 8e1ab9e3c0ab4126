package projection

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
)

var ctx = context.Background()

func migrations(bodies ...string) fstest.MapFS {
	m := fstest.MapFS{}
	for i, b := range bodies {
		m[fmt.Sprintf("%04d_step.sql", i+1)] = &fstest.MapFile{Data: []byte(b)}
	}
	return m
}

const table = `CREATE TABLE seen (number INTEGER PRIMARY KEY, body TEXT NOT NULL); CREATE INDEX seen_body ON seen (body)`

func insert(ctx context.Context, tx *sql.Tx, e journal.Entry) error {
	if string(e.Data) == "poison" {
		return errors.New("cannot be applied")
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO seen VALUES (?, ?)", int64(e.Number), string(e.Data))
	return err
}

func options() Options {
	return Options{Migrations: migrations(table), Kinds: []quantrac.RecordKind{quantrac.RecordRegistry}, Apply: insert}
}

func openJournal(t *testing.T, fsys vfs.FS) *journal.Journal {
	t.Helper()
	j, err := journal.Open(fsys, "/j", journal.Options{SegmentBytes: 4096, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	return j
}

func openDB(t *testing.T, path string) *DB {
	t.Helper()
	p, err := Open(path, options())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.Close() })
	return p
}

func put(t *testing.T, j *journal.Journal, kind quantrac.RecordKind, body string) uint64 {
	t.Helper()
	cs, err := j.Append(ctx, journal.Record{Kind: kind, Data: []byte(body)})
	if err != nil {
		t.Fatal(err)
	}
	return cs[0].Number
}

func count(t *testing.T, p *DB) (n int) {
	t.Helper()
	if err := p.SQL().QueryRow("SELECT count(*) FROM seen").Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// The tables hold what not everybody on the machine may read. Files of earlier
// versions, which SQLite has made, are narrowed, those left by a kill too.
func TestPrivateFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	check := func(when string) {
		t.Helper()
		files, err := filepath.Glob(path + "*")
		if err != nil || len(files) != 3 {
			t.Fatalf("%s: files %q, %v; want the database, its -wal and its -shm", when, files, err)
		}
		for _, name := range files {
			info, err := os.Stat(name)
			if err != nil {
				t.Fatal(err)
			}
			if info.Mode().Perm()&^0o640 != 0 {
				t.Errorf("%s: %s has mode %v, want at most 0640", when, name, info.Mode())
			}
		}
	}
	p := openDB(t, path)
	check("made new")
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Chmod(path+suffix, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	openDB(t, path) // while the first still has it, as if that had been killed
	check("opened again")
	if got := count(t, p); got != 0 {
		t.Errorf("%d rows", got)
	}
}

func TestFollow(t *testing.T) {
	for _, path := range []string{Memory, filepath.Join(t.TempDir(), "a b?c%.db")} {
		t.Run(filepath.Base(path), func(t *testing.T) {
			j := openJournal(t, vfs.NewMem())
			for i := range 1000 {
				put(t, j, quantrac.RecordRegistry, fmt.Sprint(i))
				put(t, j, quantrac.RecordBatch, "an observation")
			}
			p := openDB(t, path)
			if err := p.CatchUp(ctx, j); err != nil {
				t.Fatal(err)
			}
			if n := count(t, p); n != 1000 || p.Applied() != 2000 {
				t.Fatalf("%d rows, applied %d", n, p.Applied())
			}
			run, cancel := context.WithCancel(ctx)
			var wg sync.WaitGroup
			wg.Go(func() {
				if err := p.Run(run, j); err != nil {
					t.Error(err)
				}
			})
			for i := range 100 {
				n := put(t, j, quantrac.RecordRegistry, fmt.Sprint("more ", i))
				if err := p.Wait(ctx, n); err != nil {
					t.Fatal(err)
				}
				var body string
				if err := p.SQL().QueryRow("SELECT body FROM seen WHERE number = ?", n).Scan(&body); err != nil || body != fmt.Sprint("more ", i) {
					t.Fatalf("own write: %q, %v", body, err)
				}
			}
			if err := p.Wait(ctx, put(t, j, quantrac.RecordBatch, "skipped")); err != nil {
				t.Fatal(err)
			}
			if _, err := p.SQL().Exec("DELETE FROM seen"); err == nil {
				t.Error("a reading connection wrote")
			}
			cancel()
			wg.Wait()
		})
	}
}

func TestReopenGoesOn(t *testing.T) {
	fsys, path := vfs.NewMem(), filepath.Join(t.TempDir(), "p.db")
	j := openJournal(t, fsys)
	for round := range 5 {
		for i := range 10 {
			put(t, j, quantrac.RecordRegistry, fmt.Sprint(round, i))
			put(t, j, quantrac.RecordBatch, strings.Repeat("x", 100))
		}
		p := openDB(t, path)
		if want := uint64(round * 20); p.Applied() != want {
			t.Fatalf("applied %d at open, want %d", p.Applied(), want)
		}
		if err := p.CatchUp(ctx, j); err != nil {
			t.Fatal(err)
		}
		if n := count(t, p); n != 10*(round+1) {
			t.Fatalf("%d rows", n)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
		if err := p.Close(); err != nil {
			t.Fatal(err)
		}
	}
	if j.First() == 1 {
		t.Error("the journal dropped nothing that the projection had")
	}
	fresh := openDB(t, filepath.Join(t.TempDir(), "p.db"))
	if err := fresh.CatchUp(ctx, j); quantrac.KindOf(err) != quantrac.Unavailable || !strings.Contains(err.Error(), "begins at") {
		t.Errorf("rebuild over a gap: %v", err)
	}
}

func TestFailingApply(t *testing.T) {
	j := openJournal(t, vfs.NewMem())
	put(t, j, quantrac.RecordRegistry, "good")
	bad := put(t, j, quantrac.RecordRegistry, "poison")
	p := openDB(t, Memory)
	err := p.Run(ctx, j)
	if err == nil || !strings.Contains(err.Error(), fmt.Sprintf("commit %d ", bad)) {
		t.Errorf("error %v does not name commit %d", err, bad)
	}
	if err := p.Wait(ctx, bad); err == nil || !strings.Contains(err.Error(), "cannot be applied") {
		t.Errorf("who waits is told %v", err)
	}
	if n := count(t, p); n > 1 || uint64(n) != p.Applied() {
		t.Errorf("%d rows, applied %d", n, p.Applied())
	}
}

func TestWaitEnds(t *testing.T) {
	p := openDB(t, Memory)
	short, cancel := context.WithCancel(ctx)
	cancel()
	if err := p.Wait(short, 1); !errors.Is(err, context.Canceled) {
		t.Errorf("a wait given up: %v", err)
	}
	done := make(chan error)
	go func() { done <- p.Wait(ctx, 1) }()
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	if err := <-done; quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("a wait at close: %v", err)
	}
}

func TestMigrations(t *testing.T) {
	path := filepath.Join(t.TempDir(), "m.db")
	reopen := func(m fstest.MapFS) error {
		p, err := Open(path, Options{Migrations: m, Apply: insert})
		if err != nil {
			return err
		}
		return p.Close()
	}
	second := "ALTER TABLE seen ADD COLUMN extra TEXT"
	for _, c := range []struct {
		name string
		m    fstest.MapFS
		kind quantrac.ErrorKind
		text string
	}{
		{"first", migrations(table), 0, ""},
		{"again", migrations(table), 0, ""},
		{"broken", migrations(table, "CREATE TABLE half (x); NONSENSE"), quantrac.KindNone, "0002_step.sql"},
		{"second after a broken one", migrations(table, second), 0, ""},
		{"older program", migrations(table), quantrac.Conflict, "newer version"},
		{"changed", migrations(table+" ", second), quantrac.Conflict, "was changed"},
		{"gap", fstest.MapFS{"0002_x.sql": {Data: []byte("SELECT 1")}}, quantrac.Invalid, "0001"},
		{"name", fstest.MapFS{"one.sql": {Data: []byte("SELECT 1")}}, quantrac.Invalid, "NNNN"},
	} {
		err := reopen(c.m)
		if c.text == "" && err != nil || c.text != "" && (err == nil || quantrac.KindOf(err) != c.kind || !strings.Contains(err.Error(), c.text)) {
			t.Errorf("%s: %v", c.name, err)
		}
	}
}
