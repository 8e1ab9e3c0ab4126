package journal

import (
	"encoding/binary"
	"hash/crc32"
)

// resum puts right the checksum of a segment header.
func resum(h []byte) {
	binary.LittleEndian.PutUint32(h[60:], crc32.Checksum(h[:60], castagnoli))
}

// resumFrame puts right the checksum of a record.
func resumFrame(b []byte) {
	binary.LittleEndian.PutUint32(b, crc32.Checksum(b[4:], castagnoli))
}
