package captest_test

import (
	"strings"
	"testing"

	"quantrac/alerting/cap"
	"quantrac/alerting/cap/captest"
	"quantrac/internal/shared"
)

// TestRecorded judges real messages: what their publishers' own validator
// accepts we accept, and what it refuses we refuse, for the same reason.
func TestRecorded(t *testing.T) {
	f := func(name, schema, errors, advice string, parses bool) {
		t.Helper()
		doc := shared.Read(t, "payload_corpora", "cap", name)
		r := captest.Check(doc)
		for _, l := range []struct {
			what, want string
			got        []string
		}{{"schema", schema, r.Schema}, {"errors", errors, r.Errors}, {"advice", advice, r.Advice}} {
			got := strings.Join(l.got, "\n")
			if l.want == "" && got != "" {
				t.Errorf("%s: %s: %s", name, l.what, got)
			}
			for _, w := range strings.Split(l.want, "|") {
				if !strings.Contains(got, w) {
					t.Errorf("%s: %s lacks %q: %s", name, l.what, w, got)
				}
			}
		}
		a, err := cap.Parse(doc)
		if (err == nil) != parses {
			t.Errorf("%s: Parse: %v", name, err)
		}
		if err == nil && (a.Identifier == "" || a.Sender == "") {
			t.Errorf("%s: parsed to %+v", name, a)
		}
	}
	f("wis2box_cap_example.xml", "", "", "no responseType", true)
	f("canada.cap", "", "", "names no local zone|no contact", true)
	f("australia.cap", "", "", "markup in description|no contact", true)
	f("earthquake.cap", "", "", "severity Unknown|no instruction", true)
	f("weather.cap", "", "no web", "geocode alone|no responseType", true)
	f("no_optional_fields.cap", "", "no info", "", true)
	f("invalid.cap", "scope is missing", "no web|no circle, polygon or geocode", "urgency Unknown", true)
	f("noaa_errors.cap", "references: empty|urgency: \"\"|is not lat,lon|0 points", "no urgency|no severity|no certainty|no web", "no responseType", true)
	f("xee.cap", "entity", "", "", false)
}

// TestEachCheck breaks a good document in one way after the other.
func TestEachCheck(t *testing.T) {
	const good = `<alert xmlns="urn:oasis:names:tc:emergency:cap:1.2"><identifier>a-2</identifier><sender>s@x</sender><sent>2024-10-01T08:00:00+07:00</sent><status>Actual</status><msgType>Update</msgType><scope>Public</scope><references>s@x,a-1,2024-10-01T07:00:00+07:00</references>` +
		`<info><language>vi-VN</language><category>Met</category><event>Mực nước cao</event><responseType>Monitor</responseType><urgency>Expected</urgency><severity>Minor</severity><certainty>Observed</certainty><eventCode><valueName>n</valueName><value>v</value></eventCode><effective>2024-10-01T08:00:00+07:00</effective><expires>2024-10-01T20:00:00+07:00</expires><senderName>S</senderName><headline>H</headline><description>D</description><instruction>I</instruction><web>http://x/</web><contact>c</contact><area><areaDesc>A</areaDesc><polygon>10,105 10,106 11,106 11,105 10,105</polygon><circle>10.5,105.5 5</circle></area></info></alert>`
	if r := captest.Check([]byte(good)); !r.Clean() {
		t.Fatalf("the good document:\n%s", r)
	}
	f := func(old, repl, want string) {
		t.Helper()
		doc := strings.Replace(good, old, repl, 1)
		if doc == good {
			t.Fatalf("%q is not in the document", old)
		}
		if r := captest.Check([]byte(doc)); !strings.Contains(r.String(), want) {
			t.Errorf("%q → %q: want %q, got\n%s", old, repl, want, r)
		}
	}
	f("+07:00</sent>", "Z</sent>", "schema: alert/sent")
	f("cap:1.2", "cap:9.9", "namespace")
	f("<scope>Public</scope>", "", "schema: alert: scope is missing")
	f("Actual", "Real", "schema: alert/status")
	f("<scope>Public", "<scope>Restricted", "restriction")
	f("<scope>Public", "<scope>Private", "without addresses")
	f("<references>s@x,a-1,2024-10-01T07:00:00+07:00</references>", "", "error: Update without references")
	f("s@x,a-1,2024-10-01T07", "s@x,a-1,2024-10-01T09", "postdated")
	f("s@x,a-1,2024-10-01T07:00:00+07:00", "s@x,a-2,2024-10-01T08:00:00+07:00", "refers to itself")
	f("s@x,a-1,2024-10-01T07:00:00+07:00", "s@x,a-1", "not sender,identifier,sent")
	f("s@x,a-1,2024-10-01T07:00:00+07:00", "s@x,a-1,2024-10-01T07:00:00+07:00 s@x,a-1,2024-10-01T07:00:00+07:00", "twice")
	f("<identifier>a-2", "<identifier>a 2", "schema: alert/identifier")
	f("<category>Met</category><event>Mực nước cao</event>", "<event>Mực nước cao</event><category>Met</category>", "category after event")
	f("Mực nước cao", "Mực nước cao hơn mức báo động trong nhiều ngày", "event of")
	f("<description>D", "<description>H", "repeat")
	f("<instruction>I", "<instruction>D", "repeat")
	f("<description>D", "<description>a &lt;b&gt;", "markup")
	f("<web>http://x/</web>", "", "error: info[0]: no web")
	f("<expires>2024-10-01T20:00:00+07:00</expires>", "", "error: info[0]: no expires")
	f("<expires>2024-10-01T20", "<expires>2024-10-01T07", "effective after expires")
	f("10,105 10,106 11,106 11,105 10,105", "10,105 10,106 11,106 11,105", "not closed")
	f("10,105 10,106 11,106 11,105 10,105", "10,105 11,106 10,106 11,105 10,105", "cross")
	f("10,105 10,106", "10.1234567,105 10,106", "not closed")
	f("10.5,105.5 5", "10.5,105.5 0", "no radius")
	f("10.5,105.5 5", "10.51234567,105.5 5", "six decimals")
	f("10.5,105.5 5", "105.5,10.5 5", "degrees")
	f("<polygon>10,105 10,106 11,106 11,105 10,105</polygon><circle>10.5,105.5 5</circle>", "", "no circle, polygon or geocode")
	f("<severity>Minor", "<severity>Unknown", "severity Unknown")
	f("<contact>c</contact>", "", "no contact")
	f("<msgType>Update", "<msgType>Ack", "sends no Ack")
	f("</info>", "</info><info><language>en</language><category>Geo</category></info>", "categories differ")
	long := strings.Repeat("m", 140)
	f("<headline>H", "<headline>"+long, "headline of 140")
}
