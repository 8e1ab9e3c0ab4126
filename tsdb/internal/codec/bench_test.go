package codec

import (
	"fmt"
	"testing"
	"time"
)

// fastest runs f over and over and returns the least time it took: what it
// costs when nothing else has the processor.
func fastest(b *testing.B, f func()) float64 {
	least := time.Hour
	for b.Loop() {
		start := time.Now()
		f()
		least = min(least, time.Since(start))
	}
	return least.Seconds()
}

// benchColumn measures a column: bytes a value in the small and the fast form
// and as the peer has them, and how fast values are decoded and encoded.
func benchColumn(b *testing.B, c *testColumn) {
	var s Small
	var p peer
	var small, fast [][]byte
	n, smallBytes, fastBytes, peerBytes := 0, 0, 0, 0
	for i, vals := range c.chunks {
		small = append(small, s.AppendFloats(nil, vals, c.gaps[i]))
		f, _ := AppendFloats(nil, vals, nil)
		fast = append(fast, f)
		n += len(vals)
		smallBytes, fastBytes, peerBytes = smallBytes+len(small[i]), fastBytes+len(f), peerBytes+len(p.append(nil, vals))
	}
	var out []float64
	var scratch []int64
	read := func(sections [][]byte, gaps [][]uint8) func() {
		return func() {
			for i, data := range sections {
				var err error
				if out, scratch, err = ReadGappedFloats(out[:0], data, len(c.chunks[i]), gaps[i], scratch); err != nil {
					b.Fatal(err)
				}
			}
		}
	}
	count := float64(n) / 1e6
	b.Run("decode/"+c.name, func(b *testing.B) {
		b.ReportAllocs()
		b.ReportMetric(count/fastest(b, read(small, c.gaps)), "Mvalues/s")
		b.ReportMetric(float64(smallBytes)/float64(n), "B/value")
		b.ReportMetric(float64(fastBytes)/float64(n), "fast-B/value")
		b.ReportMetric(float64(peerBytes)/float64(n), "peer-B/value")
		b.ReportMetric(0, "ns/op")
	})
	b.Run("decode-fast/"+c.name, func(b *testing.B) {
		b.ReportAllocs()
		b.ReportMetric(count/fastest(b, read(fast, c.gaps)), "Mvalues/s")
		b.ReportMetric(0, "ns/op")
	})
	b.Run("encode/"+c.name, func(b *testing.B) {
		b.ReportAllocs()
		var data []byte
		b.ReportMetric(count/fastest(b, func() {
			for i, vals := range c.chunks {
				data = s.AppendFloats(data[:0], vals, c.gaps[i])
			}
		}), "Mvalues/s")
		b.ReportMetric(0, "ns/op")
	})
}

func BenchmarkColumns(b *testing.B) {
	peers, fleet := testColumns(1, 4320)
	for _, c := range append(peers, fleet...) {
		benchColumn(b, &c)
	}
}

// BenchmarkLengths tells what shorter and longer chunks of a level cost.
func BenchmarkLengths(b *testing.B) {
	var s Small
	peers, _ := testColumns(2, 8192)
	for _, rows := range []int{512, 1024, 2048, 4096, 8000} {
		b.Run(fmt.Sprint(rows), func(b *testing.B) {
			level, mix := 0.0, 0.0
			for k, c := range peers {
				bytes, values := 0, 0
				for i, vals := range c.chunks {
					for ; len(vals) >= rows; vals = vals[rows:] {
						bytes += len(s.AppendFloats(nil, vals[:rows], c.gaps[i][:rows]))
						values += rows
						c.gaps[i] = c.gaps[i][rows:]
					}
				}
				per := float64(bytes) / float64(values)
				if mix += 0.8 * per / 6; k == 0 {
					level, mix = per, 0.2*per
				}
			}
			for b.Loop() {
			}
			b.ReportMetric(level, "level-B/value")
			b.ReportMetric(mix, "mix-B/value")
			b.ReportMetric(0, "ns/op")
			peers, _ = testColumns(2, 8192)
		})
	}
}

func BenchmarkReal(b *testing.B) {
	for _, c := range realColumns(b) {
		benchColumn(b, &c)
	}
}
