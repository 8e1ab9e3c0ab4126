package journal

import (
	"encoding/binary"
	"slices"

	"quantrac"
)

// kinds are those whose records are wanted with their data; none means all.
type kinds []quantrac.RecordKind

func (k kinds) has(kind quantrac.RecordKind) bool { return len(k) == 0 || slices.Contains(k, kind) }

// ring keeps the newest frames in memory for readers that keep up. Positions
// count bytes since the start and never wrap; a reader copies out, so nothing
// is allocated for a commit.
type ring struct {
	buf        []byte
	tail, head uint64 // what is kept, [tail, head)
	first      uint64 // number of the commit at tail; of the next one where empty
}

// put adds frames, dropping the oldest as needed. next is the number of the
// commit after them.
func (r *ring) put(frames []byte, next uint64) {
	if len(frames) > len(r.buf) {
		r.tail, r.first = r.head, next
		return
	}
	for r.head+uint64(len(frames))-r.tail > uint64(len(r.buf)) {
		r.tail += uint64(r.lenAt(r.tail))
		r.first++
	}
	at := int(r.head % uint64(len(r.buf)))
	n := copy(r.buf[at:], frames)
	copy(r.buf, frames[n:])
	r.head += uint64(len(frames))
}

// lenAt returns the length of the frame at a position.
func (r *ring) lenAt(pos uint64) int {
	var b [4]byte
	for i := range b {
		b[i] = r.at(pos + 4 + uint64(i))
	}
	return frameSize + int(binary.LittleEndian.Uint32(b[:]))
}

func (r *ring) at(pos uint64) byte { return r.buf[pos%uint64(len(r.buf))] }

// read appends to dst frames from commit number on, whole or, where their kind is
// not among those wanted, without their data, up to about limit bytes (one frame at
// least), and returns the position after them. hint is the position a former read
// returned for that number, 0 where there is none. It returns false where the ring
// does not hold the number.
func (r *ring) read(dst []byte, number, hint uint64, limit int, wanted kinds) ([]byte, uint64, bool) {
	if r.head == r.tail || number < r.first {
		return dst, 0, false
	}
	pos := hint
	if pos < r.tail || pos == 0 {
		pos = r.tail
		for n := r.first; n < number; n++ {
			if pos == r.head {
				return dst, 0, false
			}
			pos += uint64(r.lenAt(pos))
		}
	}
	if pos == r.head {
		return dst, 0, false
	}
	for most := len(dst) + limit; pos < r.head && len(dst) < most; {
		n := r.lenAt(pos)
		if wanted.has(quantrac.RecordKind(r.at(pos + kindAt))) {
			dst = r.append(dst, pos, n)
		} else {
			dst = r.append(dst, pos, frameSize)
		}
		pos += uint64(n)
	}
	return dst, pos, true
}

// append appends the n bytes from a position on.
func (r *ring) append(dst []byte, pos uint64, n int) []byte {
	at := int(pos % uint64(len(r.buf)))
	part := min(n, len(r.buf)-at)
	dst = append(dst, r.buf[at:at+part]...)
	return append(dst, r.buf[:n-part]...)
}
