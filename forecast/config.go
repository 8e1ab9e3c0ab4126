package forecast

import (
	"cmp"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"time"

	"quantrac"
	"quantrac/forecast/arx"
)

// Duration is a time.Duration that is written as text ("1h30m") in
// configuration and run records.
type Duration time.Duration

// MarshalText implements encoding.TextMarshaler.
func (d Duration) MarshalText() ([]byte, error) { return []byte(time.Duration(d).String()), nil }

// UnmarshalText implements encoding.TextUnmarshaler.
func (d *Duration) UnmarshalText(text []byte) error {
	v, err := time.ParseDuration(string(text))
	if err != nil {
		return quantrac.Errorf(quantrac.Invalid, "duration %q: want a form such as 1h30m", text)
	}
	*d = Duration(v)
	return nil
}

// The kinds of models.
const (
	KindARX         = "arx"         // adaptive regression, with persistence under it
	KindPersistence = "persistence" // nothing changes
)

// Source is a series a model reads.
type Source struct {
	Station  string `json:"station" yaml:"station"`
	Property string `json:"property" yaml:"property"` // metric name
	Sensor   string `json:"sensor,omitempty" yaml:"sensor"`
	// Sum adds readings up over a step (rain) instead of taking the newest.
	Sum bool `json:"sum,omitempty" yaml:"sum"`
}

// labels returns the identity of the source's series.
func (s *Source) labels() quantrac.Labels {
	ls := quantrac.NewLabels(quantrac.LabelMetric, s.Property, quantrac.LabelStation, s.Station)
	if s.Sensor != "" {
		ls = ls.With(quantrac.LabelSensor, s.Sensor)
	}
	return ls
}

func (s Source) String() string { return s.labels().String() }

// Config says what is forecast and how. It is data: the configuration file, or
// what the registry says of a gauge (Defaults). Every run carries its own.
type Config struct {
	Source   `yaml:",inline"`
	Model    string     `json:"model" yaml:"model"` // value of label model; default the kind
	Kind     string     `json:"kind" yaml:"kind"`   // default KindARX
	Step     Duration   `json:"step" yaml:"step"`   // of the grid
	Leads    []Duration `json:"leads" yaml:"leads"` // multiples of Step, rising
	Upstream []Source   `json:"upstream,omitempty" yaml:"upstream"`

	Window Duration   `json:"window" yaml:"window"`           // of training; default 400 days, or 30 years at daily steps
	Refit  Duration   `json:"refit" yaml:"refit"`             // between trainings; default a day, or 30 at daily steps
	Cycles []Duration `json:"cycles,omitempty" yaml:"cycles"` // periods that the gauge may follow: tides, day, year
	Lags   []Duration `json:"lags,omitempty" yaml:"lags"`     // ages of the readings used, multiples of Step from 0; default by the longest lead

	// Delay is how long after an issue time the run waits for inputs that have
	// not arrived; default a quarter of a step, at most 10 minutes. Cron, in
	// the usual five fields at +07:00, replaces the schedule of one run per
	// step.
	Delay Duration `json:"delay" yaml:"delay"`
	Cron  string   `json:"cron,omitempty" yaml:"cron"`

	NonNegative bool `json:"non_negative,omitempty" yaml:"non_negative"` // the quantity cannot be below 0
}

// maxRows bounds the rows of a training window.
const maxRows = 40000

// withDefaults returns the configuration complete, or says what is wrong.
func (c Config) withDefaults() (Config, error) {
	bad := func(format string, args ...any) (Config, error) {
		return c, quantrac.Errorf(quantrac.Invalid, "forecast of %s: "+format, append([]any{c.Source}, args...)...)
	}
	step := time.Duration(c.Step)
	if c.Station == "" || !quantrac.ValidMetricName(c.Property) {
		return bad("station %q and property %q are wanted", c.Station, c.Property)
	}
	if step < time.Minute || step%time.Second != 0 {
		return bad("step %v is not whole seconds of at least a minute", step)
	}
	c.Kind = cmp.Or(c.Kind, KindARX)
	c.Model = cmp.Or(c.Model, c.Kind)
	if c.Kind != KindARX && c.Kind != KindPersistence {
		return bad("kind %q is neither %s nor %s", c.Kind, KindARX, KindPersistence)
	}
	if len(c.Leads) == 0 || len(c.Leads) > 200 {
		return bad("%d leads; 1 to 200 are wanted", len(c.Leads))
	}
	for _, l := range c.Leads {
		if time.Duration(l)%step != 0 {
			return bad("lead %v is no multiple of the step %v", time.Duration(l), step)
		}
	}
	for _, l := range c.Lags {
		if time.Duration(l)%step != 0 {
			return bad("lag %v is no multiple of the step %v", time.Duration(l), step)
		}
	}
	daily := step >= 24*time.Hour
	if c.Window == 0 {
		c.Window = Duration(400 * 24 * time.Hour)
		if daily {
			c.Window = Duration(30 * 8766 * time.Hour)
		}
	}
	if c.Refit == 0 {
		c.Refit = Duration(24 * time.Hour)
		if daily {
			c.Refit = Duration(30 * 24 * time.Hour)
		}
	}
	if c.Delay == 0 {
		c.Delay = Duration(min(step/4, 10*time.Minute))
	}
	if rows := time.Duration(c.Window) / step; rows < 1 || rows > maxRows {
		return bad("a window of %v is %d steps; at most %d are kept", time.Duration(c.Window), rows, maxRows)
	}
	if time.Duration(c.Refit) < step {
		return bad("refit %v is shorter than a step", time.Duration(c.Refit))
	}
	if c.Delay < 0 || time.Duration(c.Delay) >= step {
		return bad("delay %v is not below a step", time.Duration(c.Delay))
	}
	if c.Cron != "" {
		if _, err := parseCron(c.Cron); err != nil {
			return bad("%w", err)
		}
	}
	c.Window = Duration(time.Duration(c.Window) / step * step)
	c.Refit = Duration(time.Duration(c.Refit) / step * step)
	if _, err := arx.Train(c.spec(), 0, make([][]float64, 1+len(c.Upstream))); err != nil {
		return bad("%w", err)
	}
	return c, nil
}

// spec returns what the regression is told.
func (c *Config) spec() arx.Spec {
	s := arx.Spec{Step: time.Duration(c.Step), NonNegative: c.NonNegative, Plain: c.Kind == KindPersistence}
	for _, l := range c.Leads {
		s.Leads = append(s.Leads, int(time.Duration(l)/s.Step))
	}
	for _, p := range c.Cycles {
		s.Periods = append(s.Periods, time.Duration(p))
	}
	var lags []int
	for _, l := range c.Lags {
		lags = append(lags, int(time.Duration(l)/s.Step))
	}
	wets := 0
	for i, src := range c.inputs() {
		in := arx.Input{Name: src.String(), Lags: lags}
		if src.Sum {
			in.Kind = arx.Rain
			in.Wets = wets
		} else {
			wets = i // rain listed after a gauge falls on its catchment
		}
		s.Inputs = append(s.Inputs, in)
	}
	return s
}

// inputs returns the series read, the gauge itself first.
func (c *Config) inputs() []Source { return append([]Source{c.Source}, c.Upstream...) }

// alone is the gauge without its other inputs.
func (c Config) alone() Config {
	c.Upstream = nil
	return c
}

// Name tells models apart: one per station, property, sensor and model name.
func (c *Config) Name() string { return c.Model + " of " + c.Source.String() }

// digest names exactly this configuration.
func (c *Config) digest() string {
	data, err := json.Marshal(c)
	if err != nil {
		panic(err) // texts, numbers and durations alone
	}
	sum := sha256.Sum256(data)
	return hex.EncodeToString(sum[:])
}

// floor returns the newest grid time not after t.
func floor(t quantrac.Millis, step time.Duration) quantrac.Millis {
	ms := quantrac.Millis(step.Milliseconds())
	r := t % ms
	if r < 0 {
		r += ms
	}
	return t - r
}

// milliseconds makes a Duration.
func milliseconds(ms int64) Duration { return Duration(time.Duration(ms) * time.Millisecond) }

// forecastMetric returns the metric that carries forecasts of a property:
// water_level_meters gives water_level_forecast_meters.
func forecastMetric(property string) string {
	base, unit := splitUnit(property)
	if base == "" {
		return property + "_forecast"
	}
	return fmt.Sprintf("%s_forecast_%s", base, unit)
}
