package journal

import (
	"context"
	"fmt"
	"io/fs"
	"sync"
	"testing"

	"quantrac"
	"quantrac/internal/vfs"
)

// BenchmarkAppend measures appends on the machine's disk, syncs included: by
// one caller, by 64 at once, of a station's message (120 bytes) and of a batch
// of 25,000 values (250,000 bytes).
func BenchmarkAppend(b *testing.B) {
	for _, waiters := range []int{1, 64} {
		for _, size := range []int{120, 250_000} {
			if waiters > 1 && size > 1000 {
				waiters = 4
			}
			b.Run(fmt.Sprintf("waiters=%d/bytes=%d", waiters, size), func(b *testing.B) {
				benchAppend(b, vfs.OS(), b.TempDir(), waiters, size)
			})
		}
	}
}

// BenchmarkAppendMemory is the journal's own cost: the file system is a piece
// of memory that takes everything at once.
func BenchmarkAppendMemory(b *testing.B) {
	for _, waiters := range []int{1, 64} {
		for _, size := range []int{120, 250_000} {
			b.Run(fmt.Sprintf("waiters=%d/bytes=%d", waiters, size), func(b *testing.B) {
				benchAppend(b, nullFS{vfs.NewMem()}, "/j", waiters, size)
			})
		}
	}
}

// nullFS takes every write behind a segment's header and keeps none.
type nullFS struct{ vfs.FS }

type nullFile struct{ vfs.File }

func (f nullFS) OpenFile(name string, flag int, perm fs.FileMode) (vfs.File, error) {
	file, err := f.FS.OpenFile(name, flag, perm)
	return nullFile{file}, err
}

func (f nullFile) WriteAt(p []byte, off int64) (int, error) {
	if off == 0 {
		return f.File.WriteAt(p, off)
	}
	return len(p), nil
}

func benchAppend(b *testing.B, fsys vfs.FS, dir string, waiters, size int) {
	j, err := Open(fsys, dir, Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	rec := Record{Kind: quantrac.RecordBatch, Data: make([]byte, size)}
	h := j.Hold("bench", 0)
	b.SetBytes(int64(size))
	b.ReportAllocs()
	b.ResetTimer()
	var wg sync.WaitGroup
	for w := range waiters {
		wg.Go(func() {
			for i := w; i < b.N; i += waiters {
				cs, err := j.Append(context.Background(), rec)
				if err != nil {
					b.Error(err)
					return
				}
				h.Advance(cs[0].Number)
			}
		})
	}
	wg.Wait()
	b.StopTimer()
	s := j.Stats()
	b.ReportMetric(float64(s.Records)/b.Elapsed().Seconds(), "records/s")
	b.ReportMetric(float64(s.Bytes)/float64(s.Records), "bytes/record")
	b.ReportMetric(float64(s.Records)/float64(s.Groups), "records/sync")
}

// BenchmarkReplay reads a journal of 100,000 messages from its files.
func BenchmarkReplay(b *testing.B) {
	j, err := Open(vfs.OS(), b.TempDir(), Options{RingBytes: -1})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	recs := make([]Record, 1000)
	for i := range recs {
		recs[i] = Record{Kind: quantrac.RecordBatch, Data: make([]byte, 120)}
	}
	for range 100 {
		if _, err := j.Append(context.Background(), recs...); err != nil {
			b.Fatal(err)
		}
	}
	b.SetBytes(100_000 * 120)
	b.ReportAllocs()
	for b.Loop() {
		n := 0
		if err := j.Replay(context.Background(), 0, func(Entry) error { n++; return nil }); err != nil || n != 100_000 {
			b.Fatal(n, err)
		}
	}
}

// BenchmarkTail measures what four live readers add to an append.
func BenchmarkTail(b *testing.B) {
	j, err := Open(vfs.NewMem(), "/j", Options{})
	if err != nil {
		b.Fatal(err)
	}
	defer j.Close()
	h := j.Hold("bench", 0)
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			seen := 0
			for _, err := range j.Tail(context.Background(), 0) {
				if err != nil {
					b.Error(err)
					return
				}
				if seen++; seen == b.N {
					return
				}
			}
		})
	}
	rec := Record{Kind: quantrac.RecordBatch, Data: make([]byte, 120)}
	b.ReportAllocs()
	b.ResetTimer()
	for i := range b.N {
		if _, err := j.Append(context.Background(), rec); err != nil {
			b.Fatal(err)
		}
		h.Advance(uint64(max(i-100_000, 0))) // so that memory does not hold it all
	}
	wg.Wait()
}
