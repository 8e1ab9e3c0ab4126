package main

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"quantrac"
	"quantrac/devices"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// TestThresholdSeries reads a threshold that was raised at some day as a series
// beside the readings it judges.
func TestThresholdSeries(t *testing.T) {
	day := quantrac.Millis(24 * 3600 * 1000)
	now := 20000 * day
	clock := quantrac.NewManualClock(now)
	fsys := vfs.NewMem()
	j, err := journal.Open(fsys, "journal", journal.Options{Clock: clock, MinFreeBytes: -1, ReserveBytes: -1})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	reg, err := devices.Open(filepath.Join(t.TempDir(), "registry.db"), j, devices.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer reg.Close()
	db, err := tsdb.Open(fsys, "tsdb", j, tsdb.Options{Clock: clock})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	ctx := quantrac.WithPrincipal(context.Background(), quantrac.Principal{Name: "test", Role: quantrac.RoleAdmin})
	must := func(_ quantrac.Commit, err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []string{"a", "b"} {
		must(reg.PutStation(ctx, devices.Station{ID: id, Family: quantrac.FamilyGauge, Facts: []devices.Facts{{Name: id}}}, "test"))
		must(reg.PutProperty(ctx, devices.Property{Station: id, Property: devices.NewProperty("water_level_meters")}, "test"))
		for i, v := range []float64{2, 2.5} {
			must(reg.PutThreshold(ctx, devices.Threshold{Threshold: quantrac.Threshold{
				Station: id, Property: "water_level_meters", Kind: quantrac.ThresholdWatch, Level: 1, Value: v,
				ValidFrom: now - 2*day + quantrac.Millis(i)*day, ValidTo: quantrac.MaxMillis,
			}}, "test"))
		}
	}
	if _, err := db.Append(ctx, &quantrac.Batch{Rows: []quantrac.Row{{
		Group: quantrac.NewLabels("station", "a"), Time: now - 1, Cells: []quantrac.Cell{{Property: "water_level_meters", Value: 1}},
	}}}); err != nil {
		t.Fatal(err)
	}
	s := thresholdStore{db, reg, clock}
	read := func(ctx context.Context, ms ...*quantrac.Matcher) string {
		t.Helper()
		text := ""
		for got, err := range s.Select(ctx, tsdb.Query{Matchers: ms, From: now - 2*day, To: now.Add(24 * time.Hour)}) {
			if err != nil {
				t.Fatal(err)
			}
			n := len(got.Times)
			text += fmt.Sprintf("%s %d points %v to %v\n", got.Labels, n, got.Values[0], got.Values[n-1])
		}
		return text
	}
	const a = `water_level_threshold_meters{kind="theo_doi", level="1", station="a"} 49 points 2 to 2.5` + "\n"
	const b = `water_level_threshold_meters{kind="theo_doi", level="1", station="b"} 49 points 2 to 2.5` + "\n"
	const reading = `water_level_meters{station="a"} 1 points 1 to 1` + "\n"
	check := func(what, got, want string) {
		t.Helper()
		if got != want {
			t.Errorf("%s:\n%swant\n%s", what, got, want)
		}
	}
	metric := func(name string) *quantrac.Matcher { return quantrac.Equals(quantrac.LabelMetric, name) }
	check("thresholds", read(ctx, metric("water_level_threshold_meters")), a+b)
	check("readings", read(ctx, metric("water_level_meters")), reading)
	check("everything of a station, in order", read(ctx, quantrac.Equals("station", "a")), reading+a)
	scoped := quantrac.WithPrincipal(ctx, quantrac.Principal{Name: "x", Role: quantrac.RoleViewer, Stations: []string{"b"}})
	check("within one's stations", read(scoped, metric("water_level_threshold_meters")), b)
	last, err := s.Latest(ctx, []*quantrac.Matcher{metric("water_level_threshold_meters")})
	if err != nil || len(last) != 2 || last[0].Value != 2.5 || last[0].Time != now {
		t.Errorf("Latest = %+v, %v", last, err)
	}
	names, err := s.LabelValues(ctx, quantrac.LabelMetric, nil, now-day, now, 0)
	if err != nil || len(names) != 2 {
		t.Errorf("metrics are %v, %v", names, err)
	}

	// A threshold valid since ever, asked for since ever: listed at once, and
	// refused as samples, without either taking memory.
	must(reg.PutThreshold(ctx, devices.Threshold{Threshold: quantrac.Threshold{
		Station: "a", Property: "water_level_meters", Kind: quantrac.ThresholdWatch, Level: 2, Value: 3,
		ValidFrom: quantrac.MinMillis, ValidTo: quantrac.MaxMillis,
	}}, "test"))
	all, err := s.Series(ctx, []*quantrac.Matcher{metric("water_level_threshold_meters")}, quantrac.MinMillis, quantrac.MaxMillis)
	if err != nil || len(all) != 3 {
		t.Errorf("series since ever: %v, %v", all, err)
	}
	for _, err := range s.Select(ctx, tsdb.Query{Matchers: []*quantrac.Matcher{metric("water_level_threshold_meters")}, From: quantrac.MinMillis, To: now}) {
		if quantrac.KindOf(err) != quantrac.Invalid {
			t.Errorf("samples since ever: %v, want an Invalid error", err)
		}
	}
}
