package tsdb

import "math/bits"

// presence tells of most rows that a block does not hold that it does not, without
// a look into the file: a Bloom filter (B. H. Bloom, Space/time trade-offs in hash
// coding with allowable errors, CACM 13, 1970) over groups and times, the bits of a
// row in one line of memory. Blocks that have been written by this process and are
// not sealed have one, and a head of many rows: where late rows are looked for that
// may be there already.
type presence struct {
	lines [][8]uint64
}

const (
	presenceBits = 12      // a row
	maxPresence  = 2 << 20 // rows of a block that has one
)

// newPresence returns an empty one with room for so many rows, nil where that is
// too many.
func newPresence(rows int64) *presence {
	if rows > maxPresence {
		return nil
	}
	return &presence{make([][8]uint64, rows*presenceBits/512+1)}
}

// place returns the line of a row and its bits.
func (p *presence) place(group uint32, time int64) (line *[8]uint64, a, b, c uint64) {
	// Halves of a product folded, twice (the mixing of wyhash, Wang Yi, 2019), by
	// odd numbers of which no factor can be 0.
	hi, lo := bits.Mul64(uint64(time)^0x9e3779b97f4a7c15, uint64(group)^0xbf58476d1ce4e5b9)
	hi, lo = bits.Mul64(hi^lo, 0x94d049bb133111eb)
	h := hi ^ lo
	n, _ := bits.Mul64(h, uint64(len(p.lines)))
	rest := h * 0xbf58476d1ce4e5b9
	return &p.lines[n], rest >> 37 & 511, rest >> 46 & 511, rest >> 55
}

// add adds rows of a group.
func (p *presence) add(group uint32, times []int64) {
	for _, t := range times {
		p.note(group, t)
	}
}

// note adds a row.
func (p *presence) note(group uint32, time int64) {
	if p == nil {
		return
	}
	line, a, b, c := p.place(group, time)
	line[a/64] |= 1 << (a % 64)
	line[b/64] |= 1 << (b % 64)
	line[c/64] |= 1 << (c % 64)
}

// may says whether a row may be there; without a filter any may.
func (p *presence) may(group uint32, time int64) bool {
	if p == nil {
		return true
	}
	line, a, b, c := p.place(group, time)
	return line[a/64]>>(a%64)&(line[b/64]>>(b%64))&(line[c/64]>>(c%64))&1 != 0
}
