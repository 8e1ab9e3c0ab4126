package journal

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"

	"quantrac"
)

// The layout of FORMAT.md. Everything is little endian.
const (
	magic         = "QTRCJRNL"
	formatVersion = 1
	headerSize    = 64 // of a segment
	frameSize     = 32 // of a record, before its data
	kindAt        = 9  // in a frame
)

// Bits of a frame.
const (
	bitMore = 1 << 0 // the next record belongs to the same Append call
	bitSeal = 1 << 1 // no record: the journal was closed here
)

// castagnoli is the polynomial of CRC32C.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// header is the head of a segment file.
type header struct {
	epoch    uint64
	sequence uint64          // of the segment, as in its name
	first    uint64          // number of the first commit it may hold
	previous quantrac.Millis // time of the commit before, 0 where there is none
	created  quantrac.Millis
}

func (h header) encode() []byte {
	b := make([]byte, headerSize)
	copy(b, magic)
	b[8] = formatVersion
	binary.LittleEndian.PutUint32(b[12:], headerSize)
	binary.LittleEndian.PutUint64(b[16:], h.epoch)
	binary.LittleEndian.PutUint64(b[24:], h.sequence)
	binary.LittleEndian.PutUint64(b[32:], h.first)
	binary.LittleEndian.PutUint64(b[40:], uint64(h.previous))
	binary.LittleEndian.PutUint64(b[48:], uint64(h.created))
	binary.LittleEndian.PutUint32(b[60:], crc32.Checksum(b[:60], castagnoli))
	return b
}

// errVersion is a whole header of a version that this program does not know.
var errVersion = errors.New("unknown format version")

func decodeHeader(b []byte) (header, error) {
	switch {
	case len(b) < headerSize:
		return header{}, fmt.Errorf("the file has %d bytes, a segment header has %d", len(b), headerSize)
	case string(b[:8]) != magic:
		return header{}, fmt.Errorf("it begins with %q, not with %q", b[:8], magic)
	case crc32.Checksum(b[:60], castagnoli) != binary.LittleEndian.Uint32(b[60:]):
		return header{}, errors.New("the header's checksum does not match")
	case b[8] != formatVersion:
		return header{}, fmt.Errorf("%w %d; this program reads version %d", errVersion, b[8], formatVersion)
	}
	h := header{
		epoch:    binary.LittleEndian.Uint64(b[16:]),
		sequence: binary.LittleEndian.Uint64(b[24:]),
		first:    binary.LittleEndian.Uint64(b[32:]),
		previous: quantrac.Millis(binary.LittleEndian.Uint64(b[40:])),
		created:  quantrac.Millis(binary.LittleEndian.Uint64(b[48:])),
	}
	if h.first == 0 {
		return header{}, errors.New("the header names no first commit")
	}
	return h, nil
}

// frame is a decoded record.
type frame struct {
	entry Entry
	bits  uint8
	index uint16 // of the record in its group
	size  int    // bytes in the file
}

// appendFrame encodes a record as far as it is known before its group is
// written: number, time, index and checksum come with finishFrame.
func appendFrame(dst []byte, r *Record, bits uint8) []byte {
	var h [frameSize]byte
	binary.LittleEndian.PutUint32(h[4:], uint32(len(r.Data)))
	h[8] = formatVersion
	h[kindAt] = byte(r.Kind)
	h[10] = byte(r.Layer)
	h[11] = bits
	binary.LittleEndian.PutUint16(h[12:], r.Flags)
	return append(append(dst, h[:]...), r.Data...)
}

// frameLen returns the length of the frame that begins b, from its header.
func frameLen(b []byte) int { return frameSize + int(binary.LittleEndian.Uint32(b[4:])) }

// finishFrame completes the frame b with what its commit settles.
func finishFrame(b []byte, index int, c quantrac.Commit) {
	binary.LittleEndian.PutUint16(b[14:], uint16(index))
	binary.LittleEndian.PutUint64(b[16:], c.Number)
	binary.LittleEndian.PutUint64(b[24:], uint64(c.Time))
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
}

// parseFrame reads a frame that is known to be good. Its data alias b.
func parseFrame(b []byte) frame {
	f := parseHead(b)
	f.entry.Data = b[frameSize:f.size:f.size]
	return f
}

// parseHead reads of such a frame all but the data.
func parseHead(b []byte) frame {
	n := frameLen(b)
	return frame{
		entry: Entry{
			Commit: quantrac.Commit{
				Number: binary.LittleEndian.Uint64(b[16:]),
				Time:   quantrac.Millis(binary.LittleEndian.Uint64(b[24:])),
			},
			Kind:  quantrac.RecordKind(b[kindAt]),
			Layer: quantrac.Layer(b[10]),
			Flags: binary.LittleEndian.Uint16(b[12:]),
			Size:  n,
		},
		bits:  b[11],
		index: binary.LittleEndian.Uint16(b[14:]),
		size:  n,
	}
}

// damage says where and why bytes are not what they should be.
type damage struct {
	path string
	off  int64
	why  string
}

func (d *damage) Error() string {
	return fmt.Sprintf("%s is damaged at offset %d: %s", d.path, d.off, d.why)
}

func corrupt(path string, off int64, format string, args ...any) error {
	return quantrac.WithKind(quantrac.Corrupt, &damage{path, off, fmt.Sprintf(format, args...)})
}

// frameReader reads the frames of a segment file in order.
type frameReader struct {
	f    io.ReaderAt
	path string
	off  int64 // of the next frame
	end  int64 // of what may be read
	buf  []byte
	at   int64 // file offset of buf[0]
}

// readWindow is how much a frameReader asks for at once, in bytes.
const readWindow = 256 << 10

// window returns n bytes at the reader's offset; they must lie before its end.
func (r *frameReader) window(n int) ([]byte, error) {
	from := r.off - r.at
	if from >= 0 && from+int64(n) <= int64(len(r.buf)) {
		return r.buf[from : from+int64(n)], nil
	}
	want := int(min(int64(max(n, readWindow)), r.end-r.off))
	if cap(r.buf) < want {
		r.buf = make([]byte, want)
	}
	r.buf, r.at = r.buf[:want], r.off
	got, err := r.f.ReadAt(r.buf, r.off)
	r.buf = r.buf[:got]
	if got >= n {
		return r.buf[:n], nil
	}
	if err == nil || err == io.EOF {
		return nil, corrupt(r.path, r.off+int64(got), "the file ends here, %d more bytes were expected", n-got)
	}
	return nil, quantrac.Errorf(quantrac.Unavailable, "journal: reading %s at offset %d: %w", r.path, r.off, err)
}

// next returns the next frame, valid until the next call. At the end of what
// may be read it returns io.EOF; for bytes that are no whole good frame it
// returns an error of kind Corrupt and stays where it is.
func (r *frameReader) next() (frame, error) {
	left := r.end - r.off
	if left == 0 {
		return frame{}, io.EOF
	}
	if left < frameSize {
		return frame{}, corrupt(r.path, r.off, "%d bytes are left, a record has at least %d", left, frameSize)
	}
	b, err := r.window(frameSize)
	if err != nil {
		return frame{}, err
	}
	n := int64(frameSize) + int64(binary.LittleEndian.Uint32(b[4:]))
	if n > left {
		return frame{}, corrupt(r.path, r.off, "the record's length is given as %d bytes, %d are left", n, left)
	}
	if b, err = r.window(int(n)); err != nil {
		return frame{}, err
	}
	if got, want := crc32.Checksum(b[4:], castagnoli), binary.LittleEndian.Uint32(b); got != want {
		return frame{}, corrupt(r.path, r.off, "the record's checksum is %08x, its bytes make %08x", want, got)
	}
	if b[8] != formatVersion {
		return frame{}, corrupt(r.path, r.off, "record of version %d; this program reads version %d", b[8], formatVersion)
	}
	r.off += n
	return parseFrame(b), nil
}
