package journal

import (
	"encoding/binary"
	"io"

	"quantrac"
	"quantrac/internal/vfs"
)

// judge returns nil when the damage at off, where commit number want should
// be, can be what a crash leaves of the last group, which was not acknowledged
// then; else the damage as an error. A group is only written once the one
// before has been synced, so a good record of a later group, or the mark of a
// clean end, proves that the damaged one was acknowledged. Good records of the
// same group may follow where the disk wrote sectors out of order; then at
// least one sector in between was never written.
func judge(f vfs.File, s found, off int64, want uint64, why error) error {
	sc := scanner{f: f, path: s.path, end: s.size}
	gapEnd := int64(-1)
	for at := off + 1; ; {
		next, err := sc.find(at, want)
		if err != nil {
			return err
		}
		if next == nil {
			break
		}
		if next.seal || next.group > want {
			return quantrac.Errorf(quantrac.Corrupt, "journal: commit %d is lost, later ones follow at offset %d: %w", want, next.off, why)
		}
		if gapEnd < 0 {
			gapEnd = next.off
		}
		at = next.off + next.size
	}
	if gapEnd < 0 {
		return nil
	}
	unwritten, err := hasUnwritten(f, off, gapEnd)
	if err != nil {
		return quantrac.Errorf(quantrac.Unavailable, "journal: reading %s: %w", s.path, err)
	}
	if !unwritten {
		return quantrac.Errorf(quantrac.Corrupt, "journal: commit %d is lost, later ones follow at offset %d: %w", want, gapEnd, why)
	}
	return nil
}

// sectorSize is the least that a disk writes at once, in bytes.
const sectorSize = 512

// hasUnwritten says whether between the offsets lies a sector, or the first or
// last part of one, that was never written: zeros, or what the reserve is
// filled with.
func hasUnwritten(f io.ReaderAt, from, to int64) (bool, error) {
	var b [sectorSize]byte
	for at := from; at < to; {
		n := min(at-at%sectorSize+sectorSize, to) - at
		if _, err := f.ReadAt(b[:n], at); err != nil && err != io.EOF {
			return false, err
		}
		if zeros(b[:n]) || filled(b[:n], at) {
			return true, nil
		}
		at += n
	}
	return false, nil
}

func zeros(b []byte) bool {
	for _, c := range b {
		if c != 0 {
			return false
		}
	}
	return true
}

// scanner looks for whole records in a file whose order is lost.
type scanner struct {
	f    vfs.File
	path string
	end  int64
}

// candidate is a whole good record.
type candidate struct {
	off, size int64
	group     uint64 // number of the first commit of its group
	seal      bool
}

// find returns the first whole record from off on with a number of at least
// want, or the mark of a clean end, or nil.
func (s *scanner) find(off int64, want uint64) (*candidate, error) {
	buf := make([]byte, 64<<10)
	r := frameReader{f: s.f, path: s.path, end: s.end}
	for off+frameSize <= s.end {
		n, err := s.f.ReadAt(buf[:min(int64(len(buf)), s.end-off)], off)
		if err != nil && err != io.EOF {
			return nil, quantrac.Errorf(quantrac.Unavailable, "journal: reading %s at offset %d: %w", s.path, off, err)
		}
		for i := 0; i+frameSize <= n; i++ {
			if !plausible(buf[i:], s.end-off-int64(i), want) {
				continue
			}
			r.off, r.buf = off+int64(i), r.buf[:0]
			fr, err := r.next()
			if err == nil {
				return &candidate{
					off: off + int64(i), size: int64(fr.size),
					group: fr.entry.Number - uint64(fr.index), seal: fr.bits&bitSeal != 0,
				}, nil
			}
			if quantrac.KindOf(err) != quantrac.Corrupt {
				return nil, err
			}
		}
		if n <= frameSize {
			return nil, nil
		}
		off += int64(n - frameSize + 1)
	}
	return nil, nil
}

// plausible says cheaply whether b may begin a record worth a checksum.
func plausible(b []byte, left int64, want uint64) bool {
	const span = 1 << 40 // commits that a journal may be ahead; noise rarely is
	number := binary.LittleEndian.Uint64(b[16:])
	seal := b[11]&bitSeal != 0
	return b[8] == formatVersion && b[11]&^(bitMore|bitSeal) == 0 &&
		frameSize+int64(binary.LittleEndian.Uint32(b[4:])) <= left &&
		(seal || number >= want) && number-want+1 < span
}
