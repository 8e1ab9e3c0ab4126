package alerting

import (
	"cmp"
	"context"
	"fmt"
	"math"
	"slices"
	"strings"

	"quantrac"
	"quantrac/alerting/level"
)

// foretell says a change of the forecast rule.
func (g *judge) foretell(ctx context.Context, c quantrac.Commit, o *foreseen, run *quantrac.Outlook, by *byLevel, now int) error {
	e := by.quoted(now)
	from := cause{c.Number, run.Issue}
	sc, unit := g.scene(run.Station, run.Property, run.Issue)
	w := quotation(run, e)
	w.ID, w.State = episodeID(run.Station, o.key, run.Issue, from), quantrac.WarningIssued
	w.Level, w.Peak, w.Kind, w.Unit = now, now, o.kind, cmp.Or(unit, e.Threshold.Unit)
	if w.Authority = g.a.o.Authority(run.Station, run.Issue); w.Authority != "" {
		w.Audience = quantrac.AudiencePublic
	}
	if o.open != nil {
		continues(&w, &o.open.Warning)
		sc.again = o.open.Issue == run.Issue
	}
	sc.from, sc.run, sc.says, sc.levels = o.told(), run, e, by.thresholds()
	return g.sayForeseen(ctx, o, &saying{Warning: w, Key: o.key, Cause: from, Issue: run.Issue, Prob: e.PMax}, sc)
}

// quoted returns what a warning of a level quotes; of none, the lowest in
// force.
func (by *byLevel) quoted(lvl int) *quantrac.Exceedance {
	for k := max(lvl, 1); k <= level.Levels; k++ {
		if by[k] != nil {
			return by[k]
		}
	}
	return nil
}

func (by *byLevel) thresholds() []quantrac.Threshold {
	var out []quantrac.Threshold
	for _, e := range by {
		if e != nil {
			out = append(out, e.Threshold)
		}
	}
	return out
}

// quotation begins a warning with what the run says of a level: the median
// where it is most probable.
func quotation(run *quantrac.Outlook, e *quantrac.Exceedance) quantrac.Warning {
	at := peakOf(e)
	labels := quantrac.NewLabels(quantrac.LabelMetric, run.Property, quantrac.LabelStation, run.Station, quantrac.LabelModel, run.Model)
	if run.Sensor != "" {
		labels = labels.With(quantrac.LabelSensor, run.Sensor)
	}
	w := quantrac.Warning{
		Rule: quantrac.RuleForecast, Audience: quantrac.AudienceStaff, Series: labels.String(), Run: run.Run,
		Value: run.Median[at], Threshold: e.Threshold.Value,
		ValidTime: run.Issue.Add(run.Leads[at]), Onset: run.Issue.Add(run.Leads[at]), Expires: run.Issue.Add(run.Leads[len(run.Leads)-1]),
	}
	if math.IsNaN(w.Value) || math.IsInf(w.Value, 0) {
		w.Value = w.Threshold
	}
	return w
}

// continues makes a revision the next of an episode. Whoever heard of it hears
// its end: what was public stays so.
func continues(w, old *quantrac.Warning) {
	w.ID, w.Onset, w.Peak, w.State = old.ID, old.Onset, max(old.Peak, w.Level), quantrac.WarningUpdated
	if w.Level == 0 {
		w.State = quantrac.WarningClear
	}
	if old.Audience == quantrac.AudiencePublic && w.Authority == "" {
		w.Audience, w.Authority = old.Audience, old.Authority
	}
}

// unforesee takes back the warning of a kind of threshold of which none is in
// force any more.
func (g *judge) unforesee(ctx context.Context, o *foreseen, run *quantrac.Outlook, from cause) error {
	w := o.open.Warning
	sc, _ := g.scene(w.Station, w.Property, run.Issue)
	sc.from, sc.run, sc.why = w.Level, run, byWithdrawal
	w.State, w.Level, w.Run = quantrac.WarningCancel, 0, run.Run
	return g.sayForeseen(ctx, o, &saying{Warning: w, Key: o.key, Cause: from, Issue: run.Issue}, sc)
}

// reforesee says again that a warning stands although no run has come that could
// renew it, as of a silent gauge: missing data end no warning.
func (g *judge) reforesee(ctx context.Context, o *foreseen) error {
	now := g.a.o.Clock.Now()
	run := &quantrac.Outlook{Issue: o.open.Issue, Run: o.open.Warning.Run}
	w := o.open.Warning
	if !g.inForce(&w, now) {
		return g.unforesee(ctx, o, run, cause{})
	}
	sc, _ := g.scene(w.Station, w.Property, now)
	sc.from, sc.run, sc.why = w.Level, run, byTime
	w.State, w.Expires = quantrac.WarningUpdated, now.Add(g.a.o.Validity)
	return g.sayForeseen(ctx, o, &saying{Warning: w, Key: o.key, Issue: o.open.Issue, Prob: o.open.Prob}, sc)
}

// inForce says whether a threshold of a warning's kind is in force.
func (g *judge) inForce(w *quantrac.Warning, at quantrac.Millis) bool {
	set := g.rules.get(w.Station, w.Property)
	return set != nil && slices.ContainsFunc(set.Thresholds, func(t quantrac.Threshold) bool { return t.Kind == w.Kind && t.InForce(at) })
}

func (g *judge) sayForeseen(ctx context.Context, o *foreseen, s *saying, sc *scene) error {
	said, err := g.say(ctx, s, o.open, sc)
	if err != nil {
		return err
	}
	if o.open = said; said.Warning.Ended() {
		o.open = nil
	}
	g.schedule(said)
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
	switch {
	case s.w.State == quantrac.WarningCancel:
		head = text("%s: hủy cảnh báo dự báo mức %s, ngưỡng không còn hiệu lực", "%s: forecast warning of %s cancelled, the threshold is no longer in force", s.head(), s.label(s.from))
		body = text("Không còn ngưỡng nào loại này có hiệu lực.", "No threshold of this kind is in force any more.")
	case s.w.State == quantrac.WarningClear:
		head, body = s.unlikely()
	case s.why == byTime:
		head = text("%s: giữ nguyên cảnh báo dự báo mức %s, chưa có dự báo mới", "%s: forecast warning of %s stands, there is no newer forecast", s.head(), s.label(s.w.Level))
		body = text("Dự báo dùng được gần nhất là dự báo lúc %s (lần chạy %d).", "The newest usable forecast is that of %s (run %d).", when(s.run.Issue), s.run.Run)
	default:
		head, body = s.likely()
	}
	if s.again {
		body = join(" ", body, text("Dự báo được tính lại cho cùng thời điểm với số liệu nhận thêm.", "The forecast was made again for the same time with readings received since."))
	}
	office := text("Nội bộ, để tham khảo; không phải bản tin dự báo chính thức.", "Internal, for reference; not an official forecast.")
	if s.w.Authority != "" {
		office = text("Cơ quan ban hành: %s.", "Issuing authority: %s.", s.w.Authority)
	}
	return head, join(" ", body, office, s.basis())
}

// likely says that a level is to be expected.
func (s *scene) likely() (head, body quantrac.Text) {
	w, p, now, window := s.w, s.what(), s.label(s.w.Level), s.window()
	head = text("Dự báo %s: %s có khả năng đạt %s trong %s tới (%s)", "Forecast for %s: %s likely to reach %s within %s (%s)", s.place(), p, now, window, percent(s.says.PMax))
	body = text("Theo dự báo lúc %s (mô hình %s, lần chạy %d), xác suất %s đạt hoặc vượt %s (%s) trong %s tới là %s; khả năng cao nhất vào khoảng %s, trung vị %s.",
		"By the forecast of %s (model %s, run %d) the probability that the %s reaches %s (%s) within %s is %s; it is highest about %s, with a median of %s.",
		when(s.run.Issue), s.run.Model, s.run.Run, p, now, s.value(s.says.Threshold.Value), window, percent(s.says.PMax), when(w.ValidTime), s.value(w.Value))
	return head, body
}

// unlikely says that no level is to be expected any more.
func (s *scene) unlikely() (head, body quantrac.Text) {
	head = text("%s: dự báo %s không còn khả năng cao đạt %s", "%s: %s is no longer likely to reach %s", s.head(), s.what(), s.label(s.from))
	body = text("Theo dự báo lúc %s (mô hình %s, lần chạy %d), xác suất đạt %s trong %s tới là %s.", "By the forecast of %s (model %s, run %d) the probability of reaching %s within %s is %s.",
		when(s.run.Issue), s.run.Model, s.run.Run, s.label(s.says.Threshold.Level), s.window(), percent(s.says.PMax))
	return head, body
}

// window says how far the run looks ahead.
func (s *scene) window() quantrac.Text { return span(s.run.Leads[len(s.run.Leads)-1]) }

func percent(p float64) quantrac.Text {
	n := fmt.Sprintf("%.0f%%", 100*p)
	return quantrac.Text{Vi: strings.Replace(n, ".", ",", 1), En: n}
}
