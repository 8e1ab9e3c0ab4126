package arx

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"math"
	"slices"
	"time"

	"quantrac"
)

// CodeVersion names the algorithm. It is part of every model's version and
// must be changed with anything that changes a forecast.
const CodeVersion = "arx/3"

// Model is a trained ladder: the blend of regressions, persistence under it,
// and the errors of both. It stands at its last row. It is not safe for
// concurrent use; Clone gives each run its own.
type Model struct {
	spec    Spec
	t       *table
	members []*member
	blend   [][]int // by lead: indices of members
	sp      *spread
	bias    []bias    // by lead
	rise    []float64 // by lead: largest rise seen
	fall    []float64 // by lead: largest fall seen, ≥ 0
	reason  string    // why there is no regression, "" where there is
}

// Train learns from a table: cols holds one column per input, all of the same
// length, row i at start + i·Step, NaN where missing. start lies on the grid.
// All that is to be chosen is chosen inside these rows. With too few of them
// the model is persistence, and says so.
//
// It is an Invalid error if spec or columns make no sense.
func Train(spec Spec, start quantrac.Millis, cols [][]float64) (*Model, error) {
	s, err := spec.withDefaults()
	if err != nil {
		return nil, err
	}
	if len(cols) != len(s.Inputs) {
		return nil, quantrac.Errorf(quantrac.Invalid, "forecast model: %d columns for %d inputs", len(cols), len(s.Inputs))
	}
	step := quantrac.Millis(s.Step.Milliseconds())
	if start%step != 0 {
		return nil, quantrac.Errorf(quantrac.Invalid, "forecast model: start %v is not on the grid of %v", start, s.Step)
	}
	n := len(cols[0])
	for i, c := range cols {
		if len(c) != n {
			return nil, quantrac.Errorf(quantrac.Invalid, "forecast model: input %s has %d rows, the first has %d", s.Inputs[i].Name, len(c), n)
		}
	}
	m := &Model{spec: s, t: newTable(&s, int64(start/step))}
	m.t.spec = &m.spec
	row := make([]float64, len(cols))
	for i := range n {
		for k := range cols {
			row[k] = cols[k][i]
		}
		m.t.append(row)
	}
	m.rise, m.fall = make([]float64, len(s.Leads)), make([]float64, len(s.Leads))
	for i := range n {
		m.widenCaps(i)
	}
	m.train(n)
	return m, nil
}

func (m *Model) train(n int) {
	s := &m.spec
	va := n - int(validationPart*float64(n))
	m.t.scale(va)
	m.bias = make([]bias, len(s.Leads))
	m.blend = make([][]int, len(s.Leads))
	m.sp = newSpread(s, m.t)

	rows := 0
	x := make([]float64, newDesign(s, 0, false, false).width)
	for r := 0; r < va-s.horizon(); r++ {
		if d := newDesign(s, 0, false, false); r >= d.back {
			d.fill(m.t, r, x)
			if complete(x) {
				rows++
			}
		}
	}
	var pred [][]float64
	if s.Plain {
		m.reason = "persistence is this model"
	} else if need := minRows + len(x); rows < need {
		m.reason = fmt.Sprintf("%d complete rows to learn from, %d wanted", rows, need)
	} else {
		pred = m.compete(va)
	}
	first := va
	if pred == nil {
		first = 0 // persistence is right or wrong from the first row on
	}
	for r := first; r < n; r++ {
		raw := make([]float64, len(s.Leads))
		for h := range raw {
			raw[h] = math.NaN()
			if pred != nil {
				raw[h] = pred[h][r-va]
			}
		}
		m.enter(r, raw, ones(len(raw)))
	}
	m.sp.learn()
}

// compete lets every design walk over the rows, chooses the blend and returns
// its forecasts over the validation rows.
func (m *Model) compete(va int) [][]float64 {
	s := &m.spec
	rain := slices.ContainsFunc(s.Inputs, func(in Input) bool { return in.Kind == Rain })
	var trials []*trial
	for p := range s.Powers {
		for _, wet := range []bool{false, true} {
			for _, bend := range []bool{false, true} {
				if wet && !rain {
					continue
				}
				for _, half := range s.HalfLives {
					trials = append(trials, walk(s, m.t, newMember(s, newDesign(s, p, wet, bend), half), va))
				}
			}
		}
	}
	blend, pred := choose(s, m.t, trials, va)
	used := make([]int, len(trials)) // members in no blend are dropped
	for i := range used {
		used[i] = -1
	}
	for h := range blend {
		for i, k := range blend[h] {
			if used[k] < 0 {
				used[k] = len(m.members)
				trials[k].m.solve()
				m.members = append(m.members, trials[k].m)
			}
			blend[h][i] = used[k]
		}
		m.bias[h] = chooseBias(m.t, pred[h], va, s.Leads[h])
	}
	m.blend = blend
	return pred
}

// enter records the forecasts of a row, after what the row itself says about
// older ones.
func (m *Model) enter(row int, raw, widen []float64) {
	y := m.t.raw[0][row]
	pred := make([]float64, len(raw))
	for i, h := range m.spec.Leads {
		if old := m.sp.at(row - h); old != nil {
			m.bias[i].learn(y - old.raw[i])
		}
		pred[i] = m.cap(row, i, raw[i]+m.bias[i].value)
	}
	m.sp.settle(row)
	m.sp.open(row, raw, pred, widen)
}

// capFactor is how many times the largest change over a lead seen so far a
// forecast may change. It is there to stop nonsense from a broken input, not to
// tame floods: the flood of July 2007 on the Severn rose three times as fast as
// anything in the 23 years before it.
const capFactor = 4

// cap keeps a forecast within plausible rates of rise and fall.
func (m *Model) cap(row, lead int, v float64) float64 {
	base := m.t.held[0][row]
	if math.IsNaN(v) || math.IsNaN(base) {
		return math.NaN()
	}
	v = min(max(v, base-capFactor*m.fall[lead]), base+capFactor*m.rise[lead])
	if m.spec.NonNegative {
		v = max(0, v)
	}
	return v
}

func (m *Model) widenCaps(row int) {
	y := m.t.raw[0][row]
	for i, h := range m.spec.Leads {
		if row < h {
			break
		}
		d := y - m.t.raw[0][row-h]
		if math.IsNaN(d) {
			continue
		}
		m.rise[i], m.fall[i] = max(m.rise[i], d), max(m.fall[i], -d)
	}
}

// Append moves the model one step on: values holds what is known of each input
// at the next row, NaN where missing. Coefficients and scales are solved anew
// when the row's time is a multiple of RefitEvery steps.
func (m *Model) Append(values []float64) error {
	if len(values) != len(m.spec.Inputs) {
		return quantrac.Errorf(quantrac.Invalid, "forecast model: %d values for %d inputs", len(values), len(m.spec.Inputs))
	}
	m.t.append(values)
	row := m.t.n - 1
	m.widenCaps(row)
	again := due(&m.spec, m.t, row)
	raw, widen := make([]float64, len(m.spec.Leads)), ones(len(m.spec.Leads))
	outs, wides := make([][]float64, len(m.members)), make([][]float64, len(m.members))
	for k, mb := range m.members {
		mb.take(m.t, row)
		if again {
			mb.solve()
		}
		outs[k], wides[k] = make([]float64, len(raw)), make([]float64, len(raw))
		mb.predict(m.t, row, outs[k], wides[k])
	}
	for h := range raw {
		sum, n := 0.0, 0
		for _, k := range m.blend[h] {
			if !math.IsNaN(outs[k][h]) {
				sum += outs[k][h]
				widen[h] = max(widen[h], wides[k][h])
				n++
			}
		}
		raw[h] = math.NaN()
		if n > 0 {
			raw[h] = sum / float64(n)
		}
	}
	m.enter(row, raw, widen)
	if again {
		m.sp.learn()
	}
	return nil
}

// Clone returns a model that can be moved on without changing m.
func (m *Model) Clone() *Model {
	c := *m
	c.t = m.t.clone()
	c.t.spec = &c.spec
	c.members = make([]*member, len(m.members))
	for i, mb := range m.members {
		c.members[i] = mb.clone()
	}
	c.sp = m.sp.clone(c.t)
	c.bias, c.rise, c.fall = slices.Clone(m.bias), slices.Clone(m.rise), slices.Clone(m.fall)
	return &c
}

// At returns the time of the last row, which is the issue time of Forecast.
func (m *Model) At() quantrac.Millis { return m.time(m.t.n - 1) }

func (m *Model) time(row int) quantrac.Millis {
	return quantrac.Millis((m.t.first + int64(row)) * m.spec.Step.Milliseconds())
}

// Window returns the times of the first and last row the model has learned
// from.
func (m *Model) Window() (from, to quantrac.Millis) { return m.time(0), m.At() }

// Parameters describes what was learned: by lead the members of the blend with
// their penalties. For people and for the run archive.
func (m *Model) Parameters() []string {
	if m.reason != "" {
		return []string{"persistence only: " + m.reason}
	}
	var out []string
	for h, lead := range m.spec.Leads {
		text := (time.Duration(lead) * m.spec.Step).String() + ":"
		for _, k := range m.blend[h] {
			text += fmt.Sprintf(" %s λ=%g", m.members[k].name, m.members[k].lambda[h])
		}
		if m.bias[h].keep > 0 {
			text += fmt.Sprintf(" bias %.4g", m.bias[h].value)
		}
		out = append(out, text)
	}
	return out
}

// Version returns a short name of exactly this model: the algorithm and a
// digest of what it was told and of every coefficient it has learned.
func (m *Model) Version() string {
	h := sha256.New()
	fmt.Fprintf(h, "%s %+v %d %d", CodeVersion, m.spec, m.t.first, m.t.n)
	for _, mb := range m.members {
		fmt.Fprintf(h, "%s %v %x", mb.name, mb.lambda, mb.fit.beta)
	}
	fmt.Fprintf(h, "%v %x", m.blend, m.sp.weights)
	return CodeVersion + "-" + hex.EncodeToString(h.Sum(nil)[:6])
}

func ones(n int) []float64 {
	out := make([]float64, n)
	for i := range out {
		out[i] = 1
	}
	return out
}

// Reason says why there is no regression and every forecast is persistence; ""
// where there is one.
func (m *Model) Reason() string { return m.reason }

// Plain says whether the model was told to be persistence.
func (m *Model) Plain() bool { return m.spec.Plain }
