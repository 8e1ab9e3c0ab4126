package cap

import (
	"bytes"
	"encoding/xml"
	"fmt"
	"io"

	"quantrac"
)

// Namespace is that of CAP 1.2.
const Namespace = "urn:oasis:names:tc:emergency:cap:1.2"

// ContentType is how a CAP document is served.
const ContentType = "application/cap+xml; charset=utf-8"

// MaxBytes bounds what Parse reads.
const MaxBytes = 1 << 20

// Alert is a CAP message. Fields stand in the order of the schema, which the
// XML must keep.
type Alert struct {
	XMLName     xml.Name `xml:"alert"`
	Identifier  string   `xml:"identifier"`
	Sender      string   `xml:"sender"`
	Sent        string   `xml:"sent"`
	Status      string   `xml:"status"`
	MsgType     string   `xml:"msgType"`
	Source      string   `xml:"source,omitempty"`
	Scope       string   `xml:"scope"`
	Restriction string   `xml:"restriction,omitempty"`
	Addresses   string   `xml:"addresses,omitempty"`
	Code        []string `xml:"code,omitempty"`
	Note        string   `xml:"note,omitempty"`
	References  string   `xml:"references,omitempty"`
	Incidents   string   `xml:"incidents,omitempty"`
	Info        []Info   `xml:"info"`
}

// Info is the message in one language.
type Info struct {
	Language     string   `xml:"language,omitempty"`
	Category     []string `xml:"category"`
	Event        string   `xml:"event"`
	ResponseType []string `xml:"responseType,omitempty"`
	Urgency      string   `xml:"urgency"`
	Severity     string   `xml:"severity"`
	Certainty    string   `xml:"certainty"`
	Audience     string   `xml:"audience,omitempty"`
	EventCode    []Pair   `xml:"eventCode,omitempty"`
	Effective    string   `xml:"effective,omitempty"`
	Onset        string   `xml:"onset,omitempty"`
	Expires      string   `xml:"expires,omitempty"`
	SenderName   string   `xml:"senderName,omitempty"`
	Headline     string   `xml:"headline,omitempty"`
	Description  string   `xml:"description,omitempty"`
	Instruction  string   `xml:"instruction,omitempty"`
	Web          string   `xml:"web,omitempty"`
	Contact      string   `xml:"contact,omitempty"`
	Parameter    []Pair   `xml:"parameter,omitempty"`
	Area         []Area   `xml:"area"`
}

// Pair is a name and value of somebody's own vocabulary.
type Pair struct {
	Name  string `xml:"valueName"`
	Value string `xml:"value"`
}

// Area is where the message holds.
type Area struct {
	Desc    string   `xml:"areaDesc"`
	Polygon []string `xml:"polygon,omitempty"` // "lat,lon lat,lon …", first = last
	Circle  []string `xml:"circle,omitempty"`  // "lat,lon radius" in km
	Geocode []Pair   `xml:"geocode,omitempty"`
}

// Time writes a time as CAP wants it: whole seconds and the numeric offset of
// the province, never Z.
func Time(t quantrac.Millis) string {
	return t.Time().In(quantrac.Zone).Format("2006-01-02T15:04:05-07:00")
}

// Encode returns the XML document.
func (a *Alert) Encode() ([]byte, error) {
	var b bytes.Buffer
	b.WriteString(xml.Header)
	enc := xml.NewEncoder(&b)
	enc.Indent("", "  ")
	if err := enc.EncodeElement(a, xml.StartElement{Name: xml.Name{Space: Namespace, Local: "alert"}}); err != nil {
		return nil, fmt.Errorf("cap: encode %s: %w", a.Identifier, err)
	}
	b.WriteByte('\n')
	return b.Bytes(), nil
}

// Parse reads a CAP document of version 1.0 to 1.2. It resolves no entities
// but XML's own five and loads nothing; it checks form only, not meaning.
func Parse(doc []byte) (*Alert, error) {
	if len(doc) > MaxBytes {
		return nil, quantrac.Errorf(quantrac.Invalid, "cap: document of %d bytes, at most %d are read", len(doc), MaxBytes)
	}
	dec := xml.NewDecoder(bytes.NewReader(doc))
	var a Alert
	if err := dec.Decode(&a); err != nil {
		return nil, quantrac.Errorf(quantrac.Invalid, "cap: offset %d: %w", dec.InputOffset(), err)
	}
	for {
		tok, err := dec.Token()
		if err == io.EOF {
			break
		}
		if err != nil {
			return nil, quantrac.Errorf(quantrac.Invalid, "cap: offset %d, after the alert: %w", dec.InputOffset(), err)
		}
		if _, ok := tok.(xml.StartElement); ok {
			return nil, quantrac.Errorf(quantrac.Invalid, "cap: offset %d: a second root element", dec.InputOffset())
		}
	}
	return &a, nil
}
