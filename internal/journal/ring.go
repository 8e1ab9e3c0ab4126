package journal

import "encoding/binary"

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
		b[i] = r.buf[(pos+4+uint64(i))%uint64(len(r.buf))]
	}
	return frameSize + int(binary.LittleEndian.Uint32(b[:]))
}

// read appends to dst whole frames from commit number on, up to about limit
// bytes (one frame at least), and returns the position after them. hint is the
// position a former read returned for that number, 0 where there is none. It
// returns false where the ring does not hold the number.
func (r *ring) read(dst []byte, number, hint uint64, limit int) ([]byte, uint64, bool) {
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
	end := pos
	for end < r.head && int(end-pos) < limit {
		end += uint64(r.lenAt(end))
	}
	at, n := int(pos%uint64(len(r.buf))), int(end-pos)
	part := min(n, len(r.buf)-at)
	dst = append(dst, r.buf[at:at+part]...)
	dst = append(dst, r.buf[:n-part]...)
	return dst, end, true
}
