package alerting

import (
	"context"
	"fmt"
	"math"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"quantrac"
	"quantrac/alerting/cap"
	"quantrac/alerting/cap/captest"
	"quantrac/alerting/level"
	"quantrac/alerting/level/leveltest"
	"quantrac/internal/journal"
	"quantrac/internal/projection"
	"quantrac/internal/shared"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// TestCAPOfEverything puts every kind of revision the room says through CAP
// and the judge of it: not even a recommendation is left.
func TestCAPOfEverything(t *testing.T) {
	reg := &registry{}
	r := newRoom(t, reg)
	r.o.Authority = func(string, quantrac.Millis) string { return "Đài Khí tượng Thủy văn tỉnh" }
	r.o.Validity = 4 * time.Hour
	r.reopen()
	var dead atomic.Bool
	r.play(drama(), 0, &dead)
	reg.set(laws()[1]...)
	r.registryChanged()
	r.read("tan-quoi", at(5*time.Hour), 1.3, quantrac.Suspect)
	r.clock.Set(at(9 * time.Hour)) // renewed, and silent
	eventually(t, func() bool { return len(r.a.Current(staff(), quantrac.AudienceStaff)) >= 2 })
	for i, run := range []*quantrac.Outlook{
		outlook(at(9*time.Hour), 0.7, 0.6), outlook(at(9*time.Hour), 0.7, 0.2), outlook(at(10*time.Hour), 0.2, 0.1), outlook(at(11*time.Hour), 0.1, 0.1),
		outlook(at(12*time.Hour), 0.6), outlook(at(13 * time.Hour)),
	} {
		run.Sensor = "radar"
		if r.append(runRecord(run)); i == 0 {
			r.o.Authority = nil // what was public ends in public all the same
			r.reopen()
		}
	}
	reg.mu.Lock()
	reg.simulated = true
	reg.mu.Unlock()
	r.read("tan-quoi", at(9*time.Hour+minute), 1.35)
	r.read("tan-quoi", at(9*time.Hour+2*minute), 1.0)
	episodes := map[string][]quantrac.Warning{}
	kinds := map[string]int{}
	for _, w := range r.all() {
		alert := cap.FromWarning(&w, episodes[w.ID], cap.Options{})
		episodes[w.ID] = append(episodes[w.ID], w)
		doc, err := alert.Encode()
		if err != nil {
			t.Fatal(err)
		}
		report := captest.Check(doc)
		// The one station of the test without coordinates can only be named.
		report.Advice = slices.DeleteFunc(report.Advice, func(s string) bool {
			return w.Lat == 0 && strings.HasSuffix(s, "geocode alone")
		})
		if !report.Clean() {
			t.Errorf("%s: %s\n%s", brief(w), report, doc)
		}
		if (alert.Status == "Actual") == w.Simulated {
			t.Errorf("%s: simulated %t goes out as %s", brief(w), w.Simulated, alert.Status)
		}
		kinds[w.Rule+" "+string(w.State)]++
	}
	t.Log(kinds)
	for _, k := range []string{"level issue", "level update", "level all_clear", "level cancel", "silence issue", "silence all_clear",
		"forecast issue", "forecast update", "forecast all_clear", "forecast cancel"} {
		if kinds[k] == 0 {
			t.Errorf("no %s among them", k)
		}
	}
}

// TestFullDisk: readings are refused, warnings still journal, and all goes on
// when there is space again.
func TestFullDisk(t *testing.T) {
	mem := vfs.NewMem()
	clock := quantrac.NewManualClock(t0)
	open := func() *journal.Journal {
		j, err := journal.Open(mem, "/journal", journal.Options{Clock: clock, MinFreeBytes: 64 << 10, ReserveBytes: 64 << 10})
		if err != nil {
			t.Fatal(err)
		}
		return j
	}
	j := open()
	defer j.Close()
	a, err := Open(context.Background(), "/alerting", j, tsdb.DecodeBatch, watch(1.5), Options{Clock: clock, FS: mem, Database: projection.Memory})
	if err != nil {
		t.Fatal(err)
	}
	defer a.Close()
	go func() { _ = a.Run(context.Background()) }()
	send := func(d time.Duration, v float64) error {
		clock.Set(at(d))
		c, err := j.Append(context.Background(), batchRecord(&quantrac.Batch{Rows: []quantrac.Row{row("tram-chim", at(d), v, quantrac.Good)}}))
		if err == nil {
			err = a.Wait(ctxT(t), c[0].Number)
		}
		return err
	}
	if err := send(0, 1.7); err != nil {
		t.Fatal(err)
	}
	mem.SetCapacity(mem.Used() + 32<<10)
	if err := send(15*minute, 1.0); quantrac.KindOf(err) != quantrac.Unavailable || !strings.Contains(err.Error(), "full") {
		t.Fatalf("a reading on a full disk: %v", err)
	}
	clock.Set(at(3 * time.Hour))
	eventually(t, func() bool { return len(a.Current(staff(), quantrac.AudienceStaff)) == 2 }) // it fell silent
	if err := send(3*time.Hour, 1.0); err == nil {
		t.Fatal("still full, and yet taken")
	}
	mem.SetCapacity(1 << 30)
	for i := 0; ; i++ {
		if err := send(3*time.Hour+time.Duration(i)*minute, 1.0); err == nil {
			break
		} else if i > 1000 {
			t.Fatalf("space again, but: %v", err)
		}
		time.Sleep(10 * time.Millisecond)
	}
	if open := a.Current(staff(), quantrac.AudienceStaff); len(open) != 1 || open[0].Rule != quantrac.RuleLevel {
		t.Fatalf("%+v", open)
	}
}

// TestLogan sends a recorded year of a river through the journal, a day in a
// batch, and compares what the room says with the second implementation.
func TestLogan(t *testing.T) {
	stages := shared.Logan(t, "BlackSmithFork2015.csv.gz")
	reg := &registry{}
	reg.set(thresholds("tram-chim", quantrac.ThresholdWatch, 0.005, 6*time.Hour, 0.44, 0.46, 0.47)...)
	r := newRoom(t, reg)
	r.o.SilenceHold, r.o.Validity = -1, 1000*24*time.Hour
	r.close()
	r.clock.Set(quantrac.FloorMillis(time.Date(2017, 1, 1, 0, 0, 0, 0, time.UTC)))
	r.open()
	set := readRules(reg).get("tram-chim", "water_level_meters")
	naive := &leveltest.Naive{}
	naive.Load(set.rule(quantrac.ThresholdWatch))
	var want []string
	b := &quantrac.Batch{}
	faults := 0
	for _, st := range stages {
		if math.IsNaN(st.CM) {
			continue
		}
		q := quantrac.Good
		if st.CM < -100 || st.CM > 1000 {
			q, faults = quantrac.Fail, faults+1
		}
		rd := level.Reading{Time: quantrac.FloorMillis(st.At), Value: st.CM / 100, Quality: q}
		if tr := leveltest.Quick(naive, rd); tr.Change != level.None {
			want = append(want, fmt.Sprintf("%s %d at %s", stateOf(tr.Change), tr.To, tr.Time))
		}
		b.Rows = append(b.Rows, row("tram-chim", rd.Time, rd.Value, q))
		if len(b.Rows) == 96 {
			r.append(batchRecord(b))
			b = &quantrac.Batch{}
		}
	}
	if len(b.Rows) > 0 {
		r.append(batchRecord(b))
	}
	var got []string
	for _, w := range r.all() {
		got = append(got, fmt.Sprintf("%s %d at %s", w.State, w.Level, w.ValidTime))
	}
	if !slices.Equal(got, want) || len(want) < 20 || faults == 0 {
		t.Fatalf("%d said, %d wanted, %d faults:\n%s\n%s", len(got), len(want), faults, lines(got), lines(want))
	}
	t.Logf("%d transitions, %d fault values", len(want), faults)
}

// BenchmarkJudge is the cost of a batch with one row of a watched station that
// brings nothing about, from its bytes on.
func BenchmarkJudge(b *testing.B) {
	r := newRoom(b, watch(1.5, 2.0, 2.5))
	g := &judge{a: r.a, rules: readRules(r.reg), series: map[string]*series{}, foreseen: map[string]*foreseen{}}
	bt := &quantrac.Batch{Rows: []quantrac.Row{row("tram-chim", t0, 1.0, quantrac.Good)}}
	bt.Rows[0].Cells = append(bt.Rows[0].Cells, quantrac.Cell{Property: "battery_volts", Value: 12.6}, quantrac.Cell{Property: "rainfall_millimeters"})
	b.ReportAllocs()
	for i := 0; b.Loop(); i++ {
		bt.Rows[0].Time = at(time.Duration(i) * time.Second)
		rec := batchRecord(bt)
		ev, err := r.a.eventOf(journal.Entry{Commit: quantrac.Commit{Number: uint64(i + 1), Time: bt.Rows[0].Time}, Kind: rec.Kind, Data: rec.Data})
		if err != nil {
			b.Fatal(err)
		}
		if err := g.take(context.Background(), ev); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "batches/s")
}
