package codec

import (
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func TestLayoutsHaveNoGaps(t *testing.T) {
	for k, l := range layouts {
		for s := range symbols {
			if end := int(l.base[s]) + 1<<l.bits[s]; end != int(l.base[s+1]) {
				t.Errorf("layout %d: symbol %d ends at %d, the next begins at %d", k, s, end, l.base[s+1])
			}
		}
	}
}

// Whatever a header says, every symbol has a share, so that what an encoder
// meets can be coded; and the borders find each.
func TestTables(t *testing.T) {
	check := func(start [symbols + 1]uint32) {
		t.Helper()
		var b borders
		setTable(&b, new(words), &start, &layouts[wide], 0)
		if start[0] != 0 || start[symbols] != tableTotal {
			t.Fatalf("shares from %d to %d", start[0], start[symbols])
		}
		for s := range symbols {
			if start[s+1] <= start[s] {
				t.Fatalf("symbol %d has no share: %v", s, start)
			}
			for _, n := range []uint32{start[s], start[s+1] - 1} {
				if got := b.find(uint64(n)); got != uint64(s) {
					t.Fatalf("number %d is of symbol %d, want %d in %v", n, got, s, start)
				}
			}
		}
	}
	for shape := range shapeCount {
		for scale := range maxScale + 1 {
			for m := range 17 {
				check(shaped(shape, scale, m))
			}
		}
	}
	rnd := rand.New(rand.NewPCG(1, 2))
	for range 1000 {
		levels := make([]uint8, rnd.IntN(symbols+1))
		for i := range levels {
			levels[i] = uint8(rnd.IntN(maxLevel + 1))
		}
		check(counted(levels))
	}
}

// The bytes on disk mean what the tables are: they never change.
func TestTablesStay(t *testing.T) {
	h := crc32.NewIEEE()
	for shape := range shapeCount {
		for scale := range maxScale + 1 {
			for m := range 17 {
				for _, s := range shaped(shape, scale, m) {
					_, _ = h.Write([]byte{byte(s), byte(s >> 8)})
				}
			}
		}
	}
	for l := range uint8(maxLevel + 1) {
		for _, s := range counted([]uint8{l, maxLevel, maxLevel - l, 3, 0, l / 2}) {
			_, _ = h.Write([]byte{byte(s), byte(s >> 8)})
		}
	}
	if got, want := h.Sum32(), uint32(0x8daa3810); got != want {
		t.Errorf("tables have the checksum %#x, want %#x", got, want)
	}
}

// Each shape is what it is called, to a thousandth.
func TestShapes(t *testing.T) {
	tail := [shapeCount]func(z float64) float64{
		func(z float64) float64 { return math.Erfc(z/math.Sqrt2) / 2 },
		func(z float64) float64 { return 1 / (1 + math.Exp(1.733*z)) },
		func(z float64) float64 { return math.Exp(-1.25*z) / 2 },
		func(z float64) float64 {
			u := 1.378 * z / math.Sqrt(3)
			return 0.5 - (math.Atan(u)+u/(1+u*u))/math.Pi
		},
	}
	for shape, f := range tail {
		for _, z := range []float64{0, 0.1, 0.5, 1, 2.7, 6} {
			got := 1 - float64(below(shape, int64(z*shapeSteps*65536)))/shapeOne
			if math.Abs(got-f(z)) > 1e-3 {
				t.Errorf("shape %d: %.5f beyond %v, want %.5f", shape, got, z, f(z))
			}
		}
	}
}

func TestLevels(t *testing.T) {
	counts := [symbols]uint32{1000, 500, 0, 3, 1}
	levels := levelsOf(&counts)
	if len(levels) != 5 || levels[0] != maxLevel || levels[2] != 0 {
		t.Fatalf("levels %v of %v", levels, counts)
	}
	if levels[0]-levels[1] != 2 {
		t.Errorf("half as often is %d levels less, want 2", levels[0]-levels[1])
	}
	for n := range symbols + 1 {
		levels := slices.Repeat([]uint8{7}, n)
		r := reader{data: append(appendLevels(nil, levels), 42)}
		got := r.levels()
		if want := max(n, 1); r.err != nil || len(got) != want || len(r.data) != 1 || n > 0 && !slices.Equal(got, levels) {
			t.Errorf("%d levels read as %v, %v, %d bytes left", n, got, r.err, len(r.data))
		}
	}
}
