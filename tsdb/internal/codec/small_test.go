package codec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// smallColumns are numbers that bring every form of mode intSmall about, and
// what is hard on it.
func smallColumns() map[string][]int64 {
	rnd := rand.New(rand.NewPCG(7, 8))
	cols := intColumns()
	level := make([]int64, 4321)
	surge := 0.0
	for i := range level {
		surge += 3 * rnd.NormFloat64()
		level[i] = int64(2000 + surge + 600*math.Cos(float64(i)/11.86) + 2*rnd.NormFloat64())
	}
	cols["level"] = level
	spikes := slices.Clone(level[:2000])
	for _, at := range []int{0, 1, 500, 501, 999, 1000, 1001, 1998, 1999} {
		spikes[at] = -9999
	}
	for i := 700; i < 750; i++ {
		spikes[i] = -9999
	}
	for i := 1500; i < 2000; i++ {
		spikes[i] += 123456
	}
	cols["spikes"] = spikes
	rain := make([]int64, 3000)
	for i := range rain {
		if i > 0 {
			rain[i] = max(0, rain[i-1]-2)
		}
		if rnd.IntN(60) == 0 {
			rain[i] = 2 * rnd.Int64N(12)
		}
	}
	cols["rain"] = rain
	cols["storm"] = slices.Concat(rain, []int64{4000, 4002}, rain)
	counts, coarse, huge := []int64{}, []int64{}, []int64{}
	for i := range 1500 {
		counts = append(counts, rnd.Int64N(4)*rnd.Int64N(3))
		coarse = append(coarse, 7+1000*(level[i]/10))
		huge = append(huge, 1<<61+level[i]<<20+rnd.Int64N(1<<18))
	}
	cols["counts"], cols["coarse"], cols["huge"] = counts, coarse, huge
	odd := [...]int64{12, 5077, 90001, 123457, 777777, 1 << 30}
	sum := int64(0)
	for range 1000 {
		v := odd[rnd.IntN(len(odd))]
		sum += v
		cols["few values"], cols["few steps"] = append(cols["few values"], v), append(cols["few steps"], sum)
	}
	for i := range int64(20) {
		cols["multiples"] = append(cols["multiples"], 5000+1000*(i*i%7))
	}
	second := int64(1_790_000_000)
	for range 150 {
		second += 1 + rnd.Int64N(30)/29*588
		for range 10 + rnd.IntN(8) {
			cols["seconds"] = append(cols["seconds"], second)
		}
	}
	for range 150 { // and some that come at all seconds
		second += rnd.Int64N(4)
		cols["any seconds"] = append(cols["any seconds"], second)
	}
	for i := range int64(1000) { // a minute's stations, and some of them a second later
		cols["rhythm"] = append(cols["rhythm"], i/8*60-3000+i%8/3+rnd.Int64N(4)/3)
	}
	slices.Sort(cols["rhythm"])
	for i := range 31 {
		cols["day counts"] = append(cols["day counts"], 97-int64(i)/30*51-int64(30-i)/30*44)
	}
	for range 500 {
		cols["noise"] = append(cols["noise"], rnd.Int64N(1<<40)-1<<39)
	}
	cols["few"] = level[:smallMin]
	cols["rising"] = level
	for i := range cols["rising"] {
		cols["commits"] = append(cols["commits"], int64(2000*i)+rnd.Int64N(900))
	}
	return cols
}

func gapsFor(n int, rnd *rand.Rand) []uint8 {
	gaps := make([]uint8, n)
	for i := range gaps {
		if rnd.IntN(40) == 0 {
			gaps[i] = uint8(1 + rnd.IntN(3))
		}
	}
	return gaps
}

func TestSmallInts(t *testing.T) {
	var s Small
	rnd := rand.New(rand.NewPCG(9, 10))
	forms := map[byte]bool{}
	for name, want := range smallColumns() {
		for _, gaps := range [][]uint8{nil, gapsFor(len(want), rnd)} {
			data := s.AppendInts([]byte{1, 2}, want, gaps)[2:]
			got, err := ReadGappedInts([]int64{42}, data, len(want), gaps)
			if err != nil || got[0] != 42 || !slices.Equal(got[1:], want) {
				t.Errorf("%s: %v, %d numbers come back, want %d as they were", name, err, len(got)-1, len(want))
			}
			if fast := AppendInts(nil, want); len(data) > len(fast) {
				t.Errorf("%s: %d bytes, another form takes %d", name, len(data), len(fast))
			}
			if mode, ok := map[string]byte{"seconds": intRhythm, "rhythm": intRhythm, "day counts": intRepeats}[name]; ok && data[0] != mode {
				t.Errorf("%s is in mode %d, not in %d", name, data[0], mode)
			}
			if data[0] == intSmall {
				forms[data[1]] = true
			}
			for _, n := range cuts(len(data)) {
				if _, err := ReadGappedInts(nil, data[:n], len(want), gaps); err == nil {
					t.Errorf("%s: %d of %d bytes decode", name, n, len(data))
				}
			}
			if _, err := ReadGappedInts(nil, append(data, 0), len(want), gaps); err == nil {
				t.Errorf("%s: a byte more decodes", name)
			}
		}
	}
	for _, f := range []byte{formLevel, formLast, formLast | formCoarse, formLast | formGapped} {
		if !forms[f] {
			t.Errorf("no column took form %d: %v", f, forms)
		}
	}
	if len(forms) < 8 {
		t.Errorf("linear forms are missing: %v", forms)
	}
}

// cuts are the lengths to cut a section to: all of a short one.
func cuts(n int) []int {
	var out []int
	for i := 0; i < n; i += 1 + i/100 {
		out = append(out, i)
	}
	return out
}

func TestSmallNeedsGaps(t *testing.T) {
	level := smallColumns()["level"]
	gaps := gapsFor(len(level)-200, rand.New(rand.NewPCG(1, 1)))
	for i, g := range gaps { // the numbers are missing
		level = slices.Delete(level, i, i+int(g))
	}
	level = level[:len(gaps)]
	data := new(Small).AppendInts(nil, level, gaps)
	if data[0] != intSmall || data[1]&formGapped == 0 {
		t.Fatalf("mode %d, form %d: gaps are not used", data[0], data[1])
	}
	for name, bad := range map[string][]uint8{"none": nil, "too few": gaps[1:], "zeros": make([]uint8, len(gaps))} {
		if _, err := ReadGappedInts(nil, data, len(level), bad); err == nil {
			t.Errorf("%s: decodes without its gaps", name)
		}
	}
}

// One bad reading costs a few bytes, a sensor moved no more.
func TestSmallEvents(t *testing.T) {
	level := smallColumns()["level"]
	var s Small
	clean := len(s.AppendInts(nil, level, nil))
	spiky := slices.Clone(level)
	spiky[1000], spiky[3000] = -9999, 1<<40
	if more := len(s.AppendInts(nil, spiky, nil)) - clean; more > 30 {
		t.Errorf("two spikes cost %d bytes", more)
	}
	moved := slices.Clone(level)
	for i := 900; i < len(moved); i++ {
		moved[i] += 5000
	}
	if more := len(s.AppendInts(nil, moved, nil)) - clean; more > 20 {
		t.Errorf("a step costs %d bytes", more)
	}
}

// Flipped bits give an error or other numbers, and never more of them.
func TestSmallFlips(t *testing.T) {
	var s Small
	rnd := rand.New(rand.NewPCG(3, 3))
	for name, want := range smallColumns() {
		data := s.AppendInts(nil, want, nil)
		for range 300 {
			bad := slices.Clone(data)
			bad[rnd.IntN(min(len(bad), 80))] ^= 1 << rnd.IntN(8)
			if got, err := ReadInts(nil, bad, len(want)); err == nil && len(got) != len(want) {
				t.Fatalf("%s: %d numbers, want %d", name, len(got), len(want))
			}
		}
	}
}

func FuzzSmallRead(f *testing.F) {
	var s Small
	for _, v := range smallColumns() {
		v = v[:min(len(v), 300)]
		f.Add(s.AppendInts(nil, v, nil), uint16(len(v)), uint8(0))
		f.Add(s.AppendInts(nil, v, gapsOf(len(v), 7)), uint16(len(v)), uint8(7))
	}
	f.Fuzz(func(t *testing.T, data []byte, count uint16, every uint8) {
		n := int(count) % 5000
		got, err := ReadGappedInts(nil, data, n, gapsOf(n, int(every)))
		if err == nil && len(got) != n {
			t.Fatalf("%d values, want %d", len(got), n)
		}
		if cap(got) > 4*n+1024 {
			t.Fatalf("memory for %d values where %d were announced", cap(got), n)
		}
	})
}

// gapsOf has a gap before each so manieth value.
func gapsOf(n, every int) []uint8 {
	if every == 0 {
		return nil
	}
	gaps := make([]uint8, n)
	for i := every; i < n; i += every {
		gaps[i] = uint8(i % 5)
	}
	return gaps
}

func FuzzSmallRoundTrip(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\xff\xff\xff\xff\xff\xff\xff\xff"), uint8(3), uint8(200), uint8(5), uint8(1))
	f.Add([]byte("\x02\x03\x02\x03\x01\x00\x00\x07\x12\x00\x01\x02"), uint8(60), uint8(255), uint8(0), uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, shift, count, every, sum uint8) {
		ints := stretch(data, int(count)*4, uint(shift%64), int(sum%3))
		gaps := gapsOf(len(ints), int(every))
		enc := new(Small).AppendInts(nil, ints, gaps)
		if got, err := ReadGappedInts(nil, enc, len(ints), gaps); err != nil || !slices.Equal(got, ints) {
			t.Fatalf("%v: %v comes back, want %v", err, got, ints)
		}
	})
}

// stretch makes so many numbers of a few bytes, summed up so often.
func stretch(data []byte, count int, shift uint, sums int) []int64 {
	if len(data) == 0 {
		return nil
	}
	ints := make([]int64, count)
	state := uint64(1)
	for i := range ints {
		state = state*6364136223846793005 + uint64(data[i%len(data)])
		ints[i] = int64(state) >> shift
		if data[i%len(data)]%5 == 0 {
			ints[i] = int64(data[i%len(data)])
		}
	}
	for range sums {
		for i := 1; i < len(ints); i++ {
			ints[i] += ints[i-1]
		}
	}
	return ints
}
