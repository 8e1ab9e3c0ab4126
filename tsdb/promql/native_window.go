package promql

import (
	"math"
	"time"

	"quantrac"

	"github.com/prometheus/prometheus/util/kahansum"
)

// window is the samples of a series in (start, end], at least one.
type window struct {
	times      []quantrac.Millis
	values     []float64
	start, end quantrac.Millis
}

func (w window) rate() (float64, bool)     { return w.change(true, true) }
func (w window) increase() (float64, bool) { return w.change(true, false) }
func (w window) delta() (float64, bool)    { return w.change(false, false) }

// seconds returns a time span in seconds.
func seconds(d quantrac.Millis) float64 { return float64(d) / 1000 }

// change is the difference of the last value and the first, stretched to the
// whole window as far as the distance of the samples allows. A counter's resets
// are made up for.
func (w window) change(counter, perSecond bool) (float64, bool) {
	n := len(w.values) - 1
	if n == 0 {
		return 0, false
	}
	result := w.values[n] - w.values[0]
	if counter {
		for i, v := range w.values[1:] {
			if v < w.values[i] {
				result += w.values[i]
			}
		}
	}
	sampled := seconds(w.times[n] - w.times[0])
	between := sampled / float64(n)
	near := between * 1.1
	toStart, toEnd := seconds(w.times[0]-w.start), seconds(w.end-w.times[n])
	if toStart >= near {
		toStart = between / 2
	}
	if counter && result > 0 && w.values[0] >= 0 {
		// It was not below zero: no further back than where it would have been.
		if toZero := sampled * (w.values[0] / result); toZero < toStart {
			toStart = toZero
		}
	}
	if toEnd >= near {
		toEnd = between / 2
	}
	factor := (sampled + toStart + toEnd) / sampled
	if perSecond {
		factor /= (time.Duration(w.end-w.start) * time.Millisecond).Seconds()
	}
	return result * factor, true
}

// plus adds v to a sum, and to c exactly what rounding has cut off; where
// something is not finite c becomes NaN. Otherwise it says what kahansum.Inc
// says, without a branch.
func plus(v, sum, c float64) (float64, float64) {
	t := sum + v
	b := t - sum
	return t, c + ((sum - (t - b)) + (v - b))
}

// slope is that of the regression line, per second.
func (w window) slope() (float64, bool) {
	if len(w.values) < 2 {
		return 0, false
	}
	// Times in whole seconds, as almost all are, sum up exactly as numbers; only
	// the values need compensated sums.
	var x, xx, odd quantrac.Millis
	var y, yc, xy, xyc float64
	varies := false
	first, value := w.times[0], w.values[0]
	for i, v := range w.values {
		d := w.times[i] - first
		odd |= d % 1000
		d /= 1000
		x += d
		xx += d * d
		y, yc = plus(v, y, yc)
		xy, xyc = plus(float64(float64(d)*v), xy, xyc)
		varies = varies || v != value
	}
	const exact = 1 << 53
	n := quantrac.Millis(len(w.values))
	span := (w.times[n-1] - first) / 1000
	if odd != 0 || yc != yc || xyc != xyc || !varies || span > 1<<20 || xx > exact {
		return w.slopeOfAny(), true
	}
	return slope(float64(n), float64(x), y+yc, xy+xyc, float64(xx)), true
}

// slope works out the slope from sums.
func slope(n, x, y, xy, xx float64) float64 {
	covariance := xy - x*y/n
	variance := xx - x*x/n
	return covariance / variance
}

// slopeOfAny is slope by the same steps as the engine's regression.
func (w window) slopeOfAny() float64 {
	var n float64
	var x, xc, y, yc, xy, xyc, xx, xxc float64
	varies := false
	for i, v := range w.values {
		n++
		d := float64(w.times[i]-w.times[0]) / 1e3
		x, xc = kahansum.Inc(d, x, xc)
		y, yc = kahansum.Inc(v, y, yc)
		xy, xyc = kahansum.Inc(d*v, xy, xyc)
		xx, xxc = kahansum.Inc(d*d, xx, xxc)
		varies = varies || i > 0 && v != w.values[0]
	}
	if !varies {
		if math.IsInf(w.values[0], 0) {
			return math.NaN()
		}
		return 0
	}
	return slope(n, x+xc, y+yc, xy+xyc, xx+xxc)
}
