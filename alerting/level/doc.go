// Package level is the state machine of level rules: readings of one series
// in, changes of its warning level out. It is pure: no clock, no I/O, the same
// input always gives the same output. The alerting room runs one Track for
// each series and kind of threshold; any package may import it, it imports the
// root vocabulary only.
//
// # The machine
//
// A Rule holds the thresholds of one kind for a station and property, up to
// three levels at any time, and MaxGap, how far apart two readings may lie and
// still count as unbroken. A reading is usable if its quality is not Fail or
// Missing and its value is finite; suspect readings are usable, because a real
// flood trips the rate-of-change test. Core is the whole state after a usable
// reading: the level L (0 to 3), for each level k up to L the time Below[k]
// since which readings have shown the water under it, and the last reading.
//
// Step takes the next usable reading (t, v), t later than the last:
//
//  1. The thresholds in force are those valid at t. Where two of one level are
//     valid, the lower value counts.
//  2. Up, at once: if v ≥ value of some level, and the highest such level is
//     above L, L becomes that level.
//  3. Down, only when shown: v is under level k if v < value(k) − hysteresis(k).
//     Not under: Below[k] is forgotten. Under: Below[k] is t if it was
//     forgotten or the last reading lies more than MaxGap before t, else it
//     stays. Level k is over when t − Below[k] ≥ hold(k). A level with no
//     threshold in force any more is over too.
//  4. L becomes the highest level from 1 to L that is not over, 0 if none;
//     Below of all levels above is forgotten.
//
// So a level ends only by readings: under value − hysteresis without a break
// for the hold, in valid time. Silence, failed and missing readings change
// nothing, and a gap longer than MaxGap starts the hold anew, because nobody
// knows what the water did meanwhile. A hold of zero ends at the first reading
// under.
//
// # Readings that come late, twice, or corrected
//
// A Track folds Step over the window: the visible usable readings from the
// last one before the episode began (at most MaxWindow; without an episode
// only the last). Visible is quantrac.Visible: the newest human revision that
// stands, else the newest device one.
//
//   - A reading newer than the last usable one is taken. A backlog after an
//     outage therefore raises a level if it arrives in order of time, or while
//     it is still the newest.
//   - A reading not newer, at a time the window does not hold, changes nothing:
//     the state never moves back and cannot flap between live and backlog.
//   - The same device value at the same time again is a redelivery: nothing.
//   - Another value at a time the window holds, a correction, or the
//     revocation of one: the window is folded again.
//
// # What is told
//
// After each input the level is compared with the level told last:
//
//	told 0, level > 0            Issue
//	told > 0, level > 0, other   Update (up or down)
//	told > 0, level 0            Clear
//
// with two exceptions that are Cancel, not Clear: a refold in which no level
// was ever reached (the warning should not have been), and a level that went
// because no threshold is in force any more.
//
// A change of the rule (Refit) refolds an open episode's window under the new
// thresholds, each reading under those valid at its time; it never starts an
// episode: the next reading does.
package level
