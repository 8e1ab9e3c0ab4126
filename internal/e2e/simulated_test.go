package e2e

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"
	"time"
)

// sentence is what a warning says of its origin, in the words of the JSON.
type sentence struct {
	Station   string
	Simulated bool
	Headline  struct{ Vi, En string }
}

// marked says whether whoever reads it learns that it is made up.
func (w sentence) marked() bool {
	return w.Simulated && strings.HasPrefix(w.Headline.Vi, "[MÔ PHỎNG]") && strings.HasPrefix(w.Headline.En, "[SIMULATED]")
}

// TestSimulatedSaysSo: a simulated network that nobody has registered marks
// itself, and everything that is shown of it says so.
func TestSimulatedSaysSo(t *testing.T) {
	t.Parallel()
	s := start(t, t.TempDir(), "--dev", "--open-data", "--webhook-private")
	hook := make(chan []byte, 10)
	receiver := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		var b bytes.Buffer
		_, _ = b.ReadFrom(r.Body)
		hook <- b.Bytes()
	}))
	t.Cleanup(receiver.Close)
	subscribe(s, receiver.URL)
	sim := spawn(t, "simulate", "--mqtt", s.mqtt, "--days", "0.1")
	eventually(t, "stations of the simulated network", func() error { return selfRegistered(s, 18) })
	eventually(t, "readings of all of them", func() error {
		got, err := s.query("/api/v1/query", `count by (station) (last_over_time({simulated="true"}[1d]))`)
		if err != nil || len(got) < 18 {
			return fmt.Errorf("%d stations have readings, %v", len(got), err)
		}
		return nil
	})
	got, err := s.query("/api/v1/query", `count by (station) (last_over_time({station=~"sim_.*",simulated!="true"}[1d]))`)
	if err != nil || len(got) > 0 {
		t.Errorf("without a mark: %v, %v", got, err)
	}
	sim.kill()
	t.Run("open data", func(t *testing.T) { openDataSaysSo(t, s) })
	t.Run("warnings", func(t *testing.T) { warningsSaySo(t, s, hook) })
}

// selfRegistered wants so many stations, all of them marked.
func selfRegistered(s *service, n int) error {
	var stations []struct {
		ID        string
		Simulated bool
		Labels    map[string]string
	}
	answer{body: s.must("GET", "/api/registry/stations", "", "", http.StatusOK)}.json(s.t, &stations)
	if len(stations) < n {
		return fmt.Errorf("%d stations", len(stations))
	}
	for _, st := range stations {
		if !st.Simulated || !strings.HasPrefix(st.Labels["name"], "[MÔ PHỎNG] ") {
			return fmt.Errorf("%+v is not marked", st)
		}
	}
	return nil
}

func openDataSaysSo(t *testing.T, s *service) {
	eventually(t, "the table", func() error { // the page learns of a station in its own time
		told := column(t, s.nobody().do("GET", "/open/series.csv?station=sim_gauge_tan_quoi", ""), "simulated")
		if told == "" || strings.Trim(told, "true ") != "" {
			return fmt.Errorf("it says of simulated: %.100q", told)
		}
		return nil
	})
	eventually(t, "GeoJSON", func() error {
		var geo struct {
			Features []struct {
				Properties struct {
					ID        string
					Simulated bool
				}
			}
		}
		s.nobody().want(http.StatusOK, "GET", "/open/stations.geojson", "").json(t, &geo)
		for _, f := range geo.Features {
			if !f.Properties.Simulated {
				return fmt.Errorf("%s is not marked", f.Properties.ID)
			}
		}
		if len(geo.Features) < 18 {
			return fmt.Errorf("%d stations", len(geo.Features))
		}
		return nil
	})
}

// warningsSaySo brings a warning about and looks at every way out.
func warningsSaySo(t *testing.T, s *service, hook <-chan []byte) {
	importStations(s, "station,device,property,interval,threshold_kind,level1,level2,level3,hysteresis,hold\n"+
		"sim_gauge_tan_quoi,sim_gauge_tan_quoi,water_level_meters,10m,theo_doi,-1,8,9,0,0s\n")
	shelf := s.shelf("v1/warnings/#")
	s.publish(s.device("sim_gauge_tan_quoi"), "v1/sim_gauge_tan_quoi/obs", fmt.Sprintf(`{"time":%d,"simulated":true,"values":{"water_level_meters":1.5}}`, time.Now().UnixMilli()))
	shelf.holds(t, "sim_gauge_tan_quoi warning.issue")
	var list struct{ Warnings []sentence }
	s.nobody().want(http.StatusOK, "GET", "/api/alerting/warnings", "").json(t, &list)
	if len(list.Warnings) != 1 || !list.Warnings[0].marked() {
		t.Errorf("warnings %+v", list.Warnings)
	}
	for _, payload := range shelf.payloads() {
		wantMarked(t, "MQTT", payload)
	}
	select {
	case body := <-hook:
		wantMarked(t, "webhook", body)
	case <-time.After(patience):
		t.Error("no webhook")
	}
	feed := s.nobody().want(http.StatusOK, "GET", "/open/cap", "")
	link := regexp.MustCompile(`href="[^"]*(/open/cap/[^"]+\.xml)"`).FindSubmatch(feed.body)
	if link == nil || !strings.Contains(string(feed.body), "<title>[MÔ PHỎNG]") {
		t.Fatalf("the feed has no marked entry: %s", feed.body)
	}
	doc := string(s.nobody().want(http.StatusOK, "GET", string(link[1]), "").body)
	for _, want := range []string{"<status>Exercise</status>", "<headline>[MÔ PHỎNG]", "<headline>[SIMULATED]"} {
		if !strings.Contains(doc, want) {
			t.Errorf("CAP lacks %s:\n%s", want, doc)
		}
	}
}

func wantMarked(t *testing.T, way string, message []byte) {
	t.Helper()
	var m struct{ Data sentence }
	if err := json.Unmarshal(message, &m); err != nil || !m.Data.marked() {
		t.Errorf("%s: %v, %s", way, err, message)
	}
}
