package stream_test

import (
	"testing"

	"quantrac"
	"quantrac/alerting/stream"
)

// TestWireLosesNothing: every field of the wire's warning is set by a warning
// that has all of its own.
func TestWireLosesNothing(t *testing.T) {
	both := quantrac.Text{Vi: "vi", En: "en"}
	m := stream.Wire(&quantrac.Warning{
		ID: "a", Revision: 1, Epoch: 2, Commit: 3, State: quantrac.WarningClear, Rule: quantrac.RuleForecast, Audience: quantrac.AudiencePublic,
		Station: "s", Property: "p", Series: "p{}", Level: 1, Peak: 2, Value: 1, Suspect: true, Threshold: 1.5, Unit: "m",
		ValidTime: 4, Onset: 5, Sent: 6, Expires: 7, Authority: "a", Run: 8, Simulated: true,
		Kind: quantrac.ThresholdAlarm, StationName: both, Lat: 1, Lon: 2, Area: "1", Headline: both, Detail: both, Advice: both,
	}).ProtoReflect()
	fields := m.Descriptor().Fields()
	for i := range fields.Len() {
		if f := fields.Get(i); !m.Has(f) {
			t.Errorf("%s is not set", f.Name())
		}
	}
}
