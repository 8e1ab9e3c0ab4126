package arx

import (
	"fmt"
	"math"
)

// What the blend is made of is chosen on the last part of the training window,
// forecast forward by coefficients from before each issue time.
const (
	validationPart = 0.3  // of the training window
	nearlyBest     = 1.05 // members within 5 % of the best RMSE share the blend
	minRows        = 100  // complete rows before a regression is tried
)

// trial is one member's walk over the validation rows under every penalty.
type trial struct {
	m    *member
	pred [][][]float64 // by ridge, lead, validation row
}

// walk runs a member over all rows of the table. From row va on it forecasts
// with each penalty, from coefficients solved at rows that are multiples of
// RefitEvery.
func walk(s *Spec, t *table, m *member, va int) *trial {
	tr := &trial{m: m, pred: make([][][]float64, len(s.Ridges))}
	for r := range s.Ridges {
		tr.pred[r] = make([][]float64, len(s.Leads))
		for h := range s.Leads {
			tr.pred[r][h] = make([]float64, t.n-va)
		}
	}
	m.standardise(t, va)
	fits := make([]fit, len(s.Ridges))
	for row := range t.n {
		m.take(t, row)
		if row < va {
			continue
		}
		if row == va || due(s, t, row) {
			for r, lambda := range s.Ridges {
				fits[r].beta, fits[r].variance = m.g.solve(lambda, nil)
			}
		}
		z := m.recent[row%len(m.recent)]
		ok := complete(z)
		for r := range fits {
			for h := range s.Leads {
				v := math.NaN()
				if ok && fits[r].beta != nil {
					v = m.value(t, row, z, fits[r].beta[h])
				}
				tr.pred[r][h][row-va] = v
			}
		}
	}
	return tr
}

// due says whether coefficients are solved at a row. It depends on the row's
// time alone, not on where the table starts.
func due(s *Spec, t *table, row int) bool { return (t.first+int64(row))%int64(s.RefitEvery) == 0 }

// errorOf returns the RMSE of predictions for a lead over the validation rows
// that can be judged, and how many those are.
func errorOf(t *table, pred []float64, va, lead int) (float64, int) {
	sum, n := 0.0, 0
	for i, p := range pred {
		if va+i+lead >= t.n {
			break
		}
		if e := p - t.raw[0][va+i+lead]; !math.IsNaN(e) {
			sum += e * e
			n++
		}
	}
	if n == 0 {
		return math.Inf(1), 0
	}
	return math.Sqrt(sum / float64(n)), n
}

// choose picks the penalty of every member by lead, and by lead the members
// that share the blend. It returns the blend's forecasts over the validation
// rows by lead.
func choose(s *Spec, t *table, trials []*trial, va int) (blend [][]int, pred [][]float64) {
	best := make([][]int, len(trials)) // by member, lead: index of the penalty
	rmse := make([][]float64, len(trials))
	for k, tr := range trials {
		best[k], rmse[k] = make([]int, len(s.Leads)), make([]float64, len(s.Leads))
		tr.m.lambda = make([]float64, len(s.Leads))
		for h, lead := range s.Leads {
			rmse[k][h] = math.Inf(1)
			for r := range s.Ridges {
				if e, _ := errorOf(t, tr.pred[r][h], va, lead); e < rmse[k][h] {
					rmse[k][h], best[k][h] = e, r
				}
			}
			tr.m.lambda[h] = s.Ridges[best[k][h]]
		}
	}
	blend, pred = make([][]int, len(s.Leads)), make([][]float64, len(s.Leads))
	for h := range s.Leads {
		low := math.Inf(1)
		for k := range trials {
			low = min(low, rmse[k][h])
		}
		pred[h] = make([]float64, t.n-va)
		for k, tr := range trials {
			if !(rmse[k][h] <= low*nearlyBest) || math.IsInf(low, 1) {
				continue
			}
			blend[h] = append(blend[h], k)
			for i, v := range tr.pred[best[k][h]][h] {
				pred[h][i] += v
			}
		}
		for i := range pred[h] {
			pred[h][i] /= float64(len(blend[h])) // NaN where there is no member
		}
	}
	return blend, pred
}

func memberName(power float64, wet, bend bool, halfLife int) string {
	name := fmt.Sprintf("x^%g", power)
	if wet {
		name += "·wet"
	}
	if bend {
		name += "·bend"
	}
	if halfLife > 0 {
		name += fmt.Sprintf("·½%d", halfLife)
	}
	return name
}
