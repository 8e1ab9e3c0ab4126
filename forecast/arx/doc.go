// Package arx forecasts a gauge from its own past, gauges upstream and rain
// that has fallen: an adaptive autoregression with exogenous inputs, and
// persistence under it.
//
// One regression is fitted for every lead time directly, by ridge, on lags of
// the inputs, rain to date, products of rain and wetness, levels beyond two
// hinges, and harmonics of given periods. What varies (the transform of the
// levels, the penalty, the memory, which of these descriptions) is chosen by
// lead on the last 30 % of the training window, forecast forward; those nearly
// as good as the best share a blend. Coefficients are solved anew at fixed
// times, and a running bias is corrected where that helped on the validation
// rows. The distribution is that of the model's own errors in the 300 past
// issues most like the present one, scaled to it; their joint errors over all
// leads give the probability that the maximum of a window reaches a level.
//
// What it promises:
//
//   - A forecast depends on rows up to its own and nothing later: rows come one
//     by one (Append), and the same rows give the same forecast bit for bit on
//     one machine.
//   - Missing values are never invented: a level is carried forward over at
//     most MaxHold steps, the coefficients without the columns that are missing
//     are solved from the same sums, and the band widens by what they cost.
//   - For a lead at which the model has lately been worse than persistence, or
//     where the gauge is silent, or there is too little to learn from,
//     persistence is given and the reason said.
//
// Use: Train on a table, Append the rows since, Forecast; Clone to keep the
// trained state for the next run. The package does no I/O. The runner of the
// forecast room imports it, and nobody else needs to.
package arx
