package recorded

import (
	"strings"
	"testing"
	"time"

	"quantrac/internal/shared"
	"quantrac/tsdb/internal/score/load"
)

// TestBatches reads all recordings and wants them to be what their source notes
// say: some 1.6 million values of the stations listed, none of them twice.
func TestBatches(t *testing.T) {
	shared.Path(t, "wq_nerrs_apadb_15min")
	dir, _ := shared.Dir()
	batches, failed := Batches(dir, 5000)
	type key struct {
		station string
		at      time.Time
	}
	seen, stations, values := map[key]bool{}, map[string]int{}, 0
	for b := range batches {
		for l, err := range load.Parse(b.Lines) {
			if err != nil {
				t.Fatal(err)
			}
			k := key{l.Station(), l.Time}
			if seen[k] {
				t.Fatalf("%s has %s twice", k.station, k.at)
			}
			seen[k] = true
			stations[l.Station()]++
			values += len(l.Fields)
			b.Values -= len(l.Fields)
		}
		if b.Values != 0 {
			t.Fatalf("a batch counts %d values too many", b.Values)
		}
	}
	if err := failed(); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d values of %d stations", values, len(stations))
	if values < 1_000_000 {
		t.Errorf("%d values; recordings are missing", values)
	}
	for name, want := range map[string]int{"honolulu": 8760, "apadb": 65_000, "cape_ferguson": 25_000, "tony_grove": 40_000, "usgs_08117995": 90} {
		if stations[name] < want {
			t.Errorf("%s has %d lines, want at least %d", name, stations[name], want)
		}
	}
}

func TestLine(t *testing.T) {
	r := recording{station: "a", time: "t", fields: []string{"x", "y", "z"}}
	row := map[string]string{"t": "2012-01-01T00:15", "x": "1.50", "y": "NULL", "z": "-9999"}
	line, values, err := r.line(func(c string) string { return row[c] })
	if want := "obs,station=a x=1.50,z=-9999 1325376900000000000\n"; err != nil || line != want || values != 2 {
		t.Errorf("got %q with %d values, %v, want %q with 2", line, values, err, want)
	}
	row["t"] = "yesterday"
	if _, _, err := r.line(func(c string) string { return row[c] }); err == nil {
		t.Error("a time that is none was read")
	}
}

// TestMissing wants the reason when recordings are not there.
func TestMissing(t *testing.T) {
	batches, failed := Batches(t.TempDir(), 10)
	for range batches {
		t.Error("a batch of nothing")
	}
	if err := failed(); err == nil || !strings.Contains(err.Error(), "wq_nerrs") {
		t.Errorf("got %v", err)
	}
}
