package main

import (
	"bytes"
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The store of a data folder is described, dumped and checked, and a damaged
// file is named with the place.
func TestTsdbInspect(t *testing.T) {
	dir := t.TempDir()
	fill(t, dir, 3)
	quantrac := func(args ...string) (int, string, string) {
		var out, errs bytes.Buffer
		code := run(context.Background(), append([]string{"tsdb"}, append(args, "--data", dir)...), &out, &errs)
		return code, out.String(), errs.String()
	}
	code, out, errs := quantrac("check")
	if code != 0 || strings.Count(out, "  ok") != 4 {
		t.Fatalf("check: status %d\n%s%s", code, out, errs)
	}
	code, out, errs = quantrac("stats", "--json")
	var stats struct {
		Sizes struct {
			Property map[string]struct{ Cells int }
			Values   int
		}
		Files []struct{ Rows int }
	}
	if err := json.Unmarshal([]byte(out), &stats); code != 0 || err != nil || stats.Sizes.Property["water_level_meters"].Cells != 2 || stats.Sizes.Values == 0 {
		t.Fatalf("stats: status %d, %v\n%s%s", code, err, out, errs)
	}
	if code, out, errs = quantrac("stats"); code != 0 || !strings.Contains(out, "bytes per value") {
		t.Errorf("stats: status %d\n%s%s", code, out, errs)
	}
	if code, out, errs = quantrac("dump"); code != 0 || strings.Count(out, "\n") != 2 || !strings.Contains(out, `"quality":{"water_level_meters":2}`) {
		t.Errorf("dump: status %d\n%s%s", code, out, errs)
	}
	blocks, err := filepath.Glob(dir + "/tsdb/*.block")
	if err != nil || len(blocks) != 2 {
		t.Fatal(blocks, err)
	}
	data, err := os.ReadFile(blocks[1])
	if err != nil {
		t.Fatal(err)
	}
	data[20] ^= 4 // of a chunk
	if err := os.WriteFile(blocks[1], data, 0o600); err != nil {
		t.Fatal(err)
	}
	code, out, errs = quantrac("check")
	if code != 1 || !strings.Contains(out, blocks[1]+", offset 16: checksum") || !strings.Contains(errs, "1 of 4 files are damaged") {
		t.Errorf("check of a damaged file: status %d\n%s%s", code, out, errs)
	}
	if code, _, errs = quantrac("dump"); code != 1 || !strings.Contains(errs, "checksum") {
		t.Errorf("dump of a damaged file: status %d, %s", code, errs)
	}
}

func TestTsdbInspectElsewhere(t *testing.T) {
	for _, verb := range []string{"check", "stats", "dump"} {
		var out, errs bytes.Buffer
		if code := run(context.Background(), []string{"tsdb", verb, "--data", t.TempDir()}, &out, &errs); code != 1 || !strings.Contains(errs.String(), "no folder of a store") {
			t.Errorf("%s: status %d, %s", verb, code, &errs)
		}
	}
}
