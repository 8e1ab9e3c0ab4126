package arx

import "math"

// design says which numbers a row is described by: one of the choices a member
// of the blend is made of.
type design struct {
	power int  // index into Spec.Powers
	wet   bool // with products of rain and wetness
	bend  bool // with the newest levels above two hinges
	width int
	back  int // rows needed before the first complete one
}

const (
	wetWindows = 3 // newest rain windows that are multiplied by wetness
	bendLags   = 2 // newest values of a level that are bent
	hinges     = 2 // per bent value
)

func newDesign(s *Spec, power int, wet, bend bool) design {
	d := design{power: power, wet: wet, bend: bend, width: 1 + 2*len(s.Periods)}
	for _, in := range s.Inputs {
		d.back = max(d.back, in.Lags[len(in.Lags)-1])
		d.width += len(in.Lags)
		if in.Kind == Level && bend {
			d.width += hinges * min(bendLags, len(in.Lags))
		}
		if in.Kind == Rain {
			d.width += len(s.Memory)
			if wet {
				d.width += 2 * min(wetWindows, len(in.Lags))
			}
		}
	}
	return d
}

// fill writes the description of row into x, of length d.width. What rests on
// a missing value is NaN. The first number is the constant 1.
func (d *design) fill(t *table, row int, x []float64) {
	s := t.spec
	x[0] = 1
	at := 1
	put := func(v float64) { x[at] = v; at++ }
	for i, in := range s.Inputs {
		if in.Kind == Level {
			for _, lag := range in.Lags {
				if row < lag {
					put(math.NaN())
				} else {
					put(t.transformed(d.power, i, row-lag))
				}
			}
			if d.bend {
				for _, lag := range in.Lags[:min(bendLags, len(in.Lags))] {
					for k := range hinges {
						v := math.NaN()
						if row >= lag {
							v = raise(max(0, t.held[i][row-lag]-t.hinge[i][k]), s.Powers[d.power])
						}
						put(v)
					}
				}
			}
			continue
		}
		for j, lag := range in.Lags {
			oldest := lag
			if j+1 < len(in.Lags) {
				oldest = in.Lags[j+1] - 1
			}
			rain := math.NaN()
			if row >= oldest {
				rain = t.rain(i, row-oldest, row-lag)
			}
			put(rain)
			if d.wet && j < wetWindows {
				wet := math.NaN()
				if row >= lag {
					wet = t.wetness(in.Wets, row-lag)
				}
				put(rain * wet)
				put(rain * t.memory[i][len(s.Memory)/2][row])
			}
		}
		for k := range s.Memory {
			put(t.memory[i][k][row])
		}
	}
	for _, p := range s.Periods {
		// The phase is counted from 1970 in whole milliseconds, so that it does
		// not depend on where the table starts.
		ms := (t.first + int64(row)) * s.Step.Milliseconds() % p.Milliseconds()
		sin, cos := math.Sincos(2 * math.Pi * float64(ms) / float64(p.Milliseconds()))
		put(sin)
		put(cos)
	}
}

// complete says whether no number of the description is missing.
func complete(x []float64) bool {
	for _, v := range x {
		if math.IsNaN(v) {
			return false
		}
	}
	return true
}
