package promql

import (
	"context"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"quantrac"
	"quantrac/tsdb"
	"quantrac/tsdb/tsdbtest"
)

// TestDifferential evaluates expressions over random data and compares with the
// same computed in a few plain lines from what the oracle holds: which sample is
// seen when, ranges, offsets, grouping by metadata, qualities, layers, knowledge
// time. QUANTRAC_SEED runs one seed again.
func TestDifferential(t *testing.T) {
	seeds := []uint64{1, 2, 3, 4, 5, 6, 7, 8}
	if s, err := strconv.ParseUint(os.Getenv("QUANTRAC_SEED"), 10, 64); err == nil {
		seeds = []uint64{s}
	} else if !testing.Short() {
		seeds = append(seeds, uint64(time.Now().UnixNano()))
	}
	for name, open := range testStores {
		for _, seed := range seeds {
			t.Run(fmt.Sprintf("%s/%d", name, seed), func(t *testing.T) {
				w := newWorld(t, seed, open)
				for range 60 {
					w.check(t)
				}
			})
		}
	}
}

// world is random data in a store and in the oracle.
type world struct {
	rnd    *rand.Rand
	api    *API
	oracle tsdbtest.Engine
	reg    *testRegistry
	from   quantrac.Millis
	asOfs  []quantrac.Millis // times between commits
}

var worldMetrics = []string{"fast", "slow", "loose"} // intervals: 5 minutes, 2 hours, none

func newWorld(t *testing.T, seed uint64, open func(testing.TB, quantrac.Clock) tsdbtest.Engine) *world {
	rnd := rand.New(rand.NewPCG(seed, 7))
	clock := quantrac.NewManualClock(testNow - 2*day)
	w := &world{
		rnd: rnd, oracle: openOracle(t, clock), from: testNow - day,
		reg: &testRegistry{stations: map[string][]entry{}, intervals: map[string]time.Duration{"fast": 5 * time.Minute, "slow": 2 * time.Hour}},
	}
	store := open(t, clock)
	for i := range 5 {
		w.reg.stations[fmt.Sprint("s", i)] = []entry{
			{quantrac.MinMillis, quantrac.NewLabels("commune", fmt.Sprint("c", i%2), "river", fmt.Sprint("r", i%3))},
			{testNow - 6*hour, quantrac.NewLabels("commune", fmt.Sprint("c", i%3))},
		}
	}
	w.api = New(store, w.reg, Options{Clock: clock})
	clock.Set(testNow)
	for range 40 {
		clock.Advance(time.Duration(1+rnd.IntN(5)) * time.Second)
		w.asOfs = append(w.asOfs, clock.Now()-500)
		b := w.batch()
		r1, err1 := store.Append(context.Background(), b)
		r2, err2 := w.oracle.Append(context.Background(), b)
		if fmt.Sprint(err1) != fmt.Sprint(err2) || r1 != r2 {
			t.Fatalf("append: %+v %v, oracle %+v %v", r1, err1, r2, err2)
		}
		if rnd.IntN(10) == 0 {
			if err := store.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
	return w
}

// batch makes readings with gaps, or a correction, or a forecast.
func (w *world) batch() *quantrac.Batch {
	b := &quantrac.Batch{}
	station := fmt.Sprint("s", w.rnd.IntN(7)) // two are not registered
	group := quantrac.NewLabels("station", station)
	metric, step := worldMetrics[w.rnd.IntN(3)], []quantrac.Millis{minute, 5 * minute, 2 * hour}[w.rnd.IntN(3)]
	switch w.rnd.IntN(8) {
	case 0:
		b.Kind, b.Author, b.Reason = quantrac.Corrections, "an", "test"
	case 1:
		b.Kind, b.Model = quantrac.Forecasts, "arx"
		b.Issue = testNow - 3*hour
		group, metric, step = group.With("model", "arx"), "slow", hour
	case 2:
		group = nil
	}
	at := w.from + quantrac.Millis(w.rnd.Int64N(int64(day/minute)))*minute // whole minutes, to meet the borders
	for range 1 + w.rnd.IntN(40) {
		c := quantrac.Cell{Property: metric, Value: float64(w.rnd.IntN(1000)) / 8}
		switch w.rnd.IntN(12) {
		case 0:
			c.Quality = quantrac.Fail
		case 1:
			c.Quality = quantrac.Suspect
		case 2:
			if b.Kind == quantrac.Corrections {
				c.Quality = quantrac.Missing
			}
		}
		// Only models write ahead; the table of last values relies on it.
		if w.rnd.IntN(4) > 0 && (b.Kind != quantrac.Corrections || at <= testNow) {
			b.Rows = append(b.Rows, quantrac.Row{Group: group, Time: at, Cells: []quantrac.Cell{c}})
		}
		at += step
		if w.rnd.IntN(10) == 0 {
			at += quantrac.Millis(w.rnd.Int64N(240)) * minute
		}
	}
	if len(b.Rows) == 0 {
		return w.batch()
	}
	return b
}

// ask is a random selector with what it means.
type ask struct {
	text           string
	query          tsdb.Query
	meta           func(quantrac.Labels) bool
	offset, window quantrac.Millis // window 0: instant
	function, by   string
	registryAt     quantrac.Millis
}

func (w *world) ask(end quantrac.Millis) ask {
	a := ask{meta: func(quantrac.Labels) bool { return true }, registryAt: end}
	a.query.To = quantrac.MaxMillis
	a.query.From = quantrac.MinMillis
	metric := worldMetrics[w.rnd.IntN(3)]
	name, err := quantrac.NewMatcher(quantrac.MatchRegexp, quantrac.LabelMetric, metric)
	if err != nil {
		panic(err)
	}
	ms := ""
	if w.rnd.IntN(4) == 0 {
		name, metric, ms = &quantrac.Matcher{Kind: quantrac.MatchNotEqual, Name: quantrac.LabelMetric}, "", `,__name__=~".+"`
	}
	a.query.Matchers = []*quantrac.Matcher{name}
	add := func(format string, args ...any) { ms += "," + fmt.Sprintf(format, args...) }
	switch w.rnd.IntN(6) {
	case 0:
		a.meta = func(m quantrac.Labels) bool { return m.Get("commune") == "c1" }
		add(`commune="c1"`)
	case 1:
		a.meta = func(m quantrac.Labels) bool { return m.Get("river") != "r1" }
		add(`river!="r1"`)
	case 2:
		a.query.Matchers = append(a.query.Matchers, quantrac.Equals("station", "s2"))
		add(`station="s2"`)
	}
	switch w.rnd.IntN(8) {
	case 0:
		a.query.Qualities = 1<<quantrac.Fail | 1<<quantrac.NotEvaluated
		add(`__quality__="2,4"`)
	case 1:
		a.query.DeviceOnly = true
		add(`__revision__="device"`)
	case 2, 3:
		a.query.AsOf = w.asOfs[w.rnd.IntN(len(w.asOfs))]
		add(`__asof__="%d.%03d"`, a.query.AsOf/1000, a.query.AsOf%1000)
	case 4:
		a.registryAt = testNow - 12*hour
		add(`__registry_at__="%d"`, a.registryAt/1000)
	}
	a.text = metric
	if ms != "" {
		a.text += "{" + ms[1:] + "}"
	}
	if w.rnd.IntN(3) == 0 {
		a.function = []string{"sum_over_time", "count_over_time", "max_over_time", "min_over_time", "last_over_time"}[w.rnd.IntN(5)]
		a.window = quantrac.Millis(1+w.rnd.IntN(300)) * minute
		a.text = fmt.Sprintf("%s(%s[%dms]", a.function, a.text, a.window)
	}
	if w.rnd.IntN(3) == 0 {
		a.offset = quantrac.Millis(w.rnd.IntN(600)-200) * minute
		a.text += fmt.Sprintf(" offset %dms", a.offset)
	}
	if a.window != 0 {
		a.text += ")"
	}
	if w.rnd.IntN(2) == 0 {
		a.by = []string{"commune", "river", "station"}[w.rnd.IntN(3)]
		a.text = fmt.Sprintf("max by (%s) (%s)", a.by, a.text)
	}
	return a
}

// value is what a series shows at t.
func (w *world) value(s *tsdb.Series, a ask, t quantrac.Millis) (float64, bool) {
	t -= a.offset
	reach := a.window
	if reach == 0 {
		reach = quantrac.Millis(quantrac.StaleAfter(w.reg.Interval(s.Labels)).Milliseconds())
	}
	var in []float64
	for i, at := range s.Times {
		if at > t-reach && at <= t {
			in = append(in, s.Values[i])
		}
	}
	if len(in) == 0 {
		return 0, false
	}
	sum := 0.0
	for _, v := range in {
		sum += v // multiples of 1/8, so that the sum is exact in any order
	}
	switch a.function {
	case "sum_over_time":
		return sum, true
	case "count_over_time":
		return float64(len(in)), true
	case "max_over_time":
		return slices.Max(in), true
	case "min_over_time":
		return slices.Min(in), true
	}
	return in[len(in)-1], true
}

// expected is the answer at t, by the text of the result's labels.
func (w *world) expected(t *testing.T, a ask, at quantrac.Millis) map[string]float64 {
	out := map[string]float64{}
	for s, err := range w.oracle.Select(context.Background(), a.query) {
		if err != nil {
			t.Fatal(err)
		}
		meta := w.reg.Labels(s.Labels.Station(), a.registryAt)
		v, ok := w.value(s, a, at)
		if !ok || !a.meta(meta) {
			continue
		}
		ls := s.Labels
		for _, l := range meta {
			ls = ls.With(l.Name, l.Value)
		}
		if a.function != "" && a.function != "last_over_time" && a.by == "" {
			ls = ls.Without(quantrac.LabelMetric)
			if _, ok := out[ls.String()]; ok {
				return nil // two metrics become one: an error of the expression
			}
		}
		if a.by != "" {
			ls = quantrac.NewLabels(a.by, ls.Get(a.by))
		}
		if have, ok := out[ls.String()]; !ok || v > have {
			out[ls.String()] = v
		}
	}
	return out
}

func (w *world) check(t *testing.T) {
	end := w.from + quantrac.Millis(w.rnd.Int64N(int64((day+4*hour)/minute)))*minute
	a := w.ask(end)
	ctx := context.Background()
	samples, err := w.api.Instant(ctx, a.text, end)
	want := w.expected(t, a, end)
	if want == nil || quantrac.KindOf(err) == quantrac.Invalid {
		return // an overlap of names, met at this or at another step
	}
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]float64{}
	for _, s := range samples {
		got[s.Labels.String()] = s.Value
	}
	compare(t, a.text, end, got, want)

	step := quantrac.Millis(1+w.rnd.IntN(90)) * minute
	start := end - step*quantrac.Millis(w.rnd.IntN(30))
	series, err := w.api.Range(ctx, a.text, start, end, time.Duration(step)*time.Millisecond)
	if quantrac.KindOf(err) == quantrac.Invalid {
		return
	}
	if err != nil {
		t.Fatal(err)
	}
	for at := start; at <= end; at += step {
		got := map[string]float64{}
		for _, s := range series {
			if i, ok := slices.BinarySearch(s.Times, at); ok {
				got[s.Labels.String()] = s.Values[i]
			}
		}
		compare(t, a.text, at, got, w.expected(t, a, at))
	}
}

func compare(t *testing.T, text string, at quantrac.Millis, got, want map[string]float64) {
	t.Helper()
	keys := map[string]bool{}
	for k := range got {
		keys[k] = true
	}
	for k := range want {
		keys[k] = true
	}
	for k := range keys {
		g, gok := got[k]
		v, wok := want[k]
		if gok != wok || math.Float64bits(g) != math.Float64bits(v) {
			t.Errorf("%s at %s: %s is %v (%v), want %v (%v)", text, at, k, g, gok, v, wok)
		}
	}
	if t.Failed() {
		t.FailNow()
	}
}
