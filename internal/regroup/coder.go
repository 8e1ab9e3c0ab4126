package regroup

import (
	"bufio"
	"encoding/binary"
	"io"
)

// coder writes the cells of a run, or reads them. A cell is: its group less the
// one before (uvarint), its time less the one before (varint), its property and
// quality (uvarint, times eight plus), received time less time plus one, or 0 for
// none (uvarint of the zigzag), eight bytes.
type coder struct {
	group uint32
	time  int64
}

func (c *coder) append(b []byte, x *cell) []byte {
	b = binary.AppendUvarint(b, uint64(x.group-c.group))
	b = binary.AppendVarint(b, x.time-c.time)
	b = binary.AppendUvarint(b, uint64(x.prop)<<3|uint64(x.quality))
	if x.received == 0 {
		b = append(b, 0)
	} else {
		d := x.received - x.time
		b = binary.AppendUvarint(b, (uint64(d)<<1^uint64(d>>63))+1)
	}
	c.group, c.time = x.group, x.time
	return binary.LittleEndian.AppendUint64(b, x.bits)
}

func (c *coder) read(r *bufio.Reader) (x cell, err error) {
	d, err := binary.ReadUvarint(r)
	if err != nil {
		return x, err // io.EOF: the run is at its end
	}
	t, err := binary.ReadVarint(r)
	if err != nil {
		return x, short(err)
	}
	p, err := binary.ReadUvarint(r)
	if err != nil {
		return x, short(err)
	}
	got, err := binary.ReadUvarint(r)
	if err != nil {
		return x, short(err)
	}
	var bits [8]byte
	if _, err := io.ReadFull(r, bits[:]); err != nil {
		return x, short(err)
	}
	c.group, c.time = c.group+uint32(d), c.time+t
	x = cell{group: c.group, time: c.time, prop: uint32(p >> 3), quality: uint8(p & 7), bits: binary.LittleEndian.Uint64(bits[:])}
	if got > 0 {
		got--
		x.received = x.time + int64(got>>1^-(got&1))
	}
	return x, nil
}

// short is how a run ends that has been cut.
func short(err error) error {
	if err == io.EOF {
		return io.ErrUnexpectedEOF
	}
	return err
}
