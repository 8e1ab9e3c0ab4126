package cap

import (
	"fmt"
	"strconv"
	"strings"
	"time"

	"quantrac"
)

// Options says who speaks. Zero values have the defaults named.
type Options struct {
	Sender     string        // who is responsible, an address; no spaces, commas, < or &. "quantrac@localhost"
	SenderName quantrac.Text // the office, where a warning names no authority. "Hệ thống quan trắc Quantrac"
	Contact    string        // how to reach it; Sender
	BaseURL    string        // of the phone page, absolute, without a final slash. "http://localhost:8420"
	RadiusKm   float64       // of the circle around a station; 5
	Test       bool          // send everything as status Test, as hubs want it now and then
}

// WithDefaults returns the options with the defaults in the place of zero values.
func (o Options) WithDefaults() Options {
	if o.Sender == "" {
		o.Sender = "quantrac@localhost"
	}
	if o.SenderName == (quantrac.Text{}) {
		o.SenderName = quantrac.Text{Vi: "Hệ thống quan trắc Quantrac", En: "Quantrac observation network"}
	}
	if o.Contact == "" {
		o.Contact = o.Sender
	}
	if o.BaseURL == "" {
		o.BaseURL = "http://localhost:8420"
	}
	if !(o.RadiusKm > 0) {
		o.RadiusKm = 5
	}
	return o
}

// Identifier returns the CAP identifier of a revision.
func Identifier(w *quantrac.Warning) string {
	return fmt.Sprintf("quantrac-%s-%d-%d", token(w.ID), w.Revision, w.Epoch)
}

// Path is where the document of a revision stands below a feed. It never moves.
func Path(w *quantrac.Warning) string { return token(w.ID) + "/" + Identifier(w) + ".xml" }

// token replaces what an identifier may not hold: spaces, commas, < and &, and
// what would not do in a URL.
func token(s string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '-', r == '_', r == '.':
			return r
		}
		return '_'
	}, s)
}

// FromWarning maps one revision of a warning. earlier are the revisions of the
// same episode that went before it, in any order; those that have not expired
// by then are referenced, and the one just before it in any case.
func FromWarning(w *quantrac.Warning, earlier []quantrac.Warning, o Options) *Alert {
	o = o.WithDefaults()
	a := &Alert{
		Identifier: Identifier(w), Sender: o.Sender, Sent: Time(w.Sent),
		Status: "Actual", MsgType: msgType(w.State), Source: "quantrac",
		Scope: "Public", References: references(w, earlier, o.Sender), Incidents: token(w.ID),
	}
	if a.MsgType != "Alert" && a.References == "" {
		// Nothing to update is known here: for the reader it is new.
		a.MsgType = "Alert"
	}
	if w.Audience != quantrac.AudiencePublic {
		a.Scope, a.Restriction = "Restricted", "Nội bộ / staff only"
	}
	switch {
	case o.Test:
		a.Status = "Test"
	case w.Simulated:
		a.Status = "Exercise"
		a.Note = "Số liệu mô phỏng, không phải số đo thật / Simulated readings, not real measurements"
	}
	a.Info = []Info{info(w, &o, true), info(w, &o, false)}
	return a
}

func msgType(s quantrac.WarningState) string {
	switch s {
	case quantrac.WarningUpdated, quantrac.WarningClear:
		return "Update"
	case quantrac.WarningCancel:
		return "Cancel"
	}
	return "Alert"
}

func references(w *quantrac.Warning, earlier []quantrac.Warning, sender string) string {
	if w.State == quantrac.WarningIssued {
		return ""
	}
	var last *quantrac.Warning
	for i := range earlier {
		if e := &earlier[i]; before(e, w) && (last == nil || before(last, e)) {
			last = e
		}
	}
	var refs []string
	for i := range earlier {
		if e := &earlier[i]; before(e, w) && (e == last || expires(e) > w.Sent) {
			refs = append(refs, sender+","+Identifier(e)+","+Time(e.Sent))
		}
	}
	return strings.Join(refs, " ")
}

func before(a, b *quantrac.Warning) bool {
	return a.ID == b.ID && (a.Epoch < b.Epoch || a.Epoch == b.Epoch && a.Revision < b.Revision)
}

// expires is never before the message was sent, and for an end gives the hubs
// time to fetch it.
func expires(w *quantrac.Warning) quantrac.Millis {
	return max(w.Expires, w.Sent.Add(time.Hour))
}

// hazard is what kind of event a property's warning is about. Names have at
// most 35 characters, as WMO's composer demands.
type hazard struct {
	metric   string // prefix of the property
	category string
	event    quantrac.Text
}

var hazards = []hazard{
	{"water_level_", "Met", quantrac.Text{Vi: "Mực nước cao", En: "High water level"}},
	{"discharge_", "Met", quantrac.Text{Vi: "Lưu lượng lớn", En: "High discharge"}},
	{"rainfall_", "Met", quantrac.Text{Vi: "Mưa lớn", En: "Heavy rain"}},
	{"salinity_", "Env", quantrac.Text{Vi: "Xâm nhập mặn", En: "Saline intrusion"}},
	{"insect_", "Env", quantrac.Text{Vi: "Sâu hại lúa", En: "Rice pests"}},
	{"", "Env", quantrac.Text{Vi: "Vượt ngưỡng quan trắc", En: "Observation above threshold"}},
}

func hazardOf(property string) hazard {
	for _, h := range hazards {
		if strings.HasPrefix(property, h.metric) {
			return h
		}
	}
	return hazard{}
}

func info(w *quantrac.Warning, o *Options, vi bool) Info {
	h := hazardOf(w.Property)
	pick := func(t quantrac.Text) string {
		if vi || t.En == "" {
			return t.Vi
		}
		return t.En
	}
	in := Info{
		Language: "en", Category: []string{h.category}, Event: pick(h.event),
		EventCode: []Pair{{"quantrac:property", w.Property}},
		Effective: Time(w.Sent), Onset: Time(w.Onset), Expires: Time(expires(w)),
		SenderName: pick(o.SenderName), Headline: cut(pick(w.Headline), 139),
		Description: pick(w.Detail), Instruction: pick(w.Advice),
		Web: quantrac.StationLink(o.BaseURL, w.Station), Contact: o.Contact,
		Area: []Area{area(w, o, pick)},
	}
	if vi {
		in.Language = "vi-VN"
	}
	if w.Authority != "" {
		in.SenderName = w.Authority
	}
	grade(&in, w)
	in.Parameter = []Pair{
		{"quantrac:episode", w.ID}, {"quantrac:revision", strconv.Itoa(w.Revision)}, {"quantrac:epoch", strconv.FormatUint(w.Epoch, 10)},
		{"quantrac:rule", w.Rule}, {"quantrac:station", w.Station}, {"quantrac:level", strconv.Itoa(w.Level)},
		{"quantrac:value", number(w.Value) + " " + w.Unit}, {"quantrac:threshold", number(w.Threshold) + " " + w.Unit},
		{"quantrac:threshold_kind", string(w.Kind)}, {"quantrac:valid_time", Time(w.ValidTime)},
	}
	return in
}

// grade sets urgency, severity, certainty and response by the table in the
// package comment.
func grade(in *Info, w *quantrac.Warning) {
	in.Certainty = "Observed"
	switch {
	case w.State == quantrac.WarningCancel:
		in.Urgency, in.Severity, in.Certainty, in.ResponseType = "Past", "Minor", "Unlikely", []string{"None"}
		return
	case w.State == quantrac.WarningClear:
		in.Urgency, in.Severity, in.ResponseType = "Past", "Minor", []string{"AllClear"}
		return
	case w.Level >= 3:
		in.Urgency, in.Severity, in.ResponseType = "Immediate", "Severe", []string{"Prepare"}
	case w.Level == 2:
		in.Urgency, in.Severity, in.ResponseType = "Expected", "Moderate", []string{"Prepare"}
	default:
		in.Urgency, in.Severity, in.ResponseType = "Expected", "Minor", []string{"Monitor"}
	}
	if w.Rule == quantrac.RuleForecast {
		in.Urgency, in.Certainty = "Future", "Likely"
	}
}

func area(w *quantrac.Warning, o *Options, pick func(quantrac.Text) string) Area {
	name := pick(w.StationName)
	if name == "" {
		name = w.Station
	}
	a := Area{
		Desc:    pick(quantrac.Text{Vi: "Khu vực trạm " + name, En: "Around station " + name}),
		Geocode: []Pair{{"quantrac:station", w.Station}},
	}
	if w.Lat != 0 || w.Lon != 0 {
		// Five decimals are about a metre; more than six are refused by hubs.
		a.Circle = []string{fmt.Sprintf("%.5f,%.5f %s", w.Lat, w.Lon, number(o.RadiusKm))}
	}
	if w.Area != "" {
		a.Geocode = append(a.Geocode, Pair{"VN-commune", w.Area})
	}
	return a
}

func number(v float64) string { return strconv.FormatFloat(v, 'f', -1, 64) }

// cut shortens a text to n characters.
func cut(s string, n int) string {
	r := []rune(s)
	if len(r) <= n {
		return s
	}
	return strings.TrimSpace(string(r[:n-1])) + "…"
}
