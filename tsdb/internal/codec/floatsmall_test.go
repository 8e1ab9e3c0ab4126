package codec

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// smallFloatColumns are values as stations make them, and worse.
func smallFloatColumns() map[string][]float64 {
	rnd := rand.New(rand.NewPCG(11, 12))
	cols := floatColumns()
	feet := func(i int) float64 { return math.Round(2000+500*math.Sin(float64(i)/70)+3*rnd.NormFloat64()) / 100 }
	for i := range 1500 {
		f := feet(i)
		cols["decimal"] = append(cols["decimal"], f)
		cols["single"] = append(cols["single"], float64(float32(f)))
		cols["feet"] = append(cols["feet"], f*0.3048)
		printed, _ := strconv.ParseFloat(strconv.FormatFloat(f*3600/9.2e5, 'g', 15, 64), 64)
		cols["printed"] = append(cols["printed"], printed)
		cols["volts"] = append(cols["volts"], math.Round(f*10)*(5./4096))
		cols["noise32"] = append(cols["noise32"], float64(float32(rnd.NormFloat64())))
		cols["smooth"] = append(cols["smooth"], math.Exp(math.Sin(float64(i)/100)))
		cols["few"] = append(cols["few"], math.Sqrt(float64(rnd.IntN(30))))
		v := f
		switch i % 100 {
		case 7:
			v = math.Copysign(0, -1)
		case 9:
			v = math.Pi * f
		case 50, 51:
			v = math.NaN()
		}
		cols["exceptions"] = append(cols["exceptions"], v)
		if i%90 == 0 {
			f += 0.000123 // a place more now and then
		}
		cols["places"] = append(cols["places"], f)
	}
	cols["first and last"] = slices.Clone(cols["decimal"])
	cols["first and last"][0], cols["first and last"][1499] = math.Inf(1), math.Float64frombits(0x7ff0000000000002)
	for range 8 {
		cols["specials"] = append(cols["specials"], cols["special"]...)
	}
	cols["specials"] = append(cols["specials"], cols["specials"]...)
	return cols
}

func TestSmallFloats(t *testing.T) {
	var s Small
	rnd := rand.New(rand.NewPCG(9, 10))
	for name, want := range smallFloatColumns() {
		for _, gaps := range [][]uint8{nil, gapsFor(len(want), rnd)} {
			data := s.AppendFloats([]byte{1, 2}, want, gaps)[2:]
			got, _, err := ReadGappedFloats([]float64{42}, data, len(want), gaps, nil)
			if err != nil || got[0] != 42 || !sameBits(got[1:], want) {
				t.Errorf("%s: %v, %d values come back, want %d as they were", name, err, len(got)-1, len(want))
			}
			for _, n := range cuts(len(data)) {
				if _, _, err := ReadGappedFloats(nil, data[:n], len(want), gaps, nil); err == nil {
					t.Errorf("%s: %d of %d bytes decode", name, n, len(data))
				}
			}
			if _, _, err := ReadGappedFloats(nil, append(data, 0), len(want), gaps, nil); err == nil {
				t.Errorf("%s: a byte more decodes", name)
			}
		}
	}
}

// What a value costs where its scaling is found, and where there is none.
func TestSmallFloatsSize(t *testing.T) {
	var s Small
	cols := smallFloatColumns()
	for name, most := range map[string]float64{
		"decimal": 0.55, "single": 0.55, "feet": 0.56, "volts": 0.85, "printed": 1.3, "noise32": 4.01, "smooth": 5.5, "few": 0.8,
		"exceptions": 1.0, "places": 0.75,
	} {
		data := s.AppendFloats(nil, cols[name], nil)
		if per := float64(len(data)) / float64(len(cols[name])); per > most {
			t.Errorf("%s: %.3f bytes a value, want at most %.3f", name, per, most)
		}
	}
}

func TestReadScaled(t *testing.T) {
	var s Small
	for name, vals := range smallFloatColumns() {
		fast, _ := AppendFloats(nil, vals, nil)
		for _, data := range [][]byte{fast, s.AppendFloats(nil, vals, nil)} {
			ints, places, ok, err := ReadScaled([]int64{42}, data, len(vals), nil)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if want := name == "decimal" || name == "stage"; want && !ok {
				t.Errorf("%s: mode %d gives no whole numbers", name, data[0])
			}
			if !ok {
				if len(ints) != 1 {
					t.Errorf("%s: %d numbers and not ok", name, len(ints))
				}
				continue
			}
			by := math.Pow10(places)
			for i, m := range ints[1:] {
				if math.Float64bits(float64(m)/by) != math.Float64bits(vals[i]) {
					t.Fatalf("%s: %d / %g is not %v", name, m, by, vals[i])
				}
			}
		}
	}
}

func FuzzSmallFloatsRead(f *testing.F) {
	var s Small
	for _, v := range smallFloatColumns() {
		v = v[:min(len(v), 200)]
		f.Add(s.AppendFloats(nil, v, nil), uint16(len(v)), uint8(0))
		f.Add(s.AppendFloats(nil, v, gapsOf(len(v), 7)), uint16(len(v)), uint8(7))
	}
	f.Fuzz(func(t *testing.T, data []byte, count uint16, every uint8) {
		n := int(count) % 5000
		gaps := gapsOf(n, int(every))
		got, scratch, err := ReadGappedFloats(nil, data, n, gaps, nil)
		if err == nil && len(got) != n {
			t.Fatalf("%d values, want %d", len(got), n)
		}
		if cap(got) > 4*n+1024 || cap(scratch) > 4*n+1024 {
			t.Fatalf("memory for %d and %d values where %d were announced", cap(got), cap(scratch), n)
		}
		ints, places, ok, err := ReadScaled(nil, data, n, gaps)
		if err != nil || !ok {
			return
		}
		for i, m := range ints {
			if v := float64(m) / math.Pow10(places); math.Float64bits(v) != math.Float64bits(got[i]) {
				t.Fatalf("value %d is %v, scaled %v", i, got[i], v)
			}
		}
	})
}

func FuzzSmallFloatsRoundTrip(f *testing.F) {
	f.Add([]byte("\x00\x01\x02\x03\x04\x05\x06\x07\xff\xff\xff\xff\xff\xff\xff\xff"), uint8(3), uint8(200), uint8(5), uint8(1))
	f.Add([]byte("\x02\x03\x02\x03\x01\x00\x00\x07\x12\x00\x01\x02"), uint8(60), uint8(255), uint8(0), uint8(2))
	f.Fuzz(func(t *testing.T, data []byte, shift, count, every, kind uint8) {
		var floats []float64
		for i, m := range stretch(data, int(count)*2, uint(shift%64), int(kind%2)) {
			v := float64(m)
			switch kind % 5 {
			case 0:
				v /= 1000
			case 1:
				v = float64(float32(v / 100))
			case 2:
				v = v / 10 * 0.3048
			case 3:
				v = math.Float64frombits(uint64(m))
			}
			if data[i%len(data)] == 3 {
				v = math.Float64frombits(binary.LittleEndian.Uint64(append(slices.Clone(data), 1, 2, 3, 4, 5, 6, 7, 8)))
			}
			floats = append(floats, v)
		}
		gaps := gapsOf(len(floats), int(every))
		enc := new(Small).AppendFloats(nil, floats, gaps)
		if got, _, err := ReadGappedFloats(nil, enc, len(floats), gaps, nil); err != nil || !sameBits(got, floats) {
			t.Fatalf("%v: %v comes back, want %v", err, got, floats)
		}
	})
}
