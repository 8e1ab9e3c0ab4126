package feed_test

import (
	"context"
	"encoding/xml"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/alerting/cap"
	"quantrac/alerting/cap/captest"
	"quantrac/alerting/feed"
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

type source struct {
	ws  []quantrac.Warning
	who []quantrac.Role
	err error
}

func (s *source) Recent(ctx context.Context, since quantrac.Millis) ([]quantrac.Warning, error) {
	s.who = append(s.who, quantrac.PrincipalFrom(ctx).Role)
	var out []quantrac.Warning
	for _, w := range s.ws {
		if w.Sent >= since {
			out = append(out, w)
		}
	}
	return out, s.err
}

func (s *source) Episode(ctx context.Context, id string) ([]quantrac.Warning, error) {
	s.who = append(s.who, quantrac.PrincipalFrom(ctx).Role)
	if id != "tram-chim-1" {
		return nil, quantrac.Errorf(quantrac.NotFound, "no episode %s", id)
	}
	return s.ws, s.err
}

func TestFeed(t *testing.T) {
	src := &source{ws: []quantrac.Warning{warning(1, quantrac.WarningIssued, 1), warning(2, quantrac.WarningUpdated, 2)}}
	h := feed.New(src, quantrac.NewManualClock(at.Add(3*time.Hour)), "/open/cap", cap.Options{BaseURL: "https://qt.example"})
	get := func(path string, header ...string) *httptest.ResponseRecorder {
		t.Helper()
		req := httptest.NewRequest("GET", path, nil)
		// Who is signed in makes no difference: the feed is what the public sees.
		req = req.WithContext(quantrac.WithPrincipal(req.Context(), quantrac.Principal{Role: quantrac.RoleAdmin}))
		for i := 0; i < len(header); i += 2 {
			req.Header.Set(header[i], header[i+1])
		}
		rec := httptest.NewRecorder()
		h.ServeHTTP(rec, req)
		return rec
	}
	rec := get("/open/cap/feed.atom")
	if rec.Code != 200 || !strings.HasPrefix(rec.Header().Get("Content-Type"), "application/atom+xml") {
		t.Fatalf("%d %v", rec.Code, rec.Header())
	}
	var f struct {
		Entry []struct {
			Link struct {
				Href string `xml:"href,attr"`
			} `xml:"link"`
		} `xml:"entry"`
	}
	if err := xml.Unmarshal(rec.Body.Bytes(), &f); err != nil || len(f.Entry) != 2 {
		t.Fatalf("%v, %d entries:\n%s", err, len(f.Entry), rec.Body)
	}
	if !strings.Contains(f.Entry[0].Link.Href, "-2-1.xml") {
		t.Errorf("newest first: %s", f.Entry[0].Link.Href)
	}
	for _, e := range f.Entry {
		rec := get(strings.TrimPrefix(e.Link.Href, "https://qt.example"))
		if rec.Code != 200 || rec.Header().Get("Content-Type") != cap.ContentType {
			t.Fatalf("%s: %d", e.Link.Href, rec.Code)
		}
		if r := captest.Check(rec.Body.Bytes()); len(r.Schema)+len(r.Errors) > 0 {
			t.Errorf("%s: %s", e.Link.Href, r)
		}
	}
	if rec := get("/open/cap", "If-None-Match", rec.Header().Get("ETag")); rec.Code != 304 {
		t.Errorf("unchanged feed: %d", rec.Code)
	}
	for _, p := range []string{"/open/cap/tram-chim-1/nothing.xml", "/open/cap/other/x.xml"} {
		if rec := get(p); rec.Code != 404 {
			t.Errorf("%s: %d", p, rec.Code)
		}
	}
	for _, who := range src.who {
		if who != quantrac.RolePublic {
			t.Fatalf("asked as %s", who)
		}
	}
	src.err = quantrac.Errorf(quantrac.Unavailable, "closing")
	if rec := get("/open/cap"); rec.Code != http.StatusServiceUnavailable {
		t.Errorf("source failed: %d", rec.Code)
	}
}
