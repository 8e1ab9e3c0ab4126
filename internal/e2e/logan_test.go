package e2e

import (
	"fmt"
	"math"
	"os/exec"
	"sort"
	"strconv"
	"strings"
	"testing"
	"time"

	"quantrac/internal/shared"
)

// gauge is one recorded gauge of the Logan River chain with the levels chosen
// for it, in metres.
type gauge struct {
	file, station string
	levels        [3]float64
}

var loganGauges = []gauge{
	{"TonyGrove2019.csv.gz", "tony_grove", [3]float64{0.62, 0.72, 0.78}},
	{"WaterLab2019.csv.gz", "water_lab", [3]float64{0.95, 1.10, 1.25}},
}

// The rule of both gauges.
const (
	loganHysteresis = 0.03
	loganHold       = 3 * time.Hour
)

// change is a change of level as both sides report it.
type change struct {
	station string
	at      int64 // valid time, ms
	level   int
}

func (c change) String() string {
	return fmt.Sprintf("%s %s level %d", c.station, time.UnixMilli(c.at).UTC().Format(time.RFC3339), c.level)
}

// secondOpinion runs the state machine of level rules (a level, hysteresis, a
// hold in valid time) over a recording, written without a look at the
// service's: it keeps the whole recent past and asks of each level whether
// every reading of the hold lay under it.
func secondOpinion(t *testing.T, g gauge) []change {
	t.Helper()
	type reading struct {
		at int64
		v  float64
	}
	var past []reading
	level := 0
	var out []change
	for _, r := range readStage(t, g.file) {
		if math.IsNaN(r.v) || r.v == -9999 || r.v == 7999 {
			continue // no reading: nothing is known
		}
		v := round12(r.v * 0.01)
		past = append(past, reading{r.at, v})
		next := 0
		for k := 3; k >= 1; k-- {
			if v >= g.levels[k-1] {
				next = max(next, k)
			}
		}
		if next < level {
			// Keep the highest level that was held and is not over.
			for k := level; k > next; k-- {
				over := false
				for i := len(past) - 1; i >= 0; i-- {
					if past[i].v >= g.levels[k-1]-loganHysteresis {
						break
					}
					if i+1 < len(past) && past[i+1].at-past[i].at > maxGap.Milliseconds() {
						break
					}
					if r.at-past[i].at >= loganHold.Milliseconds() {
						over = true
						break
					}
				}
				if !over {
					next = k
					break
				}
			}
		}
		if next != level {
			level = next
			out = append(out, change{g.station, r.at, level})
		}
	}
	return out
}

// maxGap is how far apart two readings count as unbroken: the service takes it
// from the station's expected interval.
const maxGap = 3*15*time.Minute + time.Minute

func round12(v float64) float64 {
	f, err := strconv.ParseFloat(strconv.FormatFloat(v, 'g', 12, 64), 64)
	if err != nil {
		panic(err)
	}
	return f
}

type stage struct {
	at int64
	v  float64 // centimetres, NaN where none was recorded
}

func readStage(t *testing.T, file string) []stage {
	t.Helper()
	const behind = 7 * time.Hour // the gauges' clocks
	var out []stage
	for _, st := range shared.Logan(t, file) {
		out = append(out, stage{st.At.Add(behind).UnixMilli(), st.CM})
	}
	sort.SliceStable(out, func(i, j int) bool { return out[i].at < out[j].at })
	return out
}

// TestRealFlood replays the recorded flood chain over MQTT and compares every
// change of warning level with the second opinion on the files.
func TestRealFlood(t *testing.T) {
	shared.Path(t, "river_logan_15min", loganGauges[0].file)
	s := start(t, t.TempDir(), "--dev")
	recv := newReceiver(t)
	var rows strings.Builder
	for _, g := range loganGauges {
		rows.WriteString(gaugeRow(g.station, g.levels, loganHysteresis, loganHold, 15*time.Minute))
	}
	importStations(s, gaugeHeader+rows.String())
	subscribe(s, recv.srv.URL)
	args := []string{"replay", "--mqtt", s.mqtt, "--zone=-07:00", "--column", "stage=water_level_meters*0.01"}
	var want []change
	for _, g := range loganGauges {
		args = append(args, "--file", shared.Path(t, "river_logan_15min", g.file), "--device", g.station)
		want = append(want, secondOpinion(t, g)...)
	}
	out, err := exec.Command(quantracBinary(t), args...).CombinedOutput()
	if err != nil {
		t.Fatalf("replay: %v\n%s", err, out)
	}
	order := func(cs []change) []string {
		sort.SliceStable(cs, func(i, j int) bool {
			return cs[i].station < cs[j].station || cs[i].station == cs[j].station && cs[i].at < cs[j].at
		})
		text := make([]string, len(cs))
		for i, c := range cs {
			text[i] = c.String()
		}
		return text
	}
	wanted := order(want)
	if len(wanted) < 20 {
		t.Fatalf("the second opinion sees only %d changes: the levels are badly chosen", len(wanted))
	}
	var got []string
	eventually(t, "alerting caught up", func() error {
		var have []change
		for _, w := range warningHistory(s) {
			if w.Rule == "level" {
				have = append(have, change{w.Station, w.ValidTime, w.currentLevel()})
			}
		}
		got = order(have)
		if len(got) < len(wanted) {
			return fmt.Errorf("%d of %d changes so far", len(got), len(wanted))
		}
		return nil
	})
	for i := range max(len(got), len(wanted)) {
		g, w := "nothing", "nothing"
		if i < len(got) {
			g = got[i]
		}
		if i < len(wanted) {
			w = wanted[i]
		}
		if g != w {
			t.Fatalf("change %d: service says %s, second opinion %s", i, g, w)
		}
	}
	t.Logf("%d changes of level, all as the second opinion has them", len(got))
	for _, w := range warningHistory(s) {
		if w.Rule == "level" && (w.Value > 3 || w.Value < 0) {
			t.Errorf("a fault value raised a warning: %+v", w)
		}
	}
	checkWarnings(t, s, recv)
}
