package codec

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// Bits that are foreseen take next to nothing, others a bit.
func TestOdds(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		one  float64
		most float64 // bits for one
	}{{0, 0.003}, {1, 0.003}, {0.01, 0.09}, {0.25, 0.83}, {0.5, 1.01}} {
		bits := make([]bool, 20_000)
		var o Odds
		w := NewBitWriter(nil)
		for i := range bits {
			bits[i] = rnd.Float64() < c.one
			w.Bit(&o, bits[i])
		}
		data := w.End()
		if per := 8 * float64(len(data)) / float64(len(bits)); per > c.most {
			t.Errorf("%.2f of ones: %.4f bits for one", c.one, per)
		}
		r := NewBitReader(data)
		o = Odds{}
		for i, want := range bits {
			if r.Bit(&o, false) != want {
				t.Fatalf("%.2f of ones: bit %d comes back as another", c.one, i)
			}
		}
		if !r.Ended() {
			t.Errorf("%.2f of ones: not at the end", c.one)
		}
	}
}

// Whole numbers of all sizes come back, and carries go through.
func TestFar(t *testing.T) {
	var f FarOdds
	w := NewBitWriter([]byte{255})
	var want []uint64
	for n := range uint(62) {
		want = append(want, 1<<n-1, 1<<n, 1<<n+1<<n/3)
	}
	want[len(want)-1] = 1<<62 - 2
	for range 3 {
		for _, v := range want {
			w.Far(&f, v)
		}
	}
	data := w.End()
	if data[0] != 255 {
		t.Fatal("a byte before has changed")
	}
	r := NewBitReader(data[1:])
	f = FarOdds{}
	for range 3 {
		for _, v := range want {
			if got := r.Far(&f, 0); got != v {
				t.Fatalf("%d comes back, want %d", got, v)
			}
		}
	}
	if !r.Ended() {
		t.Error("not at the end")
	}
}

// Counts far from the usual, long steps and the ends of the range come back.
func TestRhythmEnds(t *testing.T) {
	var vals []int64
	at := int64(-1 << 60)
	for i, n := range []int{1, 400, 1, 2, 900, 30, 30, 30, 1, 60} {
		vals = append(vals, slices.Repeat([]int64{at}, n)...)
		if at += 60; i%3 == 2 {
			at += 1 << (6 * i)
		}
	}
	vals = append(vals, 1<<60, 1<<60)
	data := appendRhythm(nil, vals)
	got, err := ReadInts(nil, data, len(vals))
	if len(data) == 0 || err != nil || !slices.Equal(got, vals) {
		t.Fatalf("%d bytes, %v, %d numbers come back, want %d", len(data), err, len(got), len(vals))
	}
	for _, bad := range [][]int64{append(slices.Clone(vals), 5), append(slices.Clone(vals), math.MaxInt64), {1, 1, 1}} {
		if got := appendRhythm(nil, bad); len(got) > 0 {
			t.Errorf("mode %d for numbers that are not of it", got[0])
		}
	}
	for _, period := range []byte{0, 255} {
		bad := slices.Clone(data)
		bad[1] = period
		if _, err := ReadInts(nil, bad, len(vals)); err == nil {
			t.Errorf("a period that begins with %d is taken", period)
		}
	}
}

// The commits of a network whose stations speak every ten minutes, a few seconds
// after it, take less by their rhythm than by runs.
func TestRhythmSize(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 3))
	var vals []int64
	for step := range int64(80) {
		for s := range int64(50) {
			vals = append(vals, 1_790_000_000+step*600+s*7919%11_000/1000+rnd.Int64N(4)/3)
		}
	}
	slices.Sort(vals)
	var s Small
	runs, rhythm := len(s.appendRepeats(nil, vals)), len(s.AppendInts(nil, vals, nil))
	t.Logf("bits a commit: %.2f by runs, %.2f", 8*float64(runs)/float64(len(vals)), 8*float64(rhythm)/float64(len(vals)))
	if rhythm*10 > runs*8 {
		t.Errorf("%d bytes, %d by runs", rhythm, runs)
	}
}

// Ticks come back, and what is cut or changed gives an error or as many others.
func TestTicks(t *testing.T) {
	rnd := rand.New(rand.NewPCG(4, 5))
	at, counts := []int64{-7}, []int64{}
	for range 400 {
		counts = append(counts, 1+rnd.Int64N(20)*rnd.Int64N(2))
		at = append(at, at[len(at)-1]+1+rnd.Int64N(12)/11*580)
	}
	data := AppendTicks(nil, slices.Clone(at), slices.Clone(counts))
	gotAt, gotCounts, err := ReadTicks(data, at[0], len(at))
	if err != nil || !slices.Equal(gotAt, at) || !slices.Equal(gotCounts, counts) {
		t.Fatalf("%d ticks and %d counts come back, %v", len(gotAt), len(gotCounts), err)
	}
	one := AppendTicks(nil, at[:1], nil)
	if gotAt, gotCounts, err = ReadTicks(one, 5, 1); err != nil || !slices.Equal(gotAt, []int64{5}) || len(gotCounts) > 0 {
		t.Errorf("one tick: %v, %v, %v", gotAt, gotCounts, err)
	}
	for n := range data {
		if _, _, err := ReadTicks(data[:n], at[0], len(at)); err == nil {
			t.Errorf("%d of %d bytes decode", n, len(data))
		}
	}
	if _, _, err := ReadTicks(append(slices.Clone(data), 0), at[0], len(at)); err == nil {
		t.Error("a byte more decodes")
	}
	for range 500 {
		bad := slices.Clone(data)
		bad[rnd.IntN(len(bad))] ^= 1 << rnd.IntN(8)
		got, _, err := ReadTicks(bad, at[0], len(at))
		for i := 1; err == nil && i < len(got); i++ {
			if got[i] <= got[i-1] {
				t.Fatalf("tick %d is at %d after %d", i, got[i], got[i-1])
			}
		}
	}
}

func FuzzReadTicks(f *testing.F) {
	f.Add(AppendTicks(nil, []int64{0, 1, 2, 60, 61, 62, 120}, []int64{3, 2, 3, 4, 1, 3}), int64(0), uint8(7))
	f.Fuzz(func(t *testing.T, data []byte, first int64, n uint8) {
		at, counts, err := ReadTicks(data, first, int(n))
		if err != nil {
			return
		}
		if len(at) != int(n) || len(counts) != int(n)-1 {
			t.Fatalf("%d ticks and %d counts, want %d", len(at), len(counts), n)
		}
		for i := range counts {
			if at[i+1] <= at[i] || counts[i] < 1 {
				t.Fatalf("tick %d: at %d after %d, %d before", i+1, at[i+1], at[i], counts[i])
			}
		}
	})
}
