package alerting

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"quantrac"
	"quantrac/alerting/level"
)

// outlook is the state of the forecast rule for one station, property, kind of
// threshold and model.
type outlook struct {
	issue quantrac.Millis       // of the newest run taken
	below [level.Levels + 1]int // runs in a row that held a level improbable
	open  *saying               // newest revision of the open episode
	key   string
	kind  quantrac.ThresholdKind
}

// OnForecast takes what one run says about the thresholds of a station. It
// returns when the rule has judged it and anything it has to say is
// journalled; the caller may hand the same run over again, as after a restart:
// a run no newer than one taken changes nothing.
//
// The rule, for each kind of threshold and model: a level is reached when the
// run holds it probable (PMax) by Options.ForecastRaise; it is over when
// Options.ForecastRuns runs in a row hold it less probable than
// Options.ForecastLower, or when it is no longer in force. A run that fell
// back to persistence neither raises nor ends anything.
func (a *Alerting) OnForecast(ctx context.Context, run []quantrac.Exceedance) error {
	done := make(chan error, 1)
	select {
	case a.forecasts <- forecastInput{run, done}:
	case <-ctx.Done():
		return ctx.Err()
	case <-a.closed:
		return quantrac.Errorf(quantrac.Unavailable, "alerting is closed")
	}
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return ctx.Err()
	case <-a.closed:
		return quantrac.Errorf(quantrac.Unavailable, "alerting is closed")
	}
}

type forecastInput struct {
	run  []quantrac.Exceedance
	done chan error
}

func forecastKey(e *quantrac.Exceedance) string {
	return fmt.Sprintf("forecast %s %s %s %s", e.Threshold.Kind, e.Station, e.Property, e.Model)
}

func (g *judge) outlookOf(key string) *outlook {
	o := g.outlooks[key]
	if o == nil {
		o = &outlook{key: key}
		g.outlooks[key] = o
	}
	return o
}

// forecast judges a run.
func (g *judge) forecast(ctx context.Context, run []quantrac.Exceedance) error {
	groups := map[string][]*quantrac.Exceedance{}
	var keys []string
	for i := range run {
		e := &run[i]
		if err := checkExceedance(e); err != nil {
			return err
		}
		k := forecastKey(e)
		if groups[k] == nil {
			keys = append(keys, k)
		}
		groups[k] = append(groups[k], e)
	}
	slices.Sort(keys)
	for _, k := range keys {
		if err := g.outlook(ctx, g.outlookOf(k), groups[k]); err != nil {
			return err
		}
	}
	return g.flush(ctx)
}

func checkExceedance(e *quantrac.Exceedance) error {
	n := len(e.Leads)
	switch {
	case e.Threshold.Level < 1 || e.Threshold.Level > level.Levels:
		return quantrac.Errorf(quantrac.Invalid, "forecast of %s %s: level %d is not 1 to %d", e.Station, e.Property, e.Threshold.Level, level.Levels)
	case n == 0 || len(e.Prob) != n || len(e.Median) != n:
		return quantrac.Errorf(quantrac.Invalid, "forecast of %s %s: %d leads, %d probabilities, %d medians", e.Station, e.Property, n, len(e.Prob), len(e.Median))
	case !(e.PMax >= 0 && e.PMax <= 1):
		return quantrac.Errorf(quantrac.Invalid, "forecast of %s %s: probability %g", e.Station, e.Property, e.PMax)
	}
	return nil
}

// outlook judges what a run says about the levels of one kind.
func (g *judge) outlook(ctx context.Context, o *outlook, es []*quantrac.Exceedance) error {
	if es[0].Issue <= o.issue || es[0].Fallback != "" {
		return nil
	}
	o.issue, o.kind = es[0].Issue, es[0].Threshold.Kind
	by := [level.Levels + 1]*quantrac.Exceedance{}
	for _, e := range es {
		by[e.Threshold.Level] = e
	}
	told := 0
	if o.open != nil {
		told = o.open.Warning.Level
	}
	now := 0
	for k := 1; k <= level.Levels; k++ {
		e := by[k]
		switch {
		case e == nil:
			o.below[k] = g.a.o.ForecastRuns
		case e.PMax < g.a.o.ForecastLower:
			o.below[k]++
		default:
			o.below[k] = 0
		}
		if e != nil && e.PMax >= g.a.o.ForecastRaise || k <= told && o.below[k] < g.a.o.ForecastRuns {
			now = k
		}
	}
	due := o.open != nil && g.a.o.Clock.Now() >= g.renewal(&o.open.Warning)
	if now == told && !due || now == 0 && told == 0 {
		return nil
	}
	return g.foretell(ctx, o, by, told, now)
}

// foretell says a change of the forecast rule.
func (g *judge) foretell(ctx context.Context, o *outlook, by [level.Levels + 1]*quantrac.Exceedance, told, now int) error {
	e := by[max(now, 1)]
	for k := level.Levels; e == nil && k > 0; k-- {
		e = by[k]
	}
	if e == nil {
		return nil
	}
	at := peakOf(e)
	c := cause{0, e.Issue}
	sc, unit := g.scene(e.Station, e.Property, e.Issue)
	w := quantrac.Warning{
		ID: episodeID(e.Station, o.key, e.Issue, c), State: quantrac.WarningUpdated, Rule: quantrac.RuleForecast,
		Audience: quantrac.AudienceStaff, Series: quantrac.NewLabels(quantrac.LabelMetric, e.Property, quantrac.LabelStation, e.Station, quantrac.LabelModel, e.Model).String(),
		Level: now, Peak: now, Kind: o.kind, Unit: unit, Value: e.Median[at], Threshold: e.Threshold.Value,
		ValidTime: e.Issue.Add(e.Leads[at]), Onset: e.Issue.Add(e.Leads[at]),
		Expires: max(e.Issue.Add(e.Leads[len(e.Leads)-1]), g.a.o.Clock.Now()),
	}
	if w.Unit == "" {
		w.Unit = e.Threshold.Unit
	}
	switch {
	case o.open == nil:
		w.State = quantrac.WarningIssued
	case now == 0:
		w.State = quantrac.WarningClear
	}
	if o.open != nil {
		old := &o.open.Warning
		w.ID, w.Onset, w.Peak = old.ID, old.Onset, max(old.Peak, now)
	}
	if w.Authority = g.a.o.Authority(e.Station, e.Issue); w.Authority != "" {
		w.Audience = quantrac.AudiencePublic
	}
	if math.IsNaN(w.Value) || math.IsInf(w.Value, 0) {
		w.Value = e.Threshold.Value
	}
	sc.from, sc.run = told, e
	for _, x := range by {
		if x != nil {
			sc.levels = append(sc.levels, x.Threshold)
		}
	}
	said, err := g.say(ctx, &saying{Warning: w, Key: o.key, Cause: c, Issue: e.Issue}, o.open, sc)
	if err != nil {
		return err
	}
	if o.open = said; now == 0 {
		o.open = nil
	}
	return nil
}

// peakOf returns the index of the lead at which the level is most probable,
// the first of equals.
func peakOf(e *quantrac.Exceedance) int {
	best := 0
	for i, p := range e.Prob {
		if p > e.Prob[best] {
			best = i
		}
	}
	return best
}

// forecast writes a revision of the forecast rule.
func (s *scene) forecast() (head, body quantrac.Text) {
	w, e := s.w, s.run
	at, p, now := s.where(), s.what(), s.label(w.Level)
	window := span(e.Leads[len(e.Leads)-1])
	if w.State == quantrac.WarningClear {
		head = text("Trạm %s: dự báo %s không còn khả năng cao đạt %s", "Station %s: %s is no longer likely to reach %s", at, p, s.label(s.from))
		body = text("Theo dự báo lúc %s, xác suất đạt %s trong %s tới là %s.", "By the forecast of %s the probability of reaching %s within %s is %s.",
			when(e.Issue), s.label(e.Threshold.Level), window, percent(e.PMax))
	} else {
		head = text("Dự báo trạm %s: %s có khả năng đạt %s trong %s tới (%s)", "Forecast for station %s: %s likely to reach %s within %s (%s)", at, p, now, window, percent(e.PMax))
		body = text("Theo dự báo lúc %s (mô hình %s), xác suất %s đạt hoặc vượt %s (%s) trong %s tới là %s; khả năng cao nhất vào khoảng %s, trung vị %s.",
			"By the forecast of %s (model %s) the probability that the %s reaches %s (%s) within %s is %s; it is highest about %s, with a median of %s.",
			when(e.Issue), e.Model, p, now, s.value(e.Threshold.Value), window, percent(e.PMax), when(w.ValidTime), s.value(w.Value))
	}
	if w.Authority != "" {
		body = join(" ", body, text("Cơ quan ban hành: %s.", "Issuing authority: %s.", w.Authority))
	} else {
		body = join(" ", body, text("Nội bộ, để tham khảo; không phải bản tin dự báo chính thức.", "Internal, for reference; not an official forecast."))
	}
	return head, join(" ", body, s.basis())
}

func percent(p float64) quantrac.Text {
	n := fmt.Sprintf("%.0f%%", 100*p)
	return quantrac.Text{Vi: strings.Replace(n, ".", ",", 1), En: n}
}
