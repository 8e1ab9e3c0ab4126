package forecast

import (
	"encoding/json"
	"slices"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/forecast/arx"
)

func TestForecastMetric(t *testing.T) {
	for property, want := range map[string]string{
		"water_level_meters":                "water_level_forecast_meters",
		"salinity_grams_per_liter":          "salinity_forecast_grams_per_liter",
		"discharge_cubic_meters_per_second": "discharge_forecast_cubic_meters_per_second",
		"wind_speed_meters_per_second":      "wind_speed_forecast_meters_per_second",
		"insect_catch":                      "insect_forecast_catch",
		"ph":                                "ph_forecast",
		"water_temperature_celsius":         "water_temperature_forecast_celsius",
	} {
		if got := forecastMetric(property); got != want || !quantrac.ValidMetricName(got) {
			t.Errorf("%s: %s, want %s", property, got, want)
		}
	}
}

func TestConfigErrors(t *testing.T) {
	h := Duration(time.Hour)
	good := Config{Source: Source{Station: "a", Property: StageMetric}, Step: h, Leads: []Duration{h, 3 * h}}
	full, err := good.withDefaults()
	if err != nil {
		t.Fatal(err)
	}
	if full.Model != "arx" || full.Kind != KindARX || time.Duration(full.Window) != 400*24*time.Hour ||
		time.Duration(full.Refit) != 24*time.Hour || time.Duration(full.Delay) != 10*time.Minute {
		t.Errorf("defaults %+v", full)
	}
	if again, err := full.withDefaults(); err != nil || again.digest() != full.digest() {
		t.Errorf("a full configuration changes: %+v (%v)", again, err)
	}
	for name, c := range map[string]struct {
		edit func(*Config)
		want string
	}{
		"no station":  {func(c *Config) { c.Station = "" }, "station"},
		"property":    {func(c *Config) { c.Property = "Mực nước" }, "property"},
		"step":        {func(c *Config) { c.Step = 1 }, "step"},
		"kind":        {func(c *Config) { c.Kind = "oracle" }, "kind"},
		"no leads":    {func(c *Config) { c.Leads = nil }, "0 leads"},
		"odd lead":    {func(c *Config) { c.Leads = []Duration{h + 1} }, "multiple"},
		"falling":     {func(c *Config) { c.Leads = []Duration{3 * h, h} }, "leads"},
		"window":      {func(c *Config) { c.Window = 1e6 * h }, "window"},
		"refit":       {func(c *Config) { c.Refit = 1 }, "refit"},
		"delay":       {func(c *Config) { c.Delay = h }, "delay"},
		"cron":        {func(c *Config) { c.Cron = "at seven" }, "cron"},
		"cron every":  {func(c *Config) { c.Cron = "@every 1h" }, "five fields"},
		"odd lag":     {func(c *Config) { c.Lags = []Duration{0, h + 1} }, "multiple"},
		"late lag":    {func(c *Config) { c.Lags = []Duration{h} }, "lags"},
		"short cycle": {func(c *Config) { c.Cycles = []Duration{h} }, "period"},
	} {
		c2 := good
		c.edit(&c2)
		if _, err := c2.withDefaults(); quantrac.KindOf(err) != quantrac.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want an invalid configuration that says %q", name, err, c.want)
		}
	}
	if _, err := Open("", nil, nil, nil, Options{Models: []Config{good, good}}); quantrac.KindOf(err) != quantrac.Invalid || !strings.Contains(err.Error(), "second") {
		t.Errorf("the same model twice: %v", err)
	}
	data, err := json.Marshal(full)
	if err != nil || !strings.Contains(string(data), `"leads":["1h0m0s","3h0m0s"]`) {
		t.Errorf("as JSON: %s (%v)", data, err)
	}
	var back Config
	if err := json.Unmarshal(data, &back); err != nil || back.digest() != full.digest() {
		t.Errorf("from JSON: %+v (%v)", back, err)
	}
	if err := json.Unmarshal([]byte(`{"step":"an hour"}`), &back); err == nil {
		t.Error("a step of an hour in words is accepted")
	}
}

type plainRegistry struct {
	stations   []quantrac.Station
	properties map[string][]quantrac.Property
}

func (r plainRegistry) StationsAt(quantrac.Millis) []quantrac.Station { return r.stations }
func (r plainRegistry) Station(string, quantrac.Millis) (quantrac.Station, bool) {
	return quantrac.Station{}, false
}
func (r plainRegistry) Properties(s string) []quantrac.Property { return r.properties[s] }
func (r plainRegistry) Thresholds(string, string, quantrac.Millis) []quantrac.Threshold {
	return nil
}

func TestDefaults(t *testing.T) {
	stage, rain := quantrac.Property{Name: StageMetric, Interval: 10 * time.Minute}, quantrac.Property{Name: RainMetric}
	tips := quantrac.Property{Name: RainMetric, Cumulative: true}
	slow := quantrac.Property{Name: StageMetric, Interval: 24 * time.Hour}
	reg := plainRegistry{
		stations: []quantrac.Station{{ID: "a", Family: quantrac.FamilyGauge, Upstream: []string{"b", "c"}}, {ID: "b", Family: quantrac.FamilyGauge},
			{ID: "c", Family: quantrac.FamilyRain}, {ID: "d", Family: quantrac.FamilyGauge}},
		properties: map[string][]quantrac.Property{"a": {stage, rain}, "b": {tips, stage}, "c": {rain}, "d": {slow}},
	}
	cs := Defaults(reg, 0)
	var names []string
	for _, c := range cs {
		names = append(names, c.Station)
	}
	if !slices.Equal(names, []string{"a", "b", "d"}) {
		t.Fatalf("models of %v", names)
	}
	a := cs[0].spec()
	var inputs []string
	for _, in := range a.Inputs {
		inputs = append(inputs, in.Name)
	}
	want := []string{`water_level_meters{station="a"}`, `rainfall_millimeters{station="a"}`, `water_level_meters{station="b"}`, `rainfall_millimeters{station="c"}`}
	if !slices.Equal(inputs, want) {
		t.Errorf("inputs %v, want %v", inputs, want)
	}
	if a.Inputs[1].Kind != arx.Rain || a.Inputs[1].Wets != 0 || a.Inputs[3].Wets != 2 || len(a.Periods) != 12 || len(a.Inputs[0].Lags) != 12 {
		t.Errorf("spec %+v", a)
	}
	if d := cs[2]; time.Duration(d.Step) != 24*time.Hour || len(d.Cycles) != 2 || len(d.Lags) != 0 {
		t.Errorf("a daily gauge: step %v, cycles %v", time.Duration(d.Step), d.Cycles)
	}
}

// TestDefaultGrid: up to two days ahead, or five readings of a slow gauge; no
// gap that a reader would take for the forecast's end.
func TestDefaultGrid(t *testing.T) {
	for _, c := range []struct {
		interval, step, last time.Duration
		leads                int
	}{
		{0, time.Hour, 48 * time.Hour, 18}, {time.Minute, time.Hour, 48 * time.Hour, 18}, {time.Hour, time.Hour, 48 * time.Hour, 18},
		{90 * time.Minute, 2 * time.Hour, 48 * time.Hour, 10}, {6 * time.Hour, 6 * time.Hour, 48 * time.Hour, 8},
		{12 * time.Hour, 12 * time.Hour, 60 * time.Hour, 5}, {24 * time.Hour, 24 * time.Hour, 120 * time.Hour, 5},
	} {
		step := StepFor(c.interval)
		leads := leadsOf(step)
		if step != c.step || len(leads) != c.leads || time.Duration(leads[len(leads)-1]) != c.last {
			t.Errorf("read every %v: step %v, leads %v", c.interval, step, leads)
		}
		last := time.Duration(0)
		for _, l := range leads {
			if time.Duration(l)-last >= quantrac.StaleAfter(step) {
				t.Errorf("read every %v: nothing from %v to %v", c.interval, last, time.Duration(l))
			}
			last = time.Duration(l)
		}
	}
}

func TestTimetable(t *testing.T) {
	clock := quantrac.NewManualClock(1000)
	tt := timetable{clock}
	rang := make(chan string, 10)
	once := tt.AfterFunc(5*time.Second, func() { rang <- "once" })
	stopped := tt.AfterFunc(5*time.Second, func() { rang <- "stopped" })
	if !stopped.Stop() || stopped.Stop() {
		t.Error("stopping tells wrongly whether it stopped anything")
	}
	timer := tt.NewTimer(3 * time.Second)
	tick := tt.NewTicker(2 * time.Second)
	clock.Advance(3 * time.Second)
	if got := <-timer.Chan(); got != time.UnixMilli(4000).UTC() {
		t.Errorf("timer rang at %v", got)
	}
	<-tick.Chan()
	clock.Advance(2 * time.Second)
	if got := <-rang; got != "once" {
		t.Errorf("%s rang", got)
	}
	<-tick.Chan()
	tick.Stop()
	if once.Stop() {
		t.Error("what rang could be stopped")
	}
	once.Reset(time.Second)
	if !once.Reset(2 * time.Second) {
		t.Error("resetting does not say that it was set")
	}
	clock.Advance(2 * time.Second)
	if got := <-rang; got != "once" {
		t.Errorf("%s rang", got)
	}
	select {
	case got := <-rang:
		t.Errorf("%s rang twice", got)
	case <-tick.Chan():
		t.Error("a stopped ticker ticks")
	default:
	}
	if tt.Since(time.UnixMilli(1000)) != 7*time.Second || tt.Until(time.UnixMilli(9000)) != time.Second {
		t.Error("since and until")
	}
}
