package promql

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/tsdb"
	"quantrac/tsdb/tsdbtest"

	"github.com/prometheus/prometheus/model/value"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/util/annotations"
)

// nativeCase is data and a request of them.
type nativeCase struct {
	open      func(testing.TB, quantrac.Clock) tsdbtest.Engine
	changes   []change
	request   request
	most      int // samples in memory
	principal []string
}

func (c nativeCase) String() string {
	r := c.request
	out := fmt.Sprintf("%s\nfrom %d to %d by %s, lookback %s, as of %d, %d samples, stations %q\n", r.expr, r.start, r.end, r.step, r.lookback, r.asOf, c.most, c.principal)
	for _, change := range c.changes {
		out += change.String() + "\n"
	}
	return out
}

// load makes a store of the data.
func (c nativeCase) load(t testing.TB) *API {
	clock := quantrac.NewManualClock(testNow - 3*hour)
	e := c.open(t, clock)
	for _, change := range c.changes {
		clock.Set(change.at)
		var err error
		if change.batch == nil {
			err = e.Flush(context.Background())
			if change.merge && err == nil {
				err = e.Compact(context.Background())
			}
		} else {
			_, err = e.Append(context.Background(), change.batch)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return New(e, nativeRegistry(), Options{Clock: clock})
}

// tally counts cases by how they went.
type tally struct{ native, declined, answers, rounded int }

func (t *tally) add(o tally) {
	t.native, t.declined, t.answers, t.rounded = t.native+o.native, t.declined+o.declined, t.answers+o.answers, t.rounded+o.rounded
}

// difference evaluates both ways and says where they differ.
func (c nativeCase) difference(api *API) (string, tally) {
	ctx := context.Background()
	if c.principal != nil {
		ctx = quantrac.WithPrincipal(ctx, quantrac.Principal{Stations: c.principal})
	}
	v, expr, aerr := api.prepare(&c.request)
	if aerr != nil {
		return "", tally{} // neither is asked
	}
	v.maxSamples = c.most
	got, notes, err := v.native(ctx, expr, newGrid(c.request.start, c.request.end, c.request.step), &memory{})
	if errors.Is(err, errDeclined) {
		return "", tally{declined: 1}
	}
	res, done := c.byEngine(ctx, api)
	defer done()
	how := tally{native: 1}
	if s, _ := shapeOf(expr); err == nil && s.folds() && errors.As(res.Err, new(promql.ErrTooManySamples)) {
		return "", how // the engine holds the windows in memory
	}
	if err != nil || res.Err != nil {
		if fmt.Sprint(err) != fmt.Sprint(res.Err) {
			return fmt.Sprintf("native path: %v\nengine: %v", err, res.Err), how
		}
		return "", how
	}
	how.answers = min(1, len(got.list))
	a, b := spell(got.engineValue()), spell(res.Value)
	a, b = append(a, remarks(notes, c.request.expr)), append(b, remarks(res.Warnings, c.request.expr))
	if tolerance := c.tolerance(expr); tolerance == 0 {
		a, b = append(a, spelling{text: render(got)}), append(b, spelling{text: render(res.Value)})
	} else {
		how.rounded = 1
		near(a, b, tolerance)
	}
	if slices.EqualFunc(a, b, spelling.equal) {
		return "", how
	}
	return fmt.Sprintf("native path:\n%v\nengine:\n%v", a, b), how
}

// byEngine evaluates with an engine that may hold as much as the case says. What
// our querier reads for it is not limited: a native path does not hold that.
func (c nativeCase) byEngine(ctx context.Context, api *API) (*promql.Result, func()) {
	o := engineOptions(Options{MaxSamples: c.most, Timeout: time.Minute})
	v, _, _ := api.prepare(&c.request)
	v.maxSamples = 1 << 40
	engine := promql.NewEngine(o)
	limited := &API{engine: engine, watched: engine}
	q, res, aerr := limited.engineRun(ctx, v, &c.request)
	if aerr != nil {
		return &promql.Result{Err: aerr}, func() {}
	}
	return res, q.Close
}

// tolerance is by how much sums and averages over a day or more may differ, which
// blocks have summed up: for each sample by the rounding of the largest. A slope may
// differ by that of each product and sum of which the engine makes it: the times are
// a second apart at least. All else is the same to the last bit.
func (c nativeCase) tolerance(expr parser.Expr) float64 {
	s, _ := shapeOf(expr)
	roundings := 1.0
	switch {
	case s.function.timed:
		roundings = 32
	case s.width < day || s.function.fold != tsdb.FoldSum && s.function.fold != tsdb.FoldAvg || !s.folds():
		return 0
	}
	samples, largest := 0, 0.0
	for _, change := range c.changes {
		if change.batch == nil {
			continue
		}
		for _, r := range change.batch.Rows {
			samples++
			if v := math.Abs(r.Cells[0].Value); !math.IsInf(v, 0) && !math.IsNaN(v) {
				largest = max(largest, v)
			}
		}
	}
	return roundings * float64(samples) * largest * 0x1p-53
}

// spelling is a line of a report: text, or a value with its bits.
type spelling struct {
	text  string
	value float64
}

func (s spelling) String() string {
	return fmt.Sprintf("%s %v(%x)\n", s.text, s.value, math.Float64bits(s.value))
}

// equal takes one NaN for another, what is calculated with one may be either, but
// for a stale marker.
func (s spelling) equal(o spelling) bool {
	nan := s.value != s.value && o.value != o.value && value.IsStaleNaN(s.value) == value.IsStaleNaN(o.value)
	return s.text == o.text && (quantrac.SameValue(s.value, o.value) || nan)
}

// near makes values of a that are near those of b the same.
func near(a, b []spelling, tolerance float64) {
	for i := range min(len(a), len(b)) {
		if math.Abs(a[i].value-b[i].value) <= tolerance {
			a[i].value = b[i].value
		}
	}
}

// spell writes a result out.
func spell(v parser.Value) []spelling {
	out := []spelling{{text: string(v.Type())}}
	switch v := v.(type) {
	case promql.Vector:
		for _, s := range v {
			out = append(out, spelling{fmt.Sprint(s.Metric, " ", s.T), s.F})
		}
	case promql.Matrix:
		for _, s := range v {
			for _, p := range s.Floats {
				out = append(out, spelling{fmt.Sprint(s.Metric, " ", p.T), p.F})
			}
		}
	}
	return out
}

// render writes a result as JSON.
func render(v parser.Value) string {
	var out bytes.Buffer
	w := newWriter(context.Background(), &out, &buffers{})
	w.value(v)
	w.close()
	return out.String()
}

// remarks returns annotations sorted: they come in no order.
func remarks(notes annotations.Annotations, expr string) spelling {
	warnings, infos := notes.AsStrings(expr, 0, 0)
	all := append(warnings, infos...)
	slices.Sort(all)
	return spelling{text: strings.Join(all, "\n")}
}

// shrink leaves out changes, rows and times as long as the two still differ.
func (c *nativeCase) shrink(t testing.TB) {
	differs := func() bool {
		diff, _ := c.difference(c.load(t))
		return diff != ""
	}
	c.changes = leaveOut(c.changes, func(cs []change) bool { c.changes = cs; return differs() })
	for i := range c.changes {
		if b := c.changes[i].batch; b != nil {
			b.Rows = leaveOut(b.Rows, func(rows []quantrac.Row) bool { b.Rows = rows; return len(rows) > 0 && differs() })
		}
	}
	for step := quantrac.Millis(c.request.step.Milliseconds()); step > 0 && c.request.start+step <= c.request.end; {
		if c.request.start += step; !differs() {
			c.request.start -= step
			break
		}
	}
}

// leaveOut returns what is left of a list when as much as possible is left out,
// many at a time and then one by one, while fails says that it fails.
func leaveOut[T any](list []T, fails func([]T) bool) []T {
	for n := (len(list) + 1) / 2; n > 0; n /= 2 {
		for at := 0; at+n <= len(list); {
			shorter := slices.Delete(slices.Clone(list), at, at+n)
			if fails(shorter) {
				list = shorter
			} else {
				at += n
			}
		}
	}
	fails(list) // what was tried last may have been too short
	return list
}
