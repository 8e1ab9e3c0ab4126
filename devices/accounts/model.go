package accounts

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"

	"quantrac"
	"quantrac/internal/jsonapi"
)

// Account is a person who may sign in.
type Account struct {
	Name     string        `json:"name"` // lower case, such as a mail address
	Display  string        `json:"display,omitempty"`
	Role     quantrac.Role `json:"role"`
	Stations []string      `json:"stations"` // ids it may see; null for all
	Disabled bool          `json:"disabled,omitempty"`
	Revision uint64        `json:"revision,omitempty"` // as of devices.Station
}

// Token lets a program in.
type Token struct {
	ID       string          `json:"id"`
	Name     string          `json:"name"` // what it is for
	Role     quantrac.Role   `json:"role"`
	Stations []string        `json:"stations"` // as of an account
	Created  quantrac.Millis `json:"created_ms"`
	By       string          `json:"by"`
	Expires  quantrac.Millis `json:"expires_ms,omitempty"` // 0 for never
}

// A journal record of accounts has the head of every RecordRegistry: version,
// subject, encoding; then JSON of a record.
const (
	recordVersion  = 1
	subject        = 'A'
	encodingPlain  = 0
	maxRecordBytes = 1 << 20
)

type record struct {
	Actor string `json:"actor"`
	Edits []edit `json:"edits"`
}

// edit is one step: exactly one field is set.
type edit struct {
	Account     *accountEdit  `json:"account,omitempty"`
	Password    *passwordEdit `json:"password,omitempty"`
	Begin       *sessionEdit  `json:"begin,omitempty"`
	Renew       *renewEdit    `json:"renew,omitempty"`
	End         []byte        `json:"end,omitempty"` // SHA-256 of a session
	Token       *tokenEdit    `json:"token,omitempty"`
	RevokeToken string        `json:"revoke_token,omitempty"`
}

type accountEdit struct {
	Name     string        `json:"name"`
	Display  string        `json:"display,omitempty"`
	Role     quantrac.Role `json:"role"`
	Stations []string      `json:"stations"`
	Disabled bool          `json:"disabled,omitempty"`
}

type passwordEdit struct {
	Name string `json:"name"`
	Hash string `json:"hash"`           // PHC
	Keep bool   `json:"keep,omitempty"` // sessions go on: the same password, hashed again
}

type sessionEdit struct {
	Hash    []byte          `json:"sha256"`
	Account string          `json:"account"`
	Created quantrac.Millis `json:"created_ms"`
	Expires quantrac.Millis `json:"expires_ms"`
	Ends    quantrac.Millis `json:"ends_ms"`
}

type renewEdit struct {
	Hash    []byte          `json:"sha256"`
	Expires quantrac.Millis `json:"expires_ms"`
}

type tokenEdit struct {
	Token
	Hash []byte `json:"sha256"`
}

func encodeRecord(r *record) ([]byte, error) {
	body, err := json.Marshal(r)
	if err != nil {
		return nil, fmt.Errorf("encode account record: %w", err)
	}
	return append([]byte{recordVersion, subject, encodingPlain}, body...), nil
}

// decodeRecord reads the payload of a journal record; nil and no error for a
// record of another subject.
func decodeRecord(data []byte) (*record, error) {
	corrupt := func(format string, args ...any) error {
		return quantrac.Errorf(quantrac.Corrupt, "account record: "+format, args...)
	}
	switch {
	case len(data) < 3:
		return nil, corrupt("%d bytes, want at least 3", len(data))
	case data[0] != recordVersion:
		return nil, corrupt("version %d at byte 0, this program reads version %d", data[0], recordVersion)
	case data[1] != subject:
		return nil, nil
	case data[2] != encodingPlain || len(data) > maxRecordBytes:
		return nil, corrupt("encoding %d at byte 2 or %d bytes, want encoding 0 and at most %d", data[2], len(data), maxRecordBytes)
	}
	r := new(record)
	if err := jsonapi.Strict(bytes.NewReader(data[3:]), r); err != nil {
		return nil, corrupt("%w", err)
	}
	for i := range r.Edits {
		if !r.Edits[i].wellFormed() {
			return nil, corrupt("edit %d is not one thing, or a hash in it not one of 32 bytes", i)
		}
	}
	return r, nil
}

func (e *edit) wellFormed() bool {
	n := 0
	hash := func(set bool, h []byte) bool {
		if set {
			n++
		}
		return !set || len(h) == 32
	}
	if e.Account != nil {
		n++
	}
	if e.Password != nil {
		n++
	}
	if e.RevokeToken != "" {
		n++
	}
	ok := hash(e.End != nil, e.End)
	if e.Begin != nil {
		ok = hash(true, e.Begin.Hash) && ok
	}
	if e.Renew != nil {
		ok = hash(true, e.Renew.Hash) && ok
	}
	if e.Token != nil {
		ok = hash(true, e.Token.Hash) && ok
	}
	return ok && n == 1
}

var (
	accountName = regexp.MustCompile(`^[a-z0-9][a-z0-9._@+-]{0,63}$`)
	stationID   = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$`)
)

// personRoles may sign in; tokens may also have RoleDevice.
var personRoles = []quantrac.Role{
	quantrac.RoleViewer, quantrac.RoleTechnician, quantrac.RoleHydrologist, quantrac.RolePlantOfficer, quantrac.RoleApprover, quantrac.RoleAdmin,
}

const maxStations = 1000

func checkScope(role quantrac.Role, roles []quantrac.Role, stations []string, texts ...string) error {
	if !slices.Contains(roles, role) {
		return quantrac.Errorf(quantrac.Invalid, "role %q is unknown, want one of %v", role, roles)
	}
	if len(stations) > maxStations {
		return quantrac.Errorf(quantrac.Invalid, "%d stations, at most %d are kept", len(stations), maxStations)
	}
	for _, id := range stations {
		if !stationID.MatchString(id) {
			return quantrac.Errorf(quantrac.Invalid, "%q is not the id of a station", id)
		}
	}
	for _, s := range texts {
		if len(s) > 200 || regexpControl.MatchString(s) {
			return quantrac.Errorf(quantrac.Invalid, "text %.40q has more than 200 bytes or control characters", s)
		}
	}
	return nil
}

var regexpControl = regexp.MustCompile(`[\x00-\x1f\x7f]`)
