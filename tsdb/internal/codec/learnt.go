package codec

import (
	"encoding/binary"
	"fmt"
	"math"
)

// A section of whole numbers in mode intLearnt: a step, the first number, how far
// apart neighbours usually are (a power of two of steps), for each column that
// stands beside a power of two by which its values are multiplied, and the other
// numbers, in steps from the first, as a learner codes them. Only values are told
// so: reading takes many times as long as in mode intSmall.
const (
	intLearnt = 11

	scaleBias = 128 // of the powers of two

	leastUsual, mostUsual = -16, 40
)

// Beside is what other columns have at the values of one: float64s that are
// neither infinite nor NaN. None is fine.
type Beside [][]float64

// appendLearnt appends a section of the values, nothing where they are too far
// apart or it would take so many bytes.
func appendLearnt(dst []byte, vals []int64, beside Beside, limit int) []byte {
	at := len(dst)
	step := int64(commonDivisor(vals))
	if len(vals) < smallMin || step <= 0 || len(beside) > maxBeside {
		return dst
	}
	dst = append(dst, intLearnt)
	dst = binary.AppendUvarint(dst, uint64(step))
	dst = binary.AppendVarint(dst, vals[0])
	apart := 0.0
	for i, v := range vals[1:] {
		apart += math.Abs(float64(v)-float64(vals[i])) / float64(step)
	}
	usual := power(apart / float64(len(vals)))
	dst = append(dst, byte(usual+scaleBias))
	scales := make([]int, len(beside))
	for k, b := range beside {
		sum := 0.0
		for i, v := range b[1:] {
			sum += math.Abs(v - b[i])
		}
		scales[k] = usual - power(sum/float64(len(b)))
		scales[k] = max(-scaleBias, min(scaleBias-1, scales[k]))
		dst = append(dst, byte(scales[k]+scaleBias))
	}
	l := newLearner(math.Ldexp(1, usual), beside.scaled(scales))
	c := NewBitWriter(dst)
	for i, v := range vals[1:] {
		d := (v - vals[0]) / step
		if _, err := l.next(c, i+1, d); err != nil || len(c.data)-at >= limit {
			return dst[:at]
		}
	}
	if dst = c.End(); len(dst)-at >= limit {
		return dst[:at]
	}
	return dst
}

// power returns the power of two that is about x.
func power(x float64) int {
	if !(x > 0 && x < maxLearnt) {
		return 0
	}
	return max(leastUsual, int(math.Round(math.Log2(x))))
}

// scaled returns the values less their first, times powers of two, as a learner
// wants them: what is too far off counts as no different.
func (b Beside) scaled(scales []int) [][]float64 {
	out := make([][]float64, len(b))
	for k, from := range b {
		by := math.Ldexp(1, scales[k])
		out[k] = make([]float64, len(from))
		for i, v := range from {
			if d := float64((v - from[0]) * by); d > -maxLearnt && d < maxLearnt {
				out[k][i] = d
			}
		}
	}
	return out
}

// readLearnt appends the n values of a section in mode intLearnt to dst.
func readLearnt(dst []int64, r *reader, n int, beside Beside) ([]int64, error) {
	step, first := r.uvarint(), r.varint()
	usual := int(r.byte()) - scaleBias
	scales := make([]int, len(beside))
	for k := range beside {
		scales[k] = int(r.byte()) - scaleBias
	}
	if r.err != nil {
		return dst, r.err
	}
	if n < smallMin || len(beside) > maxBeside || usual < leastUsual || usual > mostUsual {
		return dst, fmt.Errorf("%d numbers about 2^%d apart beside %d columns", n, usual, len(beside))
	}
	dst = append(grow(dst, n), first)
	l := newLearner(math.Ldexp(1, usual), beside.scaled(scales))
	c := NewBitReader(r.data)
	for i := 1; i < n; i++ {
		d, err := l.next(c, i, 0)
		if err != nil {
			return dst, err
		}
		dst = append(dst, first+d*int64(step))
	}
	if !c.Ended() {
		return dst, errCodes
	}
	return dst, nil
}
