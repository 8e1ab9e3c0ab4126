package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"
)

func put(t *testing.T, m FS, name, content string, sync bool) File {
	t.Helper()
	f := must(m.Create(name))
	must(f.Write([]byte(content)))
	if sync {
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
	}
	return f
}

// TestCrashKeepsWhatWasSynced: bytes need File.Sync, names need SyncDir, and
// neither is enough alone.
func TestCrashKeepsWhatWasSynced(t *testing.T) {
	m := NewMem()
	mkdir(t, m, "d")
	put(t, m, "d/both", "content", true)
	put(t, m, "d/name only", "content", false)
	if err := m.SyncDir("d"); err != nil {
		t.Fatal(err)
	}
	put(t, m, "d/bytes only", "content", true)
	if got, want := state(t, m.Crash(0)), map[string]string{"/d/both": "content", "/d/name only": ""}; !reflect.DeepEqual(got, want) {
		t.Errorf("after a crash %q, want %q", got, want)
	}
	if got := len(state(t, m)); got != 3 {
		t.Errorf("the crash changed the file system it was of: %d files", got)
	}
	for seed := range uint64(200) {
		if got := state(t, m.Crash(seed)); got["/d/both"] != "content" {
			t.Fatalf("seed %d: %q", seed, got)
		}
	}
}

// TestCrashVariants: over many seeds every outcome that a disk may show is
// seen, and none that it may not.
func TestCrashVariants(t *testing.T) {
	m := NewMem()
	f := put(t, m, "f", "AAAA", true)
	if err := m.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	must(f.WriteAt([]byte("BB"), 2))
	must(f.WriteAt([]byte("CC"), 4))
	seen := map[string]int{}
	for seed := range uint64(2000) {
		content := state(t, m.Crash(seed))["/f"]
		if again := state(t, m.Crash(seed))["/f"]; again != content {
			t.Fatalf("seed %d: %q, then %q", seed, content, again)
		}
		seen[content]++
	}
	want := []string{"AAAA", "AAAACC", "AAAAC", "AABA", "AABACC", "AABB", "AABBC", "AABBCC", "AABAC"}
	for _, w := range want {
		if seen[w] == 0 {
			t.Errorf("never seen: %q", w)
		}
		delete(seen, w)
	}
	if len(seen) > 0 {
		t.Errorf("impossible: %q", slices.Sorted(maps.Keys(seen)))
	}
}

// TestCrashTearsSectors: of a large write any sectors may be there, and a hole
// reads as zeros.
func TestCrashTearsSectors(t *testing.T) {
	m := NewMem()
	put(t, m, "f", strings.Repeat("x", 100), true)
	if err := m.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	f := must(m.OpenFile("f", oRdwr, 0))
	must(f.WriteAt(bytes.Repeat([]byte("y"), 3000), 100))
	holes := 0
	for seed := range uint64(500) {
		got := state(t, m.Crash(seed))["/f"]
		if !strings.HasPrefix(got, strings.Repeat("x", 100)) {
			t.Fatalf("seed %d: what was synced is gone", seed)
		}
		for at := 100; at < len(got); {
			end := min(at-at%sector+sector, len(got))
			part := got[at:end]
			if part != strings.Repeat("y", len(part)) && part != strings.Repeat("\x00", len(part)) {
				t.Fatalf("seed %d: a torn sector at %d: %q", seed, at, part)
			}
			if part[0] == 0 {
				holes++
			}
			at = end
		}
	}
	if holes == 0 {
		t.Error("no crash left a hole")
	}
}

// TestCrashAndRename: a rename within a directory is there or not, as a whole.
func TestCrashAndRename(t *testing.T) {
	m := NewMem()
	put(t, m, "new", "new", true)
	put(t, m, "old", "old", true)
	if err := m.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	if err := m.Rename("new", "old"); err != nil {
		t.Fatal(err)
	}
	seen := map[string]bool{}
	for seed := range uint64(50) {
		seen[fmt.Sprint(state(t, m.Crash(seed)))] = true
	}
	want := map[string]bool{"map[/new:new /old:old]": true, "map[/old:new]": true}
	if !reflect.DeepEqual(seen, want) {
		t.Errorf("seen %v, want %v", seen, want)
	}
}

// TestCrashAndRemove: a file that was removed may be back.
func TestCrashAndRemove(t *testing.T) {
	m := NewMem()
	put(t, m, "f", "content", true)
	if err := m.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	if err := m.Remove("f"); err != nil {
		t.Fatal(err)
	}
	if got := state(t, m.Crash(0)); got["/f"] != "content" {
		t.Errorf("removed, not synced: %q", got)
	}
	if err := m.SyncDir("/"); err != nil {
		t.Fatal(err)
	}
	if got := state(t, m.Crash(0)); len(got) != 0 {
		t.Errorf("removed and synced: %q", got)
	}
}

// TestWriteFileIsAtomic: whatever operation the power is gone at, the file has
// the old content or the new.
func TestWriteFileIsAtomic(t *testing.T) {
	for k := int64(1); ; k++ {
		m := NewMem()
		if err := WriteFile(m, "f", []byte("old"), 0o600); err != nil {
			t.Fatal(err)
		}
		err := WriteFile(Faulty(m, From(k, errors.New("no power"))), "f", []byte("new content"), 0o600)
		for seed := range uint64(50) {
			got := state(t, m.Crash(seed*uint64(k)))["/f"]
			if got != "new content" && (err == nil || got != "old") {
				t.Fatalf("operation %d, seed %d: %q", k, seed, got)
			}
		}
		if err == nil {
			if k != 6 { // create, write, sync, rename, syncdir
				t.Errorf("%d operations", k-1)
			}
			return
		}
	}
}

func TestCapacity(t *testing.T) {
	m := NewMem()
	m.SetCapacity(100)
	f := must(m.Create("f"))
	must(f.Write(make([]byte, 60)))
	if n := must(m.FreeBytes("/")); n != 40 {
		t.Errorf("%d bytes free", n)
	}
	n, err := f.Write(make([]byte, 60))
	if n != 40 || !IsNoSpace(err) {
		t.Errorf("wrote %d: %v", n, err)
	}
	must(f.WriteAt(make([]byte, 100), 0)) // over what is there
	if err := f.Truncate(101); !IsNoSpace(err) {
		t.Errorf("extending: %v", err)
	}
	g := must(m.Create("g"))
	if _, err := g.Write([]byte("x")); !IsNoSpace(err) {
		t.Errorf("another file: %v", err)
	}
	if err := f.Truncate(10); err != nil {
		t.Fatal(err)
	}
	must(g.Write(make([]byte, 90)))
	if err := m.Remove("g"); err != nil {
		t.Fatal(err)
	}
	if n := m.Used(); n != 100 {
		t.Errorf("an open file that was removed takes no space: %d used", n)
	}
	if err := g.Close(); err != nil {
		t.Fatal(err)
	}
	if n := m.Used(); n != 10 {
		t.Errorf("%d used", n)
	}
	if n := m.Crash(3).Used(); n > 100 {
		t.Errorf("%d used after a crash", n)
	}
}

func TestHandles(t *testing.T) {
	m := NewMem()
	m.SetHandles(2)
	a, b := put(t, m, "a", "x", true), put(t, m, "b", "x", true)
	for _, open := range []func(string) (File, error){m.Open, m.Create} {
		if _, err := open("a"); !errors.Is(err, syscall.EMFILE) {
			t.Errorf("a third file: %v", err)
		}
	}
	if _, err := m.Stat("c"); err == nil {
		t.Error("a file that could not be opened was made")
	}
	b.Close()
	if _, err := m.Open("a"); err != nil {
		t.Errorf("with one closed: %v", err)
	}
	a.Close()
	m.SetHandles(0)
	put(t, m, "d", "x", true)
	put(t, m, "e", "x", true)
}

func TestFaults(t *testing.T) {
	boom := syscall.EIO
	for _, c := range []struct {
		name  string
		fault error
		n     int    // written
		now   string // what is read then
		later string // after a good sync and a crash
	}{
		{"plain", boom, 0, "", "after"},
		{"short", &Fault{Err: boom, Bytes: 3}, 3, "hel", "hel" + "after"},
		{"done", &Fault{Err: boom, Done: true}, 5, "hello", "hello" + "after"},
	} {
		m := NewMem()
		f := must(Faulty(m, Nth(2, c.fault)).Create("f"))
		n, err := f.Write([]byte("hello"))
		if n != c.n || !errors.Is(err, boom) || !strings.Contains(err.Error(), "write f") {
			t.Errorf("%s: wrote %d, %v", c.name, n, err)
		}
		if got := state(t, m)["/f"]; got != c.now {
			t.Errorf("%s: %q", c.name, got)
		}
		must(f.Write([]byte("after")))
		if err := errors.Join(f.Sync(), m.SyncDir("/")); err != nil {
			t.Fatal(err)
		}
		if got := state(t, m.Crash(0))["/f"]; got != c.later {
			t.Errorf("%s: later %q, want %q", c.name, got, c.later)
		}
	}
}

// TestLostPages: after a failed sync that lost its pages they can still be
// read, and no later sync brings them back.
func TestLostPages(t *testing.T) {
	m := NewMem()
	f := must(Faulty(m, Nth(4, &Fault{Err: syscall.EIO, LosePages: true})).Create("f"))
	must(f.Write([]byte("one ")))
	if err := errors.Join(f.Sync(), m.SyncDir("/")); err != nil {
		t.Fatal(err)
	}
	f = must(Faulty(m, Nth(2, &Fault{Err: syscall.EIO, LosePages: true})).OpenFile("f", oRdwr, 0))
	must(f.WriteAt([]byte("two "), 4))
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Fatal(err)
	}
	if got := state(t, m)["/f"]; got != "one two " {
		t.Errorf("readable: %q", got)
	}
	must(f.WriteAt([]byte("three"), 8))
	if err := f.Sync(); err != nil {
		t.Fatal(err)
	}
	if got := state(t, m.Crash(0))["/f"]; got != "one \x00\x00\x00\x00three" {
		t.Errorf("on the disk: %q", got)
	}
}

func TestFlipOnRead(t *testing.T) {
	m := NewMem()
	put(t, m, "f", "\x00\x00\x00\x00", true)
	f := must(Faulty(m, func(op Op) error {
		if op.Kind == OpRead {
			return &Fault{FlipBit: 11}
		}
		return nil
	}).Open("f"))
	got := make([]byte, 4)
	must(f.ReadAt(got, 0))
	if !bytes.Equal(got, []byte{0, 4, 0, 0}) {
		t.Errorf("read %v", got)
	}
	if got := state(t, m)["/f"]; got != "\x00\x00\x00\x00" {
		t.Errorf("the file itself was changed: %q", got)
	}
}

// TestHookSeesEverything: every method of FS and File passes the hook, and is
// not done when the hook says so.
func TestHookSeesEverything(t *testing.T) {
	m := NewMem()
	mkdir(t, m, "d")
	put(t, m, "d/f", "content", true)
	stop := errors.New("stopped")
	var deny OpKind
	var asked []Op
	fsys := Faulty(m, func(op Op) error {
		asked = append(asked, op)
		if op.Kind == deny {
			return stop
		}
		return nil
	})
	file := must(fsys.OpenFile("d/f", oRdwr, 0))
	buf := make([]byte, 3)
	calls := map[OpKind][]func() error{
		OpOpen:     {func() error { _, err := fsys.Open("d/f"); return err }},
		OpCreate:   {func() error { _, err := fsys.Create("d/g"); return err }},
		OpRead:     {func() error { _, err := file.Read(buf); return err }, func() error { _, err := file.ReadAt(buf, 1); return err }},
		OpWrite:    {func() error { _, err := file.Write(buf); return err }, func() error { _, err := file.WriteAt(buf, 1); return err }},
		OpSync:     {file.Sync},
		OpTruncate: {func() error { return file.Truncate(2) }},
		OpRemove:   {func() error { return fsys.Remove("d/f") }},
		OpRename:   {func() error { return fsys.Rename("d/f", "d/g") }},
		OpLink:     {func() error { return fsys.Link("d/f", "d/g") }},
		OpMkdir:    {func() error { return fsys.MkdirAll("d/e", 0o755) }},
		OpReadDir:  {func() error { _, err := fsys.ReadDir("d"); return err }},
		OpStat:     {func() error { _, err := fsys.Stat("d/f"); return err }, func() error { _, err := file.Stat(); return err }, func() error { _, err := file.Size(); return err }},
		OpSyncDir:  {func() error { return fsys.SyncDir("d") }},
		OpFree:     {func() error { _, err := fsys.FreeBytes("d"); return err }},
		OpLock:     {func() error { _, err := fsys.Lock("d/lock"); return err }},
		OpClose:    {file.Close},
	}
	before := state(t, m)
	for kind := OpOpen; kind <= OpLock; kind++ {
		if kind == OpClose {
			continue // last, below
		}
		for i, call := range calls[kind] {
			deny, asked = kind, nil
			if err := call(); !errors.Is(err, stop) {
				t.Errorf("%s %d: %v", kind, i, err)
			}
			if len(asked) != 1 || asked[0].Kind != kind || asked[0].Name == "" {
				t.Errorf("%s %d: the hook was asked %v", kind, i, asked)
			}
		}
	}
	deny = OpClose
	if err := file.Close(); !errors.Is(err, stop) {
		t.Errorf("close: %v", err)
	}
	if after := state(t, m); !reflect.DeepEqual(before, after) {
		t.Errorf("done though denied: %q, was %q", after, before)
	}
	if len(calls) != int(OpLock) {
		t.Errorf("%d kinds of operations tested of %d", len(calls), OpLock)
	}
}

func TestFrom(t *testing.T) {
	stop := errors.New("stopped")
	hook := From(2, stop)
	var got []bool
	for _, kind := range []OpKind{OpRead, OpWrite, OpRead, OpSync, OpRead, OpWrite} {
		got = append(got, hook(Op{Kind: kind}) != nil)
	}
	if want := []bool{false, false, false, true, true, true}; !reflect.DeepEqual(got, want) {
		t.Errorf("failed %v, want %v", got, want)
	}
}
