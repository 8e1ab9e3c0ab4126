package arx

import (
	"math"
	"math/rand/v2"
	"testing"

	"gonum.org/v1/gonum/mat"
)

// leastSquares solves the weighted ridge problem by QR on the stacked rows, a
// way of its own to the same coefficients.
func leastSquares(t *testing.T, z [][]float64, y, w []float64, lambda float64, keep []int) []float64 {
	t.Helper()
	total := 0.0
	for _, v := range w {
		total += v
	}
	a := mat.NewDense(len(z)+len(keep), len(keep), nil)
	b := mat.NewVecDense(len(z)+len(keep), nil)
	for i := range z {
		for j, c := range keep {
			a.Set(i, j, math.Sqrt(w[i])*z[i][c])
		}
		b.SetVec(i, math.Sqrt(w[i])*y[i])
	}
	for j, c := range keep {
		if c != 0 {
			a.Set(len(z)+j, j, math.Sqrt(lambda*total))
		}
	}
	var x mat.VecDense
	if err := x.SolveVec(a, b); err != nil {
		t.Fatal(err)
	}
	return x.RawVector().Data
}

func TestGramSolvesTheSameAsLeastSquares(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	const p, n, half = 6, 200, 30
	for _, c := range []struct {
		name string
		half int
		keep []int
	}{
		{"all columns", 0, []int{0, 1, 2, 3, 4, 5}},
		{"without two", 0, []int{0, 1, 3, 5}},
		{"forgetting", half, []int{0, 1, 2, 3, 4, 5}},
		{"forgetting, without one", half, []int{0, 2, 3, 4, 5}},
	} {
		g := newGram(p, 2, c.half)
		var z [][]float64
		var ys [2][]float64
		var w []float64
		for i := range n {
			row := make([]float64, p)
			row[0] = 1
			for j := 1; j < p; j++ {
				row[j] = rng.NormFloat64()
			}
			row[5] += row[1] // columns that are alike
			y := []float64{row[1] - 2*row[3] + rng.NormFloat64(), row[2] + 3}
			g.add(row, y)
			z = append(z, row)
			ys[0], ys[1] = append(ys[0], y[0]), append(ys[1], y[1])
			age := float64(n - 1 - i)
			w = append(w, 1)
			if c.half > 0 {
				w[i] = math.Exp2(-age / half)
			}
		}
		beta, variance := g.solve(0.01, c.keep)
		for h := range ys {
			want := leastSquares(t, z, ys[h], w, 0.01, c.keep)
			for j, col := range c.keep {
				if d := math.Abs(beta[h][col] - want[j]); d > 1e-8 {
					t.Errorf("%s, lead %d, column %d: %g, want %g", c.name, h, col, beta[h][col], want[j])
				}
			}
			if variance[h] < 0 || math.IsNaN(variance[h]) {
				t.Errorf("%s: variance %g", c.name, variance[h])
			}
		}
	}
}

func TestGramForgetsForEver(t *testing.T) {
	// The unit of new rows grows until the sums are rescaled; the solution
	// must not notice.
	g := newGram(2, 1, 3)
	for i := range 2000 {
		x := math.Sin(float64(i))
		g.add([]float64{1, x}, []float64{1 + 2*x})
	}
	beta, _ := g.solve(1e-9, nil)
	if math.Abs(beta[0][0]-1) > 1e-6 || math.Abs(beta[0][1]-2) > 1e-6 {
		t.Errorf("coefficients %v, want 1 and 2", beta[0])
	}
	if math.IsInf(g.rows, 0) || g.unit > 1e10 {
		t.Errorf("sums grew without bound: rows %g, unit %g", g.rows, g.unit)
	}
}

func TestGramOfNothingOrAlike(t *testing.T) {
	if beta, _ := newGram(3, 1, 0).solve(1, nil); beta != nil {
		t.Errorf("coefficients %v of no rows", beta)
	}
	g := newGram(3, 1, 0)
	for i := range 10 {
		v := float64(i)
		g.add([]float64{1, v, v}, []float64{v}) // two columns say the same
	}
	beta, _ := g.solve(1e-18, nil)
	if beta == nil || math.Abs(beta[0][1]+beta[0][2]-1) > 1e-3 {
		t.Errorf("coefficients %v of equal columns, want a sum of 1", beta)
	}
}

func TestNonNegative(t *testing.T) {
	var a [factors][factors]float64
	var b [factors]float64
	for i := range factors {
		a[i][i] = 1
	}
	b[0], b[1] = 2, -3
	a[5][5], b[5] = 0, 1 // a factor that never occurred
	w := make([]float64, factors)
	nonNegative(&a, &b, w)
	if w[0] != 2 || w[1] != 0 || w[5] != 0 {
		t.Errorf("weights %v, want 2, 0 … 0", w)
	}
}
