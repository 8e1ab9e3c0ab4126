// Package verify holds the scores by which forecasts are judged and the
// baselines that every model must beat.
//
// All functions are pure. Series are slices of equal length in the unit of the
// property forecast; a pair in which either value is NaN (a missing or failed
// reading) is left out, and a score of no pairs is NaN. Scores are never
// rounded here.
//
// The three families: errors of a single value (MAE, RMSE, NSE, the
// persistence index), scores of a distribution (CRPS, pinball loss, coverage)
// and scores of an event (Brier score, contingency table with POD and FAR).
//
// Anybody may import the package; it imports the standard library only.
package verify
