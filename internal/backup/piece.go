package backup

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"hash/crc32"
	"io"

	"github.com/klauspost/compress/zstd"

	"quantrac"
)

// A file is cut where its content says so, at ends of pages: a page is cut
// after where its checksum ends in as many zeros as the grain says. So pages put
// in or taken out in the middle, as in the tables of a database written anew,
// leave the pieces before and behind as they were; and what is appended leaves
// all but the last.
const (
	pageBytes     = 4 << 10
	greatestPiece = 8 << 20
)

// grain is how finely a file is cut. Fine pieces ship less of what changes in
// places, and make more objects and longer manifests.
type grain struct {
	least, greatest int
	mask            uint32 // zeros wanted of the checksum
}

func (s *Source) grain(path string) grain {
	if s.Fine != nil && s.Fine(path) {
		return grain{64 << 10, 2 << 20, 1<<6 - 1} // 256 KiB more on average
	}
	return grain{256 << 10, greatestPiece, 1<<8 - 1} // 1 MiB
}

// piece names a piece of a file.
type piece struct {
	SHA256 string `json:"sha256"` // of the content, hex
	Bytes  int64  `json:"bytes"`  // of the content
}

func (p piece) object() string { return pieceFolder + p.SHA256[:2] + "/" + p.SHA256 }

// nameOf names the piece that holds data.
func nameOf(data []byte) piece {
	sum := sha256.Sum256(data)
	return piece{hex.EncodeToString(sum[:]), int64(len(data))}
}

// cutter cuts a file into pieces.
type cutter struct {
	grain
	r      io.Reader
	castag *crc32.Table
}

func newCutter(r io.Reader, g grain) *cutter {
	return &cutter{g, r, crc32.MakeTable(crc32.Castagnoli)}
}

// next returns the next piece, io.EOF after the last. An empty file has none.
func (c *cutter) next() ([]byte, error) {
	buf := make([]byte, 0, c.least+pageBytes)
	var page [pageBytes]byte
	for {
		n, err := io.ReadFull(c.r, page[:])
		buf = append(buf, page[:n]...)
		switch {
		case (err == io.EOF || err == io.ErrUnexpectedEOF) && len(buf) > 0:
			return buf, nil
		case err != nil:
			return nil, err
		case len(buf) >= c.greatest:
			return buf, nil
		case len(buf) >= c.least && crc32.Checksum(page[:], c.castag)&c.mask == 0:
			return buf, nil
		}
	}
}

// How the content of a piece is stored, in the byte after the magic.
const (
	pieceMagic = "qtrpiec1"
	asIs       = 0
	zstandard  = 1
)

// packer turns pieces into objects. It may be used from several goroutines.
type packer struct {
	enc *zstd.Encoder
	dec *zstd.Decoder
}

func newPacker() (*packer, error) {
	enc, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedDefault), zstd.WithEncoderConcurrency(1))
	if err != nil {
		return nil, err
	}
	dec, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(greatestPiece))
	return &packer{enc, dec}, err
}

// pack returns the object of a piece: compressed where that saves a sixteenth.
func (p *packer) pack(data []byte) []byte {
	out := append(make([]byte, 0, len(data)/2+64), pieceMagic...)
	out = p.enc.EncodeAll(data, append(out, zstandard))
	if len(out) <= len(data)-len(data)/16 {
		return out
	}
	return append(append(append(out[:0], pieceMagic...), asIs), data...)
}

// unpack returns the content of an object, which must be the piece named.
func (p *packer) unpack(object []byte, want piece) ([]byte, error) {
	body, ok := bytes.CutPrefix(object, []byte(pieceMagic))
	if !ok || len(body) == 0 {
		return nil, quantrac.Errorf(quantrac.Corrupt, "%s, offset 0: it does not begin as a piece does", want.object())
	}
	data := body[1:]
	switch body[0] {
	case asIs:
	case zstandard:
		var err error
		if data, err = p.dec.DecodeAll(data, make([]byte, 0, min(max(want.Bytes, 0), greatestPiece))); err != nil {
			return nil, quantrac.Errorf(quantrac.Corrupt, "%s, offset %d: %w", want.object(), len(pieceMagic)+1, err)
		}
	default:
		return nil, quantrac.Errorf(quantrac.Corrupt, "%s, offset %d: stored in a form %d that this program does not know", want.object(), len(pieceMagic), body[0])
	}
	if have := nameOf(data); have != want {
		return nil, quantrac.Errorf(quantrac.Corrupt, "%s: its content are %d bytes with the SHA-256 %s, not the %d of its name", want.object(), have.Bytes, have.SHA256, want.Bytes)
	}
	return data, nil
}
