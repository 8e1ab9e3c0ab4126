package shared

import (
	"bytes"
	"compress/gzip"
	"encoding/csv"
	"encoding/json"
	"io"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"
)

// Read returns what a file of the recorded observations holds, unpacked where
// its name ends in .gz. The file is named as for Path.
func Read(tb testing.TB, elem ...string) []byte {
	tb.Helper()
	data, err := os.ReadFile(Path(tb, elem...))
	if err == nil && strings.HasSuffix(elem[len(elem)-1], ".gz") {
		var z *gzip.Reader
		if z, err = gzip.NewReader(bytes.NewReader(data)); err == nil {
			data, err = io.ReadAll(z)
		}
	}
	if err != nil {
		tb.Fatal(err)
	}
	return data
}

// JSONLines returns the values of a file that has one a line.
func JSONLines[T any](tb testing.TB, elem ...string) []T {
	tb.Helper()
	var out []T
	d := json.NewDecoder(bytes.NewReader(Read(tb, elem...)))
	for d.More() {
		var v T
		if err := d.Decode(&v); err != nil {
			tb.Fatal(err)
		}
		out = append(out, v)
	}
	return out
}

// CSV returns the rows of a file, its head among them, comments left out.
func CSV(tb testing.TB, elem ...string) [][]string {
	tb.Helper()
	rd := csv.NewReader(bytes.NewReader(Read(tb, elem...)))
	rd.Comment = '#'
	rows, err := rd.ReadAll()
	if err != nil {
		tb.Fatal(err)
	}
	return rows
}

// Stage is a row of a gauge's recording.
type Stage struct {
	At time.Time // what the gauge's clock showed, as if it were UTC
	CM float64   // as logged, faults among it; NaN where nothing was
}

// Logan returns the stages of a gauge of the Logan River in the order of the
// file.
func Logan(tb testing.TB, file string) []Stage {
	tb.Helper()
	rows := CSV(tb, "river_logan_15min", file)
	column := slices.Index(rows[0], "stage")
	if column < 0 {
		tb.Fatalf("%s has no column stage: %s", file, rows[0])
	}
	out := make([]Stage, len(rows)-1)
	for i, row := range rows[1:] {
		at, err := time.Parse(time.DateTime[:16], row[0][:min(16, len(row[0]))]) // some files have seconds
		if err != nil {
			tb.Fatal(err)
		}
		cm, err := strconv.ParseFloat(row[column], 64)
		if err != nil {
			cm = math.NaN()
		}
		out[i] = Stage{at, cm}
	}
	return out
}
