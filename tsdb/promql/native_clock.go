package promql

import (
	"slices"

	"quantrac"
)

// clock is the times of samples in whole seconds, with what is wanted to sum them
// up over any window: times that are whole seconds apart, as almost all are, sum
// up exactly as integers, so that a regression need not add them up in floats.
type clock struct {
	seconds []int64 // since the first, as far as they are whole
	// since[i] is the first sample from which on all up to i are whole seconds
	// apart.
	since []int
	// Sums of the seconds, and of their squares, of the samples before each, and
	// one after the last. They may wrap around; their differences do not.
	sum, squares []int64
}

// set makes the clock of a series.
func (c *clock) set(times []quantrac.Millis) {
	n := len(times)
	c.seconds, c.since = slices.Grow(c.seconds[:0], n)[:n], slices.Grow(c.since[:0], n)[:n]
	c.sum, c.squares = slices.Grow(c.sum[:0], n+1)[:n+1], slices.Grow(c.squares[:0], n+1)[:n+1]
	c.sum[0], c.squares[0] = 0, 0
	from := 0
	var s, sum, squares int64
	for i, t := range times {
		if i > 0 {
			between := int64(t - times[i-1])
			whole := between / 1000
			if whole*1000 != between {
				from = i
			}
			s += whole
		}
		sum, squares = sum+s, squares+s*s
		c.seconds[i], c.since[i] = s, from
		c.sum[i+1], c.squares[i+1] = sum, squares
	}
}

// exact is up to where a float64 has every whole number.
const exact = 1 << 53

// sums returns, of the samples from lo to before hi, the sum of their seconds
// since the first and that of their squares; whole is false where those are not
// exact.
func (c *clock) sums(lo, hi int) (x, xx int64, whole bool) {
	first, n := c.seconds[lo], int64(hi-lo)
	if c.since[hi-1] > lo || c.seconds[hi-1]-first > 1<<20 {
		return 0, 0, false
	}
	sum, squares := c.sum[hi]-c.sum[lo], c.squares[hi]-c.squares[lo]
	x = sum - n*first
	xx = squares - 2*first*sum + n*first*first
	return x, xx, xx < exact
}
