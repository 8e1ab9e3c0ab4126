// Package alerting turns what the journal holds into warnings: level rules on
// the readings, silent gauges, forecasts that reach a level. It keeps each
// warning as an episode with revisions and shows them to whoever may see them.
//
// What it promises:
//
//   - A transition is journalled, with priority over readings on a full disk,
//     before anybody hears of it, and whoever hears of one revision of an
//     episode never later hears of a lower one. (ID, Revision, Epoch) is its
//     key down to the last subscriber.
//   - The state of the rules is a function of the journal: readings,
//     corrections, forecast runs, the thresholds in force, the warnings said.
//     After a kill at any moment the same transitions come out once, whatever
//     was lost in memory.
//   - A level ends only by usable readings that show it (package level); data
//     that are missing, late, failed or stale never end a warning.
//   - Thresholds are data: a change counts from its commit on, and is itself
//     journalled in the form the rules took it, so that the past is judged by
//     the law of its time also when it is judged again.
//   - Warnings on forecasts are for staff unless an issuing authority is on
//     record, and then they name it. "Báo động" is said only where a decision
//     sets the level. What is simulated says so.
//
// What is judged: every series (a sensor of a station) whose station and
// property have thresholds, each kind of threshold by itself; readings ahead of
// the centre's clock by more than quantrac.MaxAhead count as failed. Late,
// repeated and corrected readings: see package level. A correction that shows
// that a warning should not have been cancels it; so does withdrawing its
// thresholds. Silence is judged by valid time, never by our own absence, and
// ends with the first usable reading that is not stale itself. Forecast runs are
// judged in the order of issue time and number: one made again, because readings
// came late, takes the place of the one before it, and one of an earlier issue
// time has no say.
//
// How: one goroutine (the judge) follows the journal's tail, runs a level.Track
// for each watched series and kind of threshold, and appends what it has to say;
// a snapshot of its state bounds what must be judged again at a start. Tables
// in SQLite (a projection) hold every revision, the subscriptions and what was
// delivered. Time-driven are only silence and the renewal of a warning before
// it expires; both wait on the injected clock.
//
// Use: Open after the registry, Run in a goroutine; Current, History, Follow to
// read. The channels are below: cap, outbox, webhook, stream. Rooms beside this
// one never import it.
package alerting
