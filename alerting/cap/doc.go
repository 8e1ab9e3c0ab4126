// Package cap writes warnings in the Common Alerting Protocol 1.2 (OASIS,
// July 2010), the form in which alert hubs, broadcasters and phones take them.
// alerting/feed serves them.
//
// It promises a document that the schema of CAP 1.2 and the stricter rules of
// Google Public Alerts and of WMO's alert hub accept: two info blocks (vi-VN
// first, then en) of the same category and event code, every recommended
// element set, no Unknown values, times at +07:00, texts without markup, an
// area with coordinates where they are known. What is simulated goes out as
// Exercise, never as Actual.
//
// FromWarning maps one revision of a warning; Encode and Parse are bytes in
// and out. The mapping of levels:
//
//	level    severity  urgency    response
//	I        Minor     Expected   Monitor
//	II       Moderate  Expected   Prepare
//	III      Severe    Immediate  Prepare
//	clear    Minor     Past       AllClear
//	cancel   Minor     Past       None
//
// Extreme is left to authorities: we measure water, not damage. Certainty is
// Observed for levels and Likely, with urgency Future, for forecasts. All-clear
// is an Update with responseType AllClear, because Cancel says that a message
// should not be regarded, and it was right while it stood; only our cancel is
// CAP's Cancel.
//
// It is a pure leaf and imports the root vocabulary only; any package may import
// it.
package cap
