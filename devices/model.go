package devices

import "quantrac"

// Times in this package's own types: 0 is "since ever" where a validity
// begins, "still" where it ends, and "unknown" for an installation. (The one
// instant this cannot name is the first millisecond of 1970.)

// MustBeNew as a Revision asks that the thing put does not exist yet.
const MustBeNew = ^uint64(0)

// Station is a place of observation: what lasts, and dated facts of what may
// change.
type Station struct {
	ID        string          `json:"id"` // see ValidID; the value of label station
	Family    quantrac.Family `json:"family"`
	Lat       float64         `json:"lat"` // WGS84 degrees; both 0 where unknown
	Lon       float64         `json:"lon"`
	Installed quantrac.Millis `json:"installed_ms,omitempty"`
	Closed    quantrac.Millis `json:"closed_ms,omitempty"` // from then on it is left out of lists
	Simulated bool            `json:"simulated,omitempty"` // its readings are made up
	Upstream  []string        `json:"upstream,omitempty"`  // ids of stations the water passes first
	Facts     []Facts         `json:"facts"`               // by ValidFrom, at least one

	// Revision is the number of the commit that last changed it. Putting with
	// one that is not the present one is a Conflict; 0 does not check.
	Revision uint64 `json:"revision,omitempty"`
}

// Facts are what may change about a station, from ValidFrom until the next
// facts of it.
type Facts struct {
	ValidFrom quantrac.Millis `json:"valid_from_ms,omitempty"`
	Name      string          `json:"name"` // Vietnamese
	NameEn    string          `json:"name_en,omitempty"`
	River     string          `json:"river,omitempty"`
	Commune   string          `json:"commune_code,omitempty"`
	// CommuneAt is an instant at which the code means the commune that is
	// meant, as codes are used again for other communes. PutStation fills in
	// the present where it is 0.
	CommuneAt quantrac.Millis `json:"commune_at_ms,omitempty"`
	District  string          `json:"district,omitempty"` // former district, kept as a reporting region
	Operator  string          `json:"operator,omitempty"`
}

// Device is what sends: a logger, gateway or trap with credentials of its own.
// Its readings are those of its station.
type Device struct {
	ID       string            `json:"id"` // see ValidID: it stands in topics
	Station  string            `json:"station"`
	Sensor   string            `json:"sensor,omitempty"` // label sensor, where one station has two of a kind
	Labels   map[string]string `json:"labels,omitempty"` // further identity labels of its rows
	Disabled bool              `json:"disabled,omitempty"`
	Note     string            `json:"note,omitempty"`
	Tokens   []Token           `json:"tokens,omitempty"` // in force; PutDevice does not look at them
	Revision uint64            `json:"revision,omitempty"`
}

// Token is a device's credential as it is kept: the secret itself is shown
// once, when it is made.
type Token struct {
	ID      string          `json:"id"`
	Hash    []byte          `json:"-"` // SHA-256 of the secret
	Created quantrac.Millis `json:"created_ms"`
	By      string          `json:"by,omitempty"`
}

// MaxTokens is how many tokens of one device may be in force at once: the one
// in use and its successor.
const MaxTokens = 2

// Level is the rank of an administrative unit.
type Level string

// The levels. Districts ended on 30 June 2025.
const (
	Province Level = "province"
	District Level = "district"
	Commune  Level = "commune" // xã, phường, thị trấn, đặc khu
)

// Unit is an administrative unit. (Code, ValidFrom) is its key: codes are used
// again.
type Unit struct {
	Code      string          `json:"code"`
	ValidFrom quantrac.Millis `json:"valid_from_ms,omitempty"`
	ValidTo   quantrac.Millis `json:"valid_to_ms,omitempty"` // exclusive
	Name      string          `json:"name"`
	Level     Level           `json:"level"`
	Parent    string          `json:"parent,omitempty"` // code of the unit it lay in during its validity
	Revision  uint64          `json:"revision,omitempty"`
}

func (u *Unit) inForce(at quantrac.Millis) bool { return within(at, u.ValidFrom, u.ValidTo) }

// Authority is in whose name public forecasts and warnings of a province go
// out. Forecasting outside the national system needs a licence (Decree
// 38/2016/NĐ-CP): without an authority on record forecasts stay internal.
type Authority struct {
	Province   string          `json:"province,omitempty"` // code; "" for every station whose province has none
	Name       string          `json:"name"`
	NameEn     string          `json:"name_en,omitempty"`
	LegalBasis string          `json:"legal_basis"` // licence or decision
	ValidFrom  quantrac.Millis `json:"valid_from_ms,omitempty"`
	ValidTo    quantrac.Millis `json:"valid_to_ms,omitempty"` // exclusive
	Revision   uint64          `json:"revision,omitempty"`
}

// Property is what a station measures.
type Property struct {
	Station string
	quantrac.Property
	Revision uint64
}

// Threshold is a level of a station's property. Its key is station, property,
// kind, level and the beginning of its validity; ThresholdID writes it down
// as the ID.
type Threshold struct {
	quantrac.Threshold
	Revision uint64
}

// within says whether at lies in a validity of the package's convention.
func within(at, from, to quantrac.Millis) bool {
	return (from == 0 || at >= from) && (to == 0 || at < to)
}

// overlap says whether two validities share an instant.
func overlap(aFrom, aTo, bFrom, bTo quantrac.Millis) bool {
	return (aTo == 0 || bFrom == 0 || bFrom < aTo) && (bTo == 0 || aFrom == 0 || aFrom < bTo)
}
