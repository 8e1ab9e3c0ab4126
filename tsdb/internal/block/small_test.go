package block

import (
	"fmt"
	"math"
	"math/rand/v2"
	"testing"

	"quantrac"
	"quantrac/tsdb/internal/rows"
)

// station is a month of a gauge: rows every ten minutes, 2 % missing, and a cell
// of the second column in every third row.
func station() sample {
	rnd := rand.New(rand.NewPCG(3, 4))
	t := &rows.Table{}
	surge := 0.0
	for i := range 4320 {
		surge += 0.002 * rnd.NormFloat64()
		if rnd.IntN(50) == 0 {
			continue
		}
		at := int64(1_790_000_000_000) + 600_000*int64(i)
		level := math.Round(1000*(2+surge+math.Cos(float64(i)/11.86)+0.002*rnd.NormFloat64())) / 1000
		r := &rows.Row{Time: at, Commit: uint64(2000*i + rnd.IntN(20)), Received: at + 60_000*int64(rnd.IntN(3))}
		r.Cols, r.Values, r.Quality = []int{0}, []float64{level}, []uint8{1}
		if i%3 == 0 {
			r.Cols, r.Values, r.Quality = []int{0, 1}, []float64{level, math.Round(280+20*math.Sin(float64(i)/23)) / 10}, []uint8{1, 1}
		}
		t.Append(r)
	}
	return sample{labels: quantrac.NewLabels("station", "gauge"), props: []string{"level", "temperature"}, table: t}
}

// A block written to be kept is smaller, and tells the same rows.
func TestSmall(t *testing.T) {
	s := station()
	fast, small := writeAs(t, []sample{s}, false), writeAs(t, []sample{s}, true)
	if len(small)*10 > len(fast)*7 {
		t.Errorf("%d bytes to be kept, %d otherwise, want at most 0.7 of that", len(small), len(fast))
	}
	for _, data := range [][]byte{fast, small} {
		r, groups, err := open(t, data)
		if err != nil {
			t.Fatal(err)
		}
		tables, err := readAll(r, groups)
		if err != nil {
			t.Fatal(err)
		}
		if err := sameTable(tables[0], s.table, 2); err != nil {
			t.Error(err)
		}
	}
}

// BenchmarkWrite measures what blocks cost to write, as they come and to be
// kept.
func BenchmarkWrite(b *testing.B) {
	s := station()
	for _, small := range []bool{false, true} {
		b.Run(fmt.Sprintf("small=%v", small), func(b *testing.B) {
			b.ReportAllocs()
			n := 0
			for b.Loop() {
				n = len(writeAs(b, []sample{s}, small))
			}
			b.ReportMetric(float64(n)/float64(s.table.Len()), "B/row")
			b.ReportMetric(float64(cellsOf(s.table))*float64(b.N)/b.Elapsed().Seconds(), "cells/s")
		})
	}
}
