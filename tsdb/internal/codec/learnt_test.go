package codec

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

// besideOf are two columns of n values, one of them with a jump and a pause.
func besideOf(n int) Beside {
	rnd := rand.New(rand.NewPCG(11, 12))
	b := Beside{make([]float64, n), make([]float64, n)}
	level := 20.0
	for i := range n {
		level += rnd.NormFloat64() / 8
		b[0][i] = math.Round(level*100) / 100
		if b[1][i] = 5 + math.Round(rnd.NormFloat64()*10)/10; i > n/2 {
			b[1][i] = 1e6
		}
	}
	return b
}

// follower is values that follow from what stands beside them.
func follower(b Beside) []float64 {
	out := make([]float64, len(b[0]))
	for i, v := range b[0] {
		out[i] = math.Round(10*(0.3+0.6*v+0.002*v*v)) / 10
	}
	return out
}

// learntColumns are values for which learning may pay, and what is hard on it.
func learntColumns() map[string][]float64 {
	cols := map[string][]float64{"follower": follower(besideOf(900))}
	for name, v := range smallFloatColumns() {
		cols[name] = v
	}
	for name, v := range smallColumns() {
		for _, m := range v[:min(len(v), 700)] {
			cols["ints/"+name] = append(cols["ints/"+name], float64(m)/10)
		}
	}
	return cols
}

// What is learnt comes back, alone and beside others, or is left to other forms.
func TestLearnt(t *testing.T) {
	var s Small
	told := 0
	for name, vals := range learntColumns() {
		for _, beside := range []Beside{nil, besideOf(len(vals)), besideOf(len(vals))[:1]} {
			columns := []int{7, 300}[:len(beside)]
			data := s.AppendFloatsBeside([]byte{9}, vals, columns, beside, 1<<30)
			if data[0] != 9 || len(data) == 1 {
				continue
			}
			told++
			got, err := FloatsBeside(data[1:])
			if err != nil || len(got) != len(columns) || len(got) > 1 && got[1] != 300 {
				t.Errorf("%s: told beside %d, %v, want %d", name, got, err, columns)
			}
			floats, _, err := ReadFloatsBeside(nil, data[1:], len(vals), nil, beside, nil)
			if err != nil || !sameBits(floats, vals) {
				t.Fatalf("%s beside %d columns: %v, other values come back", name, len(beside), err)
			}
			if again := s.AppendFloatsBeside(nil, vals, columns, beside, len(data)-1); len(again) > 0 {
				t.Errorf("%s: %d bytes, less than that were asked for", name, len(again))
			}
			if again := s.AppendFloatsBeside(nil, vals, columns, beside, len(data)); !bytes.Equal(again, data[1:]) {
				t.Errorf("%s: other bytes the second time", name)
			}
		}
	}
	if told < 50 {
		t.Errorf("%d columns were learnt", told)
	}
}

// Values that follow from others take next to nothing beside them.
func TestLearntBeside(t *testing.T) {
	beside := besideOf(2000)
	vals := follower(beside)
	var s Small
	alone := len(s.AppendFloats(nil, vals, nil))
	data := s.AppendFloatsBeside(nil, vals, []int{0, 1}, beside, alone)
	t.Logf("%d bytes beside others, %d alone", len(data), alone)
	if len(data) == 0 || len(data)*4 > alone {
		t.Errorf("%d bytes beside others, %d alone", len(data), alone)
	}
}

// Whatever stands beside, values come back.
func TestLearntBesideAnything(t *testing.T) {
	vals := follower(besideOf(500))
	var s Small
	for name, f := range map[string]func(i int) float64{
		"huge":     func(i int) float64 { return math.MaxFloat64 * float64(i%3-1) },
		"tiny":     func(i int) float64 { return 5e-324 * float64(i) },
		"constant": func(int) float64 { return -1e17 },
		"mixed":    func(i int) float64 { return math.Pow(10, float64(i%600-300)) },
	} {
		b := make([]float64, len(vals))
		for i := range b {
			b[i] = f(i)
		}
		data := s.AppendFloatsBeside(nil, vals, []int{0, 1, 2}, Beside{b, b, besideOf(500)[0]}, 1<<30)
		got, _, err := ReadFloatsBeside(nil, data, len(vals), nil, Beside{b, b, besideOf(500)[0]}, nil)
		if len(data) == 0 || err != nil || !sameBits(got, vals) {
			t.Errorf("%s: %d bytes, %v", name, len(data), err)
		}
	}
}

// Sections that do not fit what stands beside them, and cut ones, are errors.
func TestLearntDamaged(t *testing.T) {
	beside := besideOf(400)
	vals := follower(beside)
	var s Small
	data := s.AppendFloatsBeside(nil, vals, []int{0, 1}, beside, 1<<30)
	alone := s.AppendFloatsBeside(nil, vals, nil, nil, 1<<30)
	for name, c := range map[string]struct {
		data   []byte
		n      int
		beside Beside
	}{
		"no others":    {data, 400, nil},
		"one other":    {data, 400, beside[:1]},
		"others short": {data, 400, Beside{beside[0], beside[1][:399]}},
		"alone":        {alone, 400, beside},
		"fewer values": {alone, 350, nil},
		"more values":  {alone, 450, nil},
		"too few":      {alone, 10, nil},
		"longer":       {append(bytes.Clone(alone), 0), 400, nil},
		"no head":      {alone[:3], 400, nil},
		"nothing":      {nil, 400, beside},
	} {
		if got, _, err := ReadFloatsBeside(nil, c.data, c.n, nil, c.beside, nil); err == nil {
			t.Errorf("%s: %d values, no error", name, len(got))
		}
	}
	for _, head := range [][]byte{{floatsBeside}, {floatsBeside, 0}, {floatsBeside, 4, 1, 2, 3, 4}, {floatsBeside, 1}, {floatsBeside, 1, 255, 255, 255, 255, 127}} {
		if got, err := FloatsBeside(head); err == nil {
			t.Errorf("% x: beside %d, no error", head, got)
		}
	}
}

func FuzzLearntRead(f *testing.F) {
	var s Small
	for _, v := range learntColumns() {
		v = v[:min(len(v), 300)]
		f.Add(s.AppendFloatsBeside(nil, v, nil, nil, 1<<30), uint16(len(v)), uint8(0))
		f.Add(s.AppendFloatsBeside(nil, v, []int{1, 2}, besideOf(len(v)), 1<<30), uint16(len(v)), uint8(2))
	}
	f.Fuzz(func(t *testing.T, data []byte, count uint16, others uint8) {
		n := int(count) % 3000
		got, scratch, err := ReadFloatsBeside(nil, data, n, nil, besideOf(n)[:others%3], nil)
		if err == nil && len(got) != n {
			t.Fatalf("%d values, want %d", len(got), n)
		}
		if cap(got) > 4*n+1024 || cap(scratch) > 4*n+1024 {
			t.Fatalf("memory for %d and %d values where %d were announced", cap(got), cap(scratch), n)
		}
	})
}
