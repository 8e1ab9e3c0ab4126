package arx

import (
	"math"
	"slices"
)

// table holds the inputs on the grid, append only, with what is derived from
// them row by row. Every derived value of a row depends on that row and older
// ones only, but for bridged, which is for training targets alone.
type table struct {
	spec  *Spec
	first int64 // steps since 1970 of row 0
	n     int

	raw     [][]float64 // by input; NaN where missing
	held    [][]float64 // levels carried forward over at most MaxHold steps
	bridged []float64   // the gauge with gaps of at most MaxHold steps joined by a line

	memory [][][]float64 // by input (rain), memory: weighted mean of the rain to date
	num    [][]float64   // by input, memory: running sums behind it
	den    [][]float64

	// Set by scale.
	origin []float64         // by input (level): where its transform starts
	hinge  [][hinges]float64 // by input (level): where a second and third slope begin
	mean   []float64         // by input (level): mean height above origin
	power  [][]float64       // by power × input: transformed held levels
}

func newTable(spec *Spec, first int64) *table {
	k := len(spec.Inputs)
	t := &table{spec: spec, first: first, raw: make([][]float64, k), held: make([][]float64, k),
		memory: make([][][]float64, k), num: make([][]float64, k), den: make([][]float64, k)}
	for i := range k {
		t.memory[i] = make([][]float64, len(spec.Memory))
		t.num[i] = make([]float64, len(spec.Memory))
		t.den[i] = make([]float64, len(spec.Memory))
	}
	return t
}

// clone returns a table that can grow on its own; the rows that are there are
// shared.
func (t *table) clone() *table {
	c := *t
	c.raw, c.held, c.power = clip(t.raw), clip(t.held), clip(t.power)
	c.bridged = slices.Clone(t.bridged) // its last rows may still be joined
	c.memory = make([][][]float64, len(t.memory))
	c.num, c.den = make([][]float64, len(t.num)), make([][]float64, len(t.den))
	for i := range t.memory {
		c.memory[i] = clip(t.memory[i])
		c.num[i], c.den[i] = slices.Clone(t.num[i]), slices.Clone(t.den[i])
	}
	return &c
}

func clip(cols [][]float64) [][]float64 {
	out := make([][]float64, len(cols))
	for i, c := range cols {
		out[i] = slices.Clip(c)
	}
	return out
}

// append adds a row, one value per input, NaN where missing.
func (t *table) append(values []float64) {
	row := t.n
	t.n++
	for i, in := range t.spec.Inputs {
		v := values[i]
		if math.IsInf(v, 0) {
			v = math.NaN()
		}
		t.raw[i] = append(t.raw[i], v)
		if in.Kind == Rain {
			t.remember(i, v)
			continue
		}
		for back := 1; math.IsNaN(v) && back <= t.spec.MaxHold && back <= row; back++ {
			v = t.raw[i][row-back]
		}
		t.held[i] = append(t.held[i], v)
	}
	t.bridge()
	if t.origin != nil {
		t.appendPowers(row)
	}
}

// remember carries the rain to date forward: an exponentially weighted mean
// over the steps that were observed.
func (t *table) remember(i int, v float64) {
	for k, e := range t.spec.Memory {
		f := math.Exp(-float64(t.spec.Step) / float64(e))
		t.num[i][k] *= f
		t.den[i][k] *= f
		if !math.IsNaN(v) {
			t.num[i][k] += (1 - f) * v
			t.den[i][k] += 1 - f
		}
		m := math.NaN()
		if t.den[i][k] > 0.2 { // a fifth of the weight was observed
			m = t.num[i][k] / t.den[i][k]
		}
		t.memory[i][k] = append(t.memory[i][k], m)
	}
}

// bridge appends the gauge's newest value and joins a short gap that it ends.
func (t *table) bridge() {
	row := t.n - 1
	v := t.raw[0][row]
	t.bridged = append(t.bridged, v)
	if math.IsNaN(v) {
		return
	}
	gap := 0
	for row-1-gap >= 0 && math.IsNaN(t.bridged[row-1-gap]) {
		gap++
	}
	if gap == 0 || gap > t.spec.MaxHold || row-1-gap < 0 {
		return
	}
	from := t.bridged[row-1-gap]
	for j := 1; j <= gap; j++ {
		t.bridged[row-1-gap+j] = from + (v-from)*float64(j)/float64(gap+1)
	}
}

// scale learns the transforms from the rows before until and applies them to
// all rows.
func (t *table) scale(until int) {
	k := len(t.spec.Inputs)
	t.hinge = make([][hinges]float64, k)
	t.origin, t.mean = make([]float64, k), make([]float64, k)
	for i, in := range t.spec.Inputs {
		if in.Kind != Level {
			continue
		}
		var vs []float64
		for _, v := range t.raw[i][:until] {
			if !math.IsNaN(v) {
				vs = append(vs, v)
			}
		}
		t.origin[i], t.mean[i], t.hinge[i] = scaleOf(vs, t.spec.NonNegative)
	}
	t.power = make([][]float64, len(t.spec.Powers)*k)
	for row := range t.n {
		t.appendPowers(row)
	}
}

// scaleOf returns the origin, the mean height above it and the hinges: the
// origin is the first percentile less a tenth of the range, so that a few
// fault readings do not move it, or 0 for a quantity that cannot be negative
// and comes near it. The hinges are the 85th and the 97th percentile, about
// where a river leaves its bed and where it fills its plain: beyond them a
// wave travels at another speed.
func scaleOf(vs []float64, nonNegative bool) (origin, mean float64, hinge [hinges]float64) {
	if len(vs) == 0 {
		return 0, 1, hinge
	}
	slices.Sort(vs)
	at := func(percent int) float64 { return vs[(len(vs)-1)*percent/100] }
	lo, hi := at(1), at(99)
	origin = lo - (hi-lo)/10
	if nonNegative && origin < (hi-lo)/2 {
		origin = 0
	}
	for _, v := range vs {
		mean += max(0, v-origin)
	}
	mean /= float64(len(vs))
	if mean <= 0 {
		mean = 1
	}
	return origin, mean, [hinges]float64{at(85), at(97)}
}

func (t *table) appendPowers(row int) {
	k := len(t.spec.Inputs)
	for p, pow := range t.spec.Powers {
		for i, in := range t.spec.Inputs {
			if in.Kind == Level {
				t.power[p*k+i] = append(t.power[p*k+i], raise(t.held[i][row]-t.origin[i], pow))
			}
		}
	}
}

// raise is the signed power: defined and invertible below the origin too.
func raise(d, pow float64) float64 {
	switch {
	case pow == 1:
		return d
	case pow == 0.5:
		return math.Copysign(math.Sqrt(math.Abs(d)), d)
	}
	return math.Copysign(math.Pow(math.Abs(d), pow), d)
}

// transformed returns the gauge's (or another level's) held value of a row
// under a power.
func (t *table) transformed(power, input, row int) float64 {
	return t.power[power*len(t.spec.Inputs)+input][row]
}

// wetness returns √(height above origin / its mean) of a level input.
func (t *table) wetness(input, row int) float64 {
	return math.Sqrt(max(0, t.held[input][row]-t.origin[input]) / t.mean[input])
}

// rain returns the rain from row from to row to, both included, scaled up for
// missing steps; NaN where none was observed.
func (t *table) rain(input, from, to int) float64 {
	sum, n := 0.0, 0
	for r := max(from, 0); r <= to; r++ {
		if v := t.raw[input][r]; !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum * float64(to-from+1) / float64(n)
}
