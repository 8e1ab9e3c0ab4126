package promql

import (
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"time"

	"quantrac"
)

// The random data and expressions of the test that compares native paths with
// the engine.

// change is a batch, or a flush where it is nil, perhaps with a merge, and the
// time of the clock.
type change struct {
	at    quantrac.Millis
	batch *quantrac.Batch
	merge bool
}

// String writes a change so that it can be read in a report.
func (c change) String() string {
	if c.batch == nil {
		return fmt.Sprintf("flush, merge %v", c.merge)
	}
	var b strings.Builder
	fmt.Fprintf(&b, "kind %d at %s, model %q, issue %s", c.batch.Kind, c.at, c.batch.Model, c.batch.Issue)
	for _, r := range c.batch.Rows {
		fmt.Fprintf(&b, "\n\t%v %d", r.Group, r.Time)
		for _, c := range r.Cells {
			fmt.Fprintf(&b, " %s=%v/%d", c.Property, c.Value, c.Quality.Code())
			if c.Value != c.Value {
				fmt.Fprintf(&b, "(%x)", math.Float64bits(c.Value))
			}
		}
	}
	return b.String()
}

// nativeMetrics have intervals of 5 minutes, 2 hours and none; two look like
// counters.
var nativeMetrics = []string{"fast", "slow", "loose", "rain_total", "pulses_count"}

// nativeRegistry knows four of six stations, with metadata that change.
func nativeRegistry() *testRegistry {
	reg := &testRegistry{
		stations:  map[string][]entry{},
		intervals: map[string]time.Duration{"fast": 5 * time.Minute, "slow": 2 * time.Hour, "rain_total": 10 * time.Minute},
	}
	for i := range 4 {
		reg.stations[fmt.Sprint("s", i)] = []entry{
			{quantrac.MinMillis, quantrac.NewLabels("commune", fmt.Sprint("c", i%2), "river", fmt.Sprint("r", i%3))},
			{testNow - 6*hour, quantrac.NewLabels("commune", fmt.Sprint("c", i%3))},
		}
	}
	return reg
}

// dice makes random things.
type dice struct{ *rand.Rand }

func oneOf[T any](d dice, of ...T) T { return of[d.IntN(len(of))] }

// values returns a source of values of one character.
func (d dice) values() func() float64 {
	count, same := 0.0, oneOf(d, 7.25, 0.1, math.Inf(1))
	return oneOf(d,
		func() float64 { return float64(d.IntN(5000)-1000) / 1000 },
		func() float64 { return float64(d.IntN(3)) },
		func() float64 { return d.NormFloat64() * math.Pow(10, float64(d.IntN(30)-15)) },
		func() float64 { return same },
		func() float64 {
			if count += float64(d.IntN(5)); d.IntN(12) == 0 {
				count = 0
			}
			return count
		},
		func() float64 { return oneOf(d, math.NaN(), math.Inf(1), math.Inf(-1), 1, 2) },
		func() float64 { return oneOf(d, staleNaN, 1, 2, 3) },
		func() float64 { return oneOf(d, 0, math.Copysign(0, -1), 1) },
		func() float64 { return oneOf(d, math.MaxFloat64, -math.MaxFloat64, 1e308) },
	)
}

// changes makes the data of a case: readings with gaps and jitter, late, again,
// of every quality, corrections, forecasts.
func (d dice) changes() []change {
	var out []change
	at := testNow - 2*hour
	for range 10 + d.IntN(50) {
		at += quantrac.Millis(d.IntN(4000))
		if d.IntN(10) == 0 {
			out = append(out, change{at, nil, d.IntN(2) == 0})
			continue
		}
		out = append(out, change{at, d.batch(), false})
	}
	return out
}

func (d dice) batch() *quantrac.Batch {
	b := &quantrac.Batch{}
	group := quantrac.NewLabels("station", fmt.Sprint("s", d.IntN(6)), "sensor", oneOf(d, "", "", "a", "b"))
	metric, step := oneOf(d, nativeMetrics...), oneOf(d, minute, 5*minute, 10*minute, 2*hour)
	switch d.IntN(9) {
	case 0:
		b.Kind, b.Author, b.Reason = quantrac.Corrections, "an", "test"
	case 1:
		b.Kind, b.Model, b.Issue = quantrac.Forecasts, "arx", testNow-3*hour
		group, step = group.With("model", "arx"), hour
	case 2:
		group = quantrac.NewLabels("site", oneOf(d, "", "x"))
	}
	t := testNow - oneOf(d, day, day, 6*day) + quantrac.Millis(d.IntN(24*60))*minute
	value, jitter := d.values(), d.IntN(4) == 0
	for range 1 + d.IntN(60) {
		c := quantrac.Cell{Property: metric, Value: value(), Quality: quantrac.Good}
		switch d.IntN(40) {
		case 0:
			c.Quality = quantrac.Fail
		case 1:
			c.Quality = quantrac.Suspect
		case 2:
			c.Quality = quantrac.Missing
		}
		stamp := t
		if jitter {
			stamp += quantrac.Millis(d.IntN(3000))
		}
		// Nobody corrects what is not yet, and devices are not ahead.
		if b.Kind == quantrac.Forecasts || stamp <= testNow-2*hour {
			b.Rows = append(b.Rows, quantrac.Row{Group: group, Time: stamp, Cells: []quantrac.Cell{c}})
		}
		if t += step; d.IntN(15) == 0 {
			t += quantrac.Millis(d.IntN(200)) * minute
		}
	}
	if len(b.Rows) == 0 {
		return d.batch()
	}
	return b
}

func (d dice) selector() string {
	name := oneOf(d, nativeMetrics...)
	ms := []string{}
	if d.IntN(5) == 0 {
		name, ms = "", []string{oneOf(d, `__name__=~".+"`, `__name__=~"fast|slow"`, `__name__!="loose"`, `__name__="fast"`)}
	}
	for range oneOf(d, 0, 0, 0, 1, 2) {
		ms = append(ms, oneOf(d, `station="s1"`, `station!="s2"`, `station=~"s[0-3]"`, `sensor=""`, `sensor!=""`, `commune="c1"`, `commune!="c0"`, `river=""`, `river=~"r.*"`, `model=""`, `site!="x"`))
	}
	if d.IntN(8) == 0 {
		ms = append(ms, oneOf(d, `__quality__="1"`, `__quality__="all"`, `__quality__="3,4,9"`, `__revision__="device"`,
			fmt.Sprintf(`__asof__="%d.500"`, (testNow-2*hour)/second+quantrac.Millis(d.IntN(60))), fmt.Sprintf(`__registry_at__="%d"`, (testNow-12*hour)/second)))
	}
	if len(ms) > 0 {
		name += "{" + strings.Join(ms, ",") + "}"
	}
	return name
}

// modifier is mostly nothing; @ has no native path.
func (d dice) modifier() string {
	return oneOf(d, "", "", "", "", "", "", "", "", " offset 7m", " offset 3h", " offset -90m", " offset 1234ms", fmt.Sprintf(" @ %d", testNow/second-5000), " @ end()")
}

// expr is an expression of a native shape, or nearly.
func (d dice) expr() string {
	expr := d.selector()
	if d.IntN(4) > 0 {
		window := oneOf(d, "1m", "10m", "1h", "1h", "5h", "5h", "1d", "1d", "4d", "61s", "3723ms", "100y")
		if d.IntN(25) == 0 {
			window += oneOf(d, ":5m", ":")
		}
		function := oneOf(d, "min", "max", "sum", "count", "avg", "last", "first", "present") + "_over_time"
		switch d.IntN(5) {
		case 0, 1:
			function = oneOf(d, "rate", "increase", "delta", "deriv")
		case 2:
			function = oneOf(d, "last_over_time", "last_over_time", "irate", "absent_over_time", "stddev_over_time")
		}
		expr = function + "(" + oneOf(d, expr+"["+window+"]"+d.modifier(), "("+expr+"["+window+"])") + ")"
	} else {
		expr += d.modifier()
	}
	if d.IntN(12) == 0 {
		expr = "(" + expr + ")"
	}
	if d.IntN(2) == 0 {
		op := oneOf(d, "min", "max", "sum", "count", "avg", "group", "min", "max", "sum", "count", "avg", "max", "stddev")
		by := oneOf(d, "", " by (station)", " by (commune)", " by (river, station)", " by (sensor, __name__)", " by ()", " without (station)", " without (commune, sensor)", " without ()", " by (nothing, station, station)", " without (__name__)")
		expr = op + by + " (" + expr + ")"
	}
	if d.IntN(12) > 0 {
		return expr
	}
	return oneOf(d, "("+expr+")", "-"+expr, expr+" * 2", expr+" > 1")
}

// request asks for an expression at a time or over a range.
func (d dice) request() request {
	r := request{expr: d.expr(), end: testNow - 20*hour + quantrac.Millis(d.IntN(24*60))*minute}
	if d.IntN(4) == 0 {
		r.end = testNow // when there are last values
	}
	r.start = r.end
	if d.IntN(2) == 0 {
		step := oneOf(d, quantrac.Millis(1+d.IntN(5000)), minute, 10*minute, hour, quantrac.Millis(1+d.IntN(90))*minute)
		r.start -= step*quantrac.Millis(d.IntN(60)) + quantrac.Millis(d.IntN(2)*d.IntN(500))
		r.step = time.Duration(step) * time.Millisecond
	}
	if d.IntN(6) == 0 {
		r.lookback = time.Duration(1+d.IntN(200)) * time.Minute
	}
	if d.IntN(10) == 0 {
		r.asOf = testNow - 2*hour + quantrac.Millis(d.IntN(60_000))
	}
	return r
}
