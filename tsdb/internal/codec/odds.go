package codec

// Bits whose odds are learned on the way are coded by ranges of whole numbers
// (G. N. N. Martin, Range encoding, 1979): a bit takes of the range that is left
// the share that its odds give it, and a byte is written when the range has become
// 2^24 or less of 2^32.

// odds are those of a bit to be 1, out of 1<<28, by what it was before. The first
// bits count for more than later ones.
type odds struct {
	one  uint32
	seen uint8
}

const (
	oddsOne   = 1 << 28
	oddsSure  = 1 << 18 // of what never was
	oddsSlow  = 252
	oddsRange = 1 << 24
)

// oddsPace holds what share of a surprise the odds take over, out of 1<<16, by how
// many bits they have seen.
var oddsPace = func() (pace [oddsSlow + 1]uint64) {
	for n := range pace {
		pace[n] = uint64((1 << 17) / (2*n + 3))
	}
	return pace
}()

// even returns odds of which nothing is known.
func even() odds { return odds{one: oddsOne / 2} }

func evens(o []odds) {
	for i := range o {
		o[i] = even()
	}
}

func (o *odds) learn(one bool) {
	p, pace := uint64(o.one), oddsPace[o.seen]
	if one {
		p = min(p+(oddsOne-p)*pace>>16, oddsOne-oddsSure)
	} else {
		p = max(p-p*pace>>16, oddsSure)
	}
	o.one = uint32(p)
	if o.seen < oddsSlow {
		o.seen++
	}
}

// bitCoder writes bits by their odds, or reads them: a model is written down once
// and serves both ways. newBitWriter and newBitReader make one.
type bitCoder struct {
	data  []byte
	width uint32 // of the range

	writing bool
	low     uint32 // where the range begins, when writing
	code    uint32 // how far into the range the code is, when reading
	at      int    // the next byte to be read
}

func newBitWriter(dst []byte) *bitCoder {
	return &bitCoder{data: dst, width: 1<<32 - 1, writing: true}
}

func newBitReader(data []byte) *bitCoder {
	c := &bitCoder{data: data, width: 1<<32 - 1}
	for range 4 {
		c.code = c.code<<8 | uint32(c.next())
	}
	return c
}

// next returns the next byte; those after the last are zero.
func (c *bitCoder) next() byte {
	c.at++
	if c.at > len(c.data) {
		return 0
	}
	return c.data[c.at-1]
}

// bit writes a bit, or reads one; it returns the bit.
func (c *bitCoder) bit(o *odds, one bool) bool {
	share := c.width >> 16 * (o.one >> 12)
	if c.writing {
		one = c.put(share, one)
	} else if one = c.code < share; one {
		c.width = share
	} else {
		c.code -= share
		c.width -= share
	}
	o.learn(one)
	for c.width < oddsRange {
		c.width <<= 8
		if c.writing {
			c.data = append(c.data, byte(c.low>>24))
			c.low <<= 8
		} else {
			c.code = c.code<<8 | uint32(c.next())
		}
	}
	return one
}

func (c *bitCoder) put(share uint32, one bool) bool {
	if one {
		c.width = share
		return one
	}
	c.raise(share)
	c.width -= share
	return one
}

// raise moves the beginning of the range up.
func (c *bitCoder) raise(by uint32) {
	if c.low += by; c.low < by {
		for i := len(c.data) - 1; ; i-- { // the code is below 1: a byte takes it
			if c.data[i]++; c.data[i] != 0 {
				return
			}
		}
	}
}

// end returns what was written: the byte after the others tells the range.
func (c *bitCoder) end() []byte {
	if c.low&(oddsRange-1) != 0 {
		c.raise(oddsRange - c.low&(oddsRange-1))
	}
	return append(c.data, byte(c.low>>24))
}

// ended says whether what was read ended where it was to.
func (c *bitCoder) ended() bool { return c.at == len(c.data)+3 && c.code < oddsRange }

// farOdds are those of the bits of a whole number of any size, small ones the
// likeliest: so many ones as its length has bits, a zero, the bits behind the
// first. Of these only the highest has odds.
type farOdds struct {
	length [64]odds
	high   [64]odds
}

func newFarOdds() (f farOdds) {
	evens(f.length[:])
	evens(f.high[:])
	return f
}

// far codes a whole number below 1<<62.
func (c *bitCoder) far(f *farOdds, v uint64) uint64 {
	v++
	n := 0
	for n < 62 && c.bit(&f.length[n], v>>n > 1) {
		n++
	}
	out := uint64(1)
	for i := n - 1; i >= 0; i-- {
		o := even()
		if i == n-1 {
			out = out<<1 | one(c.bit(&f.high[n], v>>i&1 != 0))
			continue
		}
		out = out<<1 | one(c.bit(&o, v>>i&1 != 0))
	}
	return out - 1
}

func one(b bool) uint64 {
	if b {
		return 1
	}
	return 0
}
