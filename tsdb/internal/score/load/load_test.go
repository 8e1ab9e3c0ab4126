package load

import (
	"bytes"
	"fmt"
	"iter"
	"math"
	"testing"
	"time"
)

// bytesOf returns a whole load.
func bytesOf(n Network) []byte {
	var b []byte
	for batch := range n.Batches(100) {
		b = append(b, batch.Lines...)
	}
	return b
}

func TestDeterministic(t *testing.T) {
	n := Province(7, 300)
	if !bytes.Equal(bytesOf(n), bytesOf(n)) {
		t.Error("two runs of one network differ")
	}
	other := n
	other.Seed++
	if bytes.Equal(bytesOf(n), bytesOf(other)) {
		t.Error("networks of two seeds are the same")
	}
}

// TestBatchSize wants the batches' size to change nothing else.
func TestBatchSize(t *testing.T) {
	n := Province(7, 100)
	var b []byte
	lines, values := 0, 0
	for batch := range n.Batches(13) {
		if batch.Count != bytes.Count(batch.Lines, []byte{'\n'}) || batch.Values != 5*batch.Count {
			t.Fatalf("a batch of %d lines says %d and %d values", bytes.Count(batch.Lines, []byte{'\n'}), batch.Count, batch.Values)
		}
		b = append(b, batch.Lines...)
		lines, values = lines+batch.Count, values+batch.Values
	}
	if !bytes.Equal(b, bytesOf(n)) {
		t.Error("batches of 13 lines are not those of 100, end to end")
	}
	if lines == 0 || values != 5*lines {
		t.Errorf("%d lines of %d values", lines, values)
	}
}

// census is what a load turns out to hold.
type census struct {
	lines, jitter, late int
	longest             time.Duration // that a line was late
	series              map[string]int
	bytes               int
}

// count reads a load. A line is late where a newer step came before it.
func count(t *testing.T, n Network) census {
	t.Helper()
	c := census{series: map[string]int{}}
	var newest time.Time
	b := bytesOf(n)
	c.bytes = len(b)
	for l, err := range Parse(b) {
		if err != nil {
			t.Fatal(err)
		}
		c.lines++
		at := l.Time.Truncate(n.Step)
		if off := l.Time.Sub(at); off > 0 {
			c.jitter++
			if off < time.Second || off > 3*time.Second {
				t.Errorf("jitter of %s", off)
			}
		}
		if at.Before(newest) {
			c.late++
			c.longest = max(c.longest, newest.Sub(at))
		} else {
			newest = at
		}
		for _, f := range l.Fields {
			c.series[l.Station()+f.Metric]++
		}
	}
	return c
}

func near(t *testing.T, what string, got, want, within float64) {
	t.Helper()
	if math.Abs(got-want) > within {
		t.Errorf("%s: %.4f, want %.4f ± %.4f", what, got, want, within)
	}
}

// TestRates wants the shares of the published load: 2 % missing, 1 % with
// jitter, 3.5 % late by up to five days, some 150 bytes a line.
func TestRates(t *testing.T) {
	n := Province(40, 144*10)
	c := count(t, n)
	all := float64(n.Stations * n.Steps)
	near(t, "missing", 1-float64(c.lines)/all, 0.02, 0.003)
	near(t, "jitter", float64(c.jitter)/float64(c.lines), 0.01, 0.002)
	near(t, "late", float64(c.late)/float64(c.lines), 0.035, 0.004)
	near(t, "days of the latest", c.longest.Hours()/24, 5, 0.1)
	near(t, "bytes a line", float64(c.bytes)/float64(c.lines), 150, 5)
	if len(c.series) != n.Series() {
		t.Errorf("%d series, want %d", len(c.series), n.Series())
	}
}

// TestEquipment wants water level at every station, and every property at some.
func TestEquipment(t *testing.T) {
	c := count(t, Province(60, 2))
	have := map[string]int{}
	for s := range c.series {
		have[s[len("s000000"):]]++
	}
	if have[Metric(0)] != 60 {
		t.Errorf("%d stations carry %s, want all 60", have[Metric(0)], Metric(0))
	}
	for i := range properties {
		if n := have[Metric(i)]; n < 20 {
			t.Errorf("%d of 60 stations carry %s; that is no mixture", n, Metric(i))
		}
	}
}

// TestSingles wants one value of every series at every minute.
func TestSingles(t *testing.T) {
	c := count(t, Singles(50, 4))
	for s, n := range c.series {
		if n != 4 {
			t.Errorf("%s has %d values, want 4", s, n)
		}
	}
	if len(c.series) != 50 || c.late+c.jitter != 0 {
		t.Errorf("%d series, %d late, %d with jitter, want 50 and none", len(c.series), c.late, c.jitter)
	}
}

func TestFile(t *testing.T) {
	n := Province(5, 50)
	f, err := Write(t.TempDir(), "load", n.Batches(20))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	var b, buf []byte
	values := 0
	for i := range f.Batches() {
		var k int
		if buf, k, err = f.Batch(i, buf); err != nil {
			t.Fatal(err)
		}
		b, values = append(b, buf...), values+k
	}
	if want := bytesOf(n); !bytes.Equal(b, want) || f.Bytes() != int64(len(want)) {
		t.Errorf("the file gives back %d bytes and says %d, want the load's %d", len(b), f.Bytes(), len(want))
	}
	if values != f.Values || f.Values != 5*f.Lines {
		t.Errorf("%d values in the batches, %d of %d lines in all", values, f.Values, f.Lines)
	}
}

// TestStragglers wants late readings between the network's own, of its own
// stations, none of them twice.
func TestStragglers(t *testing.T) {
	n := Province(9, 500)
	seen := map[string]bool{}
	for i := range 5 {
		for l, err := range Parse(n.Stragglers(i, 20, 24*time.Hour)) {
			if err != nil {
				t.Fatal(err)
			}
			off := l.Time.Sub(l.Time.Truncate(n.Step))
			if off < n.Step/2 || off > n.Step/2+time.Second || l.Time.Before(n.Until.Add(-24*time.Hour)) || l.Time.After(n.Until) {
				t.Errorf("a reading at %s", l.Time)
			}
			if l.Station() >= Station(n.Stations) || len(l.Fields) != 1 || l.Fields[0].Metric != Metric(0) || l.Fields[0].Value < 3.5 {
				t.Errorf("a line %+v", l)
			}
			seen[l.Station()+l.Time.String()] = true
		}
	}
	if len(seen) != 100 {
		t.Errorf("%d different readings, want 100", len(seen))
	}
	if !bytes.Equal(n.Stragglers(3, 20, time.Hour), n.Stragglers(3, 20, time.Hour)) {
		t.Error("one batch is not the same twice")
	}
}

func TestParseErrors(t *testing.T) {
	for _, bad := range []string{"obs,station=a x=1", "obs,station=a x=one 1", "obs,station=a x=1 now"} {
		next, stop := iter.Pull2(Parse([]byte(bad + "\n")))
		if l, err, ok := next(); err == nil || !ok {
			t.Errorf("%q reads as %+v", bad, l)
		}
		stop()
	}
}

func BenchmarkBatches(b *testing.B) {
	n := Province(2000, 10)
	for b.Loop() {
		bytes := 0
		for batch := range n.Batches(5000) {
			bytes += len(batch.Lines)
		}
		b.SetBytes(int64(bytes))
		b.ReportMetric(float64(bytes)/float64(n.Stations*n.Steps), "B/line")
	}
}

func ExampleNetwork() {
	for b := range Province(2, 1).Batches(10) {
		fmt.Printf("%s", b.Lines)
	}
	// Output:
	// obs,station=s000000,area=area_00,basin=river_0 water_level_m=1.854,temperature_c=26.1,ph=7.15,salinity_g_l=1.35,insect_count=11 1795132200000000000
	// obs,station=s000001,area=area_01,basin=river_1 water_level_m=1.624,temperature_c=26.6,ph=7.14,battery_v=12.30,rainfall_mm=0.0 1795132200000000000
}
