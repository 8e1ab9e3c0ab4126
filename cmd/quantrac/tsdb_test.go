package main

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"

	"quantrac"
	"quantrac/internal/journal"
	"quantrac/internal/vfs"
	"quantrac/tsdb"
)

// TestTsdbCompact leaves a store with rows in two blocks and in the journal, and
// wants them in one block of the same values.
func TestTsdbCompact(t *testing.T) {
	dir := t.TempDir()
	const want = 3
	fill(t, dir, want)
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"tsdb", "compact", "--data", dir}, &out, &errs); code != 0 {
		t.Fatalf("status %d: %s", code, &errs)
	}
	if got := out.String(); !strings.HasPrefix(got, "3 values in 1 blocks") {
		t.Errorf("said %q, want 3 values in 1 blocks", got)
	}
	j, db, err := coldStore{dir}.open(slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	defer db.Close()
	if st := db.Stats(); st.BlockCells != want || st.Blocks != 1 || st.HeadRows != 0 {
		t.Errorf("%d values in %d blocks and %d rows in memory, want %d in 1 and none", st.BlockCells, st.Blocks, st.HeadRows, want)
	}
}

// TestTsdbCompactElsewhere wants no store made where none was.
func TestTsdbCompactElsewhere(t *testing.T) {
	dir := t.TempDir()
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"tsdb", "compact", "--data", dir}, &out, &errs); code != 1 {
		t.Errorf("status %d, want 1: %s", code, &errs)
	}
	names, err := vfs.OS().ReadDir(dir)
	if err != nil || len(names) > 0 {
		t.Errorf("the folder now has %v (%v), want nothing", names, err)
	}
}

// fill writes n values, each but the last into a block of its own.
func fill(t *testing.T, dir string, n int) {
	t.Helper()
	j, err := journal.Open(vfs.OS(), dir+"/journal", journal.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	db, err := tsdb.Open(vfs.OS(), dir+"/tsdb", j, tsdb.Options{})
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	for i := range n {
		b := quantrac.Batch{Rows: []quantrac.Row{{
			Group: quantrac.NewLabels("station", fmt.Sprint(i)), Time: 1_700_000_000_000,
			Cells: []quantrac.Cell{{Property: "water_level_meters", Value: float64(i)}},
		}}}
		if _, err := db.Append(context.Background(), &b); err != nil {
			t.Fatal(err)
		}
		if i < n-1 {
			if err := db.Flush(context.Background()); err != nil {
				t.Fatal(err)
			}
		}
	}
}
