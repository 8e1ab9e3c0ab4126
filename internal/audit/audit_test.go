package audit

import (
	"bytes"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
	"quantrac/internal/vfs"
)

const t0 = quantrac.Millis(1785542400000)

func openJournal(t testing.TB, fs vfs.FS) *journal.Journal {
	t.Helper()
	j, err := journal.Open(fs, "journal", journal.Options{Clock: quantrac.NewManualClock(t0), ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func openLog(t testing.TB, path string, j *journal.Journal) *Log {
	t.Helper()
	l, err := Open(path, j, Options{Clock: quantrac.NewManualClock(t0)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l
}

func as(name string) context.Context {
	return WithOrigin(quantrac.WithPrincipal(context.Background(), quantrac.Principal{Name: name, Role: quantrac.RoleAdmin}), "[::1]")
}

func put(t testing.TB, l *Log, object string) {
	t.Helper()
	if _, err := l.Append(as("lan"), Event{Action: "test.put", Object: object}); err != nil {
		t.Fatal(err)
	}
}

func verified(t testing.TB, l *Log, want uint64) Head {
	t.Helper()
	h, err := l.Verify(context.Background())
	if err != nil || h.Seq != want {
		t.Fatalf("chain = %+v, %v, want %d entries", h, err, want)
	}
	return h
}

func TestChain(t *testing.T) {
	fs := vfs.NewMem()
	j := openJournal(t, fs)
	path := filepath.Join(t.TempDir(), "audit.db")
	l := openLog(t, path, j)
	verified(t, l, 0)
	commits, err := l.Append(as("lan"), Event{Action: "threshold.put", Object: "x", Reason: "why", Detail: map[string]string{"a": "b"}},
		journal.Record{Kind: quantrac.RecordRegistry, Data: []byte("one")}, journal.Record{Kind: quantrac.RecordWarning, Data: []byte("two")})
	if err != nil || len(commits) != 3 || commits[2].Number != 3 {
		t.Fatalf("commits = %v, %v, want 3 in a row", commits, err)
	}
	put(t, l, "y")
	head := verified(t, l, 2)
	list, err := l.List(as("lan"), Filter{Object: "x"})
	if err != nil || len(list) != 1 {
		t.Fatalf("list = %+v, %v", list, err)
	}
	e := list[0]
	if e.Actor != "lan" || e.Role != quantrac.RoleAdmin || e.Origin != "[::1]" || e.Time != t0 || e.Commit != 3 || len(e.Records) != 2 || e.Detail["a"] != "b" {
		t.Errorf("entry = %+v", e)
	}

	// The tables are gone; the journal brings the same chain back, and it goes on.
	rebuilt := openLog(t, filepath.Join(t.TempDir(), "audit.db"), j)
	if h := verified(t, rebuilt, 2); h != head {
		t.Errorf("rebuilt head %+v, want %+v", h, head)
	}
	l.Close()
	put(t, rebuilt, "z")
	if h := verified(t, openLog(t, path, j), 3); h.Hash == head.Hash {
		t.Error("the head did not move")
	}
	if list, err := rebuilt.List(as("x"), Filter{Before: 3, Limit: 1}); err != nil || len(list) != 1 || list[0].Seq != 2 {
		t.Errorf("page = %+v, %v", list, err)
	}
}

// Whoever can write to the file can drop the triggers; the chain tells.
func TestTampering(t *testing.T) {
	f := func(want string, statements ...string) {
		t.Helper()
		j := openJournal(t, vfs.NewMem())
		path := filepath.Join(t.TempDir(), "audit.db")
		l := openLog(t, path, j)
		for i := range 5 {
			put(t, l, fmt.Sprint(i))
		}
		verified(t, l, 5)
		l.Close()
		db, err := sql.Open("sqlite", path)
		if err != nil {
			t.Fatal(err)
		}
		defer db.Close()
		for _, s := range statements {
			if _, err := db.Exec(s); err != nil {
				t.Fatalf("%s: %v", s, err)
			}
		}
		db.Close()
		l = openLog(t, path, j)
		_, err = l.Verify(context.Background())
		if quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v, want Corrupt with %q", statements, err, want)
		}
	}
	const open = `DROP TRIGGER audit_no_update; DROP TRIGGER audit_no_delete`
	f("breaks at entry 3, after entry 2: its row does not say", open, `UPDATE audit SET actor = 'nobody' WHERE seq = 3`)
	f("breaks at entry 2, after entry 1: its content does not have its hash", open,
		`UPDATE audit SET payload = CAST(replace(CAST(payload AS TEXT), 'lan', 'bob') AS BLOB) WHERE seq = 2`)
	f("breaks at entry 4, after entry 2: it does not follow", open, `DELETE FROM audit WHERE seq = 3`)
	f("breaks at entry 2, after entry 0: it does not follow", open, `DELETE FROM audit WHERE seq = 1`)
	f("breaks at entry 3, after entry 2: its commit", open, `UPDATE audit SET commit_number = 1 WHERE seq = 3`)
}

func TestTriggersStopASlip(t *testing.T) {
	path := filepath.Join(t.TempDir(), "audit.db")
	l := openLog(t, path, openJournal(t, vfs.NewMem()))
	put(t, l, "x")
	verified(t, l, 1)
	l.Close()
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for _, s := range []string{`UPDATE audit SET actor = 'x'`, `DELETE FROM audit`} {
		if _, err := db.Exec(s); err == nil {
			t.Errorf("%s went through", s)
		}
	}
}

func TestManyWriters(t *testing.T) {
	j := openJournal(t, vfs.NewMem())
	l := openLog(t, projection.Memory, j)
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	run := make(chan error, 1)
	go func() { run <- l.Run(ctx) }()
	for w := range 8 {
		wg.Go(func() {
			for i := range 25 {
				put(t, l, fmt.Sprint(w, i))
			}
		})
	}
	wg.Wait()
	verified(t, l, 200)
	cancel()
	if err := <-run; err != nil {
		t.Error(err)
	}
}

// Whichever operation of the disk fails, what was acknowledged is in one
// unbroken chain, and the log goes on when the disk is good again.
func TestFailingDisk(t *testing.T) {
	broken := errors.New("disk on fire")
	for k := int64(1); k <= 12; k++ {
		var n atomic.Int64
		var on atomic.Bool
		fs := vfs.NewMem()
		j := openJournal(t, vfs.Faulty(fs, func(vfs.Op) error {
			if on.Load() && n.Add(1) == k {
				return broken
			}
			return nil
		}))
		l := openLog(t, projection.Memory, j)
		put(t, l, "before")
		on.Store(true)
		acked := uint64(1)
		for i := range 6 {
			if _, err := l.Append(as("lan"), Event{Action: "test.put", Object: fmt.Sprint(i)}); err == nil {
				acked++
			}
		}
		on.Store(false)
		put(t, l, "after")
		verified(t, l, acked+1)
		j.Close()
		verified(t, openLog(t, projection.Memory, openJournal(t, fs.Crash(uint64(k)))), acked+1)
	}
}

func TestEndedContext(t *testing.T) {
	l := openLog(t, projection.Memory, openJournal(t, vfs.NewMem()))
	ctx, cancel := context.WithCancel(as("lan"))
	cancel()
	if _, err := l.Append(ctx, Event{Action: "x"}); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	put(t, l, "x")
	verified(t, l, 1)
	if _, err := l.Append(context.Background(), Event{Action: "x"}); quantrac.KindOf(err) != quantrac.Denied {
		t.Errorf("an entry that names nobody: %v", err)
	}
}

func FuzzDecode(f *testing.F) {
	data, err := encode([32]byte{1, 2, 3}, 7, Event{Time: t0, Actor: "lan", Action: "x", Detail: map[string]string{"a": "b"}})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(data)
	f.Add(bytes.Repeat([]byte{1}, 40))
	f.Fuzz(func(t *testing.T, data []byte) {
		e, prev, err := Decode(data)
		if err != nil {
			if quantrac.KindOf(err) != quantrac.Corrupt {
				t.Fatalf("%v is not a Corrupt error", err)
			}
			return
		}
		if len(prev) != 64 || len(e.Hash) != 64 {
			t.Fatalf("hashes %q and %q", prev, e.Hash)
		}
	})
}
