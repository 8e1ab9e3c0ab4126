package files

import (
	"errors"
	"fmt"
	"io/fs"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"

	"quantrac/internal/vfs"
)

// fileSystem makes files 0, 1, … whose content is their number in two bytes, on
// a file system that counts and limits what is open.
func fileSystem(t *testing.T, n int) (fsys *vfs.Mem, names []string) {
	fsys = vfs.NewMem()
	for i := range n {
		names = append(names, fmt.Sprint(i))
		f, err := fsys.Create(names[i])
		if err == nil {
			_, err = f.Write([]byte{byte(i), byte(i >> 8)})
		}
		if err == nil {
			err = f.Close()
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return fsys, names
}

func openAll(t *testing.T, s *Set, names []string) []*File {
	t.Helper()
	var out []*File
	for _, n := range names {
		f, err := s.Open(n)
		if err != nil {
			t.Fatal(err)
		}
		if f.Size() != 2 {
			t.Errorf("%s has %d bytes", n, f.Size())
		}
		out = append(out, f)
	}
	return out
}

func read(f *File) (int, error) {
	var b [2]byte
	n, err := f.ReadAt(b[:], 0)
	if err == nil && n != 2 {
		err = fmt.Errorf("%d bytes", n)
	}
	return int(b[0]) | int(b[1])<<8, err
}

// Whatever order many files are read in, by however many at a time, no more are
// open than the set may hold.
func TestFewAreOpen(t *testing.T) {
	const n, most = 300, 7
	fsys, names := fileSystem(t, n)
	fsys.SetHandles(most)
	files := openAll(t, New(fsys, most), names)
	var readers sync.WaitGroup
	for r := range 16 {
		readers.Go(func() {
			for i := range 4 * n {
				k := (i*(2*r+1) + r) % n
				if got, err := read(files[k]); err != nil || got != k {
					t.Errorf("file %d: read %d, %v", k, got, err)
					return
				}
			}
		})
	}
	readers.Wait()
	for _, f := range files {
		if err := f.Close(); err != nil {
			t.Fatal(err)
		}
	}
	fsys.SetHandles(1) // all are closed
	if f, err := fsys.Open(names[0]); err != nil {
		t.Error(err)
	} else {
		f.Close()
	}
}

// With fewer descriptors left in the process than the set may hold it makes do
// with those.
func TestProcessHasNoMore(t *testing.T) {
	fsys, names := fileSystem(t, 20)
	fsys.SetHandles(3)
	files := openAll(t, New(fsys, 100), names)
	for i, f := range files {
		if got, err := read(f); err != nil || got != i {
			t.Errorf("file %d: read %d, %v", i, got, err)
		}
	}
	fsys.SetHandles(0)
	var others []vfs.File
	for range 3 {
		f, err := fsys.Open("0")
		if err != nil {
			t.Fatal(err)
		}
		others = append(others, f)
	}
	for _, f := range files {
		f.Close()
	}
	fsys.SetHandles(3)
	if _, err := New(fsys, 100).Open("1"); !errors.Is(err, syscall.EMFILE) {
		t.Errorf("with none left: %v", err)
	}
	for _, f := range others {
		f.Close()
	}
}

// The file read last stays open; a file that is closed is read no more.
func TestWhatStaysOpen(t *testing.T) {
	fsys, names := fileSystem(t, 3)
	opened := map[string]int{}
	counting := vfs.Faulty(fsys, func(op vfs.Op) error {
		if op.Kind == vfs.OpOpen {
			opened[op.Name]++
		}
		return nil
	})
	files := openAll(t, New(counting, 2), names) // 1 and 2 are open
	for _, i := range []int{1, 0, 1, 1, 2, 1} {  // 0 takes the place of 2, and 2 that of 0
		if _, err := read(files[i]); err != nil {
			t.Fatal(err)
		}
	}
	if want := (map[string]int{"0": 2, "1": 1, "2": 2}); fmt.Sprint(opened) != fmt.Sprint(want) {
		t.Errorf("opened %v, want %v", opened, want)
	}
	if err := files[1].Close(); err != nil {
		t.Fatal(err)
	}
	if _, err := read(files[1]); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("a closed file: %v", err)
	}
	if err := files[1].Close(); !errors.Is(err, fs.ErrClosed) {
		t.Errorf("closed again: %v", err)
	}
	if _, err := New(fsys, 1).Open("none"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("a file that is not there: %v", err)
	}
}

// Who wants a file waits while all that may be open are being read, and so does
// who closes one.
func TestWaiting(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		fsys, names := fileSystem(t, 2)
		hold := make(chan struct{})
		slow := false
		s := New(vfs.Faulty(fsys, func(op vfs.Op) error {
			if op.Kind == vfs.OpRead && op.Name == "0" && slow {
				<-hold
			}
			return nil
		}), 1)
		files := openAll(t, s, names)
		slow = true
		ended := make(chan error, 3)
		do := func(f func() error) {
			go func() { ended <- f() }()
			synctest.Wait()
		}
		do(func() error { _, err := read(files[0]); return err })
		do(files[0].Close)
		do(func() error { _, err := read(files[1]); return err })
		if len(ended) > 0 {
			t.Fatal("something did not wait for the file that is being read")
		}
		close(hold)
		for range 3 {
			if err := <-ended; err != nil {
				t.Error(err)
			}
		}
	})
}
