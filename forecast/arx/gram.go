package arx

import (
	"math"
	"slices"

	"gonum.org/v1/gonum/blas"
	"gonum.org/v1/gonum/blas/blas64"
	"gonum.org/v1/gonum/lapack/lapack64"
)

// gram holds the normal equations of one design for all leads: X'X and, by
// lead, X'y, grown row by row and discounted by exponential forgetting, which
// makes solving them anew the same as recursive least squares (Ljung, System
// Identification, 2nd ed. 1999, §11.2). From the same sums any subset of the
// columns can be solved, which is how missing inputs are left out.
type gram struct {
	p     int
	a     []float64   // upper triangle, row-major p×p
	b     [][]float64 // by lead
	yy    []float64   // by lead: y'y
	rows  float64     // discounted number of rows
	unit  float64     // weight of the next row; old sums are left alone and the unit grows
	grow  float64     // per row; 1 where nothing is forgotten
	count int         // rows ever added
}

func newGram(p, leads, halfLife int) *gram {
	g := &gram{p: p, a: make([]float64, p*p), b: make([][]float64, leads), yy: make([]float64, leads), unit: 1, grow: 1}
	for i := range g.b {
		g.b[i] = make([]float64, p)
	}
	if halfLife > 0 {
		g.grow = math.Exp2(1 / float64(halfLife))
	}
	return g
}

func (g *gram) clone() *gram {
	c := *g
	c.a, c.yy = slices.Clone(g.a), slices.Clone(g.yy)
	c.b = make([][]float64, len(g.b))
	for i := range g.b {
		c.b[i] = slices.Clone(g.b[i])
	}
	return &c
}

// add takes in a standardised row and its targets, one per lead.
func (g *gram) add(z, y []float64) {
	v := blas64.Vector{N: g.p, Data: z, Inc: 1}
	blas64.Syr(g.unit, v, blas64.Symmetric{N: g.p, Data: g.a, Stride: g.p, Uplo: blas.Upper})
	for i, t := range y {
		blas64.Axpy(g.unit*t, v, blas64.Vector{N: g.p, Data: g.b[i], Inc: 1})
		g.yy[i] += g.unit * t * t
	}
	g.rows += g.unit
	g.count++
	if g.unit *= g.grow; g.unit > 1e9 {
		g.rescale(1 / g.unit)
	}
}

func (g *gram) rescale(f float64) {
	for i := range g.a {
		g.a[i] *= f
	}
	for i := range g.b {
		for j := range g.b[i] {
			g.b[i][j] *= f
		}
		g.yy[i] *= f
	}
	g.rows *= f
	g.unit *= f
}

// solve returns the coefficients by lead for a ridge penalty of lambda per row
// on every column but the constant, and the residual variance within the
// sample by lead. keep lists the columns to use, nil for all; the coefficients
// of the others are 0. It returns nil where the equations cannot be solved.
func (g *gram) solve(lambda float64, keep []int) (beta [][]float64, variance []float64) {
	if keep == nil {
		keep = make([]int, g.p)
		for i := range keep {
			keep[i] = i
		}
	}
	k := len(keep)
	if g.rows <= 0 || k == 0 {
		return nil, nil
	}
	a := blas64.Symmetric{N: k, Stride: k, Uplo: blas.Upper, Data: make([]float64, k*k)}
	x := blas64.General{Rows: k, Cols: len(g.b), Stride: len(g.b), Data: make([]float64, k*len(g.b))}
	var chol blas64.Triangular
	for try := 0; ; try++ {
		if try == 8 {
			return nil, nil
		}
		for i, ci := range keep {
			for j := i; j < k; j++ {
				a.Data[i*k+j] = g.a[ci*g.p+keep[j]]
			}
			if ci != 0 {
				a.Data[i*k+i] += lambda * g.rows
			}
			a.Data[i*k+i] *= 1 + 1e-12
		}
		var ok bool
		if chol, ok = lapack64.Potrf(a); ok {
			break
		}
		lambda *= 10 // columns that say the same: a larger penalty parts them
	}
	for i, ci := range keep {
		for h := range g.b {
			x.Data[i*x.Stride+h] = g.b[h][ci]
		}
	}
	lapack64.Potrs(chol, x)
	beta, variance = make([][]float64, len(g.b)), make([]float64, len(g.b))
	for h := range g.b {
		beta[h] = make([]float64, g.p)
		fit := g.yy[h]
		for i, ci := range keep {
			beta[h][ci] = x.Data[i*x.Stride+h]
			fit -= x.Data[i*x.Stride+h] * g.b[h][ci]
		}
		variance[h] = max(0, fit/g.rows)
	}
	return beta, variance
}
