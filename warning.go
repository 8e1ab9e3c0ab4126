package quantrac

import "context"

// WarningState is where an episode stands.
type WarningState string

// The states. An episode is issued, updated while it changes level, and ends
// by an all-clear (the water has fallen) or a cancel (it should not have been
// said).
const (
	WarningIssued  WarningState = "issue"
	WarningUpdated WarningState = "update"
	WarningClear   WarningState = "all_clear"
	WarningCancel  WarningState = "cancel"
)

// The rules that say warnings.
const (
	RuleLevel    = "level"    // a reading reached a threshold
	RuleForecast = "forecast" // a forecast run holds it probable
	RuleSilence  = "silence"  // no usable reading for long
)

// Audience is who may see a warning.
type Audience string

// The audiences.
const (
	AudienceStaff  Audience = "staff"  // technical: silent gauges, forecasts without an authority
	AudiencePublic Audience = "public" // subscribers and the phone page
)

// Warning is one revision of an episode. (ID, Revision, Epoch) is the
// idempotency key down to the last subscriber: revisions of an id only rise.
type Warning struct {
	ID        string       `json:"id"`       // of the episode
	Revision  int          `json:"revision"` // from 1
	Epoch     uint64       `json:"epoch"`    // of the centre that said it
	Commit    uint64       `json:"commit"`   // the journal's number of this revision
	State     WarningState `json:"state"`
	Rule      string       `json:"rule"` // RuleLevel and so on
	Audience  Audience     `json:"audience"`
	Station   string       `json:"station"`
	Property  string       `json:"property,omitempty"`
	Series    string       `json:"series,omitempty"` // identity labels, PromQL form
	Level     int          `json:"level"`            // 1 to 3; 0 where levels do not apply or after the end
	Peak      int          `json:"peak"`             // highest level of the episode so far
	Value     float64      `json:"value"`            // that brought this revision, property's unit
	Suspect   bool         `json:"suspect"`          // quality control doubts Value
	Threshold float64      `json:"threshold"`        // of Level, or of the level last held
	Unit      string       `json:"unit,omitempty"`
	ValidTime Millis       `json:"valid_time_ms"` // of Value
	Onset     Millis       `json:"onset_ms"`      // valid time of the episode's first revision
	Sent      Millis       `json:"sent_ms"`       // commit time of this revision
	Expires   Millis       `json:"expires_ms"`    // by when an update will follow if it still holds
	Authority string       `json:"authority,omitempty"`
	Run       uint64       `json:"run,omitempty"` // of RuleForecast: number of the archived run it rests on
	Simulated bool         `json:"simulated"`

	// What the threshold is called, and the station as the registry knew it
	// when this revision was said; a revision reads the same for ever.
	Kind        ThresholdKind `json:"kind,omitempty"`
	StationName Text          `json:"station_name"`
	Lat         float64       `json:"lat,omitempty"` // WGS84 degrees; both 0 where unknown
	Lon         float64       `json:"lon,omitempty"`
	Area        string        `json:"area,omitempty"` // code of the administrative unit

	Headline Text `json:"headline"`
	Detail   Text `json:"detail"`
	Advice   Text `json:"advice"`
}

// Ended says whether the revision ends its episode.
func (w *Warning) Ended() bool { return w.State == WarningClear || w.State == WarningCancel }

// Text is a text for people in both languages.
type Text struct {
	Vi string `json:"vi"`
	En string `json:"en"`
}

// Simulated returns a name or a headline with the mark of what is made up, where
// there is any.
func (t Text) Simulated() Text {
	if t.Vi != "" {
		t.Vi = "[MÔ PHỎNG] " + t.Vi
	}
	if t.En != "" {
		t.En = "[SIMULATED] " + t.En
	}
	return t
}

// Role is what an account may do; each role may do what those before it in
// the list of constants may, where that makes sense for its work.
type Role string

// The roles.
const (
	RolePublic       Role = "public" // nobody signed in
	RoleDevice       Role = "device" // a device or gateway: sends readings, reads nothing that is not public
	RoleViewer       Role = "viewer"
	RoleTechnician   Role = "technician"
	RoleHydrologist  Role = "hydrologist"
	RolePlantOfficer Role = "plant_officer"
	RoleApprover     Role = "approver"
	RoleAdmin        Role = "admin"
)

// Principal is who asks. It travels in the context.
type Principal struct {
	Name     string
	Role     Role
	Stations []string // ids it may see; nil for all
}

// Staff says whether a person, or a program on behalf of one, is signed in.
func (p Principal) Staff() bool {
	return p.Role != "" && p.Role != RolePublic && p.Role != RoleDevice
}

type principalKey struct{}

// WithPrincipal returns a context in which PrincipalFrom finds p.
func WithPrincipal(ctx context.Context, p Principal) context.Context {
	return context.WithValue(ctx, principalKey{}, p)
}

// PrincipalFrom returns who asks; nobody signed in where the context does not
// say.
func PrincipalFrom(ctx context.Context) Principal {
	if p, ok := ctx.Value(principalKey{}).(Principal); ok {
		return p
	}
	return Principal{Role: RolePublic}
}
