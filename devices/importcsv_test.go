package devices

import (
	"bytes"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/shared"
)

func importText(b *bench, text string, dryRun bool) (Report, error) {
	return ImportCSV(b.ctx, strings.NewReader(text), b.reg, dryRun)
}

func (b *bench) imported(text string) Report {
	b.Helper()
	rep, err := importText(b, text, false)
	if err != nil {
		b.Fatalf("%v\n%s", err, reportText(rep))
	}
	return rep
}

func reportText(r Report) string {
	var out bytes.Buffer
	if _, err := r.WriteTo(&out); err != nil {
		return err.Error()
	}
	return out.String()
}

func TestImportSample(t *testing.T) {
	data, err := os.ReadFile("../docs/stations-sample.csv")
	if err != nil {
		t.Fatal(err)
	}
	b := open(t)
	before := b.journal.Last()
	dry, err := importText(b, string(data), true)
	if err != nil {
		t.Fatalf("%v\n%s", err, reportText(dry))
	}
	if b.journal.Last() != before || len(b.reg.Records()) != 0 || len(dry.Tokens) != 0 {
		t.Fatal("a dry run changed something, or gave out tokens")
	}
	rep := b.imported(string(data))
	if got, want := reportText(rep), ""; len(rep.Items) != len(dry.Items) || got == want {
		t.Errorf("dry run and import differ: %d and %d items", len(dry.Items), len(rep.Items))
	}
	if rep.Commit != before.Number+1 || b.journal.Last().Number != rep.Commit {
		t.Errorf("import made commits %d to %d, want one record", before.Number+1, b.journal.Last().Number)
	}
	if len(rep.Tokens) != 4 {
		t.Errorf("%d tokens, want one for each of 4 devices", len(rep.Tokens))
	}
	for _, tok := range rep.Tokens {
		if !b.reg.AuthenticateDevice(tok.Device, tok.Token) {
			t.Errorf("the token of %s does not let it in", tok.Device)
		}
	}
	bind, _ := b.reg.Binding("tan_quoi_1")
	p := bind.Properties["water_level_meters"]
	if p.Interval != 10*time.Minute || p.SuspectMax != 6 || p.RateLimit != 1.2/3600 || p.FlatFor != 6*time.Hour ||
		fmt.Sprint(p.FaultValues) != "[-9999 7999]" || p.HumanName != "Mực nước" || p.Unit != "m" {
		t.Errorf("property = %+v", p)
	}
	if v := bind.Properties["battery_volts"]; v.Unit != "V" || !math.IsNaN(v.SpikeLimit) {
		t.Errorf("battery = %+v", v)
	}
	ths := b.reg.Thresholds("tan_chau", "water_level_meters", date(t, "2026-01-01"))
	if len(ths) != 3 || ths[2].Value != 4.5 || ths[2].Kind != quantrac.ThresholdAlarm || ths[2].Hold != time.Hour {
		t.Errorf("thresholds of Tân Châu = %+v", ths)
	}
	again := b.imported(string(data))
	if again.Commit != 0 || len(again.Items) != 0 || len(again.Tokens) != 0 || again.Unchanged != len(rep.Items) {
		t.Errorf("importing again: %+v", again)
	}
	changed := b.imported("station;property;max;name\ntan_quoi;water_level_meters;9,5;\ntan_quoi;;;Tân Quới mới\n")
	if got, want := reportText(changed), `changed station tan_quoi
    name (from ever): Tân Quới → Tân Quới mới
changed property tan_quoi:water_level_meters
    max: 8 → 9.5
rows: 2, created: 0, changed: 2, unchanged: 0
`; got != want {
		t.Errorf("report:\n%s\nwant:\n%s", got, want)
	}
}

// The same list in the forms that spreadsheets write.
func TestImportForms(t *testing.T) {
	f := func(name, text string) {
		t.Helper()
		b := open(t)
		b.imported(text)
		s, ok := b.reg.Record("tq")
		if !ok || s.Facts[0].Name != "Tân Quới" || s.Lat != 10.6568 || s.Family != quantrac.FamilyGauge || s.Installed != date(t, "2025-07-01") {
			t.Errorf("%s: station = %+v", name, s)
		}
		if got := b.reg.Interval(quantrac.NewLabels("__name__", "water_level_meters", "station", "tq")); got != 10*time.Minute {
			t.Errorf("%s: interval %s", name, got)
		}
	}
	f("comma", "station,name,family,lat,installed,property,interval\ntq,Tân Quới,gauge,10.6568,2025-07-01,water_level_meters,10m\n")
	f("quoted decimal comma", "station,name,family,lat,installed,property,interval\ntq,Tân Quới,gauge,\"10,6568\",2025-07-01,water_level_meters,600s\n")
	f("semicolon", "station;name;family;lat;installed;property;interval\ntq;Tân Quới;gauge;10,6568;01/07/2025;water_level_meters;10 min\n")
	f("tab", "station\tname\tfamily\tlat\tinstalled\tproperty\tinterval\ntq\tTân Quới\tgauge\t10,6568\t1.7.2025\twater_level_meters\t10 phút\n")
	f("BOM, CRLF, Vietnamese", "\ufeffMã trạm;Tên trạm;Loại trạm;Vĩ độ (°);Ngày lắp đặt;Đại lượng;Chu kỳ;Ghi chú\r\ntq;Tân Quới;mực nước;10,6568;1/7/2025;water_level_meters;10 phút;x\r\n")
	f("decomposed marks", "Ma\u0303 tra\u0323m;T\u0065\u0302n tra\u0323m;Loa\u0323i;vi\u0303 do\u0323;lap dat;dai luong;chu ky\ntq;Tân Quới;THỦY VĂN;10,6568;2025-07-01;water_level_meters;10ph\n"+"\n")
	f("Excel's hint", "sep=;\nstation;name;family;lat;installed;property;interval\ntq;Tân Quới;gauge;10,6568;2025-07-01;water_level_meters;0.1666666666666667h\n")
	f("comment column, spaces", "station , #mine, name,family,lat,installed,property,interval\n tq ,x,\u00a0Tân Quới ,gauge, 10.6568,2025-07-01T00:00:00+07:00,water_level_meters,10M\n\n,,,,,,,\n")
}

func TestImportErrorsAllAtOnce(t *testing.T) {
	b := open(t)
	text := `station,name,family,lat,installed,property,unit,interval,max,threshold_kind,level1,level2,legal_basis,device
tq,Tân Quới,ship,"1,250",31/02/2025,water_level_meters,cm,10,eight,,,,,d1
tq,Khác,,,,,,,,,,,,
,x,,,,,,,,,,,,
a/b,x,gauge,,,,,,,,,,,
b,B,gauge,,,rainfall_millimeters,,10m,100,bao_dong,50,40,,d1
c,C,gauge,95,,,m,,,,,,,
d,D,gauge,,,water_level_meters,,,,,2.5,,,
e,,gauge,,,,,,,,,,,
`
	rep, err := importText(b, text, false)
	if quantrac.KindOf(err) != quantrac.Invalid || len(b.reg.Records()) != 0 {
		t.Fatalf("err = %v, %d stations", err, len(b.reg.Records()))
	}
	want := []string{
		`line 2, column "family", value "ship": want gauge (mực nước)`,
		`line 2, column "lat", value "1,250": want a number that can be read in one way: write 1.250 or 1250`,
		`line 2, column "installed", value "31/02/2025": want a date such as`,
		`line 2, column "interval", value "10": want a length of time with its unit`,
		`line 2, column "max", value "eight": want a number such as`,
		`line 2, column "unit": property "tq:water_level_meters": unit: "cm" is not what`,
		`line 3, column "name", value "Khác": want "Tân Quới", as line 2 says, or a blank cell`,
		`line 4, column "station": want a station's id in every row`,
		`line 5, column "station", value "a/b": want 1 to 64 of`,
		`line 6, column "device", value "d1": want a device of one station; line 2 has it at tq`,
		`line 6, column "legal_basis": threshold "b:rainfall_millimeters:bao_dong:1:ever": legal_basis: is missing`,
		`line 6, column "level2": threshold "b:rainfall_millimeters:bao_dong:2:ever": value: 40 is not above level 1`,
		`line 7, column "lat": station "c": lat: 95 is outside`,
		`line 7, column "unit", value "m": want a property in this row`,
		`line 8, column "level1", value "2.5": want a threshold_kind in this row`,
		`line 9, column "name": station "e": name: is missing`,
	}
	got := reportText(rep)
	for _, w := range want {
		if !strings.Contains(got, w) {
			t.Errorf("no line %q", w)
		}
	}
	// One more of the b rows: the missing date of each báo động.
	if t.Failed() {
		t.Logf("report:\n%s", got)
	}
	for i := 1; i < len(rep.Errors); i++ {
		if rep.Errors[i].Line < rep.Errors[i-1].Line {
			t.Error("errors are not in the order of lines")
		}
	}
}

func TestImportRefusedFiles(t *testing.T) {
	f := func(text, want string) {
		t.Helper()
		b := open(t)
		rep, err := importText(b, text, false)
		if quantrac.KindOf(err) != quantrac.Invalid || !strings.Contains(reportText(rep), want) {
			t.Errorf("%.30q: %v\n%s\nwant %q", text, err, reportText(rep), want)
		}
	}
	f("", "a first line of headings")
	f("station,nmae\nx,y\n", `column "nmae": want a known heading`)
	f("station,name,Tên trạm\n", `one column of this meaning; "name" is another`)
	f("lat,lon\n1,2\n", `want a heading "station"`)
	f("station,name\na,\"b\n", "line 2: want well-formed CSV")
	f("station,name\na,b,c\n", "line 2, value \"c\": want 2 cells")
	f("station,name\na,T\xe2n\n", "line 2: want UTF-8 text")
	f("s\x00t\x00a\x00", "want UTF-8 text")
	f("\xff\xfes\x00", "want UTF-8 text")
	f("station,family,lat,name\na,gauge,\"10,5,5\",A\n", "no thousands separators")
	f("code,name,level\n30001,X,ward\n", "want province")
	f("code,name\n30001,X\n30001,Y\n", "line 2 has it too")
}

func TestImportClears(t *testing.T) {
	b := open(t)
	b.imported("station,name,family,river,property,max,installed,fault_values\na,A,gauge,Tiền,water_level_meters,8,2020-01-01,-9999\n")
	b.imported("station,river,property,max,installed,fault_values\na,-,water_level_meters,-,-,-\n")
	s, _ := b.reg.Record("a")
	p := b.reg.Properties("a")[0]
	if s.Facts[0].River != "" || s.Installed != 0 || !math.IsNaN(p.Max) || p.FaultValues != nil || s.Facts[0].Name != "A" {
		t.Errorf("station = %+v, property = %+v", s, p)
	}
}

func TestImportMovesADeviceOnlyWhenItSaysSo(t *testing.T) {
	b := open(t)
	b.imported("station,name,family,device\na,A,gauge,d\nb,B,gauge,\n")
	b.imported("station,name\nb,B2\n")
	if bind, _ := b.reg.Binding("d"); bind.Station != "a" {
		t.Errorf("device moved to %s", bind.Station)
	}
	rep := b.imported("station,device\nb,d\n")
	if got := reportText(rep); !strings.Contains(got, "station: a → b") || len(rep.Tokens) != 0 {
		t.Errorf("report: %s", got)
	}
	if bind, _ := b.reg.Binding("d"); bind.Station != "b" || bind.Group.Get("station") != "b" {
		t.Errorf("binding = %+v", bind)
	}
}

func TestImportThresholdHistory(t *testing.T) {
	b := open(t)
	b.imported(`station,name,family,property,threshold_kind,level1,level2,level3,legal_basis,threshold_from
tc,Tân Châu,gauge,water_level_meters,báo động,3.0,3.6,4.2,cũ,2000-01-01
tc,,,water_level_meters,báo động,3.5,4.0,4.5,QĐ 05/2020/QĐ-TTg,31/01/2020
`)
	value := func(day string) float64 { return b.reg.Thresholds("tc", "water_level_meters", date(t, day))[2].Value }
	if value("2020-01-30") != 4.2 || value("2020-01-31") != 4.5 {
		t.Errorf("level III: %v, then %v", value("2020-01-30"), value("2020-01-31"))
	}
	rep := b.imported("station,property,threshold_kind,level3,threshold_from\ntc,water_level_meters,bao_dong,4.6,2020-01-31\n")
	if len(rep.Items) != 1 || rep.Items[0].Fields[0].To != "4.6" || b.reg.Thresholds("tc", "water_level_meters", t0)[2].LegalBasis == "" {
		t.Errorf("correction = %+v", rep.Items)
	}
}

// planCSV writes the province's plan in the layout of an import, and the new
// list of communes.
func planCSV(t testing.TB) (stations, units string) {
	t.Helper()
	rows := readCSV(t, "dongthap", "plan_stations.csv")
	var s, u strings.Builder
	s.WriteString("Mã trạm;Tên trạm;Loại trạm;Vĩ độ;Kinh độ;Mã xã;Huyện cũ;Hiệu lực từ;Mã thiết bị;Đại lượng;Chu kỳ;Nhỏ nhất\n")
	for _, r := range rows {
		id := strings.ReplaceAll(strings.ToLower(r["plan_name"]), " ", "_")
		family, property, interval := "bẫy đèn", "insect_catch", "1 ngày"
		if r["kind"] == "water_level" {
			family, property, interval = "mực nước", "water_level_meters", "10 phút"
		}
		comma := strings.NewReplacer(".", ",")
		name := strings.TrimPrefix(strings.TrimPrefix(r["old_ward"], "Xã "), "Thị trấn ")
		if r["old_ward_code"] == "" {
			name = r["plan_name"]
		}
		// Until 30 June 2025 the old commune, from then on the new one.
		fmt.Fprintf(&s, "%s;%s;%s;%s;%s;%s;%s;2020-01-01;%s_1;%s;%s;%s\n", id, name, family, comma.Replace(r["lat"]), comma.Replace(r["lon"]),
			r["old_ward_code"], r["old_district"], id, property, interval, map[bool]string{true: "0", false: "-2"}[property == "insect_catch"])
		if r["new_ward_code"] != "" {
			fmt.Fprintf(&s, "%s;%s;;;;%s;;2025-07-01;;;;\n", id, name, r["new_ward_code"])
		}
	}
	u.WriteString("code,name,level,valid_from,valid_to,parent\n82,Tỉnh Đồng Tháp,province,2025-07-01,,\n")
	for _, r := range rows {
		if r["old_ward_code"] != "" {
			fmt.Fprintf(&u, "%s,%s,commune,,2025-07-01,87\n", r["old_ward_code"], r["old_ward"])
		}
	}
	for _, r := range readCSV(t, "dongthap", "new_dongthap_102.csv") {
		fmt.Fprintf(&u, "%s,%s,commune,2025-07-01,,82\n", r["code"], r["name"])
	}
	return s.String(), u.String()
}

func readCSV(t testing.TB, elem ...string) []map[string]string {
	t.Helper()
	all := shared.CSV(t, elem...)
	var out []map[string]string
	for _, r := range all[1:] {
		m := map[string]string{}
		for i, h := range all[0] {
			m[h] = r[i]
		}
		out = append(out, m)
	}
	return out
}

func TestImportThePlan(t *testing.T) {
	stations, units := planCSV(t)
	b := open(t)
	if rep := b.imported(units); len(rep.Items) != 102+1+14 {
		t.Errorf("%d units", len(rep.Items))
	}
	rep := b.imported(stations)
	if len(b.reg.Records()) != 15 || len(rep.Tokens) != 15 {
		t.Errorf("%d stations, %d tokens, want 15 of each", len(b.reg.Records()), len(rep.Tokens))
	}
	commune := func(station, day string) string { return b.reg.Labels(station, date(t, day)).Get("commune") }
	f := func(station, day, want string) {
		t.Helper()
		if got := commune(station, day); got != want {
			t.Errorf("%s on %s lies in %q, want %q", station, day, got, want)
		}
	}
	// The new code of Phương Thịnh was that of Hưng Thạnh; that of Tân Thành A
	// has stayed and its name has not.
	f("phuong_thinh", "2025-06-30", "Xã Phương Thịnh")
	f("phuong_thinh", "2025-07-01", "Xã Phương Thịnh")
	f("tan_thanh_a", "2025-06-30", "Xã Tân Thành A")
	f("tan_thanh_a", "2025-07-01", "Xã Tân Thành")
	f("hoa_binh", "2025-06-30", "Xã Hòa Bình")
	f("hoa_binh", "2025-07-01", "Xã Phú Cường")
	f("htx_thang_loi", "2026-01-01", "") // the plan does not say
	for _, s := range b.reg.Records() {
		if s.ID != "htx_thang_loi" && commune(s.ID, "2026-01-01") == "" {
			t.Errorf("%s lies nowhere in 2026", s.ID)
		}
	}
	if again := b.imported(stations); again.Commit != 0 || len(again.Items) != 0 {
		t.Errorf("importing the plan again: %s", reportText(again))
	}
	if got := len(b.reg.Stations(date(t, "2026-01-01"), []*quantrac.Matcher{quantrac.Equals("district", "Huyện Tam Nông")})); got != 3 {
		t.Errorf("%d stations in the former district Tam Nông, want 3", got)
	}
}

func TestCells(t *testing.T) {
	f := func(text string, want float64) {
		t.Helper()
		if got, err := parseNumber(text); err != nil || got != want {
			t.Errorf("parseNumber(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	f("2.5", 2.5)
	f("2,5", 2.5)
	f("-0,125", -0.125)
	f("1250,125", 1250.125)
	f("10,6568", 10.6568)
	f("1e-3", 0.001)
	for _, bad := range []string{"1,250", "-12,500", "1.000,5", "1,000,000", "NaN", "Inf", "0x10", "", "-", "2 m", "1_000"} {
		if v, err := parseNumber(bad); err == nil {
			t.Errorf("parseNumber(%q) = %v, want an error", bad, v)
		}
	}
	for _, bad := range []string{"2025-13-01", "7/13/2025", "2025/07/01", "01/07/25", "today", "31/04/2025"} {
		if v, err := parseDate(bad); err == nil {
			t.Errorf("parseDate(%q) = %v, want an error", bad, v)
		}
	}
	g := func(text string, want time.Duration) {
		t.Helper()
		if got, err := parseSpan(text); err != nil || got != want {
			t.Errorf("parseSpan(%q) = %v, %v, want %v", text, got, err, want)
		}
	}
	g("10m", 10*time.Minute)
	g("1,5 giờ", 90*time.Minute)
	g("1h30m", 90*time.Minute)
	g("1 ngày", 24*time.Hour)
	g("30 giây", 30*time.Second)
	for _, bad := range []string{"10", "m", "-5m", "10 tháng", "1e9h", "9999999999999d"} {
		if v, err := parseSpan(bad); err == nil {
			t.Errorf("parseSpan(%q) = %v, want an error", bad, v)
		}
	}
}

func FuzzImportCSV(f *testing.F) {
	sample, err := os.ReadFile("../docs/stations-sample.csv")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(string(sample))
	f.Add("\ufeffMã trạm;Vĩ độ\r\na;10,5\r\n")
	f.Add("code,name,level,valid_from\n1,X,xã,2025-07-01\n")
	f.Add("sep=;\nstation;threshold_kind;level1;property\na;báo động;1;x_meters\n")
	b := open(f)
	f.Fuzz(func(t *testing.T, text string) {
		rep, err := ImportCSV(b.ctx, strings.NewReader(text), b.reg, true)
		if (err != nil) != (len(rep.Errors) > 0) {
			t.Fatalf("error %v with %d lines of errors", err, len(rep.Errors))
		}
		if _, err := rep.WriteTo(&bytes.Buffer{}); err != nil {
			t.Fatal(err)
		}
		if err != nil {
			return
		}
		// What a dry run finds good can be written down and read back.
		var kept []edit
		if _, err := b.reg.change(b.ctx, changeOptions{dryRun: true, check: func(d *draft, _ Problems) error {
			kept = d.edits
			return nil
		}}, func(d *draft) {
			tab, _ := readTable(strings.NewReader(text))
			im := &importer{table: tab, rep: &Report{}, now: t0, actor: "x"}
			im.plan(d)
		}); err != nil {
			t.Fatal(err)
		}
		data, err := encodeChange(&change{Actor: "x", Edits: kept})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := decodeChange(data); err != nil {
			t.Fatalf("does not read back: %v", err)
		}
	})
}

func FuzzDecodeChange(f *testing.F) {
	b := open(f)
	stations, err := os.ReadFile("../docs/stations-sample.csv")
	if err != nil {
		f.Fatal(err)
	}
	if _, err := ImportCSV(b.ctx, bytes.NewReader(stations), b.reg, false); err != nil {
		f.Fatal(err)
	}
	var edits []edit
	for _, s := range b.reg.Records() {
		edits = append(edits, edit{Station: &s})
	}
	for _, st := range b.reg.Records() {
		for _, p := range b.reg.PropertyRecords(st.ID) {
			edits = append(edits, edit{Property: &p})
		}
		for _, x := range b.reg.ThresholdRecords(st.ID) {
			edits = append(edits, edit{Threshold: &x})
		}
		for _, d := range b.reg.Devices(st.ID) {
			edits = append(edits, edit{Device: &d})
		}
	}
	edits = append(edits, edit{Unit: &Unit{Code: "1", Name: "X", Level: Commune}}, edit{Authority: &Authority{Name: "Y", LegalBasis: "z"}},
		edit{AddToken: &tokenEdit{Device: "tan_quoi_1", ID: "x", Hash: make([]byte, 32)}},
		edit{RevokeToken: &tokenRef{"tan_quoi_1", "x"}}, edit{RemoveProperty: &propertyRef{"tan_quoi", "battery_volts"}})
	for _, n := range []int{1, 6, len(edits)} {
		data, err := encodeChange(&change{Actor: "x", Reason: "y", Edits: edits[:n]})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(data)
	}
	f.Add([]byte{1, 'A', 0, '{'})
	f.Add([]byte{1, 'R', 1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := decodeChange(data)
		if err != nil {
			if quantrac.KindOf(err) != quantrac.Corrupt {
				t.Fatalf("%v is not a Corrupt error", err)
			}
			return
		}
		if c == nil {
			return
		}
		first, err := encodeChange(c)
		if err != nil {
			t.Fatalf("read, but cannot be written: %v", err)
		}
		again, err := decodeChange(first)
		if err != nil {
			t.Fatalf("written, but cannot be read: %v", err)
		}
		second, err := encodeChange(again)
		if err != nil || !bytes.Equal(first, second) {
			t.Fatalf("does not come back the same: %v", err)
		}
		// Whatever it says, taking it in ends in a state or an error; and what
		// validation lets pass, the tables take, and give back the same.
		_, _ = newState().with(c.Edits, 1)
		b := open(t)
		if _, err := b.reg.change(b.ctx, changeOptions{action: "fuzz"}, func(d *draft) {
			for _, e := range c.Edits {
				d.do(e)
			}
		}); err != nil {
			if ProblemsOf(err) == nil {
				t.Fatalf("refused, but not by validation: %v", err)
			}
			return
		}
		loaded := b.loaded()
		compare(t, "loaded from the tables", dump(t, loaded), dump(t, b.reg.snap.Load()))
	})
}
