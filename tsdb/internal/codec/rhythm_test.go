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
		w, o := newBitWriter(nil), even()
		for i := range bits {
			bits[i] = rnd.Float64() < c.one
			w.bit(&o, bits[i])
		}
		data := w.end()
		if per := 8 * float64(len(data)) / float64(len(bits)); per > c.most {
			t.Errorf("%.2f of ones: %.4f bits for one", c.one, per)
		}
		r, o := newBitReader(data), even()
		for i, want := range bits {
			if r.bit(&o, false) != want {
				t.Fatalf("%.2f of ones: bit %d comes back as another", c.one, i)
			}
		}
		if !r.ended() {
			t.Errorf("%.2f of ones: not at the end", c.one)
		}
	}
}

// Whole numbers of all sizes come back, and carries go through.
func TestFar(t *testing.T) {
	w, f := newBitWriter([]byte{255}), newFarOdds()
	var want []uint64
	for n := range uint(62) {
		want = append(want, 1<<n-1, 1<<n, 1<<n+1<<n/3)
	}
	want[len(want)-1] = 1<<62 - 2
	for range 3 {
		for _, v := range want {
			w.far(&f, v)
		}
	}
	data := w.end()
	if data[0] != 255 {
		t.Fatal("a byte before has changed")
	}
	r, f := newBitReader(data[1:]), newFarOdds()
	for range 3 {
		for _, v := range want {
			if got := r.far(&f, 0); got != v {
				t.Fatalf("%d comes back, want %d", got, v)
			}
		}
	}
	if !r.ended() {
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
