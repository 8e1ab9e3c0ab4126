// Package quantrac is the vocabulary of the service: what a series, an
// observation, its quality and revisions, a threshold and a warning are, and
// the rules of meaning that every room shares (which value of a redelivered or
// corrected reading is seen, how long a silent series is still shown, what a
// clock that ran ahead does).
//
// It holds words and pure rules only: no I/O, no goroutine, the standard
// library and nothing else. Everybody may import it; it imports nobody.
//
// The model in short. A Row is what one station says at one time: labels shared
// by several properties (the group) and a Cell per property. Rows come in a
// Batch, a batch becomes one Commit of the journal, and commits are numbered in
// one order for the whole service: readings, registry changes, thresholds,
// warnings, forecasts. A reading that is sent again changes nothing, a
// correction is a revision in a layer of its own, nothing is ever overwritten,
// and any reader can ask what was known as of a commit or a time.
package quantrac
