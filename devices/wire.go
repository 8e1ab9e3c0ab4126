package devices

import (
	"bytes"
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"

	"quantrac"
	"quantrac/internal/jsonapi"
)

// propertyJSON is a Property in JSON, in the journal and over HTTP. A limit
// that is absent is switched off: JSON has no NaN.
type propertyJSON struct {
	Station      string    `json:"station,omitempty"`
	Name         string    `json:"name"`
	Unit         string    `json:"unit"`
	IntervalMs   int64     `json:"interval_ms,omitempty"`
	Min          *float64  `json:"min,omitempty"`
	Max          *float64  `json:"max,omitempty"`
	SuspectMin   *float64  `json:"suspect_min,omitempty"`
	SuspectMax   *float64  `json:"suspect_max,omitempty"`
	SpikeLimit   *float64  `json:"spike_limit,omitempty"`
	RateLimit    *float64  `json:"rate_limit_per_second,omitempty"`
	FlatForMs    int64     `json:"flat_for_ms,omitempty"`
	FlatEpsilon  float64   `json:"flat_epsilon,omitempty"`
	Decimals     int       `json:"decimals"`
	FaultValues  []float64 `json:"fault_values,omitempty"`
	HumanName    string    `json:"human_name,omitempty"`
	HumanNameEn  string    `json:"human_name_en,omitempty"`
	NonNegative  bool      `json:"non_negative,omitempty"`
	Cumulative   bool      `json:"cumulative,omitempty"`
	TrendEpsilon float64   `json:"trend_epsilon_per_hour,omitempty"`
	Revision     uint64    `json:"revision,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (p Property) MarshalJSON() ([]byte, error) {
	return json.Marshal(propertyJSON{
		Station: p.Station, Name: p.Name, Unit: p.Unit, IntervalMs: p.Interval.Milliseconds(),
		Min: limitOut(p.Min), Max: limitOut(p.Max), SuspectMin: limitOut(p.SuspectMin), SuspectMax: limitOut(p.SuspectMax),
		SpikeLimit: limitOut(p.SpikeLimit), RateLimit: limitOut(p.RateLimit),
		FlatForMs: p.FlatFor.Milliseconds(), FlatEpsilon: p.FlatEpsilon, Decimals: p.Decimals, FaultValues: p.FaultValues,
		HumanName: p.HumanName, HumanNameEn: p.HumanNameEn, NonNegative: p.NonNegative, Cumulative: p.Cumulative,
		TrendEpsilon: p.TrendEpsilon, Revision: p.Revision,
	})
}

// UnmarshalJSON implements json.Unmarshaler.
func (p *Property) UnmarshalJSON(data []byte) error {
	var w propertyJSON
	if err := jsonapi.Strict(bytes.NewReader(data), &w); err != nil {
		return err
	}
	*p = Property{Station: w.Station, Revision: w.Revision, Property: quantrac.Property{
		Name: w.Name, Unit: w.Unit, Interval: millis(w.IntervalMs),
		Min: limitIn(w.Min), Max: limitIn(w.Max), SuspectMin: limitIn(w.SuspectMin), SuspectMax: limitIn(w.SuspectMax),
		SpikeLimit: limitIn(w.SpikeLimit), RateLimit: limitIn(w.RateLimit),
		FlatFor: millis(w.FlatForMs), FlatEpsilon: w.FlatEpsilon, Decimals: w.Decimals, FaultValues: w.FaultValues,
		HumanName: w.HumanName, HumanNameEn: w.HumanNameEn, NonNegative: w.NonNegative, Cumulative: w.Cumulative,
		TrendEpsilon: w.TrendEpsilon,
	}}
	return nil
}

// thresholdJSON is a Threshold in JSON; absent ends of validity are open.
type thresholdJSON struct {
	ID         string                 `json:"id,omitempty"`
	Station    string                 `json:"station"`
	Property   string                 `json:"property"`
	Kind       quantrac.ThresholdKind `json:"kind"`
	Level      int                    `json:"level"`
	Value      float64                `json:"value"`
	Unit       string                 `json:"unit"`
	Hysteresis float64                `json:"hysteresis,omitempty"`
	HoldMs     int64                  `json:"hold_ms,omitempty"`
	LegalBasis string                 `json:"legal_basis,omitempty"`
	ValidFrom  quantrac.Millis        `json:"valid_from_ms,omitempty"`
	ValidTo    quantrac.Millis        `json:"valid_to_ms,omitempty"`
	EnteredBy  string                 `json:"entered_by,omitempty"`
	Revision   uint64                 `json:"revision,omitempty"`
}

// MarshalJSON implements json.Marshaler.
func (t Threshold) MarshalJSON() ([]byte, error) {
	return json.Marshal(thresholdJSON{
		ID: t.ID, Station: t.Station, Property: t.Property, Kind: t.Kind, Level: t.Level, Value: t.Value, Unit: t.Unit,
		Hysteresis: t.Hysteresis, HoldMs: t.Hold.Milliseconds(), LegalBasis: t.LegalBasis,
		ValidFrom: boundOut(t.ValidFrom), ValidTo: boundOut(t.ValidTo), EnteredBy: t.EnteredBy, Revision: t.Revision,
	})
}

// UnmarshalJSON implements json.Unmarshaler.
func (t *Threshold) UnmarshalJSON(data []byte) error {
	var w thresholdJSON
	if err := jsonapi.Strict(bytes.NewReader(data), &w); err != nil {
		return err
	}
	*t = Threshold{Revision: w.Revision, Threshold: quantrac.Threshold{
		ID: w.ID, Station: w.Station, Property: w.Property, Kind: w.Kind, Level: w.Level, Value: w.Value, Unit: w.Unit,
		Hysteresis: w.Hysteresis, Hold: millis(w.HoldMs), LegalBasis: w.LegalBasis,
		ValidFrom: boundIn(w.ValidFrom, quantrac.MinMillis), ValidTo: boundIn(w.ValidTo, quantrac.MaxMillis), EnteredBy: w.EnteredBy,
	}}
	return nil
}

// ThresholdID returns the ID of a threshold, made of its key:
// tan_chau:water_level_meters:bao_dong:3:2020-01-31.
func ThresholdID(t *quantrac.Threshold) string {
	return strings.Join([]string{
		t.Station, t.Property, string(t.Kind), strconv.Itoa(t.Level), dateKey(boundOut(t.ValidFrom)),
	}, ":")
}

// dateKey writes the beginning of a validity in a key: the civil date where it
// is a midnight at +07:00, else the UTC time, or "ever".
func dateKey(at quantrac.Millis) string {
	if at == 0 {
		return "ever"
	}
	if from, _ := at.Day(); from == at {
		return at.Time().In(quantrac.Zone).Format(time.DateOnly)
	}
	return at.Time().Format("20060102T150405.000Z")
}

// boundOut brings an end of validity of root types to this package's
// convention, where 0 is open; boundIn brings it back.
func boundOut(at quantrac.Millis) quantrac.Millis {
	if at <= quantrac.MinMillis || at >= quantrac.MaxMillis {
		return 0
	}
	return at
}

func boundIn(at, open quantrac.Millis) quantrac.Millis {
	if at == 0 {
		return open
	}
	return at
}

func limitOut(v float64) *float64 {
	if math.IsNaN(v) {
		return nil
	}
	return &v
}

func limitIn(v *float64) float64 {
	if v == nil {
		return math.NaN()
	}
	return *v
}

// millis makes a duration of milliseconds; what does not fit is the longest
// or shortest one, which validation refuses.
func millis(ms int64) time.Duration {
	const most = math.MaxInt64 / int64(time.Millisecond)
	return time.Duration(max(-most, min(most, ms))) * time.Millisecond
}
