package codec

import (
	"math"
	"math/bits"
)

// bins counts the residuals of each class and fraction, in bins of a power of
// two around zero; the outermost also hold what lies beyond.
type bins struct {
	count [maxClasses][fractions][binCount]uint32
	shift [maxClasses]uint // of the bins of a class
	scale [maxClasses]int  // first guess
	used  [maxClasses]uint32
	from  [maxClasses]int // the bins that hold any lie
	to    [maxClasses]int // between these
	tally [maxClasses]tally

	beyond int // residuals that no bin holds: events
}

const binCount = 256

// tally counts the symbols of a class in a layout.
type tally struct {
	known  bool
	kind   int
	shift  uint
	counts [fractions][symbols]uint32
}

// sort fills the bins for the classes of the model, bins of one where symbols
// are to be counted.
func (b *bins) sort(t *trial, m *model, classes int, one bool) {
	var sum [maxClasses]float64
	b.used = [maxClasses]uint32{}
	for i, size := range t.size {
		c := m.class[m.sizeOf(size)] % maxClasses
		left := &t.left[i]
		left.class = c
		b.used[c]++
		sum[c] += float64(left.dist)
	}
	for c := range classes {
		clear(b.count[c][:])
		b.from[c], b.to[c] = binCount, 0
		b.tally[c].known = false
		mean := sum[c] / float64(max(b.used[c], 1)) / float64(int(1)<<m.point)
		guess := math.Round(4*math.Log2(1.25*mean+1./32)) + 16
		b.scale[c] = int(max(0, min(maxScale, guess)))
		b.shift[c] = 0
		if !one {
			_, b.shift[c] = scaleLayout(max(0, b.scale[c]-4))
		}
	}
	b.beyond = 0
	for i := range t.left {
		left := &t.left[i]
		c := left.class % maxClasses
		at := left.value>>(b.shift[c]&63) + binCount/2
		if uint64(at) >= binCount {
			b.beyond++
			at = max(0, min(at, binCount-1))
		}
		b.count[c][left.part%fractions][at%binCount]++
		b.from[c], b.to[c] = min(b.from[c], int(at)), max(b.to[c], int(at)+1)
	}
}

// shape chooses the shape and the scales of a header and returns the bits of
// the residuals.
func (b *bins) shape(h *header, fractioned bool) float64 {
	best := math.Inf(1)
	for kind := range shapeCount {
		if h.shaped {
			break
		}
		total := 0.0
		for c := range h.classes {
			total += b.bits(kind, b.scale[c], c, fractioned)
		}
		if total < best {
			best, h.kind = total, kind
		}
	}
	total := 0.0
	for c := range h.classes {
		scale, bits := b.descend(h.kind, c, fractioned)
		h.scales[c] = uint8(scale)
		total += bits
	}
	return total
}

// descend looks around the first guess for the best scale of a class.
func (b *bins) descend(kind, c int, fractioned bool) (scale int, bits float64) {
	scale = b.scale[c]
	if b.used[c] == 0 {
		return scale, 0
	}
	bits = b.bits(kind, scale, c, fractioned)
	for _, step := range []int{-1, 1} {
		before := scale
		for next := scale + step; next >= 0 && next <= maxScale; next += step {
			n := b.bits(kind, next, c, fractioned)
			if n >= bits {
				break
			}
			scale, bits = next, n
		}
		if scale != before {
			break
		}
	}
	return scale, bits
}

// bits returns what the residuals of a class take in a shape of a scale.
func (b *bins) bits(shape, scale, c int, fractioned bool) float64 {
	if b.used[c] == 0 {
		return 0
	}
	kind, shift := scaleLayout(scale)
	if shift < b.shift[c] {
		return math.Inf(1)
	}
	t := b.collect(c, kind, shift)
	total := 0.0
	for f := range middles(shift, fractioned) {
		start := shaped(shape, scale, middle(f, shift, fractioned))
		total += taken(&t.counts[f], &start, &layouts[kind], shift)
	}
	return total
}

// collect counts the symbols of a class.
func (b *bins) collect(c, kind int, shift uint) *tally {
	t, l := &b.tally[c], &layouts[kind]
	if t.known && t.kind == kind && t.shift == shift {
		return t
	}
	*t = tally{known: true, kind: kind, shift: shift}
	var symbol [binCount]uint8
	from, to := min(b.from[c], b.to[c]), b.to[c]
	s := uint8(0)
	for i := from; i < to; i++ {
		for at := (i - binCount/2) >> (shift - b.shift[c]); s < symbols-1 && at >= int(l.base[s+1]); s++ {
		}
		symbol[i] = s
	}
	fractions := middles(shift, true)
	for f := range b.count[c] {
		counts := &t.counts[f%fractions]
		for i, n := range b.count[c][f][from:to] {
			counts[symbol[from+i]%symbols] += n
		}
	}
	return t
}

// taken returns the bits of so many symbols of a table.
func taken(counts *[symbols]uint32, start *[symbols + 1]uint32, l *layout, shift uint) float64 {
	total := 0.0
	for s, n := range counts {
		if n > 0 {
			total += float64(n) * (logs(start[s+1]-start[s]) + float64(uint(l.bits[s])+shift))
		}
	}
	return total
}

// mantissas holds the binary logarithms of 1 to 2.
var mantissas = func() (t [256]float64) {
	for i := range t {
		t[i] = math.Log2(1 + (float64(i)+0.5)/256)
	}
	return t
}()

// logs returns about the bits of a symbol of a frequency.
func logs(freq uint32) float64 {
	n := bits.LeadingZeros32(freq)
	return float64(tableBits-31+n) - mantissas[freq<<(n+1)>>24]
}

// counts chooses the tables of a header by the counts of the symbols and
// returns the bits of the residuals and of the tables.
func (b *bins) counts(h *header) float64 {
	l := &layouts[h.kind]
	total := 0.0
	for c := range h.classes {
		t := b.collect(c, h.kind, 0)
		h.levels[c] = levelsOf(&t.counts[0])
		start := counted(h.levels[c])
		total += taken(&t.counts[0], &start, l, 0) + float64(5*len(h.levels[c])+8)
		for i, n := range b.count[c][0] {
			if !l.holds(int64(i)-binCount/2, 0) {
				total += 32 * float64(n) // events
			}
		}
	}
	return total
}
