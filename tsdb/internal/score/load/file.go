package load

import (
	"bufio"
	"errors"
	"fmt"
	"iter"
	"os"
	"path/filepath"
)

// File is a load on disk: batches of the same bytes for every store.
type File struct {
	f       *os.File
	batches []extent
	Lines   int
	Values  int
}

// extent is where a batch lies.
type extent struct {
	at     int64
	bytes  int
	values int
}

// Write writes a load into a new file in dir. Close removes it.
func Write(dir, name string, batches iter.Seq[Batch]) (_ *File, err error) {
	f, err := os.Create(filepath.Join(dir, name))
	if err != nil {
		return nil, err
	}
	out := &File{f: f}
	defer func() {
		if err != nil {
			err = errors.Join(err, out.Close())
		}
	}()
	w, at := bufio.NewWriterSize(f, 1<<20), int64(0)
	for b := range batches {
		if _, err := w.Write(b.Lines); err != nil {
			return nil, err
		}
		out.batches = append(out.batches, extent{at, len(b.Lines), b.Values})
		at += int64(len(b.Lines))
		out.Lines, out.Values = out.Lines+b.Count, out.Values+b.Values
	}
	return out, w.Flush()
}

// Close closes the file and removes it.
func (f *File) Close() error { return errors.Join(f.f.Close(), os.Remove(f.f.Name())) }

// Bytes is how many bytes of line protocol there are.
func (f *File) Bytes() int64 {
	n := int64(0)
	for _, e := range f.batches {
		n += int64(e.bytes)
	}
	return n
}

// Batches is how many batches there are.
func (f *File) Batches() int { return len(f.batches) }

// Batch reads one batch into buf, which is grown if need be, and says how many
// values it has. It may be called from several goroutines.
func (f *File) Batch(i int, buf []byte) ([]byte, int, error) {
	e := f.batches[i]
	buf = append(buf[:0], make([]byte, e.bytes)...)
	if _, err := f.f.ReadAt(buf, e.at); err != nil {
		return nil, 0, fmt.Errorf("batch %d of %s: %w", i, f.f.Name(), err)
	}
	return buf, e.values, nil
}
