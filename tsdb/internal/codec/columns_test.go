package codec

import (
	"math"
	"math/rand/v2"
	"testing"
)

// A column as the peers were measured with: a month of ten-minute rows of one
// property, 2 % of them missing.
type testColumn struct {
	name   string
	bar    float64 // bytes a value that its small form may take
	chunks [][]float64
	gaps   [][]uint8 // how many rows are missing before each
}

// source makes the value of a slot, hours after the start.
type source func(rnd *rand.Rand) func(h float64) float64

var tideHours = [4]float64{12.4206012, 12, 23.93447, 25.81934} // M2, S2, K1, O1

func rounded(v, n float64) float64 { return math.Round(v*n) / n }

// peerSources follow the description of the peers' load, with parameters that
// give its entropies of differences; fleetSources are those of the engine's own
// benchmark, whose noise differs.
var peerSources = []struct {
	name string
	bar  float64
	source
}{
	{"level", 0.60, tideLevel(0.5, 0.002, [4]float64{0.6, 0.2, 0.35, 0.25}, 0.3)},
	{"temperature", 0.24, func(rnd *rand.Rand) func(float64) float64 {
		x, phase := 0.0, 2*math.Pi*rnd.Float64()
		return func(h float64) float64 {
			x = 0.995*x + 0.05*rnd.NormFloat64()
			return rounded(28+x+1.8*math.Sin(2*math.Pi*h/24+phase)+0.02*rnd.NormFloat64(), 10)
		}
	}},
	{"ph", 0.255, func(rnd *rand.Rand) func(float64) float64 {
		x, phase := 0.0, 2*math.Pi*rnd.Float64()
		return func(h float64) float64 {
			x = 0.999*x + 0.004*rnd.NormFloat64()
			return rounded(7.2+x+0.1*math.Sin(2*math.Pi*h/24+phase)+0.005*rnd.NormFloat64(), 100)
		}
	}},
	{"salinity", 0.33, func(rnd *rand.Rand) func(float64) float64 {
		x, tide, phase := 0.0, 0.08+0.16*rnd.Float64(), 2*math.Pi*rnd.Float64()
		return func(h float64) float64 {
			x = 0.999*x + 0.01*rnd.NormFloat64()
			return rounded(math.Max(0, 2+x+tide*math.Cos(2*math.Pi*h/tideHours[0]+phase)+0.004*rnd.NormFloat64()), 100)
		}
	}},
	{"battery", 0.33, func(rnd *rand.Rand) func(float64) float64 {
		x := 0.0
		return func(h float64) float64 {
			x = 0.99*x + 0.004*rnd.NormFloat64()
			return rounded(12.4+x+0.8*math.Max(0, math.Sin(2*math.Pi*h/24))+0.005*rnd.NormFloat64(), 100)
		}
	}},
	{"rain", 0.07, func(rnd *rand.Rand) func(float64) float64 {
		rate := 0.0
		return func(float64) float64 {
			switch {
			case rate > 0 && rnd.IntN(10) == 0:
				rate = 0
			case rate == 0 && rnd.IntN(150) == 0:
				rate = 0.3 + 1.5*rnd.ExpFloat64()
			}
			return rounded(0.2*float64(poisson(rnd, rate)), 10)
		}
	}},
	{"insects", 0.31, func(rnd *rand.Rand) func(float64) float64 {
		return func(h float64) float64 {
			rate := 0.15
			if hour := math.Mod(h, 24); hour > 18 || hour < 5 {
				rate = 2.6
			}
			return float64(poisson(rnd, rate*math.Exp(0.3*rnd.NormFloat64())))
		}
	}},
}

var fleetSources = []struct {
	name string
	bar  float64
	source
}{
	{"level", 0.60, tideLevel(1, 0.003, [4]float64{0.6, 0.25, 0.4, 0.3}, 0)},
	{"temperature", 0.24, func(rnd *rand.Rand) func(float64) float64 {
		x, phase := 0.0, 2*math.Pi*rnd.Float64()
		return func(h float64) float64 {
			x += 0.02 * rnd.NormFloat64()
			return rounded(28+x+2*math.Sin(2*math.Pi*h/24+phase), 10)
		}
	}},
	{"ph", 0.27, func(rnd *rand.Rand) func(float64) float64 { // its noise alone has an entropy of 0.255
		x := 0.0
		return func(float64) float64 {
			x += 0.003 * rnd.NormFloat64()
			return rounded(7+x+0.008*rnd.NormFloat64(), 100)
		}
	}},
	{"salinity", 0.33, func(rnd *rand.Rand) func(float64) float64 {
		x := 0.0
		return func(h float64) float64 {
			x += 0.01 * rnd.NormFloat64()
			return rounded(math.Abs(2+x+math.Cos(2*math.Pi*h/12.4206)), 100)
		}
	}},
	{"battery", 0.37, func(rnd *rand.Rand) func(float64) float64 { // its noise alone has 0.29
		return func(h float64) float64 {
			return rounded(12.4+0.6*math.Max(0, math.Sin(2*math.Pi*h/24))+0.012*rnd.NormFloat64(), 100)
		}
	}},
	{"rain", 0.07, func(rnd *rand.Rand) func(float64) float64 {
		x := 0.0
		return func(float64) float64 {
			if rnd.IntN(100) < 2 {
				x = float64(rnd.IntN(12))
			}
			x = math.Max(0, x-1)
			return rounded(0.2*math.Floor(x), 10)
		}
	}},
	{"insects", 0.31, func(rnd *rand.Rand) func(float64) float64 {
		return func(float64) float64 { return float64(rnd.IntN(4) * rnd.IntN(3)) }
	}},
}

// tideLevel is a level to the millimetre: tides, a season, a surge that walks,
// 2 mm of noise.
func tideLevel(scale, walk float64, amplitudes [4]float64, season float64) source {
	return func(rnd *rand.Rand) func(float64) float64 {
		x, amp := 0.0, scale*(0.5+rnd.Float64())
		var phase [5]float64
		for i := range phase {
			phase[i] = 2 * math.Pi * rnd.Float64()
		}
		return func(h float64) float64 {
			x += walk * rnd.NormFloat64()
			v := 2 + x + season*math.Cos(2*math.Pi*(h+4800)/8766+phase[4])
			for i, hours := range tideHours {
				v += amp * amplitudes[i] * math.Cos(2*math.Pi*h/hours+phase[i])
			}
			return rounded(v+0.002*rnd.NormFloat64(), 1000)
		}
	}
}

func poisson(rnd *rand.Rand, rate float64) int {
	n, end := 0, math.Exp(-rate)
	for p := rnd.Float64(); p > end; n++ {
		p *= rnd.Float64()
	}
	return n
}

// testColumns makes chunks of so many rows (before some go missing) of every
// property.
func testColumns(chunks, rows int) (peers, fleet []testColumn) {
	make := func(name string, bar float64, s source) testColumn {
		c := testColumn{name: name, bar: bar}
		for k := range chunks {
			rnd := rand.New(rand.NewPCG(uint64(k), 11))
			value := s(rnd)
			var vals []float64
			var gaps []uint8
			missing := uint8(0)
			for i := range rows {
				v := value(float64(i) / 6)
				if rnd.IntN(50) == 0 {
					missing++
					continue
				}
				vals, gaps = append(vals, v), append(gaps, missing)
				missing = 0
			}
			c.chunks, c.gaps = append(c.chunks, vals), append(c.gaps, gaps)
		}
		return c
	}
	for i := range peerSources {
		p, f := peerSources[i], fleetSources[i]
		peers = append(peers, make("peers/"+p.name, p.bar, p.source))
		fleet = append(fleet, make("fleet/"+f.name, f.bar, f.source))
	}
	return peers, fleet
}

// perValue returns the bytes a value of a column takes by an encoder.
func (c *testColumn) perValue(encode func(vals []float64, gaps []uint8) []byte) float64 {
	bytes, values := 0, 0
	for i, vals := range c.chunks {
		bytes += len(encode(vals, c.gaps[i]))
		values += len(vals)
	}
	return float64(bytes) / float64(values)
}

// A month of each property takes no more than it should, and of a network in
// which every station has a level and four of the others no more than 0.325
// bytes a value, tables and all.
func TestSmallColumns(t *testing.T) {
	var s Small
	peers, fleet := testColumns(4, 4320)
	for _, columns := range [][]testColumn{peers, fleet} {
		mix := 0.0
		for i, c := range columns {
			per := c.perValue(func(vals []float64, gaps []uint8) []byte { return s.AppendFloats(nil, vals, gaps) })
			if per > c.bar {
				t.Errorf("%s: %.4f bytes a value, want at most %.3f", c.name, per, c.bar)
			}
			if mix += 0.8 * per / 6; i == 0 {
				mix = 0.2 * per
			}
		}
		if mix > 0.325 {
			t.Errorf("%.4f bytes a value in a network, want at most 0.325", mix)
		}
		t.Logf("%.4f bytes a value in a network", mix)
	}
}
