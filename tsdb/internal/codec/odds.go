package codec

// Bits whose odds are learned on the way are coded by ranges of whole numbers
// (G. N. N. Martin, Range encoding, 1979): a bit takes of the range that is left
// the share that its odds give it, and a byte is written when the range has become
// less than 2^24 of 2^32.

// Odds are those of a bit to be 1, by what it was before; the first times count
// for more than later ones. The zero value knows nothing.
type Odds struct {
	above int32 // one half, out of 1<<28
	seen  uint8
}

const (
	oddsOne   = 1 << 28
	oddsSure  = 1 << 18 // of what never was
	oddsSlow  = 252
	oddsRange = 1 << 24
)

// oddsPace holds what share of a surprise the odds take over, out of 1<<16, by how
// many bits they have seen.
var oddsPace = func() (pace [256]uint64) {
	for n := range pace {
		pace[n] = uint64((1 << 17) / (2*n + 3))
	}
	return pace
}()

func (o *Odds) learn(p uint64, one bool) {
	pace := oddsPace[o.seen]
	if one {
		p = min(p+(oddsOne-p)*pace>>16, oddsOne-oddsSure)
	} else {
		p = max(p-p*pace>>16, oddsSure)
	}
	o.above = int32(p) - oddsOne/2
	if o.seen < oddsSlow {
		o.seen++
	}
}

// Bits writes bits by their odds, or reads them: who codes by a model writes it
// down once for both ways. Use NewBitWriter or NewBitReader.
type Bits struct {
	data  []byte
	width uint32 // of the range

	writing bool
	low     uint32 // where the range begins, when writing
	code    uint32 // how far into the range the code is, when reading
	at      int    // the next byte to be read
}

// NewBitWriter returns Bits that append to dst.
func NewBitWriter(dst []byte) *Bits {
	return &Bits{data: dst, width: 1<<32 - 1, writing: true}
}

// NewBitReader returns Bits that read data. Any bytes can be read, and as many
// bits as are asked for; Ended says whether they were what was written.
func NewBitReader(data []byte) *Bits {
	b := &Bits{data: data, width: 1<<32 - 1}
	for range 4 {
		b.take()
	}
	return b
}

// take takes the next byte in; those after the last are zero.
func (b *Bits) take() {
	b.code <<= 8
	if b.at < len(b.data) {
		b.code |= uint32(b.data[b.at])
	}
	b.at++
}

// Bit writes a bit, or reads one; it returns the bit.
func (b *Bits) Bit(o *Odds, one bool) bool {
	p := uint64(o.above + oddsOne/2)
	one = b.likely(uint32(p>>12), one)
	o.learn(p, one)
	return one
}

// likely is Bit where the odds of a 1 are known: out of 1<<16, neither 0 nor all.
func (b *Bits) likely(odds uint32, one bool) bool {
	share := b.width >> 16 * odds
	if b.writing {
		b.narrow(share, one)
		return one
	}
	if one = b.code < share; one {
		b.width = share
	} else {
		b.code -= share
		b.width -= share
	}
	b.fill()
	return one
}

// fill takes bytes in until the range is wide enough, when reading.
func (b *Bits) fill() {
	for b.width < oddsRange {
		b.width <<= 8
		b.take()
	}
}

// narrow makes the range what a bit leaves of it, when writing.
func (b *Bits) narrow(share uint32, one bool) {
	if one {
		b.width = share
	} else {
		b.width -= share
		b.raise(share)
	}
	for b.width < oddsRange {
		b.width <<= 8
		b.data = append(b.data, byte(b.low>>24))
		b.low <<= 8
	}
}

// raise moves the beginning of the range up.
func (b *Bits) raise(by uint32) {
	if b.low += by; b.low < by {
		for i := len(b.data) - 1; ; i-- { // the code is below 1: a byte of it takes the carry
			if b.data[i]++; b.data[i] != 0 {
				return
			}
		}
	}
}

// End returns what was written: one more byte tells what lies in the range.
func (b *Bits) End() []byte {
	if rest := b.low & (oddsRange - 1); rest != 0 {
		b.raise(oddsRange - rest)
	}
	return append(b.data, byte(b.low>>24))
}

// Ended says whether what was read ended where the data does.
func (b *Bits) Ended() bool { return b.at == len(b.data)+3 && b.code < oddsRange }

// FarOdds are those of the bits of a whole number of any size, small ones the
// likeliest: so many ones as its length has bits, a zero, the bits behind the
// first. Of these only the highest has odds. The zero value knows nothing.
type FarOdds struct{ length, high [64]Odds }

// maxFar is how many bits behind the first a number has at the most.
const maxFar = 62

// Far writes a whole number below 1<<62, or reads one; it returns the number.
func (b *Bits) Far(f *FarOdds, v uint64) uint64 {
	v++
	n := 0
	for n < maxFar && b.Bit(&f.length[n], v>>n > 1) {
		n++
	}
	out := uint64(1)
	for i := n - 1; i >= 0; i-- {
		var even Odds
		o := &even
		if i == n-1 {
			o = &f.high[n]
		}
		out <<= 1
		if b.Bit(o, v>>i&1 != 0) {
			out++
		}
	}
	return out - 1
}
