package verify

import "math"

// ME returns the mean error Σ(f−o)/n: the bias, positive where the forecast is
// too high. Unit of the property.
//
// Source: Jolliffe & Stephenson, Forecast Verification, 2nd ed. 2012, ch. 5.
func ME(forecast, observed []float64) float64 {
	return mean(forecast, observed, func(f, o float64) float64 { return f - o })
}

// MAE returns the mean absolute error Σ|f−o|/n. Unit of the property.
//
// Source: Jolliffe & Stephenson 2012, ch. 5.
func MAE(forecast, observed []float64) float64 {
	return mean(forecast, observed, func(f, o float64) float64 { return math.Abs(f - o) })
}

// MSE returns the mean squared error Σ(f−o)²/n. Unit of the property, squared.
//
// Source: Jolliffe & Stephenson 2012, ch. 5.
func MSE(forecast, observed []float64) float64 {
	return mean(forecast, observed, func(f, o float64) float64 { return (f - o) * (f - o) })
}

// RMSE returns the root of MSE. Unit of the property.
func RMSE(forecast, observed []float64) float64 { return math.Sqrt(MSE(forecast, observed)) }

// NSE returns the efficiency 1 − Σ(f−o)²/Σ(o−ō)²: 1 is perfect, 0 is as good
// as the mean of the observations, which on a slow river says next to nothing;
// read PI beside it.
//
// Source: Nash & Sutcliffe, J. Hydrol. 10:282, 1970.
func NSE(forecast, observed []float64) float64 {
	m := mean(forecast, observed, func(_, o float64) float64 { return o })
	return 1 - MSE(forecast, observed)/mean(forecast, observed, func(_, o float64) float64 { return (o - m) * (o - m) })
}

// KGE returns the Kling–Gupta efficiency 1 − √((r−1)² + (α−1)² + (β−1)²) of
// 2009: r the correlation, α = σf/σo, β = μf/μo.
//
// Source: Gupta, Kling, Yilmaz & Martinez, J. Hydrol. 377:80, 2009.
func KGE(forecast, observed []float64) float64 {
	mf := mean(forecast, observed, func(f, _ float64) float64 { return f })
	mo := mean(forecast, observed, func(_, o float64) float64 { return o })
	vf := mean(forecast, observed, func(f, _ float64) float64 { return (f - mf) * (f - mf) })
	vo := mean(forecast, observed, func(_, o float64) float64 { return (o - mo) * (o - mo) })
	cov := mean(forecast, observed, func(f, o float64) float64 { return (f - mf) * (o - mo) })
	r, a, b := cov/math.Sqrt(vf*vo), math.Sqrt(vf/vo), mf/mo
	return 1 - math.Sqrt((r-1)*(r-1)+(a-1)*(a-1)+(b-1)*(b-1))
}

// PI returns the persistence index 1 − MSE/MSE_persistence, over the pairs for
// which forecast, persistence and observation are all there. 1 is perfect, 0
// is as good as saying that nothing will change, below 0 is worse than that.
// Where persistence is perfect PI is 0 for a perfect forecast, else −Inf.
//
// persistence holds, for each pair, the last value known at issue time.
//
// Source: Kitanidis & Bras, Water Resour. Res. 16:1034, 1980 (coefficient of
// persistence).
func PI(forecast, persistence, observed []float64) float64 {
	var model, ref float64
	n := 0
	for i, o := range observed {
		f, p := forecast[i], persistence[i]
		if math.IsNaN(o + f + p) {
			continue
		}
		n++
		model += (f - o) * (f - o)
		ref += (p - o) * (p - o)
	}
	return index(model, ref, n)
}

func index(model, ref float64, n int) float64 {
	switch {
	case n == 0:
		return math.NaN()
	case ref > 0:
		return 1 - model/ref
	case model > 0:
		return math.Inf(-1)
	}
	return 0
}

// PermissibleError returns the error up to which Vietnam's statutory score
// calls a forecast right: 0.674·σ, σ the standard deviation (n−1) of the
// change over the lead in the reference years. changes holds those changes
// (value at the lead less value at issue), at least 30 of them; with fewer it
// is NaN, as the rule does not apply.
//
// Source: Circular 42/2017/TT-BTNMT, art. 11.
func PermissibleError(changes []float64) float64 {
	var sum, sq float64
	n := 0
	for _, c := range changes {
		if !math.IsNaN(c) {
			n++
			sum += c
		}
	}
	if n < 30 {
		return math.NaN()
	}
	m := sum / float64(n)
	for _, c := range changes {
		if !math.IsNaN(c) {
			sq += (c - m) * (c - m)
		}
	}
	return 0.674 * math.Sqrt(sq/float64(n-1))
}

// PassRate returns the share of forecasts whose absolute error is at most the
// permissible one, 0 to 1.
//
// Source: Circular 42/2017/TT-BTNMT, art. 11.
func PassRate(forecast, observed []float64, permissible float64) float64 {
	return mean(forecast, observed, func(f, o float64) float64 {
		if math.Abs(f-o) <= permissible {
			return 1
		}
		return 0
	})
}

// mean averages term over the pairs in which neither value is NaN.
func mean(forecast, observed []float64, term func(f, o float64) float64) float64 {
	sum, n := 0.0, 0
	for i, o := range observed {
		if f := forecast[i]; !math.IsNaN(f) && !math.IsNaN(o) {
			sum += term(f, o)
			n++
		}
	}
	if n == 0 {
		return math.NaN()
	}
	return sum / float64(n)
}
