package codec

// A table gives each of 16 symbols a frequency out of 1<<tableBits, and each
// symbol stands for a range of residuals: the narrow ones in the middle for
// one residual, the others for a power of two, told apart by extra bits.
//
// A decoder has a number below 1<<tableBits and wants the symbol in whose share
// it lies. It compares with all 15 borders at once, four in a word.
const (
	tableBits  = 15
	tableTotal = 1 << tableBits
	symbols    = 16

	lanes     = 0x0001_0001_0001_0001
	laneSigns = 0x8000_8000_8000_8000
)

// borders are the first numbers of the symbols but the first, four in a word.
type borders [4]uint64

// words are the symbols of a table, each in a word.
type words [symbols]uint64

// A symbol's word: its first number in bits 0–15, frequency in 16–31, by how
// many bits its base is shifted in 32–39, extra bits in 40–47, base (signed)
// in 48–63.
func symbolWord(start, freq uint32, l *layout, s int, shift uint) uint64 {
	return uint64(start) | uint64(freq)<<16 | uint64(shift)<<32 |
		uint64(uint(l.bits[s])+shift)<<40 | uint64(uint16(l.base[s]))<<48
}

// find returns the symbol in whose share the number lies: in each lane the
// sign stays where the number is at least the border, and the product adds the
// lanes up.
func (b *borders) find(number uint64) uint64 {
	n := number*lanes | laneSigns
	return ((n-b[0])&laneSigns>>3 + (n-b[1])&laneSigns>>3 +
		(n-b[2])&laneSigns>>3 + (n-b[3])&laneSigns>>3) * lanes >> 60
}

// setTable makes a table of the first numbers of the symbols, which rise.
func setTable(b *borders, w *words, start *[symbols + 1]uint32, l *layout, shift uint) {
	b[3] = tableTotal << 48 // the last lane is never reached
	for s := range symbols {
		w[s] = symbolWord(start[s], start[s+1]-start[s], l, s, shift)
		if s < symbols-1 {
			lane := 16 * (s % 4)
			b[s/4] = b[s/4]&^(0xffff<<lane) | uint64(start[s+1])<<lane
		}
	}
}

// A layout says which residuals the symbols stand for, in units of a shift.
type layout struct {
	base [symbols + 1]int16 // the last one ends the range
	bits [symbols]uint8
}

const (
	narrow   = 0 // one by one from −3 to 4: for small scales
	wide     = 1 // one by one from −6 to 5: for large ones
	unsigned = 2 // one by one from 0 to 11: for counts
)

var layouts = [3]layout{
	narrow: {
		base: [...]int16{-89, -25, -9, -5, -3, -2, -1, 0, 1, 2, 3, 4, 5, 7, 11, 27, 91},
		bits: [...]uint8{6, 4, 2, 1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 2, 4, 6},
	},
	wide: {
		base: [...]int16{-74, -10, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 10, 74},
		bits: [...]uint8{6, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 6},
	},
	unsigned: {
		base: [...]int16{0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 16, 32, 96, 352},
		bits: [...]uint8{0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 2, 4, 6, 8},
	},
}

// holds says whether the layout has a symbol for the residual.
func (l *layout) holds(r int64, shift uint) bool {
	r >>= shift
	return r >= int64(l.base[0]) && r < int64(l.base[symbols])
}

// code returns the code of a residual that the layout holds, with the words of
// its table.
func (l *layout) code(w *words, r int64, shift uint) coded {
	u := r >> shift
	s := symbols - 1
	for int64(l.base[s]) > u {
		s--
	}
	return coded{word: w[s], rest: uint64(r - int64(l.base[s])<<shift)}
}

// Scales rise by a fourth root of two: scale k is 2^(k/4 − 4) residuals.
const maxScale = 200

// quarter holds 2^(−i/4) in 1/65536.
var quarter = [4]int64{65536, 55109, 46341, 38968}

// scaleLayout returns how the residuals of a scale become symbols: one by one
// around the middle up to a scale of 2.4, beyond that so many low bits as they
// are that the scale of the rest lies between 1.4 and 2.4.
func scaleLayout(scale int) (kind int, shift uint) {
	if scale < 18 {
		return narrow, 0
	}
	return wide, uint(scale-18) / 4
}

// shaped returns the first numbers of the symbols for a shape and scale whose
// middle lies so many sixteenths above zero; a residual stands for what was
// rounded to it, so its share begins half below.
func shaped(shape, scale, middle int) (start [symbols + 1]uint32) {
	kind, shift := scaleLayout(scale)
	l := &layouts[kind]
	// 16 sixteenths of 2^shift are so many 1/65536 of a step of the shape.
	down := scale/4 - int(shift)
	factor := quarter[scale%4] * shapeSteps
	for s := 1; s < symbols; s++ {
		z := (int64(l.base[s])*16 - int64(middle+8)>>shift) * factor >> down
		start[s] = uint32(s) + uint32(below(shape, z)*(tableTotal-symbols)/shapeOne)
	}
	start[symbols] = tableTotal
	return start
}
