package alerting

import (
	"strings"
	"testing"

	"quantrac"
)

// A name that says itself that it is a station's is not called one again.
func TestNameOfTheStation(t *testing.T) {
	f := func(vi, en, head, place, headEn string) {
		t.Helper()
		s := scene{
			w:       &quantrac.Warning{Station: "st_1", State: quantrac.WarningIssued, Rule: quantrac.RuleLevel, Kind: quantrac.ThresholdWatch, Level: 1, Value: 2, Threshold: 1},
			station: quantrac.Station{ID: "st_1", Name: vi, NameEn: en}, prop: quantrac.Property{HumanName: "Mực nước", HumanNameEn: "Water level"},
		}
		s.write()
		if got := s.w.Headline; got.Vi != head+": mực nước vượt ngưỡng theo dõi I" || got.En != headEn+": water level above watch level I" {
			t.Errorf("%q, %q: headline %+v", vi, en, got)
		}
		if !strings.Contains(s.w.Detail.Vi, "mực nước tại "+place+" là") {
			t.Errorf("%q: %s", vi, s.w.Detail.Vi)
		}
	}
	f("Tân Quới", "Tan Quoi", "Trạm Tân Quới", "trạm Tân Quới", "Station Tan Quoi")
	f("Trạm giông sét mẫu", "Sample lightning station", "Trạm giông sét mẫu", "trạm giông sét mẫu", "Sample lightning station")
	f("TRẠM Cao Lãnh", "Station Cao Lanh", "Trạm Cao Lãnh", "trạm Cao Lãnh", "Station Cao Lanh")
	f("Trạm", "", "Trạm Trạm", "trạm Trạm", "Station Trạm") // a name of no other word
	f("Trạmxyz", "", "Trạm Trạmxyz", "trạm Trạmxyz", "Station Trạmxyz")
	f("", "", "Trạm st_1", "trạm st_1", "Station st_1")
}
