package tsdb

import (
	"encoding/binary"
	"math"

	"quantrac"
	"quantrac/tsdb/internal/decimal"
)

// DecodeBatch reads the journal payload of a RecordBatch. The batch keeps
// nothing of data. A payload of a later version, or damaged, is a Corrupt
// error that names the offset.
//
// Most who follow the journal care for few of the stations: where wanted is not
// nil, the rows are left out of those stations (empty: of none) that it says no
// to. It is asked once for every label set of the batch, and may not keep the
// bytes.
func DecodeBatch(data []byte, wanted func(station []byte) bool) (*quantrac.Batch, error) {
	var d batchDecoder
	d.begin(data)
	groups := d.wanted(wanted)
	b := d.head
	if d.err == nil && groups == nil {
		return &b, nil
	}
	if d.rows(); d.err != nil {
		return nil, d.err
	}
	if wanted == nil {
		b.Rows = make([]quantrac.Row, 0, min(d.nRows, len(data)/4))
	}
	var cells []quantrac.Cell // cut into the rows; a new piece when it is full
	for d.next() {
		if groups[d.group] == nil {
			continue
		}
		if cap(cells)-len(cells) < len(d.values) {
			cells = make([]quantrac.Cell, 0, max(len(d.values), min(1024, d.nRows*len(d.values))))
		}
		from := len(cells)
		for i, v := range d.values {
			cells = append(cells, quantrac.Cell{Property: d.props[i], Value: v, Quality: d.qualities[i]})
		}
		b.Rows = append(b.Rows, quantrac.Row{
			Group: groups[d.group], Time: d.time, Received: d.received,
			Cells: cells[from:len(cells):len(cells)],
		})
	}
	if d.err != nil {
		return nil, d.err
	}
	return &b, nil
}

// wanted returns the label sets of the groups that are wanted, nil for others;
// nil where none of them is.
func (d *batchDecoder) wanted(wanted func(station []byte) bool) []quantrac.Labels {
	var groups []quantrac.Labels
	for i := range d.nGroups {
		raw := d.rawGroup()
		if d.err != nil {
			return nil
		}
		if wanted != nil && !wanted(stationOf(raw)) {
			continue
		}
		if groups == nil {
			groups = make([]quantrac.Labels, d.nGroups)
		}
		groups[i] = decodeLabels(raw)
	}
	if wanted == nil && groups == nil {
		groups = []quantrac.Labels{} // a batch without rows
	}
	return groups
}

// stationOf finds the station in a key that batchDecoder.rawGroup has walked.
func stationOf(key []byte) []byte {
	for at := 0; at < len(key); {
		name, next := textAt(key, at)
		value, end := textAt(key, next)
		if string(name) == quantrac.LabelStation {
			return value
		}
		at = end
	}
	return nil
}

// textAt returns the text at a place of a key that has been walked, and the end of
// it.
func textAt(key []byte, at int) (text []byte, end int) {
	n := int(key[at])
	at++
	if n >= 0x80 { // hardly any text is as long
		u, w := binary.Uvarint(key[at-1:])
		n, at = int(u), at-1+w
	}
	return key[at : at+n], at + n
}

// batchDecoder walks a payload row by row without making a Batch. Slices and
// raw groups point into the payload or are used again by the next row.
type batchDecoder struct {
	data []byte
	off  int
	err  error

	head    quantrac.Batch // less the rows
	nGroups int
	groups  [][]byte // label sets, as their keys (quantrac.Labels.AppendKey)
	shapes  []payloadShape
	nRows   int // rows not yet read

	// The row that next has read.
	group     int
	shape     int
	props     []string
	time      quantrac.Millis
	received  quantrac.Millis
	values    []float64
	qualities []quantrac.Quality
}

type payloadShape struct {
	key   []byte // of the whole list, equal for equal lists
	props []string
}

func (d *batchDecoder) fail(format string, args ...any) {
	if d.err == nil {
		d.err = quantrac.Errorf(quantrac.Corrupt, "batch payload, offset %d: "+format, append([]any{d.off}, args...)...)
	}
}

func (d *batchDecoder) uvarint(what string) uint64 {
	if d.off < len(d.data) && d.data[d.off] < 0x80 { // as most are
		d.off++
		return uint64(d.data[d.off-1])
	}
	v, n := binary.Uvarint(d.data[d.off:])
	if n <= 0 {
		d.fail("%s is not a whole number", what)
		return 0
	}
	d.off += n
	return v
}

func (d *batchDecoder) varint(what string) int64 { return unzigzag(d.uvarint(what)) }

// count reads how many things follow that take at least size bytes each, so
// that a damaged count never asks for memory.
func (d *batchDecoder) count(what string, size int) int {
	n := d.uvarint(what)
	if left := len(d.data) - d.off; n > uint64(left/size) {
		d.fail("%s: %d announced, %d bytes left", what, n, left)
		return 0
	}
	return int(n)
}

func (d *batchDecoder) bytes(what string) []byte {
	n := d.count(what, 1)
	b := d.data[d.off : d.off+n]
	d.off += n
	return b
}

// open reads everything in front of the rows.
func (d *batchDecoder) open(data []byte) error {
	d.begin(data)
	for range d.nGroups {
		d.groups = append(d.groups, d.rawGroup())
	}
	d.rows()
	return d.err
}

// begin reads what stands in front of the label sets.
func (d *batchDecoder) begin(data []byte) {
	*d = batchDecoder{data: data, groups: d.groups[:0], shapes: d.shapes[:0], values: d.values, qualities: d.qualities}
	if len(data) < 2 {
		d.fail("%d bytes are no batch", len(data))
		return
	}
	if data[0] != payloadVersion {
		d.fail("version %d, this program reads %d", data[0], payloadVersion)
		return
	}
	d.head.Kind = quantrac.BatchKind(data[1])
	d.off = 2
	switch d.head.Kind {
	case quantrac.Readings:
	case quantrac.Corrections, quantrac.Revocation:
		d.head.Author = string(d.bytes("author"))
		d.head.Reason = string(d.bytes("reason"))
		d.head.Correction = string(d.bytes("correction"))
	case quantrac.Forecasts:
		d.head.Model = string(d.bytes("model"))
		d.head.Issue = quantrac.Millis(d.varint("issue time"))
	default:
		d.fail("kind %d is unknown", data[1])
		return
	}
	d.nGroups = d.count("groups", 1)
}

// rawGroup reads a label set, as its key.
func (d *batchDecoder) rawGroup() []byte {
	labels := d.count("labels", 2)
	from, at := d.off, d.off
	for i := 0; i < 2*labels && d.err == nil; i++ {
		if at < len(d.data) && d.data[at] < 0x80 && int(d.data[at]) < len(d.data)-at { // as nearly all are
			at += 1 + int(d.data[at])
			continue
		}
		d.off = at
		d.bytes("label")
		at = d.off
	}
	d.off = at
	return d.data[from:at]
}

// rows reads what stands between the label sets and the rows.
func (d *batchDecoder) rows() {
	if d.err != nil {
		return
	}
	for n := d.count("shapes", 1); n > 0 && d.err == nil; n-- {
		from := d.off
		props := make([]string, d.count("properties", 1))
		for i := range props {
			props[i] = string(d.bytes("property"))
		}
		d.shapes = append(d.shapes, payloadShape{d.data[from:d.off], props})
	}
	d.nRows = d.count("rows", 4)
}

// next reads one row; false at the end and on damage, which err tells apart.
func (d *batchDecoder) next() bool {
	if d.err != nil {
		return false
	}
	if d.nRows == 0 {
		if d.off != len(d.data) {
			d.fail("%d bytes after the last row", len(d.data)-d.off)
		}
		return false
	}
	d.nRows--
	group, shape := d.uvarint("group"), d.uvarint("shape")
	if d.err != nil {
		return false
	}
	if group >= uint64(d.nGroups) || shape >= uint64(len(d.shapes)) {
		d.fail("group %d of %d, shape %d of %d", group, d.nGroups, shape, len(d.shapes))
		return false
	}
	d.group, d.shape = int(group), int(shape)
	d.time += quantrac.Millis(d.varint("time"))
	if d.time < quantrac.MinMillis || d.time > quantrac.MaxMillis {
		d.fail("time %d is out of range", int64(d.time))
	}
	d.received = 0
	if u := d.uvarint("received time"); u != 0 {
		d.received = d.time + quantrac.Millis(unzigzag(u-1))
	}
	d.props = d.shapes[shape].props
	if len(d.props) > len(d.data)-d.off {
		d.fail("%d cells announced, %d bytes left", len(d.props), len(d.data)-d.off)
	}
	if d.err != nil {
		return false
	}
	d.cells()
	return d.err == nil
}

func (d *batchDecoder) cells() {
	d.values, d.qualities = d.values[:0], d.qualities[:0]
	data, off := d.data, d.off
	for range d.props {
		if off >= len(data) {
			d.off = off
			d.fail("row ends early")
			return
		}
		tag := data[off]
		off++
		var v float64
		switch form := int(tag >> qualityBits); {
		case form <= decimal.MaxExp:
			u, n := shortUvarint(data, off)
			if n == 0 {
				u, n = binary.Uvarint(data[off:])
			}
			if n <= 0 {
				d.off = off
				d.fail("mantissa is not a whole number")
				return
			}
			off += n
			v = decimal.Value(unzigzag(u), form)
		case form == formNaN:
			v = canonicalNaN
		case form == formRaw && len(data)-off >= 8:
			v = math.Float64frombits(binary.LittleEndian.Uint64(data[off:]))
			off += 8
		default:
			d.off = off
			d.fail("value form %d is unknown or cut short", form)
			return
		}
		q := quantrac.Quality(tag & qualityMask)
		if q > quantrac.Missing {
			d.off = off
			d.fail("quality %d is unknown", q)
			return
		}
		if q == quantrac.Missing {
			v = canonicalNaN
		}
		d.values, d.qualities = append(d.values, v), append(d.qualities, q)
	}
	d.off = off
}

// shortUvarint reads a varint of one or two bytes, as those of most readings are; n
// is 0 where it is none.
func shortUvarint(data []byte, off int) (u uint64, n int) {
	if off+2 > len(data) {
		return 0, 0
	}
	a, b := data[off], data[off+1]
	if a < 0x80 {
		return uint64(a), 1
	}
	if b < 0x80 {
		return uint64(a&0x7f) | uint64(b)<<7, 2
	}
	return 0, 0
}

// decodeLabels reads a key that batchDecoder.open has walked.
func decodeLabels(key []byte) quantrac.Labels {
	ls := quantrac.Labels{}
	text := string(key) // one piece of memory for all labels
	str := func() string {
		n, w := uvarintString(text)
		s := text[w : w+n]
		text = text[w+n:]
		return s
	}
	for text != "" {
		name := str()
		ls = append(ls, quantrac.Label{Name: name, Value: str()})
	}
	return ls
}

func uvarintString(s string) (n, width int) {
	for i := 0; i < len(s); i++ {
		n |= int(s[i]&0x7f) << (7 * i)
		if s[i] < 0x80 {
			return n, i + 1
		}
	}
	return 0, len(s)
}
