package quantrac

import (
	"net/url"
	"time"
)

// Family is the kind of a station, by what it watches.
type Family string

// The families of the provincial network.
const (
	FamilyGauge     Family = "gauge"     // water level, discharge
	FamilyRain      Family = "rain"      // rainfall
	FamilyLightning Family = "lightning" // early warning of thunderstorms
	FamilyWater     Family = "water"     // water quality, salinity
	FamilyInsect    Family = "insect"    // light traps
	FamilyField     Family = "field"     // soil, paddy water, weather in the field
)

// Station is a place of observation as the registry knows it at one instant.
type Station struct {
	ID        string // lasting identifier, the value of label station
	Name      string // Vietnamese
	NameEn    string // English, "" to show Name
	Family    Family
	Lat, Lon  float64 // WGS84 degrees; both 0 where unknown
	River     string
	Commune   string // code of the administrative unit, in force at the instant
	District  string // former district, kept as a reporting region
	Operator  string
	Installed Millis // 0 where unknown
	Simulated bool   // its readings are made up, and every surface says so
	Upstream  []string
}

// StationLink returns the address of a station's page below the base address of
// the service. Messages carry it to where nobody can change it any more, so the
// page must understand it for ever.
func StationLink(base, station string) string {
	return base + "/#/station/" + url.PathEscape(station)
}

// Property is what a station measures, with the limits quality control uses.
type Property struct {
	Name     string        // metric name with its unit
	Unit     string        // as shown to people: m, mm, °C
	Interval time.Duration // expected interval between readings, 0 where irregular

	// Limits; NaN switches a test off, as does a zero duration.
	Min, Max     float64       // gross range: outside fails
	SuspectMin   float64       // user range: outside is suspect
	SuspectMax   float64       //
	SpikeLimit   float64       // largest deviation from the mean of both neighbours, property's unit
	RateLimit    float64       // largest change per second, property's unit / s
	FlatFor      time.Duration // as long as this without a change beyond FlatEpsilon is a flat line
	FlatEpsilon  float64       // property's unit
	Decimals     int           // decimals shown to people
	FaultValues  []float64     // codes that a logger sends for "no reading", such as -9999: fail
	HumanName    string        // Vietnamese, such as Mực nước
	HumanNameEn  string        // English
	NonNegative  bool          // a value below zero is impossible
	Cumulative   bool          // a counter (rain tips): rate, not level
	TrendEpsilon float64       // change per hour below which people read "steady"
}

// Binding is what the hot path needs to know of a device: whose readings they
// are and how to judge them. Bindings come in immutable snapshots.
type Binding struct {
	Device     string // id in topic and credentials
	Station    string
	Group      Labels              // labels of its rows: station, and sensor where set
	Properties map[string]Property // by metric name
	Installed  Millis              // of the station, 0 where unknown
	Simulated  bool
	Disabled   bool // known, but not allowed to send
	// Open lets the device send properties that nobody has registered; they are
	// not judged. For devices that register themselves on a developer's machine.
	Open bool
}

// Threshold is a level at which something is said, with the law it rests on.
// It is data with a validity, never a constant: alarm levels have been changed
// by decree.
type Threshold struct {
	ID         string
	Station    string
	Property   string
	Kind       ThresholdKind
	Level      int // 1 to 3, rising in severity
	Value      float64
	Unit       string
	Hysteresis float64       // how far below Value (property's unit) before it ends
	Hold       time.Duration // how long below before it ends
	LegalBasis string        // decision that sets it; "" for a watch level of our own
	ValidFrom  Millis
	ValidTo    Millis // exclusive; MaxMillis while in force
	EnteredBy  string
}

// ThresholdKind says what a threshold is called in public.
type ThresholdKind string

// The kinds in use.
const (
	// ThresholdAlarm is báo động I–III: only where a decision under Decision
	// 05/2020/QĐ-TTg, or the provincial People's Committee, sets it.
	ThresholdAlarm ThresholdKind = "bao_dong"
	// ThresholdWatch is a "ngưỡng theo dõi": where no authority has set a level.
	ThresholdWatch ThresholdKind = "theo_doi"
)

// Label returns the public name of the threshold's level in Vietnamese and
// English, such as "báo động II" and "alarm level II".
func (t Threshold) Label() (vi, en string) {
	roman := [...]string{"", "I", "II", "III"}
	n := ""
	if t.Level >= 1 && t.Level < len(roman) {
		n = " " + roman[t.Level]
	}
	if t.Kind == ThresholdAlarm {
		return "báo động" + n, "alarm level" + n
	}
	return "ngưỡng theo dõi" + n, "watch level" + n
}

// InForce says whether the threshold is valid at t.
func (t Threshold) InForce(at Millis) bool { return at >= t.ValidFrom && at < t.ValidTo }
