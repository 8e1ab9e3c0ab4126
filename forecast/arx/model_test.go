package arx_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/forecast/arx"
	"quantrac/forecast/verify"
)

const hour = time.Hour

// river makes an upstream gauge that wanders and a downstream gauge that
// follows it three steps later, with noise; levels in metres.
func river(n int, seed uint64) (down, up []float64) {
	rng := rand.New(rand.NewPCG(seed, 7))
	down, up = make([]float64, n), make([]float64, n)
	x, v := 0.0, 0.0
	for i := range up {
		v = 0.9*v + 0.02*rng.NormFloat64()
		x = 0.995*x + v
		up[i] = 2 + x
		down[i] = 1
		if i >= 3 {
			down[i] = 1 + 0.8*(up[i-3]-2) + 0.005*rng.NormFloat64()
		}
	}
	return down, up
}

func spec(leads ...int) arx.Spec {
	return arx.Spec{Step: hour, Leads: leads, Inputs: []arx.Input{{Name: "down"}, {Name: "up"}},
		Powers: []float64{1}, Ridges: []float64{1e-4, 1e-2}, HalfLives: []int{0}}
}

// same compares forecasts to the last bit and field, NaN being the same as NaN.
func same(a, b *arx.Forecast) bool { return fmt.Sprintf("%+v", *a) == fmt.Sprintf("%+v", *b) }

func train(t testing.TB, s arx.Spec, cols ...[]float64) *arx.Model {
	t.Helper()
	m, err := arx.Train(s, 0, cols)
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func forecast(t testing.TB, m *arx.Model) *arx.Forecast {
	t.Helper()
	f, err := m.Forecast()
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func appendRow(t testing.TB, m *arx.Model, values ...float64) {
	t.Helper()
	if err := m.Append(values); err != nil {
		t.Fatal(err)
	}
}

// TestFindsTheUpstreamWave: within the travel time the wave is known, so the
// model must leave persistence far behind; and its band must deserve its name.
func TestFindsTheUpstreamWave(t *testing.T) {
	down, up := river(4000, 1)
	const n = 2800
	leads := []int{1, 3, 6}
	m := train(t, spec(leads...), down[:n], up[:n])
	pred, base, obs := make([][]float64, 3), make([][]float64, 3), make([][]float64, 3)
	lo, hi := make([][]float64, 3), make([][]float64, 3)
	for i := n; i < 4000; i++ {
		appendRow(t, m, down[i], up[i])
		f := forecast(t, m)
		if f.Issue != m.At() || f.Issue != quantrac.Millis(i)*3600_000 {
			t.Fatalf("issue time %v at row %d", f.Issue, i)
		}
		for h, lead := range leads {
			if i+lead < 4000 {
				l := f.Leads[h]
				pred[h], base[h], obs[h] = append(pred[h], l.Point), append(base[h], f.Base), append(obs[h], down[i+lead])
				lo[h], hi[h] = append(lo[h], l.Quantiles[1]), append(hi[h], l.Quantiles[len(arx.Levels)-2])
			}
		}
	}
	for h, least := range []float64{0.9, 0.95, 0.5} {
		if pi := verify.PI(pred[h], base[h], obs[h]); pi < least {
			t.Errorf("lead %d: persistence index %.3f, want at least %.2f", leads[h], pi, least)
		}
		if c := verify.Coverage(lo[h], hi[h], obs[h]); c < 0.86 || c > 0.94 {
			t.Errorf("lead %d: the 90 %% interval covers %.3f", leads[h], c)
		}
	}
}

// TestTheFutureDoesNotLeak poisons everything after a row; forecasts up to it
// must not move by a bit, those after it must.
func TestTheFutureDoesNotLeak(t *testing.T) {
	down, up := river(1500, 2)
	const n, poison = 1200, 1350
	badDown, badUp := slices.Clone(down), slices.Clone(up)
	for i := poison; i < len(down); i++ {
		badDown[i], badUp[i] = 1e6*float64(i%7), -55
	}
	a, b := train(t, spec(1, 6, 12), down[:n], up[:n]), train(t, spec(1, 6, 12), badDown[:n], badUp[:n])
	for i := n; i < len(down); i++ {
		appendRow(t, a, down[i], up[i])
		appendRow(t, b, badDown[i], badUp[i])
		fa, fb := forecast(t, a), forecast(t, b)
		if same := same(fa, fb); same != (i < poison) {
			t.Fatalf("row %d (poison from %d): forecasts equal: %v", i, poison, same)
		}
	}
}

// TestCloneGoesItsOwnWay: a clone moved on says what the original moved on
// says, and moving it does not touch the original.
func TestCloneGoesItsOwnWay(t *testing.T) {
	down, up := river(1300, 3)
	const n = 1200
	m := train(t, spec(1, 6), down[:n], up[:n])
	before := forecast(t, m)
	c := m.Clone()
	for i := n; i < len(down); i++ {
		v := down[i]
		if i%9 == 0 {
			v = math.NaN() // gaps are joined backwards; the clone's alone
		}
		appendRow(t, c, v, up[i])
	}
	if after := forecast(t, m); !same(before, after) {
		t.Error("moving a clone changed the original's forecast")
	}
	for i := n; i < len(down); i++ {
		v := down[i]
		if i%9 == 0 {
			v = math.NaN()
		}
		appendRow(t, m, v, up[i])
	}
	if !same(forecast(t, m), forecast(t, c)) || m.Version() != c.Version() {
		t.Error("a clone and its original, given the same rows, differ")
	}
}

// TestSameRowsSameForecast: all of it is a function of its input.
func TestSameRowsSameForecast(t *testing.T) {
	down, up := river(1000, 4)
	a, b := train(t, spec(1, 3), down, up), train(t, spec(1, 3), down, up)
	if a.Version() != b.Version() || !same(forecast(t, a), forecast(t, b)) {
		t.Error("two models of the same rows differ")
	}
	other := slices.Clone(up)
	other[500] += 0.1
	if train(t, spec(1, 3), down, other).Version() == a.Version() {
		t.Error("models of other rows have the same version")
	}
	if !strings.HasPrefix(a.Version(), arx.CodeVersion+"-") {
		t.Errorf("version %q does not name the code", a.Version())
	}
}

func TestDistributionHangsTogether(t *testing.T) {
	down, up := river(1500, 5)
	m := train(t, spec(1, 3, 6, 12), down, up)
	f := forecast(t, m)
	for _, l := range f.Leads {
		if !slices.IsSorted(l.Quantiles[:]) || !slices.IsSorted(l.Persistence[:]) {
			t.Errorf("%v: quantiles fall: %v, %v", l.Ahead, l.Quantiles, l.Persistence)
		}
		if l.Median() != l.Quantiles[4] {
			t.Errorf("median %g is not the quantile 0.5", l.Median())
		}
	}
	last := 1.0
	for level := f.Base - 1; level < f.Base+1; level += 0.02 {
		by, anywhere := f.Exceed(level)
		for i, p := range by {
			if !(p > 0 && p < 1) || p > anywhere {
				t.Fatalf("P(≥ %.2f) at %v = %g, over the window %g", level, f.Leads[i].Ahead, p, anywhere)
			}
		}
		if anywhere > last {
			t.Fatalf("P(maximum ≥ %.2f) = %g rises with the level from %g", level, anywhere, last)
		}
		last = anywhere
	}
	if by, _ := f.Exceed(f.Leads[2].Median()); math.Abs(by[2]-0.5) > 0.02 {
		t.Errorf("P(≥ median) = %g", by[2])
	}
}

func TestMissingInputs(t *testing.T) {
	down, up := river(1500, 6)
	nan := math.NaN()
	const n = 1400
	base := train(t, spec(1, 3, 6), down[:n], up[:n])
	width := func(f *arx.Forecast, h int) float64 {
		return f.Leads[h].Quantiles[len(arx.Levels)-2] - f.Leads[h].Quantiles[1]
	}
	whole := base.Clone()
	blind := base.Clone()
	for i := n; i < n+10; i++ {
		appendRow(t, whole, down[i], up[i])
		appendRow(t, blind, down[i], nan)
	}
	fw, fb := forecast(t, whole), forecast(t, blind)
	for h, l := range fb.Leads {
		if l.Fallback != "" {
			t.Errorf("%v without upstream: fell back (%s); the gauge's own lags remain", l.Ahead, l.Fallback)
		}
		if l.Point == fb.Base {
			t.Errorf("%v without upstream: forecast is persistence", l.Ahead)
		}
		if width(fb, h) <= width(fw, h) {
			t.Errorf("%v: the band without upstream (%g) is not wider than with it (%g)", l.Ahead, width(fb, h), width(fw, h))
		}
	}

	t.Run("the gauge missing for one step is carried forward", func(t *testing.T) {
		m := base.Clone()
		appendRow(t, m, down[n], up[n])
		appendRow(t, m, nan, up[n+1])
		if f := forecast(t, m); f.Age != 1 || f.Base != down[n] || f.Leads[0].Fallback != "" {
			t.Errorf("age %d base %g fallback %q", f.Age, f.Base, f.Leads[0].Fallback)
		}
	})
	t.Run("silent for longer it is persistence, with a wider band, and says so", func(t *testing.T) {
		m := base.Clone()
		var widths []float64
		for i := range 5 {
			appendRow(t, m, nan, up[n+i])
			if i >= 3 {
				f := forecast(t, m)
				if f.Age != i+1 || !strings.Contains(f.Leads[0].Fallback, "old") || f.Leads[0].Point != down[n-1] {
					t.Errorf("age %d, fallback %q, point %g, want %g", f.Age, f.Leads[0].Fallback, f.Leads[0].Point, down[n-1])
				}
				widths = append(widths, width(f, 0))
				if _, p := f.Exceed(f.Base + 10); !(p > 0 && p < 0.1) {
					t.Errorf("P(max ≥ base + 10 m) = %g", p)
				}
			}
		}
		if widths[1] <= widths[0] {
			t.Errorf("band does not widen with age: %v", widths)
		}
	})
	t.Run("silent for long there is no forecast", func(t *testing.T) {
		m := base.Clone()
		for i := range 12 {
			appendRow(t, m, nan, up[n+i])
		}
		if _, err := m.Forecast(); quantrac.KindOf(err) != quantrac.Unavailable {
			t.Errorf("error %v, want unavailable", err)
		}
	})
	t.Run("infinite is missing", func(t *testing.T) {
		m := base.Clone()
		appendRow(t, m, math.Inf(1), math.Inf(-1))
		if f := forecast(t, m); f.Age != 1 || math.IsNaN(f.Leads[0].Point) {
			t.Errorf("age %d point %g", f.Age, f.Leads[0].Point)
		}
	})
	t.Run("holes in the training rows", func(t *testing.T) {
		d, u := slices.Clone(down), slices.Clone(up)
		for i := 40; i+6 < len(d); i += 97 {
			d[i], u[i+3], u[i+4], u[i+5] = nan, nan, nan, nan
		}
		if f := forecast(t, train(t, spec(1, 3, 6), d, u)); f.Leads[1].Fallback != "" || f.Leads[1].PI < 0.8 {
			t.Errorf("fallback %q, trailing index %.2f", f.Leads[1].Fallback, f.Leads[1].PI)
		}
	})
}

// What the model has done of late counts most: it falls back long before its
// skill of a month is used up.
func TestNewestForecastsCountMost(t *testing.T) {
	down, up := river(2000, 8)
	const n = 1600
	fallsBack := func(half int) int {
		s := spec(1, 3, 6)
		s.TrailHalf = half
		m := train(t, s, down[:n], up[:n])
		for i := n; i < 2000; i++ { // dammed, as below
			appendRow(t, m, down[n-1]+0.001*float64(i%2), up[i])
			if forecast(t, m).Leads[1].Fallback != "" {
				return i - n
			}
		}
		return 2000 - n
	}
	alike, week, byDefault := fallsBack(1<<30), fallsBack(7*24), fallsBack(0)
	if week >= alike || byDefault != week {
		t.Errorf("fell back after %d steps with a half-life of a week, %d by default, %d with all alike", week, byDefault, alike)
	}
}

func TestFallsBackWhenWorseThanPersistence(t *testing.T) {
	down, up := river(2000, 8)
	s := spec(1, 3, 6)
	s.Trail = 60
	const n = 1800
	m := train(t, s, down[:n], up[:n])
	if f := forecast(t, m); f.Leads[2].Fallback != "" {
		t.Fatalf("fell back from the start: %s", f.Leads[2].Fallback)
	}
	// The river is dammed: downstream stands still whatever comes from above.
	for i := n; i < 2000; i++ {
		appendRow(t, m, down[n-1]+0.001*float64(i%2), up[i])
	}
	f := forecast(t, m)
	for _, l := range f.Leads[1:] {
		if !strings.Contains(l.Fallback, "persistence index -") {
			t.Errorf("%v: no fallback with a trailing index of %.2f", l.Ahead, l.PI)
		}
		if l.Point != f.Base {
			t.Errorf("%v: fell back to %g, the gauge stands at %g", l.Ahead, l.Point, f.Base)
		}
	}
}

// TestLearnedAndNeverTried: the gauge upstream fell silent so early that hardly a
// forecast can be judged. There is no distribution of the model's errors yet, so
// the forecast is persistence and says why; it used to be none at all.
func TestLearnedAndNeverTried(t *testing.T) {
	for _, tried := range []int{0, 5} {
		down, up := river(1200, 3)
		for i := 840 + tried; i < 1200; i++ { // all of the validation part but its first rows
			up[i] = math.NaN()
		}
		m := train(t, spec(1, 3), down[:1199], up[:1199])
		appendRow(t, m, down[1199], math.NaN())
		f := forecast(t, m)
		for _, l := range f.Leads {
			if l.Fallback == "" || l.Point != down[1199] || l.Errors < 200 {
				t.Errorf("%d tried, %v: fallback %q, point %g of %d errors; want persistence at %g", tried, l.Ahead, l.Fallback, l.Point, l.Errors, down[1199])
			}
		}
		if len(f.Leads) != 2 || !f.Blind {
			t.Errorf("%d tried: %d leads, blind %v", tried, len(f.Leads), f.Blind)
		}
	}
	down, up := river(1200, 3)
	if f := forecast(t, train(t, spec(1, 3), down[:800], up[:800])); f.Blind || f.Leads[0].Fallback != "" {
		t.Errorf("with upstream: blind %v, fallback %q", f.Blind, f.Leads[0].Fallback)
	}
	s := spec(1, 3)
	s.Plain = true
	if f := forecast(t, train(t, s, down[:800], up[:800])); f.Blind {
		t.Error("persistence that is meant is called blind")
	}
}

func TestTooLittleToLearnFrom(t *testing.T) {
	down, up := river(300, 9)
	m := train(t, spec(1, 3), down[:120], up[:120])
	f := forecast(t, m)
	for _, l := range f.Leads {
		if !strings.Contains(l.Fallback, "complete rows") || l.Point != down[119] {
			t.Errorf("%v: fallback %q, point %g, want persistence at %g", l.Ahead, l.Fallback, l.Point, down[119])
		}
	}
	if p := m.Parameters(); len(p) != 1 || !strings.HasPrefix(p[0], "persistence only") {
		t.Errorf("parameters %q", p)
	}
	m = train(t, spec(1, 30), down[:40], up[:40])
	if f := forecast(t, m); len(f.Leads) != 1 || f.Leads[0].Ahead != hour {
		t.Errorf("40 rows: leads %v, want the first alone", f.Leads)
	} else if _, anywhere := f.Exceed(f.Base + 100); !(anywhere < 0.05) {
		t.Errorf("P(maximum ≥ base + 100 m) = %g", anywhere)
	}
	m = train(t, spec(1, 3), down[:10], up[:10])
	if _, err := m.Forecast(); quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("10 rows: error %v, want unavailable", err)
	}
	m = train(t, spec(1, 3), nil, nil)
	if _, err := m.Forecast(); quantrac.KindOf(err) != quantrac.Unavailable {
		t.Errorf("no rows: error %v, want unavailable", err)
	}
}

// TestNonsenseIsCapped: a broken upstream gauge cannot lift the forecast by
// more than four times what was ever seen, and never below zero where that is
// impossible.
func TestNonsenseIsCapped(t *testing.T) {
	down, up := river(1500, 10)
	for i := range down {
		down[i] += 5 // well above zero throughout
	}
	s := spec(1, 3)
	s.NonNegative = true
	most := 0.0
	for i := 3; i < len(down); i++ {
		most = max(most, math.Abs(down[i]-down[i-3]))
	}
	for _, bad := range []float64{1e9, -1e9} {
		m := train(t, s, down, up)
		for range 3 {
			appendRow(t, m, down[len(down)-1], bad)
		}
		f := forecast(t, m)
		for _, l := range f.Leads {
			for _, q := range append(l.Quantiles[:], l.Point) {
				if q < 0 || math.Abs(q-f.Base) > 4*most+1e-9 {
					t.Errorf("upstream %g: %v forecast %g from %g; largest change seen is %g", bad, l.Ahead, q, f.Base, most)
				}
			}
		}
	}
}

// TestRain: rain falls, the river answers hours later; without products of
// wetness nothing is lost, with them the answer is found.
func TestRain(t *testing.T) {
	rng := rand.New(rand.NewPCG(11, 1))
	const n = 3000
	stage, rain := make([]float64, n), make([]float64, n)
	store := 0.0
	for i := range stage {
		if rng.Float64() < 0.03 {
			for j := i; j < min(n, i+4); j++ {
				rain[j] += 5 * rng.ExpFloat64()
			}
		}
		if i >= 4 {
			store = 0.97*store + rain[i-4]*0.02
		}
		stage[i] = 1 + store
	}
	s := spec(3)
	s.Inputs = []arx.Input{{Name: "stage"}, {Name: "rain", Kind: arx.Rain}}
	gaps := slices.Clone(rain)
	for i := 100; i < n; i += 211 {
		gaps[i] = math.NaN()
	}
	for name, r := range map[string][]float64{"whole": rain, "with gaps": gaps} {
		m := train(t, s, stage[:2500], r[:2500])
		var p, b, o []float64
		for i := 2500; i+3 < n; i++ {
			appendRow(t, m, stage[i], r[i])
			f := forecast(t, m)
			p, b, o = append(p, f.Leads[0].Point), append(b, f.Base), append(o, stage[i+3])
		}
		if pi := verify.PI(p, b, o); pi < 0.9 {
			t.Errorf("rain %s: persistence index %.3f where the answer is linear", name, pi)
		}
	}
}

func TestSpecErrors(t *testing.T) {
	good := spec(1)
	col := [][]float64{{1}, {1}}
	for name, c := range map[string]struct {
		edit  func(*arx.Spec)
		start quantrac.Millis
		cols  [][]float64
		want  string
	}{
		"no step":       {func(s *arx.Spec) { s.Step = 0 }, 0, col, "step"},
		"no leads":      {func(s *arx.Spec) { s.Leads = nil }, 0, col, "no leads"},
		"falling leads": {func(s *arx.Spec) { s.Leads = []int{3, 2} }, 0, col, "leads"},
		"lead zero":     {func(s *arx.Spec) { s.Leads = []int{0} }, 0, col, "leads"},
		"no inputs":     {func(s *arx.Spec) { s.Inputs = nil }, 0, nil, "the gauge itself"},
		"rain first":    {func(s *arx.Spec) { s.Inputs[0].Kind = arx.Rain }, 0, col, "the gauge itself"},
		"lags":          {func(s *arx.Spec) { s.Inputs[1].Lags = []int{1, 2} }, 0, col, "lags"},
		"wets rain":     {func(s *arx.Spec) { s.Inputs[1] = arx.Input{Name: "r", Kind: arx.Rain, Wets: 1} }, 0, col, "no level"},
		"period":        {func(s *arx.Spec) { s.Periods = []time.Duration{time.Minute} }, 0, col, "period"},
		"power":         {func(s *arx.Spec) { s.Powers = []float64{0} }, 0, col, "power"},
		"ridge":         {func(s *arx.Spec) { s.Ridges = []float64{-1} }, 0, col, "ridge"},
		"half-life":     {func(s *arx.Spec) { s.HalfLives = []int{-1} }, 0, col, "half-life"},
		"negative":      {func(s *arx.Spec) { s.Trail = -1 }, 0, col, "negative"},
		"off the grid":  {func(*arx.Spec) {}, 1, col, "grid"},
		"columns":       {func(*arx.Spec) {}, 0, col[:1], "1 columns for 2 inputs"},
		"ragged":        {func(*arx.Spec) {}, 0, [][]float64{{1}, {1, 2}}, "rows"},
	} {
		s := good
		s.Inputs = slices.Clone(good.Inputs)
		c.edit(&s)
		_, err := arx.Train(s, c.start, c.cols)
		if quantrac.KindOf(err) != quantrac.Invalid || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: error %v, want an invalid one that says %q", name, err, c.want)
		}
	}
	m := train(t, good, make([]float64, 5), make([]float64, 5))
	if err := m.Append([]float64{1}); quantrac.KindOf(err) != quantrac.Invalid {
		t.Errorf("short row: error %v", err)
	}
}

func BenchmarkTrain(b *testing.B) {
	for _, c := range []struct{ rows, leads int }{{2000, 6}, {8760, 12}} {
		b.Run(fmt.Sprintf("hourly=%d/leads=%d", c.rows, c.leads), func(b *testing.B) {
			down, up := river(c.rows, 1)
			s := arx.Spec{Step: hour, Inputs: []arx.Input{{Name: "down"}, {Name: "up"}}, Periods: []time.Duration{24 * hour}}
			for i := range c.leads {
				s.Leads = append(s.Leads, 2*i+1)
			}
			b.ReportAllocs()
			for b.Loop() {
				train(b, s, down, up)
			}
		})
	}
}

func BenchmarkRun(b *testing.B) { // what a scheduled run costs beside reading
	down, up := river(8760, 1)
	s := arx.Spec{Step: hour, Leads: []int{1, 2, 3, 6, 12, 24}, Inputs: []arx.Input{{Name: "down"}, {Name: "up"}}}
	m := train(b, s, down[:8700], up[:8700])
	b.ReportAllocs()
	for b.Loop() {
		c := m.Clone()
		for i := 8700; i < 8724; i++ {
			appendRow(b, c, down[i], up[i])
		}
		forecast(b, c)
	}
}
