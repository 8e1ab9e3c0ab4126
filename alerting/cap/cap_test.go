package cap_test

import (
	"bytes"
	"os"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/alerting/cap"
	"quantrac/alerting/cap/captest"
	"quantrac/internal/shared"
)

const at = quantrac.Millis(1_727_744_400_000) // 2024-10-01T08:00+07:00

func warning(rev int, state quantrac.WarningState, lvl int) quantrac.Warning {
	sent := at.Add(time.Duration(rev) * time.Hour)
	return quantrac.Warning{
		ID: "tram-chim-1", Revision: rev, Epoch: 1, State: state, Rule: quantrac.RuleLevel, Audience: quantrac.AudiencePublic,
		Station: "tram-chim", StationName: quantrac.Text{Vi: "Tràm Chim", En: "Tram Chim"}, Property: "water_level_meters",
		Level: lvl, Value: 2.34, Threshold: 2.2, Unit: "m", Kind: quantrac.ThresholdWatch,
		ValidTime: sent.Add(-time.Minute), Onset: at, Sent: sent, Expires: sent.Add(24 * time.Hour),
		Lat: 10.6692, Lon: 105.565, Area: "30001",
		Headline: quantrac.Text{Vi: "Trạm Tràm Chim: vượt ngưỡng", En: "Tram Chim: above watch level"},
		Detail:   quantrac.Text{Vi: "Mực nước 2,34 m <b>&", En: "Stage 2.34 m"},
		Advice:   quantrac.Text{Vi: "Theo dõi.", En: "Watch."},
	}
}

func TestFromWarning(t *testing.T) {
	issue := warning(1, quantrac.WarningIssued, 1)
	up := warning(2, quantrac.WarningUpdated, 3)
	end := warning(3, quantrac.WarningClear, 0)
	gone := warning(3, quantrac.WarningCancel, 0)
	plain := func(w quantrac.Warning) quantrac.Warning { w.Detail.Vi = "Mực nước 2,34 m"; return w }
	f := func(name string, w quantrac.Warning, earlier []quantrac.Warning, want ...string) {
		t.Helper()
		doc, err := cap.FromWarning(&w, earlier, cap.Options{}).Encode()
		if err != nil {
			t.Fatal(err)
		}
		if r := captest.Check(doc); !r.Clean() {
			t.Errorf("%s:\n%s\n%s", name, r, doc)
		}
		for _, s := range want {
			if !strings.Contains(string(doc), s) {
				t.Errorf("%s: lacks %s\n%s", name, s, doc)
			}
		}
		back, err := cap.Parse(doc)
		if err != nil || back.Identifier != cap.Identifier(&w) || len(back.Info) != 2 || back.Info[0].Headline != w.Headline.Vi {
			t.Errorf("%s: parsed back to %+v, %v", name, back, err)
		}
	}
	f("issue", plain(issue), nil, "<msgType>Alert<", "<status>Actual<", "<severity>Minor<", "<language>vi-VN<", "<language>en<",
		"<web>http://localhost:8420/#/station/tram-chim</web>", "<circle>10.66920,105.56500 5<", "<sent>2024-10-01T09:00:00+07:00<")
	f("update", plain(up), []quantrac.Warning{issue}, "<msgType>Update<", "<severity>Severe<", "<urgency>Immediate<",
		"<references>quantrac@localhost,quantrac-tram-chim-1-1-1,2024-10-01T09:00:00+07:00<")
	f("all-clear", plain(end), []quantrac.Warning{issue, up}, "<msgType>Update<", "<responseType>AllClear<", "<urgency>Past<",
		"quantrac-tram-chim-1-1-1,2024-10-01T09:00:00+07:00 quantrac@localhost,quantrac-tram-chim-1-2-1,2024-10-01T10:00:00+07:00<")
	f("cancel", plain(gone), []quantrac.Warning{issue, up}, "<msgType>Cancel<", "<certainty>Unlikely<")
	old := issue
	old.Expires = gone.Sent - 1
	f("expired ones are not referenced", plain(gone), []quantrac.Warning{old, up}, "<references>quantrac@localhost,quantrac-tram-chim-1-2-1,2024-10-01T10:00:00+07:00<")
	up.Expires = up.Sent.Add(time.Minute)
	f("but the last one is", plain(gone), []quantrac.Warning{up, old}, "<references>quantrac@localhost,quantrac-tram-chim-1-2-1,")
	f("an update whose past is lost", plain(up), nil, "<msgType>Alert<")

	sim := plain(issue)
	sim.Simulated = true
	f("simulated", sim, nil, "<status>Exercise<", "<note>Số liệu mô phỏng")
	fc := plain(issue)
	fc.Rule, fc.Authority, fc.Expires = quantrac.RuleForecast, "Đài Khí tượng Thủy văn", issue.Sent
	f("forecast", fc, nil, "<certainty>Likely<", "<urgency>Future<", "<senderName>Đài Khí tượng Thủy văn<", "<expires>2024-10-01T10:00:00+07:00<")
	staff := plain(issue)
	staff.Audience = quantrac.AudienceStaff
	f("staff", staff, nil, "<scope>Restricted<")

	// Whatever stands in the registry, the document stays well formed.
	dirty := issue
	dirty.ID, dirty.Station, dirty.Headline.Vi = "a b,c<&\x01", `x"&<>`+"\xff", strings.Repeat("dài ", 60)
	doc, err := cap.FromWarning(&dirty, nil, cap.Options{}).Encode()
	if err != nil {
		t.Fatal(err)
	}
	r := captest.Check(doc)
	if len(r.Schema)+len(r.Errors) > 0 || len(r.Advice) != 1 || !strings.Contains(r.Advice[0], "markup") {
		t.Errorf("dirty: %s", r)
	}
	unplaced := plain(issue)
	unplaced.Lat, unplaced.Lon = 0, 0
	doc, _ = cap.FromWarning(&unplaced, nil, cap.Options{}).Encode()
	if r := captest.Check(doc); len(r.Schema)+len(r.Errors) > 0 || !strings.Contains(r.String(), "geocode alone") {
		t.Errorf("station without coordinates: %s", r)
	}
	doc, _ = cap.FromWarning(&issue, nil, cap.Options{Test: true}).Encode()
	if !strings.Contains(string(doc), "<status>Test<") {
		t.Error("test mode says no Test")
	}
}

func FuzzParse(f *testing.F) {
	if dir, ok := shared.Dir(); ok {
		names, _ := os.ReadDir(dir + "/payload_corpora/cap")
		for _, n := range names {
			if doc, err := os.ReadFile(dir + "/payload_corpora/cap/" + n.Name()); err == nil {
				f.Add(doc)
			}
		}
	}
	w := warning(1, quantrac.WarningIssued, 1)
	doc, _ := cap.FromWarning(&w, nil, cap.Options{}).Encode()
	f.Add(doc)
	f.Fuzz(func(t *testing.T, doc []byte) {
		captest.Check(doc)
		a, err := cap.Parse(doc)
		if err != nil {
			if quantrac.KindOf(err) != quantrac.Invalid {
				t.Fatalf("kind of %v", err)
			}
			return
		}
		out, err := a.Encode()
		if err != nil {
			t.Fatal(err)
		}
		b, err := cap.Parse(out)
		if err != nil {
			t.Fatalf("what we wrote does not parse: %v\n%s", err, out)
		}
		again, err := b.Encode()
		if err != nil || !bytes.Equal(out, again) {
			t.Fatalf("%v: encode∘parse is not the identity on\n%s\n%s", err, out, again)
		}
	})
}
