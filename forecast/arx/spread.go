package arx

import (
	"cmp"
	"math"
	"slices"
)

// How far a forecast may be off is learned from how far the model's forecasts
// have been off: rolling conformal prediction with a score normalised by a
// learned scale (Vovk, Gammerman & Shafer, Algorithmic Learning in a Random
// World, 2005; Lei et al., J. Am. Stat. Assoc. 113:1094, 2018, §5.2). The
// scale is a sum with weights that are never negative, so that a rising river
// or heavy rain can only widen the band.

// factors are the parts of the scale: see issue.factors.
const factors = 6

// source is who made a forecast.
type source uint8

const (
	byModel source = iota
	byPersistence
	sources
)

// issue is what was forecast at one row, and how it came out.
type issue struct {
	row    int
	base   float64            // the gauge's value, held, that persistence repeats; NaN where none
	change float64            // |base − value a step before|
	wet    float64            // mean rain of the last two steps × √height
	raw    []float64          // by lead: the model's forecast before bias and cap; nil once verified
	pred   []float64          // by lead: the model's forecast; NaN where there is none
	key    []float64          // by lead: logarithm of the height forecast, to find its like
	widen  []float64          // by lead, of the model
	err    [sources][]float64 // observed − pred by lead; NaN until it is known
}

// center returns what a source forecast for a lead.
func (is *issue) center(src source, lead int) float64 {
	if src == byPersistence {
		return is.base
	}
	return is.pred[lead]
}

// spread keeps the issues of the past and what they teach about errors.
type spread struct {
	t       *table
	leads   []int
	ring    []*issue             // by row % len; an issue is replaced, never changed after its last lead
	weights [sources][][]float64 // by lead: weights of the factors
	floor   float64              // smallest scale, unit of the gauge
}

func newSpread(s *Spec, t *table) *spread {
	sp := &spread{t: t, leads: s.Leads, ring: make([]*issue, max(s.Residuals, s.Trail)+s.horizon()+1)}
	sp.floor = max(1e-9, 1e-3*t.mean[0])
	for src := range sp.weights {
		sp.weights[src] = make([][]float64, len(s.Leads))
	}
	return sp
}

// clone returns a spread that goes its own way over another table.
func (sp *spread) clone(t *table) *spread {
	c := *sp
	c.t = t
	c.ring = append([]*issue(nil), sp.ring...)
	h := sp.leads[len(sp.leads)-1]
	for i, is := range c.ring {
		if is == nil || is.row+h < t.n {
			continue // complete: never written again
		}
		d := *is
		for src := range d.err {
			d.err[src] = append([]float64(nil), is.err[src]...)
		}
		c.ring[i] = &d
	}
	for src := range c.weights {
		c.weights[src] = append([][]float64(nil), sp.weights[src]...)
	}
	return &c
}

func (sp *spread) at(row int) *issue {
	if row < 0 {
		return nil
	}
	if is := sp.ring[row%len(sp.ring)]; is != nil && is.row == row {
		return is
	}
	return nil
}

// open starts the issue of a row with the model's forecasts.
func (sp *spread) open(row int, raw, pred, widen []float64) {
	t := sp.t
	is := &issue{row: row, base: t.held[0][row], raw: raw, widen: widen}
	if row > 0 {
		is.change = math.Abs(is.base - t.held[0][row-1])
	}
	if math.IsNaN(is.change) {
		is.change = 0
	}
	sum, n := 0.0, 0
	for i, in := range t.spec.Inputs {
		if in.Kind != Rain {
			continue
		}
		if v := t.rain(i, row-1, row); !math.IsNaN(v) {
			sum += v
			n++
		}
	}
	if n > 0 && !math.IsNaN(is.base) {
		is.wet = sum / float64(n) * math.Sqrt(max(0, is.base-t.origin[0]))
	}
	is.pred = pred
	for src := range is.err {
		is.err[src] = make([]float64, len(sp.leads))
		for i := range is.err[src] {
			is.err[src][i] = math.NaN()
		}
	}
	is.key = make([]float64, len(sp.leads))
	for i, v := range pred {
		if math.IsNaN(v) {
			v = is.base
		}
		is.key[i] = math.Log(max(0, v-t.origin[0]) + 0.05*t.mean[0])
	}
	sp.ring[row%len(sp.ring)] = is
}

// past returns the issues that are kept, newest first.
func (sp *spread) past(row int) []*issue {
	out := make([]*issue, 0, len(sp.ring))
	for r := row; r >= 0 && r > row-len(sp.ring); r-- {
		if is := sp.at(r); is != nil {
			out = append(out, is)
		}
	}
	return out
}

// neighbours is how many past issues a distribution is made of: those whose
// forecasts were most like the present one. Errors in flood are not those of
// the dry season, even scaled.
const neighbours = 300

// nearest returns the issues most like one, by the logarithm of the heights
// forecast over all leads. The same serve every lead, so that errors that
// belonged together stay together.
func (sp *spread) nearest(is *issue, past []*issue) []*issue {
	if len(past) <= neighbours || math.IsNaN(is.key[0]) {
		return past
	}
	type candidate struct {
		is *issue
		d  float64
	}
	cs := make([]candidate, 0, len(past))
	for _, old := range past {
		d := 0.0
		for i, k := range is.key {
			d += math.Abs(k - old.key[i])
		}
		if !math.IsNaN(d) {
			cs = append(cs, candidate{old, d})
		}
	}
	slices.SortFunc(cs, func(a, b candidate) int {
		return cmp.Or(cmp.Compare(a.d, b.d), cmp.Compare(b.is.row, a.is.row))
	})
	out := make([]*issue, min(neighbours, len(cs)))
	for i := range out {
		out[i] = cs[i].is
	}
	return out
}

// settle enters what the newest row says about forecasts made for it.
func (sp *spread) settle(row int) {
	y := sp.t.raw[0][row]
	for i, h := range sp.leads {
		is := sp.at(row - h)
		if is == nil {
			continue
		}
		is.err[byModel][i] = y - is.pred[i]
		is.err[byPersistence][i] = y - is.base
		if i == len(sp.leads)-1 {
			is.raw = nil // nothing more is learned from it
		}
	}
}

// factors fills the parts of the scale of an issue's forecast for a lead.
func (sp *spread) factors(is *issue, src source, lead int) [factors]float64 {
	h := sp.t.origin[0]
	return [factors]float64{
		0.02 * sp.t.mean[0],
		math.Abs(is.center(src, lead) - is.base),
		max(0, is.base-h),
		is.change,
		is.wet,
		max(0, is.center(src, lead)-h),
	}
}

// scale returns the scale of an issue's error for a lead.
func (sp *spread) scale(is *issue, src source, lead int) float64 {
	s := 0.0
	w := sp.weights[src][lead]
	if w == nil {
		return 1
	}
	for i, f := range sp.factors(is, src, lead) {
		s += w[i] * f
	}
	s = max(s, sp.floor)
	if src == byModel {
		s *= is.widen[lead]
	}
	return s
}

// learn finds the weights anew from the issues that are kept.
func (sp *spread) learn() {
	for src := range sources {
		for lead := range sp.leads {
			sp.weights[src][lead] = sp.learnLead(src, lead)
		}
	}
}

// learnLead regresses the absolute error on the factors with weights that are
// not negative, each error counting by scale^−1.5, so that floods do not
// decide alone how the quiet season is judged: three rounds, as the scale
// depends on the weights.
func (sp *spread) learnLead(src source, lead int) []float64 {
	type example struct {
		f   [factors]float64
		err float64
	}
	var ex []example
	for _, is := range sp.ring {
		if is == nil || math.IsNaN(is.err[src][lead]) || math.IsNaN(is.base) {
			continue
		}
		e := math.Abs(is.err[src][lead])
		if src == byModel {
			e /= is.widen[lead]
		}
		ex = append(ex, example{sp.factors(is, src, lead), e})
	}
	if len(ex) < 5*factors {
		return nil
	}
	w := make([]float64, factors)
	for i := range w {
		w[i] = 0.1
	}
	for range 3 {
		var a [factors][factors]float64
		var b [factors]float64
		for _, x := range ex {
			s := sp.floor
			for i, f := range x.f {
				s += w[i] * f
			}
			c := 1 / (s * math.Sqrt(s))
			for i, fi := range x.f {
				for j, fj := range x.f {
					a[i][j] += c * fi * fj
				}
				b[i] += c * fi * x.err
			}
		}
		nonNegative(&a, &b, w)
	}
	return w
}

// nonNegative solves a·w = b in the least squares sense for w ≥ 0 by
// coordinate descent (Franc, Hlaváč & Navara, CAIP 2005), from the w given.
func nonNegative(a *[factors][factors]float64, b *[factors]float64, w []float64) {
	for range 300 {
		for i := range w {
			if a[i][i] <= 0 {
				w[i] = 0
				continue
			}
			r := b[i]
			for j := range w {
				if j != i {
					r -= a[i][j] * w[j]
				}
			}
			w[i] = max(0, r/a[i][i])
		}
	}
}

// trailing returns the persistence index of the model's last verified forecasts
// for a lead, and how many there were: the lower one of all counting alike and
// of the newest counting most. A lead that was good for nothing over a month is
// not trusted for a good day, nor for a good month after some bad days.
func (sp *spread) trailing(row, lead int) (pi float64, count int) {
	var alike, newer squares
	newest := row - sp.leads[lead]
	for r := newest; r >= 0 && r > row-len(sp.ring) && count < sp.t.spec.Trail; r-- {
		is := sp.at(r)
		if is == nil {
			continue
		}
		m, p := is.err[byModel][lead], is.err[byPersistence][lead]
		if math.IsNaN(m) || math.IsNaN(p) {
			continue
		}
		alike.add(1, m, p)
		if half := sp.t.spec.TrailHalf; half > 0 {
			newer.add(math.Exp2(-float64(newest-r)/float64(half)), m, p)
		}
		count++
	}
	if count == 0 {
		return math.NaN(), 0
	}
	return min(alike.index(), newer.index()), count
}

// squares are weighted sums of squared errors.
type squares struct{ model, persistence, weight float64 }

func (s *squares) add(weight, model, persistence float64) {
	s.model += weight * model * model
	s.persistence += weight * persistence * persistence
	s.weight += weight
}

// index is the persistence index, the best there is where nothing was added.
func (s *squares) index() float64 {
	switch {
	case s.weight == 0:
		return 1
	case s.model > 0:
		return max(1-s.model/s.persistence, worstIndex) // against a gauge that stands still, −∞
	}
	return 0
}

// worstIndex bounds the persistence index from below, where the gauge stood
// still and any error at all is infinitely worse than persistence.
const worstIndex = -1000
