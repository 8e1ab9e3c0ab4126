package tsdbtest

import (
	"context"
	"fmt"
	"strings"
	"time"

	"quantrac"
	"quantrac/tsdb"
)

// read answers the directives that change nothing.
func (r *runner) read(ctx context.Context, a args) (string, error) {
	ms, err := parseSelector(a.Input)
	if err != nil {
		return "", err
	}
	from, to, err := a.span()
	if err != nil {
		return "", err
	}
	switch a.Cmd {
	case "select", "day":
		return r.selectSeries(ctx, a, ms, from, to)
	case "fold":
		return r.fold(ctx, a, ms)
	case "instant":
		return r.instant(ctx, a, ms)
	case "latest":
		return r.latest(ctx, ms)
	case "revisions":
		return r.revisions(ctx, a, ms)
	case "series":
		all, err := r.engine.Series(ctx, ms, from, to)
		return lines(all), err
	case "names":
		all, err := r.engine.LabelNames(ctx, ms, from, to)
		return lines(all), err
	case "values":
		limit, err := a.number("limit")
		if err != nil {
			return "", err
		}
		all, err := r.engine.LabelValues(ctx, a.text("name"), ms, from, to, limit)
		return lines(all), err
	}
	return "", fmt.Errorf("directive %q is unknown", a.Cmd)
}

func lines[T any](all []T) string {
	var b strings.Builder
	for _, x := range all {
		fmt.Fprintf(&b, "%v\n", x)
	}
	if b.Len() == 0 {
		return "none\n"
	}
	return b.String()
}

func (r *runner) query(a args, ms []*quantrac.Matcher) (tsdb.Query, error) {
	q := tsdb.Query{Matchers: ms, DeviceOnly: a.HasArg("device"), Reuse: a.HasArg("reuse")}
	var err error
	if q.From, q.To, err = a.span(); err != nil {
		return q, err
	}
	if a.HasArg("quality") {
		if q.Qualities, err = quantrac.ParseQualitySet(a.text("quality")); err != nil {
			return q, err
		}
	}
	if q.AsOf, err = a.millis("asof", 0); err != nil {
		return q, err
	}
	commit, err := a.number("commit")
	if err != nil {
		return q, err
	}
	if commit != 0 {
		q.AsOfCommit = r.endOfSecond(uint64(commit))
	}
	if q.MaxSeries, err = a.number("max-series"); err != nil {
		return q, err
	}
	q.MaxSamples, err = a.number("max-samples")
	return q, err
}

func (r *runner) selectSeries(ctx context.Context, a args, ms []*quantrac.Matcher, from, to quantrac.Millis) (string, error) {
	q, err := r.query(a, ms)
	if err != nil {
		return "", err
	}
	q.From, q.To = from, to
	if a.Cmd == "day" {
		at, err := a.millis("at", 0)
		if err != nil {
			return "", err
		}
		q.From, q.To = at.Day()
		q.To-- // Query is inclusive at both ends
	}
	joinAt, err := a.millis("join", 0)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	for s, err := range r.engine.Select(ctx, q) {
		if err != nil {
			return "", err
		}
		if a.HasArg("join") {
			s.Labels = r.join(s.Labels, joinAt)
		}
		fmt.Fprintf(&b, "%v\n", s.Labels)
		if a.HasArg("count") {
			last := len(s.Times) - 1
			fmt.Fprintf(&b, "  %d from %s %s to %s %s\n", len(s.Times), formatTime(s.Times[0]), formatValue(s.Values[0]), formatTime(s.Times[last]), formatValue(s.Values[last]))
			continue
		}
		for i, t := range s.Times {
			fmt.Fprintf(&b, "  %s %s/%d\n", formatTime(t), formatValue(s.Values[i]), s.Qualities[i].Code())
		}
	}
	if b.Len() == 0 {
		return "none\n", nil
	}
	return b.String(), nil
}

// folds are the ops by name.
var folds = map[string]tsdb.FoldOp{
	"min": tsdb.FoldMin, "max": tsdb.FoldMax, "sum": tsdb.FoldSum, "count": tsdb.FoldCount,
	"avg": tsdb.FoldAvg, "first": tsdb.FoldFirst, "last": tsdb.FoldLast,
}

func (r *runner) fold(ctx context.Context, a args, ms []*quantrac.Matcher) (string, error) {
	q, err := r.query(a, ms)
	if err != nil {
		return "", err
	}
	var w tsdb.Windows
	if w.First, err = a.millis("first", 0); err != nil {
		return "", err
	}
	for name, into := range map[string]*quantrac.Millis{"step": &w.Step, "width": &w.Width} {
		d, err := time.ParseDuration(a.text(name))
		if err != nil {
			return "", err
		}
		*into = quantrac.Millis(d.Milliseconds())
	}
	if w.Count, err = a.number("n"); err != nil {
		return "", err
	}
	op, ok := folds[a.text("op")]
	if !ok {
		return "", fmt.Errorf("no op %q", a.text("op"))
	}
	var b strings.Builder
	for f, err := range r.engine.Fold(ctx, q, w, op) {
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&b, "%v\n", f.Labels)
		for k, n := range f.Counts {
			if n > 0 {
				fmt.Fprintf(&b, "  %s %s of %d\n", formatTime(w.First+quantrac.Millis(k)*w.Step), formatValue(f.Values[k]), n)
			}
		}
	}
	if b.Len() == 0 {
		return "none\n", nil
	}
	return b.String(), nil
}

// instant is what an instant query sees: of each series the newest usable
// value not after the time, until StaleAfter of its expected interval.
func (r *runner) instant(ctx context.Context, a args, ms []*quantrac.Matcher) (string, error) {
	at, err := a.millis("at", 0)
	if err != nil {
		return "", err
	}
	var interval time.Duration
	if a.HasArg("interval") {
		if interval, err = time.ParseDuration(a.text("interval")); err != nil {
			return "", err
		}
	}
	q, err := r.query(a, ms)
	if err != nil {
		return "", err
	}
	q.From, q.To = at.Add(-quantrac.StaleAfter(interval))+1, at
	var b strings.Builder
	for s, err := range r.engine.Select(ctx, q) {
		if err != nil {
			return "", err
		}
		n := len(s.Times) - 1
		fmt.Fprintf(&b, "%v %s %s/%d\n", s.Labels, formatTime(s.Times[n]), formatValue(s.Values[n]), s.Qualities[n].Code())
	}
	if b.Len() == 0 {
		return "none\n", nil
	}
	return b.String(), nil
}

func (r *runner) latest(ctx context.Context, ms []*quantrac.Matcher) (string, error) {
	all, err := r.engine.Latest(ctx, ms)
	var b strings.Builder
	for _, l := range all {
		fmt.Fprintf(&b, "%v %s %s/%d commit %d at %s", l.Labels, formatTime(l.Time), formatValue(l.Value), l.Quality.Code(), r.first(l.Commit), formatTime(second(l.Commit.Time)))
		if l.Received != 0 {
			fmt.Fprintf(&b, " received %s", formatTime(l.Received))
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return "none\n", err
	}
	return b.String(), err
}

func (r *runner) revisions(ctx context.Context, a args, ms []*quantrac.Matcher) (string, error) {
	at, err := a.millis("at", 0)
	if err != nil {
		return "", err
	}
	var pairs []string
	for _, m := range ms {
		pairs = append(pairs, m.Name, m.Value)
	}
	revs, err := r.engine.Revisions(ctx, quantrac.NewLabels(pairs...), at)
	var b strings.Builder
	for _, v := range revs {
		fmt.Fprintf(&b, "commit %d at %s %v %s/%d", r.first(v.Commit), formatTime(second(v.Commit.Time)), v.Layer, formatValue(v.Value), v.Quality.Code())
		for _, f := range []struct{ name, value string }{{"author", v.Author}, {"reason", v.Reason}, {"correction", v.Correction}} {
			if f.value != "" {
				fmt.Fprintf(&b, " %s %s", f.name, f.value)
			}
		}
		if v.Received != 0 {
			fmt.Fprintf(&b, " received %s", formatTime(v.Received))
		}
		if v.Revoked != 0 {
			fmt.Fprintf(&b, " revoked by %d", v.Revoked)
		}
		b.WriteByte('\n')
	}
	if b.Len() == 0 {
		return "none\n", err
	}
	return b.String(), err
}
