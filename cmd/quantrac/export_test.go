package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"quantrac"
	"quantrac/internal/exchange"
	"quantrac/tsdb"
)

// fillExchange writes what formats have to say: odd values and labels, received
// times, qualities, a correction, a deletion, a forecast.
func fillExchange(t *testing.T, dir string) {
	t.Helper()
	fill(t, dir, 2)
	j, db, err := coldStore{dir}.open(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	defer db.Close()
	put := func(b quantrac.Batch) {
		t.Helper()
		if _, err := db.Append(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
	}
	const start = 1_700_000_000_000
	values := []float64{
		0, math.Copysign(0, -1), 2.675, 1e-7, math.MaxFloat64, math.SmallestNonzeroFloat64, math.Inf(1), math.Inf(-1),
		math.NaN(), math.Float64frombits(0x7ff8000000000002), math.Float64frombits(0xfff0000000000001),
	}
	var b quantrac.Batch
	for i, v := range values {
		b.Rows = append(b.Rows, quantrac.Row{
			Group: quantrac.NewLabels("station", "tq", "place", "bến \"đò\",\r\ncũ"), Time: start + quantrac.Millis(i)*600_000, Received: start + quantrac.Millis(i%2)*900_000,
			Cells: []quantrac.Cell{{Property: "water_level_meters", Value: v}, {Property: "salinity", Value: float64(i), Quality: quantrac.Quality(i % 5)}},
		})
	}
	put(b)
	row := func(v float64, q quantrac.Quality) []quantrac.Row {
		return []quantrac.Row{{Group: b.Rows[2].Group, Time: b.Rows[2].Time, Cells: []quantrac.Cell{{Property: "water_level_meters", Value: v, Quality: q}}}}
	}
	put(quantrac.Batch{Rows: row(2.7, quantrac.Good)})
	put(quantrac.Batch{Kind: quantrac.Corrections, Author: "lan", Reason: "read, again", Correction: "c1", Rows: row(2.8, quantrac.Good)})
	put(quantrac.Batch{Kind: quantrac.Corrections, Author: "hoa", Reason: "no", Correction: "c2", Rows: row(0, quantrac.Missing)})
	put(quantrac.Batch{Kind: quantrac.Revocation, Author: "lan", Reason: "yes", Correction: "c2"})
	put(quantrac.Batch{Kind: quantrac.Forecasts, Model: "m", Issue: start, Rows: []quantrac.Row{{
		Group: quantrac.NewLabels("station", "tq", quantrac.LabelModel, "m"), Time: start + 3_600_000, Cells: []quantrac.Cell{{Property: "water_level_forecast_meters", Value: 3}},
	}}})
}

// versionsOf is what a store says, a line a revision.
func versionsOf(t *testing.T, dir string, every bool) (out []string) {
	t.Helper()
	j, db, err := coldStore{dir}.open(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	defer db.Close()
	for v, err := range db.Versions(context.Background(), tsdb.Export{Query: tsdb.Query{From: quantrac.MinMillis, To: quantrac.MaxMillis}, Every: every}) {
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, told(v.Labels, v.Times, v.Revisions, every)...)
	}
	return out
}

func told(ls quantrac.Labels, times []quantrac.Millis, revs []quantrac.Revision, every bool) (out []string) {
	for i, r := range revs {
		bits := math.Float64bits(r.Value)
		if r.Value = 0; !every {
			r.Commit = quantrac.Commit{}
		}
		out = append(out, fmt.Sprintf("%v %d %x %+v", ls, int64(times[i]), bits, r))
	}
	return out
}

// readFile is what a file says.
func readFile(t *testing.T, path string, format exchange.Format, every bool) (out []string) {
	t.Helper()
	in, err := openInput(path, format, exchange.ReadOptions{})
	if err != nil {
		t.Fatal(err)
	}
	defer in.close()
	for {
		s, err := in.reader.Next()
		if err == io.EOF {
			return out
		}
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, told(s.Labels, s.Times, s.Revisions, every)...)
	}
}

// do runs a command that has to succeed.
func do(t *testing.T, args ...string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(context.Background(), args, &out, &errs); code != 0 {
		t.Fatalf("%v: status %d: %s", args, code, &errs)
	}
	return out.String()
}

// TestExportFolder: what a stopped service holds comes out whole, in every format.
func TestExportFolder(t *testing.T) {
	dir := t.TempDir()
	fillExchange(t, dir)
	for _, every := range []bool{false, true} {
		want := versionsOf(t, dir, every)
		if len(want) < 20 {
			t.Fatalf("%d values, want more", len(want))
		}
		for _, f := range []exchange.Format{exchange.JSONLines, exchange.CSV, exchange.Parquet} {
			path := filepath.Join(t.TempDir(), "x")
			args := []string{"export", "--data", dir, "--format", string(f), "--out", path}
			if every {
				args = append(args, "--revisions")
			}
			do(t, args...)
			if got := readFile(t, path, f, every); !slices.Equal(got, want) {
				t.Errorf("%s, revisions %v: got\n%s\nwant\n%s", f, every, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if names, err := os.ReadDir(filepath.Dir(path)); err != nil || len(names) != 1 {
				t.Errorf("%s: left beside the file: %v, %v", f, names, err)
			}
		}
	}
	archive := filepath.Join(t.TempDir(), "archive.csv")
	do(t, "export", "--data", dir, "--format", "csv", "--revisions", "--out", archive)
	if said := do(t, "import", "--dry-run", archive); said != "26 values, nothing sent; 2 left out, as corrections by people\n" {
		t.Errorf("the archive brings in %q", said)
	}
	for _, c := range []struct{ args, want string }{
		{`--match salinity --start 1700000600 --end 1700001200`, "1\n2\n"},
		{`--match salinity{__quality__="4"}`, "3\n8\n"},
		{`--match {__name__="salinity",station="tq"} --match {__name__=~"salinity|x"} --start 1700006000`, "10\n"},
		{`--match water_level_meters{__revision__="device"} --start 1700001200 --end 1700001200`, "2.7\n"},
		{`--match water_level_meters --start 1700001200 --end 1700001200`, "2.8\n"},
		{`--match nothing`, ""},
	} {
		out := do(t, append([]string{"export", "--data", dir, "--format", "csv"}, strings.Fields(c.args)...)...)
		head, rest, _ := strings.Cut(out, "\r\n")
		at := slices.Index(strings.Split(head, ","), "value")
		got := ""
		for line := range strings.Lines(strings.ReplaceAll(rest, "bến \"\"đò\"\",\r\ncũ", "")) {
			got += strings.Split(line, ",")[at] + "\n"
		}
		if got != c.want {
			t.Errorf("%s: values %q, want %q of\n%s", c.args, got, c.want, out)
		}
	}
}

// brokenSource gives series and breaks off.
type brokenSource struct {
	folderSource
	after int // stretches
}

var errBroken = errors.New("broken off")

func (s *brokenSource) each(ctx context.Context, show func(*exchange.Stretch, int) error) error {
	n := 0
	return s.folderSource.each(ctx, func(x *exchange.Stretch, left int) error {
		if n++; n > s.after {
			return errBroken
		}
		return show(x, left)
	})
}

// TestExportResume breaks an export off after each series; going on, it comes to
// the same file, of the state in which it began.
func TestExportResume(t *testing.T) {
	dir := t.TempDir()
	fillExchange(t, dir)
	for _, format := range []exchange.Format{exchange.CSV, exchange.JSONLines, exchange.Parquet} {
		want := readFile(t, exported(t, dir, format), format, true)
		for after := 1; ; after++ {
			path := filepath.Join(t.TempDir(), "x")
			more := resumed(t, dir, path, format, after)
			if got := readFile(t, path, format, true); !slices.Equal(got, want) {
				t.Fatalf("%s, broken off after %d: got\n%s\nwant\n%s", format, after, strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
			if !more {
				if after < 4 {
					t.Errorf("%s: broken off %d times, want more", format, after-1)
				}
				break
			}
		}
	}
}

func exported(t *testing.T, dir string, format exchange.Format) string {
	path := filepath.Join(t.TempDir(), "x")
	do(t, "export", "--data", dir, "--format", string(format), "--revisions", "--out", path)
	return path
}

// resumed exports in two goes; false where the first came to the end.
func resumed(t *testing.T, dir, path string, format exchange.Format, after int) bool {
	t.Helper()
	ctx := context.Background()
	q := exportQuery{Revisions: true}
	from, err := openFolderSource(coldStore{dir}, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	_, err = exportFile(ctx, &brokenSource{*from, after}, q, format, path, false, 1)
	if e := from.close(); e != nil {
		t.Fatal(e)
	}
	if err == nil {
		return false
	}
	if !errors.Is(err, errBroken) {
		t.Fatal(err)
	}
	if _, err := os.Stat(path); err == nil {
		t.Fatalf("%s is there and not whole", path)
	}
	if noted := format != exchange.Parquet && after > 1; noted {
		other := []string{"export", "--data", dir, "--format", string(format), "--match", "other", "--revisions", "--resume", "--out", path}
		if code := run(ctx, other, io.Discard, io.Discard); code == 0 {
			t.Fatalf("goes on with another export")
		}
	}
	do(t, "export", "--data", dir, "--format", string(format), "--revisions", "--resume", "--out", path)
	return true
}

// TestExportMemory: a long series is exported in little memory.
func TestExportMemory(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 2)
	j, db, err := coldStore{dir}.open(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	defer db.Close()
	ctx := context.Background()
	const batches, each = 60, 5000 // ten years of ten-minute readings, more or less
	for i := range batches {
		b := quantrac.Batch{}
		for k := range each {
			b.Rows = append(b.Rows, quantrac.Row{
				Group: quantrac.NewLabels("station", "long"), Time: quantrac.Millis(i*each+k) * 600_000,
				Cells: []quantrac.Cell{{Property: "water_level_meters", Value: float64(k) / 100}},
			})
		}
		if _, err := db.Append(ctx, &b); err != nil {
			t.Fatal(err)
		}
	}
	if err := db.Flush(ctx); err != nil {
		t.Fatal(err)
	}
	from := &folderSource{j: j, db: db}
	_, labels, err := from.open(ctx, &exportQuery{Revisions: true})
	if err != nil {
		t.Fatal(err)
	}
	heap := func() uint64 {
		var m runtime.MemStats
		runtime.GC()
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	for _, format := range []exchange.Format{exchange.JSONLines, exchange.CSV} {
		before, peak, values := heap(), uint64(0), 0
		out, err := exchange.NewWriter(io.Discard, format, exchange.WriteOptions{LabelNames: labels, Revisions: true})
		if err != nil {
			t.Fatal(err)
		}
		err = from.each(ctx, func(s *exchange.Stretch, _ int) error {
			if values += len(s.Times); values/100_000 != (values-len(s.Times))/100_000 {
				peak = max(peak, heap())
			}
			return out.Write(s)
		})
		if err != nil || values != batches*each+2 {
			t.Fatalf("%s: %d values, %v", format, values, err)
		}
		if most := uint64(8 << 20); peak > before+most {
			t.Errorf("%s: %d bytes of memory for %d values, want %d at most", format, peak-before, values, most)
		}
	}
}

// TestExportBrokenOff: an answer that ends too soon is no export.
func TestExportBrokenOff(t *testing.T) {
	srv := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set(headerCommit, "7")
		w.Header().Set(headerSeries, "2")
		w.Header().Set(headerLabels, `["__name__"]`)
		fmt.Fprintln(w, `{"metric":{"__name__":"a"},"values":[1],"timestamps":[1]}`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}))
	defer srv.Close()
	path := filepath.Join(t.TempDir(), "x")
	var errs bytes.Buffer
	code := run(context.Background(), []string{"export", "--http", srv.URL, "--format", "csv", "--out", path}, io.Discard, &errs)
	if code != 1 || !strings.Contains(errs.String(), "the service broke off") || !strings.Contains(errs.String(), "--resume") {
		t.Errorf("status %d, %s", code, &errs)
	}
	if _, err := os.Stat(path); err == nil {
		t.Error("the file has its name")
	}
}
