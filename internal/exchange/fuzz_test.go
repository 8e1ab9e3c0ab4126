package exchange

import (
	"bytes"
	"errors"
	"io"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"testing"
)

// FuzzText: whatever the bytes, a reader comes to an end without a panic, and
// what it has read comes back from what is written of it.
func FuzzText(f *testing.F) {
	rnd := rand.New(rand.NewPCG(7, 7))
	formats := []Format{JSONLines, CSV, VictoriaMetrics}
	for i, format := range formats {
		for revisions := range 2 {
			o := WriteOptions{Revisions: revisions == 1 && format != VictoriaMetrics}
			f.Add(uint8(i), write(f, format, o, randomSeries(rnd, o.Revisions)))
		}
	}
	f.Add(uint8(0), []byte(`{"metric":{"__name__":"m","a":"\ud83d\ude00"},"values":[1,"NaN:7ff8000000000002",-0,null,Inf],"timestamps":[1,2,3,4,5],"layer":["human","device","human","device","device"],"x":{}}`))
	f.Add(uint8(1), []byte("time,metric,value,\"a\"\"b\"\n1700000000.5,m,1,\"x\ny\"\n\"2026-11-23T07:00:00Z\",m,inf,\n"))
	f.Fuzz(func(t *testing.T, format uint8, data []byte) {
		kind := formats[int(format)%len(formats)]
		first, ok := read(t, kind, data)
		if !ok || len(first) == 0 {
			return
		}
		if kind == VictoriaMetrics {
			kind = JSONLines // which says all of it
		}
		var want []string
		for i := range first {
			want = append(want, told(&first[i])...)
		}
		again, ok := read(t, kind, write(t, kind, WriteOptions{Revisions: true}, first))
		var got []string
		for i := range again {
			got = append(got, told(&again[i])...)
		}
		if !ok || !slices.Equal(got, want) {
			t.Fatalf("%s: %s", kind, difference(got, want))
		}
	})
}

// read reads all that is good; false where the file as a whole is not.
func read(t *testing.T, f Format, data []byte) (out []Stretch, ok bool) {
	t.Helper()
	r, err := open(f, data, ReadOptions{MaxLine: 1 << 16})
	if err != nil {
		return nil, false
	}
	for {
		s, err := r.Next()
		switch fault := new(Fault); {
		case err == io.EOF:
			return out, true
		case errors.As(err, &fault):
		case err != nil:
			return nil, false
		default:
			if len(s.Times) != len(s.Revisions) || len(s.Times) > StretchValues || checkSeries(s.Labels) != nil {
				t.Fatalf("a stretch of %d times, %d revisions, %v", len(s.Times), len(s.Revisions), s.Labels)
			}
			out = append(out, Stretch{Labels: s.Labels, Times: slices.Clone(s.Times), Revisions: slices.Clone(s.Revisions)})
		}
	}
}

// FuzzParquet: damaged files are errors.
func FuzzParquet(f *testing.F) {
	rnd := rand.New(rand.NewPCG(7, 8))
	for revisions := range 2 {
		f.Add(write(f, Parquet, WriteOptions{Revisions: revisions == 1}, randomSeries(rnd, revisions == 1)[:1]))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		r, err := open(Parquet, data, ReadOptions{})
		for rows := 0; err == nil && rows < 20_000; rows++ { // a few bytes may stand for billions of rows
			var s *Stretch
			if s, err = r.Next(); err == nil {
				rows += len(s.Times)
			}
			if fault := new(Fault); errors.As(err, &fault) {
				err = nil
			}
		}
	})
}

// FuzzValue: the short way to a number finds what the full one does.
func FuzzValue(f *testing.F) {
	for _, s := range []string{"1", "-0", "0.1", "2.675", "123456789012345", "9007199254740993", "0.000001", "00.5", ".5", "5.", "-", "1e5"} {
		f.Add(s, uint64(0))
	}
	for _, v := range hard {
		f.Add("", math.Float64bits(v))
	}
	f.Fuzz(func(t *testing.T, s string, bits uint64) {
		if v, ok := exact(s); ok {
			if want, err := strconv.ParseFloat(s, 64); err != nil || math.Float64bits(v) != math.Float64bits(want) {
				t.Errorf("%q is %v, want %v (%v)", s, v, want, err)
			}
		}
		v := math.Float64frombits(bits)
		text := AppendValue(nil, v)
		if got, err := ParseValue(text); err != nil || math.Float64bits(got) != bits {
			t.Errorf("%x is written %s and read %v, %v", bits, text, got, err)
		}
	})
}

// TestParquetDamaged flips every bit of the ends of a file and some in its middle.
func TestParquetDamaged(t *testing.T) {
	data := write(t, Parquet, WriteOptions{}, randomSeries(rand.New(rand.NewPCG(3, 3)), false)[:1])
	wrong := 0
	for i := range data {
		if i > 200 && i < len(data)-200 && i%31 != 0 {
			continue
		}
		bad := bytes.Clone(data)
		bad[i] ^= 1 << (i % 8)
		r, err := open(Parquet, bad, ReadOptions{})
		for err == nil {
			_, err = r.Next()
			if fault := new(Fault); errors.As(err, &fault) {
				err = nil
			}
		}
		if err != io.EOF {
			wrong++
		}
	}
	if wrong < 50 {
		t.Errorf("%d of the damaged files are refused; want most of them", wrong)
	}
}
