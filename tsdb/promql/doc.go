// Package promql answers PromQL over the engine of package tsdb, and serves
// the part of the Prometheus HTTP API that Grafana, promtool and our own pages
// ask for.
//
// Expressions are evaluated by Prometheus' own engine, so that every function,
// operator and edge case is as people know it; Prometheus' acceptance scripts
// run on our storage as a test (testdata/promqltest_excluded.txt lists what
// cannot pass, command by command). Five things are ours:
//
//   - Staleness follows the expected interval of each series: it is seen for
//     quantrac.StaleAfter of its interval after its last sample, five minutes
//     where nothing is registered. Range selectors are not touched by this.
//     The parameter lookback_delta puts Prometheus' one lookback for all in
//     its place.
//   - Metadata of stations (name, commune, river …) is joined at read time from
//     the Registry, at one instant for a whole query, and serves in matchers,
//     grouping and legends like any label.
//   - Selectors take pseudo-labels: __quality__="1,2,3,4" (QARTOD flags, or
//     "all"), __revision__="device" (as received), __asof__="2026-11-23T07:00:00Z"
//     (what was known then; the parameter asof= does it for a whole request) and
//     __registry_at__="…" (metadata as of another instant). They never appear in
//     results.
//   - Windows that a query folds are kept for the next (tsdb.DB.Fold), and
//     answers until something that they read has changed; the parameter nocache=1,
//     as VictoriaMetrics has it, works everything out anew.
//   - Requests are bounded in time, series, samples and number at once; over a
//     limit the answer is an error that names it, never a shortened result.
//
// The expressions that dashboards and pages ask most have native paths: selectors
// and last values, min, max, sum, avg, count, first, last and present over time,
// rate, increase, delta and deriv, each as it is or aggregated by min, max, sum,
// avg, count or group, at one time or over a range. They work on columns, and let
// the store fold (tsdb.DB.Fold). Their answers are the engine's: what they are not
// sure of they decline (@, subqueries, operators, other functions, anchored and
// smoothed, grouping by a name that the function drops, series that would become
// one without their names, the parameter stats), and the engine evaluates.
// Options.NoNative leaves it everything.
//
// Types of Prometheus stay inside: Instant and Range return types of this
// package made of root types. Use it so:
//
//	api := promql.New(db, registry, promql.Options{})
//	mux.Handle("/api/v1/", api.Handler())
//	samples, err := api.Instant(ctx, `max by (river) (water_level_meters)`, now)
//
// The principal in the context bounds every answer to its stations; the store
// sees to it. Only cmd may import this package, and tests.
package promql
