package codec

import "math/bits"

// The residuals of a good prediction are spread like one of four shapes, so a
// table of their frequencies needs no more than the shape and a scale to be
// told. The shapes have the same mean distance from the middle, 0.8 scales.
//
// Everything here is integer arithmetic: encoder and decoder, on whatever
// machine, must get the same frequencies.
const (
	shapeSteps = 32 // to a scale
	shapeSpan  = 16 // scales; nothing lies beyond
	shapeOne   = 1 << 30
	shapeCount = 4

	shapeStudent = 3 // the last
)

// shapes holds, for each shape, the part that lies beyond so many steps from
// the middle, on one side, in 1/shapeOne.
var shapes = [shapeCount][shapeSpan*shapeSteps + 1]uint32{
	tails(gaussian()), tails(logistic()), tails(laplace()), tails(student()),
}

// unit is 1 in the densities, of 32 binary places.
const unit = 1 << 32

// mul multiplies two numbers of 32 binary places.
func mul(a, b uint64) uint64 {
	hi, lo := bits.Mul64(a, b)
	return hi<<32 | lo>>32
}

// gaussian gives exp(−z²/2) at every step: the ratio of neighbours falls by a
// constant factor.
func gaussian() func() uint64 {
	const half, whole = 4292870656, 4290775039 // exp(−1/2048), exp(−1/1024)
	f, ratio := uint64(unit), uint64(half)
	return func() uint64 {
		g := f
		f, ratio = mul(f, ratio), mul(ratio, whole)
		return g
	}
}

// logistic gives u/(1+u)² with u = exp(−1.733 z).
func logistic() func() uint64 {
	u := uint64(unit)
	return func() uint64 {
		d := unit + u
		f := u << 31 / d << 1
		u = mul(u, 4068554151) // exp(−1.733/32)
		return f << 31 / d << 1
	}
}

// laplace gives exp(−1.25 z).
func laplace() func() uint64 {
	f := uint64(unit)
	return func() uint64 {
		g := f
		f = mul(f, 4130429683) // exp(−1.25/32)
		return g
	}
}

// student gives (1 + t²/3)⁻² with t = 1.378 z: three degrees of freedom.
func student() func() uint64 {
	i := uint64(0)
	return func() uint64 {
		d := unit + i*i*2654832 // 1.378²/3/32² of a unit
		i++
		f := unit << 31 / d << 1
		return mul(f, f)
	}
}

// tails adds up a density, by trapezoids, from the far end.
func tails(density func() uint64) [shapeSpan*shapeSteps + 1]uint32 {
	var f [shapeSpan*shapeSteps + 1]uint64
	for i := range f {
		f[i] = density() >> 2
	}
	sum := [len(f)]uint64{}
	for i := len(f) - 2; i >= 0; i-- {
		sum[i] = sum[i+1] + f[i] + f[i+1]
	}
	var out [shapeSpan*shapeSteps + 1]uint32
	for i, s := range sum {
		hi, lo := bits.Mul64(s, shapeOne/2)
		q, _ := bits.Div64(hi, lo, sum[0])
		out[i] = uint32(q)
	}
	return out
}

// below returns the part of a shape that lies below z, given in steps of
// 1/65536, in 1/shapeOne.
func below(shape int, z int64) uint64 {
	at := uint64(z)
	if z < 0 {
		at = uint64(-z)
	}
	i, rest := at>>16, at&0xffff
	tail := uint64(0)
	if t := &shapes[shape]; i < shapeSpan*shapeSteps {
		tail = uint64(t[i]) - uint64(t[i]-t[i+1])*rest>>16
	}
	if z < 0 {
		return tail
	}
	return shapeOne - tail
}
