package arx

import "math"

// bias is the running mean of the newest errors for one lead, added to the
// next forecast. Whether it is kept, and how long its memory is, is chosen on
// the validation rows.
type bias struct {
	keep  float64 // share of the old value kept per error; 0 where no bias is corrected
	value float64 // unit of the gauge
}

// learn takes in the error (observed − forecast before correction) that has
// come to be known; NaN is passed over.
func (b *bias) learn(err float64) {
	if b.keep > 0 && !math.IsNaN(err) {
		b.value = b.keep*b.value + (1-b.keep)*err
	}
}

// biasHalfLives are the memories tried, in verified forecasts.
var biasHalfLives = [...]float64{10, 40, 160}

// biasGain is by how much RMSE must fall before a correction is kept: less is
// noise.
const biasGain = 0.99

// chooseBias tries the memories on forecasts pred over the validation rows and
// returns the best as it would stand before the first of them.
func chooseBias(t *table, pred []float64, va, lead int) bias {
	best, b := biasGain*biasError(t, pred, va, lead, 0), bias{}
	for _, half := range biasHalfLives {
		keep := math.Exp2(-1 / half)
		if e := biasError(t, pred, va, lead, keep); e < best {
			best, b.keep = e, keep
		}
	}
	return b
}

// biasError returns the RMSE of the forecasts corrected with a memory.
func biasError(t *table, pred []float64, va, lead int, keep float64) float64 {
	b := bias{keep: keep}
	sum, n := 0.0, 0
	for i := range pred {
		if i >= lead {
			b.learn(t.raw[0][va+i] - pred[i-lead])
		}
		if va+i+lead >= t.n {
			break
		}
		if e := t.raw[0][va+i+lead] - pred[i] - b.value; !math.IsNaN(e) {
			sum += e * e
			n++
		}
	}
	return math.Sqrt(sum / float64(n))
}
