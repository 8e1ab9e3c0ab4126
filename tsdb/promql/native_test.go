package promql

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"quantrac"

	"github.com/prometheus/prometheus/promql/parser"
)

// TestNative asks random expressions of the shapes that have native paths, and
// near ones, of random data: native paths and Prometheus' engine must say the
// same of the same store, errors and remarks included, bit for bit but for
// sums and averages of days that blocks have summed up. What fails
// is made small and printed. QUANTRAC_SEED runs one seed again, QUANTRAC_SEEDS so
// many.
func TestNative(t *testing.T) {
	seeds := []uint64{uint64(time.Now().UnixNano())}
	if n, err := strconv.ParseUint(cmp.Or(os.Getenv("QUANTRAC_SEEDS"), "16"), 10, 64); err == nil {
		for s := range n {
			seeds = append(seeds, s)
		}
	}
	if s, err := strconv.ParseUint(os.Getenv("QUANTRAC_SEED"), 10, 64); err == nil {
		seeds = []uint64{s}
	}
	for name, open := range testStores {
		var all tally
		for _, seed := range seeds {
			d := dice{rand.New(rand.NewPCG(seed, 77))}
			c := nativeCase{open: open, changes: d.changes()}
			api := c.load(t)
			for range 250 {
				c.request, c.most, c.principal = d.request(), 1<<40, nil
				switch d.IntN(12) {
				case 0:
					c.most = 1 + d.IntN(200)
				case 1:
					c.principal = []string{"s1", "s2", "s5"}[:1+d.IntN(3)]
				}
				diff, how := c.difference(api)
				if diff != "" {
					c.shrink(t)
					small, _ := c.difference(c.load(t))
					t.Fatalf("%s, seed %d: %s\nmade small: %s\n%s", name, seed, diff, small, c)
				}
				all.add(how)
			}
		}
		t.Logf("%s: %+v", name, all)
		if n := 250 * len(seeds); len(seeds) > 1 && (all.native < n/2 || all.answers < n/4 || all.declined < n/20 || all.rounded > n/10) {
			t.Errorf("%s: %+v of %d requests: that proves little", name, all, n)
		}
	}
}

// TestLargeAnswer writes some that are written by several goroutines, and one that is
// not: series with all values, with some from a step to another, and with gaps, at
// times of any length.
func TestLargeAnswer(t *testing.T) {
	for _, start := range []quantrac.Millis{testNow, testNow - 1, 1e12 - 5000, 1e13 - 5000, -3000, quantrac.MinMillis, math.MinInt64, math.MaxInt64 - 119_000} {
		g := newGrid(start, start+119_000, time.Second)
		for _, series := range []int{300, 4} {
			r := &rows{kind: parser.ValueTypeMatrix, grid: g, memory: &memory{}}
			var c columns
			for i := range series {
				c.reset(g.steps)
				for k := range g.steps {
					switch v := float64(i) / float64(k+1); i % 4 {
					case 0:
						c.set(k, float64(k*i-999)/1000) // from below 0 to above 1000
					case 1:
						if k > 2 && k < 70+i%40 {
							c.set(k, math.Trunc(v*100)/10)
						}
					case 2:
						if (i+k)%7 > 0 {
							c.set(k, v)
						}
					default:
						if k == i%g.steps {
							c.set(k, v)
						}
					}
				}
				if err := r.add(quantrac.NewLabels("__name__", "x", "station", fmt.Sprint("s", i)), c); err != nil {
					t.Fatal(err)
				}
			}
			if got, want := render(r), render(r.engineValue()); got != want {
				t.Errorf("from %d: %d bytes are not those of the engine's result, %d", start, len(got), len(want))
			}
			w := newWriter(context.Background(), refusing{}, &buffers{})
			w.value(r)
			w.close()
			if w.err == nil {
				t.Error("a connection that takes nothing is no error")
			}
		}
	}
}

type refusing struct{}

func (refusing) Write([]byte) (int, error) { return 0, errors.New("no") }

// TestPaths says which expressions go which way.
func TestPaths(t *testing.T) {
	e, clock := openFixture(t)
	api := New(e, newTestRegistry(), Options{Clock: clock})
	f := func(expr string, native bool) {
		t.Helper()
		before := api.Stats()
		_, err1 := api.Instant(context.Background(), expr, testNow)
		_, err2 := api.Range(context.Background(), expr, testNow-hour, testNow, 10*time.Minute)
		if err := errors.Join(err1, err2); err != nil {
			t.Fatal(err)
		}
		after := api.Stats()
		if got, engine := after.Native-before.Native, after.Engine-before.Engine; got+engine != 2 || (got == 2) != native || got == 1 {
			t.Errorf("%s: %d evaluations on native paths, %d by the engine", expr, got, engine)
		}
	}
	const m = "water_level_meters"
	f(m, true)
	f(m+" offset 10m", true)
	f("("+m+`{river="Tiền"})`, true)
	f("max by (river) ("+m+")", true)
	f("group without (station) (("+m+"))", true)
	for name := range rangeFunctions {
		f(name+"("+m+"[1h])", true)
		f("sum by (commune) ("+name+"("+m+"[1h] offset 5m))", true)
	}
	f(`rate({__name__=~"water.*"}[1h])`, true)
	f("max by (__name__) (last_over_time("+m+"[1h]))", true)
	f("max by (__name__) (max_over_time("+m+"[1h]))", false)
	f("1", false)
	f(m+" * 2", false)
	f("-"+m, false)
	f(m+" @ end()", false)
	f("max_over_time("+m+"[1h:10m])", false)
	f("max_over_time("+m+"[1h] @ 1795392000)", false)
	f("stddev_over_time("+m+"[1h])", false)
	f("topk(1, "+m+")", false)
	f("quantile(0.5, "+m+")", false)
	f("max(max("+m+"))", false)
	f("abs("+m+")", false)

	// Stations whose levels and forecasts would become one series.
	f(`last_over_time({__name__=~".+"}[1h])`, true)
	e2 := openOracle(t, clock)
	put(t, e2, quantrac.NewLabels("station", "tq"), "a", testNow-hour, 10*minute, 1, 2, 3)
	put(t, e2, quantrac.NewLabels("station", "tq"), "b", testNow-20*minute, 10*minute, 4, 5, 6)
	api = New(e2, newTestRegistry(), Options{Clock: clock})
	if _, err := api.Instant(context.Background(), `max_over_time({__name__=~"a|b"}[15m])`, testNow-50*minute); err != nil || api.Stats().Native != 1 {
		t.Errorf("two metrics, one at a time: %v, %+v", err, api.Stats())
	}
	if _, err := api.Instant(context.Background(), `max_over_time({__name__=~"a|b"}[1h])`, testNow); err == nil || api.Stats().Engine != 1 {
		t.Errorf("two metrics that become one: %v, %+v", err, api.Stats())
	}
	api = New(e, newTestRegistry(), Options{Clock: clock, NoNative: true})
	f("1", false)
	f(m, false)
}

func TestLeaveOut(t *testing.T) {
	list := []int{9, 1, 9, 9, 2, 9, 9, 9, 3, 9, 9}
	got := leaveOut(list, func(l []int) bool {
		return slices.Contains(l, 1) && slices.Contains(l, 2) && slices.Contains(l, 3)
	})
	if !slices.Equal(got, []int{1, 2, 3}) {
		t.Errorf("left are %v", got)
	}
}
