package level_test

import (
	"embed"
	"fmt"
	"math"
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"quantrac"
	"quantrac/alerting/level"
	"quantrac/alerting/level/leveltest"
	"quantrac/internal/shared"
)

//go:embed leveltest/testdata
var scripts embed.FS

func TestScripts(t *testing.T) {
	leveltest.RunScripts(t, scripts, "leveltest/testdata", leveltest.Of)
}

func TestNaiveScripts(t *testing.T) {
	leveltest.RunScripts(t, scripts, "leveltest/testdata", func() leveltest.Machine { return &leveltest.Naive{} })
}

func rule(hyst float64, hold, gap time.Duration, values ...float64) level.Rule {
	r := level.Rule{MaxGap: gap}
	for i, v := range values {
		r.Thresholds = append(r.Thresholds, quantrac.Threshold{
			Level: i + 1, Value: v, Hysteresis: hyst, Hold: hold,
			ValidFrom: quantrac.MinMillis, ValidTo: quantrac.MaxMillis,
		})
	}
	return r
}

func same(a, b level.Transition) bool {
	return a.Change == b.Change && a.From == b.From && a.To == b.To && a.Time == b.Time &&
		(a.Value == b.Value || a.Time == 0) && a.Quality == b.Quality && a.Corrected == b.Corrected && a.Withdrawn == b.Withdrawn
}

// TestAgainstNaive compares both implementations on random water with faults,
// gaps, late packets, redeliveries, corrections and revocations.
func TestAgainstNaive(t *testing.T) {
	total := map[level.Change]int{}
	for seed := uint64(1); seed <= 400; seed++ {
		rng := rand.New(rand.NewPCG(seed, 2))
		holds := []time.Duration{0, 15 * time.Minute, time.Hour, 3 * time.Hour}
		r := rule(float64(rng.IntN(3))*0.1, holds[rng.IntN(4)], []time.Duration{0, 46 * time.Minute}[rng.IntN(2)], 1, 1.5, 2)
		if rng.IntN(4) == 0 { // own hold for each level, and one missing
			for i := range r.Thresholds {
				r.Thresholds[i].Hold = holds[rng.IntN(4)]
			}
			if rng.IntN(2) == 0 {
				r.Thresholds = append(r.Thresholds[:1], r.Thresholds[2:]...)
			}
		}
		a, b := leveltest.Of(), &leveltest.Naive{}
		a.Load(r)
		b.Load(r)
		now, v := quantrac.Millis(1_700_000_000_000), 0.8
		for i := range 300 {
			in := step(rng, &now, &v)
			var x, y level.Transition
			var what string
			if in.revoke {
				what = "revoke " + in.Correction
				x, y = a.Revoke(in.Correction, uint64(i)), b.Revoke(in.Correction, uint64(i))
			} else {
				in.Commit.Number = uint64(i)
				what = fmt.Sprintf("%+v", in.Reading)
				x, y = a.Take(in.Reading), b.Take(in.Reading)
			}
			if !same(x, y) {
				t.Fatalf("seed %d step %d, %s:\n track %+v\n naive %+v", seed, i, what, x, y)
			}
			total[x.Change]++
		}
	}
	for _, c := range []level.Change{level.Issue, level.Update, level.Clear, level.Cancel} {
		if total[c] < 100 {
			t.Errorf("only %d transitions of kind %s: the inputs do not exercise it", total[c], c)
		}
	}
	t.Logf("transitions: %v", total)
}

type input struct {
	level.Reading
	revoke bool
}

func step(rng *rand.Rand, now *quantrac.Millis, v *float64) input {
	const quarter = quantrac.Millis(15 * 60 * 1000)
	*v += rng.NormFloat64() * 0.15
	*v = max(0, min(2.6, *v))
	val := float64(int(*v*100)) / 100
	id := "c" + strconv.Itoa(rng.IntN(6))
	switch p := rng.IntN(100); {
	case p < 66:
		*now += quarter
		if rng.IntN(30) == 0 {
			*now += quarter * quantrac.Millis(rng.IntN(12))
		}
		return input{Reading: level.Reading{Time: *now, Value: val}}
	case p < 72:
		*now += quarter
		return input{Reading: level.Reading{Time: *now, Value: -9999, Quality: quantrac.Fail}}
	case p < 76:
		*now += quarter
		return input{Reading: level.Reading{Time: *now, Value: 2.5, Quality: quantrac.Suspect}}
	case p < 82: // late, or sent again, or a device that changes its mind
		return input{Reading: level.Reading{Time: *now - quarter*quantrac.Millis(rng.IntN(8)), Value: val}}
	case p < 97:
		q := quantrac.Good
		if rng.IntN(4) == 0 {
			q = quantrac.Missing
		}
		return input{Reading: level.Reading{Time: *now - quarter*quantrac.Millis(rng.IntN(10)), Value: rng.Float64() * 2.5,
			Quality: q, Layer: quantrac.LayerHuman, Correction: id}}
	default:
		return input{Reading: level.Reading{Correction: id}, revoke: true}
	}
}

// logan reads a stage column of the Logan River recordings, in metres, as
// gross-range control would pass it on.
func logan(tb testing.TB, name string) []level.Reading {
	var out []level.Reading
	for _, st := range shared.Logan(tb, name) {
		if math.IsNaN(st.CM) {
			continue
		}
		q := quantrac.Good
		if st.CM < -100 || st.CM > 1000 {
			q = quantrac.Fail
		}
		out = append(out, level.Reading{Time: quantrac.FloorMillis(st.At), Value: st.CM / 100, Quality: q})
	}
	return out
}

// TestLogan runs both implementations over recorded water: the episodes at
// three levels, with and without hysteresis and hold, are the same, and fault
// values never alarm.
func TestLogan(t *testing.T) {
	var faults int
	for _, c := range []struct {
		name   string
		hyst   float64
		hold   time.Duration
		levels []float64
	}{
		{"WaterLab2019.csv.gz", 0.03, time.Hour, []float64{0.90, 1.05, 1.20}},
		{"WaterLab2019.csv.gz", 0, 0, []float64{0.90, 1.05, 1.20}},
		{"TonyGrove2019.csv.gz", 0.02, 2 * time.Hour, []float64{0.55, 0.65, 0.75}},
		{"TonyGrove2014.csv.gz", 0.02, 30 * time.Minute, []float64{0.26, 0.35, 0.50}},
		{"BlackSmithFork2015.csv.gz", 0.005, 6 * time.Hour, []float64{0.44, 0.46, 0.47}},
	} {
		rds := logan(t, c.name)
		r := rule(c.hyst, c.hold, quantrac.StaleAfter(15*time.Minute), c.levels...)
		a, b := leveltest.Of(), &leveltest.Naive{}
		a.Load(r)
		b.Load(r)
		n := 0
		for _, rd := range rds {
			x, y := a.Take(rd), leveltest.Quick(b, rd)
			if !same(x, y) {
				t.Fatalf("%s at %s: track %+v, naive %+v", c.name, rd.Time, x, y)
			}
			if rd.Quality == quantrac.Fail {
				faults++
				if x.Change != level.None {
					t.Fatalf("%s at %s: fault value %g changed the level: %+v", c.name, rd.Time, rd.Value, x)
				}
			}
			if x.Change != level.None {
				n++
			}
		}
		if n < 4 {
			t.Errorf("%s: only %d transitions at %v", c.name, n, c.levels)
		}
		t.Logf("%s hyst %.2f hold %s: %d readings, %d transitions", c.name, c.hyst, c.hold, len(rds), n)
	}
	if faults < 8 {
		t.Errorf("%d fault values met, the recordings hold more", faults)
	}
}

func TestWindowIsBounded(t *testing.T) {
	r := rule(0.1, time.Hour, 0, 1)
	var k level.Track
	at := quantrac.Millis(1_700_000_000_000)
	for i := range 3 * level.MaxWindow {
		at += 60_000
		tr := k.Take(&r, level.Reading{Time: at, Value: 2})
		if (tr.Change == level.Issue) != (i == 0) {
			t.Fatalf("reading %d: %+v", i, tr)
		}
	}
	if len(k.Window) > level.MaxWindow {
		t.Fatalf("window of %d readings", len(k.Window))
	}
	// What is settled cannot be corrected: the episode stands.
	for _, e := range append([]level.Entry(nil), k.Window...) {
		if tr := k.Take(&r, level.Reading{Time: e.Time, Value: 0, Layer: quantrac.LayerHuman}); tr.Change == level.Cancel {
			t.Fatalf("cancelled although readings before %s stand: %+v", k.Window[0].Time, tr)
		}
	}
	var idle level.Track
	idle.Take(&r, level.Reading{Time: at, Value: 0.5})
	for range 1000 {
		at += 60_000
		idle.Take(&r, level.Reading{Time: at, Value: -9999, Quality: quantrac.Fail})
	}
	if len(idle.Window) > 20 {
		t.Fatalf("an idle series keeps %d failed readings", len(idle.Window))
	}
	if tr := idle.Take(&r, level.Reading{Time: idle.Core.Last, Value: 1.5, Layer: quantrac.LayerHuman}); tr.Change != level.Issue {
		t.Fatalf("correction of the last usable reading: %+v", tr)
	}
}

func TestResume(t *testing.T) {
	r := rule(0.1, 30*time.Minute, 0, 1, 1.5)
	k := level.Resume(level.Core{Level: 2, Last: 1_700_000_000_000, Value: 1.6}, 2)
	if tr := k.Refit(&r); tr.Change != level.None {
		t.Fatalf("same rule: %+v", tr)
	}
	lower := rule(0.1, 0, 0, 1, 1.9)
	if tr := k.Refit(&lower); tr.Change != level.Update || tr.To != 1 {
		t.Fatalf("level II raised above the water: %+v", tr)
	}
	if tr := k.Take(&r, level.Reading{Time: 1_700_000_900_000, Value: 1.7}); tr.Change != level.Update || tr.To != 2 {
		t.Fatalf("next reading: %+v", tr)
	}
}

func BenchmarkTakeCalm(b *testing.B) {
	r := rule(0.1, time.Hour, 0, 1, 1.5, 2)
	var k level.Track
	at := quantrac.Millis(1_700_000_000_000)
	b.ReportAllocs()
	for b.Loop() {
		at += 1000
		k.Take(&r, level.Reading{Time: at, Value: 0.5})
	}
}
