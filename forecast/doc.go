// Package forecast runs forecast models on schedule and when their inputs
// arrive, keeps every run whole, writes its values ahead into the store, says
// how probable each threshold is, and scores what came of it.
//
// What it promises:
//
//   - A run reads what was known at its knowledge time and nothing later.
//     Reproduce runs a stored run again and Hindcast runs one that never was,
//     by the same code; of the same knowledge the same figures come, to the
//     last digit kept.
//   - Runs are never changed. A late or corrected input leads to a new run.
//     Each is a record of the journal, durable before its values are written
//     ahead, from which alerting takes what it says of thresholds; it holds
//     configuration, inputs with their gaps and flags, model version, training
//     window and knowledge, quantiles and probabilities by lead.
//   - At a lead where the model has lately done no better than persistence, or
//     where its gauge is silent, the run is persistence and says why. Lately is
//     what could be verified at issue time, of the last 30 days and of its
//     newest part (of a year where readings are daily): what has only begun to
//     go wrong is not seen yet, so that over some days a lead may do worse.
//   - Skill is computed from the runs that were given, against the
//     observations as they are known now, beside persistence.
//
// Use: Open with a journal, a store and a registry, Run in a goroutine (it owns
// the schedule, the following of inputs and the work), Close at the end.
// Latest, Runs, Get and Skill read; Handler serves them as JSON. The clock is
// the one that is passed in, for the schedule too, so that a replayed recording
// is forecast as if it were live.
//
// The models are in the packages below (arx), their scores in verify. Only cmd
// imports this package; it imports no other room: what it needs of the store
// and the registry it says in its own words.
package forecast
