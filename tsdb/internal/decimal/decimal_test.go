package decimal

import (
	"math"
	"strconv"
	"testing"
)

func TestFind(t *testing.T) {
	tests := []struct {
		v  float64
		m  int64
		e  int
		ok bool
	}{
		{0, 0, 0, true},
		{2.314, 2314, 3, true},
		{-0.05, -5, 2, true},
		{17, 17, 0, true},
		{1e-9, 1, 9, true},
		{0.30000000000000004, 0, 0, false},
		{1 << 52, 0, 0, false},
		{1<<52 - 1, 1<<52 - 1, 0, true},
		{math.Copysign(0, -1), 0, 0, false},
		{math.NaN(), 0, 0, false},
		{math.Inf(1), 0, 0, false},
		{math.Inf(-1), 0, 0, false},
		{5e-324, 0, 0, false},
		{math.MaxFloat64, 0, 0, false},
	}
	for _, tt := range tests {
		m, e, ok := Find(tt.v, 0)
		if ok != tt.ok || m != tt.m || e != tt.e {
			t.Errorf("Find(%v) = %d, %d, %v, want %d, %d, %v", tt.v, m, e, ok, tt.m, tt.e, tt.ok)
		}
	}
	if m, e, ok := Find(2.5, 3); !ok || e != 3 || m != 2500 {
		t.Errorf("Find(2.5, hint 3) = %d, %d, %v, want the hint's exponent", m, e, ok)
	}
	if m, e, ok := Find(4503599627370494, 3); !ok || e != 0 || m != 4503599627370494 {
		t.Errorf("Find(2^52-2, hint 3) = %d, %d, %v, want exponent 0 when the hint overflows", m, e, ok)
	}
}

// Every decimal of up to nine places that has a mantissa below 2^52 comes back
// as the float that parsing its text gives.
func FuzzScale(f *testing.F) {
	f.Add(int64(2314), uint8(3))
	f.Add(int64(-1), uint8(9))
	f.Fuzz(func(t *testing.T, m int64, exp uint8) {
		m %= 1 << 52
		e := int(exp % (MaxExp + 1))
		text := strconv.FormatInt(m, 10) + "e-" + strconv.Itoa(e)
		want, err := strconv.ParseFloat(text, 64)
		if err != nil {
			t.Fatal(err)
		}
		if got := Value(m, e); got != want {
			t.Fatalf("Value(%d, %d) = %v, want %v", m, e, got, want)
		}
		if got, ok := Scale(want, e); ok && Value(got, e) != want {
			t.Fatalf("Scale(%v, %d) = %d, which is %v", want, e, got, Value(got, e))
		}
	})
}
