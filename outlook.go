package quantrac

import "time"

// Outlook is what one forecast run says about the thresholds of what it
// forecasts. The rule on forecasts turns it into warnings; it is never itself
// one.
type Outlook struct {
	Station  string
	Sensor   string // "" where the station has one series of the property
	Property string // metric name of what is forecast, not of the forecast
	Model    string // as in label model
	Issue    Millis // issue time: readings up to then went in
	// Run is the commit number of the run's record. A run made again for the
	// same issue time, because readings came late, has a higher one.
	Run         uint64
	Fallback    string          // why the run fell back to persistence, "" where it did not
	Leads       []time.Duration // after Issue, rising
	Median      []float64       // median forecast at the lead, property's unit
	Exceedances []Exceedance    // of the thresholds in force at Issue; there may be none
}

// Exceedance is how probable a forecast run holds it that a level is reached.
type Exceedance struct {
	Threshold Threshold
	Prob      []float64 // P(value at the lead ≥ level) by Outlook.Leads, 0 to 1
	PMax      float64   // P(maximum over the whole window ≥ level), 0 to 1, never below any of Prob
}
