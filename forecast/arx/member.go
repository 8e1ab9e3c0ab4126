package arx

import "math"

// member is one regression of the blend: a design, its normal equations and
// the coefficients last solved, one set per lead. It predicts the change of
// the transformed gauge over the lead.
type member struct {
	design
	name   string
	mu, sd []float64
	g      *gram
	leads  []int
	lambda []float64 // by lead, chosen

	recent [][]float64 // standardised descriptions of the newest rows, a ring
	fit    fit
	// reduced holds the coefficients without the columns that a mask names,
	// until the next refit; an outage lasts, so its mask returns.
	reduced map[string]fit
}

// fit is what solving gives, by lead.
type fit struct {
	beta     [][]float64
	variance []float64
}

func newMember(s *Spec, d design, halfLife int) *member {
	m := &member{design: d, leads: s.Leads}
	m.g = newGram(m.width, len(s.Leads), halfLife)
	m.recent = make([][]float64, s.horizon()+1)
	m.name = memberName(s.Powers[d.power], d.wet, d.bend, halfLife)
	return m
}

// clone returns a member that goes its own way from here.
func (m *member) clone() *member {
	c := *m
	c.g = m.g.clone()
	c.recent = append([][]float64(nil), m.recent...) // rows are not written again
	c.reduced = nil
	return &c
}

// standardise learns mean and deviation of every column from the rows before
// until.
func (m *member) standardise(t *table, until int) {
	m.mu, m.sd = make([]float64, m.width), make([]float64, m.width)
	x := make([]float64, m.width)
	n := 0.0
	for row := m.back; row < until; row++ {
		m.design.fill(t, row, x)
		if !complete(x) {
			continue
		}
		n++
		for i, v := range x { // Welford's running moments
			d := v - m.mu[i]
			m.mu[i] += d / n
			m.sd[i] += d * (v - m.mu[i])
		}
	}
	for i := range m.sd {
		m.sd[i] = math.Sqrt(m.sd[i] / max(1, n))
		if i == 0 || m.sd[i] < 1e-9 { // the constant, and what never changed
			m.mu[i], m.sd[i] = 0, 1
		}
	}
}

// take describes a row and learns from the row whose last lead has come to be
// known with it. Rows must come in order.
func (m *member) take(t *table, row int) {
	z := make([]float64, m.width)
	m.design.fill(t, row, z)
	for i := range z {
		z[i] = (z[i] - m.mu[i]) / m.sd[i]
	}
	m.recent[row%len(m.recent)] = z
	old := row - m.leads[len(m.leads)-1]
	if old < m.back {
		return
	}
	zo := m.recent[old%len(m.recent)]
	if zo == nil || !complete(zo) {
		return
	}
	base := t.transformed(m.power, 0, old)
	y := make([]float64, len(m.leads))
	for i, h := range m.leads {
		v := t.bridged[old+h]
		if math.IsNaN(v) {
			return
		}
		y[i] = raise(v-t.origin[0], t.spec.Powers[m.power]) - base
	}
	m.g.add(zo, y)
}

// solve finds coefficients anew, with the penalty chosen for each lead.
func (m *member) solve() {
	m.fit = m.solveWith(nil)
	m.reduced = nil
}

func (m *member) solveWith(keep []int) fit {
	f := fit{beta: make([][]float64, len(m.leads)), variance: make([]float64, len(m.leads))}
	for i, lambda := range m.lambda {
		if f.beta[i] != nil {
			continue
		}
		beta, variance := m.g.solve(lambda, keep)
		if beta == nil {
			continue
		}
		for j := range m.lambda {
			if m.lambda[j] == lambda {
				f.beta[j], f.variance[j] = beta[j], variance[j]
			}
		}
	}
	return f
}

// predict returns the forecasts issued at row, by lead, NaN where there is
// none, and by how much the errors are to be widened for inputs that are
// missing (1 where none is).
func (m *member) predict(t *table, row int, out, widen []float64) {
	z := m.recent[row%len(m.recent)]
	f := m.fit
	if !complete(z) {
		f = m.without(z)
	}
	for i := range m.leads {
		out[i], widen[i] = math.NaN(), 1
		if f.beta == nil || f.beta[i] == nil {
			continue
		}
		out[i] = m.value(t, row, z, f.beta[i])
		if m.fit.beta != nil && m.fit.variance[i] > 0 {
			widen[i] = max(1, math.Sqrt(f.variance[i]/m.fit.variance[i]))
		}
	}
}

// value turns coefficients into a forecast in the gauge's unit.
func (m *member) value(t *table, row int, z, beta []float64) float64 {
	s := t.transformed(m.power, 0, row)
	for i, b := range beta {
		if b != 0 {
			s += b * z[i]
		}
	}
	return t.origin[0] + raise(s, 1/t.spec.Powers[m.power])
}

// without returns the fit on the columns that are there. Without the gauge's
// own present value there is none.
func (m *member) without(z []float64) fit {
	if math.IsNaN(z[1]) { // column 1 is lag 0 of the gauge itself
		return fit{}
	}
	mask := make([]byte, len(z))
	var keep []int
	for i, v := range z {
		if !math.IsNaN(v) {
			mask[i] = 1
			keep = append(keep, i)
		}
	}
	if f, ok := m.reduced[string(mask)]; ok {
		return f
	}
	if m.reduced == nil || len(m.reduced) > 64 {
		m.reduced = make(map[string]fit)
	}
	f := m.solveWith(keep)
	m.reduced[string(mask)] = f
	return f
}
