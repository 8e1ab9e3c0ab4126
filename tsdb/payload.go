package tsdb

import (
	"encoding/binary"
	"math"

	"quantrac"
	"quantrac/tsdb/internal/decimal"
)

// The journal payload of a RecordBatch, version 1. Integers are varints
// (binary.AppendUvarint; signed ones zigzag), strings stand behind their length.
//
//	version kind
//	author reason correction            of corrections and revocations
//	model issue                         of forecasts
//	groups: n, each n × (name value)    every label set of the batch once
//	shapes: n, each n × property        every list of properties once
//	rows:   n, each
//	    group shape                     positions in the tables
//	    time                            less the time of the row before
//	    received                        0 unknown, else zigzag(received − time) + 1
//	    cells, one per property of the shape: tag [data]
//
// The tag's low three bits are the quality, its high five the form of the
// value: 0 to 9 a decimal with that many places, its mantissa follows as a
// signed varint; formNaN the canonical NaN; formRaw the eight bytes of the
// float64, little-endian.
const (
	payloadVersion = 1

	formNaN = 30
	formRaw = 31

	qualityBits = 3
	qualityMask = 1<<qualityBits - 1
)

// canonicalNaN is the value of every Missing cell.
var canonicalNaN = math.NaN()

// AppendBatch appends the journal payload of a batch, the Data of a
// RecordBatch, to dst. It writes what is given: times must lie between
// quantrac.MinMillis and MaxMillis, as those of every batch that Append
// accepted do.
func AppendBatch(dst []byte, b *quantrac.Batch) []byte {
	var e batchEncoder
	e.reset()
	for i := range b.Rows {
		r := &b.Rows[i]
		g := e.group(r.Group)
		s, _ := e.shape(r.Cells)
		e.row(g, s, r.Time, r.Received, r.Cells)
	}
	return e.append(dst, b)
}

// batchEncoder writes payloads; reset lets it be used again without
// allocating. Rows are encoded as they come, the tables they refer to are
// gathered beside them and written in front.
type batchEncoder struct {
	groups   payloadGroups
	shapes   map[string]int
	shapeBuf []byte
	nShapes  int
	rowBuf   []byte
	nRows    int
	prevTime quantrac.Millis
	key      []byte
	hint     int // decimal places of the value before
}

func (e *batchEncoder) reset() {
	e.groups.begin()
	if e.shapes == nil {
		e.shapes = map[string]int{}
	}
	clear(e.shapes)
	e.shapeBuf, e.rowBuf = e.shapeBuf[:0], e.rowBuf[:0]
	e.nShapes, e.nRows, e.prevTime, e.hint = 0, 0, 0, 0
}

// group returns the position of a label set in the table.
func (e *batchEncoder) group(ls quantrac.Labels) int {
	e.key = ls.AppendKey(e.key[:0])
	n, _ := e.groups.place(e.groups.hash(e.key), e.key, len(ls))
	return n
}

// shape returns the position of the cells' list of properties in the table,
// and whether it is new there.
func (e *batchEncoder) shape(cells []quantrac.Cell) (int, bool) {
	e.key = binary.AppendUvarint(e.key[:0], uint64(len(cells)))
	for i := range cells {
		e.key = appendString(e.key, cells[i].Property)
	}
	if n, ok := e.shapes[string(e.key)]; ok {
		return n, false
	}
	n := e.nShapes
	e.shapes[string(e.key)] = n
	e.nShapes++
	e.shapeBuf = append(e.shapeBuf, e.key...)
	return n, true
}

func (e *batchEncoder) row(group, shape int, t, received quantrac.Millis, cells []quantrac.Cell) {
	buf := binary.AppendUvarint(e.rowBuf, uint64(group))
	buf = binary.AppendUvarint(buf, uint64(shape))
	buf = binary.AppendVarint(buf, int64(t-e.prevTime))
	if received == 0 {
		buf = append(buf, 0)
	} else {
		buf = binary.AppendUvarint(buf, zigzag(int64(received-t))+1)
	}
	for i := range cells {
		buf, e.hint = appendValue(buf, cells[i].Value, cells[i].Quality, e.hint)
	}
	e.rowBuf, e.prevTime = buf, t
	e.nRows++
}

func appendValue(buf []byte, v float64, q quantrac.Quality, hint int) ([]byte, int) {
	if q == quantrac.Missing {
		return append(buf, formNaN<<qualityBits|byte(q)), hint
	}
	if m, exp, ok := decimal.Find(v, hint); ok {
		buf = append(buf, byte(exp)<<qualityBits|byte(q))
		return binary.AppendVarint(buf, m), exp
	}
	if quantrac.SameValue(v, canonicalNaN) {
		return append(buf, formNaN<<qualityBits|byte(q)), hint
	}
	buf = append(buf, formRaw<<qualityBits|byte(q))
	return binary.LittleEndian.AppendUint64(buf, math.Float64bits(v)), hint
}

// append writes the payload of the rows gathered, with the head of b.
func (e *batchEncoder) append(dst []byte, b *quantrac.Batch) []byte {
	dst = append(dst, payloadVersion, byte(b.Kind))
	switch b.Kind {
	case quantrac.Corrections, quantrac.Revocation:
		dst = appendString(dst, b.Author)
		dst = appendString(dst, b.Reason)
		dst = appendString(dst, b.Correction)
	case quantrac.Forecasts:
		dst = appendString(dst, b.Model)
		dst = binary.AppendVarint(dst, int64(b.Issue))
	}
	dst = append(binary.AppendUvarint(dst, uint64(len(e.groups.keys))), e.groups.buf...)
	dst = append(binary.AppendUvarint(dst, uint64(e.nShapes)), e.shapeBuf...)
	return append(binary.AppendUvarint(dst, uint64(e.nRows)), e.rowBuf...)
}

func appendString(dst []byte, s string) []byte {
	return append(binary.AppendUvarint(dst, uint64(len(s))), s...)
}

func zigzag(v int64) uint64   { return uint64(v)<<1 ^ uint64(v>>63) }
func unzigzag(u uint64) int64 { return int64(u>>1) ^ -int64(u&1) }
