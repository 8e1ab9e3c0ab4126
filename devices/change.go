package devices

import (
	"bytes"
	"compress/flate"
	"encoding/json"
	"fmt"
	"io"

	"quantrac"
	"quantrac/internal/jsonapi"
)

// A journal record of the registry is three bytes of head and JSON:
//
//	0  version, recordVersion
//	1  subject: subjectRegistry here; other letters belong to other readers of
//	   RecordRegistry and are skipped
//	2  encoding: 0 plain, 1 deflate
//	3… JSON of a change
//
// JSON because these records are few, kept for ever and read by people who
// look for who changed what; imports of thousands of stations are deflated,
// as one record must hold them whole.
const (
	recordVersion   = 1
	subjectRegistry = 'R'

	encodingPlain   = 0
	encodingDeflate = 1

	deflateFrom    = 16 << 10 // bytes of JSON
	maxRecordBytes = 64 << 20 // of JSON
)

// change is what one record holds.
type change struct {
	Actor  string `json:"actor"`
	Reason string `json:"reason,omitempty"`
	Edits  []edit `json:"edits"`
}

// edit is one step of a change: exactly one field is set. Puts carry the whole
// thing, so applying one again changes nothing.
type edit struct {
	Unit            *Unit        `json:"unit,omitempty"`
	Station         *Station     `json:"station,omitempty"`
	Property        *Property    `json:"property,omitempty"`
	RemoveProperty  *propertyRef `json:"remove_property,omitempty"`
	Threshold       *Threshold   `json:"threshold,omitempty"`
	RemoveThreshold string       `json:"remove_threshold,omitempty"`
	Device          *Device      `json:"device,omitempty"`
	AddToken        *tokenEdit   `json:"add_token,omitempty"`
	RevokeToken     *tokenRef    `json:"revoke_token,omitempty"`
	Authority       *Authority   `json:"authority,omitempty"`
}

type propertyRef struct {
	Station  string `json:"station"`
	Property string `json:"property"`
}

type tokenRef struct {
	Device string `json:"device"`
	ID     string `json:"id"`
}

type tokenEdit struct {
	Device  string          `json:"device"`
	ID      string          `json:"id"`
	Hash    []byte          `json:"sha256"`
	Created quantrac.Millis `json:"created_ms"`
	By      string          `json:"by,omitempty"`
}

// object names what the edit is about: its kind and its key.
func (e *edit) object() (kind, id string) {
	switch {
	case e.Unit != nil:
		return "unit", e.Unit.key()
	case e.Station != nil:
		return "station", e.Station.ID
	case e.Property != nil:
		return "property", e.Property.Station + ":" + e.Property.Name
	case e.RemoveProperty != nil:
		return "property", e.RemoveProperty.Station + ":" + e.RemoveProperty.Property
	case e.Threshold != nil:
		return "threshold", e.Threshold.ID
	case e.RemoveThreshold != "":
		return "threshold", e.RemoveThreshold
	case e.Device != nil:
		return "device", e.Device.ID
	case e.AddToken != nil:
		return "token", e.AddToken.Device + ":" + e.AddToken.ID
	case e.RevokeToken != nil:
		return "token", e.RevokeToken.Device + ":" + e.RevokeToken.ID
	case e.Authority != nil:
		return "authority", e.Authority.key()
	}
	return "", ""
}

func (u *Unit) key() string      { return u.Code + ":" + dateKey(u.ValidFrom) }
func (a *Authority) key() string { return a.Province + ":" + dateKey(a.ValidFrom) }

// encodeChange makes the payload of a journal record.
func encodeChange(c *change) ([]byte, error) {
	body, err := json.Marshal(c)
	if err != nil {
		return nil, fmt.Errorf("encode registry change: %w", err)
	}
	if len(body) > maxRecordBytes {
		return nil, quantrac.Errorf(quantrac.Invalid, "a change of %d bytes is more than one record holds, %d: make several of it", len(body), maxRecordBytes)
	}
	head := []byte{recordVersion, subjectRegistry, encodingPlain}
	if len(body) < deflateFrom {
		return append(head, body...), nil
	}
	head[2] = encodingDeflate
	out := bytes.NewBuffer(head)
	z, err := flate.NewWriter(out, flate.DefaultCompression)
	if err == nil {
		_, err = z.Write(body)
	}
	if err == nil {
		err = z.Close()
	}
	if err != nil {
		return nil, fmt.Errorf("deflate registry change: %w", err)
	}
	return out.Bytes(), nil
}

// decodeChange reads the payload of a journal record; nil and no error for a
// record of another subject. What this version does not know, a field or an
// edit, is an error: skipping half of a change would make a registry that
// nobody entered.
func decodeChange(data []byte) (*change, error) {
	corrupt := func(format string, args ...any) error {
		return quantrac.Errorf(quantrac.Corrupt, "registry record: "+format, args...)
	}
	if len(data) < 3 {
		return nil, corrupt("%d bytes, want at least 3", len(data))
	}
	if data[0] != recordVersion {
		return nil, corrupt("version %d at byte 0, this program reads version %d", data[0], recordVersion)
	}
	if data[1] != subjectRegistry {
		return nil, nil
	}
	body := data[3:]
	switch data[2] {
	case encodingPlain:
	case encodingDeflate:
		var err error
		if body, err = inflate(body); err != nil {
			return nil, corrupt("%w", err)
		}
	default:
		return nil, corrupt("encoding %d at byte 2, want 0 or 1", data[2])
	}
	c := new(change)
	if err := jsonapi.Strict(bytes.NewReader(body), c); err != nil {
		return nil, corrupt("%w", err)
	}
	for i := range c.Edits {
		if err := c.Edits[i].wellFormed(); err != nil {
			return nil, corrupt("edit %d: %w", i, err)
		}
	}
	return c, nil
}

func inflate(data []byte) ([]byte, error) {
	z := flate.NewReader(bytes.NewReader(data))
	body, err := io.ReadAll(io.LimitReader(z, maxRecordBytes+1))
	if err != nil {
		return nil, fmt.Errorf("inflate: %w", err)
	}
	if len(body) > maxRecordBytes {
		return nil, fmt.Errorf("inflate: more than %d bytes", maxRecordBytes)
	}
	return body, nil
}

// wellFormed reports an edit that sets no field or several.
func (e *edit) wellFormed() error {
	n := 0
	for _, set := range []bool{
		e.Unit != nil, e.Station != nil, e.Property != nil, e.RemoveProperty != nil, e.Threshold != nil,
		e.RemoveThreshold != "", e.Device != nil, e.AddToken != nil, e.RevokeToken != nil, e.Authority != nil,
	} {
		if set {
			n++
		}
	}
	if n != 1 {
		return fmt.Errorf("%d things in one edit, want 1", n)
	}
	return nil
}
