package tsdb_test

import (
	"context"
	"flag"
	"fmt"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// makeFormat is set once for every format version that is released:
// go test ./tsdb -run TestFormats -make-format 2
var makeFormat = flag.Int("make-format", 0, "write the folder of this format version, which must not be there")

// formatClock is when the folders are read: after everything in them.
const formatClock = quantrac.Millis(1_800_000_000_000)

// TestFormats opens the folders that earlier versions have written, and reads
// from them what was in them, now and at every commit; then merges and reads
// again.
func TestFormats(t *testing.T) {
	if *makeFormat > 0 {
		writeFormat(t, filepath.Join("testdata", fmt.Sprintf("format-%d", *makeFormat)))
	}
	folders, err := filepath.Glob("testdata/format-*")
	if err != nil || len(folders) == 0 {
		t.Fatalf("no folders of earlier versions: %v", err)
	}
	for _, folder := range folders {
		t.Run(filepath.Base(folder), func(t *testing.T) {
			dir := t.TempDir()
			if err := os.CopyFS(dir, os.DirFS(folder)); err != nil {
				t.Fatal(err)
			}
			want, err := os.ReadFile(filepath.Join(folder, "content.txt"))
			if err != nil {
				t.Fatal(err)
			}
			checkFormat(t, dir)
			for _, step := range []string{"as it was", "merged", "opened again"} {
				db := openFormat(t, dir)
				if step == "merged" {
					if err := db.Flush(context.Background()); err != nil {
						t.Fatal(err)
					}
					if err := db.Compact(context.Background()); err != nil {
						t.Fatal(err)
					}
				}
				if got := formatContent(t, db); got != string(want) {
					t.Errorf("%s: content differs from content.txt:\n%s", step, firstDifference(got, string(want)))
				}
				if err := db.Close(); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// checkFormat compares what the files of a folder say twice.
func checkFormat(t *testing.T, dir string) {
	t.Helper()
	f, err := tsdb.OpenFolder(vfs.OS(), filepath.Join(dir, "tsdb"))
	if err != nil {
		t.Fatal(err)
	}
	found, err := f.Check(context.Background(), nil)
	if err != nil || len(found) == 0 {
		t.Fatalf("%d files, %v", len(found), err)
	}
	for _, i := range found {
		if i.Error != "" {
			t.Errorf("%s: %s", i.Name, i.Error)
		}
	}
}

func firstDifference(got, want string) string {
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range g {
		if i >= len(w) || g[i] != w[i] {
			return fmt.Sprintf("line %d: got %q, want %q", i+1, g[i], strings.Join(w[min(i, len(w)):min(i+1, len(w))], ""))
		}
	}
	return fmt.Sprintf("%d lines, want %d", len(g), len(w))
}

func openFormat(t *testing.T, dir string) *engine {
	t.Helper()
	clock := quantrac.NewManualClock(formatClock)
	j, err := journal.Open(vfs.OS(), filepath.Join(dir, "journal"), journal.Options{Clock: clock, ReserveBytes: -1, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	db, err := tsdb.Open(vfs.OS(), filepath.Join(dir, "tsdb"), j, tsdb.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	return &engine{db, j}
}

// formatContent is everything that can be read from a store, as text.
func formatContent(t *testing.T, db *engine) string {
	t.Helper()
	var b strings.Builder
	show := func(q tsdb.Query, of func(station string) bool) {
		for _, q.DeviceOnly = range []bool{false, true} {
			q.From, q.To, q.Qualities = quantrac.MinMillis, quantrac.MaxMillis, quantrac.AllQualities
			fmt.Fprintf(&b, "as of %d, %d, device only %v\n", q.AsOfCommit, int64(q.AsOf), q.DeviceOnly)
			for s, err := range db.Select(context.Background(), q) {
				if err != nil {
					t.Fatal(err)
				}
				if !of(s.Labels.Station()) {
					continue
				}
				fmt.Fprintf(&b, "%s", s.Labels)
				for i := range s.Times {
					fmt.Fprintf(&b, " %d:%x/%d", int64(s.Times[i]), math.Float64bits(s.Values[i]), s.Qualities[i])
				}
				b.WriteByte('\n')
			}
		}
	}
	show(tsdb.Query{}, func(string) bool { return true })
	net := func(station string) bool { return strings.HasPrefix(station, "net-") }
	for commit, last := uint64(1), db.Stats().Applied; commit <= last; commit++ {
		if commit+80 >= last || commit%100 == 0 { // others are some of many messages
			show(tsdb.Query{AsOfCommit: commit}, func(station string) bool { return !net(station) })
		}
	}
	for at := quantrac.Millis(1_790_000_000_000); at <= 1_790_000_050_000; at += 5000 { // messages, several a second
		show(tsdb.Query{AsOf: at}, net)
	}
	last, err := db.Latest(context.Background(), nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range last {
		fmt.Fprintf(&b, "last %s %d %v/%d received %d in the second to %d\n", l.Labels, int64(l.Time), l.Value, l.Quality, int64(l.Received), int64(second(l.Commit.Time)))
	}
	return b.String()
}

// writeFormat writes a folder with everything that a store can hold, some of it
// in blocks, some merged, some only in the journal.
func writeFormat(t *testing.T, folder string) {
	t.Helper()
	if _, err := os.Stat(folder); err == nil {
		t.Fatalf("%s is there: a folder of a released format is never written again", folder)
	}
	clock := quantrac.NewManualClock(1_790_000_000_000)
	j, err := journal.Open(vfs.OS(), filepath.Join(folder, "journal"), journal.Options{Clock: clock, ReserveBytes: -1, MinFreeBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	d, err := tsdb.Open(vfs.OS(), filepath.Join(folder, "tsdb"), j, tsdb.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	db := &engine{d, j}
	ctx := context.Background()
	at := func(i int) quantrac.Millis { return 1_788_000_000_000 + quantrac.Millis(i)*600_000 }
	put := func(b *quantrac.Batch) {
		mustAppend(t, db.DB, b)
		clock.Set(clock.Now().Add(time.Minute))
	}
	formatMessages(t, db, clock)
	special := []float64{math.Inf(1), math.Copysign(0, -1), math.Float64frombits(0x7ff8000000000abc), 5e-324, math.Pi, 1 << 60}
	gauge, trap := quantrac.NewLabels("station", "tq"), quantrac.NewLabels("station", "bẫy", "species", "rầy nâu")
	for i := range 40 { // over the end of a partition
		r := quantrac.Row{Group: gauge, Time: at(i * 100), Received: at(i*100) + quantrac.Millis(i%3)*1100}
		r.Cells = []quantrac.Cell{{Property: "water_level_meters", Value: float64(2000+i*7%13) / 1000, Quality: quantrac.Quality(i % 4)}}
		if i%5 == 0 {
			r.Cells = append(r.Cells, quantrac.Cell{Property: "battery_volts", Value: special[i/5%len(special)]})
		}
		batch := &quantrac.Batch{Rows: []quantrac.Row{r}}
		if i%8 == 0 {
			batch.Rows = append(batch.Rows, quantrac.Row{Group: trap, Time: at(i * 144), Cells: []quantrac.Cell{{Property: "insect_catch", Value: float64(i)}}})
		}
		put(batch)
		switch i {
		case 15, 25:
			err = db.Flush(ctx)
		case 30:
			if err = db.Flush(ctx); err == nil {
				err = db.Compact(ctx)
			}
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	lone := &quantrac.Batch{} // groups of a row or two, in packs
	for i := range 12 {
		for k := range 1 + i%3/2 {
			lone.Rows = append(lone.Rows, quantrac.Row{
				Group: quantrac.NewLabels("station", fmt.Sprintf("lone-%d", i), "area", fmt.Sprint(i%2)), Time: at(4000 + k),
				Cells: []quantrac.Cell{{Property: "rainfall_millimeters", Value: float64(i) / 5}},
			})
		}
	}
	put(lone)
	level := func(i int, v float64, q quantrac.Quality) []quantrac.Row {
		return []quantrac.Row{{Group: gauge, Time: at(i * 100), Cells: []quantrac.Cell{{Property: "water_level_meters", Value: v, Quality: q}}}}
	}
	put(&quantrac.Batch{Rows: level(3, 9.99, quantrac.Good)})
	put(&quantrac.Batch{Kind: quantrac.Corrections, Author: "an", Reason: "gauge fouled", Correction: "c1", Rows: level(3, 2.5, quantrac.Good)})
	put(&quantrac.Batch{Kind: quantrac.Corrections, Author: "bình", Reason: "double", Correction: "c2", Rows: level(7, math.NaN(), quantrac.Missing)})
	put(&quantrac.Batch{Kind: quantrac.Corrections, Author: "an", Reason: "drift", Rows: level(9, 2.25, quantrac.Suspect)})
	put(&quantrac.Batch{Kind: quantrac.Revocation, Author: "an", Reason: "it was right", Correction: "c1"})
	for run := range 2 {
		b := &quantrac.Batch{Kind: quantrac.Forecasts, Model: "arx", Issue: at(2000 + run)}
		for i := range 5 {
			b.Rows = append(b.Rows, quantrac.Row{
				Group: quantrac.NewLabels("station", "tq", "model", "arx"), Time: at(2001 + run*2 + i),
				Cells: []quantrac.Cell{{Property: "water_level_forecast_meters", Value: float64(i + run)}},
			})
		}
		put(b)
	}
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	put(&quantrac.Batch{Rows: level(3, 2.021, quantrac.Good)}) // again
	put(&quantrac.Batch{Rows: level(1, 7, quantrac.Good)})     // late, and stays in the journal
	clock.Set(formatClock)
	content := formatContent(t, db)
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(folder, "content.txt"), []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
}

// formatMessages puts rows of some stations, by a commit each, sends a number of
// them again that nothing predicts, so that a clock tells commits best, and keeps
// them in a block of their own.
func formatMessages(t *testing.T, db *engine, clock *quantrac.ManualClock) {
	t.Helper()
	rnd := rand.New(rand.NewPCG(4, 4))
	start := clock.Now()
	for i := range 40 {
		clock.Set(start + quantrac.Millis(i)*1000)
		for k := range 4 {
			clock.Set(clock.Now() + quantrac.Millis(rnd.IntN(200)))
			b := &quantrac.Batch{Rows: []quantrac.Row{{
				Group: quantrac.NewLabels("station", fmt.Sprintf("net-%d", k)), Time: start + quantrac.Millis(i)*1000,
				Cells: []quantrac.Cell{{Property: "ph", Value: float64(70+i%3) / 10, Quality: quantrac.Good}, {Property: "rain", Value: float64(i / 9), Quality: quantrac.Good}},
			}}}
			if rnd.IntN(9) > 0 {
				b.Rows[0].Received = clock.Now() / 1000 * 1000
			}
			mustAppend(t, db.DB, b)
			for n := rnd.IntN(40); i%4 == 0 && n > 0; n-- {
				mustAppend(t, db.DB, b)
			}
		}
	}
	mustAppend(t, db.DB, formatDays(start))
	clock.Set(start + 60_000)
	if err := db.Flush(context.Background()); err != nil {
		t.Fatal(err)
	}
	if err := db.Compact(context.Background()); err != nil {
		t.Fatal(err)
	}
}

// formatDays are some days of a station, long enough to be summed up, and of one
// whose salinity follows from its conductance.
func formatDays(start quantrac.Millis) *quantrac.Batch {
	b := &quantrac.Batch{}
	for i := range 300 {
		b.Rows = append(b.Rows, quantrac.Row{
			Group: quantrac.NewLabels("station", "net-days"), Time: start - quantrac.Millis(i)*600_000,
			Cells: []quantrac.Cell{
				{Property: "temp", Value: float64(250+i*i%97-i%31) / 10, Quality: quantrac.Quality(i / 40 % 4)},
				{Property: "turb", Value: float64(i*i%1009) / 4},
			},
		})
	}
	cond := 2000
	for i := range 300 {
		cond += i*i%41 - 20
		b.Rows = append(b.Rows, quantrac.Row{
			Group: quantrac.NewLabels("station", "net-sonde"), Time: start - quantrac.Millis(i)*900_000,
			Cells: []quantrac.Cell{
				{Property: "cond", Value: float64(cond) / 100, Quality: quantrac.Good},
				{Property: "sal", Value: float64(3+6*cond/100+cond*cond/500_000) / 10, Quality: quantrac.Good},
			},
		})
	}
	return b
}
