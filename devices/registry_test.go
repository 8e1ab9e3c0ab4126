package devices

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/audit"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
	"quantrac/internal/vfs"
)

// t0 is 1 August 2026, 07:00 at +07:00.
const t0 = quantrac.Millis(1785542400000)

func date(t testing.TB, s string) quantrac.Millis {
	t.Helper()
	at, err := parseDate(s)
	if err != nil {
		t.Fatalf("%s: %v", s, err)
	}
	return at
}

type bench struct {
	testing.TB
	fs      *vfs.Mem
	clock   *quantrac.ManualClock
	journal *journal.Journal
	reg     *Registry
	ctx     context.Context
}

func openJournal(t testing.TB, fs vfs.FS, clock quantrac.Clock) *journal.Journal {
	t.Helper()
	j, err := journal.Open(fs, "journal", journal.Options{Clock: clock, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { j.Close() })
	return j
}

func openRegistry(t testing.TB, path string, j *journal.Journal, o Options) *Registry {
	t.Helper()
	r, err := Open(path, j, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func open(t testing.TB) *bench {
	t.Helper()
	b := &bench{TB: t, fs: vfs.NewMem(), clock: quantrac.NewManualClock(t0)}
	b.journal = openJournal(t, b.fs, b.clock)
	b.reg = openRegistry(t, projection.Memory, b.journal, Options{Clock: b.clock, Local: true})
	b.ctx = quantrac.WithPrincipal(context.Background(), quantrac.Principal{Name: "lan", Role: quantrac.RoleAdmin})
	return b
}

func (b *bench) must(c quantrac.Commit, err error) quantrac.Commit {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
	return c
}

// loaded is what the tables say, once they say all that the journal does.
func (b *bench) loaded() *state {
	b.Helper()
	if err := b.reg.follow.Wait(b.ctx, b.journal.Last().Number); err != nil {
		b.Fatal(err)
	}
	s, err := loadState(b.ctx, b.reg.proj.SQL())
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func (b *bench) refused(kind quantrac.ErrorKind, text string, err error) {
	b.Helper()
	if quantrac.KindOf(err) != kind || !strings.Contains(fmt.Sprint(err), text) {
		b.Errorf("got %v (%s), want %s with %q", err, quantrac.KindOf(err), kind, text)
	}
}

func gauge(id, name string) Station {
	return Station{ID: id, Family: quantrac.FamilyGauge, Lat: 10.6568, Lon: 105.3775, Facts: []Facts{{Name: name, River: "Tiền"}}}
}

func stage(station string) Property {
	p := Property{Station: station, Property: NewProperty("water_level_meters")}
	p.Interval, p.Min, p.Max = 10*time.Minute, -2, 8
	p.FaultValues = []float64{-9999, 7999}
	return p
}

func level(station string, n int, value float64) Threshold {
	return Threshold{Threshold: quantrac.Threshold{
		Station: station, Property: "water_level_meters", Kind: quantrac.ThresholdWatch, Level: n, Value: value,
	}}
}

func TestPutAndLookUp(t *testing.T) {
	b := open(t)
	b.must(b.reg.PutStation(b.ctx, gauge("tan_quoi", "Tân Quới"), "first registration"))
	b.must(b.reg.PutProperty(b.ctx, stage("tan_quoi"), ""))
	b.must(b.reg.PutDevice(b.ctx, Device{ID: "tq-1", Station: "tan_quoi", Sensor: "radar", Labels: map[string]string{"bank": "left"}}, ""))
	c := b.must(b.reg.PutThreshold(b.ctx, level("tan_quoi", 1, 2.5), "agreed with the Department"))

	bind, ok := b.reg.Binding("tq-1")
	if !ok || bind.Station != "tan_quoi" || bind.Properties["water_level_meters"].Max != 8 {
		t.Fatalf("binding = %+v, %v", bind, ok)
	}
	if got, want := bind.Group.String(), `{bank="left", sensor="radar", station="tan_quoi"}`; got != want {
		t.Errorf("group = %s, want %s", got, want)
	}
	if _, ok := b.reg.Binding("nobody"); ok {
		t.Error("an unknown device is bound")
	}
	open, ok := b.reg.StationBinding("tan_quoi")
	if !ok || open.Device != "" || open.Group.String() != `{station="tan_quoi"}` || open.Properties["water_level_meters"].Max != 8 {
		t.Errorf("binding of the station = %+v, %v", open, ok)
	}
	if _, ok := b.reg.StationBinding("tq-1"); ok {
		t.Error("an unknown station is bound")
	}
	series := quantrac.NewLabels("__name__", "water_level_meters", "station", "tan_quoi")
	if got := b.reg.Interval(series); got != 10*time.Minute {
		t.Errorf("interval = %s", got)
	}
	if got := b.reg.Interval(quantrac.NewLabels("__name__", "rain_millimeters", "station", "tan_quoi")); got != 0 {
		t.Errorf("interval of an unknown property = %s", got)
	}
	ths := b.reg.Thresholds("tan_quoi", "water_level_meters", t0)
	if len(ths) != 1 || ths[0].Unit != "m" || ths[0].EnteredBy != "lan" || ths[0].ID != "tan_quoi:water_level_meters:theo_doi:1:ever" {
		t.Errorf("thresholds = %+v", ths)
	}
	if p, ok := b.reg.Property("water_level_meters"); !ok || p.Unit != "m" {
		t.Errorf("metadata of the metric = %+v, %v", p, ok)
	}
	if b.reg.Commit() != c.Number {
		t.Errorf("snapshot is of commit %d, want %d", b.reg.Commit(), c.Number)
	}
	again := b.must(b.reg.PutProperty(b.ctx, stage("tan_quoi"), "the same again"))
	if again != (quantrac.Commit{}) {
		t.Errorf("a put that changes nothing made commit %d", again.Number)
	}
	got := b.reg.Labels("tan_quoi", t0).String()
	if want := `{family="gauge", name="Tân Quới", river="Tiền"}`; got != want {
		t.Errorf("labels = %s, want %s", got, want)
	}
}

func TestPropertiesChiefFirst(t *testing.T) {
	b := open(t)
	b.imported("station,name,family,property\na,A,gauge,battery_volts\na,,,air_temperature_celsius\na,,,water_level_meters\na,,,discharge_cubic_meters_per_second\n")
	var got []string
	for _, p := range b.reg.Properties("a") {
		got = append(got, p.Name)
	}
	if want := "[water_level_meters air_temperature_celsius discharge_cubic_meters_per_second battery_volts]"; fmt.Sprint(got) != want {
		t.Errorf("properties %v, want %s", got, want)
	}
	if b.reg.Properties("nowhere") != nil {
		t.Error("an unknown station measures something")
	}
}

func TestWhoAndWhy(t *testing.T) {
	b := open(t)
	_, err := b.reg.PutStation(context.Background(), gauge("a", "A"), "")
	b.refused(quantrac.Denied, "nobody is named", err)
	b.must(b.reg.PutStation(b.ctx, gauge("a", "A"), "because"))
	b.must(b.reg.PutProperty(b.ctx, stage("a"), ""))
	_, err = b.reg.PutThreshold(b.ctx, level("a", 1, 2), "")
	b.refused(quantrac.Invalid, "a reason is wanted", err)
	list, err := b.reg.Changes(b.ctx, "station", "a", 0, 10)
	if err != nil || len(list) != 1 || list[0].Actor != "lan" || list[0].Reason != "because" || list[0].Time != t0 {
		t.Errorf("changes = %+v, %v", list, err)
	}
}

func TestConflicts(t *testing.T) {
	b := open(t)
	first := b.must(b.reg.PutStation(b.ctx, gauge("a", "A"), ""))
	s, _ := b.reg.Record("a")
	if s.Revision != first.Number {
		t.Fatalf("revision %d, want %d", s.Revision, first.Number)
	}
	mine, theirs := s, s
	theirs.Lat = 10.5
	b.must(b.reg.PutStation(b.ctx, theirs, ""))
	mine.Lon = 105.5
	_, err := b.reg.PutStation(b.ctx, mine, "")
	b.refused(quantrac.Conflict, "changed meanwhile", err)
	mine.Revision = MustBeNew
	_, err = b.reg.PutStation(b.ctx, mine, "")
	b.refused(quantrac.Conflict, "exists already", err)
	if got, _ := b.reg.Record("a"); got.Lat != 10.5 || got.Lon != s.Lon {
		t.Errorf("a refused put changed the station: %+v", got)
	}
}

func TestThresholds(t *testing.T) {
	b := open(t)
	b.must(b.reg.PutStation(b.ctx, gauge("tan_chau", "Tân Châu"), ""))
	b.must(b.reg.PutProperty(b.ctx, stage("tan_chau"), ""))
	alarm := level("tan_chau", 3, 4.2)
	alarm.Kind = quantrac.ThresholdAlarm
	_, err := b.reg.PutThreshold(b.ctx, alarm, "r")
	b.refused(quantrac.Invalid, "legal_basis", err)
	b.refused(quantrac.Invalid, "valid_from_ms", err)

	alarm.LegalBasis, alarm.ValidFrom = "before 2010", date(t, "2000-01-01")
	b.must(b.reg.PutThreshold(b.ctx, alarm, "r"))
	// The level was raised by decree: the old one ends where the new begins.
	raised := alarm // thresholds are told apart by their first day
	raised.Value, raised.LegalBasis, raised.ValidFrom = 4.5, "QĐ 05/2020/QĐ-TTg", date(t, "2020-01-31")
	b.must(b.reg.PutThreshold(b.ctx, raised, "r"))
	at := func(day string) float64 {
		ths := b.reg.Thresholds("tan_chau", "water_level_meters", date(t, day))
		if len(ths) == 0 {
			return 0
		}
		return ths[0].Value
	}
	for day, want := range map[string]float64{"1999-12-31": 0, "2000-01-01": 4.2, "2020-01-30": 4.2, "2020-01-31": 4.5, "2030-01-01": 4.5} {
		if got := at(day); got != want {
			t.Errorf("level III on %s is %v, want %v", day, got, want)
		}
	}
	if all := b.reg.AllThresholds(); len(all) != 2 || all[0].ValidTo != raised.ValidFrom || all[1].ValidTo != quantrac.MaxMillis {
		t.Errorf("all thresholds = %+v", all)
	}
	f := func(kind quantrac.ErrorKind, text string, change func(*Threshold)) {
		t.Helper()
		bad := raised
		bad.Level, bad.Value = 2, 4.0
		change(&bad)
		_, err := b.reg.PutThreshold(b.ctx, bad, "r")
		b.refused(kind, text, err)
	}
	f(quantrac.Invalid, "is not above level 2", func(x *Threshold) { x.Value = 4.6 })
	f(quantrac.Invalid, "not the property's unit", func(x *Threshold) { x.Unit = "cm" })
	f(quantrac.Invalid, "gross range", func(x *Threshold) { x.Value = -3 })
	f(quantrac.Invalid, "no property", func(x *Threshold) { x.Property = "rainfall_millimeters" })
	f(quantrac.Invalid, "outside 1 to 3", func(x *Threshold) { x.Level = 4 })
	f(quantrac.Invalid, "kind", func(x *Threshold) { x.Kind = "alarm" })
	f(quantrac.Invalid, "not registered", func(x *Threshold) { x.Station = "elsewhere" })
	f(quantrac.Conflict, "still in force", func(x *Threshold) {
		x.Level, x.Value, x.ValidFrom, x.ValidTo = 3, 4.3, date(t, "2010-01-01"), date(t, "2012-01-01")
	})
	b.must(b.reg.RemoveThreshold(b.ctx, ThresholdID(&raised.Threshold), "entered twice"))
	if got := at("2030-01-01"); got != 0 {
		t.Errorf("after withdrawal level III is %v", got)
	}
	_, err = b.reg.RemoveThreshold(b.ctx, "tan_chau:nothing:x:1:ever", "r")
	b.refused(quantrac.NotFound, "not registered", err)
	_, err = b.reg.RemoveProperty(b.ctx, "tan_chau", "water_level_meters", "r")
	b.refused(quantrac.Invalid, "no property", err)
}

// Codes were used again on 1 July 2025: 29944 was Tân Phước and is An Phước,
// 30043 was Hưng Thạnh and is Phương Thịnh, 30001 has stayed Tràm Chim but
// became a xã.
func TestCommuneCodesAreNotBare(t *testing.T) {
	b := open(t)
	cut := date(t, "2025-07-01")
	b.must(b.reg.PutUnits(b.ctx, []Unit{
		{Code: "87", Name: "Tỉnh Đồng Tháp (cũ)", Level: Province, ValidTo: cut},
		{Code: "82", Name: "Tỉnh Đồng Tháp", Level: Province, ValidFrom: cut},
		{Code: "29944", Name: "Xã Tân Phước", Level: Commune, Parent: "87"},
		{Code: "29944", Name: "Xã An Phước", Level: Commune, Parent: "82", ValidFrom: cut},
		{Code: "29950", Name: "Xã An Phước", Level: Commune, Parent: "87", ValidTo: cut},
		{Code: "30001", Name: "Thị trấn Tràm Chim", Level: Commune, Parent: "87"},
		{Code: "30001", Name: "Xã Tràm Chim", Level: Commune, Parent: "82", ValidFrom: cut},
	}, "lists of 2024 and 2025"))
	commune := func(station, day string) string {
		ls := b.reg.Labels(station, date(t, day))
		return ls.Get("commune_code") + " " + ls.Get("commune")
	}
	f := func(station, day, want string) {
		t.Helper()
		if got := commune(station, day); got != want {
			t.Errorf("%s on %s lies in %q, want %q", station, day, got, want)
		}
	}
	trap := gauge("an_phuoc", "An Phước")
	trap.Facts[0].Commune, trap.Facts[0].CommuneAt = "29950", date(t, "2024-01-01")
	b.must(b.reg.PutStation(b.ctx, trap, ""))
	f("an_phuoc", "2024-06-01", "29950 Xã An Phước")
	f("an_phuoc", "2025-08-01", " ") // nobody has said where it lies now: not a guess

	trap.Facts = append(trap.Facts, Facts{ValidFrom: cut, Name: "An Phước", Commune: "29944"})
	b.must(b.reg.PutStation(b.ctx, trap, "new code"))
	f("an_phuoc", "2025-06-30", "29950 Xã An Phước")
	f("an_phuoc", "2025-07-01", "29944 Xã An Phước")

	// Entered today with today's code: what it was before is not known.
	new := gauge("tram_chim", "Tràm Chim")
	new.Facts[0].Commune = "30001"
	b.must(b.reg.PutStation(b.ctx, new, ""))
	f("tram_chim", "2026-01-01", "30001 Xã Tràm Chim")
	f("tram_chim", "2024-01-01", " ")

	bad := gauge("nowhere", "Nowhere")
	bad.Facts[0].Commune = "29950" // not in the list of today
	_, err := b.reg.PutStation(b.ctx, bad, "")
	b.refused(quantrac.Invalid, "not in the list of communes", err)
	_, err = b.reg.PutUnits(b.ctx, []Unit{{Code: "30001", Name: "X", Level: Commune, ValidFrom: date(t, "2020-01-01"), ValidTo: date(t, "2021-01-01")}}, "")
	b.refused(quantrac.Conflict, "still belongs to Thị trấn Tràm Chim", err)

	got := b.reg.Stations(date(t, "2026-01-01"), []*quantrac.Matcher{quantrac.Equals("commune", "Xã An Phước")})
	if fmt.Sprint(got) != "[an_phuoc]" {
		t.Errorf("stations in Xã An Phước = %v", got)
	}

	// The authority of the new province speaks for stations that lie in it.
	b.must(b.reg.PutAuthority(b.ctx, Authority{Province: "82", Name: "Đài KTTV", LegalBasis: "giấy phép 1"}, "licence shown"))
	if a, ok := b.reg.Authority("an_phuoc", date(t, "2026-01-01")); !ok || a.Name != "Đài KTTV" {
		t.Errorf("authority = %+v, %v", a, ok)
	}
	if a, ok := b.reg.Authority("an_phuoc", date(t, "2024-01-01")); ok {
		t.Errorf("before July 2025 the authority of 82 spoke for 87: %+v", a)
	}
	_, err = b.reg.PutAuthority(b.ctx, Authority{Name: "Ai đó"}, "r")
	b.refused(quantrac.Invalid, "legal_basis", err)
	b.must(b.reg.PutAuthority(b.ctx, Authority{Name: "Sở", LegalBasis: "giấy phép 2", ValidFrom: cut}, "r"))
	if a, ok := b.reg.Authority("nobody", date(t, "2026-01-01")); !ok || a.Name != "Sở" {
		t.Errorf("authority of no province = %+v, %v", a, ok)
	}
}

func TestFactsAreDated(t *testing.T) {
	b := open(t)
	s := gauge("a", "Cũ")
	s.Facts[0].ValidFrom = date(t, "2010-01-01")
	s.Facts = append(s.Facts, Facts{ValidFrom: date(t, "2020-01-01"), Name: "Mới", Operator: "Sở"})
	s.Closed = date(t, "2024-01-01")
	b.must(b.reg.PutStation(b.ctx, s, ""))
	f := func(day, want string, listed int) {
		t.Helper()
		at := date(t, day)
		st, _ := b.reg.Station("a", at)
		if got := st.Name + "/" + st.Operator; got != want {
			t.Errorf("on %s: %q, want %q", day, got, want)
		}
		if got := len(b.reg.StationsAt(at)); got != listed {
			t.Errorf("on %s: %d stations listed, want %d", day, got, listed)
		}
	}
	f("2009-12-31", "/", 0)
	f("2010-01-01", "Cũ/", 1)
	f("2019-12-31", "Cũ/", 1)
	f("2020-01-01", "Mới/Sở", 1)
	f("2024-01-01", "Mới/Sở", 0)
}

func TestRefusedStationsAndDevices(t *testing.T) {
	b := open(t)
	b.must(b.reg.PutStation(b.ctx, gauge("a", "A"), ""))
	f := func(text string, change func(*Station)) {
		t.Helper()
		s := gauge("b", "B")
		change(&s)
		_, err := b.reg.PutStation(b.ctx, s, "")
		b.refused(quantrac.Invalid, text, err)
	}
	for _, id := range []string{"", "a/b", "a+", "#", "$SYS", "-a", "trạm", "a b", strings.Repeat("x", 65), "a:b", "a\x00"} {
		f("want 1 to 64", func(s *Station) { s.ID = id })
	}
	f("family", func(s *Station) { s.Family = "ship" })
	f("lat", func(s *Station) { s.Lat = 91 })
	f("lon", func(s *Station) { s.Lon = -181 })
	f("name: is missing", func(s *Station) { s.Facts[0].Name = " " })
	f("control character", func(s *Station) { s.Facts[0].River = "a\nb" })
	f("facts", func(s *Station) { s.Facts = nil })
	f("upstream", func(s *Station) { s.Upstream = []string{"nowhere"} })
	f("two sets of facts", func(s *Station) { s.Facts = append(s.Facts, s.Facts[0]) })
	up := gauge("c", "C")
	up.Upstream = []string{"a"}
	b.must(b.reg.PutStation(b.ctx, up, ""))
	circle, _ := b.reg.Record("a")
	circle.Upstream = []string{"c"}
	_, err := b.reg.PutStation(b.ctx, circle, "")
	b.refused(quantrac.Invalid, "upstream of itself", err)

	g := func(text string, d Device) {
		t.Helper()
		_, err := b.reg.PutDevice(b.ctx, d, "")
		b.refused(quantrac.Invalid, text, err)
	}
	g("want 1 to 64", Device{ID: "v1/x", Station: "a"})
	g("not registered", Device{ID: "d", Station: "nowhere"})
	g("reserved", Device{ID: "d", Station: "a", Labels: map[string]string{"commune": "x"}})
	g("reserved", Device{ID: "d", Station: "a", Labels: map[string]string{"station": "b"}})
	g("name of a label", Device{ID: "d", Station: "a", Labels: map[string]string{"__x": "b"}})

	h := func(text string, change func(*Property)) {
		t.Helper()
		p := stage("a")
		change(&p)
		_, err := b.reg.PutProperty(b.ctx, p, "")
		b.refused(quantrac.Invalid, text, err)
	}
	h("max: 0 is not above", func(p *Property) { p.Property = quantrac.Property{Name: "x"} })
	h("not what the metric's name says", func(p *Property) { p.Unit = "cm" })
	h("name of a metric", func(p *Property) { p.Name = "water level" })
	h("name of a metric", func(p *Property) { p.Name = "a:b" })
	h("outside the gross range", func(p *Property) { p.SuspectMax = 9 })
	h("outside the gross range", func(p *Property) { p.SuspectMin = -3 })
	h("suspect_max", func(p *Property) { p.SuspectMin, p.SuspectMax = 2, 1 })
	h("positive", func(p *Property) { p.SpikeLimit = 0 })
	h("positive", func(p *Property) { p.RateLimit = -1 })
	h("interval", func(p *Property) { p.Interval = -time.Second })
	h("decimals", func(p *Property) { p.Decimals = 10 })
}

func TestTokens(t *testing.T) {
	b := open(t)
	b.must(b.reg.PutStation(b.ctx, gauge("a", "A"), ""))
	b.must(b.reg.PutDevice(b.ctx, Device{ID: "d", Station: "a"}, ""))
	if b.reg.AuthenticateDevice("d", "") {
		t.Error("a device without token is let in")
	}
	one, first, err := b.reg.NewToken(b.ctx, "d", "")
	if err != nil {
		t.Fatal(err)
	}
	two, _, err := b.reg.NewToken(b.ctx, "d", "rotation")
	if err != nil {
		t.Fatal(err)
	}
	_, _, err = b.reg.NewToken(b.ctx, "d", "a third")
	b.refused(quantrac.Conflict, "revoke one first", err)
	f := func(device, secret string, want bool) {
		t.Helper()
		if got := b.reg.AuthenticateDevice(device, secret); got != want {
			t.Errorf("AuthenticateDevice(%q, %q) = %v, want %v", device, secret, got, want)
		}
	}
	f("d", one, true)
	f("d", two, true)
	f("d", one+"x", false)
	f("d", "", false)
	f("e", one, false)
	b.must(b.reg.RevokeToken(b.ctx, "d", first.ID, "rotation done"))
	f("d", one, false)
	f("d", two, true)
	_, err = b.reg.RevokeToken(b.ctx, "d", first.ID, "")
	b.refused(quantrac.NotFound, "not registered", err)
	d, _ := b.reg.Device("d")
	d.Disabled = true
	b.must(b.reg.PutDevice(b.ctx, d, "stolen"))
	f("d", two, false)
	if bind, _ := b.reg.Binding("d"); !bind.Disabled {
		t.Error("the binding of a disabled device is not marked")
	}
	// The secret is nowhere, in no form: not in the journal, the tables, the history.
	list, _ := b.reg.Changes(b.ctx, "token", "", 0, 10)
	text, _ := json.Marshal(list)
	err = b.journal.Replay(b.ctx, 0, func(e journal.Entry) error {
		text = append(text, e.Data...)
		return nil
	})
	if err != nil || strings.Contains(string(text), one) || strings.Contains(string(text), two) {
		t.Errorf("the secret is kept somewhere (%v)", err)
	}
}

func TestEnsureDevice(t *testing.T) {
	b := open(t)
	bind, err := b.reg.EnsureDevice(b.ctx, LocalDevice{
		Device: "sim-1", Station: "tan_quoi", Name: "Tân Quới", Family: quantrac.FamilyGauge, Simulated: true,
		Properties: []quantrac.Property{stage("").Property},
	})
	if err != nil || !bind.Simulated || bind.Properties["water_level_meters"].Unit != "m" {
		t.Fatalf("binding = %+v, %v", bind, err)
	}
	before := b.journal.Last()
	if _, err := b.reg.EnsureDevice(b.ctx, LocalDevice{Device: "sim-1"}); err != nil || b.journal.Last() != before {
		t.Errorf("a known device was registered again: %v", err)
	}
	plain, err := b.reg.EnsureDevice(b.ctx, LocalDevice{Device: "sim-3"})
	if err != nil || plain.Simulated {
		t.Fatalf("binding = %+v, %v", plain, err)
	}
	said, err := b.reg.EnsureDevice(b.ctx, LocalDevice{Device: "sim-3", Simulated: true})
	if err != nil || !said.Simulated || b.reg.Labels("sim-3", t0).String() != `{family="field", name="[MÔ PHỎNG] sim-3", simulated="true"}` {
		t.Errorf("after it has said that it is simulated: binding %+v, %v, labels %s", said, err, b.reg.Labels("sim-3", t0))
	}
	before = b.journal.Last()
	if again, err := b.reg.EnsureDevice(b.ctx, LocalDevice{Device: "sim-3"}); err != nil || !again.Simulated || b.journal.Last() != before {
		t.Errorf("not saying so takes the mark away: %+v, %v", again, err)
	}
	if _, err := b.reg.EnsureDevice(b.ctx, LocalDevice{Device: "../../x"}); quantrac.KindOf(err) != quantrac.Invalid {
		t.Errorf("a device with a bad id: %v", err)
	}
	b.reg.o.Local = false
	_, err = b.reg.EnsureDevice(b.ctx, LocalDevice{Device: "sim-2"})
	b.refused(quantrac.Denied, "not registered", err)
}

func sorted[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }

// dump writes all of a state down, so that two can be compared.
func dump(t testing.TB, s *state) string {
	t.Helper()
	var b strings.Builder
	line := func(v ...any) {
		for _, x := range v {
			data, err := json.Marshal(x)
			if err != nil {
				data = []byte(fmt.Sprintf("%+v", x)) // NaN limits
			}
			b.Write(data)
			b.WriteByte(' ')
		}
		b.WriteByte('\n')
	}
	line(s.commit, s.order, s.authorities)
	for _, id := range s.order {
		st := s.stations[id]
		line(st.Station, append([]Property{}, st.properties...), append([]Threshold{}, st.thresholds...), append([]string{}, st.devices...))
		for _, sp := range st.spans {
			line(sp.from, sp.station, sp.labels, sp.unit)
		}
		line(st.levels, fmt.Sprint(st.byName))
	}
	for _, u := range sorted(s.units) {
		line(s.units[u])
	}
	for _, id := range sorted(s.devices) {
		d := *s.devices[id]
		d.Tokens = append([]Token{}, d.Tokens...)
		line(d.Device, fmt.Sprintf("%x", d.Tokens), fmt.Sprintf("%+v", *d.binding))
	}
	line(fmt.Sprint(s.metrics()))
	return b.String()
}

// randomChanges makes changes of every kind; what is refused is part of it.
func randomChanges(b *bench, rng *rand.Rand, n int) (done int) {
	id := func(prefix string) string { return fmt.Sprint(prefix, rng.IntN(6)) }
	for range n {
		var err error
		switch rng.IntN(11) {
		case 0, 1:
			s := gauge(id("s"), id("Trạm "))
			s.Facts[0].Commune, s.Simulated = id("3000"), rng.IntN(2) == 0
			if rng.IntN(2) == 0 {
				s.Facts = append(s.Facts, Facts{ValidFrom: t0, Name: id("Mới "), Commune: id("3000")})
			}
			if rng.IntN(3) == 0 {
				s.Upstream = []string{id("s")}
			}
			_, err = b.reg.PutStation(b.ctx, s, "r")
		case 2:
			p := stage(id("s"))
			p.Name, p.SpikeLimit = id("level")+"_meters", float64(rng.IntN(2))
			_, err = b.reg.PutProperty(b.ctx, p, "r")
		case 3:
			_, err = b.reg.RemoveProperty(b.ctx, id("s"), id("level")+"_meters", "r")
		case 4, 5:
			x := level(id("s"), 1+rng.IntN(3), float64(rng.IntN(8)))
			x.Property = id("level") + "_meters"
			if rng.IntN(2) == 0 {
				x.ValidFrom = t0 + quantrac.Millis(rng.IntN(5))
			}
			_, err = b.reg.PutThreshold(b.ctx, x, "r")
		case 6:
			_, err = b.reg.PutDevice(b.ctx, Device{ID: id("d"), Station: id("s"), Disabled: rng.IntN(2) == 0}, "r")
		case 7:
			_, _, err = b.reg.NewToken(b.ctx, id("d"), "r")
		case 8:
			if d, ok := b.reg.Device(id("d")); ok && len(d.Tokens) > 0 {
				_, err = b.reg.RevokeToken(b.ctx, d.ID, d.Tokens[rng.IntN(len(d.Tokens))].ID, "r")
			}
		case 9:
			u := Unit{Code: id("3000"), Name: id("Xã "), Level: Commune}
			if rng.IntN(2) == 0 {
				u.ValidFrom = t0 - 1000 + quantrac.Millis(rng.IntN(2))
			}
			_, err = b.reg.PutUnits(b.ctx, []Unit{u}, "r")
		case 10:
			_, err = b.reg.PutAuthority(b.ctx, Authority{Name: id("Sở "), LegalBasis: "x", ValidFrom: t0 + quantrac.Millis(rng.IntN(3))}, "r")
		}
		switch quantrac.KindOf(err) {
		case quantrac.KindNone:
			if err != nil {
				b.Fatal(err)
			}
			done++
		case quantrac.Invalid, quantrac.Conflict, quantrac.NotFound:
		default:
			b.Fatal(err)
		}
	}
	return done
}

// The live snapshot, the one loaded from the tables, the one of a projection
// rebuilt from the journal, and the edits replayed in memory are the same.
func TestRebuildEqualsLive(t *testing.T) {
	for seed := range uint64(4) {
		b := open(t)
		if done := randomChanges(b, rand.New(rand.NewPCG(seed, 1)), 400); done < 100 {
			t.Fatalf("only %d of 400 changes were possible", done)
		}
		live := dump(t, b.reg.snap.Load())
		loaded := b.loaded()
		compare(t, "loaded from the tables", dump(t, loaded), live)
		rebuilt := openRegistry(t, projection.Memory, b.journal, Options{})
		compare(t, "rebuilt from the journal", dump(t, rebuilt.snap.Load()), live)
		s := newState()
		err := b.journal.Replay(b.ctx, 0, func(e journal.Entry) error {
			c, err := decodeChange(e.Data)
			if err == nil {
				s, err = s.with(c.Edits, e.Number)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
		compare(t, "replayed in memory", dump(t, s), live)
	}
}

func compare(t *testing.T, what, got, want string) {
	t.Helper()
	if got == want {
		return
	}
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range w {
		if i >= len(g) || g[i] != w[i] {
			t.Fatalf("%s, line %d:\n got %s\nwant %s", what, i, append(g, "")[min(i, len(g))], w[i])
		}
	}
	t.Fatalf("%s: more than there is live", what)
}

// A crash after the journal's sync and before the projection's commit: the
// journal has the change, the tables do not. Reopening catches up.
func TestCrashBetweenJournalAndProjection(t *testing.T) {
	b := open(t)
	path := filepath.Join(t.TempDir(), "registry.db")
	reg := openRegistry(t, path, b.journal, Options{Clock: b.clock})
	for _, id := range []string{"a", "b"} {
		if _, err := reg.PutStation(b.ctx, gauge(id, id), ""); err != nil {
			t.Fatal(err)
		}
	}
	applied := reg.proj.Applied()
	reg.Close()
	// b.reg is the process that goes on and dies: its projection is gone with
	// it, the journal's record is not.
	b.must(b.reg.PutStation(b.ctx, gauge("c", "C"), "never projected on disk"))
	b.journal.Close()
	j := openJournal(t, b.fs.Crash(1), b.clock)
	reg = openRegistry(t, path, j, Options{Clock: b.clock})
	if got := fmt.Sprint(reg.Stations(t0, nil)); got != "[a b c]" {
		t.Errorf("after reopening: %s", got)
	}
	if reg.proj.Applied() <= applied {
		t.Error("the projection did not move")
	}
	compare(t, "after the crash", dump(t, reg.snap.Load()), dump(t, b.reg.snap.Load()))
}

// Whichever operation of the disk fails: what was acknowledged is there, what
// is there is the same live, rebuilt and after a crash, and the registry goes
// on when the disk is good again.
func TestFailingDisk(t *testing.T) {
	for k := int64(1); k <= 10; k++ {
		var n atomic.Int64
		var on atomic.Bool
		b := &bench{TB: t, fs: vfs.NewMem(), clock: quantrac.NewManualClock(t0)}
		b.ctx = quantrac.WithPrincipal(context.Background(), quantrac.Principal{Name: "lan"})
		b.journal = openJournal(t, vfs.Faulty(b.fs, func(vfs.Op) error {
			if on.Load() && n.Add(1) == k {
				return errors.New("disk on fire")
			}
			return nil
		}), b.clock)
		b.reg = openRegistry(t, projection.Memory, b.journal, Options{Clock: b.clock})
		on.Store(true)
		var acked []string
		for i := range 6 {
			id := fmt.Sprint("s", i)
			if _, err := b.reg.PutStation(b.ctx, gauge(id, id), ""); err == nil {
				acked = append(acked, id)
			} else if kind := quantrac.KindOf(err); kind != quantrac.Unavailable {
				t.Errorf("operation %d: %v is of kind %s", k, err, kind)
			}
		}
		on.Store(false)
		b.must(b.reg.PutStation(b.ctx, gauge("after", "After"), ""))
		if got, want := b.reg.Stations(t0, nil), slices.Sorted(slices.Values(append(acked, "after"))); !slices.Equal(got, want) {
			t.Errorf("operation %d: %v are there, %v were acknowledged", k, got, want)
		}
		live := dump(t, b.reg.snap.Load())
		b.journal.Close()
		again := openRegistry(t, projection.Memory, openJournal(t, b.fs.Crash(uint64(k)), b.clock), Options{})
		compare(t, fmt.Sprintf("operation %d, after a crash", k), dump(t, again.snap.Load()), live)
	}
}

func TestEndedContext(t *testing.T) {
	b := open(t)
	ctx, cancel := context.WithCancel(b.ctx)
	cancel()
	if _, err := b.reg.PutStation(ctx, gauge("a", "A"), ""); !errors.Is(err, context.Canceled) {
		t.Errorf("err = %v", err)
	}
	b.must(b.reg.PutStation(b.ctx, gauge("b", "B"), ""))
}

// A record that this program cannot read stops the registry: half of it would
// be a network that nobody entered.
func TestRecordOfAnotherVersion(t *testing.T) {
	b := open(t)
	for _, data := range []string{"\x02R\x00{}", "\x01R\x00{\"actor\":\"x\",\"edits\":[{\"teleport\":{}}]}", "\x01R\x00{\"actor\":\"x\",\"edits\":[{}]}", "\x01R\x07", "R"} {
		fs := vfs.NewMem()
		j := openJournal(t, fs, b.clock)
		if _, err := j.Append(b.ctx, journal.Record{Kind: quantrac.RecordRegistry, Data: []byte(data)}); err != nil {
			t.Fatal(err)
		}
		if _, err := Open(projection.Memory, j, Options{}); quantrac.KindOf(err) != quantrac.Corrupt || !strings.Contains(err.Error(), "commit 1") {
			t.Errorf("%q: %v", data, err)
		}
	}
	// Records of other subjects are somebody else's.
	c := b.must(b.reg.PutStation(b.ctx, gauge("a", "A"), ""))
	if _, err := b.journal.Append(b.ctx, journal.Record{Kind: quantrac.RecordRegistry, Data: []byte("\x01A\x00{}")}); err != nil {
		t.Fatal(err)
	}
	if err := b.reg.Wait(b.ctx, b.journal.Last().Number); err != nil || b.reg.Commit() != c.Number {
		t.Errorf("at commit %d, %v", b.reg.Commit(), err)
	}
}

func TestAuditedInOneCall(t *testing.T) {
	b := open(t)
	log, err := audit.Open(projection.Memory, b.journal, audit.Options{Clock: b.clock})
	if err != nil {
		t.Fatal(err)
	}
	defer log.Close()
	b.reg.o.Audit = log
	c := b.must(b.reg.PutStation(b.ctx, gauge("a", "A"), "why not"))
	if last := b.journal.Last().Number; last != c.Number+1 {
		t.Errorf("change is commit %d, the last one %d: want the audit entry next", c.Number, last)
	}
	if h, err := log.Verify(b.ctx); err != nil || h.Seq != 1 {
		t.Errorf("chain = %+v, %v", h, err)
	}
	list, err := log.List(b.ctx, audit.Filter{Object: "a"})
	if err != nil || len(list) != 1 || list[0].Actor != "lan" || list[0].Action != "station.put" || list[0].Reason != "why not" || len(list[0].Records) != 1 {
		t.Errorf("audit = %+v, %v", list, err)
	}
}
