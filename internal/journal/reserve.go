package journal

import (
	"encoding/binary"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"quantrac"
)

// reserve is a file of allocated disk space that becomes the next segment when
// the disk is truly full.
type reserve struct {
	ready   bool
	retryAt quantrac.Millis // not before, after a failure to make one
}

func (j *Journal) reservePath() string { return filepath.Join(j.dir, "reserve") }

// fill writes into b what the reserve holds at file offset off (a multiple of
// 8): noise, so that no file system stores it in less space than it takes, yet
// noise that recovery recognises as never written over (Steele et al., "Fast
// splittable pseudorandom number generators", 2014).
func fill(b []byte, off int64) {
	for i := 0; i+8 <= len(b); i += 8 {
		binary.LittleEndian.PutUint64(b[i:], splitmix(uint64(off)+uint64(i)))
	}
}

func splitmix(x uint64) uint64 {
	x = (x/8 + 1) * 0x9e3779b97f4a7c15
	x = (x ^ x>>30) * 0xbf58476d1ce4e5b9
	x = (x ^ x>>27) * 0x94d049bb133111eb
	return x ^ x>>31
}

// filled says whether b is what the reserve holds at off.
func filled(b []byte, off int64) bool {
	for i, c := range b {
		at := off + int64(i)
		if c != byte(splitmix(uint64(at)&^7)>>(8*(at&7))) {
			return false
		}
	}
	return true
}

// openReserve looks for the reserve at start and makes it where there is room.
func (w *writer) openReserve() {
	j := w.j
	want := j.o.ReserveBytes
	info, err := j.fs.Stat(j.reservePath())
	if err == nil && info.Size() == want && want > 0 {
		w.reserve.ready = true
		return
	}
	if err == nil {
		err = j.fs.Remove(j.reservePath())
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		j.o.Logger.Warn("journal: the disk reserve cannot be renewed", "error", err)
		return
	}
	if free, known := w.free(); known && free >= uint64(j.o.MinFreeBytes)+uint64(want) {
		w.reserve.restore(w, j.o.Clock.Now())
	}
}

// restore makes the reserve again where it is wanted and missing.
func (r *reserve) restore(w *writer, now quantrac.Millis) {
	if r.ready || w.j.o.ReserveBytes == 0 || now < r.retryAt {
		return
	}
	if err := w.j.makeReserve(); err != nil {
		r.retryAt = now.Add(time.Minute)
		w.j.o.Logger.Warn("journal: making the disk reserve", "error", err)
		return
	}
	r.ready = true
}

func (j *Journal) makeReserve() error {
	tmp := j.reservePath() + ".tmp"
	err := j.writeReserve(tmp)
	if err == nil {
		err = j.fs.Rename(tmp, j.reservePath())
	}
	if err != nil {
		if rerr := j.fs.Remove(tmp); rerr != nil && !errors.Is(rerr, fs.ErrNotExist) {
			err = errors.Join(err, rerr)
		}
		return err
	}
	return j.fs.SyncDir(j.dir)
}

func (j *Journal) writeReserve(path string) error {
	f, err := j.fs.Create(path)
	if err != nil {
		return err
	}
	buf := make([]byte, min(j.o.ReserveBytes, 256<<10))
	for off := int64(0); off < j.o.ReserveBytes && err == nil; off += int64(len(buf)) {
		fill(buf, off)
		_, err = f.WriteAt(buf[:min(int64(len(buf)), j.o.ReserveBytes-off)], off)
	}
	if err == nil {
		err = f.Sync()
	}
	if cerr := f.Close(); err == nil {
		err = cerr
	}
	return err
}

// useReserve makes the reserve the segment being written: its blocks are
// there, so that writing over them needs no space.
func (w *writer) useReserve() error {
	if !w.reserve.ready {
		return quantrac.Errorf(quantrac.Unavailable, "disk full and the reserve of %d bytes is used up", w.j.o.ReserveBytes)
	}
	w.reserve.ready = false // whatever comes, it is not whole any more
	w.abandon()
	w.sequence++
	if err := w.j.fs.Rename(w.j.reservePath(), w.path()); err != nil {
		return err
	}
	f, err := w.j.fs.OpenFile(w.path(), os.O_RDWR, 0)
	if err != nil {
		return err
	}
	if err := w.begin(f); err != nil {
		return errors.Join(err, f.Close())
	}
	w.enter(f, w.j.o.ReserveBytes)
	w.spending = true
	w.j.o.Logger.Warn("journal: disk full, warnings now go to the reserve", "path", f.Name(), "bytes", w.j.o.ReserveBytes)
	return nil
}
