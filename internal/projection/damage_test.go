package projection

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
)

func TestNotADatabase(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("not a database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(path, options()); quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), path) {
		t.Errorf("opening nonsense: %v", err)
	}
	if _, err := Open(filepath.Join(t.TempDir(), "no", "such", "folder.db"), options()); err == nil {
		t.Error("opened in a folder that does not exist")
	}
}

// TestDamage: a page that has gone bad is found at the opening, whichever it is,
// and the error says of which file, and what to do; with the file moved away the
// journal gives it back.
func TestDamage(t *testing.T) {
	path := filepath.Join(t.TempDir(), "p.db")
	j, err := journal.Open(vfs.NewMem(), "/j", journal.Options{ReserveBytes: -1}) // drops nothing yet
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = j.Close() })
	p := openDB(t, path)
	for i := range 300 {
		put(t, j, quantrac.RecordRegistry, fmt.Sprint(i, strings.Repeat("x", 200)))
	}
	if err := p.CatchUp(ctx, j); err != nil {
		t.Fatal(err)
	}
	if err := p.Close(); err != nil {
		t.Fatal(err)
	}
	whole, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	const page = 4096
	if len(whole) < 20*page {
		t.Fatalf("only %d bytes", len(whole))
	}
	for _, at := range []int{0, 1, 5, len(whole)/page - 1} {
		bad := append([]byte(nil), whole...)
		copy(bad[at*page:], strings.Repeat("gone bad", page/8))
		if err := os.WriteFile(path, bad, 0o600); err != nil {
			t.Fatal(err)
		}
		_, err := Open(path, options())
		if quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(fmt.Sprint(err), path) || !strings.Contains(fmt.Sprint(err), "restore the file from a backup, or move it away") {
			t.Errorf("with page %d damaged: %v", at, err)
		}
	}
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Rename(path+suffix, path+suffix+".damaged"); err != nil {
			t.Fatal(err)
		}
	}
	p = openDB(t, path)
	if err := p.CatchUp(ctx, j); err != nil || count(t, p) != 300 {
		t.Errorf("rebuilt: %d entries, %v", count(t, p), err)
	}
}

// A database that takes too long to read whole is opened unchecked.
func TestCheckIsBounded(t *testing.T) {
	p := openDB(t, filepath.Join(t.TempDir(), "p.db"))
	if err := p.check(0); err != nil {
		t.Errorf("without patience: %v", err)
	}
	p.end()
	if err := p.check(checkPatience); err == nil {
		t.Error("a check that was broken off passes for one that went well")
	}
}
