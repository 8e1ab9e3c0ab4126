package verify_test

import (
	"encoding/json"
	"fmt"
	"math"
	"strconv"
	"strings"
	"testing"

	"quantrac/forecast/verify"
	"quantrac/internal/shared"
)

func near(t *testing.T, what string, got, want, tol float64) {
	t.Helper()
	if !(math.Abs(got-want) <= tol) {
		t.Errorf("%s = %.12g, want %.12g within %g", what, got, want, tol)
	}
}

// TestHydroErr checks the single-value scores against those recorded from the
// HydroErr package.
func TestHydroErr(t *testing.T) {
	data := shared.Read(t, "verification_vectors", "hydroerr_vectors.json")
	var v struct {
		Sim, Obs []float64
		Cases    []struct {
			Metric   string
			Expected float64
		}
	}
	if err := json.Unmarshal(data, &v); err != nil {
		t.Fatal(err)
	}
	ours := map[string]func(f, o []float64) float64{
		"me": verify.ME, "mae": verify.MAE, "mse": verify.MSE, "rmse": verify.RMSE,
		"nse": verify.NSE, "kge_2009": verify.KGE,
	}
	seen := 0
	for _, c := range v.Cases {
		score, ok := ours[c.Metric]
		if !ok {
			continue
		}
		seen++
		near(t, c.Metric, score(v.Sim, v.Obs), c.Expected, 1e-9)
	}
	if seen != len(ours) {
		t.Errorf("%d of our %d scores found among the recorded ones", seen, len(ours))
	}
}

// TestScoringRules checks the distribution scores against those recorded from
// the R package scoringRules.
func TestScoringRules(t *testing.T) {
	rows := shared.CSV(t, "verification_vectors", "scoringrules_vectors.csv")
	ens := []float64{1.2, 0.7, 3.1, 2.2, 1.9}
	edf := []float64{0, 1.5, 4} // the three rows of crps_sample_edf, in order
	seen := 0
	for _, r := range rows[1:] {
		want, err := strconv.ParseFloat(r[2], 64)
		if err != nil {
			t.Fatal(err)
		}
		var y, mu, sd float64
		switch r[0] {
		case "crps_norm":
			if _, err := fmt.Sscanf(r[1], "y=%g mean=%g sd=%g", &y, &mu, &sd); err != nil {
				t.Fatal(err)
			}
			near(t, r[0]+" "+r[1], verify.CRPSNormal(mu, sd, y), want, 1e-6)
		case "crps_sample_edf":
			near(t, r[0], verify.CRPSSample(ens, edf[0]), want, 1e-6)
			edf = edf[1:]
		case "crps_sample_weighted":
			if _, err := fmt.Sscanf(strings.Fields(r[1])[0], "y=%g", &y); err != nil {
				t.Fatal(err)
			}
			near(t, r[0]+" "+r[1], verify.CRPSWeighted(ens, []float64{.1, .2, .3, .2, .2}, y), want, 1e-6)
		default:
			continue
		}
		seen++
	}
	if seen != 10 {
		t.Errorf("checked %d recorded scores, want 10", seen)
	}
}

func TestPersistenceIndex(t *testing.T) {
	nan := math.NaN()
	obs := []float64{2, 4, nan, 8}
	per := []float64{1, 2, 3, 4} // squared errors 1, 4, 16 where observed
	for _, c := range []struct {
		name string
		f    []float64
		want float64
	}{
		{"perfect", []float64{2, 4, 6, 8}, 1},
		{"as persistence", per, 0},
		{"worse", []float64{0, 8, 0, 0}, 1 - (4.0+16+64)/21},
		{"a gap in the forecast leaves persistence's pair out too", []float64{2, nan, 6, 6}, 1 - 4.0/17},
		{"nothing to judge", []float64{nan, nan, nan, nan}, nan},
	} {
		got := verify.PI(c.f, per, obs)
		if math.IsNaN(c.want) != math.IsNaN(got) || math.Abs(got-c.want) > 1e-12 {
			t.Errorf("%s: PI = %g, want %g", c.name, got, c.want)
		}
	}
	if got := verify.PI([]float64{1}, []float64{2}, []float64{2}); !math.IsInf(got, -1) {
		t.Errorf("PI against a perfect persistence = %g, want -Inf", got)
	}
}

// TestCRPSQuantiles compares the closed form with brute integration, and with
// the normal distribution it converges to.
func TestCRPSQuantiles(t *testing.T) {
	levels := []float64{.05, .25, .5, .5001, .95}
	values := []float64{-1, 0, .4, .4, 3}
	cdf := func(x float64) float64 {
		if x < values[0] {
			return 0
		}
		if x >= values[len(values)-1] {
			return 1
		}
		for i := 1; ; i++ {
			if x < values[i] {
				return levels[i-1] + (levels[i]-levels[i-1])*(x-values[i-1])/(values[i]-values[i-1])
			}
		}
	}
	for _, o := range []float64{-3, -1, -.4, .4, 1, 3, 5} {
		sum := 0.0
		const d = 1e-4
		for x := -6.0; x < 8; x += d {
			f := cdf(x + d/2)
			if x+d/2 >= o {
				f--
			}
			sum += f * f * d
		}
		near(t, fmt.Sprintf("CRPSQuantiles(%g)", o), verify.CRPSQuantiles(levels, values, o), sum, 2e-4)
	}
	var ls, vs []float64
	for p := .0005; p < 1; p += .0005 {
		ls = append(ls, p)
		vs = append(vs, math.Sqrt2*math.Erfinv(2*p-1))
	}
	near(t, "CRPSQuantiles of a fine normal", verify.CRPSQuantiles(ls, vs, .5), verify.CRPSNormal(0, 1, .5), 1e-4)
	if !math.IsNaN(verify.CRPSQuantiles(ls, vs, math.NaN())) {
		t.Error("CRPS of a missing observation is a number")
	}
}

func TestPinballIsTheQuantileForm(t *testing.T) {
	// Twice the mean pinball loss over the members' levels is the CRPS of the
	// ensemble whose members sit at the middle of their levels.
	ens := []float64{0.7, 1.2, 1.9, 2.2, 3.1}
	for _, o := range []float64{0, 1.5, 4} {
		sum := 0.0
		for i, x := range ens {
			sum += 2 * verify.Pinball((float64(i)+.5)/5, x, o) / 5
		}
		near(t, "2·mean pinball", sum, verify.CRPSSample(ens, o), 1e-12)
	}
}

func TestEvents(t *testing.T) {
	var tab verify.Table
	for _, c := range []struct{ warned, happened bool }{
		{true, true}, {true, true}, {true, true}, {true, false}, {false, true}, {false, false}, {false, false},
	} {
		tab.Add(c.warned, c.happened)
	}
	if want := (verify.Table{Hits: 3, Misses: 1, FalseAlarms: 1, QuietCorrect: 2}); tab != want {
		t.Fatalf("table %+v, want %+v", tab, want)
	}
	near(t, "POD", tab.POD(), .75, 0)
	near(t, "FAR", tab.FAR(), .25, 0)
	near(t, "CSI", tab.CSI(), .6, 1e-15)
	if !math.IsNaN((verify.Table{}).POD()) || !math.IsNaN((verify.Table{}).FAR()) {
		t.Error("ratios of nothing are numbers")
	}
	happened := []bool{true, false, false, true}
	near(t, "Brier", verify.Brier([]float64{.8, .2, 0, .5}, happened), (.04+.04+0+.25)/4, 1e-15)
	near(t, "BSS", verify.BSS([]float64{.8, .2, 0, .5}, happened), 1-.0825/.25, 1e-12)
	near(t, "BSS of the base rate", verify.BSS([]float64{.5, .5, .5, .5}, happened), 0, 1e-12)
	if !math.IsNaN(verify.BSS([]float64{1, 1}, []bool{true, true})) {
		t.Error("BSS of an event that always happens is a number")
	}
}

func TestCoverage(t *testing.T) {
	nan := math.NaN()
	got := verify.Coverage([]float64{0, 0, 0, 0, nan}, []float64{1, 1, 1, 1, 1}, []float64{0, 1, 1.01, nan, .5})
	near(t, "coverage", got, 2./3, 1e-15)
}

func TestStatutoryScore(t *testing.T) {
	changes := make([]float64, 30)
	for i := range changes {
		changes[i] = float64(i%2*2 - 1) // −1, 1, …: mean 0, Σ² = 30
	}
	p := verify.PermissibleError(changes)
	near(t, "permissible error", p, .674*math.Sqrt(30./29), 1e-12)
	if !math.IsNaN(verify.PermissibleError(changes[1:])) {
		t.Error("a permissible error from 29 values")
	}
	near(t, "pass rate", verify.PassRate([]float64{0, 0, 0, math.NaN()}, []float64{.5, -.6, .9, 0}, p), 2./3, 1e-15)
}
