package codec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

func intColumns() map[string][]int64 {
	rnd := rand.New(rand.NewPCG(1, 2))
	walk := []int64{100}
	tide := []int64{}
	wild := []int64{}
	for i := range 1000 {
		walk = append(walk, walk[i]+rnd.Int64N(9)-4)
		tide = append(tide, int64(2000+1500*math.Sin(float64(i)/70))+rnd.Int64N(5))
		wild = append(wild, int64(rnd.Uint64()))
	}
	spiky := slices.Clone(walk)
	spiky[500], spiky[501] = math.MinInt64, math.MaxInt64
	return map[string][]int64{
		"none": {}, "one": {7}, "two": {7, -7}, "three": {1, 2, 4},
		"constant": {5, 5, 5, 5}, "walk": walk, "tide": tide, "wild": wild, "spiky": spiky,
		"ends": {math.MinInt64, math.MaxInt64, 0, math.MinInt64, -1}, "line": {10, 20, 30, 40, 50, 61},
		"zeros": append(make([]int64, 300), 1),
	}
}

func TestInts(t *testing.T) {
	for name, want := range intColumns() {
		data := AppendInts([]byte{1, 2}, want)[2:]
		got, err := ReadInts([]int64{42}, data, len(want))
		if err != nil || !slices.Equal(got[1:], want) || got[0] != 42 {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
		for n := range data {
			if _, err := ReadInts(nil, data[:n], len(want)); err == nil {
				t.Errorf("%s: %d of %d bytes decode", name, n, len(data))
			}
		}
		if _, err := ReadInts(nil, append(data, 0), len(want)); err == nil {
			t.Errorf("%s: a byte more decodes", name)
		}
	}
}

func timeColumns() map[string][]int64 {
	const start, step = 1_793_000_000_000, 600_000
	rnd := rand.New(rand.NewPCG(3, 4))
	var regular, jitter, gaps, wild []int64
	at := int64(start)
	for i := range int64(4320) {
		regular = append(regular, start+i*step)
		if i%50 != 7 {
			t := start + i*step
			if rnd.IntN(100) == 0 {
				t += 1000 + rnd.Int64N(2000)
			}
			jitter = append(jitter, t)
		}
		if rnd.IntN(10) > 0 {
			gaps = append(gaps, start+i*step)
		}
		at += rnd.Int64N(100_000)
		wild = append(wild, at)
	}
	return map[string][]int64{
		"none": {}, "one": {-5}, "two": {-5, 5}, "same": {3, 3, 3}, "same then not": {3, 3, 4, 4, 4, 5},
		"regular": regular, "jitter": jitter, "gaps": gaps, "wild": wild,
		"ends": {-1 << 60, 0, 1 << 60}, "exception last": {0, 10, 20, 30, 35}, "exception first": {0, 3, 10, 20, 30},
		"backlog": {0, 10, 20, 1000, 1010, 1020, 1020, 1030},
	}
}

func TestTimes(t *testing.T) {
	for name, want := range timeColumns() {
		data := AppendTimes(nil, want)
		got, err := ReadTimes([]int64{42}, data, len(want))
		if err != nil || !slices.Equal(got[1:], want) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
		for n := range data {
			if _, err := ReadTimes(nil, data[:n], len(want)); err == nil {
				t.Errorf("%s: %d of %d bytes decode", name, n, len(data))
			}
		}
		for i, x := range want {
			for _, y := range []int64{x - 1, x, x + 1} {
				first := slices.Index(want, y)
				at, ok, err := FindTime(data, len(want), y)
				if err != nil || ok != (first >= 0) || ok && at != first {
					t.Fatalf("%s: FindTime(%d) at %d = %d, %v, %v, want %d", name, y, i, at, ok, err, first)
				}
			}
		}
	}
}

// What jitter and gaps cost is why a group's times are stored once.
func TestTimesSize(t *testing.T) {
	times := timeColumns()["jitter"]
	if per := float64(len(AppendTimes(nil, times))) / float64(len(times)); per > 0.12 {
		t.Errorf("%.3f bytes a time with 2 %% gaps and 1 %% jitter, want at most 0.12", per)
	}
}

func floatColumns() map[string][]float64 {
	rnd := rand.New(rand.NewPCG(5, 6))
	var stage, noise, mixed []float64
	for i := range 500 {
		stage = append(stage, math.Round(2000+1000*math.Sin(float64(i)/30)+rnd.Float64()*4)/1000)
		noise = append(noise, rnd.NormFloat64())
		v := stage[i]
		if i%40 == 3 {
			v = math.Copysign(0, -1)
		}
		mixed = append(mixed, v)
	}
	return map[string][]float64{
		"none": {}, "one": {2.5}, "stage": stage, "noise": noise, "mixed": mixed,
		"special": {math.NaN(), math.Inf(1), math.Inf(-1), math.Copysign(0, -1), 5e-324, math.MaxFloat64, math.Float64frombits(0x7ff0000000000002)},
		"places":  {1, 0.5, 0.25, 0.125, 1e-9, 4503599627370494, 3},
	}
}

func sameBits(a, b []float64) bool {
	return slices.EqualFunc(a, b, func(x, y float64) bool { return math.Float64bits(x) == math.Float64bits(y) })
}

func TestFloats(t *testing.T) {
	for name, want := range floatColumns() {
		data, _ := AppendFloats(nil, want, nil)
		got, _, err := ReadFloats([]float64{42}, data, len(want), nil)
		if err != nil || !sameBits(got[1:], want) {
			t.Errorf("%s: got %v, %v, want %v", name, got, err, want)
		}
		for n := range data {
			if _, _, err := ReadFloats(nil, data[:n], len(want), nil); err == nil {
				t.Errorf("%s: %d of %d bytes decode", name, n, len(data))
			}
		}
	}
}

func TestRuns(t *testing.T) {
	for _, want := range [][]uint8{{}, {0}, {7, 7, 7}, {0, 1, 2, 3, 3, 3, 0}} {
		data := AppendRuns(nil, want)
		got, err := ReadRuns(nil, data, len(want))
		if err != nil || !slices.Equal(got, want) {
			t.Errorf("got %v, %v, want %v", got, err, want)
		}
	}
}

// FuzzRead decodes anything as anything: no panic, and no more values than
// announced.
func FuzzRead(f *testing.F) {
	for _, v := range intColumns() {
		f.Add(AppendInts(nil, v), uint16(len(v)), int64(5))
	}
	for _, v := range timeColumns() {
		f.Add(AppendTimes(nil, v), uint16(len(v)), int64(5))
	}
	for _, v := range floatColumns() {
		data, _ := AppendFloats(nil, v, nil)
		f.Add(data, uint16(len(v)), int64(0))
	}
	f.Fuzz(func(t *testing.T, data []byte, count uint16, x int64) {
		n := int(count) % 5000
		if got, err := ReadInts(nil, data, n); err == nil && len(got) != n {
			t.Fatalf("ints: %d values, want %d", len(got), n)
		}
		if got, err := ReadTimes(nil, data, n); err == nil && len(got) != n {
			t.Fatalf("times: %d values, want %d", len(got), n)
		}
		if at, ok, err := FindTime(data, n, x); err == nil && ok && (at < 0 || at >= n) {
			if times, err := ReadTimes(nil, data, n); err == nil && slices.IsSorted(times) {
				t.Fatalf("found at %d of %d", at, n)
			}
		}
		if got, _, err := ReadFloats(nil, data, n, nil); err == nil && len(got) != n {
			t.Fatalf("floats: %d values, want %d", len(got), n)
		}
		if got, err := ReadRuns(nil, data, n); err == nil && len(got) != n {
			t.Fatalf("runs: %d values, want %d", len(got), n)
		}
	})
}

// FuzzRoundTrip makes columns of foreign bytes and wants them back.
func FuzzRoundTrip(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\xff\xff\xff\xff\xff\xff\xff\xff"), uint8(3))
	f.Fuzz(func(t *testing.T, data []byte, shift uint8) {
		var ints []int64
		var floats []float64
		for i := 0; i+8 <= len(data); i++ {
			var u uint64
			for j := range 8 {
				u = u<<8 | uint64(data[i+j])
			}
			ints = append(ints, int64(u)>>(shift%64))
			floats = append(floats, math.Float64frombits(u))
		}
		if got, err := ReadInts(nil, AppendInts(nil, ints), len(ints)); err != nil || !slices.Equal(got, ints) {
			t.Fatalf("ints: %v, %v, want %v", got, err, ints)
		}
		enc, _ := AppendFloats(nil, floats, nil)
		if got, _, err := ReadFloats(nil, enc, len(floats), nil); err != nil || !sameBits(got, floats) {
			t.Fatalf("floats: %v, %v, want %v", got, err, floats)
		}
		for i := range ints {
			ints[i] >>= 4 // times stay between −2^60 and 2^60
		}
		slices.Sort(ints)
		enc = AppendTimes(nil, ints)
		if got, err := ReadTimes(nil, enc, len(ints)); err != nil || !slices.Equal(got, ints) {
			t.Fatalf("times: %v, %v, want %v", got, err, ints)
		}
		for i, x := range ints {
			if at, ok, err := FindTime(enc, len(ints), x); err != nil || !ok || at != slices.Index(ints, x) {
				t.Fatalf("FindTime(%d) = %d, %v, %v in %v (%d)", x, at, ok, err, ints, i)
			}
		}
		codes := make([]uint8, len(data))
		for i, b := range data {
			codes[i] = b >> (shift % 8) & 7
		}
		if got, err := ReadRuns(nil, AppendRuns(nil, codes), len(codes)); err != nil || !slices.Equal(got, codes) {
			t.Fatalf("runs: %v, %v, want %v", got, err, codes)
		}
	})
}

func BenchmarkFloats(b *testing.B) {
	vals := make([]float64, 4096)
	rnd := rand.New(rand.NewPCG(7, 8))
	for i := range vals {
		vals[i] = math.Round(2000+1000*math.Sin(float64(i)/25)+rnd.NormFloat64()*2) / 1000
	}
	var data []byte
	var scratch []int64
	b.Run("append", func(b *testing.B) {
		for b.Loop() {
			data, scratch = AppendFloats(data[:0], vals, scratch)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/value")
		b.ReportMetric(float64(len(data))/4096, "bytes/value")
	})
	b.Run("read", func(b *testing.B) {
		var out []float64
		for b.Loop() {
			out, scratch, _ = ReadFloats(out[:0], data, len(vals), scratch)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/4096, "ns/value")
	})
}
