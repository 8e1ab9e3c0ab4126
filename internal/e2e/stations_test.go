package e2e

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
)

// gaugeHeader heads the import file of the gauges that tests register.
const gaugeHeader = "station,name,family,lat,lon,device,property,interval,decimals,min,max,fault_values,threshold_kind,level1,level2,level3,hysteresis,hold\n"

// gaugeRow is a gauge with three watch levels.
func gaugeRow(id string, levels [3]float64, hysteresis float64, hold, interval time.Duration) string {
	return fmt.Sprintf("%s,Trạm %s,gauge,10.6,105.5,%s,water_level_meters,%s,3,-2,20,-9999 7999,theo_doi,%g,%g,%g,%g,%s\n",
		id, id, id, seconds(interval), levels[0], levels[1], levels[2], hysteresis, seconds(hold))
}

func seconds(d time.Duration) string { return fmt.Sprintf("%ds", int(d.Seconds())) }

// gaugeCSV registers the first n devices of the kill test.
func gaugeCSV(n int) string {
	var b strings.Builder
	b.WriteString(gaugeHeader)
	for i := range n {
		b.WriteString(gaugeRow(stationID(i), [3]float64{1, 2, 3}, 0.1, 2*time.Second, time.Second))
	}
	return b.String()
}

// importStations registers stations over the service's interface.
func importStations(s *service, csv string) {
	s.t.Helper()
	s.must("POST", "/api/registry/import", "text/csv; charset=utf-8", csv, http.StatusOK)
}

// subscribe makes a webhook subscription for public warnings.
func subscribe(s *service, target string) {
	s.t.Helper()
	body, err := json.Marshal(map[string]any{"url": target, "audience": "staff", "note": "receiver of the tests"})
	if err != nil {
		s.t.Fatal(err)
	}
	s.must("POST", "/api/alerting/subscriptions", "application/json", string(body), http.StatusCreated)
}

// warning is what the service says of one revision.
type warning struct {
	ID        string
	Revision  int
	State     string
	Rule      string
	Station   string
	Level     int
	Value     float64
	ValidTime int64 `json:"valid_time_ms"`
}

// currentLevel is the level that holds after the revision.
func (w warning) currentLevel() int {
	if w.State == "all_clear" || w.State == "cancel" {
		return 0
	}
	return w.Level
}

// warningHistory returns every revision the service has said, oldest first.
func warningHistory(s *service) []warning {
	s.t.Helper()
	var all []warning
	before := ""
	for {
		var page struct {
			Warnings []struct {
				warning
				Commit uint64
			}
		}
		b := s.must("GET", "/api/alerting/history?audience=staff&limit=1000"+before, "", "", http.StatusOK)
		if err := json.Unmarshal(b, &page); err != nil {
			s.t.Fatalf("%v: %s", err, b)
		}
		for _, w := range page.Warnings {
			all = append(all, w.warning)
			before = fmt.Sprintf("&before=%d", w.Commit)
		}
		if len(page.Warnings) == 0 {
			slices.Reverse(all)
			return all
		}
	}
}
