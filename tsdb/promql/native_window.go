package promql

import (
	"math"
	"time"

	"quantrac"

	"github.com/prometheus/prometheus/util/kahansum"
)

// window is where a function looks at a series: at the samples from lo to before
// hi, those in (start, end]. There is at least one.
type window struct {
	times      []quantrac.Millis // of the series
	values     []float64         // likewise
	lo, hi     int
	start, end quantrac.Millis
	moments    moments // of the series, for functions that are timed
}

// samples returns those in the window.
func (w *window) samples() ([]quantrac.Millis, []float64) {
	return w.times[w.lo:w.hi], w.values[w.lo:w.hi]
}

// move moves the window on, to an end that lies after the one before.
func (w *window) move(end, width quantrac.Millis) {
	w.start, w.end = end-width, end
	for w.hi < len(w.times) && w.times[w.hi] <= end {
		w.hi++
	}
	for w.lo < w.hi && w.times[w.lo] <= w.start {
		w.lo++
	}
}

func (w *window) rate() (float64, bool)     { return w.change(true, true) }
func (w *window) increase() (float64, bool) { return w.change(true, false) }
func (w *window) delta() (float64, bool)    { return w.change(false, false) }

// seconds returns a time span in seconds.
func seconds(d quantrac.Millis) float64 { return float64(d) / 1000 }

// change is the difference of the last value and the first, stretched to the
// whole window as far as the distance of the samples allows. A counter's resets
// are made up for.
func (w *window) change(counter, perSecond bool) (float64, bool) {
	times, values := w.samples()
	n := len(values) - 1
	if n == 0 {
		return 0, false
	}
	result := values[n] - values[0]
	if counter {
		for i, v := range values[1:] {
			if v < values[i] {
				result += values[i]
			}
		}
	}
	sampled := seconds(times[n] - times[0])
	between := sampled / float64(n)
	near := between * 1.1
	toStart, toEnd := seconds(times[0]-w.start), seconds(w.end-times[n])
	if toStart >= near {
		toStart = between / 2
	}
	if counter && result > 0 && values[0] >= 0 {
		// It was not below zero: no further back than where it would have been.
		if toZero := sampled * (values[0] / result); toZero < toStart {
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
func (w *window) slope() (float64, bool) {
	if w.hi-w.lo < 2 {
		return 0, false
	}
	if v, ok := w.moments.slope(w.lo, w.hi); ok {
		return v, true
	}
	return w.slopeOfParts(), true
}

// slopeOfParts is slope where times are not whole seconds apart, or values not of a size.
func (w *window) slopeOfParts() float64 {
	times, values := w.samples()
	var x, xc, y, yc, xy, xyc, xx, xxc float64
	varies := false
	for i, v := range values {
		d := float64(times[i]-times[0]) / 1e3
		x, xc = plus(d, x, xc)
		y, yc = plus(v, y, yc)
		xy, xyc = plus(float64(d*v), xy, xyc)
		xx, xxc = plus(float64(d*d), xx, xxc)
		varies = varies || v != values[0]
	}
	if !varies || yc != yc || xyc != xyc {
		return w.slopeOfAny()
	}
	return slope(float64(len(values)), x+xc, y+yc, xy+xyc, xx+xxc)
}

// slope works out the slope from sums.
func slope(n, x, y, xy, xx float64) float64 {
	covariance := xy - x*y/n
	variance := xx - x*x/n
	return covariance / variance
}

// slopeOfAny is slope by the same steps as the engine's regression: of values
// that are not finite, or all the same.
func (w *window) slopeOfAny() float64 {
	times, values := w.samples()
	var n float64
	var x, xc, y, yc, xy, xyc, xx, xxc float64
	varies := false
	for i, v := range values {
		n++
		d := float64(times[i]-times[0]) / 1e3
		x, xc = kahansum.Inc(d, x, xc)
		y, yc = kahansum.Inc(v, y, yc)
		xy, xyc = kahansum.Inc(d*v, xy, xyc)
		xx, xxc = kahansum.Inc(d*d, xx, xxc)
		varies = varies || i > 0 && v != values[0]
	}
	if !varies {
		if math.IsInf(values[0], 0) {
			return math.NaN()
		}
		return 0
	}
	return slope(n, x+xc, y+yc, xy+xyc, xx+xxc)
}
