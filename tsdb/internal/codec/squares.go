package codec

// squares learns to predict a number from others: recursive least squares
// (S. Haykin, Adaptive Filter Theory, 4th ed. 2002, ch. 9), that forgets.
//
// Encoder and decoder, on whatever machine, must come to the same bits. So every
// product is converted before it is added to something: that keeps a compiler
// from fusing the two, which would round once only.
type squares struct {
	keep    float64 // of what was learnt, from one number to the next
	start   float64 // variance of the weights at first
	x       []float64
	weights []float64
	gain    []float64
	p       []float64 // inverse correlation of x but for scale, rows from the diagonal on
	scale   float64
}

// mostVariance is where learning has gone astray, and begins anew.
const mostVariance = 1e6

func newSquares(n int, keep, start float64) squares {
	buf := make([]float64, 3*n+n*(n+1)/2)
	s := squares{keep: keep, start: start, x: buf[:n], weights: buf[n : 2*n], gain: buf[2*n : 3*n], p: buf[3*n:]}
	s.begin()
	return s
}

func (s *squares) begin() {
	clear(s.p)
	at := 0
	for i := range s.x {
		s.p[at] = 1
		at += len(s.x) - i
		if w := s.weights[i]; !(w > -mostVariance && w < mostVariance) {
			s.weights[i] = 0
		}
	}
	s.scale = s.start
}

// predict returns what x makes expect.
func (s *squares) predict() float64 {
	sum := 0.0
	w := s.weights[:len(s.x)]
	for i, x := range s.x {
		sum += float64(w[i] * x)
	}
	return sum
}

// learn takes in by how much the number was above the prediction.
func (s *squares) learn(above float64) {
	clear(s.gain)
	p := s.p
	for i, xi := range s.x {
		n := len(s.x) - i
		s.gain[i] += float64(p[0]*xi) + product(s.gain[i+1:], p[1:n], s.x[i+1:], xi)
		p = p[n:]
	}
	size := 0.0
	for i, g := range s.gain {
		size += float64(g * s.x[i])
	}
	by := s.scale / (s.keep + float64(s.scale*size))
	s.scale /= s.keep
	well := true
	p = s.p
	for i, g := range s.gain {
		k := float64(g * by)
		s.weights[i] += float64(k * above)
		row := p[:len(s.gain)-i]
		for j, g := range s.gain[i:] {
			row[j] -= float64(k * g)
		}
		v := float64(row[0] * s.scale)
		well = well && v >= 0 && v < mostVariance
		p = p[len(row):]
	}
	if !well {
		s.begin()
	}
}

// product adds the row times xi to gain, and returns the sum of its products with
// x, four by four.
func product(gain, row, x []float64, xi float64) float64 {
	var s0, s1, s2, s3 float64
	gain, x = gain[:len(row)], x[:len(row)]
	for len(row) >= 4 {
		g, r, v := (*[4]float64)(gain), (*[4]float64)(row), (*[4]float64)(x)
		s0 += float64(r[0] * v[0])
		s1 += float64(r[1] * v[1])
		s2 += float64(r[2] * v[2])
		s3 += float64(r[3] * v[3])
		g[0] += float64(r[0] * xi)
		g[1] += float64(r[1] * xi)
		g[2] += float64(r[2] * xi)
		g[3] += float64(r[3] * xi)
		gain, row, x = gain[4:], row[4:], x[4:]
	}
	for i, r := range row {
		s0 += float64(r * x[i])
		gain[i] += float64(r * xi)
	}
	return s0 + s1 + (s2 + s3)
}
