package httpapi

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"testing"

	"quantrac"
	"quantrac/devices"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
	"quantrac/internal/vfs"
)

const t0 = quantrac.Millis(1785542400000)

type bench struct {
	testing.TB
	reg *devices.Registry
	h   http.Handler
	as  quantrac.Principal
}

func open(t testing.TB) *bench {
	t.Helper()
	clock := quantrac.NewManualClock(t0)
	j, err := journal.Open(vfs.NewMem(), "journal", journal.Options{Clock: clock, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	reg, err := devices.Open(projection.Memory, j, devices.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close(); j.Close() })
	return &bench{t, reg, New(reg, clock), quantrac.Principal{Name: "lan", Role: quantrac.RoleAdmin}}
}

// do asks as b.as and wants a status; the answer is decoded into out where
// there is one.
func (b *bench) do(method, path, body string, status int, out any) string {
	b.Helper()
	r := httptest.NewRequest(method, "/api/registry/"+path, strings.NewReader(body))
	r.Header.Set("Content-Type", "application/json")
	if strings.HasPrefix(path, "import") {
		r.Header.Set("Content-Type", "text/csv")
	}
	w := httptest.NewRecorder()
	b.h.ServeHTTP(w, r.WithContext(quantrac.WithPrincipal(r.Context(), b.as)))
	if w.Code != status {
		b.Errorf("%s %s as %s: %d %s, want %d", method, path, b.as.Role, w.Code, w.Body, status)
	}
	if out != nil {
		if err := json.Unmarshal(w.Body.Bytes(), out); err != nil {
			b.Fatalf("%s %s: %v in %s", method, path, err, w.Body)
		}
	}
	return w.Body.String()
}

func TestStationsOverHTTP(t *testing.T) {
	b := open(t)
	b.do("GET", "stations", "", 200, nil)
	var c struct{ Commit uint64 }
	b.do("PUT", "stations/tan_quoi?reason=first", `{"family":"gauge","lat":10.6568,"lon":105.3775,"facts":[{"name":"Tân Quới","river":"Tiền"}]}`, 200, &c)
	if c.Commit != b.reg.Commit() {
		t.Errorf("commit %d, want %d", c.Commit, b.reg.Commit())
	}
	b.do("PUT", "stations/tan_quoi/properties/water_level_meters", `{"interval_ms":600000,"min":-2,"max":8,"decimals":2,"fault_values":[-9999]}`, 200, nil)
	b.do("POST", "thresholds?reason="+url.QueryEscape("thống nhất với Sở"), `{"station":"tan_quoi","property":"water_level_meters","kind":"theo_doi","level":1,"value":2.5,"unit":""}`, 200, nil)
	b.do("PUT", "devices/tq-1", `{"station":"tan_quoi"}`, 200, nil)
	var tok struct{ ID, Secret string }
	b.do("POST", "devices/tq-1/tokens", "", 200, &tok)
	if !b.reg.AuthenticateDevice("tq-1", tok.Secret) {
		t.Error("the token that was answered does not work")
	}
	var st struct {
		devices.Station
		Labels     map[string]string
		Properties []devices.Property
		Thresholds []devices.Threshold
		Devices    []devices.Device
	}
	text := b.do("GET", "stations/tan_quoi", "", 200, &st)
	if st.Labels["name"] != "Tân Quới" || len(st.Properties) != 1 || st.Properties[0].Unit != "m" || len(st.Thresholds) != 1 ||
		st.Thresholds[0].EnteredBy != "lan" || len(st.Devices) != 1 || len(st.Devices[0].Tokens) != 1 {
		t.Errorf("station = %s", text)
	}
	if strings.Contains(text, tok.Secret) || strings.Contains(text, "sha256") {
		t.Errorf("a secret or its hash is answered: %s", text)
	}
	// What was read can be put back: nothing changes; an older revision is refused.
	put, err := json.Marshal(st.Station)
	if err != nil {
		t.Fatal(err)
	}
	b.do("PUT", "stations/tan_quoi", string(put), 200, &c)
	if c.Commit != 0 {
		t.Errorf("putting back what was read made commit %d", c.Commit)
	}
	b.do("PUT", "stations/tan_quoi", `{"family":"gauge","lat":10.6,"lon":105.3,"facts":[{"name":"Tân Quới"}]}`, 200, nil)
	b.do("PUT", "stations/tan_quoi", string(put), 409, nil)

	var e struct {
		Code     string
		Problems []devices.Problem
	}
	b.do("PUT", "stations/x", `{"family":"ship","lat":99,"lon":0,"facts":[]}`, 400, &e)
	if e.Code != "invalid_argument" || len(e.Problems) != 3 {
		t.Errorf("problems = %+v", e)
	}
	b.do("POST", "thresholds", `{"station":"tan_quoi","property":"water_level_meters","kind":"theo_doi","level":2,"value":3,"unit":"m"}`, 400, nil)
	b.do("POST", "thresholds?reason=x", `{"station":"tan_quoi","property":"water_level_meters","kind":"bao_dong","level":2,"value":3,"unit":"m"}`, 400, nil)
	b.do("PUT", "stations/y", `{"id":"z"}`, 400, nil)
	b.do("PUT", "stations/y", `{"names":"z"}`, 400, nil)
	b.do("GET", "stations/y", "", 404, nil)
	b.do("GET", "stations?at=2026-08-01T00:00:00Z", "", 200, nil)
	b.do("GET", "stations?at=soon", "", 400, nil)
	b.do("DELETE", "thresholds/tan_quoi:water_level_meters:theo_doi:1:ever?reason=x", "", 200, nil)
	b.do("DELETE", "thresholds/tan_quoi:water_level_meters:theo_doi:1:ever?reason=x", "", 404, nil)
	b.do("DELETE", "stations/tan_quoi/properties/water_level_meters", "", 200, nil)
	b.do("DELETE", "devices/tq-1/tokens/"+tok.ID, "", 200, nil)
	b.do("PUT", "units", `[{"code":"30154","name":"Xã Tân Long","level":"commune","valid_from_ms":1751302800000}]`, 200, nil)
	b.do("GET", "units?code=30154", "", 200, nil)
	b.do("GET", "units?code=30154&at=1700000000", "", 404, nil)
	b.do("PUT", "authorities?reason=x", `{"name":"Đài","legal_basis":"giấy phép 1"}`, 200, nil)
	b.do("GET", "authorities", "", 200, nil)
	var list []devices.Change
	b.do("GET", "changes?kind=station&id=tan_quoi", "", 200, &list)
	if len(list) != 2 || list[1].Reason != "first" || list[1].Actor != "lan" {
		t.Errorf("changes = %+v", list)
	}
	b.do("GET", "changes?limit=many", "", 400, nil)
}

func TestImportOverHTTP(t *testing.T) {
	b := open(t)
	data, err := os.ReadFile("../../docs/stations-sample.csv")
	if err != nil {
		t.Fatal(err)
	}
	var rep devices.Report
	b.do("POST", "import?dry_run=true", string(data), 200, &rep)
	if !rep.DryRun || rep.Commit != 0 || len(rep.Items) == 0 || len(b.reg.Records()) != 0 {
		t.Errorf("dry run = %+v", rep)
	}
	b.as = quantrac.Principal{Name: "tâm", Role: quantrac.RoleTechnician}
	b.do("POST", "import", string(data), 403, nil) // it holds thresholds
	b.do("POST", "import", "station,name,family\na,A,gauge\n", 200, nil)
	b.do("POST", "import", "code,name\n1,X\n", 403, nil)
	b.as = quantrac.Principal{Name: "hà", Role: quantrac.RoleHydrologist}
	rep = devices.Report{}
	b.do("POST", "import", string(data), 200, &rep)
	if rep.Commit == 0 || len(rep.Tokens) == 0 || rep.Named["threshold"] == 0 {
		t.Errorf("report = %+v", rep)
	}
	var bad struct{ Report devices.Report }
	b.do("POST", "import", "station,family\nb,ship\n", 400, &bad)
	if len(bad.Report.Errors) == 0 || bad.Report.Errors[0].Line != 2 || bad.Report.DryRun {
		t.Errorf("errors = %+v", bad)
	}
	b.do("POST", "import?dry_run=1", "station,family\nb,ship\n", 400, &bad)
	if !bad.Report.DryRun {
		t.Errorf("errors of a dry run = %+v", bad)
	}
}

func TestWhoMay(t *testing.T) {
	b := open(t)
	admin := b.as
	b.do("POST", "import", "station,name,family,device,property\ngauge,G,gauge,g1,water_level_meters\ntrap,T,insect,t1,insect_catch\n", 200, nil)
	body := map[string]string{
		"PUT stations/gauge": `{"family":"gauge","lat":%d,"lon":1,"facts":[{"name":"G"}]}`,
		"PUT stations/gauge/properties/water_level_meters": `{"unit":"m","decimals":%d}`,
		"PUT devices/g1":              `{"station":"gauge","note":"%d"}`,
		"POST thresholds?reason=x":    `{"station":"gauge","property":"water_level_meters","kind":"theo_doi","level":1,"value":%d,"unit":"m"}`,
		"POST thresholds?reason=y":    `{"station":"trap","property":"insect_catch","kind":"theo_doi","level":1,"value":%d,"unit":""}`,
		"PUT units?reason=x":          `[{"code":"1","name":"X%d","level":"commune"}]`,
		"PUT authorities?reason=x":    `{"name":"Y%d","legal_basis":"z"}`,
		"GET stations":                "",
		"GET changes":                 "",
		"POST devices/g1/tokens":      "",
		"DELETE devices/g1/tokens/no": "",
	}
	n := 0
	f := func(p quantrac.Principal, want map[string]int) {
		t.Helper()
		b.as = p
		for call, text := range body {
			n++
			status := want[call]
			if status == 0 {
				status = want["else"]
			}
			method, path, _ := strings.Cut(call, " ")
			if strings.Contains(text, "%d") {
				text = fmt.Sprintf(text, n%9)
			}
			b.do(method, path, text, status, nil)
		}
		b.as = admin
		for _, d := range b.reg.Devices("gauge") {
			for _, tok := range d.Tokens {
				b.do("DELETE", "devices/g1/tokens/"+tok.ID, "", 200, nil)
			}
		}
	}
	f(quantrac.Principal{}, map[string]int{"else": 401})
	f(quantrac.Principal{Name: "g1", Role: quantrac.RoleDevice}, map[string]int{"else": 401})
	f(quantrac.Principal{Name: "v", Role: quantrac.RoleViewer}, map[string]int{"GET stations": 200, "GET changes": 200, "else": 403})
	f(quantrac.Principal{Name: "a", Role: quantrac.RoleApprover}, map[string]int{"GET stations": 200, "GET changes": 200, "else": 403})
	f(quantrac.Principal{Name: "t", Role: quantrac.RoleTechnician}, map[string]int{
		"POST thresholds?reason=x": 403, "POST thresholds?reason=y": 403, "PUT units?reason=x": 403, "PUT authorities?reason=x": 403,
		"DELETE devices/g1/tokens/no": 404, "else": 200})
	f(quantrac.Principal{Name: "h", Role: quantrac.RoleHydrologist}, map[string]int{
		"PUT units?reason=x": 403, "PUT authorities?reason=x": 403, "DELETE devices/g1/tokens/no": 404, "else": 200})
	f(quantrac.Principal{Name: "p", Role: quantrac.RolePlantOfficer}, map[string]int{
		"GET stations": 200, "GET changes": 200, "POST thresholds?reason=y": 200, "else": 403})
	f(quantrac.Principal{Name: "x", Role: quantrac.RoleAdmin}, map[string]int{"DELETE devices/g1/tokens/no": 404, "else": 200})
	// Somebody of one station sees and changes that one alone.
	f(quantrac.Principal{Name: "s", Role: quantrac.RoleAdmin, Stations: []string{"trap"}}, map[string]int{
		"GET stations": 200, "POST thresholds?reason=y": 200, "POST devices/g1/tokens": 404, "DELETE devices/g1/tokens/no": 404, "else": 403})
	b.as = quantrac.Principal{Name: "s", Role: quantrac.RoleTechnician, Stations: []string{"trap"}}
	var list []devices.Station
	b.do("GET", "stations", "", 200, &list)
	if len(list) != 1 || list[0].ID != "trap" {
		t.Errorf("sees %+v", list)
	}
	b.do("GET", "stations/gauge", "", 404, nil)
	b.do("GET", "devices/g1", "", 404, nil)
	if text := b.do("GET", "devices", "", 200, nil); strings.Contains(text, "g1") {
		t.Errorf("sees %s", text)
	}
	b.do("PUT", "devices/g1", `{"station":"trap"}`, 403, nil) // would take it from another's station
	b.do("POST", "import", "station,name\ntrap,T2\n", 403, nil)
}
