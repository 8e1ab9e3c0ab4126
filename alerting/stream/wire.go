package stream

import (
	"quantrac"
	quantracv1 "quantrac/api/quantrac/v1"
)

// Wire returns a warning in the form of the wire.
func Wire(w *quantrac.Warning) *quantracv1.Warning {
	states := map[quantrac.WarningState]quantracv1.State{
		quantrac.WarningIssued: quantracv1.State_STATE_ISSUE, quantrac.WarningUpdated: quantracv1.State_STATE_UPDATE,
		quantrac.WarningClear: quantracv1.State_STATE_ALL_CLEAR, quantrac.WarningCancel: quantracv1.State_STATE_CANCEL,
	}
	aud := quantracv1.Audience_AUDIENCE_STAFF
	if w.Audience == quantrac.AudiencePublic {
		aud = quantracv1.Audience_AUDIENCE_PUBLIC
	}
	return &quantracv1.Warning{
		Id: w.ID, Revision: int32(w.Revision), Epoch: w.Epoch, Commit: w.Commit, State: states[w.State], Rule: w.Rule, Audience: aud,
		Station: w.Station, StationName: both(w.StationName), Property: w.Property, Series: w.Series, Kind: string(w.Kind),
		Level: int32(w.Level), Peak: int32(w.Peak), Value: w.Value, Suspect: w.Suspect, Threshold: w.Threshold, Unit: w.Unit,
		ValidTimeMs: int64(w.ValidTime), OnsetMs: int64(w.Onset), SentMs: int64(w.Sent), ExpiresMs: int64(w.Expires),
		Authority: w.Authority, Simulated: w.Simulated, Lat: w.Lat, Lon: w.Lon, Area: w.Area,
		Headline: both(w.Headline), Detail: both(w.Detail), Advice: both(w.Advice), Run: w.Run,
	}
}

func both(t quantrac.Text) *quantracv1.Text { return &quantracv1.Text{Vi: t.Vi, En: t.En} }
