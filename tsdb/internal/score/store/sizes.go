package store

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"syscall"
	"time"
)

// Sizes are bytes on disk by what they are for.
type Sizes struct {
	Parts []Part // in the order of a table
}

// Part is what one purpose takes.
type Part struct {
	Name  string
	Bytes int64
}

// Total is all of it.
func (s Sizes) Total() int64 {
	n := int64(0)
	for _, p := range s.Parts {
		n += p.Bytes
	}
	return n
}

func (s *Sizes) add(name string, n int64) {
	i := slices.IndexFunc(s.Parts, func(p Part) bool { return p.Name == name })
	if i < 0 {
		i = len(s.Parts)
		s.Parts = append(s.Parts, Part{Name: name})
	}
	s.Parts[i].Bytes += n
}

// still waits until the files have not changed for so many seconds.
func (s *Server) still(ctx context.Context, seconds int) error {
	last, same := int64(-1), 0
	for same < seconds {
		sz, err := s.Sizes()
		if err != nil {
			return err
		}
		if same++; sz.Total() != last {
			last, same = sz.Total(), 0
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(time.Second):
		}
	}
	return nil
}

// weigh adds up the files below dir, each under the name that part gives its
// path; "" leaves it out. A file that goes while it is looked at is not there.
func weigh(dir string, part func(path string) string) (Sizes, error) {
	var out Sizes
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || d.IsDir() {
			return err
		}
		name := part(filepath.ToSlash(path[len(dir)+1:]))
		if name == "" {
			return nil
		}
		info, err := os.Stat(path)
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err == nil {
			out.add(name, size(info))
		}
		return err
	})
	return out, err
}

// size is how long a file is, less the holes in it.
func size(info fs.FileInfo) int64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return min(info.Size(), st.Blocks*512)
	}
	return info.Size()
}
