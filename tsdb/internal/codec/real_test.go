package codec

import (
	"bufio"
	"compress/gzip"
	"encoding/csv"
	"io"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"

	"quantrac/internal/shared"
)

// realColumns reads the recorded series: a chunk for every so many rows, a
// month, empty cells and text left out.
func realColumns(tb testing.TB) []testColumn {
	var out []testColumn
	for _, src := range []struct {
		glob string
		rows int
		skip string // columns that are no series
		name string // what stands before the columns' names
	}{
		{"river_logan_15min/*.csv.gz", 2880, "_qual", "logan/"},
		{"wq_nerrs_apadb_15min/*.csv.gz", 2880, "f_", "nerrs/"},
		{"tide_australia_hourly/*.csv.gz", 720, "", "tide/"},
		{"wq_oddwater_pioneer/*.csv", 720, "_", "pioneer/"},
		{"wq_sonde_drift_5min/sondeClean.csv", 8192, "", "sonde/"},
		{"river_wye_hourly/*.csv.gz", 720, "", "wye/"},
	} {
		for _, path := range realFiles(tb, src.glob) {
			rows := readTable(tb, path)
			base, _, _ := strings.Cut(filepath.Base(path), ".")
			for c, title := range rows[0] {
				if c > 0 && (src.skip == "" || !strings.Contains(title, src.skip) || strings.HasSuffix(title, "_cor")) {
					out = appendReal(out, src.name+base+"/"+title, cells(rows[1:], c), src.rows)
				}
			}
		}
	}
	out = appendReal(out, "tide/honolulu", lastFields(tb, "tide_honolulu_2010/HNL2010.asc"), 720)
	out = appendReal(out, "tide/tuktoyaktuk", lastFields(tb, "tide_tuktoyaktuk_1975/tuk_time_elev.dat"), 720)
	return append(out, discharge(tb))
}

func realFiles(tb testing.TB, glob string) []string {
	dir, file := filepath.Split(glob)
	found, err := filepath.Glob(filepath.Join(shared.Path(tb, dir), file))
	if err != nil || len(found) == 0 {
		tb.Fatalf("no files %s: %v", glob, err)
	}
	return found
}

func openReal(tb testing.TB, path string) io.Reader {
	f, err := os.Open(path)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { _ = f.Close() })
	if !strings.HasSuffix(path, ".gz") {
		return f
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		tb.Fatal(err)
	}
	return z
}

func readTable(tb testing.TB, path string) [][]string {
	r := csv.NewReader(bufio.NewReader(openReal(tb, path)))
	r.FieldsPerRecord = -1
	rows, err := r.ReadAll()
	if err != nil || len(rows) == 0 {
		tb.Fatalf("%s: %v", path, err)
	}
	return rows
}

func cells(rows [][]string, c int) []string {
	var out []string
	for _, r := range rows {
		if c < len(r) {
			out = append(out, r[c])
		}
	}
	return out
}

// lastFields returns the last field of each line.
func lastFields(tb testing.TB, name string) []string {
	var out []string
	lines := bufio.NewScanner(openReal(tb, shared.Path(tb, name)))
	for lines.Scan() {
		if f := strings.Fields(lines.Text()); len(f) > 0 {
			out = append(out, f[len(f)-1])
		}
	}
	return out
}

// appendReal appends a column of the cells that are numbers, if there are any.
func appendReal(out []testColumn, name string, cells []string, rows int) []testColumn {
	c := testColumn{name: name}
	for from := 0; from < len(cells); from += rows {
		var vals []float64
		for _, cell := range cells[from:min(from+rows, len(cells))] {
			if v, err := strconv.ParseFloat(cell, 64); err == nil {
				vals = append(vals, v)
			}
		}
		if len(vals) > 0 {
			c.chunks, c.gaps = append(c.chunks, vals), append(c.gaps, nil)
		}
	}
	if len(c.chunks) == 0 {
		return out
	}
	return append(out, c)
}

// discharge is one column of many short chunks: two or three days of a gauge.
func discharge(tb testing.TB) testColumn {
	c := testColumn{name: "usgs/discharge"}
	at := map[string]int{}
	for _, r := range readTable(tb, shared.Path(tb, "river_usgs_lower_colorado_15min", "discharge_15min.csv.gz"))[1:] {
		v, err := strconv.ParseFloat(r[3], 64)
		if err != nil {
			continue
		}
		key := r[2] + r[1][:4]
		k, ok := at[key]
		if !ok {
			k = len(c.chunks)
			at[key] = k
			c.chunks, c.gaps = append(c.chunks, nil), append(c.gaps, nil)
		}
		c.chunks[k] = append(c.chunks[k], v)
	}
	return c
}

// Every recorded value comes back as it was, and all of them take no more than
// 0.8 of what a general engine's values do.
func TestSmallReal(t *testing.T) {
	var s Small
	var p peer
	var small, peer int
	for _, c := range realColumns(t) {
		for i, vals := range c.chunks {
			data := s.AppendFloats(nil, vals, c.gaps[i])
			if got, _, err := ReadFloats(nil, data, len(vals), nil); err != nil || !sameBits(got, vals) {
				t.Fatalf("%s: chunk %d: %v", c.name, i, err)
			}
			small += len(data)
			peer += len(p.append(nil, vals))
		}
	}
	if ratio := float64(small) / float64(peer); ratio > 0.8 {
		t.Errorf("%d bytes, %.3f of the peer's, want at most 0.8", small, ratio)
	} else {
		t.Logf("%d bytes, %.3f of the peer's", small, ratio)
	}
}
