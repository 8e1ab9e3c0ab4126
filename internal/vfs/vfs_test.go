package vfs

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
)

// conformance is what every file system does, run on each below a folder.
func conformance(t *testing.T, fsys FS, root string) {
	join := func(elem ...string) string { return filepath.Join(append([]string{root}, elem...)...) }
	write := func(t *testing.T, name, content string) {
		t.Helper()
		f, err := fsys.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		if n, err := f.Write([]byte(content)); n != len(content) || err != nil {
			t.Fatalf("write: %d, %v", n, err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	read := func(t *testing.T, name string) string {
		t.Helper()
		b, err := ReadFile(fsys, name)
		if err != nil {
			t.Fatal(err)
		}
		return string(b)
	}
	wantErr := func(t *testing.T, err, want error) {
		t.Helper()
		if !errors.Is(err, want) {
			t.Errorf("error %v, want %v", err, want)
		}
	}

	t.Run("directories", func(t *testing.T) {
		if err := fsys.MkdirAll(join("a", "b", "c"), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := fsys.MkdirAll(join("a", "b", "c"), 0o755); err != nil {
			t.Errorf("again: %v", err)
		}
		write(t, join("a", "z"), "")
		write(t, join("a", "y"), "")
		names, err := fsys.ReadDir(join("a"))
		if err != nil || !reflect.DeepEqual(names, []string{"b", "y", "z"}) {
			t.Errorf("names %q, %v", names, err)
		}
		info, err := fsys.Stat(join("a", "b"))
		if err != nil || !info.IsDir() || info.Name() != "b" {
			t.Errorf("stat: %v, %v", info, err)
		}
		if err := fsys.Remove(join("a", "b")); err == nil {
			t.Error("a directory that is not empty was removed")
		}
		wantErr(t, fsys.MkdirAll(join("a", "z", "q"), 0o755), syscall.ENOTDIR)
		_, err = fsys.ReadDir(join("nowhere"))
		wantErr(t, err, fs.ErrNotExist)
		if err := fsys.SyncDir(join("a")); err != nil {
			t.Error(err)
		}
		wantErr(t, fsys.SyncDir(join("nowhere")), fs.ErrNotExist)
		if err := RemoveAll(fsys, join("a")); err != nil {
			t.Error(err)
		}
		_, err = fsys.Stat(join("a"))
		wantErr(t, err, fs.ErrNotExist)
		if err := RemoveAll(fsys, join("a")); err != nil {
			t.Errorf("of nothing: %v", err)
		}
	})

	t.Run("read and write", func(t *testing.T) {
		name := join("f")
		f, err := fsys.Create(name)
		if err != nil {
			t.Fatal(err)
		}
		defer f.Close()
		if f.Name() != name {
			t.Errorf("name %q", f.Name())
		}
		if _, err := f.Write([]byte("hello ")); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("world")); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("W"), 6); err != nil {
			t.Fatal(err)
		}
		if _, err := f.WriteAt([]byte("end"), 14); err != nil {
			t.Fatal(err)
		}
		if got := read(t, name); got != "hello World\x00\x00\x00end" {
			t.Errorf("content %q", got)
		}
		if n, err := f.Size(); n != 17 || err != nil {
			t.Errorf("size %d, %v", n, err)
		}
		buf := make([]byte, 5)
		if n, err := f.ReadAt(buf, 14); n != 3 || err != io.EOF || string(buf[:n]) != "end" {
			t.Errorf("read at the end: %d, %v", n, err)
		}
		if n, err := f.ReadAt(buf, 17); n != 0 || err != io.EOF {
			t.Errorf("read beyond the end: %d, %v", n, err)
		}
		if err := f.Truncate(5); err != nil {
			t.Fatal(err)
		}
		if err := f.Truncate(8); err != nil {
			t.Fatal(err)
		}
		if err := f.Sync(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, name); got != "hello\x00\x00\x00" {
			t.Errorf("after truncation %q", got)
		}
		r, err := fsys.Open(name)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := r.Write([]byte("x")); err == nil {
			t.Error("a file opened for reading took a write")
		}
		all, err := io.ReadAll(r)
		if err != nil || !bytes.Equal(all, []byte("hello\x00\x00\x00")) {
			t.Errorf("read all: %q, %v", all, err)
		}
		if err := r.Close(); err != nil {
			t.Error(err)
		}
		_, err = r.Read(buf)
		wantErr(t, err, fs.ErrClosed)
		wantErr(t, r.Close(), fs.ErrClosed)
	})

	t.Run("open", func(t *testing.T) {
		name := join("o")
		_, err := fsys.Open(name)
		wantErr(t, err, fs.ErrNotExist)
		_, err = fsys.Create(join("nowhere", "o"))
		wantErr(t, err, fs.ErrNotExist)
		write(t, name, "abc")
		_, err = fsys.OpenFile(name, oWronly|oCreate|oExcl, 0o600)
		wantErr(t, err, fs.ErrExist)
		f, err := fsys.OpenFile(name, oWronly|oAppend, 0)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := f.Write([]byte("def")); err != nil {
			t.Fatal(err)
		}
		if _, err := f.Read(make([]byte, 1)); err == nil || err == io.EOF {
			t.Errorf("a file opened for writing was read: %v", err)
		}
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
		if got := read(t, name); got != "abcdef" {
			t.Errorf("appended %q", got)
		}
		write(t, name, "x")
		if got := read(t, name); got != "x" {
			t.Errorf("created over: %q", got)
		}
	})

	t.Run("names", func(t *testing.T) {
		a, b := join("na"), join("nb")
		write(t, a, "a")
		write(t, b, "b")
		held, err := fsys.Open(b)
		if err != nil {
			t.Fatal(err)
		}
		defer held.Close()
		if err := fsys.Rename(a, b); err != nil {
			t.Fatal(err)
		}
		_, err = fsys.Stat(a)
		wantErr(t, err, fs.ErrNotExist)
		if got := read(t, b); got != "a" {
			t.Errorf("renamed: %q", got)
		}
		old, err := io.ReadAll(held)
		if err != nil || string(old) != "b" {
			t.Errorf("the open file that was replaced: %q, %v", old, err)
		}
		if err := fsys.Link(b, a); err != nil {
			t.Fatal(err)
		}
		wantErr(t, fsys.Link(b, a), fs.ErrExist)
		if err := fsys.Remove(b); err != nil {
			t.Fatal(err)
		}
		if got := read(t, a); got != "a" {
			t.Errorf("by its second name: %q", got)
		}
		wantErr(t, fsys.Remove(b), fs.ErrNotExist)
		wantErr(t, fsys.Rename(b, a), fs.ErrNotExist)
	})

	t.Run("whole file", func(t *testing.T) {
		name := join("w")
		for _, content := range []string{"one", "", "three"} {
			if err := WriteFile(fsys, name, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
			if got := read(t, name); got != content {
				t.Errorf("got %q, want %q", got, content)
			}
		}
		_, err := fsys.Stat(name + ".tmp")
		wantErr(t, err, fs.ErrNotExist)
	})

	t.Run("lock", func(t *testing.T) {
		l, err := fsys.Lock(join("lock"))
		if err != nil {
			t.Fatal(err)
		}
		_, err = fsys.Lock(join("lock"))
		wantErr(t, err, ErrLocked)
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
		l, err = fsys.Lock(join("lock"))
		if err != nil {
			t.Fatalf("after it was given back: %v", err)
		}
		if err := l.Close(); err != nil {
			t.Fatal(err)
		}
	})

	t.Run("free space", func(t *testing.T) {
		if n, err := fsys.FreeBytes(root); err != nil || n == 0 {
			t.Errorf("free %d, %v", n, err)
		}
		_, err := fsys.FreeBytes(join("nowhere"))
		wantErr(t, err, fs.ErrNotExist)
	})
}

func TestConformance(t *testing.T) {
	none := func(Op) error { return nil }
	for _, c := range []struct {
		name string
		make func(t *testing.T) (FS, string)
	}{
		{"OS", func(t *testing.T) (FS, string) { return OS(), t.TempDir() }},
		{"Mem", func(t *testing.T) (FS, string) { return NewMem(), "/" }},
		{"Mem below a folder", func(t *testing.T) (FS, string) {
			m := NewMem()
			return m, mkdir(t, m, "x/y")
		}},
		{"Mem after a crash", func(t *testing.T) (FS, string) {
			m := NewMem()
			dir := mkdir(t, m, "x/y")
			return m.Crash(1), dir
		}},
		{"Faulty OS without faults", func(t *testing.T) (FS, string) { return Faulty(OS(), none), t.TempDir() }},
		{"Faulty Mem without faults", func(t *testing.T) (FS, string) { return Faulty(NewMem(), none), "/" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			fsys, root := c.make(t)
			conformance(t, fsys, root)
		})
	}
}

func mkdir(t *testing.T, fsys FS, dir string) string {
	t.Helper()
	if err := fsys.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	return dir
}

// state lists every file of m with its content.
func state(t *testing.T, m *Mem) map[string]string {
	t.Helper()
	out := map[string]string{}
	var walk func(dir string)
	walk = func(dir string) {
		names, err := m.ReadDir(dir)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range names {
			p := filepath.Join(dir, n)
			info, err := m.Stat(p)
			if err != nil {
				t.Fatal(err)
			}
			if info.IsDir() {
				walk(p)
				continue
			}
			b, err := ReadFile(m, p)
			if err != nil {
				t.Fatal(err)
			}
			out[p] = string(b)
		}
	}
	walk("/")
	return out
}

func must[T any](v T, err error) T {
	if err != nil {
		panic(fmt.Sprintf("unexpected error: %v", err))
	}
	return v
}
