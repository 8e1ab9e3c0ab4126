package dashboards

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"time"

	"quantrac"
	"quantrac/internal/params"
)

// Limits of what a reader may ask for.
const (
	maxIDBytes  = 128
	maxKeyBytes = 2048
	maxSeries   = 40              // drawn at once: the species of a trap
	waitForRead = 5 * time.Second // real time, for one of Options.MaxReads
)

// spans are the days a chart may cover.
var spans = []int{1, 5, 30}

// detailView answers GET /api/page/station/{id}.
type detailView struct {
	Station  json.RawMessage `json:"station"`
	Days     int             `json:"days"`
	From     quantrac.Millis `json:"from"`
	To       quantrac.Millis `json:"to"`
	Series   []chartSeries   `json:"series"`
	Levels   []levelView     `json:"levels"`   // of the drawn property
	Forecast *forecastView   `json:"forecast"` // null where there is none for this reader
	// ForecastFor says who gets it: "staff" (sign in to see one), "public",
	// or "" where none is made.
	ForecastFor string `json:"forecast_for"`
}

// forecastView is a run's quantiles, times in Unix seconds.
type forecastView struct {
	Model     string          `json:"model"`
	Issue     quantrac.Millis `json:"issue"`
	Old       bool            `json:"old"`
	Authority string          `json:"authority,omitempty"`
	Quantiles []float64       `json:"quantiles"`
	T         []float64       `json:"t"`
	V         [][]*float64    `json:"v"`
	Exceed    []exceedView    `json:"exceed"`
	Fallback  string          `json:"fallback,omitempty"`
}

// exceedView is how probable it is that a level is reached in the window.
type exceedView struct {
	Level int                    `json:"level"`
	Kind  quantrac.ThresholdKind `json:"kind"`
	Value float64                `json:"value"`
	PMax  float64                `json:"p_max"`
	Lead  int64                  `json:"lead_s"` // to the end of the window
}

// asked is a checked request for a station's series.
type asked struct {
	cell *cell
	who  quantrac.Principal
	days int
	key  string // "" for the chief series
	from quantrac.Millis
	to   quantrac.Millis
	asOf quantrac.Millis // 0 for now
}

func (p *Page) ask(r *http.Request) (*asked, error) {
	v, err := p.current(r.Context())
	if err != nil {
		return nil, err
	}
	a := &asked{who: quantrac.PrincipalFrom(r.Context()), days: 5, key: r.URL.Query().Get("series")}
	id := r.PathValue("id")
	if id == "" {
		id = r.URL.Query().Get("station")
	}
	i, ok := v.index[id]
	if !ok || len(id) > maxIDBytes || !sees(a.who, id) {
		return nil, quantrac.Errorf(quantrac.NotFound, "station %.128q is not known", id)
	}
	a.cell = v.cells[i]
	if len(a.key) > maxKeyBytes {
		return nil, quantrac.Errorf(quantrac.Invalid, "series: %d bytes, at most %d", len(a.key), maxKeyBytes)
	}
	if d := r.URL.Query().Get("days"); d != "" {
		n, err := strconv.Atoi(d)
		if err != nil || !slices.Contains(spans, n) {
			return nil, quantrac.Errorf(quantrac.Invalid, "days: %.20q is none of %v", d, spans)
		}
		a.days = n
	}
	if a.asOf, err = params.AsOf(r.URL.Query()); err != nil {
		return nil, err
	}
	if a.to = p.o.Clock.Now(); a.asOf != 0 {
		a.to = min(a.to, a.asOf) // the days that were the last ones then
	}
	a.from = a.to.Add(-time.Duration(a.days) * 24 * time.Hour)
	return a, nil
}

// chosen returns the readings to draw: the one asked for, or the chief one;
// of a trap all species.
func (a *asked) chosen() ([]readingView, error) {
	v := a.cell.view
	if a.key == "" {
		if v.Main < 0 {
			return nil, nil
		}
		a.key = v.Readings[v.Main].Key
	}
	for _, r := range v.Readings {
		if r.Key != a.key {
			continue
		}
		if r.Metric != metricCatch {
			return []readingView{r}, nil
		}
		var all []readingView
		for _, s := range v.Readings {
			if s.Metric == metricCatch && len(all) < maxSeries {
				all = append(all, s)
			}
		}
		return all, nil
	}
	return nil, quantrac.Errorf(quantrac.NotFound, "station %q has no series %.200q", v.ID, a.key)
}

func (p *Page) serveStation(w http.ResponseWriter, r *http.Request) {
	a, err := p.ask(r)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	d, err := p.detail(r.Context(), a)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	raw, err := json.Marshal(d)
	if err != nil {
		p.fail(w, r, err)
		return
	}
	h := w.Header()
	h.Set(nowHeader, strconv.FormatInt(int64(a.to), 10))
	h.Set("Vary", "Cookie, Authorization, Accept-Encoding")
	if a.who.Staff() {
		h.Set("Cache-Control", "private, no-store")
	} else {
		h.Set("Cache-Control", "no-cache")
	}
	writePacked(w, r, "application/json; charset=utf-8", &packed{raw: raw, gz: gzipped(raw)})
}

func (p *Page) detail(ctx context.Context, a *asked) (*detailView, error) {
	readings, err := a.chosen()
	if err != nil {
		return nil, err
	}
	d := &detailView{Station: a.cell.raw, Days: a.days, From: a.from, To: a.to, Series: []chartSeries{}, Levels: []levelView{}}
	if len(readings) == 0 {
		return d, nil
	}
	if readings[0].Levels != nil {
		d.Levels = readings[0].Levels
	}
	got, err := p.read(ctx, a, readings[0].Metric)
	if err != nil {
		return nil, err
	}
	for _, r := range readings {
		c := chartSeries{Key: r.Key, Metric: r.Metric, Sensor: r.Sensor, Species: r.Species, Name: r.Name, Unit: r.Unit, Decimals: r.Decimals}
		if r.Species != "" {
			c.Name = speciesOf(r.Species).name
		}
		s := Series{}
		if i := slices.IndexFunc(got, func(s Series) bool { return seriesKey(s.Labels) == r.Key }); i >= 0 {
			s = got[i]
		}
		c.chart(&s, time.Duration(r.Interval)*time.Second, a.from, a.to)
		d.Series = append(d.Series, c)
	}
	return d, p.addForecast(ctx, d, a, readings[0].Metric)
}

// read takes a property's series from the store, a few readers at a time.
func (p *Page) read(ctx context.Context, a *asked, metric string) ([]Series, error) {
	wait := time.NewTimer(waitForRead)
	defer wait.Stop()
	select {
	case p.reads <- struct{}{}:
		defer func() { <-p.reads }()
	case <-wait.C:
		return nil, quantrac.Errorf(quantrac.Busy, "too many charts are being read; try again in a moment")
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	ms := []*quantrac.Matcher{
		quantrac.Equals(quantrac.LabelMetric, metric),
		quantrac.Equals(quantrac.LabelStation, a.cell.view.ID),
		quantrac.Equals(quantrac.LabelModel, ""),
	}
	got, err := p.d.Readings.Range(ctx, ms, a.from, a.to.Add(quantrac.MaxAhead), a.asOf, quantrac.AllQualities)
	if err != nil {
		return nil, fmt.Errorf("page: series of station %q: %w", a.cell.view.ID, err)
	}
	return got, nil
}

// addForecast adds the newest run: for staff always, for others only where an
// issuing authority is recorded (Decree 38/2016: a public forecast names who
// issues it).
func (p *Page) addForecast(ctx context.Context, d *detailView, a *asked, metric string) error {
	if p.d.Forecasts == nil {
		return nil
	}
	runs, err := p.d.Forecasts.Current(ctx, a.cell.view.ID, metric)
	if err != nil {
		return fmt.Errorf("page: forecast of station %q: %w", a.cell.view.ID, err)
	}
	if len(runs) == 0 {
		return nil
	}
	d.ForecastFor = "staff"
	i := 0
	if !a.who.Staff() {
		if i = slices.IndexFunc(runs, func(f Forecast) bool { return f.Authority != "" }); i < 0 {
			return nil
		}
	}
	if runs[i].Authority != "" {
		d.ForecastFor = "public"
	}
	d.Forecast = p.forecastOf(&runs[i])
	return nil
}

func (p *Page) forecastOf(f *Forecast) *forecastView {
	v := &forecastView{
		Model: f.Model, Issue: f.Issue, Fallback: f.Fallback, Authority: f.Authority, Quantiles: f.Quantiles,
		Old: p.o.Clock.Now().Sub(f.Issue) > p.o.ForecastOld, T: make([]float64, len(f.Times)), Exceed: []exceedView{},
	}
	for i, t := range f.Times {
		v.T[i] = seconds(t)
	}
	for _, q := range f.Values {
		row := make([]*float64, len(q))
		for i := range q {
			if finite(q[i]) {
				row[i] = &q[i]
			}
		}
		v.V = append(v.V, row)
	}
	for _, e := range f.Exceed {
		if !finite(e.PMax) || !finite(e.Threshold.Value) {
			continue
		}
		x := exceedView{Level: e.Threshold.Level, Kind: e.Threshold.Kind, Value: e.Threshold.Value, PMax: e.PMax}
		if n := len(f.Times); n > 0 {
			x.Lead = int64(f.Times[n-1].Sub(f.Issue) / time.Second)
		}
		v.Exceed = append(v.Exceed, x)
	}
	return v
}
