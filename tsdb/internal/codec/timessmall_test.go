package codec

import (
	"math/rand/v2"
	"slices"
	"testing"
)

func TestSmallTimes(t *testing.T) {
	var s Small
	cols := timeColumns()
	rnd := rand.New(rand.NewPCG(5, 5))
	for i := range int64(3000) { // whole seconds late, some rows missing
		if rnd.IntN(50) > 0 {
			cols["seconds"] = append(cols["seconds"], 600_000*i+1000*max(0, rnd.Int64N(103)-99))
		}
	}
	for name, want := range cols {
		data := s.AppendTimes([]byte{1, 2}, want)[2:]
		got, err := ReadTimes([]int64{42}, data, len(want))
		if err != nil || !slices.Equal(got[1:], want) {
			t.Errorf("%s: %v, got %v, want %v", name, err, got, want)
		}
		for _, n := range cuts(len(data)) {
			if _, err := ReadTimes(nil, data[:n], len(want)); err == nil {
				t.Errorf("%s: %d of %d bytes decode", name, n, len(data))
			}
		}
		for i := 0; i < len(want); i += 1 + len(want)/50 {
			at, ok, err := FindTime(data, len(want), want[i])
			if first := slices.Index(want, want[i]); err != nil || !ok || at != first {
				t.Errorf("%s: FindTime(%d) = %d, %v, %v, want %d", name, want[i], at, ok, err, first)
			}
		}
		plain, err := readGaps(AppendTimes(nil, want), len(want))
		if err != nil {
			t.Errorf("%s: %v", name, err)
		}
		if gaps, err := readGaps(data, len(want)); err != nil || !slices.Equal(gaps, plain) {
			t.Errorf("%s: %v, gaps %v, from the plain form %v", name, err, gaps, plain)
		}
	}
}

func TestReadGaps(t *testing.T) {
	for _, tt := range []struct {
		times []int64
		want  []uint8
	}{
		{[]int64{0, 10, 20, 30}, []uint8{0, 0, 0, 0}},
		{[]int64{0, 10, 40, 50, 60}, []uint8{0, 0, 2, 0, 0}},
		{[]int64{0, 10, 20, 30, 40, 51, 70, 80, 90, 100, 110, 120}, []uint8{0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 0, 0}},
		{[]int64{0, 10, 10, 20, 30}, []uint8{0, 0, 0, 0, 0}},
		{[]int64{0, 10, 20, 9000, 9010}, []uint8{0, 0, 0, 255, 0}},
		{[]int64{5}, []uint8{0}},
		{nil, nil},
	} {
		got, err := readGaps(AppendTimes(nil, tt.times), len(tt.times))
		if err != nil || !slices.Equal(got, tt.want) {
			t.Errorf("gaps of %v are %v, %v, want %v", tt.times, got, err, tt.want)
		}
	}
}

// With 2 % missing and 1 % late by a second or two to the millisecond, a time
// has an entropy of 0.04 bytes.
func TestSmallTimesSize(t *testing.T) {
	times := timeColumns()["jitter"]
	data := new(Small).AppendTimes(nil, times)
	if per := float64(len(data)) / float64(len(times)); per > 0.055 {
		t.Errorf("%.3f bytes a time, want at most 0.055", per)
	}
}

func FuzzSmallTimes(f *testing.F) {
	var s Small
	for _, v := range timeColumns() {
		f.Add(s.AppendTimes(nil, v), uint16(len(v)), int64(5))
	}
	f.Fuzz(func(t *testing.T, data []byte, count uint16, x int64) {
		n := int(count) % 5000
		times, err := ReadTimes(nil, data, n)
		if err == nil && len(times) != n {
			t.Fatalf("%d times, want %d", len(times), n)
		}
		if gaps, err := readGaps(data, n); err == nil && gaps != nil && len(gaps) != n {
			t.Fatalf("%d gaps, want %d", len(gaps), n)
		}
		if at, ok, err2 := FindTime(data, n, x); err2 == nil && ok && (at < 0 || at >= n) && err == nil && slices.IsSorted(times) {
			t.Fatalf("found at %d of %d", at, n)
		}
		if err != nil || !slices.IsSorted(times) || n > 0 && (times[0] < -1<<60 || times[n-1] > 1<<60) {
			return
		}
		again := new(Small).AppendTimes(nil, times)
		if got, err := ReadTimes(nil, again, n); err != nil || !slices.Equal(got, times) {
			t.Fatalf("%v, got %v, want %v", err, got, times)
		}
	})
}

// arrivals are the commits of one of 2,000 stations that speak every ten
// minutes, in the order of the times: 2 % of its rows are missing, 3.5 % come
// hours to days late. gaps are what the times tell.
func arrivals(n int) (commits []int64, gaps []uint8) {
	rnd := rand.New(rand.NewPCG(1, 2))
	at, missing := 0.0, uint8(0)
	for range n {
		if at += 1890 + 10*rnd.NormFloat64(); rnd.IntN(50) == 0 {
			missing++
			continue
		}
		late := 0.0
		if rnd.IntN(1000) < 35 {
			late = 1890 * float64(rnd.IntN(200))
		}
		commits, gaps = append(commits, int64(at+late)), append(gaps, missing)
		missing = 0
	}
	return commits, gaps
}

// The noise of the commits has an entropy of 0.67 bytes, being late adds 0.1;
// delays without structure take their ten bits.
func TestSmallRowsSize(t *testing.T) {
	var s Small
	commits, gaps := arrivals(4320)
	if per := float64(len(s.AppendInts(nil, commits, gaps))) / float64(len(commits)); per > 0.84 {
		t.Errorf("%.3f bytes a commit, want at most 0.84", per)
	}
	rnd := rand.New(rand.NewPCG(3, 4))
	var delays []int64
	for range commits {
		delays = append(delays, 800+rnd.Int64N(900))
	}
	if per := float64(len(s.AppendInts(nil, delays, nil))) / float64(len(delays)); per > 1.26 {
		t.Errorf("%.3f bytes a delay, want at most 1.26", per)
	}
}

// readGaps reads what is missing before the times of a section.
func readGaps(section []byte, n int) ([]uint8, error) {
	var t TimesReader
	_, gaps, err := t.Read(nil, nil, section, n)
	return gaps, err
}
