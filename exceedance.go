package quantrac

import "time"

// Exceedance is what one forecast run says about one threshold: how probable
// it is that the level is reached. The forecast room hands it to whoever turns
// it into a warning; it is never itself a warning.
//
// Leads, Prob and Median have the same length, in order of rising lead.
type Exceedance struct {
	Station   string
	Property  string          // metric name of what is forecast, not of the forecast
	Model     string          // as in label model
	Issue     Millis          // issue time: what was known by then went in
	Run       uint64          // commit number of the run's record
	Threshold Threshold       // in force at Issue
	Leads     []time.Duration // after Issue
	Prob      []float64       // P(value at the lead ≥ level), 0 to 1
	Median    []float64       // median forecast at the lead, property's unit
	PMax      float64         // P(maximum over the whole window ≥ level), 0 to 1, never below any of Prob
	Fallback  string          // why the run fell back to persistence, "" where it did not
}
